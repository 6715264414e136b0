/* What a recipe costs when the model runs with it, beside one spec for all tensors that may spend as many bits. */
#ifndef BG_ANALYSIS_ALLOCATION_RECIPE_TRIAL_H
#define BG_ANALYSIS_ALLOCATION_RECIPE_TRIAL_H

#include "analysis/output/output_difference.h"

typedef struct bg_recipe_trial {
    double recipe_bits, uniform_bits; /* of the tensors named, as measured */
    bg_sample_mean recipe, uniform;   /* KL against the model as it is, nats a token */
    bg_sample_mean difference;        /* recipe − uniform, token by token */
    int64_t tokens;
} bg_recipe_trial;

/* Which model runs over which text, and the two ways of quantizing its tensors that are compared. */
typedef struct bg_recipe_comparison {
    const char *model, *text;
    int64_t windows; /* the first of the text; 0: all */
    int n;
    const char *const *tensors, *const *specs; /* [n] the recipe */
    const char *uniform;                       /* the spec of all n tensors beside it */
} bg_recipe_comparison;

/* Runs the model under the recipe and under the uniform spec. Specs that need a calibration cannot run. */
int bg_recipe_measure(const bg_recipe_comparison *x, bg_provenance *p, bg_recipe_trial *out, bg_err *e);

#endif
