# extract and bound: the default model and sources of known law; the same bytes for any number of threads.
source "$(dirname "$0")/lib.bash"
model=data/austen-3.7m
out=$scratch/groups.json

"$BITGAP" extract $model -o "$out"
grep -q '"tensor": "model.layers.0.mlp.down_proj.weight"' "$out" || fail "no down_proj in $out"
cp "$out" "$scratch/one.json" && cp "$scratch/groups.hist" "$scratch/one.hist"
"$BITGAP" extract $model -o "$out" -j 1
cmp "$out" "$scratch/one.json" && cmp "$scratch/groups.hist" "$scratch/one.hist" || fail "threads change the bytes"
pass "extract: the same bytes with one thread"

expect 0 '"gaussian_bits": 1,.*"channel_bits"' "$BITGAP" bound "$out" -d 0.25 --include 'layers.0.mlp' -o -
cp "$scratch/said" "$scratch/two"
"$BITGAP" bound "$out" -d 0.25 --include 'layers.0.mlp' -o - -j 1 >"$scratch/one"
cmp "$scratch/one" "$scratch/two" || fail "threads change the bounds"
pass "bound: the same bytes with one thread"

expect 0 '"kurtosis_excess": 2\.99999' "$BITGAP" extract source:laplace -o -
expect 0 '"upper_bits": 0\.90' "$BITGAP" bound source:laplace -d 0.25 -o -
expect 2 'a share of the variance' "$BITGAP" bound source:laplace -d 2 -o -
expect 2 'no tensor|no weight matrix' "$BITGAP" extract $model --include 'no such name' -o "$scratch/out.json"
refused 'nonexistent' "$BITGAP" extract /nonexistent -o "$scratch/out/groups.json"
