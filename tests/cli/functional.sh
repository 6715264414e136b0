# run, logits, correlate: documents, agreement with each other, mistakes.
source "$(dirname "$0")/lib.bash"
model=data/austen-0.9m-qwen2 out=$scratch/made
mkdir "$out"

"$BITGAP" run $model --ids 34,266,79,372 -o "$out/x.safetensors"
pass 'bitgap run $model --ids 34,266,79,372 -o $out/x.safetensors'
header=$(od -An -tu8 -N8 "$out/x.safetensors")
[ "$(stat -c %s "$out/x.safetensors")" -eq $((8 + header + 4 * 2048 * 4)) ] || fail "run wrote $(stat -c %s "$out/x.safetensors") bytes"
expect 2 'takes one of --ids, --text and --file' "$BITGAP" run $model -o "$out/y"
expect 2 'not a list of token ids' "$BITGAP" run $model --ids 1,,2 -o "$out/y"
expect 2 'needs -o' "$BITGAP" run $model --ids 1
refused 'token id 2048 is outside the model.s vocabulary of 2048' "$BITGAP" run $model --ids 2048 -o "$scratch/out/y"
refused 'the text is empty' "$BITGAP" run $model --text= -o "$scratch/out/y"
refused 'longer than the model.s context of 512' "$BITGAP" run $model --file data/text/qa.jsonl -o "$scratch/out/y"
refused 'no config.json' "$BITGAP" run source:gaussian,n=1024 --ids 1 -o "$scratch/out/y"
printf 'so \xff it was' >"$scratch/bad.txt"
expect 0 '1 invalid UTF-8 sequences? w' "$BITGAP" run $model --file "$scratch/bad.txt" -o "$out/y"

# The same bytes for any number of threads.
specs="uniform:bits=3,scope=channel nf4"
"$BITGAP" logits $model -q $specs --per-role --no-noise -j 1 -o "$out/one.json"
pass 'bitgap logits $model -q $specs --per-role --no-noise -j 1 -o $out/one.json'
"$BITGAP" logits $model -q $specs --per-role --no-noise -j 3 -o "$out/three.json"
pass 'bitgap logits $model -q $specs --per-role --no-noise -j 3 -o $out/three.json'
cmp "$out/one.json" "$out/three.json" || fail "logits depends on the number of threads"
grep -q '"text": "built-in sentences".*"sequences": 10' "$out/one.json" || fail "no built-in sentences"
"$BITGAP" logits $model $model -q nf4 --text data/text/val.txt --windows 1 --context 64 --linearity --per-token -o "$out/two.json"
pass 'bitgap logits $model $model -q nf4 --text data/text/val.txt --windows 1 --context 64 --linearity --per-token -o $out/two.json'
grep -q '"spec": "nf4".*"residual_kl": .*"shaped": 0' "$out/two.json" || fail "no residual of linearity"
"$BITGAP" report "$out/two.json" -o "$out/report" >"$scratch/said"
grep -q 'figures/output-linearity.svg' "$out/report/report.md" || fail "no figure of linearity"
pass 'the report of a run with --linearity draws predicted against measured'
grep -q '"source": "checkpoint".*"kl_mean": 0,' "$out/two.json" || fail "a checkpoint differs from itself"
expect 2 'needs -q SPEC' "$BITGAP" logits $model
refused 'a vocabulary of 256, the base has 2048' "$BITGAP" logits $model tests/golden/data/models/qwen2 --no-noise -o "$scratch/out/l.json"
refused 'longer than the model.s context of 512' "$BITGAP" logits $model -q nf4 --text data/text/val.txt --context 513 -o "$scratch/out/l.json"

"$BITGAP" correlate "$out/one.json" -o "$out/c.json"
pass 'bitgap correlate $out/one.json -o $out/c.json'
grep -q '"over": "role", "role": "all", "measure": "logits_mse", "points": 14' "$out/c.json" || fail "14 points per role"
refused 'a second .logits' "$BITGAP" correlate "$out/one.json" "$out/three.json" -o "$scratch/out/c.json"
refused 'holds .correlation' "$BITGAP" correlate "$out/c.json" -o "$scratch/out/c.json"

# A recipe: the first pattern that matches decides; mistakes name the line.
printf '# MLPs finer\nmlp uniform:bits=5,scope=64\n\n. uniform:bits=3,scope=64   # the rest\n' >"$scratch/recipe.txt"
"$BITGAP" logits $model --recipe "$scratch/recipe.txt" -q uniform:bits=5,scope=64 --no-noise -o "$out/r.json"
pass 'bitgap logits $model --recipe recipe.txt -q uniform:bits=5,scope=64 --no-noise -o r.json'
grep -q '"spec": "recipe.txt", "quantizer": "recipe.txt", "source": "recipe"' "$out/r.json" || fail "no row of the recipe"
printf 'mlp nf4\nattn\n' >"$scratch/recipe.txt"
refused 'recipe.txt:2: a line is PATTERN SPEC' "$BITGAP" logits $model --recipe "$scratch/recipe.txt" -o "$scratch/out/l.json"
printf 'mlp( nf4\n' >"$scratch/recipe.txt"
refused 'recipe.txt:1: .mlp\(. is no regular expression' "$BITGAP" logits $model --recipe "$scratch/recipe.txt" -o "$scratch/out/l.json"
printf 'mlp nf5\n' >"$scratch/recipe.txt"
refused "recipe.txt:1: .*nearest|recipe.txt:1: no quantizer 'nf5'" "$BITGAP" logits $model --recipe "$scratch/recipe.txt" -o "$scratch/out/l.json"
: >"$scratch/recipe.txt"
refused 'the recipe names no tensor' "$BITGAP" logits $model --recipe "$scratch/recipe.txt" -o "$scratch/out/l.json"

# A config that does not fit its weights, or says what cannot be run.
cp -r tests/golden/data/models/llama3_gqa "$scratch/m"
change() { # change FROM TO PATTERN: the config with FROM in place of TO is refused with this line
    sed "s/$1/$2/" tests/golden/data/models/llama3_gqa/config.json >"$scratch/m/config.json"
    cmp -s "$scratch/m/config.json" tests/golden/data/models/llama3_gqa/config.json && fail "no '$1' in the config"
    refused "$3" "$BITGAP" run "$scratch/m" --ids 1,2,3 -o "$scratch/out/y"
}
change '"intermediate_size": 64' '"intermediate_size": 65' "gate_proj.weight' is 64 × 32; config.json needs 65 × 32"
change '"num_hidden_layers": 2' '"num_hidden_layers": 3' "'model.layers.2.self_attn.q_proj.weight' is missing"
change '"num_hidden_layers": 2' '"num_hidden_layers": 2e9' "'num_hidden_layers' is not a whole number of 1 to 4096"
change '"hidden_size": 32' '"hidden_sise": 32' "'hidden_size' is missing"
change '"num_key_value_heads": 2' '"num_key_value_heads": 3' '3 key/value heads do not divide 4 heads'
change '"model_type": "llama"' '"model_type": "mamba"' "architecture 'mamba' cannot be run; those that can: llama,"
change '"rope_type": "llama3"' '"rope_type": "spiral"' "rope type 'spiral' is not one of"
change '"factor": 8.0' '"factor": -8.0' "numbers of rope type 'llama3' make no sense"
change '"rms_norm_eps": 1e-05' '"rms_norm_eps": 7' "'rms_norm_eps' is 7"
change '"hidden_act": "silu"' '"hidden_act": "swoosh"' "activation 'swoosh' is not one of"
change '"head_dim": 8' '"head_dim": 7' '7 of the 7 elements of a head cannot turn'
