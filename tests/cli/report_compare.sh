# bitgap compare-runs: two runs in one index, agreeing and not; a directory without curves.
source "$(dirname "$0")/lib.bash"

here=$(dirname "$0")/report
mkdir -p "$scratch/a" "$scratch/b<i>"
cp "$here"/*.json "$scratch/a"
cp "$here"/*.json "$scratch/b<i>"
for run in a 'b<i>'; do
    "$BITGAP" report "$scratch/$run"/{groups,bounds,curves,gaps}.json -o "$scratch/$run" >/dev/null
done
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

# The links lead from the page to the runs, wherever the page lies and wherever the program was run; without a page, no link.
rm -r 'b<i>/report.html'
expect 0 'index.html' "$BITGAP" compare-runs ./a "$scratch/b<i>/" -o deep/down
grep -q 'href="../../a/report.html"' deep/down/index.html || fail 'no way from the page to the run' "$(grep -o 'href="[^"#]*"' deep/down/index.html)"
grep -q 'none made' deep/down/index.md || fail 'a link to a page that is not there'
pass 'links from where the page lies'

# verify makes the index again from the runs' documents.
(cd / && expect 0 'data of 1 figures agree with 2 documents' "$BITGAP" verify "$scratch/deep/down/index.html") || fail 'verify'
expect 0 'agree' "$BITGAP" verify deep/down/index.md
sed -i '0,/<td align="right">[0-9]/s//<td align="right">7/' deep/down/index.html
expect 3 'index.html: text line [0-9]+ reads' "$BITGAP" verify deep/down/index.html
