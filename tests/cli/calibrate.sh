# calibrate: what its flags do, whom it belongs to, and that the methods that use it beat rounding to nearest.
source "$(dirname "$0")/lib.bash"
model=data/austen-3.7m text=data/text/calib.txt
field() { grep -o "\"$1\": [^,}]*" "$2" | head -n 1 | cut -d ' ' -f 2; }

"$BITGAP" calibrate $model --text $text --samples 4 --length 128 -o "$scratch/k.json"
pass 'bitgap calibrate $model --text $text --samples 4 --length 128 -o k.json'
[ "$(field tokens "$scratch/k.json")" = 512 ] && [ "$(field seed "$scratch/k.json")" = 1 ] || fail 'not 4 windows of 128 tokens by seed 1'
grep -q '"name": "calib.txt", "size"' "$scratch/k.json" || fail 'the text is not recorded'

# The same bytes for any number of threads; another seed draws other windows; all windows need no seed.
made() { "$BITGAP" calibrate $model --text $text --length 128 "$@" -o "$scratch/again.json" && field side_sha256 "$scratch/again.json"; }
[ "$(made --samples 4 -j 1)" = "$(field side_sha256 "$scratch/k.json")" ] || fail 'threads matter'
# Threads with stacks of 2 MB, what they get where the system sets no limit.
[ "$(OMP_STACKSIZE=2M made --samples 4 -j 3)" = "$(field side_sha256 "$scratch/k.json")" ] || fail 'small stacks do not do'
[ "$(made --samples 4 --seed 2)" != "$(field side_sha256 "$scratch/k.json")" ] || fail 'the seed does not matter'
# So they are with hidden states in a file, which leaves nothing behind and whose disk may be full.
spilled() { (unset TMPDIR && made "$@" --memory 0); }
[ "$(spilled --samples 4)" = "$(field side_sha256 "$scratch/k.json")" ] || fail 'a file for hidden states matters'
[ "$(TMPDIR=$scratch made --samples 4 --memory 0 -j 3)" = "$(field side_sha256 "$scratch/k.json")" ] || fail 'TMPDIR matters'
[ "$(spilled --samples 9 --sequential rtn:bits=2)" = "$(made --samples 9 --sequential rtn:bits=2)" ] || fail 'a file matters to sequential'
mkdir "$scratch/full"
full() { (unset TMPDIR && trap '' XFSZ && ulimit -f 100 && exec "$BITGAP" calibrate $model --text $text --samples 4 --length 128 "$@"); }
expect 4 'full/bitgap-states-.{6}: writing hidden states failed: .* they need 1 MB: set TMPDIR' full --memory 0 -o "$scratch/full/k.json"
TMPDIR=$scratch/none expect 4 'none/bitgap-states-.*: no temporary file can be made' "$BITGAP" calibrate $model --text $text --memory 0 -o "$scratch/full/k.json"
[ -z "$(ls -A "$scratch/full"; ls "$scratch" | grep states)" ] || fail "left behind: $(ls -A "$scratch/full" "$scratch")"
head -c 2000 $text >"$scratch/short.txt"
text=$scratch/short.txt
[ "$(made --samples 0)" = "$(made --samples 0 --seed 2)" ] || fail 'all windows are not all windows'
expect 0 'gives [0-9]+ samples of 128 tokens, not 999' "$BITGAP" calibrate $model --text "$text" --samples 999 --length 128 -o "$scratch/again.json"
# Predecessors quantized at 2 bits give the later layers other inputs, the first one the same.
sums() { grep -o '"tensor": "model.layers.[03].self_attn.q_proj.weight".*"trace": [^,]*' "$1" | grep -o '[^ ]*$'; }
made --samples 0 >/dev/null && sums "$scratch/again.json" >"$scratch/plain"
made --samples 0 --sequential rtn:bits=2 >/dev/null && sums "$scratch/again.json" >"$scratch/sequential"
[ "$(head -n 1 "$scratch/plain")" = "$(head -n 1 "$scratch/sequential")" ] || fail 'sequential changes the first input'
[ "$(tail -n 1 "$scratch/plain")" != "$(tail -n 1 "$scratch/sequential")" ] || fail 'sequential changes nothing'
pass 'windows, seeds, sequential'

# One window of one token: Σ of rank 1, fewer samples than columns everywhere.
"$BITGAP" calibrate $model --text "$text" --samples 1 --length 1 -o "$scratch/one.json"
"$BITGAP" curve $model --layers 0 -q gptq:bits=3 gptq:bits=8,order=act awq:bits=3 smoothquant gptq:bits=3,transform=hadamard \
    uniform:bits=1,scope=100,round=gptq vq:dim=2,bits=2,round=gptq kmeans:bits=2,weighted=true --calibration "$scratch/one.json" -o "$scratch/c.json"
