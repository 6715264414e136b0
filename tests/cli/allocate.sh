# allocate: the optimum beats one spec for all, stays within its budget and above its dual bound; recipes name every layer.
source "$(dirname "$0")/lib.bash"

"$BITGAP" curve data/austen-3.7m -q uniform:bits=2..6,scope=128,zero=asym -o "$scratch/curves.json"
"$BITGAP" allocate "$scratch/curves.json" --budget 4.2 -o "$scratch/allocation.json"
field() { grep -o "\"$1\": [0-9.e+-]*" "$scratch/allocation.json" | head -n 1 | cut -d ' ' -f 2; }
awk -v r="$(field rate_bits)" -v l="$(field loss)" -v d="$(field dual_bound)" -v u="$(field uniform_loss)" \
    'BEGIN { exit !(r <= 4.2 && d <= l && l < u) }' || fail 'the optimum is not between its dual bound and one spec for all'
[ "$(grep -c '"engine": "llama.cpp"' "$scratch/allocation.json")" -eq 29 ] || fail 'llama.cpp: a line a tensor'
pass 'allocate'

# Recipes in the engines' own syntax. llama.cpp searches a pattern in a name and takes the first that is found: each is one tensor's.
engine() { grep "\"engine\": \"$1\"" "$scratch/allocation.json" | sed -E 's/.*"line": "(.*)"\}.*/\1/; s/\\(["\\])/\1/g'; }
for block in 0 1 2 3; do
    for name in attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down; do echo "blk.$block.$name.weight"; done
done >"$scratch/names"
engine llama.cpp | grep -oE "'.*'" | tr -d "'" >"$scratch/patterns"
[ "$(wc -l <"$scratch/patterns")" -eq 28 ] || fail 'llama.cpp: a pattern for every matrix' "$(engine llama.cpp)"
while IFS='=' read -r pattern type; do
    [ "$(grep -cE "$pattern" "$scratch/names")" -eq 1 ] || fail "llama.cpp: '$pattern' is not one tensor's"
    [[ $type =~ ^q[234568]_[0k]$ ]] || fail "llama.cpp: no type '$type'"
done <"$scratch/patterns"
engine llama.cpp | grep -qE '^--token-embedding-type q[234568]_[0k]$' || fail 'llama.cpp: the embedding has an option of its own'
# exllamav3 matches whole names of stored tensors: the key ends with a star.
[ "$(engine exllamav3 | grep -cE '^  - \{key: "model\.layers\.[0-3]\.[a-z_.]*_proj\.\*", source: [1-8]\}$')" -eq 28 ] || fail "$(engine exllamav3)"
# AutoRound: JSON, with the zero points that the curve was measured with.
[ "$(engine AutoRound | grep -cE '^  "model\.layers\.[a-z0-9_.]*": \{"bits": [2-6], "group_size": 128, "sym": false\},?$')" -eq 28 ] || fail "$(engine AutoRound)"
[ "$(engine AutoRound | sed -n '1p;$p' | tr -d '\n')" = '{}' ] && [ "$(engine AutoRound | grep -c ',$')" -eq 27 ] || fail "$(engine AutoRound)"
# llm-compressor: a group a grid, every module once.
[ "$(engine llm-compressor | grep -c '^            - "model\.')" -eq 28 ] || fail "$(engine llm-compressor)"
[ "$(engine llm-compressor | grep -cE '^          weights: \{num_bits: [2-6], type: int, symmetric: false, strategy: group, group_size: 128\}$')" -eq \
    "$(engine llm-compressor | grep -oE 'num_bits: .' | sort -u | wc -l)" ] || fail "$(engine llm-compressor)"
pass 'recipes in the syntax of each engine'
# AutoRound packs no fewer than 2 bits and takes no zero points at 8; the others do.
mv "$scratch/allocation.json" "$scratch/first.json"
"$BITGAP" curve data/austen-3.7m -q uniform:bits=1..2,scope=128,zero=asym -o "$scratch/low.json"
"$BITGAP" allocate "$scratch/low.json" --budget 1.6 -o "$scratch/allocation.json"
[ "$(engine AutoRound | grep -c '"bits": 2,')" -eq 28 ] || fail "$(engine AutoRound)"
engine llm-compressor | grep -q 'num_bits: 1,' || fail "$(engine llm-compressor)"
"$BITGAP" curve data/austen-3.7m -q uniform:bits=8,scope=128,zero=asym -o "$scratch/high.json"
"$BITGAP" allocate "$scratch/high.json" --budget 9 -o "$scratch/allocation.json"
[ "$(engine AutoRound | grep -c '"bits": 8, "group_size": 128, "sym": true')" -eq 28 ] || fail "$(engine AutoRound)"
engine llm-compressor | grep -q 'num_bits: 8, type: int, symmetric: false' || fail "$(engine llm-compressor)"
mv "$scratch/first.json" "$scratch/allocation.json"
pass 'recipes of one bit and of eight'
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
expect 0 'report.html' "$BITGAP" report "$scratch/allocation.json" -o "$scratch/page"
case $(field verdict) in
    '"gain"') said='a gain beyond twice the paired error' ;;
    '"loss"') said='a loss beyond twice the paired error' ;;
    *) said='no gain is shown' ;;
esac
grep -q "$said" "$scratch/page/report.md" || fail "the report does not say: $said"
expect 0 agree "$BITGAP" verify "$scratch/page" --documents "$scratch"
expect 2 'belong together' "$BITGAP" allocate "$scratch/curves.json" --model data/austen-3.7m -o "$scratch/none.json"
