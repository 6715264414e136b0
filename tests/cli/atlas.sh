# atlas: points on sources, the tensors of a model placed among them, mistakes; the same bytes for any number of threads.
source "$(dirname "$0")/lib.bash"
out=$scratch/made
mkdir "$out"

expect 0 '"axis": "ggd", "source": "ggd,shape=2", "parameter": 2, "spec": "nf4".*"exact": true' "$BITGAP" atlas -q nf4 -o -
"$BITGAP" atlas -q uniform:bits=4,scope=128 q4_k -j 1 -o "$out/a.json"
pass 'bitgap atlas -q uniform:bits=4,scope=128 q4_k -j 1 -o $out/a.json'
"$BITGAP" atlas -q uniform:bits=4,scope=128 q4_k -j 3 -o "$out/b.json"
pass 'bitgap atlas -q uniform:bits=4,scope=128 q4_k -j 3 -o $out/b.json'
cmp "$out/a.json" "$out/b.json" || fail "the atlas depends on the number of threads"
grep -q '"error_bits"' "$out/a.json" || fail "sampled points have no standard error"

"$BITGAP" extract data/austen-3.7m --include 'layers.0' -o "$out/groups.json"
"$BITGAP" curve "$out/groups.json" -q nf4 lloyd:bits=4 -o "$out/curves.json"
"$BITGAP" atlas "$out/groups.json" "$out/curves.json" -q nf4 lloyd:bits=4 -o "$out/atlas.json"
pass 'bitgap atlas $out/groups.json $out/curves.json -q nf4 lloyd:bits=4 -o $out/atlas.json'
grep -q '"spec": "lloyd:bits=4", "tensors": 7, "mean_bits"' "$out/atlas.json" || fail "no residuals of seven tensors"
"$BITGAP" report "$out/groups.json" "$out/curves.json" "$out/atlas.json" -o "$out"
pass 'bitgap report $out/groups.json $out/curves.json $out/atlas.json -o $out'
grep -q '^## Atlas' "$out/report.md" || fail "no section"
grep -q 'the fitted shape alone foretells the gap of \*\*nf4\*\*' "$out/report.md" || fail "no finding"
"$BITGAP" verify "$out/report.html" >/dev/null
pass 'bitgap verify $out/report.html'

expect 2 'give both curves.json and groups.json' "$BITGAP" atlas "$out/curves.json" -q nf4 -o "$out/y"
refused "holds 'atlas'; atlas places" "$BITGAP" atlas "$out/atlas.json" "$out/groups.json" -q nf4 -o "$scratch/out/y"
expect 2 "did you mean" "$BITGAP" atlas -q nf44 -o "$out/y"
