#!/usr/bin/env bash
# bitgap tokenize: ids as a JSON array, with and without special tokens, from arguments, files and standard input.
set -eu
m=data/austen-3.7m
[ "$("$BITGAP" tokenize $m "1811, 20,000 and 3.14159" --no-special)" = \
  "[$(sed -n '/"1811, 20,000 and 3.14159"/,/\]/p' $m/expected.json | grep -oE '^ +[0-9]+' | tr -d ' ' | paste -sd,)]" ]
[ "$("$BITGAP" tokenize $m "")" = "[2046]" ]
[ "$("$BITGAP" tokenize $m/tokenizer.json "" --no-special)" = "[]" ]
[ "$(printf 'hello' | "$BITGAP" tokenize $m --file -)" = "$("$BITGAP" tokenize $m hello)" ]
"$BITGAP" tokenize $m --file data/text/test.txt --no-special | tr , '\n' | wc -l | grep -qx 138494
printf 'a\xff' | "$BITGAP" tokenize $m --file - 2>&1 >/dev/null | grep -q '1 invalid UTF-8'
s=0; "$BITGAP" tokenize $m 2>/dev/null || s=$?; [ $s = 2 ]
s=0; "$BITGAP" tokenize data/text x 2>/dev/null || s=$?; [ $s = 3 ]
