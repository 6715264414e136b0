/* Scalar quantizers fitted to a histogram by local search: Lloyd–Max and its classic 20-iteration form.
 *
 * Lloyd 1957/1982, Max 1960: levels are the means of their cells, thresholds the midpoints of levels. Check value: the
 * 16-level quantizer of N(0,1) has mean squared error 0.009501008.
 */
#ifndef BG_QUANT_KERNEL_LLOYD_H
#define BG_QUANT_KERNEL_LLOYD_H

#include "quant/kernel/histogram.h"

/* Levels start where their density is ∝ p^{1/3} (Panter and Dite 1951), then take damped Newton steps on the centroid
 * equations (tridiagonal) and Lloyd steps where Newton does not descend, until the levels are the centroids: residual
 * weighted by mass at most 1e-12·σ, or, of atoms, no atom changes its cell. levels[K] ascend; with no more atoms than
 * levels they are the atoms, the last one repeated. work has room for bg_lloyd_work(K) doubles. Returns the mean
 * squared error. A stationary point: the global optimum for log-concave densities; bg_kmeans1d finds it always. */
size_t bg_lloyd_work(int K);
double bg_lloyd_fit(const bg_hist *h, int K, double *levels, double *work);

/* The same from levels that are given, ascending; at most `max` Lloyd steps after Newton's. */
double bg_lloyd_refine(const bg_hist *h, int K, double *levels, int max, double *work);

/* The form common in notebooks: levels start at the quantiles (k+1)/(K+1) and take `iterations` plain Lloyd steps; an
 * empty cell keeps its level. Not Lloyd–Max at more than 3 bits: it stops far from the fixed point. */
double bg_lloyd_percentiles(const bg_hist *h, int K, int iterations, double *levels);

#endif
