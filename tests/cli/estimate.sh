# bitgap estimate: arithmetic on shapes, and what a real file says.
source "$(dirname "$0")/lib.bash"

json=$scratch/estimates.json
"$BITGAP" estimate data/shapes.json data/austen-3.7m -q int8 rtn:bits=4 nf4:double=true -o "$json"
row() { grep -F "\"model\": \"$1\", \"spec\": \"$2\"" "$json"; }
field() { row "$1" "$2" | grep -oE "\"$3\": [0-9.e+]+" | cut -d' ' -f2; }
# published parameter counts
[ "$(field Llama-3.1-8B none parameters)" = 8030261248 ] || fail 'Llama-3.1-8B'
[ "$(field Llama-3.2-1B none parameters)" = 1235814400 ] || fail 'Llama-3.2-1B'
[ "$(field Llama-3.1-8B none cache_bytes)" = 536870912 ] || fail 'the cache: 128 KiB a token'
[ "$(field Llama-3.1-8B nf4:double=true rate_bits | cut -c1-6)" = 4.1269 ] || fail 'NF4 with double quantization: 4.127 bits'
pass 'known shapes'
# the file that is there holds these bytes and a header
bytes=$(field austen-3.7m none bytes) size=$(stat -c %s data/austen-3.7m/model.safetensors)
[ "$bytes" -le "$size" ] && [ $((size - bytes)) -lt 8192 ] || fail "$bytes bytes estimated, $size in the file"
"$BITGAP" evaluate data/austen-3.7m -q int8 --skip-benchmark --skip-evaluation -o "$scratch/evaluation.json"
measured=$(grep -F '"spec": "int8"' "$scratch/evaluation.json" | grep -oE '"bytes": [0-9]+' | cut -d' ' -f2)
[ $((measured - $(field austen-3.7m int8 bytes))) -eq $((size - bytes)) ] || fail "int8: $measured measured, $(field austen-3.7m int8 bytes) estimated"
pass 'as measured'

expect 2 "rate of 'awq:bits=4' is known only where it runs" "$BITGAP" estimate data/shapes.json -q awq:bits=4 -o "$json"
expect 2 "rate of 'vq" "$BITGAP" estimate data/shapes.json -q vq:dim=4,bits=2 -o "$json"
mkdir "$scratch/out"
echo '{"models": [{"name": "half", "model_type": "llama", "hidden_size": 8}]}' >"$scratch/half.json"
refused "model 'half'" "$BITGAP" estimate "$scratch/half.json" -o "$scratch/out/e.json"
refused 'source:gaussian: has no shapes to estimate from' "$BITGAP" estimate source:gaussian -o "$scratch/out/e.json"
refused 'model.safetensors: has no shapes' "$BITGAP" estimate data/austen-3.7m/model.safetensors -o "$scratch/out/e.json"
refused 'org/none: has no shapes' "$BITGAP" estimate org/none -o "$scratch/out/e.json"
mkdir -p "$scratch/hub/models--org--small/refs" "$scratch/hub/models--org--small/snapshots"
ln -s "$PWD/data/austen-0.9m-qwen2" "$scratch/hub/models--org--small/snapshots/abc"
echo abc >"$scratch/hub/models--org--small/refs/main"
HF_HUB_CACHE=$scratch/hub expect 0 '"model": "small", "spec": "int8"' "$BITGAP" estimate org/small -q int8 -o -
refused 'none.json' "$BITGAP" estimate "$scratch/none.json" -o "$scratch/out/e.json"
