# {{name}}: bars, one a method. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (bar, value, colour, printed value); writes {{name}}.svg.
bars = {{bars}}
set terminal svg size 1000,80+26*bars dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array names = [{{names}}]
unset key
set lmargin 26
set rmargin 6
set xrange {{xrange}}
set yrange [bars-0.4:-0.6]
set border 1 lc rgb '#767676'
set xtics nomirror
unset ytics
set xlabel {{xlabel}}
set grid x lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.85 noborder
do for [i=1:bars] { set label names[i] at graph 0, first i-1 right offset -1,0 noenhanced }
plot data using ({{start}}):1:({{start}}):2:($1-0.32):($1+0.32):3 with boxxyerror lc rgb variable notitle, \
     data using ($2>{{start}}?$2:{{start}}):1:4 with labels left offset 0.5,0 notitle
