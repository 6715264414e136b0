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
    [ -z "$pattern" ] || grep -qE -- "$pattern" "$scratch/said" || fail "$*" "says nothing like '$pattern':" "$(head -c 2000 "$scratch/said")"
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

# little N VALUE: VALUE as N bytes, lowest first.
little() {
    local i value=$2
    for ((i = 0; i < $1; i++)); do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\x$(printf %02x $((value & 255)))"
        value=$((value >> 8))
    done
}

# safetensors FILE HEADER: the header with its length, then the data on standard input.
safetensors() {
    { little 8 ${#2} && printf '%s' "$2" && cat; } >"$1"
}

# numbers N VALUE…: N float32 weights as bytes (4 hex digits each as BF16 with two zero bytes below), repeating the values.
bf16() {
    local i n=$1
    shift
    local values=("$@")
    for ((i = 0; i < n; i++)); do
        little 2 $((16#${values[i % ${#values[@]}]}))
    done
}

# matrix FILE NAME ROWS COLS VALUE…: one BF16 matrix.
matrix() {
    local file=$1 name=$2 rows=$3 cols=$4
    shift 4
    bf16 $((rows * cols)) "$@" |
        safetensors "$file" "{\"$name\":{\"dtype\":\"BF16\",\"shape\":[$rows,$cols],\"data_offsets\":[0,$((2 * rows * cols))]}}"
}
