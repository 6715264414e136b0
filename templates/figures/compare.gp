# Gap against rate in each run. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (one block a run: rate, gap, text of the point); writes {{name}}.svg.
set terminal svg size 1000,440 dynamic enhanced font 'system-ui,sans-serif,13'
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
set xlabel 'effective bits per weight, everything counted'
set ylabel 'gap (bits per weight)'
plot for [i=1:curves] data index i-1 using 1:2 with linespoints lt i title names[i], \
     for [i=1:curves] data index i-1 using 1:2:(sprintf('%d', $3)) with labels hypertext point lt i ps 0.9 notitle
