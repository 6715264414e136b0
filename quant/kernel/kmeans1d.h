/* The best K levels of all: exact k-means in one dimension by dynamic programming over a histogram.
 *
 * Wu 1991 (optimal quantization by matrix searching); Wang and Song 2011 (Ckmeans.1d.dp). Check value: the nine points
 * 0 .9 1 5 5.1 5.9 10 10.2 20 have least squared error 28.378667 in three cells, where Lloyd stops at 66.45.
 */
#ifndef BG_QUANT_KERNEL_KMEANS1D_H
#define BG_QUANT_KERNEL_KMEANS1D_H

#include "quant/kernel/histogram.h"

/* The global minimum of Σ weight·(value − nearest level)² over K levels, which ascend; with no more atoms than levels
 * they are the atoms, the last one repeated. A density is taken as atoms at the centres of its bins. *sse receives the
 * minimum (weighted sum, not mean; of a density plus the variance inside the bins). K from 1 to 65536. Fails only for
 * memory. */
int bg_kmeans1d(const bg_hist *h, int K, double *levels, double *sse, bg_err *e);

/* Squared error of the cell of atoms i … j−1 about its mean, from the prefix sums. Monge: c(a,c) + c(b,d) ≤ c(a,d) +
 * c(b,c). */
static inline double bg_kmeans1d_cost(const bg_hist *h, size_t i, size_t j)
{
    if (j <= i)
        return 0;
    double w = h->W[j] - h->W[i], m = h->M[j] - h->M[i], c = h->S[j] - h->S[i] - m * m / w;
    return w > 0 && c > 0 ? c : 0;
}

/* cut[K+1]: the optimal cells' edges, cell k atoms cut[k] … cut[k+1]−1, by a search over prices of a cell; n > K. near:
 * an error that is near the least. *found is 0 where no price has exactly K cells (errors of K − 1, K and K + 1 cells
 * on a line, which exact symmetry can do). Costs O(n log n) for any K, about as much as the other way at n = 256·K.
 * Fails only for memory. */
int bg_kmeans1d_lagrange(const bg_hist *h, int K, double near, size_t *cut, int *found, bg_err *e);

/* The same by the plain recursion, O(K·n²): for tests. */
int bg_kmeans1d_ref(const bg_hist *h, int K, double *levels, double *sse, bg_err *e);

#endif
