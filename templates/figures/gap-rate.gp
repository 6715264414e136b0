# Gap to the Shannon bound against rate. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (one block a curve); writes {{name}}.svg.
set terminal svg size 1000,500 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
curves = {{curves}}
set encoding utf8
unset key
{{styles}}
set lmargin 10
set rmargin 26
set tmargin 1.2
set xrange [{{left}}:{{right}}]
set yrange [{{bottom}}:{{top}}]
set xlabel 'effective bits per weight, everything counted'
set ylabel 'gap (bits per weight)'
set xtics 1 nomirror
set ytics 0.25 nomirror
set border 3 lc rgb '#767676'
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
set label 'entropy-coded scalar, 0.2546' at graph 0.01, first 0.2546 left offset 0,0.6 font ',12' tc rgb '#595959' front
set label 'fixed-rate scalar, 0.7220' at graph 0.01, first 0.7220 left offset 0,0.6 font ',12' tc rgb '#595959' front
{{labels}}
plot for [i=1:curves] data index i-1 using 1:2 with linespoints lt i title sprintf('curve %d', i-1), \
     0 with lines lc rgb '#767676' lw 2 dt 2 notitle, \
     0.254614 with lines lc rgb '#767676' lw 1 dt 3 notitle, \
     0.7220 with lines lc rgb '#767676' lw 1 dt 3 notitle, \
     for [i=1:curves] data index i-1 using 1:2:3 with labels hypertext point lt i ps 0.9 title sprintf('tips %d', i-1)
