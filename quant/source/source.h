/* Sources: distributions with known answers, named by a string, as weights.
 *
 *     source:gaussian                     the density itself (no sampling)
 *     source:laplace,n=1048576,seed=1     samples; the weight at index i depends on seed and i only
 *     source:ggd,shape=0.7 · source:student,nu=5 · source:ar1,rho=0.9,n=1048576 · source:outliers,share=0.001 ·
 *     source:uniform · source:logistic
 *
 * `sigma=` scales a distribution of variance 1; `cols=` sets the width of the matrix (default: the largest power of two
 * up to 4096 that divides n).
 */
#ifndef BG_QUANT_SOURCE_SOURCE_H
#define BG_QUANT_SOURCE_SOURCE_H

#include "io/base/error.h"
#include "quant/probability/distribution.h"

typedef struct bg_source {
    bg_distribution distribution; /* with the shape asked for */
    double sigma;
    int64_t n, cols; /* n 0: the density */
    uint64_t seed;
} bg_source;

/* `text` is what follows "source:". BG_USAGE, with the nearest name, for an unknown distribution or key. */
int bg_source_parse(const char *text, bg_source *out, bg_err *e);
/* Samples [first, first+n) of the source, in order. */
void bg_source_samples(const bg_source *s, int64_t first, int64_t n, float *out);

#endif
