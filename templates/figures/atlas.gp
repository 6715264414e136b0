# The gap of each format over shape, correlation, outliers and block size; tensors placed by their shape. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat: for each of five axes one block a line (parameter, gap, tip), then the tensors (foretold gap, measured gap, tip).
lines = {{lines}}
set terminal svg size 1000,640 dynamic enhanced font 'system-ui,sans-serif,12'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array titles = ['Student-t, ν', 'generalised Gaussian, β', 'correlation ρ', 'share of outliers', 'weights that share a scale, on a Gaussian']
{{styles}}
unset key
{{names}}set border 3 lc rgb '#767676'
set yrange [{{bottom}}:{{top}}]
set ytics 0.5 nomirror
set xtics nomirror
set grid y lc rgb '#E4E4E4' lw 1 dt 1
set label 'gap to the Gaussian bound (bits per weight)' at screen 0.012, screen 0.48 center rotate tc rgb '#595959'
set multiplot layout 2,3 margins 0.065,0.99,0.06,0.88 spacing 0.05,0.14
do for [i=1:5] {
    set title titles[i] noenhanced offset 0,-0.6
    if (i == 3) { unset logscale x } else { set logscale x }
    if (i == 1) { set xrange [2.7:33]; set xtics (3, 5, 10, 30) nomirror }
    if (i == 2) { set xrange [0.45:3.3]; set xtics (0.5, 0.7, 1, 1.4, 2, 3) nomirror }
    if (i == 3) { set xrange [0:1]; set xtics (0, 0.5, 0.8, 0.95) nomirror }
    if (i == 4) { set xrange [8e-5:1.2e-2]; set xtics ('0.01 %%' 1e-4, '0.1 %%' 1e-3, '1 %%' 1e-2) nomirror }
    if (i == 5) { set xrange [14:600]; set xtics (16, 32, 64, 128, 256, 512) nomirror }
    plot for [k=1:lines] data index (i-1)*lines+k-1 using 1:2 with linespoints lt k title sprintf('curve %d', k-1), \
         for [k=1:lines] data index (i-1)*lines+k-1 using 1:2:3 with labels hypertext point lt k ps 0.6 title sprintf('tips %d', k-1), \
         0 with lines lc rgb '#767676' lw 1.5 dt 2 notitle
    unset label
}
unset logscale x
set title 'this model: foretold by shape · measured' noenhanced offset 0,-0.6
set xrange [{{least}}:{{most}}]
set yrange [{{least}}:{{most}}]
set xtics 0.5 nomirror
set style fill transparent solid 0.6 noborder
plot x with lines lc rgb '#767676' lw 1.5 dt 2 notitle, \
     for [k=1:lines] data index 5*lines+k-1 using 1:2 with points lt k notitle, \
     for [k=1:lines] data index 5*lines+k-1 using 1:2:3 with labels hypertext point lt k ps 0.6 notitle
unset multiplot
