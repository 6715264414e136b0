# {{name}}: improvement over a reference, tensor by tensor. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (a block a method, its name first: place, ratio); writes {{name}}.svg.
methods = {{methods}}
places = {{places}}
set terminal svg size 1000,480 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
{{styles}}
set key outside top left horizontal Left reverse samplen 1 noenhanced
set bmargin 9
set rmargin 2
set logscale y 2
set xrange [-0.6:places-0.4]
set border 3 lc rgb '#767676'
set xtics nomirror rotate by 90 right noenhanced font ',11' ({{ticks}})
set ytics nomirror
set ylabel 'times less error'
set grid y lc rgb '#E4E4E4' lw 1 dt 1
set style fill solid 0.85 noborder
w = 0.8 / methods
plot for [i=0:methods-1] data index i using ($1-0.4+w*(i+0.5)):($2):($1-0.4+w*i):($1-0.4+w*(i+1)):($2<1?$2:1):($2<1?1:$2) with boxxyerror lc i+1 title columnhead(1), \
     '+' using 1:(1) with lines lc rgb '#303030' lw 1 notitle
