# allocate: the optimum beats one spec for all, stays within its budget and above its dual bound; recipes name every layer.
source "$(dirname "$0")/lib.bash"

"$BITGAP" curve data/austen-3.7m -q uniform:bits=2..6,scope=128,zero=asym -o "$scratch/curves.json"
"$BITGAP" allocate "$scratch/curves.json" --budget 4.2 -o "$scratch/allocation.json"
field() { grep -o "\"$1\": [0-9.e+-]*" "$scratch/allocation.json" | head -n 1 | cut -d ' ' -f 2; }
awk -v r="$(field rate_bits)" -v l="$(field loss)" -v d="$(field dual_bound)" -v u="$(field uniform_loss)" \
    'BEGIN { exit !(r <= 4.2 && d <= l && l < u) }' || fail 'the optimum is not between its dual bound and one spec for all'
[ "$(grep -c '"engine": "llama.cpp"' "$scratch/allocation.json")" -eq 29 ] || fail 'llama.cpp: a line a tensor'
pass 'allocate'
expect 2 'below the cheapest' "$BITGAP" allocate "$scratch/curves.json" --budget 1 -o "$scratch/none.json"
[ ! -e "$scratch/none.json" ] || fail 'half a document was left'
expect 2 'choose another --quantizer' "$BITGAP" allocate "$scratch/curves.json" --quantizer nf4 -o "$scratch/none.json"

# Measured: at no more bits than one spec for all, the model itself run under both, paired by token.
"$BITGAP" logits data/austen-3.7m -q nf4 -t data/text/val.txt --windows 1 --context 128 --linearity --no-noise -o "$scratch/logits.json"
"$BITGAP" allocate "$scratch/curves.json" "$scratch/logits.json" --budget 3.2 --model data/austen-3.7m --text data/text/test.txt --windows 2 -o "$scratch/allocation.json"
sed -n '/"measured"/,/]/p' "$scratch/allocation.json" >"$scratch/measured"
field() { grep -o "\"$1\": [^,}]*" "$scratch/measured" | head -n 1 | cut -d ' ' -f 2; }
awk -v r="$(field rate_bits)" -v u="$(field uniform_bits)" -v a="$(field kl)" -v b="$(field uniform_kl)" -v d="$(field difference)" \
    -v s="$(field difference_se)" -v v="$(field verdict)" \
    'BEGIN { m = a - b - d; want = (d * d <= 4 * s * s) ? "\"none\"" : d < 0 ? "\"gain\"" : "\"loss\""
             exit !(r <= u && r > 3 && s > 0 && m * m < 1e-18 && v == want) }' || fail "measured: $(cat "$scratch/measured")"
pass 'allocate --model'
expect 2 'belong together' "$BITGAP" allocate "$scratch/curves.json" --model data/austen-3.7m -o "$scratch/none.json"
