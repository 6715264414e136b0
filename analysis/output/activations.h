/* Second moments of a layer's input, gathered from blocks of tokens: Σ = E[xxᵀ], E|x_i|, max|x_i|.
 *
 *     bg_activations s;
 *     bg_activations_init(&s, cols, &e);
 *     bg_activations_add(&s, x, n);          // again and again
 *     bg_activations_finish(&s, name, &e);   // now s.triangle is half of Σ
 *     bg_activations_square(&s, &e);         // for those who compute with it: s.second_moment is Σ
 *     bg_activations_free(&s);
 *
 * Products are summed in float32 over 128 tokens (1024 where there are 2048 columns or more), then in double. Same
 * digits for any number of threads; the blocks may come in any sizes that are multiples of that, but the last.
 */
#ifndef BG_ANALYSIS_OUTPUT_ACTIVATIONS_H
#define BG_ANALYSIS_OUTPUT_ACTIVATIONS_H

#include <stdint.h>
#include "io/base/error.h"

typedef struct bg_activations {
    int64_t cols, tokens;
    double *triangle; /* [cols(cols+1)/2] lower triangle of Σ, row by row; until finished: sums; NULL once there is the
                         square */
    double *second_moment;      /* [cols × cols], both triangles; NULL until bg_activations_square */
    double *mean_abs, *max_abs; /* [cols] */
} bg_activations;

int bg_activations_init(bg_activations *s, int64_t cols, bg_err *e);
void bg_activations_free(bg_activations *s);
/* x [n × cols], dense. Not from inside a parallel region. */
void bg_activations_add(bg_activations *s, const float *x, int64_t n);
/* The same by plain loops, every sum in double. */
void bg_activations_add_ref(bg_activations *s, const float *x, int64_t n);
/* Divides by the tokens. BG_INPUT when there is no token or a moment is not finite. */
int bg_activations_finish(bg_activations *s, const char *name, bg_err *e);
/* The triangle becomes the square, in the memory of the square alone. On failure s is as it was. */
int bg_activations_square(bg_activations *s, bg_err *e);

/* ---- consecutive parts of the tokens, kept apart ---- */

enum { BG_FOLDS_MOST = 64 };

/* What is estimated from some parts of a text can be tried on another: cross-validation, the bootstrap over parts. */
typedef struct bg_folds {
    int n;
    int64_t cols, tokens[BG_FOLDS_MOST]; /* of each fold */
    float *triangle;                     /* [n × C(C+1)/2] lower triangles of E[xxᵀ] of each, row by row */
    double *before;                      /* while they are gathered: the sums at the end of the last fold */
} bg_folds;

/* How many of the wanted folds so many tokens can fill (at least 128 each); 0 rather than 1. */
int bg_folds_of(int64_t tokens, int wanted);
/* The first token after fold k of n, at a multiple of 128. */
int64_t bg_fold_end(int64_t tokens, int n, int k);
int bg_folds_init(bg_folds *f, int64_t cols, int n, bg_err *e);
void bg_folds_free(bg_folds *f);
/* bg_activations_add that keeps the folds of `total` tokens apart on the way: the same sums as without (wide layers:
 * but for float32 rounding). */
void bg_folds_add(bg_folds *f, bg_activations *s, const float *x, int64_t n, int64_t total);

#endif
