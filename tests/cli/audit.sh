#!/usr/bin/env bash
# bitgap audit, diff, check: documents that add up, limits that are kept, damage that is found.
. "$(dirname "$0")/lib.bash"
m=data/austen-0.9m-qwen2
g=tests/golden/data/models
"$BITGAP" audit $m $m -o "$scratch/self.json"
"$BITGAP" audit $m $m -j 1 -o "$scratch/one.json"
cmp "$scratch/self.json" "$scratch/one.json" && pass "one thread writes the same bytes"
grep -q '"mse": 0,' "$scratch/self.json"
"$BITGAP" audit $g/gguf_llama_q8 -o - | grep -q '"storage": "Q8_0".*"rate_bits": 8.5,.*"scale_bits": 0.5' && pass "Q8_0 takes 8.5 bits"
"$BITGAP" audit $g/llama_plain_gqa $g/gguf_llama_q8 -o "$scratch/q8.json"
expect 0 'document audit' "$BITGAP" check "$scratch/q8.json"
expect 0 '"same": ' "$BITGAP" diff $m $m --fail-above 0 -o -
expect 0 '"worst": 0' "$BITGAP" diff "$scratch/q8.json" "$scratch/q8.json" --fail-above 0 -o -
expect 1 'missing in|worse by' "$BITGAP" diff $g/llama_plain_gqa $g/llama3_gqa --fail-above 1e-9 -o "$scratch/d.json"
expect 2 'needs the --reference' "$BITGAP" diff "$scratch/q8.json" $g/gguf_llama_q8 -o "$scratch/d.json"
expect 0 '0 damaged, 0 odd' "$BITGAP" check $m $g/llama_linear_bf16_sharded
head -c 100000 $m/model.safetensors >"$scratch/cut.safetensors"
expect 3 'damaged: .*cut.safetensors.*truncated' "$BITGAP" check "$scratch/cut.safetensors"
{ head -c 200000 $m/model.safetensors; printf '\377\177\377\177'; tail -c +200005 $m/model.safetensors; } >"$scratch/nan.safetensors"
expect 3 '2 values are NaN or Inf' "$BITGAP" check "$scratch/nan.safetensors"
{ head -c 300000 $m/model.safetensors; head -c 20000 /dev/zero; tail -c +320001 $m/model.safetensors; } >"$scratch/hole.safetensors"
expect 3 'regions of 4096 zeros' "$BITGAP" check "$scratch/hole.safetensors"
sed 's/"gap_bits": /"gap_bytes": /' "$scratch/q8.json" >"$scratch/foreign.json"
sed -i 's/"storage"/"stored"/' "$scratch/foreign.json"
expect 3 'damaged: .*foreign.json' "$BITGAP" check "$scratch/foreign.json"
refused 'no such file' "$BITGAP" audit $m "$scratch/none" -o "$scratch/out/a.json"
