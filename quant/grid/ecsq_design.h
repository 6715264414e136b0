/* Entropy-coded scalar quantizers, designed exactly on a histogram or a density: rate is the entropy of the cells.
 *
 * At high rate every smooth source ends ½·log2(2πe/12) = 0.2546 bit above its Shannon lower bound, with uniform
 * thresholds; below two bits the Gaussian's gap is smaller. Check (N(0,1), 2 bits): optimum 0.088923, uniform with
 * centroids 0.088941, uniform with mid-points 0.097641.
 */
#ifndef BG_QUANT_GRID_ECSQ_DESIGN_H
#define BG_QUANT_GRID_ECSQ_DESIGN_H

#include "quant/kernel/histogram.h"

typedef struct bg_ecsq {
    int K;
    double *levels, *thresholds, *probability; /* [K], [K−1], [K] */
    double mse, entropy_bits;
    double step;   /* of uniform thresholds; 0 for the optimum */
    double lambda; /* of the optimum: the slope −dD/dR; 0 for uniform thresholds */
} bg_ecsq;

/* q = sign(x)·⌊|x|/step + offset⌋ with the step whose entropy is `rate_bits` (or step > 0 given outright). offset ½
 * rounds, less widens the zero cell. `midpoint`: ŵ = q·step; else the mean of each cell. */
int bg_ecsq_uniform(const bg_hist *h, double rate_bits, double step, double offset, int midpoint, bg_ecsq *out,
                    bg_err *e);
/* The optimum: cells that minimise D + λR for their own centroids and code lengths, iterated to rest (Chou, Lookabaugh
 * and Gray 1989), for the λ whose rate is rate_bits; the better of a start with a level at the mean and one with a
 * threshold. */
int bg_ecsq_optimal(const bg_hist *h, double rate_bits, bg_ecsq *out, bg_err *e);
void bg_ecsq_free(bg_ecsq *q);

#endif
