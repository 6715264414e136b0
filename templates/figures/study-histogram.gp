# {{name}}: histogram of the improvement over a reference. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (a block a method, its name first: middle of the bin, tensors); writes {{name}}.svg.
methods = {{methods}}
step = {{step}}
set terminal svg size 1000,400 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
{{styles}}
set key outside top left horizontal Left reverse samplen 1 noenhanced
set rmargin 2
set logscale x 2
set border 3 lc rgb '#767676'
set xtics nomirror
set ytics nomirror
set yrange [0:*]
set xlabel 'times less error'
set ylabel 'tensors'
set grid y lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.85 noborder
left(x, i) = x * step**(-0.45 + 0.9*i/methods)
plot for [i=0:methods-1] data index i using (left($1,i)):(0):(left($1,i)):(left($1,i+1)):(0):2 with boxxyerror lc i+1 title columnhead(1)
