# make install puts a working program where DESTDIR and PREFIX say, and make uninstall takes all of it away again.
source "$(dirname "$0")/lib.bash"

build=$(dirname "$BITGAP")
make -s install BUILD="$build" DESTDIR="$scratch/root" PREFIX=/usr >"$scratch/said" 2>&1 || fail "$(cat "$scratch/said")"
expect 0 '^bitgap [0-9]' "$scratch/root/usr/bin/bitgap" --version
expect 0 '\.TH BITGAP 1' cat "$scratch/root/usr/share/man/man1/bitgap.1"
expect 0 'complete -o default' cat "$scratch/root/usr/share/bash-completion/completions/bitgap"
bash -n "$scratch/root/usr/share/bash-completion/completions/bitgap" || fail 'the completion is no bash'
# It works from anywhere, with nothing of the source tree: its templates and its header are found where they were installed.
cp tests/cli/report/{groups,bounds,curves,gaps}.json notebooks/own-quantizer/sign.c "$scratch"
cp -R data/austen-0.9m-qwen2 "$scratch/model"
(
    cd "$scratch"
    expect 0 'page/report.html' env -u BITGAP_TEMPLATES root/usr/bin/bitgap report groups.json bounds.json curves.json gaps.json -o page
    ${CC:-cc} -shared -fPIC sign.c -o sign.so \
        $(PKG_CONFIG_SYSROOT_DIR=$scratch/root PKG_CONFIG_PATH=$scratch/root/usr/share/pkgconfig pkg-config --cflags bitgap)
    expect 0 '"rate_bits": ' root/usr/bin/bitgap curve model --layers 0 --roles attn.k_proj -q exec:lib=./sign.so,bits=1 -o -
) || fail 'the installed program does not work elsewhere'
pass 'the installed program works elsewhere'
if command -v man >/dev/null; then
    said=$(LC_ALL=C.UTF-8 man --warnings -l "$scratch/root/usr/share/man/man1/bitgap.1" 2>&1 >/dev/null)
    [ -z "$said" ] || fail 'man complains:' "$said"
    pass 'man has no complaint'
fi
make -s uninstall DESTDIR="$scratch/root" PREFIX=/usr
[ -z "$(find "$scratch/root" -type f)" ] || fail 'left behind:' "$(find "$scratch/root" -type f)"
pass 'make uninstall'
