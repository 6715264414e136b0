# What every script here starts with: a scratch directory, and cases that say what a user typed and what came back.
set -euo pipefail
: "${BITGAP:?is the program under test; make test sets it}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

pass() { printf '[       OK ] %s\n' "$1"; }
fail() { printf '%s\n' "$@"; exit 1; }

# expect STATUS PATTERN COMMAND…: the command ends with this status and its output (both streams) matches the extended
# regular expression; leaves the output in $scratch/said.
expect() {
    local status=$1 pattern=$2 got=0
    shift 2
    "$@" >"$scratch/said" 2>&1 </dev/null || got=$?
    [ "$got" -eq "$status" ] || fail "$*" "status $got, not $status:" "$(head -c 2000 "$scratch/said")"
    grep -qE -- "$pattern" "$scratch/said" || fail "$*" "says nothing like '$pattern':" "$(head -c 2000 "$scratch/said")"
    pass "$* -> $status"
}

# refused PATTERN COMMAND…: bad input. Status 3, one line for the user, and no file left behind in $scratch/out.
refused() {
    local pattern=$1
    shift
    rm -rf "$scratch/out" && mkdir "$scratch/out"
    expect 3 "$pattern" "$@"
    [ "$(grep -c '^bitgap: ' "$scratch/said")" -eq 1 ] || fail "$*" "not one line:" "$(cat "$scratch/said")"
    [ -z "$(ls -A "$scratch/out")" ] || fail "$*" "left behind: $(ls -A "$scratch/out")"
}
