# Error of the checkpoints by tensor. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (for each checkpoint: bar, MSE); writes {{name}}.svg.
bars = {{bars}}
curves = {{curves}}
set terminal svg size 1000,120+(12+12*curves)*bars dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
stats data using 2 nooutput
power = STATS_max > 0 ? floor(log10(STATS_max)) : 0 # one power for the axis: ticks of many digits run into each other
set encoding utf8
array names = [{{names}}]
array titles = [{{titles}}]
{{styles}}
set key outside top left horizontal Left reverse samplen 1.2 width 1 noenhanced
set tmargin 3
set lmargin 40
set rmargin 4
set xrange [0:*]
set yrange [bars-0.4:-0.6]
set border 1 lc rgb '#767676'
set xtics nomirror
unset ytics
set xlabel sprintf('mean squared error per weight (10^{%d})', power)
set grid x lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.85 noborder
do for [i=1:bars] { set label names[i] at graph 0, first i-1 right offset -1,0 noenhanced }
top(i) = -0.38 + 0.76*(i-1)/curves
plot for [i=1:curves] data index i-1 using (0):1:(0):($2/10.0**power):($1+top(i)):($1+top(i+1)) with boxxyerror lt i title titles[i]
