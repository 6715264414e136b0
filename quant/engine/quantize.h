/* Quantizing a matrix by a spec, and measuring the result. */
#ifndef BG_QUANT_ENGINE_QUANTIZE_H
#define BG_QUANT_ENGINE_QUANTIZE_H

#include "quant/parser/parser.h"
#include "quant/scope/scope.h"

enum { BG_SHOWN = 16 }; /* points of a grid that a measure can show */

/* ---- the result of one spec on one tensor ---- */
typedef struct bg_measure {
    double count;         /* weights (1 for a density) */
    double mse;           /* mean squared error per weight, original units */
    double sigma2;        /* variance of the weights about their mean (of a sweep; bg_reconstruct leaves it 0) */
    double max_error;     /* largest |w − ŵ|; NaN for a density */
    double max_relative;  /* largest |w − ŵ| over the largest |w| of the tensor; NaN for a density */
    double clipped;       /* share of weights beyond the outermost level by more than half a step */
    double index_entropy; /* bits per weight of the stored indices, order 0 (steps=water: by their laws); NaN when not
                             counted */
    double rate_bits;     /* bits per weight, everything counted */
    bg_rate rate;
    double output_mse;      /* tr((W−Ŵ)Σ(W−Ŵ)ᵀ)/R with calibration; NaN without */
    double babai_bound;     /* what error feedback can at most lose of it while nothing clips; 0: not known */
    double mean;            /* of the weights, with sigma2 */
    int points;             /* scalar grids of at most BG_SHOWN points, on a sweep: how many levels[] holds; else 0 */
    float levels[BG_SHOWN]; /* the points, ascending, original units; of scopes, the mean over all of them */
    double seconds;
    const char *skipped; /* a literal reason when the spec cannot run on this tensor; then nothing else is set */
} bg_measure;

/* Measures n specs on one matrix, in one pass over its rows for all of them together. out[n]. A spec that cannot run
 * here sets out[i].skipped and is no error. Same digits for any number of threads. */
int bg_measure_specs(const bg_matrix *m, const bg_spec *specs, int n, bg_measure *out, bg_err *e);

/* Quantizes m->memory by one spec, all five choices; q->hat [R × C] and q->want_indices are the caller's, the rest is
 * filled. bg_quantized_free frees it. A matrix it cannot run on sets q->skipped and is no error. */
int bg_quantize(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e);

/* Runs one spec on a matrix that is wholly in memory (R × C float32) and writes what it reconstructs to out (R × C; may
 * be the same as w). stored (may be NULL) is filled for scalar grids (step=signed apart). Also measures. */
int bg_reconstruct(const bg_matrix *m, const bg_spec *s, const float *w, float *out, bg_measure *measure,
                   bg_stored *stored, bg_err *e);

#endif
