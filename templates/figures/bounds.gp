# Output error against rate by role, with the functional bound. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (for each role a block of the bound: rate, error, low, high; then one a method: rate, error, tip); writes {{name}}.svg.
columns = {{columns}}
rows = {{rows}}
lines = {{lines}}
blocks = lines+1
set terminal svg size 250*columns,240*rows+62 dynamic enhanced font 'system-ui,sans-serif,12'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array titles = [{{titles}}]
{{styles}}
unset key
{{names}}set border 3 lc rgb '#767676'
set xrange [1.5:6]
set logscale y 2
set yrange [2**-14:2**-1]
set xtics 1 nomirror
set ytics ('2^{-2}' 2**-2, '2^{-4}' 2**-4, '2^{-6}' 2**-6, '2^{-8}' 2**-8, '2^{-10}' 2**-10, '2^{-12}' 2**-12) nomirror
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.35 noborder
height = 240.0*rows+62
set label 'effective bits per weight (output error as a share of the output, log scale)' at screen 0.5, screen 12/height center tc rgb '#595959'
set multiplot layout rows,columns margins 0.05,0.995,54/height,1-54/height spacing 0.05,62/height
do for [i=1:{{panels}}] {
    if (i == 2) { unset label }
    set title titles[i] noenhanced offset 0,-0.6
    plot data index (i-1)*blocks using 1:3:4 with filledcurves lc rgb '#B0B0B0' notitle, \
         data index (i-1)*blocks using 1:2 with lines lc rgb '#767676' lw 2 dt 2 notitle, \
         for [k=1:lines] data index (i-1)*blocks+k using 1:2 with linespoints lt k title sprintf('curve %d', k-1), \
         for [k=1:lines] data index (i-1)*blocks+k using 1:2:3 with labels hypertext point lt k ps 0.6 title sprintf('tips %d', k-1)
}
unset multiplot