[ "$(grep -c '"output_mse"' "$scratch/c.json")" -eq 56 ] || fail 'a single token does not do'
pass 'one token'

# What it must not be: damaged, another model's, absent, of a layer too long, no text.
curve() { "$BITGAP" curve "$@" -o "$scratch/out/c.json"; }
refused 'made of another model|of another model' curve data/austen-0.9m-qwen2 -q gptq:bits=3 --calibration "$scratch/k.json"
cp "$scratch/k.bin" "$scratch/whole.bin"
printf x | dd of="$scratch/k.bin" bs=1 seek=4000 conv=notrunc status=none
refused 'k.bin: its sha256 is not what the document says' curve $model -q gptq:bits=3 --calibration "$scratch/k.json"
truncate -s 1000 "$scratch/k.bin"
refused 'k.bin: its size is not what the document says' curve $model -q gptq:bits=3 --calibration "$scratch/k.json"
rm "$scratch/k.bin"
expect 3 'k.bin' curve $model -q gptq:bits=3 --calibration "$scratch/k.json"
mv "$scratch/whole.bin" "$scratch/k.bin"
sed 's/"schema": [0-9]*/"schema": 1/' "$scratch/k.json" >"$scratch/old.json"
refused 'calibrate' curve $model -q gptq:bits=3 --calibration "$scratch/old.json"
expect 3 'longer than the model.s context of 512' "$BITGAP" calibrate $model --text "$text" --length 513 -o "$scratch/x.json"
: >"$scratch/empty.txt"
expect 3 'empty' "$BITGAP" calibrate $model --text "$scratch/empty.txt" -o "$scratch/x.json"
expect 2 'give a text' "$BITGAP" calibrate $model -o "$scratch/x.json"

# Beside GPTQ's error stand the share of clipped weights and the bound on the error of a walk that clips nothing.
"$BITGAP" curve $model --layers 0 -q gptq:bits=4 --calibration "$scratch/one.json" -o "$scratch/c.json"
sed -n 's/.*"clipped": \([^,]*\).*"output_mse": \([^,]*\), "babai_bound": \([^,]*\).*/\1 \2 \3/p' "$scratch/c.json" |
    awk '{ n++; if (!($1 < 0.01 && $2 < $3)) exit 1 } END { exit n != 7 }' || fail 'no bound beside the error'

# GPTQ and AWQ beat rounding to nearest at 3 and 4 bits: in every role's output error, and in the model's perplexity.
"$BITGAP" calibrate $model --text data/text/calib.txt --samples 16 -o "$scratch/k.json"
"$BITGAP" curve $model --layers 1 -q rtn:bits=3/4 gptq:bits=3/4 awq:bits=3/4 --calibration "$scratch/k.json" -o "$scratch/c.json"
sed -n 's/.*"tensor": "\([^"]*\)".*"spec": "\([^"]*\)".*"output_mse": \([^,}]*\).*/\1 \2 \3/p' "$scratch/c.json" | awk '
        { split($2, s, ":"); error[$1, s[2], s[1]] = $3; tensor[$1]; bits[s[2]] }
        END { for (t in tensor) for (b in bits) for (m = 1; m <= 2; m++) { n++
                  method = m == 1 ? "gptq" : "awq"
                  if (!(error[t, b, method] < 0.95 * error[t, b, "rtn"])) { print t, b, method, error[t, b, method], error[t, b, "rtn"]; bad = 1 } }
              exit bad || n != 28 }' || fail 'not better than nearest'
"$BITGAP" logits $model -q rtn:bits=3/4 gptq:bits=3/4 awq:bits=3/4 -t data/text/test.txt --windows 8 --no-noise \
    --calibration "$scratch/k.json" -o "$scratch/l.json"
sed -n 's/.*"spec": "\([^"]*\)".*"kl_mean": \([^,]*\).*"perplexity": \([^,]*\).*/\1 \2 \3/p' "$scratch/l.json" | awk '
        { split($1, s, ":"); kl[s[2], s[1]] = $2; perplexity[s[2], s[1]] = $3; bits[s[2]]; n++ }
        END { for (b in bits) for (m = 1; m <= 2; m++) { method = m == 1 ? "gptq" : "awq"
                  if (!(kl[b, method] < kl[b, "rtn"] && perplexity[b, method] < perplexity[b, "rtn"])) { print b, method; bad = 1 } }
              exit bad || n != 6 }' || fail 'the model is not better than with nearest'
pass 'gptq and awq beat rtn'
