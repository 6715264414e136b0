# Distortion against rate. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (one block a curve, the last one the bound of the weights); writes {{name}}.svg.
set terminal svg size 1000,600 dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
curves = {{curves}}
set encoding utf8
unset key
{{styles}}
set lmargin 15
set rmargin 26
set tmargin 1.2
set xrange [{{left}}:{{right}}]
set logscale y 2
set yrange [2**({{bottom}}):2**({{top}})]
set xlabel 'effective bits per weight, everything counted'
set ylabel 'distortion D/σ², and SQNR' offset 1,0
set xtics 1 nomirror
# Powers of two on the axis, each with its SQNR.
set ytics () nomirror
do for [k={{bottom}}:{{top}}:2] { set ytics add (sprintf('2^{%s%d}, %s%d dB', k < 0 ? '−' : '', abs(k), k > 0 ? '−' : '', int(abs(3.0103*k) + 0.5)) 2.0**k) }
set border 3 lc rgb '#767676'
set grid x y lc rgb '#E4E4E4' lw 1 dt 1
# Below the bound: no code for independent Gaussian weights gets there.
bound(x) = 2**(-2*x)
set style fill solid 1.0 noborder
set label 'impossible for a Gaussian' at graph 0.02,0.04 left tc rgb '#595959' front
{{labels}}
set samples 200
plot '+' using 1:(bound($1)):(2**({{bottom}})) with filledcurves lc rgb '#EFEFEF' notitle, \
     for [i=1:curves] data index i-1 using 1:2 with linespoints lt i title sprintf('curve %d', i-1), \
     bound(x) with lines lc rgb '#767676' lw 2 dt 2 notitle, \
     ({{empirical}} ? data : '/dev/null') index curves using 1:2 with lines lc rgb '#767676' lw 1.5 dt 3 notitle, \
     for [i=1:curves] data index i-1 using 1:2:3 with labels hypertext point lt i ps 0.9 title sprintf('tips %d', i-1)
