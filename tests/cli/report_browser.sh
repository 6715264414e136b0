# The page in a browser: no error on the console, nothing from the network, what the script adds, figures with names,
# links that lead somewhere, text that can be read.
source "$(dirname "$0")/lib.bash"

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ] || ! command -v gnuplot >/dev/null; then
    pass 'skipped: chromium or gnuplot is not installed'
    exit 0
fi
here=$(dirname "$0")/report
"$BITGAP" report "$here"/{groups,bounds,curves,gaps}.json -o "$scratch/page" >/dev/null
cp tests/cli/report/probe.js "$scratch/probe.js"
# The probe stands in a copy of the page and writes what it finds into its title and a <pre>.
sed -e '/<\/body>/{r '"$scratch/probe.js" -e 'N}' "$scratch/page/report.html" >"$scratch/page/probe.html"

look() { # look FILE [flags…]: the page as the browser has it; its console in $scratch/console
    local file=$1
    shift
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$scratch/profile" --enable-logging=stderr --v=0 \
        --virtual-time-budget=4000 "$@" --dump-dom "file://$file" 2>"$scratch/console" >"$scratch/dom"
}
look "$scratch/page/probe.html"
if grep -E 'CONSOLE' "$scratch/console"; then fail 'the console is not silent'; fi
pass 'no console error'
probe=$(sed -n '/<pre id="probe">/,/<\/pre>/p' "$scratch/dom")
[ -n "$probe" ] || fail 'the probe did not run' "$(head -c 2000 "$scratch/console")"
if grep -E '^BAD' <<<"$probe"; then fail 'the page has faults'; fi
for claim in requests ids links alt contrast sort filter toggle hover focus 'rows by bits/weight' 'rows by role' 'rows by layer' keyboard origin sources names; do
    grep -q "^ok $claim" <<<"$probe" || fail "nothing said about $claim:" "$probe"
    pass "$(grep "^ok $claim" <<<"$probe" | head -1)"
done
look "$scratch/page/probe.html" --blink-settings=preferredColorScheme=0
grep -q '^ok contrast dark' "$scratch/dom" || fail 'dark:' "$(grep -E '^(BAD|ok contrast)' "$scratch/dom")"
pass 'contrast in dark mode'

# What the fragment says is how the page opens: a curve off, one in front, rows chosen, a table sorted and searched.
cat >"$scratch/state.js" <<'END'
<script>
window.addEventListener("load", () => {
  const all = selector => [...document.querySelectorAll(selector)];
  const facts = {
    off: all(".curve.off").map(g => g.dataset.curve)[0], focus: all(".curve.on").map(g => g.dataset.curve)[0],
    role: all("#controls select")[0].value, sorted: all("th[aria-sort=descending]").length, find: all("input[type=search]")[0].value,
  };
  const pre = document.createElement("pre");
  pre.id = "probe";
  pre.textContent = JSON.stringify(facts);
  document.body.append(pre);
});
</script>
END
sed -e '/<\/body>/{r '"$scratch/state.js" -e 'N}' "$scratch/page/report.html" >"$scratch/page/state.html"
look "$scratch/page/state.html#gap?off=kmeans&focus=ecsq&role=mlp.down_proj&sort=0.2d&find=0.lloyd"
grep -q '{"off":"kmeans","focus":"ecsq","role":"mlp.down_proj","sorted":1,"find":"lloyd"}' "$scratch/dom" ||
    fail 'the page opens in another state:' "$(grep -A1 'id="probe"' "$scratch/dom" | tail -2)"
pass 'the fragment brings the state back'

# Without JavaScript everything is there; on paper too, without the navigation.
cat >"$scratch/plain.js" <<'END'
<script>
document.querySelectorAll("details").forEach(fold => { fold.open = true; });
const lost = [...document.querySelectorAll("table,svg.plot,figcaption,section,main p,nav a")].filter(node => !node.getClientRects().length);
document.title = `lost ${lost.length} of ${document.querySelectorAll("table,svg.plot").length}`;
</script>
END
sed -e '/^<script>$/,/^<\/script>$/d' -e '/<\/body>/{r '"$scratch/plain.js" -e 'N}' "$scratch/page/report.html" >"$scratch/page/plain.html"
look "$scratch/page/plain.html"
grep -qE '<title>lost 0 of [1-9]' "$scratch/dom" || fail 'without its script the page shows less:' "$(grep '<title>' "$scratch/dom" | head -1)"
pass 'without JavaScript'
timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$scratch/profile" --no-pdf-header-footer \
    --print-to-pdf="$scratch/page.pdf" "file://$scratch/page/report.html" 2>/dev/null
[ "$(head -c 5 "$scratch/page.pdf")" = %PDF- ] || fail 'no PDF'
pass 'a PDF'
