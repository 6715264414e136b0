# Notebooks: commands come out as a script, numbers come in from documents, a question without an answer names its line.
source "$(dirname "$0")/lib.bash"

export OUT=$scratch/out PATH="$(dirname "$BITGAP"):$PATH"
mkdir "$OUT"
book=$scratch/book.md
ask() { printf '# Title\n\n## One\n\n%s\n' "$1" >"$book"; }

cat >"$book" <<'END'
# A & <B>

## First

```sh
bitgap curve source:gaussian -q lloyd:bits=2/3 -o "$OUT/mine.json"
echo 'said <here> ```'
```

Text {{mean mse over lloyd:bits=2 as plain}} and `code`.
Difference {{mean gap_bits over lloyd:bits=3 minus mean gap_bits over lloyd:bits=2 as signed}}.

{{table spec bits mse of mine.points by mse first 1}}

{{table spec gap_bits:percent rate_bits:plain of mine.points where bits is 2}}
END
expect 0 '^set -eu' "$BITGAP" notebook "$book" --commands
"$BITGAP" notebook "$book" --commands -o "$OUT/commands"
sh "$OUT/commands"
expect 0 '' "$BITGAP" notebook "$book" "$OUT/mine.json" -o "$OUT" --name page
expect 0 'Text 0\.117482 and' cat "$OUT/page.md"
expect 0 'Difference \+0\.117' cat "$OUT/page.md"
expect 0 '^\| `lloyd:bits=3` \| 3 \|' cat "$OUT/page.md"
[ "$(grep -c '^| `lloyd:bits=2` |' "$OUT/page.md")" = 1 ] || fail 'first 1 gave two rows'
expect 0 '^\| spec \| gap_bits \(%\) \| rate_bits' cat "$OUT/page.md"
expect 0 '^\| `lloyd:bits=2` \| 45.5 \| 2 \|' cat "$OUT/page.md"
expect 0 'said &lt;here&gt; ```' cat "$OUT/page.html"
expect 0 '<title>A &amp; &lt;B&gt;' cat "$OUT/page.html"
cp "$OUT/page.html" "$scratch/before.html"
"$BITGAP" notebook "$book" "$OUT/mine.json" -o "$OUT" --name page
cmp "$OUT/page.html" "$scratch/before.html" || fail 'the same notebook, other bytes'
pass 'twice the same bytes'

expect 0 '[0-9]+ numbers, agreeing with 1 documents' "$BITGAP" verify "$OUT/page.html"
sed -i 's/>0\.117482</>0.117483</' "$OUT/page.html"
expect 3 'prints 0.117483 where' "$BITGAP" verify "$OUT/page.html"

while IFS='|' read -r question answer; do
    ask "$question"
    expect 3 "book.md:5: .*$answer" "$BITGAP" notebook "$book" "$OUT/mine.json" -o "$OUT" --name bad
done <<'END'
{{mean mse over lloyd:bits=7}}|no points .*did you mean lloyd
{{mse of other.points}}|no document 'other'
{{mse of mine.pints}}|no section 'pints'
{{mze of mine.points where spec is lloyd:bits=2}}|did you mean mse
{{mse of mine.points}}|2 rows
{{mse of mine.points where spec was lloyd}}|is no condition
{{mse of mine.points where speck is lloyd}}|did you mean spec
{{mse of mine.points where spec is lloyd:bits=2 as sing}}|did you mean sig
{{mse of mine.points where spec is lloyd:bits=2 please}}|'please'
{{table spec of mine.points where bits is 9}}|no rows
{{section overvew}}|did you mean overview
{{table spec mse:sig4 of mine.points}}|no style 'sig4', did you mean sig3
{{figure weights}}|no figure 'weights'
{{table of mine.points}}|a table wants
{{}}|empty placeholder
{{mse|does not end
END
[ ! -e "$OUT/bad.html" ] || fail 'a page with unanswered questions was written'
pass 'no page with unanswered questions'
