/* How well a text of finite length knows the functional bound of a layer.
 *
 * The bound of the second moment S of a sample is too low: small eigenvalues come out too small. Two corrections from S
 * of separate parts of the text (folds): shrinkage   S* = (1 − ρ)S + ρμI, μ the mean eigenvalue, ρ = min(1, b²/‖S −
 * μI‖²) with b² the sampling error of S (Ledoit and Wolf 2004, J. Multivariate Analysis 88, section 3.3); b² is taken
 * between folds, because tokens of a text are no independent samples held out    eigenvectors of some folds, energies
 * E[(qᵀx)²] along them on the others, so that nothing is measured where it was fitted (Abadir, Distaso and Žikeš 2014;
 * Bartz 2016). Any fixed basis needs at least det Σ (Hadamard), so this is a rate that a transform code fitted to one
 * text does reach on another; the bound of Σ itself lies between S and it. Resampling the folds gives its band. Check:
 * white inputs, many folds: all of it within the band of ½·log2 of the Gaussian line.
 */
#ifndef BG_ANALYSIS_BOUNDS_OUTPUT_BOUND_INTERVAL_H
#define BG_ANALYSIS_BOUNDS_OUTPUT_BOUND_INTERVAL_H

#include "analysis/output/activations.h"
#include "analysis/bounds/output_bound.h"

enum { BG_BAND_RATES = 16 };

typedef struct bg_output_band {
    int folds;
    double shrinkage; /* ρ */
    /* D over σ² at each rate: of S*; of the held-out energies; their 2.5 and 97.5 % points over resampled folds */
    double shrunk[BG_BAND_RATES], held_out[BG_BAND_RATES], low[BG_BAND_RATES], high[BG_BAND_RATES];
} bg_output_band;

/* S and its eigenvalues (b), its folds; n ≤ BG_BAND_RATES rates. BG_INPUT with fewer than two folds. */
int bg_output_band_of(const bg_folds *f, const double *second_moment, const bg_output_bound *b, const double *rates,
                      int n, uint64_t seed, bg_output_band *out, bg_err *e);

#endif
