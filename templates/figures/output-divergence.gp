# Divergence of the model's output. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (row, median, mean and 99 % quantile of KL in nats); writes {{name}}.svg.
bars = {{bars}}
set terminal svg size 1000,90+22*bars dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array names = [{{names}}]
unset key
set lmargin 38
set rmargin 3
set logscale x
set format x '10^{%L}'
set yrange [bars-0.4:-0.6]
set border 1 lc rgb '#767676'
set xtics nomirror
unset ytics
set xlabel 'KL divergence from the base (nats a token)'
set grid x lc rgb '#E4E4E4' lw 1 dt 1
do for [i=1:bars] { set label names[i] at graph 0, first i-1 right offset -1,0 noenhanced }
plot data using 2:1:($4-$2):(0) with vectors nohead lc rgb '#56B4E9' lw 5 notitle, \
     data using 3:1 with points pt 7 ps 0.8 lc rgb '#0072B2' notitle
