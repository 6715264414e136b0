# The command line itself: help, versions, mistakes.
source "$(dirname "$0")/lib.bash"

expect 0 '^usage: bitgap STAGE' "$BITGAP" --help
expect 0 '^usage: bitgap STAGE' "$BITGAP" help
expect 2 '^usage: bitgap STAGE' "$BITGAP"
expect 0 '^bitgap [0-9]+\.[0-9]+\.[0-9]+$' "$BITGAP" --version
expect 0 '^grids$' "$BITGAP" list
expect 0 '^usage: bitgap list' "$BITGAP" list --help
expect 0 'bits/weight' "$BITGAP" help documents
expect 2 "no stage 'lst', did you mean list\?" "$BITGAP" lst
expect 2 "did you mean --threads" "$BITGAP" list --thread=2
expect 2 "must be an integer from 1 to 1024, got '0'" "$BITGAP" list -j 0
expect 2 "needs a value" "$BITGAP" list -j
expect 2 "takes no value" "$BITGAP" list --quiet=yes
expect 2 "unexpected 'more'" "$BITGAP" list more

# Every stage in the help explains itself, with an example that starts with the program's name.
for stage in $("$BITGAP" --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'); do
    expect 0 '^  bitgap [a-z]' "$BITGAP" help "$stage"
done

# Help fits 80 columns when it is piped; what a user types is never broken over lines.
for stage in '' $("$BITGAP" --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'); do
    # shellcheck disable=SC2086 # no word when empty
    long=$("$BITGAP" help $stage | grep -v '^  bitgap ' | grep -E '^.{81}' || true)
    [ -z "$long" ] || fail "help $stage has long lines:" "$long"
done
pass 'help fits 80 columns'
# A letter means one option everywhere, and a default is written in one way.
for stage in $("$BITGAP" --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'); do
    "$BITGAP" help "$stage" | sed -nE 's/^  (-[a-z]), (--[a-z-]+).*/\1 \2/p'
done | sort -u >"$scratch/letters"
[ -z "$(cut -d' ' -f1 "$scratch/letters" | uniq -d)" ] || fail 'a letter means several options:' "$(cat "$scratch/letters")"
pass 'a letter means one option'
expect 0 'default: 4.5' "$BITGAP" help allocate
# The name that an option had before is still accepted.
expect 3 'nothing.json: no such file' "$BITGAP" logits "$scratch/nothing.json" --quantizer nf4 -o -

# A reader that has seen enough ends the program without a word.
said=$({ "$BITGAP" extract data/austen-0.9m-qwen2 -o - 2>&3 | head -c 1 >/dev/null; } 3>&1 || true)
[ -z "$said" ] || fail 'a closed pipe is complained about:' "$said"
pass 'a reader that leaves'
