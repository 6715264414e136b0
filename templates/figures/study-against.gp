# {{name}}: one metric against another. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (beaten points, then the front: x, y, text of the point); writes {{name}}.svg.
set terminal svg size 1000,460 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
unset key
set lmargin 12
set rmargin 26
set tmargin 1.2
set xrange {{xrange}}
set yrange {{yrange}}
set xlabel {{xlabel}}
set ylabel {{ylabel}}
set border 3 lc rgb '#767676'
set xtics nomirror
set ytics nomirror
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
{{labels}}
plot data index 0 using 1:2 with points pt 6 ps 0.7 lc rgb '#767676' notitle, \
     data index 1 using 1:2 with linespoints pt 7 ps 0.8 lw 2 lc rgb '#0072B2' notitle, \
     for [i=0:1] data index i using 1:2:(sprintf('%d', $3)) with labels hypertext point pt 7 ps 0.8 lc rgb '#0072B2' title 'cells'
