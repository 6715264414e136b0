/* What the transforms share: running the rest of a composition on the turned matrix. */
#ifndef BG_QUANT_TRANSFORM_TRANSFORM_H
#define BG_QUANT_TRANSFORM_TRANSFORM_H

#include "quant/engine/quantize.h"

/* Runs s without its transform on w (R × C of m), which has been turned; m's moments must be those of the turned input.
 */
int bg_transform_inner(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure,
                       bg_err *e);

/* The same with nearest rounding and fixed-length codes: what searches try, whatever the final rounding is. */
int bg_transform_nearest(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure,
                         bg_err *e);

/* A matrix of the same shape whose input column i is x_i / scale_i: Σ, E|x| and max|x| follow. The arrays are malloc'ed
 * where m has them; bg_scaled_free frees them. */
typedef struct bg_scaled {
    bg_matrix m;
    double *second_moment, *mean_abs, *max_abs;
} bg_scaled;
int bg_scaled_init(bg_scaled *z, const bg_matrix *m, const float *w, const float *scale, bg_err *e);
void bg_scaled_free(bg_scaled *z);

/* out[r, i] = w[r, i]·scale[i], or divided by it. */
void bg_scale_columns(const float *w, float *out, int64_t R, int64_t C, const float *scale);
void bg_unscale_columns(const float *w, float *out, int64_t R, int64_t C, const float *scale);

#endif
