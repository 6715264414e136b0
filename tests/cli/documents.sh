# extract and the documents after it: odd weights are counted and said; a document of another kind, schema or length is refused.
source "$(dirname "$0")/lib.bash"

w=model.layers.0.mlp.up_proj.weight
good=$scratch/good.safetensors bad=$scratch/bad.safetensors out=$scratch/out/x.json
matrix "$good" $w 4 48 3f80 bf00 3e80 c000 3dcc
matrix "$bad" $w 2 32 3f80
expect 0 "\"tensor\": \"$w\"" "$BITGAP" extract "$bad" -o -
matrix "$bad" $w 2 32 7fc0
expect 0 '"nans": 64' "$BITGAP" extract "$bad" -o -
matrix "$bad" $w 2 32 3f80 bf80 7f80
expect 0 '"infs": 21' "$BITGAP" extract "$bad" -o -
expect 4 '/nowhere/x' "$BITGAP" extract "$good" -o /nowhere/x.json

printf '{"bitgap":{"document":"curves"' >"$scratch/cut.json"
refused 'cut.json' "$BITGAP" bound "$scratch/cut.json" -o "$out"
"$BITGAP" extract "$good" -o "$scratch/groups.json"
"$BITGAP" bound "$scratch/groups.json" -o "$scratch/bounds.json"
sed 's/"schema": *[0-9]*/"schema": 0/' "$scratch/groups.json" >"$scratch/old.json"
refused 'old.json.*bitgap extract' "$BITGAP" bound "$scratch/old.json" -o "$out"
refused 'bounds.json' "$BITGAP" gap "$scratch/bounds.json" "$scratch/bounds.json" -o "$out"
"$BITGAP" extract "$good" -o "$scratch/again.json" -j 1
cmp <(sed 's/"histograms": "[^"]*"//' "$scratch/groups.json") <(sed 's/"histograms": "[^"]*"//' "$scratch/again.json") ||
    fail 'extract twice, other bytes'
pass 'extract twice'
