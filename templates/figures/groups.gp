# Gap against rate by role. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (for each role and method: rate, mean, least and largest gap); writes {{name}}.svg.
columns = {{columns}}
rows = {{rows}}
lines = {{lines}}
set terminal svg size 250*columns,235*rows+54 dynamic enhanced font 'system-ui,sans-serif,12'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
array titles = [{{titles}}]
{{styles}}
unset key
{{names}}set border 3 lc rgb '#767676'
set xrange [1:{{right}}]
set yrange [{{bottom}}:{{top}}]
set xtics 2 nomirror
set ytics 0.5 nomirror
set grid y lc rgb '#E4E4E4' lw 1 dt 1
set style fill transparent solid 0.25 noborder
height = 235.0*rows+54
set label 'effective bits per weight' at screen 0.5, screen 12/height center tc rgb '#595959'
set multiplot layout rows,columns margins 0.045,0.995,44/height,1-52/height spacing 0.045,62/height
do for [i=1:{{panels}}] {
    set title titles[i] noenhanced offset 0,-0.6
    plot for [k=1:lines] data index (i-1)*lines+k-1 using 1:3:4 with filledcurves lt k notitle, \
         for [k=1:lines] data index (i-1)*lines+k-1 using 1:2 with linespoints lt k notitle, \
         0 with lines lc rgb '#767676' lw 1.5 dt 2 notitle
}
unset multiplot
