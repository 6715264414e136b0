# Grids against the density of the weights. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (the density, then one block of levels a grid); writes {{name}}.svg.
grids = {{grids}}
set terminal svg size 1000,220+30*grids dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array names = [{{names}}]
unset key
{{styles}}
set xrange [-6:6]
set border 1 lc rgb '#767676'
set xtics 1 nomirror
set xlabel 'weight (σ)'
set style fill solid 0.35 noborder
# The density takes the upper part; each grid has a row of its own below, one unit high.
set yrange [-grids:6]
unset ytics
set lmargin 18
set rmargin 3
stats data index 0 using 2 nooutput
peak = STATS_max > 0 ? 1.05*STATS_max : 1
do for [i=1:grids] { set label names[i] at graph 0, first 0.5-i right offset -1,0 noenhanced }
plot data index 0 using 1:($2*6/peak) with boxes lc rgb '#56B4E9' notitle, \
     for [i=1:grids] data index i using 1:(0.12-i):(0):(0.76) with vectors nohead lt i lw 2.5 dt 1 notitle, \
     0 with lines lc rgb '#767676' lw 1 notitle
