# Weight error and logits error. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (for each method: weight MSE, logits MSE, text of the point); writes {{name}}.svg.
set terminal svg size 1000,500 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
curves = {{curves}}
set encoding utf8
unset key
{{styles}}
set lmargin 12
set rmargin 20
set tmargin 1.2
set logscale xy
set format xy '10^{%L}'
set xlabel 'weight MSE'
set ylabel 'logits MSE'
set border 3 lc rgb '#767676'
set xtics nomirror
set ytics nomirror
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
{{labels}}
plot for [i=1:curves] data index i-1 using 1:2 with linespoints lt i title sprintf('curve %d', i-1), \
     for [i=1:curves] data index i-1 using 1:2:(sprintf('%d', $3)) with labels hypertext point lt i ps 0.9 title sprintf('tips %d', i-1)
