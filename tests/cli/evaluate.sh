#!/usr/bin/env bash
# bitgap evaluate: rows of the document, CSV and Markdown; configuration; import; what is refused.
set -eu
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
m=data/austen-3.7m
head -c 6000 data/text/val.txt >"$d/text.txt"
head -4 data/text/qa.jsonl >"$d/qa.jsonl"
cat >"$d/results.json" <<'J'
{"results": {"mmlu": {"acc,none": 0.25, "acc_stderr,none": 0.01, "alias": "mmlu"}}, "config": {"model_args": "pretrained=x/austen-3.7m,dtype=float"}}
J
cat >"$d/config.json" <<J
{"model": "$m", "types": ["fp16", "uniform:bits=4,scope=channel"], "text": "$d/text.txt", "context": 128, "windows": 2,
 "qa": "$d/qa.jsonl", "num_prompts": 2, "prompt_tokens": 16, "max_tokens": 8, "repeats": 1, "import": "$d/results.json",
 "conventions": ["strided", "llama.cpp"], "output_dir": "$d/out"}
J
"$BITGAP" evaluate -c "$d/config.json"
for word in '"perplexity":' '"perplexity_se":' '"qa_accuracy":' '"tokens_per_second":' '"ms_per_token":' '"peak_bytes":' \
    '"rate_bits":' '"bytes":' '"perplexity_strided":' '"perplexity_llama_cpp":' '"bleu":' '"value": 0.25' '"spec": "none"'; do
    grep -q "$word" "$d/out/evaluation.json"
done
[ "$(wc -l <"$d/out/evaluation.csv")" = 3 ]
head -1 "$d/out/evaluation.csv" | grep -q '^model,spec,rate_bits,.*,mmlu acc$'
[ "$(wc -l <"$d/out/evaluation.md")" = 4 ]

# the same numbers from flags, for any number of threads
"$BITGAP" evaluate $m -q uniform:bits=4,scope=channel --text "$d/text.txt" --context 128 --windows 2 --skip-benchmark -j 2 -o "$d/a.json"
"$BITGAP" evaluate $m -q uniform:bits=4,scope=channel --text "$d/text.txt" --context 128 --windows 2 --skip-benchmark -j 1 -o "$d/b.json"
figures() { grep -oE '"(perplexity|perplexity_se|log_perplexity_change|weight_mse)": [^,}]*' "$1"; }
[ "$(figures "$d/a.json" | wc -l)" -ge 6 ]
cmp <(figures "$d/a.json") <(figures "$d/b.json")
cmp <(figures "$d/a.json") <(figures "$d/out/evaluation.json")

refused() { # refused STATUS WORD ARGUMENTS…
    local want=$1 word=$2 s=0
    shift 2
    "$BITGAP" evaluate "$@" -o "$d/none.json" 2>"$d/err" || s=$?
    [ "$s" = "$want" ] && grep -q -- "$word" "$d/err" && [ ! -e "$d/none.json" ]
}
: >"$d/empty.txt"
echo '{"modle": "x"}' >"$d/typo.json"
echo '{"results": 3}' >"$d/bad.json"
refused 2 MODEL
refused 3 empty $m --text "$d/empty.txt"
refused 3 "longer than the model" $m --text "$d/text.txt" --context 100000
refused 3 "did you mean model" -c "$d/typo.json"
refused 3 results $m --import "$d/bad.json"
refused 2 convention $m --conventions odd
refused 3 "do not fit" $m --text "$d/text.txt" --max-tokens 600
