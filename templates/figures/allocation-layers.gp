# Bits of each tensor. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (bar, bits per weight); writes {{name}}.svg.
bars = {{bars}}
set terminal svg size 1000,80+20*bars dynamic enhanced font 'system-ui,sans-serif,12'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array names = [{{names}}]
unset key
set lmargin 26
set rmargin 8
set xrange [0:*]
set yrange [bars-0.4:-0.6]
set border 1 lc rgb '#767676'
set xtics 1 nomirror
unset ytics
set xlabel 'bits per weight, everything counted'
set grid x lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.85 noborder
do for [i=1:bars] { set label names[i] at graph 0, first i-1 right offset -1,0 noenhanced }
plot data using (0):1:(0):2:($1-0.34):($1+0.34) with boxxyerror lc rgb '#0072B2' notitle, \
     data using 2:1:(sprintf('%.2f', $2)) with labels left offset 0.5,0 notitle
