# Names that mean something to HTML, Markdown, gnuplot, a shell or a spreadsheet, in tensors and in the model's own file name:
# they come through every document, figure and page as text, and nothing they say is done.
source "$(dirname "$0")/lib.bash"

cd "$scratch" || exit 1
evil='<script>alert(1)</script>" x='\''y'\'' $(touch pwned) `touch pwned` ${HOME} % @ {{finding}} {/Bold b} ^up _low \\n \\ | # & =1+1'
escaped=$(sed 's/[\\"]/\\&/g' <<<"$evil")
model="\$(touch pwned) <img src=x onerror=alert(1)> '{{style}}' %n.safetensors"
rows=16 columns=64 bytes=$((2 * 16 * 64))
header="{\"model.layers.0.self_attn.q_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[$rows,$columns],\"data_offsets\":[0,$bytes]},\
\"model.layers.1.mlp.$escaped.weight\":{\"dtype\":\"BF16\",\"shape\":[$rows,$columns],\"data_offsets\":[$bytes,$((2 * bytes))]},\
\"=cmd|$escaped\":{\"dtype\":\"BF16\",\"shape\":[$rows,$columns],\"data_offsets\":[$((2 * bytes)),$((3 * bytes))]}}"
bf16 $((3 * rows * columns)) 3f80 bf00 3e80 be00 3d80 bf80 3f00 4000 bc00 3c80 | safetensors "$model" "$header"

"$BITGAP" extract "./$model" -o groups.json
"$BITGAP" bound groups.json -o bounds.json
"$BITGAP" curve groups.json -q uniform:bits=2/3/4,scope=channel kmeans:bits=2/3/4 -o curves.json
"$BITGAP" gap curves.json bounds.json -o gaps.json
expect 0 'report.html' "$BITGAP" report groups.json bounds.json curves.json gaps.json -o page --pages
[ "$(grep -c '^bitgap: ' said)" -eq 0 ] || fail 'a figure could not be drawn:' "$(cat said)"
pass 'every document, figure and page is made'
grep -qF "$escaped" groups.json || fail 'the name is not in the document'
[ -z "$(find . -name pwned)" ] || fail 'a command in a name was run'
pass 'no command in a name is run'
if grep -lE '<script>alert|<img ' page/*.html page/figures/*.svg; then fail 'markup of a name came through'; fi
# In Markdown a backslash in front or a code span around makes it text.
if grep -P '(^|[^\\])<(script|img)' page/report.md | grep -v '`'; then fail 'markup of a name came through in Markdown'; fi
grep -qF '&lt;script&gt;alert(1)&lt;/script&gt;' page/report.html || fail 'the name is not shown'
grep -qF '{{finding}}' page/report.html || fail 'a placeholder in a name was filled'
pass 'markup and placeholders in names are text'
if grep -E '^(=|"=)' page/report.csv; then fail 'a field that a spreadsheet would run'; fi
pass 'no formula in the CSV'
mkdir kept && cp groups.json bounds.json curves.json gaps.json kept
expect 0 'agree with 4 documents' "$BITGAP" verify page --documents kept
mkdir "run <i>&{}'%" && cp kept/*.json "run <i>&{}'%"
expect 0 'index.html' "$BITGAP" compare-runs kept "run <i>&{}'%" -o index
if grep -E '<i>|<img ' index/index.html; then fail 'markup of a directory came through'; fi
pass 'names of directories are text'
