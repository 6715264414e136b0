/* Reverse water-filling: the bound of independent Gaussian components whose variances are known (channels, groups,
 * eigenvalues). Kolmogorov 1956; Cover and Thomas, theorem 10.3.3. */
#ifndef BG_ANALYSIS_BOUNDS_WATER_FILLING_H
#define BG_ANALYSIS_BOUNDS_WATER_FILLING_H

#include <stddef.h>

typedef struct bg_water {
    double level;      /* θ */
    double distortion; /* Σ w·min(θ, v) */
    double rate_bits;  /* Σ w·max(0, ½·log2(v/θ)) */
    size_t active;     /* components above the level */
} bg_water;

/* v[n] variances ≥ 0, w[n] shares that add to 1 (NULL: equal). */
bg_water bg_waterfill_at(const double *v, const double *w, size_t n, double level);
/* The level of a rate (bits per weight), or of a distortion; above what is possible the level is the largest variance.
 */
bg_water bg_waterfill_rate(const double *v, const double *w, size_t n, double rate_bits);
bg_water bg_waterfill_distortion(const double *v, const double *w, size_t n, double distortion);
/* The levels of rising rates for n equal shares, exactly and in one pass: variances in falling order. out[rates]. */
void bg_waterfill_sorted(const double *v, size_t n, const double *rate_bits, int rates, bg_water *out);

#endif
