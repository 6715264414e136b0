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

# A document of an earlier version says group where this one says role; so does a command line.
curve=("$BITGAP" curve data/austen-3.7m -q nf4 rtn)
"${curve[@]}" --layers 0,1 --groups attn.k_proj,mlp.up_proj -o "$scratch/curves.json"
pass 'bitgap curve --groups attn.k_proj,mlp.up_proj'
"$BITGAP" extract data/austen-3.7m --layers 0,1 --roles attn.k_proj,mlp.up_proj -o "$scratch/new.json"
"$BITGAP" bound "$scratch/new.json" -o "$scratch/bounds.json"
"$BITGAP" gap "$scratch/curves.json" "$scratch/bounds.json" -o "$scratch/gaps.json"
for document in curves bounds gaps; do
    sed -e 's/"role":/"group":/' -e 's/"roles":/"groups":/' -e 's/"over": "role"/"over": "group"/' "$scratch/$document.json" \
        >"$scratch/old-$document.json"
    grep -q '"group":' "$scratch/old-$document.json" || fail "no role in $document.json"
    expect 0 '' "$BITGAP" check "$scratch/old-$document.json"
done
"$BITGAP" gap "$scratch/old-curves.json" "$scratch/old-bounds.json" -o "$scratch/again.json"
cmp <(sed '/"bitgap"/,/^ }/d' "$scratch/gaps.json") <(sed '/"bitgap"/,/^ }/d' "$scratch/again.json") || fail 'group is not read as role'
pass 'group is read as role'
