# make study: measured once; a template or a word of the configuration renders again what uses it and measures nothing.
source "$(dirname "$0")/lib.bash"

build=$(dirname "$BITGAP")
export BITGAP_TEMPLATES=$scratch/templates
cp -R templates "$BITGAP_TEMPLATES"
cat >"$scratch/small.json" <<'END'
{"title": "Before", "models": "source:gaussian,n=4096", "data": {"test": "$TEST"}, "specs": ["nf4", "lloyd:bits=4"], "metrics": ["gap_bits", "sqnr_db"], "figures": "gap_bits"}
END
page=$scratch/made/studies/small/index.html
again() { make -s study BUILD="$build" OUT="$scratch/made" STUDY="$scratch/small.json" "$@" >"$scratch/said" 2>&1 || fail "$(cat "$scratch/said")"; }
made() { stat -c %y "$1"; }

again
expect 0 'Before' cat "$page"
expect 0 '^\| .test. \| test.txt \|' cat "${page%html}md" # what make was given, by name
first=$(made "$page") measured=$(made "$scratch/made/studies/small/curves.json")
again
[ "$(made "$page")" = "$first" ] || fail 'rendered again without a change'
sleep 0.05
touch "$BITGAP_TEMPLATES/sections/gap.md"
again
[ "$(made "$page")" = "$first" ] || fail 'rendered again for a template it does not use'
touch "$BITGAP_TEMPLATES/figures/study-bars.gp"
again
[ "$(made "$page")" != "$first" ] || fail 'not rendered again for its template'
pass 'templates'
sed -i 's/Before/After/' "$scratch/small.json"
again
expect 0 'After' cat "$page"
[ "$(made "$scratch/made/studies/small/curves.json")" = "$measured" ] || fail 'a new title measured again'
again METHODS='nf4 fp4'
expect 0 '"spec": "fp4"' cat "$scratch/made/studies/small/curves.json"
pass 'what changed'
