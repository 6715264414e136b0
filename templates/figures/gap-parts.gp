# Where the bits go. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (bar, space filling, fixed rate, overhead, range; in bits per weight); writes {{name}}.svg.
bars = {{bars}}
set terminal svg size 1000,90+26*bars dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array names = [{{names}}]
set key outside top left horizontal Left reverse samplen 1.2 width 1
set lmargin 26
set rmargin 2
set yrange [bars-0.4:-0.6]
set border 1 lc rgb '#767676'
set xtics nomirror
unset ytics
set xlabel 'bits per weight above the bound'
set grid x lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.85 noborder
do for [i=1:bars] { set label names[i] at graph 0, first i-1 right offset -1,0 noenhanced }
# A negative range part moves the whole stack to the left, so that its right end is the gap.
start(r) = r < 0 ? r : 0
plot data using (0):1:(start($5)):(start($5)+$2):($1-0.32):($1+0.32) with boxxyerror lc rgb '#0072B2' title 'space filling', \
     data using (0):1:(start($5)+$2):(start($5)+$2+$3):($1-0.32):($1+0.32) with boxxyerror lc rgb '#56B4E9' title 'fixed rate', \
     data using (0):1:(start($5)+$2+$3):(start($5)+$2+$3+$4):($1-0.32):($1+0.32) with boxxyerror lc rgb '#E69F00' title 'scales and other overhead', \
     data using (0):1:(start($5)+$2+$3+$4):(start($5)+$2+$3+$4+($5>0?$5:0)):($1-0.32):($1+0.32) with boxxyerror lc rgb '#D55E00' title 'range waste', \
     '+' using (0):1 with lines lc rgb '#767676' lw 1 notitle
