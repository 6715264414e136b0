# Predicted and measured divergence. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (plain specs, then those that calibration shapes: predicted KL, measured KL, text of the point); writes {{name}}.svg.
set terminal svg size 1000,500 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
tolerance = {{tolerance}}
set encoding utf8
unset key
{{styles}}
set lmargin 12
set rmargin 4
set tmargin 1.2
set logscale xy
set format xy '10^{%L}'
set xlabel 'KL predicted by the sum over tensors (nats/token)'
set ylabel 'KL measured (nats/token)'
set border 3 lc rgb '#767676'
set xtics nomirror
set ytics nomirror
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
{{names}}
set label 'dashed: measured = predicted; dotted: the tolerance' at graph 0.03,0.82 tc rgb '#767676'
plot x with lines lc rgb '#767676' dt 2 notitle, \
     x / (1 + tolerance) with lines lc rgb '#767676' dt 3 notitle, \
     x / (1 - tolerance) with lines lc rgb '#767676' dt 3 notitle, \
     for [i=1:2] data index i-1 using 1:2 with points lt i ps 1.2 title sprintf('curve %d', i-1), \
     for [i=1:2] data index i-1 using 1:2:(sprintf('%d', $3)) with labels hypertext point lt i ps 0.9 title sprintf('tips %d', i-1)
