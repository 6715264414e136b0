/* Mixed precision: lines of patterns and specs, or an allocation. Seeds: tests/fuzz/seeds/recipe/?* */
#include "analysis/conversion/recipe.h"
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    bg_err e = {0};
    bg_recipe *m = NULL;
    fuzz_path(path, ".txt");
    put_file(path, data, size);
    if (!bg_recipe_read(path, &m, NULL, &e)) {
        bg_recipe_spec(m, "model.layers.0.mlp.down_proj.weight");
        bg_recipe_free(m);
    }
    unlink(path);
    return 0;
}
