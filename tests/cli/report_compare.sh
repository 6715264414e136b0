# bitgap compare-runs: two runs in one index, agreeing and not; a directory without curves.
source "$(dirname "$0")/lib.bash"

here=$(dirname "$0")/report
mkdir -p "$scratch/a" "$scratch/b<i>"
cp "$here"/*.json "$scratch/a"
cp "$here"/*.json "$scratch/b<i>"
cd "$scratch"
expect 0 'index.html' "$BITGAP" compare-runs a 'b<i>' -o .
grep -q 'the best is the same in all: <strong>ecsq</strong>' index.html || fail 'agreement is not said'
pass 'agreement'
grep -q 'href="a/report.html"' index.html && grep -q 'href="b%3Ci%3E/report.html"' index.html || fail 'no links to the runs'
pass 'links to the runs'
sed -i '/"ecsq/,/gap_bits/s/"gap_bits": 0\.2/"gap_bits": 0.8/' 'b<i>/curves.json'
expect 0 'index.html' "$BITGAP" compare-runs a 'b<i>' -o .
grep -q 'the best is not the same in all: \*\*ecsq\*\* for .*, \*\*kmeans\*\* for' index.md || fail 'disagreement is not said' "$(head -5 index.md)"
pass 'disagreement'
expect 3 'no curves.json here' "$BITGAP" compare-runs a "$scratch" -o .
expect 2 'DIR… is missing|wants 2' "$BITGAP" compare-runs a -o .
