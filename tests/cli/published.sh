# published: the closed-form tables hold to their printed digits; a wrong value is found, a recalled one refused.
source "$(dirname "$0")/lib.bash"
tables="data/published/max1960.json data/published/lloyd_other_laws.json data/published/ecsq.json"

expect 0 '"inside": true' "$BITGAP" published $tables -o -
! grep -q '"inside": false' "$scratch/said" || fail "a case is outside its tolerance"
pass "no case outside"

one='{"title": "t", "citation": "c", "cases": [{"source": "source:gaussian", "spec": "lloyd:bits=2", "quantity": "mse", "value": %s, "tolerance": 1e-5, "grade": "%s"}]}'
printf "$one" 0.1175818 C >"$scratch/wrong.json"
expect 1 '1 of 1 cases outside' "$BITGAP" published "$scratch/wrong.json" -o "$scratch/p.json"
expect 0 'OUTSIDE' bash -c "$BITGAP published $scratch/wrong.json -o $scratch/p.json || true"
printf "$one" 0.1174818 R >"$scratch/recalled.json"
refused 'grade is P' "$BITGAP" published "$scratch/recalled.json" -o "$scratch/out/p.json"
printf '{"title": "t", "citation": "c", "cases": []}' >"$scratch/empty.json"
refused 'no cases' "$BITGAP" published "$scratch/empty.json" -o "$scratch/out/p.json"

# Grade B: between two values, and only there.
between='{"title": "t", "citation": "c", "cases": [{"source": "source:gaussian", "spec": "lloyd:bits=2", "quantity": "mse", "least": %s, "most": 0.2, "grade": "%s"}]}'
printf "$between" 0.0625 B >"$scratch/between.json"
expect 0 '"inside": true' "$BITGAP" published "$scratch/between.json" -o -
printf "$between" 0.0625 C >"$scratch/other.json"
refused 'with grade B and with no other' "$BITGAP" published "$scratch/other.json" -o "$scratch/out/p.json"
