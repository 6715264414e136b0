/* Calibrations: calibration.json and its side file, as other stages read them.
 *
 *     bg_calibration *k;
 *     if (!bg_calibration_open("calibration.json", ckpt, &k, provenance, &e)) {
 *         bg_matrix m = …;
 *         bg_calibration_dress(k, tensor, &m, &e);   // m.second_moment, mean_abs, max_abs
 *         bg_calibration_close(k);
 *     }
 *
 * The side file holds, for every distinct input of a linear layer, little-endian doubles: C means of |x_i|, C largest
 * |x_i|, then the lower triangle of Σ = E[xxᵀ] row by row, C(C+1)/2, then, in float32, the same triangle of each fold
 * (a consecutive part of the text). Layers that read the same input (q, k, v; gate, up) share one.
 */
#ifndef BG_ANALYSIS_OUTPUT_CALIBRATION_H
#define BG_ANALYSIS_OUTPUT_CALIBRATION_H

#include "analysis/output/activations.h"
#include "io/checkpoints/checkpoint.h"
#include "quant/engine/quantize.h"

typedef struct bg_calibration bg_calibration;

/* Opens a calibration and checks it: the document, its side file's size and sha256, and, with a checkpoint (NULL: any),
 * that it was made of this model. BG_INPUT says what is wrong and which stage to run again. */
int bg_calibration_open(const char *path, const bg_ckpt *c, bg_calibration **out, bg_provenance *p, bg_err *e);
void bg_calibration_close(bg_calibration *k);

/* Statistics of a tensor's input: *out is the caller's to free. BG_INPUT when the calibration lacks it or its width is
 * not `cols`. Thread-safe. */
int bg_calibration_load(const bg_calibration *k, const char *tensor, int64_t cols, bg_activations *out, bg_err *e);
/* Where the tensor's statistics begin in the side file: equal for tensors that read the same input. −1: it has none. */
int64_t bg_calibration_place(const bg_calibration *k, const char *tensor);
/* The folds of a tensor's input, as above; out->n is 0 where none were kept. */
int bg_calibration_load_folds(const bg_calibration *k, const char *tensor, int64_t cols, bg_folds *out, bg_err *e);

/* Gives a matrix the statistics of its tensor's input; a tensor that the calibration does not have (an embedding) is
 * left as it is. The arrays live in k until the next call or its end: one thread at a time. Fits bg_curve_dress. */
int bg_calibration_dress(void *k, const bg_tensor *t, bg_matrix *m, bg_err *e);

/* What tells one model's tensor from another's without reading it all: sha256 of its name, shape and first row (as
 * float32). It must have a row. */
int bg_calibration_tensor_hash(const bg_tensor *t, bg_sha256 *out, bg_err *e);

#endif
