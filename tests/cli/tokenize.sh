# bitgap tokenize: ids as a JSON array, with and without special tokens, from arguments, files and standard input; bad tokenizers
# and texts.
source "$(dirname "$0")/lib.bash"
m=data/austen-3.7m

# ids OPTION…: what tokenize prints with them
ids() { "$BITGAP" tokenize "$@"; }
same() { # same WHAT A B
    [ "$2" = "$3" ] || fail "$1: $2 is not $3"
    pass "$1"
}
same 'numbers as transformers cuts them' "$(ids $m "1811, 20,000 and 3.14159" --no-special)" \
    "[$(sed -n '/"1811, 20,000 and 3.14159"/,/\]/p' $m/expected.json | grep -oE '^ +[0-9]+' | tr -d ' ' | paste -sd,)]"
same 'an empty text has its begin token' "$(ids $m "")" '[2046]'
same 'or none' "$(ids $m/tokenizer.json "" --no-special)" '[]'
same 'standard input' "$(printf 'hello' | ids $m --file -)" "$(ids $m hello)"
same 'tokens of the test text' "$(ids $m --file data/text/test.txt --no-special | tr , '\n' | wc -l)" 138494

printf 'so \xff it \xfe\xff was' >"$scratch/bad.txt"
expect 0 '3 invalid UTF-8 sequences were read as U\+FFFD' "$BITGAP" tokenize $m --file "$scratch/bad.txt"
"$BITGAP" logits data/austen-0.9m-qwen2 -q nf4 --text "$scratch/bad.txt" --no-noise -o "$scratch/l.json" 2>/dev/null
grep -q '"replaced": 3' "$scratch/l.json" || fail 'logits does not count what it replaced'
pass 'logits counts what it replaced'

expect 2 'either a TEXT or --file' "$BITGAP" tokenize $m
refused 'tokenizer' "$BITGAP" tokenize data/text x -o "$scratch/out/ids"
mkdir "$scratch/t"
broken() { # broken FROM TO PATTERN: a tokenizer.json with TO in place of FROM is refused with this line
    sed "s/$1/$2/" data/austen-0.9m-qwen2/tokenizer.json >"$scratch/t/tokenizer.json"
    cmp -s "$scratch/t/tokenizer.json" data/austen-0.9m-qwen2/tokenizer.json && fail "no '$1' in the tokenizer"
    refused "$3" "$BITGAP" tokenize "$scratch/t" hello -o "$scratch/out/ids"
}
broken '"type": *"BPE"' '"type":"WordPiece"' "tokenizer.json: the model 'WordPiece' is not supported; BPE is"
broken '"type": *"Split"' '"type":"Chop"' "the pre-tokenizer 'Chop' is not supported"
broken '"Regex": *"' '"Regex":"(' "does not compile at byte [0-9]+: missing closing parenthesis"
: >"$scratch/empty.txt"
refused 'empty.txt: the text is empty' "$BITGAP" logits $m -q nf4 --text "$scratch/empty.txt" -o "$scratch/out/l.json"
refused 'empty.txt: the text is empty' "$BITGAP" calibrate $m --text "$scratch/empty.txt" -o "$scratch/out/c.json"
refused 'token id -1 is outside the model.s vocabulary of 2048' "$BITGAP" run $m --ids=-1 -o "$scratch/out/y"
