# Damaged, hostile and odd models: one clear line that names the file, status 3, nothing half-written.
source "$(dirname "$0")/lib.bash"

w=model.layers.0.mlp.up_proj.weight
good="$scratch/good.safetensors"
matrix "$good" $w 4 48 3f80 bf00 3e80 c000 3dcc
out="$scratch/out/curves.json"
bad="$scratch/bad.safetensors"

head -c 300 "$good" >"$bad"
refused 'bad.safetensors.*(truncat|cut|past the end|end of the file)' "$BITGAP" curve "$bad" -q nf4 -o "$out"
{ little 8 $((1 << 62)) && printf '{}'; } >"$bad"
refused 'bad.safetensors.*header' "$BITGAP" curve "$bad" -q nf4 -o "$out"
printf '\x00\x00\x00\x00\x00\x00\x00\x80{}' >"$bad"
refused 'bad.safetensors.*header' "$BITGAP" curve "$bad" -q nf4 -o "$out"
bf16 8 3f80 | safetensors "$bad" '{"a.weight":{"dtype":"BF16","shape":[2,4],"data_offsets":[0,16]},"b.weight":{"dtype":"BF16","shape":[2,2],"data_offsets":[8,16]}}'
refused "bad.safetensors.*b\.weight.*(overlap|hole)" "$BITGAP" curve "$bad" -q nf4 -o "$out"
bf16 8 3f80 | safetensors "$bad" '{"a.weight":{"dtype":"BF16","shape":[4294967296,4294967296],"data_offsets":[0,16]}}'
refused 'bad.safetensors.*a\.weight' "$BITGAP" curve "$bad" -q nf4 -o "$out"
bf16 8 3f80 | safetensors "$bad" '{"a.weight":{"dtype":"Q9","shape":[2,4],"data_offsets":[0,16]}}'
refused 'bad.safetensors.*Q9' "$BITGAP" curve "$bad" -q nf4 -o "$out"
printf 'not a model' >"$bad"
refused 'bad.safetensors' "$BITGAP" curve "$bad" -q nf4 -o "$out"
: >"$bad"
refused 'bad.safetensors' "$BITGAP" curve "$bad" -q nf4 -o "$out"
refused 'nowhere' "$BITGAP" curve "$scratch/nowhere" -q nf4 -o "$out"

# A sharded model whose index leaves its directory, names a shard that is not there, or misplaces a tensor.
model="$scratch/model" && mkdir "$model"
printf '{"model_type":"llama","num_hidden_layers":1}' >"$model/config.json"
index() { printf '{"weight_map":{"%s":"%s"}}' "$w" "$1" >"$model/model.safetensors.index.json"; }
index ../good.safetensors
refused 'index.*\.\./good' "$BITGAP" curve "$model" -q nf4 -o "$out"
index /etc/passwd
refused 'index.*passwd' "$BITGAP" curve "$model" -q nf4 -o "$out"
index model-00001-of-00001.safetensors
refused 'model-00001-of-00001.safetensors' "$BITGAP" curve "$model" -q nf4 -o "$out"
matrix "$model/model-00001-of-00001.safetensors" other.weight 2 2 3f80
refused "$w" "$BITGAP" curve "$model" -q nf4 -o "$out"

# Odd weights: a constant tensor has no variance to divide by, and what is not finite is no number; both are said.
matrix "$bad" $w 2 32 3f80
expect 0 '"points"' "$BITGAP" curve "$bad" -q uniform:bits=4 nf4 lloyd:bits=3 -o -
matrix "$bad" $w 2 32 7fc0
expect 2 "NaN or infinite" "$BITGAP" curve "$bad" -q uniform:bits=4 -o -
matrix "$bad" $w 2 32 3f80 bf80 7f80
expect 2 "NaN or infinite" "$BITGAP" curve "$bad" -q uniform:bits=4 uniform:bits=4,scope=32 -o -
printf '' | safetensors "$bad" "{\"$w\":{\"dtype\":\"BF16\",\"shape\":[0,32],\"data_offsets\":[0,0]}}"
expect 2 'is empty' "$BITGAP" curve "$bad" -q uniform:bits=4 -o -

# 48 columns in groups of 32: the last group of a row is short, and its scale is counted: 4 + 8·16/192 bits.
expect 0 '"rate_bits": 4\.66666666' "$BITGAP" curve "$good" -q uniform:bits=4,scope=32 -o -

# A pipe or a device is written to, not replaced.
mkfifo "$scratch/pipe"
cat "$scratch/pipe" >"$scratch/came" &
"$BITGAP" curve "$good" -q nf4 -o "$scratch/pipe"
wait $!
{ [ -p "$scratch/pipe" ] && grep -q '"rate_bits"' "$scratch/came" && [ ! -e "$scratch/timings.json" ]; } || fail 'output into a pipe'
pass 'output into a pipe'

# Output that cannot be written.
expect 4 '/nowhere/x.json' "$BITGAP" curve "$good" -q nf4 -o /nowhere/x.json
got=0
"$BITGAP" curve "$good" -q nf4 -o - >/dev/full 2>"$scratch/said" || got=$?
[ "$got" -eq 4 ] || fail "a full disk behind -o -: status $got" "$(cat "$scratch/said")"
pass 'a full disk behind -o -'
if [ "$(id -u)" -eq 0 ] && mkdir "$scratch/disk" && mount -t tmpfs -o size=64k tmpfs "$scratch/disk" 2>/dev/null; then
    head -c 61440 /dev/zero >"$scratch/disk/full"
    got=0
    "$BITGAP" curve data/austen-3.7m -q uniform:bits=2..8 nf4 -o "$scratch/disk/x.json" >"$scratch/said" 2>&1 || got=$?
    left=$(ls -A "$scratch/disk")
    umount "$scratch/disk"
    [ "$got" -eq 4 ] || fail "a full disk: status $got" "$(cat "$scratch/said")"
    [ "$left" = full ] || fail "a full disk: left behind $left"
    pass 'a full disk'
fi
