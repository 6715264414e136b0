#!/usr/bin/env bash
# bitgap audit, diff, check: documents that add up, limits that are kept, damage that is found.
. "$(dirname "$0")/lib.bash"
m=data/austen-0.9m-qwen2
g=tests/golden/data/models
"$BITGAP" audit $m $m -o "$scratch/self.json"
"$BITGAP" audit $m $m -j 1 -o "$scratch/one.json"
cmp "$scratch/self.json" "$scratch/one.json" || fail "one thread writes the same bytes"
pass "one thread writes the same bytes"
grep -q '"mse": 0,' "$scratch/self.json"
"$BITGAP" audit $g/gguf_llama_q8 -o "$scratch/q8.json"
grep -q '"storage": "Q8_0".*"rate_bits": 8.5,.*"scale_bits": 0.5' "$scratch/q8.json" || fail "Q8_0 takes 8.5 bits"
pass "Q8_0 takes 8.5 bits"
"$BITGAP" audit $g/llama_plain_gqa $g/gguf_llama_q8 -o "$scratch/q8.json"
expect 0 'document audit' "$BITGAP" check "$scratch/q8.json"
expect 0 '"same": ' "$BITGAP" diff $m $m --fail-above 0 -o -
expect 0 '"worst": 0' "$BITGAP" diff "$scratch/q8.json" "$scratch/q8.json" --fail-above 0 -o -
expect 1 'missing in|worse by' "$BITGAP" diff $g/llama_plain_gqa $g/llama3_gqa --fail-above 1e-9 -o "$scratch/d.json"
expect 2 'needs the --reference' "$BITGAP" diff "$scratch/q8.json" $g/gguf_llama_q8 -o "$scratch/d.json"
# side by side: a table, a verdict with its percentage, a sum that is the file; two files of one name stay apart
"$BITGAP" quantize $m -q nf4 --layout bitsandbytes -o "$scratch/nf4" --quiet
"$BITGAP" quantize $m -q fp4 --layout bitsandbytes -o "$scratch/fp4" --quiet
"$BITGAP" quantize $m -q rtn --layout gptq -o "$scratch/g/q" --quiet
"$BITGAP" quantize $m -q rtn --layout awq -o "$scratch/a/q" --quiet
"$BITGAP" audit $m "$scratch/nf4" "$scratch/fp4" "$scratch/g/q" "$scratch/a/q" -o "$scratch/four.json"
grep -q '"model": "nf4", "against": "fp4".*"improvement_percent": [0-9.]*, "verdict": "nf4 is nearer' "$scratch/four.json" || fail "NF4 against FP4"
pass "NF4 against FP4"
# A GPTQ file names the group of every column in 32 bits: a mean of 0.222 bit over these shapes.
grep -q '"against": "[^"]*/a/q".*"rate_difference_bits": 0.2222222222222222' "$scratch/four.json" || fail "GPTQ against AWQ: the order of the columns"
pass "GPTQ against AWQ: the order of the columns"
grep -q '"storage": "GPTQ.*"mse_scale": [0-9.e-]*, "mse_zero"' "$scratch/four.json" || fail "error of GPTQ split by cause"
pass "error of GPTQ split by cause"
"$BITGAP" report "$scratch/four.json" -o "$scratch/page" --name audit
expect 0 'agree' "$BITGAP" verify "$scratch/page/audit.html" --documents "$scratch"
{ grep -q 'nf4 is nearer to the bound' "$scratch/page/audit.md" && [ -s "$scratch/page/figures/shipped-errors.svg" ]; } || fail "verdicts and bars"
pass "verdicts and bars"
expect 0 '"worst"' "$BITGAP" diff "$scratch/nf4" "$scratch/fp4" --reference $m -o -
expect 1 'worse by' "$BITGAP" diff "$scratch/nf4" "$scratch/fp4" --reference $m --fail-above 0.1 -o "$scratch/d.json"
expect 0 '0 damaged, 0 odd' "$BITGAP" check $m $g/llama_linear_bf16_sharded
head -c 100000 $m/model.safetensors >"$scratch/cut.safetensors"
expect 3 'damaged: .*cut.safetensors.*truncated' "$BITGAP" check "$scratch/cut.safetensors"
{ head -c 200000 $m/model.safetensors; printf '\377\177\377\177'; tail -c +200005 $m/model.safetensors; } >"$scratch/nan.safetensors"
expect 3 '2 values are NaN or Inf' "$BITGAP" check "$scratch/nan.safetensors"
{ head -c 300000 $m/model.safetensors; head -c 20000 /dev/zero; tail -c +320001 $m/model.safetensors; } >"$scratch/hole.safetensors"
expect 3 'regions of 4096 zeros' "$BITGAP" check "$scratch/hole.safetensors"

