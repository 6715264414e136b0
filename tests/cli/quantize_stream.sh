# Checkpoints of trellis streams: written, read by every command as the weights that were decoded, their size the rate; damage is seen.
. "$(dirname "$0")/lib.bash"
model=data/austen-0.9m-qwen2
"$BITGAP" calibrate $model --text data/text/calib.txt --samples 8 --quiet -o "$scratch/k.json"
given=(-q watertrellis --calibration "$scratch/k.json")

expect 2 'cannot be stored as bitgap: it makes no stream' "$BITGAP" quantize $model -q rtn --layout bitgap -o "$scratch/rtn"
expect 0 '' "$BITGAP" quantize $model "${given[@]}" -o "$scratch/s"
expect 0 '"quant_method":[[:space:]]*"bitgap"' cat "$scratch/s/config.json"
expect 0 '0 damaged, 0 odd' "$BITGAP" check "$scratch/s"

# The same weights as a dense copy in float32 holds.
expect 0 '' "$BITGAP" quantize $model "${given[@]}" --layout dense --dtype f32 -o "$scratch/d"
"$BITGAP" export "$scratch/s" --include 'layers.*proj.weight' -o "$scratch/s.safetensors"
"$BITGAP" export "$scratch/d" --include 'layers.*proj.weight' -o "$scratch/d.safetensors"
cmp "$scratch/s.safetensors" "$scratch/d.safetensors" || fail 'streams decode to other weights than the dense copy holds'
pass 'streams decode to the weights of the dense copy'

# What is stored is what was counted: the streams' bytes.
"$BITGAP" audit $model "$scratch/s" --quiet -o "$scratch/audit.json"
expect 0 'trellis stream, 8 states' cat "$scratch/audit.json"
expect 0 '"perplexity"' "$BITGAP" evaluate "$scratch/s" --text data/text/test.txt --windows 1 -o -

# A flipped bit in the middle of a shard is reported with its tensor, whatever reads it.
shard=$(ls "$scratch/s"/model-00002-of-*.safetensors)
at=$(($(stat -c %s "$shard") / 2))
byte=$(od -An -tu1 -j $at -N 1 "$shard")
# shellcheck disable=SC2059 # the format is the byte
printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$shard" bs=1 seek=$at conv=notrunc status=none
expect 3 "model\.layers\.[0-9]+\..*damaged: its hash differs" "$BITGAP" export "$scratch/s" -o "$scratch/x.safetensors"
