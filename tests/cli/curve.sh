# bitgap curve and merge: points of a density and of the default model, shards, choices, mistakes, interruption.
source "$(dirname "$0")/lib.bash"
model=data/austen-3.7m
mkdir "$scratch/all"

expect 0 '"spec": "uniform:bits=4,scope=32".*"rate_bits": 4.5, "mse": 0.0094097' \
    "$BITGAP" curve source:gaussian -q uniform:bits=4,scope=32 -o -
expect 0 '"reason": "a density has no largest weight' "$BITGAP" curve source:gaussian -q uniform:bits=4 -o -

"$BITGAP" curve $model -q uniform:bits=2..4,scope=tensor/32 nf4 -o "$scratch/all/curves.json"
[ -s "$scratch/all/timings.json" ] || fail 'no timings.json beside the document'
for i in 1 2 3; do
    "$BITGAP" curve $model -q uniform:bits=2..4,scope=tensor/32 nf4 --shard $i/3 -j $i -o "$scratch/$i.json"
done
"$BITGAP" merge "$scratch"/[123].json -o "$scratch/merged.json"
diff <(sed '1,/"points"/d' "$scratch/all/curves.json") <(sed '1,/"points"/d' "$scratch/merged.json") >/dev/null ||
    fail 'merged shards differ from the whole'
pass 'shards merge into the whole'
"$BITGAP" curve $model -q uniform:bits=2..4,scope=tensor/32 nf4 -j 1 -o "$scratch/one.json"
cmp "$scratch/all/curves.json" "$scratch/one.json" && pass 'one thread writes the same bytes'

"$BITGAP" curve $model -q nf4 --layers 0,2 --groups mlp.down_proj -o "$scratch/few.json"
[ "$(grep -c '"spec": "nf4"' "$scratch/few.json")" = 2 ] || fail '--layers 0,2 --groups mlp.down_proj is not two points'
expect 2 'no weight matrix is left' "$BITGAP" curve $model -q nf4 --layers 77 -o "$scratch/x.json"
expect 2 'layer numbers' "$BITGAP" curve $model -q nf4 --layers one -o "$scratch/x.json"
expect 2 'I/N' "$BITGAP" curve $model -q nf4 --shard 3/2 -o "$scratch/x.json"
expect 2 'did you mean uniform' "$BITGAP" curve $model -q uniformm -o "$scratch/x.json"
expect 3 'no such' "$BITGAP" curve "$scratch/none" -q nf4 -o "$scratch/x.json"
expect 4 'cannot write' "$BITGAP" curve $model -q nf4 -o "$scratch/no/such/x.json"
"$BITGAP" curve $model -q nf4 --layers 0 --groups mlp.up_proj -o "$scratch/other.json"
sed 's/"mse": /"mse": 9/' "$scratch/other.json" >"$scratch/changed.json"
expect 3 'say different things' "$BITGAP" merge "$scratch/other.json" "$scratch/changed.json" -o "$scratch/x.json"
expect 3 'x.bin' "$BITGAP" merge "$scratch/x.bin" -o "$scratch/x.json"
[ ! -e "$scratch/x.json" ] || fail 'a failed run left a document'

"$BITGAP" curve $model -q uniform:bits=2..8,scope=channel,clip=mse -o "$scratch/stopped.json" 2>/dev/null &
sleep 0.2
kill -INT $! 2>/dev/null || true
wait $! || true
[ -z "$(find "$scratch" -name 'stopped.json?*')" ] || fail 'an interrupted run left a temporary file'
pass 'an interrupted run leaves nothing half-written'
