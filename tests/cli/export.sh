#!/usr/bin/env bash
# bitgap export: a file of float32 tensors that exports to itself; what it refuses leaves nothing behind.
. "$(dirname "$0")/lib.bash"
model=tests/golden/data/models/gguf_llama_q8
"$BITGAP" export "$model" --include 'layers\.0\.' -o "$scratch/a.safetensors"
"$BITGAP" export "$scratch/a.safetensors" -o "$scratch/b.safetensors"
cmp "$scratch/a.safetensors" "$scratch/b.safetensors" || fail "an export exports to itself"
pass "an export exports to itself"
grep -aq '"model.layers.0.self_attn.q_proj.weight":{"dtype":"F32"' "$scratch/a.safetensors"
"$BITGAP" export source:gaussian,n=4096 -o "$scratch/s.safetensors"
expect 2 'give -o' "$BITGAP" export "$model"
expect 2 'density' "$BITGAP" export source:gaussian -o "$scratch/x.safetensors"
expect 2 'leave no tensor' "$BITGAP" export "$model" --include nothing -o "$scratch/x.safetensors"
head -c 100000 "data/austen-0.9m-qwen2/model.safetensors" >"$scratch/cut.safetensors"
refused 'cut.safetensors.*truncated, fetch it again' "$BITGAP" export "$scratch/cut.safetensors" -o "$scratch/out/x.safetensors"
refused 'no such file' "$BITGAP" export "$scratch/none" -o "$scratch/out/x.safetensors"
expect 4 'cannot write' "$BITGAP" export "$model" -o "$scratch/no/such/dir.safetensors"
