/* Measuring what a quantizer did to a matrix: for rows of the registries that choose points themselves. */
#ifndef BG_QUANT_ENGINE_MEASURE_H
#define BG_QUANT_ENGINE_MEASURE_H

#include "quant/engine/quantize.h"

/* From w and ŵ (R × C): count, mse, max_error, max_relative, rate_bits (from out->rate) and, with a second moment,
 * output_mse = tr((W−Ŵ)Σ(W−Ŵ)ᵀ)/R. Fixed chunks of rows: the same digits for any number of threads. */
int bg_measure_difference(const bg_matrix *m, const float *w, const float *hat, int64_t R, int64_t C, bg_measure *out,
                          bg_err *e);

/* tr(E·Σ·Eᵀ)/R for E = w − hat (R × C), Σ as in bg_matrix.second_moment. */
int bg_output_mse(const double *second_moment, const float *w, const float *hat, int64_t R, int64_t C, double *out,
                  bg_err *e);

/* index_entropy of n symbols below K, and, where the spec codes its indices, the bits of the coded stream into
 * rate.indices and rate.table in place of the fixed-length ones. */
int bg_measure_symbols(const bg_spec *s, const uint16_t *symbols, size_t n, int K, bg_measure *out, bg_err *e);

/* How far a code reaches: half a step beyond its outermost points. */
typedef struct bg_reach {
    float low, high;
} bg_reach;
bg_reach bg_code_reach(const bg_code *c);

static inline int bg_clips(bg_reach r, float x)
{
    return x < r.low || x > r.high;
}

#endif
