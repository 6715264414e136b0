/* Second moments of a layer's input, gathered from blocks of tokens: Σ = E[xxᵀ], E|x_i|, max|x_i|.
 *
 *     bg_activations s;
 *     bg_activations_init(&s, cols, &e);
 *     bg_activations_add(&s, x, n);          // again and again
 *     bg_activations_finish(&s, name, &e);   // now s.second_moment is Σ
 *     bg_activations_free(&s);
 *
 * Products are summed in float32 over 128 tokens, then in double. Same digits for any number of threads; the blocks may
 * come in any sizes that are multiples of 128, but the last.
 */
#ifndef BG_ANALYSIS_ACTIVATIONS_H
#define BG_ANALYSIS_ACTIVATIONS_H

#include <stdint.h>
#include "io/err.h"

typedef struct bg_activations {
    int64_t cols, tokens;
    double *second_moment; /* [cols × cols]; until finished: sums, lower triangle only */
    double *mean_abs, *max_abs; /* [cols] */
} bg_activations;

int bg_activations_init(bg_activations *s, int64_t cols, bg_err *e);
void bg_activations_free(bg_activations *s);
/* x [n × cols], dense. Not from inside a parallel region. */
void bg_activations_add(bg_activations *s, const float *x, int64_t n);
/* The same by plain loops, every sum in double. */
void bg_activations_add_ref(bg_activations *s, const float *x, int64_t n);
/* Divides by the tokens and fills both triangles. BG_INPUT when there is no token or a moment is not finite. */
int bg_activations_finish(bg_activations *s, const char *name, bg_err *e);

#endif