# damage of every kind, each made where a tensor of the file stands
offset() { # offset FILE TENSOR: of its first byte in the file
    local header
    header=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    echo $((8 + header + $(head -c $((8 + header)) "$1" | grep -aoE "\"$2\": ?\{[^}]*\"data_offsets\": ?\[[0-9]+" | grep -oE '[0-9]+$')))
}
poke() { # poke FILE OFFSET: standard input over the file from there
    dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
piece() { # piece OFFSET BYTES: of the model
    dd if=$m/model.safetensors iflag=skip_bytes,count_bytes skip="$1" count="$2" status=none
}
damage() { # a fresh copy of the model in $scratch/damaged.safetensors, and the offset of row 10 of a matrix of 128 columns
    cp $m/model.safetensors "$scratch/damaged.safetensors"
    row=$(($(offset "$scratch/damaged.safetensors" model.layers.1.self_attn.q_proj.weight) + 10 * 256))
}
damage
head -c 256 /dev/zero | poke "$scratch/damaged.safetensors" $row
expect 0 'odd: .*q_proj.weight: 1 rows are all zero' "$BITGAP" check "$scratch/damaged.safetensors"
damage
piece $row 256 | poke "$scratch/damaged.safetensors" $((row + 256))
expect 3 '1 rows repeat the row before' "$BITGAP" check "$scratch/damaged.safetensors"
damage
piece $((row + 2)) 254 | poke "$scratch/damaged.safetensors" $((row + 256))
expect 3 '1 rows are the row before them, shifted' "$BITGAP" check "$scratch/damaged.safetensors"
# two tokens that training never saw: the model is whole
damage
row=$(($(offset "$scratch/damaged.safetensors" model.embed_tokens.weight) + 10 * 256))
piece $row 256 | poke "$scratch/damaged.safetensors" $((row + 256))
expect 0 'odd: .*embed_tokens.weight: 1 rows repeat the row before' "$BITGAP" check "$scratch/damaged.safetensors"
packed() { # a fresh copy of a packed layer in $scratch/packed
    mkdir -p "$scratch/packed"
    cp "tests/golden/data/gptq/$1.json" "$scratch/packed/config.json"
    cp "tests/golden/data/gptq/$1.safetensors" "$scratch/packed/model.safetensors"
}
p=$scratch/packed/model.safetensors
packed gptq_4b_sym_act_g32_gptq
expect 0 '0 damaged, 0 odd' "$BITGAP" check "$scratch/packed"
printf '\377\377\377\177' | poke "$p" "$(offset "$p" l.g_idx)"
expect 3 'g_idx' "$BITGAP" check "$scratch/packed"
packed gptq_4b_sym_act_g32_gptq
printf '\000\000' | poke "$p" "$(offset "$p" l.scales)"
expect 0 'odd: .*weights have a scale of zero' "$BITGAP" check "$scratch/packed"
printf '\001\000' | poke "$p" "$(offset "$p" l.scales)"
expect 0 'odd: .*weights have a subnormal scale' "$BITGAP" check "$scratch/packed"
printf '\000\176' | poke "$p" "$(offset "$p" l.scales)"
expect 3 'scale that is NaN or Inf' "$BITGAP" check "$scratch/packed"
cp -r $g/llama_linear_bf16_sharded "$scratch/sharded"
sed -i 's/\("total_size": *\)[0-9]*/\11/' "$scratch/sharded/model.safetensors.index.json"
expect 0 'total_size says 1 bytes' "$BITGAP" check "$scratch/sharded"
sed -i '0,/00001-of/s/00001-of/00002-of/' "$scratch/sharded/model.safetensors.index.json"
expect 3 'damaged: .*safetensors' "$BITGAP" check "$scratch/sharded"
# a type of GGUF that is not decoded is named
{ printf GGUF; little 4 3; little 8 1; little 8 0; little 8 1; printf w; little 4 2; little 8 256; little 8 1; little 4 17; little 8 0
    head -c $((96 - 65 + 74)) /dev/zero; } >"$scratch/iq2.gguf"
expect 3 'uses IQ2_XS, which Bitgap cannot decode; leave it out with --exclude' "$BITGAP" check "$scratch/iq2.gguf"
expect 0 '"storage": "IQ2_XS"' "$BITGAP" audit "$scratch/iq2.gguf" -o -

sed 's/"gap_bits": /"gap_bytes": /' "$scratch/q8.json" >"$scratch/foreign.json"
sed -i 's/"storage"/"stored"/' "$scratch/foreign.json"
expect 3 'damaged: .*foreign.json' "$BITGAP" check "$scratch/foreign.json"
refused 'no such file' "$BITGAP" audit $m "$scratch/none" -o "$scratch/out/a.json"
