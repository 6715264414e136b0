# make report: a model that cannot be run gets a page that says why; two models of one name get a directory each.
source "$(dirname "$0")/lib.bash"

build=$(dirname "$BITGAP")
fast="SPECS=nf4 PARTS=nf4 BUILD=$build"

# What the makefile would do, without doing it.
would() { make -n "$@" BUILD="$build" 2>&1; }

# Objects have one name whether BUILD is absolute or not; else make forgets which headers they were made from.
expect 0 " -c -o ${build#"$PWD"/}/bitgap.o bitgap.c" would V=1 -W bitgap.c

mkdir -p "$scratch/a/x" "$scratch/b/x"
for model in a b; do
    matrix "$scratch/$model/x/model.safetensors" model.layers.0.mlp.up_proj.weight 16 32 3f80 bf00 3e80 c000 3dcc
    echo '{"model_type": "unheard-of", "architectures": ["UnheardOfForCausalLM"]}' >"$scratch/$model/x/config.json"
done
expect 1 'unheard-of' "$BITGAP" can-run "$scratch/a/x"
expect 0 '' "$BITGAP" can-run data/austen-3.7m
expect 1 '' "$BITGAP" can-run source:gaussian,n=4096
expect 3 'nowhere' "$BITGAP" can-run "$scratch/nowhere"

# shellcheck disable=SC2086 # settings, a word each
make -s report MODEL="$scratch/a/x" OUT="$scratch/page" $fast >"$scratch/said" 2>&1 || fail "$(tail -20 "$scratch/said")"
expect 0 'cannot run it: .*unheard-of' cat "$scratch/page/report.md"

# A tree of its own, so that its out/ is not this one's.
mkdir -p "$scratch/tree/data"
cp -a Makefile io quant analysis reports bitgap.c templates notebooks "$scratch/tree" && cp -a data/text data/published "$scratch/tree/data"
cd "$scratch/tree"
[[ $build = /* ]] || build=$OLDPWD/$build
mkdir -p out/x && echo "$scratch/a/x" >out/x/model
expect 0 'extract .*/a/x .*-o out/x/groups.json' would out/x/groups.json MODEL="$scratch/a/x"
expect 0 '^out/x-[0-9a-f]{8}/report.html|echo "out/x-[0-9a-f]{8}/report.html"' would report MODEL="$scratch/b/x"
