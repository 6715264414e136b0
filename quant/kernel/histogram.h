/* Weighted histograms: every value of a tensor with its count, or a density cut into fine bins, with running moments.
 *
 * A bf16 or f16 tensor has at most 65,536 distinct values, so its histogram is exact and every per-tensor scalar
 * quantizer costs the size of the histogram. A density source (quant/probability/source.h) is held the same way: 65,536
 * bins carry exact mass, centre and second moment, and inside a bin the density is taken as the line of that mass and
 * centre, so thresholds may fall anywhere.
 *
 * Moments are about `mean`, which is what keeps S − M²/W from cancelling when |mean| ≫ σ.
 */
#ifndef BG_QUANT_KERNEL_HISTOGRAM_H
#define BG_QUANT_KERNEL_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>
#include "io/base/error.h"
#include "quant/probability/distribution.h"

typedef struct bg_hist {
    size_t n;       /* atoms or bins */
    double *value;  /* [n] ascending: the atom, or the bin's centre of mass */
    double *weight; /* [n] count, or probability */
    double *edge;   /* [n+1] for a density (mass beyond the outermost edges is in the outermost bins); NULL for atoms */
    double *W, *M,
        *S; /* [n+1] sums over the first i of weight, weight·(x−mean), weight·(x−mean)² (bins: exact second moment) */
    double total;        /* Σ weight: the number of weights, or 1 */
    double mean, sigma2; /* about the mean; sigma2 is the population variance */
    double min, max;     /* of the support that carries mass (a density: where its tails are cut) */
    int is_density;
} bg_hist;

/* All arrays of a histogram are one allocation, which bg_hist_free frees.
 * From the counts of 65,536 codes; value_of[code] is the value; codes of NaN and Inf must have count 0. */
int bg_hist_from_codes(bg_hist *h, const uint64_t *counts, const float *value_of, bg_err *e);
/* From n floats, sorted inside (radix); weights (n) may be NULL. Not finite: BG_INPUT. */
int bg_hist_from_values(bg_hist *h, const float *x, const double *weights, size_t n, bg_err *e);
/* A density, unit variance × sigma². */
int bg_hist_from_distribution(bg_hist *h, const bg_distribution *l, double sigma, bg_err *e);
/* From arrays already ascending (copied). */
int bg_hist_from_sorted(bg_hist *h, const double *value, const double *weight, size_t n, bg_err *e);
void bg_hist_free(bg_hist *h);

/* Mass, first and second moment about h->mean of (−∞, x]: atoms at exactly x are included; a density interpolates. */
typedef struct bg_moments {
    double w, m, s;
} bg_moments;
bg_moments bg_hist_below(const bg_hist *h, double x);

/* Least Σ weight·(x−c)² over c for the cell (a, b], and the c that reaches it (original units). */
double bg_hist_cell(const bg_hist *h, double a, double b, double *centroid);

/* Mean squared error of the nearest-level rule with ascending levels[K], original units; ties go to the lower level,
 * which changes no distortion. */
double bg_hist_mse(const bg_hist *h, const double *levels, int K);
/* The same with given ascending thresholds[K−1]. probability (K, may be NULL) receives the share of each cell. */
double bg_hist_mse_cells(const bg_hist *h, const double *levels, const double *thresholds, int K, double *probability);
/* Order-0 entropy of the atoms; of a density, its differential entropy. */
double bg_hist_entropy_bits(const bg_hist *h);

#endif
