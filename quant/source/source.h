/* Sources: distributions with known answers, named by a string, as weights.
 *
 *     source:gaussian                     the density itself (no sampling)
 *     source:laplace,n=1048576,seed=1     samples; the weight at index i depends on seed and i only
 *     source:ggd,shape=0.7 · source:student,nu=5 · source:ar1,rho=0.9,n=1048576 · source:outliers,share=0.001 ·
 *     source:uniform · source:logistic · source:matrixnormal,rows=256,cols=512,row_spread=1,col_spread=0.5
 *
 * `sigma=` scales a distribution of variance 1; `cols=` sets the width of the matrix (default: the largest power of two
 * up to 4096 that divides n). matrixnormal is vec W ~ N(0, Σ_r ⊗ Σ_c): covariances of rows and of columns with random
 * eigenvectors and log-normal eigenvalues of mean 1, whose logarithms have the given spreads.
 */
#ifndef BG_QUANT_SOURCE_SOURCE_H
#define BG_QUANT_SOURCE_SOURCE_H

#include "io/base/error.h"
#include "quant/probability/distribution.h"

typedef struct bg_source {
    bg_distribution distribution; /* with the shape asked for */
    double sigma;
    int64_t n, rows, cols; /* n 0: the density; rows: as given to matrixnormal */
    uint64_t seed;
    int matrix_normal;             /* every sample depends on all of the matrix */
    double row_spread, col_spread; /* of matrixnormal: standard deviation of the eigenvalues' logarithms */
    const float *matrix;           /* of matrixnormal, borrowed: [n] from bg_source_matrix; NULL: not made yet */
} bg_source;

/* `text` is what follows "source:". BG_USAGE, with the nearest name, for an unknown distribution or key. */
int bg_source_parse(const char *text, bg_source *out, bg_err *e);
/* Samples [first, first+n) of the source, in order; of matrixnormal from s->matrix, and zeros while that is NULL. */
void bg_source_samples(const bg_source *s, int64_t first, int64_t n, float *out);
/* All samples of source:matrixnormal, out[n] row by row. BG_RESOURCE without memory. */
int bg_source_matrix(const bg_source *s, float *out, bg_err *e);
/* The eigenvalues of Σ_r or Σ_c of source:matrixnormal, rising, of mean 1: exp(spread·z) at the n normal quantiles. */
void bg_source_spectrum(int64_t n, double spread, double *eigenvalue);

#endif
