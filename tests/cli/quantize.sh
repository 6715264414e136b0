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
    grep -q '"quant_method":.*"compressed-tensors"' "$d/q/config.json"
    [ "$(perplexity "$d/q")" = "$(perplexity $m -q $spec)" ]
done
"$BITGAP" quantize $m -q nf4 --dtype f32 -o "$d/nf4"
[ "$(perplexity "$d/nf4")" = "$(perplexity $m -q nf4)" ]
grep -q '"layout": "dense"' "$d/nf4/quantization.json"
cmp $m/tokenizer.json "$d/nf4/tokenizer.json"

# goes on where it stopped: a missing and a damaged shard are written again, the others kept, the bytes the same
cp -r "$d/q" "$d/first"
rm "$d/q/model-00002-of-00005.safetensors"
truncate -s -1 "$d/q/model-00003-of-00005.safetensors"
touch -d '2001-01-01' "$d/q/model-00004-of-00005.safetensors"
"$BITGAP" quantize $m -q uniform:bits=5,scope=tensor,scale=f32 -o "$d/q" 2>&1 | grep -q '3 of 5 shards'
[ "$(date -r "$d/q/model-00004-of-00005.safetensors" +%Y)" = 2001 ]
diff -r "$d/first" "$d/q"

"$BITGAP" quantize $m -q uniform:bits=4,scope=128 --dry-run -o "$d/none" | grep -q '3145728 weights at 4.1250 bits'
[ ! -e "$d/none" ]
refused() { # refused STATUS WORD ARGUMENTS…
    local want=$1 word=$2 s=0
    shift 2
    "$BITGAP" quantize "$@" 2>"$d/err" || s=$?
    [ "$s" = "$want" ] && grep -q -- "$word" "$d/err"
}
refused 2 "one spec" $m -o "$d/x"
refused 2 "-o DIR" $m -q nf4
refused 2 "use --layout dense" $m -q nf4 --layout compressed-tensors -o "$d/x"
refused 2 "no layout" $m -q nf4 --layout odd -o "$d/x"
refused 3 "calibration" $m -q uniform:bits=4,round=gptq -o "$d/x"
refused 3 "no matrix inside a layer" source:gaussian,n=4096 -q nf4 -o "$d/x"
