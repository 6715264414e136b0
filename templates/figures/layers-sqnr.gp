# SQNR by layer. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (for each role: layer, SQNR in dB, text of the point); writes {{name}}.svg.
set terminal svg size 1000,420 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
curves = {{curves}}
set encoding utf8
unset key
{{styles}}
set lmargin 10
set rmargin 22
set tmargin 1.2
set yrange {{yrange}}
set xtics 1 nomirror
set ytics nomirror
set border 3 lc rgb '#767676'
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
set autoscale xfix
set offsets 0.2,0.2,0,0
set xlabel 'layer'
set ylabel 'SQNR (dB)'
{{labels}}
plot for [i=1:curves] data index i-1 using 1:2 with linespoints lt i title sprintf('curve %d', i-1), \
     for [i=1:curves] data index i-1 using 1:2:(sprintf('%d', $3)) with labels hypertext point lt i ps 0.9 title sprintf('tips %d', i-1)
