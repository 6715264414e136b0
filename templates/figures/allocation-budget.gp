# Loss against budget. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (best allocations: rate, loss, dual bound; one spec for all: rate, loss); writes {{name}}.svg.
set terminal svg size 1000,440 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
set key top right Left reverse samplen 2 spacing 1.2
set lmargin 12
set rmargin 3
set tmargin 1.2
set logscale y
set format y '10^{%L}'
set xlabel 'bits per weight, everything counted'
set ylabel 'predicted loss (' . {{unit}} . ')' noenhanced
set border 3 lc rgb '#767676'
set xtics nomirror
set ytics nomirror
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
plot data index 0 using 1:2 with linespoints pt 7 ps 0.5 lw 2 lc rgb '#0072B2' title 'best allocation', \
     data index 0 using 1:3 with lines lw 1.5 dt 2 lc rgb '#767676' title 'no allocation loses less', \
     data index 1 using 1:2 with points pt 2 ps 0.9 lw 1.5 lc rgb '#D55E00' title 'one spec for all', \
     data index 0 using 1:2:(sprintf('%d', $4)) with labels hypertext point pt 7 ps 0.8 title 'cells', \
     data index 1 using 1:2:(sprintf('%d', $3)) with labels hypertext point pt 7 ps 0.8 title 'cells'
