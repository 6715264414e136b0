# Studies: a start to edit, a configuration checked key by key, its commands, its page; templates and documents that do not fit.
source "$(dirname "$0")/lib.bash"

export OUT=$scratch/out MODEL=data/austen-3.7m TEXT=data/text/calib.txt TEST=$scratch/test.txt QA=data/text/qa.jsonl
PATH="$(dirname "$BITGAP"):$PATH"
head -c 6000 data/text/test.txt >"$TEST"
mkdir "$OUT"

# the start runs as it is: its notes are no keys
expect 0 '"_models": ' "$BITGAP" new-study
"$BITGAP" new-study -o "$scratch/start.json"
expect 0 '^bitgap evaluate "\$MODEL"' "$BITGAP" study "$scratch/start.json" --commands
expect 0 'perplexity_se .*evaluation.rows' "$BITGAP" new-study --keys
for study in notebooks/*.json; do
    expect 0 '^bitgap ' "$BITGAP" study "$study" --commands
done

# one line names the key and what is allowed
while IFS='|' read -r text answer; do
    printf '%s\n' "$text" >"$scratch/bad.json"
    refused "bad.json: .*$answer" "$BITGAP" study "$scratch/bad.json" -o "$scratch/out/study.json"
done <<'END'
[1]|is an object
{"title": "x"}|'models' is missing
{"title": 3, "models": "m", "specs": ["nf4"], "metrics": "bytes"}|'title' wants a text
{"titel": "x"}|unknown key 'titel', did you mean title\? Allowed: title, question, models
{"title": "x", "models": "m", "specs": ["nf5"], "metrics": "bytes"}|specs\[0\]: .*did you mean
{"title": "x", "models": "m", "specs": [{"name": "a"}], "metrics": "bytes"}|'specs\[0\].spec' is missing
{"title": "x", "models": "m", "specs": [{"spec": "nf4", "bit": 4}], "metrics": "bytes"}|specs\[0\]: .*did you mean bits
{"title": "x", "models": "m", "specs": ["nf4", "nf4"], "metrics": "bytes"}|'nf4' is there twice
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": ["perplxity"]}|'metrics\[0\]' may not be 'perplxity', did you mean perplexity\? Allowed: rate_bits
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": "bytes", "figures": ["bytes by rate"]}|'figures\[0\]' may not be
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": "bytes", "figures": ["improvement"]}|name one of the specs as 'reference'
{"title": "x", "models": ["m", "n"], "specs": ["nf4"], "metrics": "bytes", "reference": "nf4", "figures": ["improvement"]}|'figures\[0\]' compares the tensors of one model
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": "bytes", "reference": "GPTQ"}|'reference' is 'GPTQ', which none
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": "bytes", "measure": "rmse"}|'measure' may not be 'rmse'.* Allowed: mse, output_mse
{"title": "x", "models": "m", "specs": ["gptq"], "metrics": "bytes"}|looks at activations: name a text as data.calibration
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": "perplexity"}|'data.test' is missing
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": "bytes", "data": {"windows": "many"}}|'data.windows' wants an integer in 0
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": "bytes", "data": {"window": 3}}|unknown key 'data.window', did you mean windows
{"title": "x", "models": "m", "specs": ["nf4"], "metrics": "bytes"|.*
END

# what is in a configuration is never a command
cat >"$scratch/odd.json" <<'END'
{"title": "a <b> $(touch pwned) `x`", "models": ["it's; touch pwned"], "specs": [{"name": "n|<i>'\"", "spec": "nf4"}],
 "metrics": "bytes", "data": {"calibration": "$(touch pwned)"}}
END
expect 0 "^bitgap evaluate 'it'.''s; touch pwned'" "$BITGAP" study "$scratch/odd.json" --commands

# commands, documents, page
cat >"$scratch/small.json" <<'END'
{"title": "Small <b>", "question": "Which?", "models": ["$MODEL"],
 "specs": [{"name": "raw | it's", "spec": "none"}, {"name": "RTN", "spec": "rtn"}, {"name": "NF4 <i>", "spec": "nf4"}],
 "reference": "RTN", "data": {"test": "$TEST", "context": 128, "windows": 2},
 "metrics": ["bytes", "bytes_percent", "perplexity", "perplexity_change", "log_perplexity_change", "log_perplexity_change_se", "gap_bits"],
 "figures": ["perplexity against bytes", "bytes", "improvement", "improvement histogram", "rate-distortion"]}
END
"$BITGAP" study "$scratch/small.json" --commands -o "$OUT/commands"
sh "$OUT/commands"
documents=$(ls "$OUT"/*.json | grep -v timings)
expect 0 '' "$BITGAP" report $documents -o "$OUT" --name index --depends "$OUT/index.d"
expect 0 '<h1[^>]*>Small &lt;b&gt;' cat "$OUT/index.html"
expect 0 'NF4 &lt;i&gt;' cat "$OUT/index.html"
expect 0 '^\| RTN \| .rtn:bits=4. \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \| [^0-9 ]+[0-9.]+ ' cat "$OUT/index.md"
expect 0 'templates/sections/study.md:$' cat "$OUT/index.d"
expect 0 'figures/study-against.gp' cat "$OUT/index.d"
grep -q 'sections/weights.md' "$OUT/index.d" && fail 'a template that the page does not use'
expect 0 'agree with' "$BITGAP" verify "$OUT/index.html"
expect 0 '^\| curves \| .curves.json. \| .bitgap curve [^|]* \| 1 \| .[0-9a-f]{64}. \|' cat "$OUT/index.md"
grep -q 'Not on this page' "$OUT/index.md" && fail 'a study misses what it does not ask for'
cp "$OUT/index.html" "$scratch/before.html"
"$BITGAP" report $documents -o "$OUT" --name index
cmp "$OUT/index.html" "$scratch/before.html" || fail 'the same documents, another page'
pass 'twice the same bytes'
[ ! -e pwned ] || fail 'something of a configuration was run'

# several models, none of which can be run: densities. Each has its own rows, of its own curves and gaps
cat >"$scratch/laws.json" <<'END'
{"title": "Laws", "models": ["source:gaussian", "source:laplace"], "specs": [{"name": "Lloyd-Max", "spec": "lloyd:bits=2"}, "ecsq"],
 "metrics": ["point_rate_bits", "mse", "gap_bits", "gap_empirical_bits"], "figures": "gap_empirical_bits"}
END
export OUT=$scratch/laws
mkdir "$OUT"
"$BITGAP" study "$scratch/laws.json" --commands -o "$OUT/commands"
sh "$OUT/commands"
documents=$(ls "$OUT"/*.json | grep -v timings)
"$BITGAP" report $documents -o "$OUT" --name index
[ "$(sed -n '/^| model |/,/^$/p' "$OUT/index.md" | grep -c '^| [gl]')" -eq 4 ] || fail 'not a row a model and spec' "$(cat "$OUT/index.md")"
# Max 1960 and Adams and Giesler 1978: a mean of both would be neither; the rows of a density agree with its Shannon bound
expect 0 '^\| gaussian \| Lloyd-Max .* 0\.117 \| 0\.455 \| 0\.455 \|' cat "$OUT/index.md"
expect 0 '^\| laplace \| Lloyd-Max .* 0\.176 \| 0\.748 \| 0\.848 \|' cat "$OUT/index.md"
expect 0 'Best by column on gaussian: ' cat "$OUT/index.md"
expect 0 'agree with' "$BITGAP" verify "$OUT/index.html"
sed -i 's/"gap_bits": 0.74/"gap_bits": 0.75/' "$OUT/curves-2.json"
expect 3 'prints 0.748 where mean:gap_bits@=curves' "$BITGAP" verify "$OUT/index.html"
export OUT=$scratch/out
documents=$(ls "$OUT"/*.json | grep -v timings)

# a notebook calls the specs what the study calls them
printf '# T\n\n{{perplexity of evaluation.rows where spec is "NF4 <i>" as two}} {{mean gap_bits over RTN}}\n' >"$scratch/book.md"
expect 0 '' "$BITGAP" notebook "$scratch/book.md" $documents -o "$OUT" --name book
expect 0 '^[0-9]+\.[0-9]+ [0-9]\.[0-9]+$' cat "$OUT/book.md"
printf '# T\n\n{{mean gap_bits over "RTN}}\n' >"$scratch/book.md"
expect 3 'book.md:3: a quotation mark' "$BITGAP" notebook "$scratch/book.md" $documents -o "$OUT" --name bad

# what does not fit together: one line each
expect 3 'none.json' "$BITGAP" report "$scratch/none.json" -o "$OUT"
sed 's/"schema": 1/"schema": 0/' "$OUT/study.json" >"$scratch/study.json"
expect 3 'study.json: .*bitgap study' "$BITGAP" report "$scratch/study.json" -o "$OUT"
cp -R templates "$scratch/templates"
sed -i 's/{{settings.question}}/{{setting.question}}/' "$scratch/templates/sections/study.md"
expect 3 "study.md:5: unknown name 'setting', did you mean settings\?" \
    "$BITGAP" report "$OUT/study.json" -o "$OUT" --templates "$scratch/templates"
