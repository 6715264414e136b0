# Gap of the checkpoints by layer. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (for each checkpoint: layer, gap in bits); writes {{name}}.svg.
set terminal svg size 1000,420 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
curves = {{curves}}
set encoding utf8
array names = [{{names}}]
set key outside right center Left reverse noenhanced samplen 2 spacing 1.3
{{styles}}
set lmargin 10
set xtics 1 nomirror
set ytics nomirror
set border 3 lc rgb '#767676'
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
set autoscale xfix
set offsets 0.2,0.2,0,0
set xlabel 'layer'
set ylabel 'gap (bits per weight)'
plot for [i=1:curves] data index i-1 using 1:2 with linespoints lt i title names[i]
