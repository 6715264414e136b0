#!/usr/bin/env bash
# The C library may define the functions that keep a const qualifier (bsearch, strchr, …) as macros, as glibc 2.43 does:
# a compound literal with a comma among their arguments is then too many arguments. The preprocessor says so.
. "$(dirname "$0")/lib.bash"
cd "$(dirname "$0")/../.."
macros=('-Dbsearch(a,b,c,d,e)=(bsearch)(a,b,c,d,e)' '-Dmemchr(a,b,c)=(memchr)(a,b,c)')
for name in strchr strrchr strpbrk strstr; do macros+=("-D$name(a,b)=($name)(a,b)"); done

flags=$(pkg-config --cflags gsl lapacke openblas libcjson libpcre2-8 libutf8proc libcmark-gfm nettle)
preprocess() { # shellcheck disable=SC2086 # words
    ${CC:-cc} -std=gnu17 -E -w -I. $flags "${macros[@]}" "$1" >/dev/null
}

printf '#include <stdlib.h>\nstruct s { int a, b; };\nvoid *f(void);\nvoid *f(void) { return bsearch(&(struct s){1, 2}, 0, 0, 0, 0); }\n' >"$scratch/bad.c"
! preprocess "$scratch/bad.c" 2>"$scratch/said" || fail "the check itself sees nothing"
pass "a compound literal with a comma is refused"

grep -rlE '\b(bsearch|memchr|strchr|strrchr|strpbrk|strstr)\(' --include='*.c' io quant analysis reports bitgap.c tests |
    while read -r file; do
        preprocess "$file" 2>"$scratch/said" || fail "$file" "$(head -5 "$scratch/said")"
    done
pass "no file depends on them being functions"
