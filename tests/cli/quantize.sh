#!/usr/bin/env bash
# bitgap quantize: what is written reads back as it was measured, resumes, and refuses what it cannot store.
set -eu
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
m=data/austen-3.7m
head -c 3000 data/text/val.txt >"$d/text.txt"
perplexity() { "$BITGAP" evaluate "$@" --text "$d/text.txt" --context 128 --windows 1 --skip-benchmark -o - | grep -oE '"perplexity": [^,]*' | tail -1; }

# packed integers read back bit for bit, with and without zero points, for widths whose fields straddle words
for spec in uniform:bits=3,scope=64,zero=asym,scale=bf16 \
    uniform:bits=5,scope=tensor,scale=f32; do
    rm -rf "$d/q"
    "$BITGAP" quantize $m -q $spec -o "$d/q"
    [ "$(perplexity "$d/q")" = "$(perplexity $m -q $spec)" ]
done
"$BITGAP" quantize $m -q nf4 --layout dense --dtype f32 -o "$d/nf4"
[ "$(perplexity "$d/nf4")" = "$(perplexity $m -q nf4)" ]
grep -q '"layout": "dense"' "$d/nf4/quantization.json"
cmp $m/tokenizer.json "$d/nf4/tokenizer.json"

# every layout holds what it should: the values are those of the spec, for every reader of a layout and every type of GGUF
grep -q '"quant_method":.*"compressed-tensors"' "$d/q/config.json"
one=(--include 'layers\.1\.mlp\.down_proj')
layout() { # layout NAME SPEC…: the error of one matrix, read from the file, is what the spec has on the original
    local name=$1 spec path k=0
    shift
    "$BITGAP" curve $m "${one[@]}" -q "$@" -o "$d/curve.json"
    for spec; do
        rm -rf "$d/l"
        "$BITGAP" quantize $m -q "$spec" --layout "$name" -o "$d/l"
        path=$d/l
        [ "$name" = gguf ] && path=$d/l/model.gguf
        "$BITGAP" audit $m "$path" "${one[@]}" -o "$d/audit.json"
        k=$((k + 1))
        [ "$(mse "$d/audit.json" 1)" = "$(mse "$d/curve.json" $k)" ] || { echo "$name $spec differs"; exit 1; }
    done
}
# mse FILE N: of its Nth row of the matrix, to seven digits: the stages add it up in their own orders
mse() { grep '"model.layers.1.mlp.down_proj.weight"' "$1" | grep -oE '"mse": [^,]*' | sed -n "$2p" | awk '{printf "%.6e\n", $2}'; }
layout gptq rtn uniform:bits=2,scope=64,zero=asym uniform:bits=3,scope=channel uniform:bits=8,scope=tensor
grep -q '"checkpoint_format":.*"gptq"' "$d/l/config.json"
layout awq rtn uniform:bits=4,scope=channel
layout bitsandbytes nf4 nf4:double=true,scope=128 fp4
grep -q '"bnb_4bit_quant_type":.*"fp4"' "$d/l/config.json"
layout gguf q4_0 q5_1 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs tq1_0 tq2_0 gguf:type=mxfp4 gguf:type=nvfp4 \
    uniform:bits=4,scope=32 uniform:bits=5,scope=32,zero=min
[ "$("$BITGAP" tokenize "$d/l/model.gguf" "It's 1234 o'clock.")" = "$("$BITGAP" tokenize $m "It's 1234 o'clock.")" ]
"$BITGAP" quantize $m -q q8_0 --layout gguf -o "$d/l"
[ "$(perplexity "$d/l/model.gguf")" = "$(perplexity $m -q q8_0)" ]
"$BITGAP" check "$d/l/model.gguf" >/dev/null

# goes on where it stopped: a missing and a damaged shard are written again, the others kept, the bytes the same
cp -r "$d/q" "$d/first"
rm "$d/q/model-00002-of-00005.safetensors"
truncate -s -1 "$d/q/model-00003-of-00005.safetensors"
touch -d '2001-01-01' "$d/q/model-00004-of-00005.safetensors"
"$BITGAP" quantize $m -q uniform:bits=5,scope=tensor,scale=f32 -o "$d/q" 2>&1 | grep -q '3 of 5 shards'
[ "$(date -r "$d/q/model-00004-of-00005.safetensors" +%Y)" = 2001 ]
diff -r "$d/first" "$d/q"
# not after a program of other code: the hash of the sources that is compiled in is another. Its first half, since the linker
# may keep a literal such as "4" in the end of a string that ends so
code=$(cat "$(dirname "$BITGAP")/with.CODE")
LC_ALL=C sed "s/$code/01234567${code:8}/" "$BITGAP" >"$d/other"
chmod +x "$d/other"
"$d/other" quantize $m -q uniform:bits=5,scope=tensor,scale=f32 -o "$d/q" 2>&1 | grep 'there already' && exit 1
cmp -s "$d/first/model-00004-of-00005.safetensors" "$d/q/model-00004-of-00005.safetensors" && exit 1

"$BITGAP" quantize $m -q uniform:bits=4,scope=128 --dry-run -o "$d/none" | grep -q '3145728 weights at 4.1250 bits'
[ ! -e "$d/none" ]

