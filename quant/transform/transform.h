/* What the transforms share: scaling columns, and the moments of an input that is divided by the scales. */
#ifndef BG_QUANT_TRANSFORM_TRANSFORM_H
#define BG_QUANT_TRANSFORM_TRANSFORM_H

#include "quant/spec/quantizer.h"

/* Scales the columns of m->memory into t->w, and makes t->m the matrix of that whose input column i is x_i / scale_i:
 * Σ, E|x| and max|x| follow where m has them. What t held before is overwritten; the caller frees it. */
int bg_scale_matrix(const bg_matrix *m, const float *scale, bg_turned *t, bg_err *e);

/* out[r, i] = w[r, i]/scale[i]. */
void bg_unscale_columns(const float *w, float *out, int64_t R, int64_t C, const float *scale);

#endif
