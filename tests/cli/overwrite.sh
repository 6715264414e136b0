# Nothing of the user's is lost: no output takes the place of an input, of a file that Bitgap did not write, or of a model.
source "$(dirname "$0")/lib.bash"

m=data/austen-0.9m-qwen2
cp -r $m "$scratch/s"
cp $m/model.safetensors "$scratch/m.safetensors"
sums() { (cd "$scratch" && find s m.safetensors -type f -exec sha256sum {} + | sort -k2); }
sums >"$scratch/before"
untouched() { sums | cmp -s - "$scratch/before" || fail "an input was changed by: $*" "$(sums | diff - "$scratch/before")"; }
kept() { # kept PATTERN COMMAND…: refused as a mistake on the command line, and every input is as it was
    local pattern=$1
    shift
    expect 2 "$pattern" "$@"
    untouched "$@"
}

# over the model itself, through links and other spellings of its path, with and without --force
ln -s s "$scratch/link"
ln -s m.safetensors "$scratch/link.safetensors"
q="-q uniform:bits=2,scope=channel --layout dense"
for to in s link s/../s; do
    # shellcheck disable=SC2086 # options
    kept "$to: this run reads it.*choose another -o" "$BITGAP" quantize "$scratch/s" $q -o "$scratch/$to"
    # shellcheck disable=SC2086
    kept 'choose another -o' "$BITGAP" quantize "$scratch/s" $q -o "$scratch/$to" --force
done
# shellcheck disable=SC2086
kept 'holds tensors that Bitgap did not write' "$BITGAP" quantize "$scratch/m.safetensors" $q -o "$scratch/s" --force
kept 'this run reads it' "$BITGAP" extract "$scratch/m.safetensors" -o "$scratch/m.safetensors"
kept 'this run reads it' "$BITGAP" extract "$scratch/m.safetensors" -o "$scratch/link.safetensors" --force
kept 'this run reads it' "$BITGAP" export "$scratch/m.safetensors" -o "$scratch/m.safetensors"
kept 'choose another -o' "$BITGAP" export "$scratch/s" -o "$scratch/s/model.safetensors" --force
kept 'choose another -o' "$BITGAP" curve "$scratch/s" -q nf4 -o "$scratch/s/config.json" --force
[ ! -e "$scratch/m.safetensors.hist" ] || fail "a refused extract left its side file"

# over texts and documents
head -c 3000 data/text/test.txt >"$scratch/t.txt" 2>/dev/null || head -c 3000 README.md >"$scratch/t.txt"
cp "$scratch/t.txt" "$scratch/t.copy"
for force in '' --force; do
    # shellcheck disable=SC2086 # no word when empty
    expect 2 't.txt: .*choose another -o' "$BITGAP" evaluate $m --text "$scratch/t.txt" --context 64 -o "$scratch/t.txt" $force
    # shellcheck disable=SC2086
    expect 2 't.txt: .*choose another -o' "$BITGAP" calibrate $m --text "$scratch/t.txt" --samples 1 --length 32 -o "$scratch/t.txt" $force
    cmp "$scratch/t.txt" "$scratch/t.copy" || fail "the text was changed"
done
"$BITGAP" extract $m --include 'layers.0.*q_proj' -o "$scratch/groups.json"
cp "$scratch/groups.json" "$scratch/groups.copy"
expect 2 'groups.json: this run reads it' "$BITGAP" curve "$scratch/groups.json" -q nf4 -o "$scratch/groups.json"
cmp "$scratch/groups.json" "$scratch/groups.copy" || fail "the document was changed"

# a file of someone else needs --force; Bitgap's own do not
cp "$scratch/t.copy" "$scratch/notes.json"
expect 2 'notes.json: exists and was not written by Bitgap; .*--force' "$BITGAP" curve "$scratch/groups.json" -q nf4 -o "$scratch/notes.json"
cmp "$scratch/notes.json" "$scratch/t.copy" || fail "the notes were changed"
expect 0 '' "$BITGAP" curve "$scratch/groups.json" -q nf4 -o "$scratch/notes.json" --force
expect 0 '' "$BITGAP" curve "$scratch/groups.json" -q nf4 -o "$scratch/notes.json"
expect 0 '' "$BITGAP" extract $m --include 'layers.0.*q_proj' -o "$scratch/groups.json"
expect 0 '' "$BITGAP" export $m --include 'layers.0.*q_proj' -o "$scratch/x.safetensors"
expect 0 '' "$BITGAP" export $m --include 'layers.0.*q_proj' -o "$scratch/x.safetensors"
# shellcheck disable=SC2086
for i in 1 2; do expect 0 '' "$BITGAP" quantize $m $q -o "$scratch/new"; done

# a link stays a link and a file keeps its mode
"$BITGAP" curve "$scratch/groups.json" -q nf4 -o "$scratch/real.json"
chmod 640 "$scratch/real.json"
ln -s real.json "$scratch/to.json"
ln -s none.json "$scratch/dangling.json"
expect 0 '' "$BITGAP" curve "$scratch/groups.json" -q fp4 -o "$scratch/to.json"
expect 0 '' "$BITGAP" curve "$scratch/groups.json" -q fp4 -o "$scratch/dangling.json"
[ -L "$scratch/to.json" ] && [ -L "$scratch/dangling.json" ] || fail "a link became a file"
grep -q fp4 "$scratch/real.json" && [ -s "$scratch/none.json" ] || fail "what the link names was not written"
[ "$(stat -c %a "$scratch/real.json")" = 640 ] || fail "the mode is now $(stat -c %a "$scratch/real.json")"
pass "links and modes"

# parts of dead processes go, those of living ones stay
sleep 60 & living=$!
bash -c 'exit 0' & dead=$!
wait $dead
touch "$scratch/real.json.$dead.part" "$scratch/real.json.$living.part"
expect 0 '' "$BITGAP" curve "$scratch/groups.json" -q nf4 -o "$scratch/real.json"
kill $living
[ ! -e "$scratch/real.json.$dead.part" ] || fail "the part of a dead process is still there"
[ -e "$scratch/real.json.$living.part" ] || fail "the part of a living process is gone"

# a full disk is seen by every command
for command in list --help --version 'help curve' 'help documents' 'help --man' "check $m" "tokenize $m Emma" \
    "curve source:gaussian -q nf4 -o -" "new-study -o -"; do
    # shellcheck disable=SC2086
    expect 4 'standard output: write failed: No space left on device' bash -c '"$0" "$@" >/dev/full' "$BITGAP" $command
done
expect 4 '/dev/full: write failed: No space left on device' "$BITGAP" curve source:gaussian -q nf4 -o /dev/full
