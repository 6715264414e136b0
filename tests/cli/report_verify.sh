# bitgap verify: an honest page passes; one changed digit, in number, sentence, figure or document, is named.
source "$(dirname "$0")/lib.bash"

here=$(dirname "$0")/report
page=$scratch/page
fresh() {
    rm -rf "$page" && mkdir "$page" && cp "$here"/*.json "$page"
    "$BITGAP" report "$page"/{groups,bounds,curves,gaps}.json -o "$page" "$@" >/dev/null
}

fresh
expect 0 '[1-9][0-9]+ numbers, the text and the data of [0-9]+ figures agree with 4 documents' "$BITGAP" verify "$page"
expect 0 'agree' "$BITGAP" verify "$page/report.md"
(cd "$page" && expect 0 'agree' "$BITGAP" verify report.html) || fail 'not from its own directory'

fresh --layers 1 --rate 3
expect 0 'agree' "$BITGAP" verify "$page"

fresh --pages
expect 0 'agree' "$BITGAP" verify "$page/layer-1.html"
expect 0 'agree' "$BITGAP" verify "$page/report.html"
grep -q 'rel="prev" href="layer-0.html"' "$page/layer-1.html" && grep -q 'href="report.html#layers"' "$page/layer-1.html" &&
    grep -q 'href="layer-1.html"' "$page/report.html" || fail 'pages of layers are not linked'
pass 'pages of layers know their neighbours'

fresh
sed -i '0,/data-as="sig3"\([^>]*\)>\([0-9]\)\./s//data-as="sig3"\1>9\2./' "$page/report.html"
expect 3 'report.html:[0-9]+: prints 9[0-9.]+ where .* gives [0-9.]+' "$BITGAP" verify "$page/report.html"

fresh
sed -i 's/0\.2546 bit with entropy coding/0.2547 bit with entropy coding/' "$page/report.html"
expect 3 'text line [0-9]+ reads .*0\.2547' "$BITGAP" verify "$page/report.html"

fresh
sed -i '0,/| [0-9]\.[0-9][0-9] |/s//| 7.77 |/' "$page/report.md"
expect 3 'report.md: text line [0-9]+ reads .*7\.77' "$BITGAP" verify "$page"

fresh
sed -i '3s/^[0-9]/9/' "$page/figures/gap-rate.dat"
expect 3 'gap-rate.dat:3: differs from what the documents give' "$BITGAP" verify "$page/report.html"

fresh
sed -i 's/"gap_bits": 0\.25[0-9]*/"gap_bits": 0.35/' "$page/curves.json"
expect 3 'report.html:[0-9]+: prints' "$BITGAP" verify "$page/report.html"

fresh
mkdir "$scratch/elsewhere" && mv "$page"/*.json "$scratch/elsewhere"
expect 3 "made from 'groups.json', which is not beside it" "$BITGAP" verify "$page/report.html"
expect 0 'agree' "$BITGAP" verify "$page" --documents "$scratch/elsewhere"
expect 3 'not a page of bitgap report' "$BITGAP" verify README.md
expect 3 'cannot open' "$BITGAP" verify "$scratch/none.html"
