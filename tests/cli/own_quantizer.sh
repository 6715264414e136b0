# Quantizers of one's own: the examples of notebooks/own-quantizer, as programs and shared objects, and every way one can fail:
# its failure is named, the rest of the sweep is there, and the page says what could not run.
source "$(dirname "$0")/lib.bash"

here=./notebooks/own-quantizer
one=(data/austen-3.7m --layers 0 --roles attn.k_proj) # 128 rows of 256 weights
points() { "$BITGAP" curve "${one[@]}" --quiet -q "$@" -o - | grep -oE '"(rate_bits|mse)": [^,]*' | paste -sd' '; }

# ---- the examples ----
cat >"$scratch/copy" <<'END'
#!/bin/sh
cp "$2" "$3"
END
chmod +x "$scratch/copy"
expect 0 '"mse": 0,' "$BITGAP" curve "${one[@]}" -q "exec:cmd=$scratch/copy" -o -
${CC:-cc} -O2 -shared -fPIC -Iquant/grid $here/sign.c -o "$scratch/sign.so"
# One bit, and 32 bits for each row.
expect 0 '"rate_bits": 1\.125,' "$BITGAP" curve "${one[@]}" -q "exec:lib=$scratch/sign.so,bits=1" -o -
${CC:-cc} -O2 $here/ternary.c -o "$scratch/ternary" -lm
# Five values a byte, the last byte short, and 32 bits for each row: 8·(4·128 + ⌈32768/5⌉)/32768.
expect 0 '"rate_bits": 1\.72509765625,' "$BITGAP" curve "${one[@]}" -q "exec:cmd=$scratch/ternary,bits=1.6" -o -
if ${CC:-cc} -O2 -shared -fPIC -Iquant/grid -DMODULE="\"$PWD/$here/ternary.py\"" $here/python.c -o "$scratch/python.so" \
    $(python3-config --includes --ldflags --embed 2>/dev/null) 2>/dev/null; then
    # An interpreter keeps memory until the process ends, which is no leak of ours.
    [ "$(ASAN_OPTIONS=detect_leaks=0 points "exec:lib=$scratch/python.so,bits=1.6")" = "$(points "exec:cmd=$scratch/ternary,bits=1.6")" ] || fail 'C and Python differ'
    pass 'the same quantizer in C and in Python: the same point'
else
    pass 'skipped: no Python to embed (python3-config)'
fi
if python3 -c 'import numpy' 2>/dev/null; then
    ours=$(points uniform:bits=3,scope=channel) its=$(points "exec:cmd=$here/rtn.py,bits=3")
    [ "${ours%% \"mse*}" = "${its%% \"mse*}" ] || fail "rtn.py: $its, not the rate of $ours"
    pass 'rtn.py has the rate of uniform:scope=channel'
else
    pass 'skipped: no NumPy for rtn.py'
fi

# ---- failures ----
cat >"$scratch/bad.c" <<'END'
#include <bitgap_quantizer.h>
#include <stdlib.h>
static int encode(const bitgap_matrix *m, const float *w, uint8_t *stored, size_t room, size_t *bytes)
{
    (void)m, (void)w, (void)stored;
    *bytes = 1;
#if defined CRASH
    abort();
#elif defined HANG
    for (volatile int on = 1; on;)
        ;
#elif defined REFUSE
    return 1;
#elif defined BEYOND
    *bytes = room + 1;
#endif
    return (int)(room == 0);
}
static int decode(const bitgap_matrix *m, const uint8_t *stored, size_t bytes, float *out)
{
    (void)m, (void)stored, (void)bytes, (void)out;
    return 1;
}
const bitgap_quantizer bitgap_quantizer_here = {BITGAP_QUANTIZER_ABI, encode, decode};
END
# lose REASON QUANTIZER: skipped with that reason, beside a point of another quantizer.
lose() {
    expect 0 "" "$BITGAP" curve "${one[@]}" -q "$2" nf4 -o "$scratch/lost.json"
    grep -qE "\"reason\": \"$1" "$scratch/lost.json" || fail "$2: no '$1' in" "$(grep reason "$scratch/lost.json")"
    grep -q '"spec": "nf4", .*"mse"' "$scratch/lost.json" || fail "$2 stopped nf4"
    pass "$1"
}
object() { ${CC:-cc} -O1 -w -shared -fPIC -Iquant/grid "-D$1" "$scratch/bad.c" -o "$scratch/$1.so"; }
program() { printf '#!/bin/sh\n%s\n' "$2" >"$scratch/$1" && chmod +x "$scratch/$1"; }
for how in CRASH HANG REFUSE BEYOND DECODE; do object $how; done
lose 'the program crashed' "exec:lib=$scratch/CRASH.so"
lose 'the program gave no answer within its timeout' "exec:lib=$scratch/HANG.so,timeout=0.3"
for how in REFUSE BEYOND DECODE; do lose 'the program ended with a failure of its own' "exec:lib=$scratch/$how.so"; done
printf 'int unrelated;\n' | ${CC:-cc} -shared -fPIC -x c - -o "$scratch/other.so"
expect 2 'defines no bitgap_quantizer_here' "$BITGAP" curve "${one[@]}" -q "exec:lib=$scratch/other.so,bits=1" -o -
expect 2 'a path begins with \./ or /' "$BITGAP" curve "${one[@]}" -q exec:cmd=notebooks/own-quantizer/rtn.py -o -
program crash 'kill -SEGV $$'
program hang 'sleep 20'
program lie 'cp "$2" "$3"; echo bytes 10'
program other 'if [ "$1" = encode ]; then cp "$2" "$3"; else head -c 100 "$2" >"$3"; fi'
program nothing ':'
lose 'the program crashed' "exec:cmd=$scratch/crash"
lose 'the program gave no answer within its timeout' "exec:cmd=$scratch/hang,timeout=0.3"
lose 'the program claims fewer bytes than it stored' "exec:cmd=$scratch/lie"
lose 'the program decoded no float32 matrix of this shape' "exec:cmd=$scratch/other"
lose 'the program stored nothing' "exec:cmd=$scratch/nothing"
expect 0 'report.html' "$BITGAP" report "$scratch/lost.json" -o "$scratch/page"
grep -q 'the program stored nothing' "$scratch/page/report.html" || fail 'the page does not say what could not run'
pass 'the page says what could not run'
