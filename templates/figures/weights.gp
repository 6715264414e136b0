# Histograms of the weights by role. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (for each role a density block and a block of grid levels); writes {{name}}.svg.
columns = {{columns}}
rows = {{rows}}
set terminal svg size 250*columns,240*rows+44 dynamic enhanced font 'system-ui,sans-serif,12'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array names = [{{titles}}]
array beta = [{{shapes}}]
unset key
set border 3 lc rgb '#767676'
set xrange [-6:6]
set logscale y
set yrange [{{floor}}:3]
set xtics -6,3,6 nomirror
set ytics ('10^{-4}' 1e-4, '10^{-2}' 1e-2, '1' 1) nomirror
set grid y lc rgb '#E4E4E4' lw 1 dt 1
set samples 241
set style fill solid 0.35 noborder
{{rugs}}
# Unit variance: scale a with a² Γ(3/β)/Γ(1/β) = 1.
gauss(x) = exp(-x*x/2)/sqrt(2*pi)
scale(b) = sqrt(gamma(1/b)/gamma(3/b))
ggd(x,b) = b > 0 ? b/(2*scale(b)*gamma(1/b))*exp(-(abs(x)/scale(b))**b) : NaN
above(y) = y > 5e-6 ? y : NaN
height = 240.0*rows+44
set label 'weight (σ)' at screen 0.5, screen 9/height center tc rgb '#595959'
set multiplot layout rows,columns margins 0.045,0.995,42/height,1-48/height spacing 0.05,62/height
do for [i=1:{{panels}}] {
    set title names[i] noenhanced offset 0,-0.6
    plot data index 2*(i-1) using 1:(above($2)) with filledcurves y=5e-6 lc rgb '#56B4E9' notitle, \
         above(gauss(x)) with lines lc rgb '#767676' lw 1.5 dt 2 notitle, \
         above(ggd(x,beta[i])) with lines lc rgb '#D55E00' lw 1 notitle, \
         data index 2*(i-1)+1 using 1:2:(0):3:4 with vectors nohead lw 1.5 lc rgb variable notitle
}
unset multiplot
