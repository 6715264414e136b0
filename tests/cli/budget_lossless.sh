# budget and lossless: parts that add up, floors below what is written, and what has neither.
source "$(dirname "$0")/lib.bash"
model=data/austen-0.9m-qwen2

expect 0 '"slack_bits": 0[.0-9]*, "side_bits": 0.15625, "padding_bits": 0, "rate_bits": 4.15625' "$BITGAP" budget $model -q rtn --layers 0 -o -
expect 0 'it turns the weights before' "$BITGAP" budget $model -q uniform:bits=4,transform=hadamard --layers 0 -o -
expect 0 'its rounding needs a calibration' "$BITGAP" budget $model -q gptq:bits=4 --layers 0 -o -
expect 2 'give the source a length' "$BITGAP" budget source:gaussian -q rtn -o -
expect 0 '"means": \[' "$BITGAP" budget source:gaussian,n=65536 -q rtn uniform:step=0.5sigma,code=entropy,round=rdo -o -
"$BITGAP" budget $model -q rtn nf4 --layers 0 -j 1 -o "$scratch/one.json"
"$BITGAP" budget $model -q rtn nf4 --layers 0 -j 2 -o "$scratch/two.json"
cmp "$scratch/one.json" "$scratch/two.json" || fail 'budget depends on the number of threads'
pass 'budget: the same bytes with one and two threads'

"$BITGAP" lossless $model -j 1 -o "$scratch/one.json"
"$BITGAP" lossless $model -j 2 -o "$scratch/two.json"
cmp "$scratch/one.json" "$scratch/two.json" || fail 'lossless depends on the number of threads'
pass 'lossless: the same bytes with one and two threads'
expect 0 '"coded_bits": 1[01][.]' "$BITGAP" lossless $model -o -
matrix "$scratch/nan.safetensors" model.layers.0.mlp.up_proj.weight 2 32 7fc0 7f80
expect 0 '"code_bits": 1, ' "$BITGAP" lossless "$scratch/nan.safetensors" -o -
expect 0 'not stored as 16-bit floats' "$BITGAP" lossless source:gaussian,n=4096 -o -
expect 0 'a density has no stored numbers' "$BITGAP" lossless source:gaussian -o -
