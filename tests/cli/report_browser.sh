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
for claim in requests ids links alt contrast sort filter toggle hover origin; do
    grep -q "^ok $claim" <<<"$probe" || fail "nothing said about $claim:" "$probe"
    pass "$(grep "^ok $claim" <<<"$probe" | head -1)"
done
look "$scratch/page/probe.html" --blink-settings=preferredColorScheme=0
grep -q '^ok contrast dark' "$scratch/dom" || fail 'dark:' "$(grep -E '^(BAD|ok contrast)' "$scratch/dom")"
pass 'contrast in dark mode'