# a recipe: every matrix has its own spec, those it does not name stay (or get -q), and each layout that mixes reads back the same
printf 'self_attn uniform:bits=7,scope=128,zero=asym # wide\nlayers\\.0\\.mlp uniform:bits=8,scope=channel\ndown_proj uniform:bits=3,scope=64\n' >"$d/mixed"
for layout in dense compressed-tensors; do
    rm -rf "$d/l"
    "$BITGAP" quantize $m --recipe "$d/mixed" --layout $layout --dtype f32 -o "$d/l"
    cp "$d/l/quantization.json" "$d/$layout.json"
done
for field in spec rate_bits mse; do
    diff <(grep -o "\"$field\": [^,]*" "$d/dense.json" | tail -n +2) <(grep -o "\"$field\": [^,]*" "$d/compressed-tensors.json" | tail -n +2)
done
[ "$(grep -c '"tensor": ' "$d/dense.json")" = 22 ] # 16 of attention, 3 and 3
[ "$(tr -d ' \t\n' <"$d/l/config.json" | grep -oE '"num_bits":[0-9]' | paste -sd' ')" = '"num_bits":7 "num_bits":8 "num_bits":3' ]
tr -d ' \t\n' <"$d/l/config.json" | grep -q '"ignore":\["lm_head","model.layers.1.mlp.gate_proj",'
"$BITGAP" quantize $m --recipe "$d/mixed" -q nf4 --dry-run | grep -q '3145728 weights'
printf 'self_attn q4_k\nmlp q6_k\n' >"$d/mixed"
rm -rf "$d/l"
"$BITGAP" quantize $m --recipe "$d/mixed" --layout gguf -o "$d/l"
"$BITGAP" audit $m "$d/l/model.gguf" -o "$d/audit.json"
[ "$(grep -ciE '"storage": "q6_k' "$d/audit.json")" = 12 ]
printf 'mlp uniform:bits=4,scope=128\n' >"$d/mixed"

# what it predicts: the errors are those that curve finds, of the outputs too, below the bound of error feedback where nothing clips
"$BITGAP" calibrate $m --text "$d/text.txt" --samples 2 --length 128 -o "$d/k.json"
spec=uniform:bits=4,scope=channel,round=gptq
"$BITGAP" quantize $m -q $spec --calibration "$d/k.json" -o "$d/gptq"
"$BITGAP" curve $m "${one[@]}" --calibration "$d/k.json" -q $spec -o "$d/curve.json"
value() { grep '"model.layers.1.mlp.down_proj.weight"' "$1" | grep -oE "\"$2\": [^,}]*" | head -1; }
for field in clipped output_mse babai_bound; do
    [ "$(value "$d/gptq/quantization.json" $field)" = "$(value "$d/curve.json" $field)" ]
    [ -n "$(value "$d/curve.json" $field)" ]
done
"$BITGAP" quantize $m -q $spec --calibration "$d/k.json" --dry-run >"$d/dry"
grep -oE 'outputs [0-9.e-]+ \(error feedback that clips nothing: at most [0-9.e-]+' "$d/dry" |
    awk '{ found = 1; exit !($2 > 0 && $2 < $NF && $2 < 0.1) } END { exit !found }'
"$BITGAP" quantize $m -q uniform:bits=4,scope=channel --calibration "$d/k.json" --dry-run >"$d/rtn"
error() { grep -oE 'outputs [0-9.e-]+' "$1" | cut -d' ' -f2; }
awk -v g="$(error "$d/dry")" -v r="$(error "$d/rtn")" 'BEGIN { exit !(g > 0 && g < r) }'

refused() { # refused STATUS WORD ARGUMENTS…
    local want=$1 word=$2 s=0
    shift 2
    "$BITGAP" quantize "$@" 2>"$d/err" || s=$?
    [ "$s" = "$want" ] && grep -q -- "$word" "$d/err"
}
refused 2 "one spec" $m -o "$d/x"
refused 2 "one spec for all" $m --recipe "$d/mixed" --layout gptq -o "$d/x"
refused 2 "tensor 'model.layers.0.mlp.gate_proj.weight'" $m --recipe "$d/mixed" --layout gguf -o "$d/x"
refused 3 "cannot open" $m --recipe "$d/none" -o "$d/x"
refused 2 "-o DIR" $m -q nf4
refused 2 "use --layout dense" $m -q nf4 --layout compressed-tensors -o "$d/x"
refused 2 "no layout" $m -q nf4 --layout odd -o "$d/x"
refused 2 "neither NF4" $m -q rtn --layout bitsandbytes -o "$d/x"
refused 2 "not of 4 bits" $m -q uniform:bits=3,scope=128 --layout awq -o "$d/x"
refused 2 "2, 3, 4 or 8 bits" $m -q uniform:bits=5,scope=128 --layout gptq -o "$d/x"
refused 2 "blocks of 32" $m -q rtn --layout gguf -o "$d/x"
refused 2 "a step of its own" $m -q uniform:step=0.5sigma,round=gptq,steps=water --layout compressed-tensors -o "$d/x"
refused 3 "not written as GGUF" tests/golden/data/models/gemma -q q4_0 --layout gguf -o "$d/x"
refused 3 "calibration" $m -q uniform:bits=4,round=gptq -o "$d/x"
refused 3 "no matrix inside a layer" source:gaussian,n=4096 -q nf4 -o "$d/x"
