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

/* Runs a model over the first `windows` windows of a text (0: all) under the recipe and under the spec on the same n
 * tensors. Specs that need a calibration cannot run. */
int bg_recipe_measure(const char *model, const char *text, int64_t windows, const char *const *tensors,
                      const char *const *specs, int n, const char *uniform, bg_provenance *p, bg_recipe_trial *out,
                      bg_err *e);

#endif
