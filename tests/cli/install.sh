# make install puts a working program where DESTDIR and PREFIX say, and make uninstall takes all of it away again.
source "$(dirname "$0")/lib.bash"

build=$(dirname "$BITGAP")
make -s install BUILD="$build" DESTDIR="$scratch/root" PREFIX=/usr >"$scratch/said" 2>&1 || fail "$(cat "$scratch/said")"
expect 0 '^bitgap [0-9]' "$scratch/root/usr/bin/bitgap" --version
expect 0 '\.TH BITGAP 1' cat "$scratch/root/usr/share/man/man1/bitgap.1"
expect 0 'complete -o default' cat "$scratch/root/usr/share/bash-completion/completions/bitgap"
bash -n "$scratch/root/usr/share/bash-completion/completions/bitgap" || fail 'the completion is no bash'
make -s uninstall DESTDIR="$scratch/root" PREFIX=/usr
[ -z "$(find "$scratch/root" -type f)" ] || fail 'left behind:' "$(find "$scratch/root" -type f)"
pass 'make uninstall'
