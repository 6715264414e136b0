# Where the bytes of the checkpoints are. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (row; MB of indices, scales and zero points, codebooks, order, padding and descriptions, plain tensors, headers); writes {{name}}.svg.
bars = {{bars}}
set terminal svg size 1000,140+30*bars dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array names = [{{names}}]
array parts = ['indices', 'scales and zero points', 'codebooks', 'order, padding, descriptions', 'plain tensors', 'headers']
array colours = [0x0072B2, 0xE69F00, 0x009E73, 0xCC79A7, 0xB0B0B0, 0xD55E00]
set key outside top left horizontal Left reverse samplen 1.2 width 1 maxrows 2
set tmargin 4
set lmargin 30
set rmargin 3
set yrange [bars-0.4:-0.6]
set xrange [0:*]
set border 1 lc rgb '#767676'
set xtics nomirror
unset ytics
set xlabel 'MB'
set grid x lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.85 noborder
do for [i=1:bars] { set label names[i] at graph 0, first i-1 right offset -1,0 noenhanced }
upto(k) = sum [j=2:k] column(j)
plot for [k=2:7] data using (0):1:(k > 2 ? upto(k-1) : 0):(upto(k)):($1-0.32):($1+0.32) with boxxyerror lc rgb colours[k-1] title parts[k-1]
