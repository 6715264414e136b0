/* The functional bound: the least output error of a linear layer at a rate.
 *
 * y = Wx with E[xxᵀ] = Σ = QΛQᵀ and rows w ~ N(0, σ²I): the loss (w−ŵ)Σ(w−ŵ)ᵀ is the plain squared error of independent
 * components of variances σ²λ_i, so per weight D = (1/n)Σ min(θ, σ²λ_i), R = (1/n)Σ max(0, ½·log2(σ²λ_i/θ)) (reverse
 * water-filling); at high rate D = σ²·(Πλ_i)^{1/n}·2^(−2R). Σ is uncentred.
 * Check: Σ_ij = 0.9^|i−j|, n = 16, at 1 bit: D = 0.0526953.
 */
#ifndef BG_ANALYSIS_BOUNDS_OUTPUT_BOUND_H
#define BG_ANALYSIS_BOUNDS_OUTPUT_BOUND_H

#include <stdint.h>
#include "analysis/bounds/water_filling.h"
#include "io/base/error.h"

typedef struct bg_output_bound {
    int64_t n;
    double *eigenvalues; /* [n] of Σ, descending, at least 0 */
    double mean_diagonal;
    double log2_geometric_mean; /* of the eigenvalues; −∞ when Σ is singular */
} bg_output_bound;

/* second_moment: n × n, symmetric, both triangles (LAPACK dsyevd). BG_INPUT when it is not finite. */
int bg_output_bound_init(bg_output_bound *b, const double *second_moment, int64_t n, bg_err *e);
void bg_output_bound_free(bg_output_bound *b);

/* Distortions are per weight: tr((W−Ŵ)Σ(W−Ŵ)ᵀ)/(rows·n). */
int bg_output_bound_at_rate(const bg_output_bound *b, double sigma2, double rate_bits, bg_water *out, bg_err *e);
int bg_output_bound_at_distortion(const bg_output_bound *b, double sigma2, double distortion, bg_water *out, bg_err *e);

/* exp of the entropy of the eigenvalues' shares: n for Σ = I, 1 when all inputs move together (Roy and Vetterli 2007).
 */
double bg_effective_rank(const bg_output_bound *b);

/* What a method loses against the bound at high rate, beside the loss of its scalar code. Rounding to nearest has a
 * white error: ½·log2(mean Σ_ii / geometric mean). Error feedback (GPTQ, Babai's nearest plane) has the mean of the
 * pivots u_ii², Σ = UUᵀ with U upper triangular, in place of the mean diagonal. pivots[n]; *weight_factor (may be NULL)
 * receives how much feedback raises the weights' own squared error, ‖Ũ⁻¹‖²/n with Ũ = U of unit diagonal. BG_INPUT when
 * Σ is not positive definite. */
double bg_nearest_loss_bits(const bg_output_bound *b);
double bg_feedback_loss_bits(const bg_output_bound *b, const double *pivots);
int bg_feedback_pivots(const double *second_moment, int64_t n, double *pivots, double *weight_factor, bg_err *e);

#endif
