# Gap by layer and role. Re-run: gnuplot {{name}}.gp
# Reads {{name}}.dat (layer position, role, gap, printed value, hover text); writes {{name}}.svg.
layers = {{layers}}
roles = {{roles}}
set terminal svg size 1000,110+34*roles dynamic enhanced font 'system-ui,sans-serif,13'
set output '{{name}}.svg'
data = '{{name}}.dat'
set encoding utf8
unset key
set lmargin 18
set rmargin 12
set xrange [-0.5:layers-0.5]
set yrange [roles-0.5:-0.5]
set border 0
set xtics ({{layer_ticks}}) scale 0
set ytics ({{role_ticks}}) scale 0 noenhanced
set xlabel 'layer'
set cbrange [{{least}}:{{most}}]
set cblabel 'gap (bit)'
# Light to dark, even in lightness, so that it reads in grey.
set palette defined (0 '#F3E9C8', 0.35 '#E8A568', 0.7 '#B5446E', 1 '#3B1C5A')
set style fill solid 1.0 noborder
ink(v) = v > {{least}} + 0.55*({{most}} - {{least}}) ? 0xFDFDFD : 0x111111
plot data using 1:2:(0.47):(0.44):3 with boxxyerror lc palette notitle, \
     data using 1:2:({{printed}} ? stringcolumn(4) : ''):(ink($3)) with labels tc rgb variable notitle, \
     data using 1:2:(sprintf('%d', $5)) with labels hypertext point pt 5 ps 3.4 title 'cells'
