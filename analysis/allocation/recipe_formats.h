/* Recipes: an allocation written as other engines read it. */
#ifndef BG_ANALYSIS_ALLOCATION_RECIPE_FORMATS_H
#define BG_ANALYSIS_ALLOCATION_RECIPE_FORMATS_H

#include "io/documents/document.h"

typedef struct bg_recipe_row {
    const char *tensor, *role; /* Hugging Face name and role */
    int layer;
    double bits;    /* nominal index bits */
    int group_size; /* weights that share a scale; 0: a row or the tensor */
    int symmetric;  /* no zero points */
} bg_recipe_row;

/* Writes the section `recipes`: for llama.cpp (options of llama-quantize), exllamav3 (a file for util/recompile.py -or,
 * over models converted at whole bits), AutoRound (layer_config in JSON) and llm-compressor (a recipe in YAML), a row a
 * line. A tensor whose role an engine does not know is left to its default. */
void bg_recipes_write(const bg_recipe_row *rows, int n, bg_doc *d);

#endif
