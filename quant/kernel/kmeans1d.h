/* The best K levels of all: exact k-means in one dimension by dynamic programming over a histogram.
 *
 * Wu 1991 (optimal quantization by matrix searching); Wang and Song 2011 (Ckmeans.1d.dp). Check value: the nine points
 * 0 .9 1 5 5.1 5.9 10 10.2 20 have least squared error 28.378667 in three cells, where Lloyd stops at 66.45.
 */
#ifndef BG_QUANT_KMEANS1D_H
#define BG_QUANT_KMEANS1D_H

#include "quant/kernel/hist.h"

/* The global minimum of Σ weight·(value − nearest level)² over K levels, which ascend; with no more atoms than levels they
 * are the atoms, the last one repeated. A density is taken as atoms at the centres of its bins. *sse receives the minimum
 * (weighted sum, not mean; of a density plus the variance inside the bins). K from 1 to 65536. Fails only for memory. */
int bg_kmeans1d(const bg_hist *h, int K, double *levels, double *sse, bg_err *e);

/* The same by the plain recursion, O(K·n²): for tests. */
int bg_kmeans1d_ref(const bg_hist *h, int K, double *levels, double *sse, bg_err *e);

#endif
