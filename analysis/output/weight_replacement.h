/* A variant of a model: its linear layers replaced by what a spec reconstructs, and the bits that would store them.
 *
 *     bg_replace v;
 *     bg_replace_make(model, &spec, NULL, seed, &v, &e);
 *     bg_pass pass = bg_replace_pass(&v);
 *     bg_model_forward(model, &batch, &pass, …);
 *     bg_replace_free(&v);
 */
#ifndef BG_ANALYSIS_OUTPUT_WEIGHT_REPLACEMENT_H
#define BG_ANALYSIS_OUTPUT_WEIGHT_REPLACEMENT_H

#include "analysis/output/calibration.h"
#include "analysis/model/model.h"
#include "quant/engine/quantize.h"

typedef struct bg_replace {
    float **weights;      /* by bg_linear.index, [n]; NULL where the model's own stay */
    float **input_scales; /* [n] what a transform divides their inputs by; NULL: 1 */
    int activation_bits;  /* the spec's, for bg_pass */
    float activation_keep;
    int n;
    double count;        /* weights replaced */
    double bits;         /* that would store them, everything counted */
    double stored_bytes; /* that store them in the checkpoint */
    double sse;          /* Σ (w − ŵ)² */
    int skipped;         /* layers the spec could not run on; the first reason */
    const char *reason;
} bg_replace;

/* Quantizes every linear layer inside the layers; the model must be loaded. `calibration` may be NULL. A layer that the
 * spec cannot run on keeps its weights and is counted in `skipped` (and in count and bits as stored). */
int bg_replace_make(const bg_model *m, const bg_spec *s, bg_calibration *calibration, uint64_t seed, bg_replace *out,
                    bg_err *e);
void bg_replace_free(bg_replace *v);
/* The pass that runs the model as this variant: its weights, its inputs rounded as its spec says. */
bg_pass bg_replace_pass(const bg_replace *v);

#endif
