/* Functional measurement: what replacing weights does to the predictions, for many trials in one walk over the layers.
 *
 * Base and trials go through the text together, layer by layer: a layer's weights are read once, quantized once for
 * each spec, used by every trial that wants them, and dropped. A trial costs one forward pass (less, when it differs
 * only from some layer on) and one copy of the hidden states; logits are compared a block of rows at a time and never
 * kept.
 */
#ifndef BG_ANALYSIS_OUTPUT_OUTPUT_DIFFERENCE_H
#define BG_ANALYSIS_OUTPUT_OUTPUT_DIFFERENCE_H

#include "analysis/output/corpus.h"
#include "analysis/output/divergence.h"
#include "analysis/conversion/recipe.h"
#include "analysis/model/model.h"
#include "quant/engine/quantize.h"

typedef struct bg_trial {
    /* what is asked for */
    const bg_spec *spec;     /* quantize with it; trials that share one stand together and name the same object */
    const bg_recipe *recipe; /* or each tensor with its own */
    bg_model *candidate;     /* another checkpoint of the same vocabulary instead; NULL: the base */
    bg_precision precision;  /* of its products */
    double noise;     /* ≠ 0, without a spec: w + noise·rms(w)·g, g standard normal; −noise is its mirror image */
    int layer;        /* −1: every layer */
    const char *role; /* NULL: every role; a tensor's name is its layer and role */
    int embeddings;   /* the embedding and the output matrix too */
    int activation_bits;   /* > 0: the layers' inputs are rounded per token too (bg_pass); 0: as the spec says */
    float activation_keep; /* > 0: but for columns that reach this */

    /* what was found */
    const char *skipped; /* why its spec cannot run; then nothing below is set */
    const char *skipped_tensor;
    int tensors;
    double weights, bits;   /* of the changed tensors; bits NaN where there is no rate */
    double squared, energy; /* Σ (w − ŵ)², Σ w² of them */
    double *relative; /* [base->n_linears] ‖W − Ŵ‖²/‖W‖² of each tensor, 0 where unchanged; bg_trials_free */
    bg_token *tokens; /* [tokens of the corpus], bg_trials_free */
    bg_information info;
} bg_trial;

typedef struct bg_functional_options {
    uint64_t seed;
    /* Adds what a calibrated spec needs to m (second moment, magnitudes) of this layer; NULL without calibration. */
    int (*calibration)(void *self, const bg_linear *l, bg_matrix *m, bg_err *e);
    void *self;
    uint64_t hidden_bytes; /* budget of hidden states; 0: 2 GiB. Trials beyond it wait for another walk of the base */
} bg_functional_options;

/* Measures n trials against the base on the corpus; fills what was found. Trials of one spec must stand together. */
int bg_functional_run(bg_model *base, const bg_corpus *t, bg_trial *v, int n, const bg_functional_options *o,
                      bg_err *e);
void bg_trials_free(bg_trial *v, int n);

/* Does this trial change this layer's weights? */
int bg_trial_changes(const bg_trial *v, const bg_linear *l);
/* The spec it does it with; NULL: none. */
const bg_spec *bg_trial_spec(const bg_trial *v, const bg_linear *l);

#endif
