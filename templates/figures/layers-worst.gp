# The worst tensors. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (bar, SQNR in dB); writes {{name}}.svg.
bars = {{bars}}
set terminal svg size 1000,80+26*bars dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array names = [{{names}}]
unset key
set lmargin 30
set rmargin 8
set xrange [0:{{right}}]
set yrange [bars-0.4:-0.6]
set border 1 lc rgb '#767676'
set xtics nomirror
unset ytics
set xlabel 'SQNR (dB)'
set grid x lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.85 noborder
do for [i=1:bars] { set label names[i] at graph 0, first i-1 right offset -1,0 noenhanced }
set arrow from {{middle}}, graph 0 to {{middle}}, graph 1 nohead lc rgb '#767676' dt 2 lw 1.5 front
plot data using (0):1:(0):2:($1-0.32):($1+0.32) with boxxyerror lc rgb '#0072B2' notitle
