# curve as a user runs it: the same bytes for any number of threads, nothing half-written, nothing lost by a calibration.
source "$(dirname "$0")/lib.bash"

for threads in 1 2 3; do
    "$BITGAP" curve data/austen-3.7m --layers 0 -j $threads -o "$scratch/$threads.json" \
        -q uniform:bits=3/4,scope=tensor uniform:bits=4,scope=32 uniform:bits=3,clip=mse lloyd:bits=3 nf4 vq:dim=2,bits=2
done
cmp "$scratch/1.json" "$scratch/2.json" && cmp "$scratch/1.json" "$scratch/3.json" || fail 'the threads show in the document'
pass 'the same bytes for 1, 2 and 3 threads'

# Ctrl-C: no document, no temporary file, status 4; the rerun is complete.
mkdir "$scratch/stopped"
"$BITGAP" curve data/austen-3.7m -q vq:dim=4,bits=2 vq:dim=8,bits=1 -j 1 -o "$scratch/stopped/x.json" 2>"$scratch/said" &
child=$!
until grep -q '^SigCgt:.*[2367abef]$' /proc/$child/status; do # a background process ignores the signal until it has a handler
    kill -0 $child 2>/dev/null || fail 'ended before it could be stopped'
    sleep 0.02
done
sleep 0.2
kill -INT $child 2>/dev/null || fail 'ended before it could be stopped'
got=0
wait $child || got=$?
[ "$got" -eq 4 ] || fail "Ctrl-C: status $got" "$(cat "$scratch/said")"
[ -z "$(ls -A "$scratch/stopped")" ] || fail "Ctrl-C leaves $(ls -A "$scratch/stopped")"
pass 'Ctrl-C leaves nothing behind'

expect 2 'no point was measured: .*gptq.* --calibration' "$BITGAP" curve data/austen-3.7m --layers 0 -q gptq -o "$scratch/none.json"
[ ! -e "$scratch/none.json" ] || fail 'an empty document'
expect 2 "did you mean nf4" "$BITGAP" curve data/austen-3.7m -q nf44 -o -
expect 2 "bits" "$BITGAP" curve data/austen-3.7m -q uniform:bits=99 -o -
expect 2 "scop" "$BITGAP" curve data/austen-3.7m -q uniform:scop=32 -o -

# With a calibration the points say as much as without: indices counted, grids shown, the same errors.
"$BITGAP" calibrate data/austen-0.9m-qwen2 --text data/text/calib.txt --samples 2 -o "$scratch/calibration.json" >/dev/null
specs="uniform:bits=4,scope=128 nf4 lloyd:bits=3"
"$BITGAP" curve data/austen-0.9m-qwen2 --layers 0 -q $specs -o "$scratch/bare.json"
"$BITGAP" curve data/austen-0.9m-qwen2 --layers 0 -q $specs --calibration "$scratch/calibration.json" -o "$scratch/dressed.json"
for what in '"role": .*"levels"' '"index_entropy_bits"' '"clipped"'; do
    [ "$(grep -c "$what" "$scratch/bare.json")" -eq "$(grep -c "$what" "$scratch/dressed.json")" ] || fail "a calibration costs $what"
done
grep -q '"output_mse"' "$scratch/dressed.json" || fail 'no output error'
pass 'a calibration takes nothing away'
