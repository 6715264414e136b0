/* The triangular factor behind error feedback.
 *
 * GPTQ (Frantar et al., arXiv 2210.17323) walks the columns of W and pushes each column's rounding error onto the
 * columns not yet rounded. With H = M·Mᵀ, M upper triangular, its loss is ‖(w−ŵ)M‖², and since column j of M holds only
 * rows up to j, the target of column j given the errors δ_i = w_i − ŵ_i so far is
 *
 *     w'_j = w_j + (Σ_{i<j} δ_i·M_ij) / M_jj ,
 *
 * which is Babai's nearest plane. It is the published algorithm (there U = M⁻¹ and U_ii = 1/M_ii) without forming H⁻¹:
 * one Cholesky factorisation, a third of the work of factor, inverse and factor again.
 */
#ifndef BG_QUANT_KERNEL_CHOLESKY_H
#define BG_QUANT_KERNEL_CHOLESKY_H

#include <stdint.h>
#include "io/base/error.h"

typedef struct bg_factor {
    int64_t n;
    double damp;        /* share of the mean diagonal that was added: percdamp, or more if that was not enough */
    double mean;        /* of the diagonal of H, dead columns as 1 */
    double lambda;      /* what was added to every diagonal element */
    int64_t *order;     /* [n] column of W that is walked k-th; NULL: in order */
    uint8_t *dead;      /* [n] by column of W: this input is always zero */
    float *M;           /* [n × n] row-major, upper triangle, columns in walking order; the lower triangle is 0 */
    double mean_log2;   /* (1/n)·Σ log2 M_ii² : log2 of the geometric mean of the eigenvalues of the damped H */
    double mean_square; /* (1/n)·Σ M_ii² */
} bg_factor;

/* The order of the walk: as they come; by falling diagonal (ties: lower index first); or, for G > 1, whole groups of G
 * columns by their largest diagonal and each group inside by falling diagonal (Gafni et al. 2025, arXiv 2505.14638), a
 * short last group staying last. */
enum { BG_ORDER_NATURAL = 0, BG_ORDER_ACT = 1 };

/* H: n × n, row-major, symmetric, of which the upper triangle is read. percdamp ≥ 0. When the factorisation fails the
 * damping grows tenfold from max(percdamp, 1e-6) until it does not. BG_INPUT: H not finite, or no positive diagonal at
 * all. */
int bg_factor_init(bg_factor *f, const double *H, int64_t n, double percdamp, int64_t order, bg_err *e);
void bg_factor_free(bg_factor *f);

#endif
