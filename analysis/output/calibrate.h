/* Calibrating: one walk over a model's layers gathers the second moments of every linear layer's input and writes them
 * to a side file as it goes. In memory: one layer's weights and the triangles of its moments (those of the folds in
 * float32), one block of samples, and of the samples' hidden states so much as is allowed; the rest of them in a
 * temporary file. */
#ifndef BG_ANALYSIS_OUTPUT_CALIBRATE_H
#define BG_ANALYSIS_OUTPUT_CALIBRATE_H

#include "analysis/output/calibration.h"
#include "analysis/model/model.h"

typedef struct bg_calibrate_options {
    int64_t samples;           /* windows of the text, drawn without replacement; 0: all */
    int length;                /* tokens of each */
    const bg_spec *sequential; /* later layers see what earlier ones, quantized so, put out; NULL: the model as it is */
    int folds;                 /* consecutive parts of the samples whose moments are kept too; 0: none */
    int64_t fold_cols;         /* of inputs up to this width */
    uint64_t
        states_bytes; /* hidden states that may stay in memory; more go to a file (analysis/output/hidden_states.h) */
    uint64_t seed;
} bg_calibrate_options;

/* Where a linear layer's statistics stand. */
typedef struct bg_calibrated {
    const bg_linear *linear, *shares; /* shares: the first layer with the same input; itself for that one */
    uint64_t offset;
    int64_t tokens; /* that reached it: all, or those that an expert was chosen for; 0: none, and `linear` is NULL */
    int folds;
    double trace, mean_abs, max_abs; /* trace(Σ), mean of E|x_i|, largest |x_i| */
} bg_calibrated;

typedef struct bg_calibrate_result {
    bg_calibrated *layers; /* [model->n_linears]; malloc'ed */
    int64_t samples, tokens;
    uint64_t side_bytes;
} bg_calibrate_result;

/* ids[0..n): the text. Writes the side file to `side`. The model must not be resident: under `sequential` its layers
 * are changed before they are dropped. */
int bg_calibrate(bg_model *m, const int32_t *ids, int64_t n, const bg_calibrate_options *o, bg_out *side,
                 bg_calibrate_result *out, bg_err *e);

#endif
