/* Mixed precision: a spec for each tensor, by name.
 *
 * Read from an allocation (bitgap allocate), or from lines of text, `PATTERN SPEC`: the first pattern (PCRE2,
 * unanchored) that matches a tensor's name decides; `#` begins a comment.
 */
#ifndef BG_ANALYSIS_CONVERSION_RECIPE_H
#define BG_ANALYSIS_CONVERSION_RECIPE_H

#include "io/documents/document.h"
#include "quant/parser/parser.h"

typedef struct bg_recipe bg_recipe;

/* BG_INPUT names the line or row that is wrong. */
int bg_recipe_read(const char *path, bg_recipe **out, bg_provenance *p, bg_err *e);
/* From n names and as many spec texts. */
int bg_recipe_make(const char *name, const char *const *tensors, const char *const *specs, int n, bg_recipe **out,
                   bg_err *e);
void bg_recipe_free(bg_recipe *m);

/* The file's base name, or the name it was made with. */
const char *bg_recipe_name(const bg_recipe *m);
/* The spec of a tensor, valid as long as m; NULL: it keeps its weights. Thread-safe. */
const bg_spec *bg_recipe_spec(const bg_recipe *m, const char *tensor);

#endif
