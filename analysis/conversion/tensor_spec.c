/* Owns the question which tensors are quantized, and by which spec. */
#include "analysis/conversion/layout.h"

#include <string.h>

int bg_is_layer_matrix(const bg_tensor *t)
{
    size_t n = strlen(t->name);
    return t->is_linear && t->layer >= 0 && n > 7 && !strcmp(t->name + n - 7, ".weight");
}

const bg_spec *bg_quantize_spec(const bg_quantize_options *o, const bg_tensor *t)
{
    const bg_spec *s = o->recipe && bg_is_layer_matrix(t) ? bg_recipe_spec(o->recipe, t->name) : NULL;
    return s ? s : bg_is_layer_matrix(t) ? o->spec : NULL;
}
