# bitgap report: its files, hostile names, templates with mistakes, documents of another schema, no gnuplot.
source "$(dirname "$0")/lib.bash"

here=$(dirname "$0")/report
documents="$here/groups.json $here/bounds.json $here/curves.json $here/gaps.json"

expect 0 'report.html' "$BITGAP" report $documents -o "$scratch/page"
for file in report.md report.html report.csv; do [ -s "$scratch/page/$file" ] || fail "no $file"; done
pass 'three files'
[ "$(wc -l <"$scratch/page/report.csv")" -eq 65 ] || fail 'report.csv does not hold 64 points'
pass 'every point in the CSV'

# The Markdown is for reading: of a long table its first rows and where the rest is; the page has every row.
sed 's/.*/| x |/' <(seq 60) >"$scratch/rows"
{ printf '# Long\n\n## One\n\n| a |\n|---|\n' && cat "$scratch/rows"; } >"$scratch/long.md"
"$BITGAP" notebook "$scratch/long.md" "$here/groups.json" -o "$scratch/long" --name long
[ "$(grep -c '^| x |' "$scratch/long/long.md")" -eq 8 ] && grep -q 'first 8 of 60 rows' "$scratch/long/long.md" &&
    [ "$(grep -c '<td>x</td>' "$scratch/long/long.html")" -eq 60 ] || fail 'a long table is not shortened:' "$(cat "$scratch/long/long.md")"
pass 'long tables are short in Markdown'

# Names with markup, quotes, pipes and commands stay names.
html=$scratch/page/report.html
if grep -q '<script>alert' "$html" "$scratch"/page/figures/*.svg; then fail 'markup of a name came through'; fi
grep -q '&lt;script&gt;alert(1)&lt;/script&gt;|x' "$html" || fail 'the hostile name is not shown'
pass 'markup in names is text'
if grep -nE '<(link|script|img|iframe|object)[^>]* (src|href)=|url\((http|//)|@import' "$html" | grep -v 'href="data:,"'; then
    fail 'the page asks for something outside'
fi
pass 'nothing from outside'
twice=$(grep -oE " id=['\"][^'\"]*['\"]" "$html" | tr -d "'\"" | sort | uniq -d)
[ -z "$twice" ] || fail "ids that stand twice:" "$twice"
pass 'ids are unique'

if command -v gnuplot >/dev/null; then
    [ "$(grep -c '<svg ' "$html")" -ge 6 ] || fail 'figures are missing'
    grep -q 'role="img"' "$html" || fail 'no role on figures'
    (cd "$scratch/page/figures" && rm rate-distortion.svg && gnuplot rate-distortion.gp && [ -s rate-distortion.svg ]) ||
        fail 'rate-distortion.gp does not run again'
    pass 'a reader can run a figure again'
fi

# The same documents give the same bytes.
expect 0 'report.html' "$BITGAP" report $documents -o "$scratch/again"
cmp "$scratch/page/report.md" "$scratch/again/report.md" && cmp "$html" "$scratch/again/report.html" || fail 'two runs differ'
pass 'twice the same bytes'

# Without gnuplot: tables, and words where a drawing would be.
mkdir "$scratch/empty"
expect 0 'gnuplot was not found' env PATH="$scratch/empty" "$BITGAP" report $documents -o "$scratch/plain"
grep -q 'This figure is missing: gnuplot was not found' "$scratch/plain/report.html" || fail 'the page does not say what is missing'
grep -q 'This figure is missing' "$scratch/plain/report.md" || fail 'the Markdown does not say what is missing'
pass 'no gnuplot: tables and words'

# A gnuplot that fails ends the report; the page that was there stays.
mkdir "$scratch/failing" && printf '#!/bin/sh\nexit 1\n' >"$scratch/failing/gnuplot" && chmod +x "$scratch/failing/gnuplot"
before=$(sha256sum <"$scratch/page/report.html")
expect 4 'figure .*: gnuplot could not draw' env PATH="$scratch/failing:$PATH" "$BITGAP" report $documents -o "$scratch/page"
[ "$(sha256sum <"$scratch/page/report.html")" = "$before" ] || fail 'a failing gnuplot costs the page'
pass 'a failing gnuplot: the old page stays'

# A part of the documents gives a part of the page.
expect 0 'report.html' "$BITGAP" report "$here/groups.json" -o "$scratch/part"
grep -q 'id="weights"' "$scratch/part/report.html" || fail 'no section of weights'
if grep -q 'id="gap"' "$scratch/part/report.html"; then fail 'a section without its document'; fi
pass 'sections follow documents'
expect 0 'report.html' "$BITGAP" report $documents --layers 1 --roles mlp.down_proj -o "$scratch/layer"
[ "$(wc -l <"$scratch/layer/report.csv")" -eq 17 ] || fail 'the filter lets other points through'
pass 'a page of one layer and role'

# Mistakes: one line, status, nothing left.
cp -R templates "$scratch/templates"
echo '{{referenc}}' >>"$scratch/templates/sections/gap.md"
expect 3 "gap.md:[0-9]+: unknown name 'referenc', did you mean reference\?" \
    "$BITGAP" report $documents --templates "$scratch/templates" -o "$scratch/bad"
[ ! -e "$scratch/bad/report.html" ] || fail 'half a page was written'
expect 3 'no such directory of templates' "$BITGAP" report $documents --templates "$scratch/none" -o "$scratch/bad"
sed 's/"schema": 1/"schema": 0/' "$here/gaps.json" >"$scratch/old.json"
expect 3 'schema gaps/0, this program reads gaps/[0-9]+; re-run bitgap gap' "$BITGAP" report "$scratch/old.json" -o "$scratch/bad"
expect 3 'cannot open' "$BITGAP" report "$scratch/missing.json" -o "$scratch/bad"
expect 2 'whole numbers separated by commas' "$BITGAP" report $documents --layers 1,x -o "$scratch/bad"
expect 2 'file name without a directory' "$BITGAP" report $documents --name ../x -o "$scratch/bad"
