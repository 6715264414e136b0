/* The rate-distortion function of actual weights: Blahut 1972, Arimoto 1972, with upper and lower bounds that hold
 * however early the iteration stops (Berger 1971; Csiszár 1974). Nats inside, bits outside.
 *
 * At slope s < 0 (nats per squared unit) and any reproduction law q, with Z_x = Σ_y q_y e^{s(x−y)²} and
 * c_y = Σ_x p_x e^{s(x−y)²}/Z_x:
 *     R(D) ≤ sD − Σ p ln Z  at the D that q and s give,   R(D) ≥ sD − Σ p ln Z − max_y ln c_y  at every D.
 * Check: N(0,1) at D = 1/4 needs 1 bit.
 */
#ifndef BG_ANALYSIS_BOUNDS_BLAHUT_ARIMOTO_H
#define BG_ANALYSIS_BOUNDS_BLAHUT_ARIMOTO_H

#include "quant/kernel/histogram.h"

typedef struct bg_ba {
    double distortion; /* mean squared error of the channel */
    double lower_bits, upper_bits;
    int iterations;
    double
        slope_bits; /* R(D') ≥ lower_bits + slope_bits·(D' − D) for every D' (bg_rate_distortion, D as asked); else 0 */
} bg_ba;

/* p[n] on any alphabet, distortion d[n × m] (row x, column y), fixed slope; the plain iteration until the bounds are
 * within `nats` or after `most` iterations. Here the upper bound is the channel's own mutual information. */
int bg_blahut_arimoto_ref(const double *p, int n, const double *d, int m, double slope, double nats, int max,
                          bg_ba *out, bg_err *e);

/* Squared error on a grid: p[n] at k·step, reproductions at the same places. As above with kernels of finite reach
 * (terms below e^−30 are left out) and over-relaxed steps. */
int bg_blahut_arimoto_grid(const double *p, int n, double step, double slope, double nats, int max, bg_ba *out,
                           bg_err *e);

/* R(distortion) of the histogram's weights, any real reproduction allowed. The iteration runs on a grid of a quarter of
 * √D; the bounds are then taken over every atom, with the slope that meets the distortion and the largest c within
 * reach of each atom (also between grid points) in place of the global one, so they hold for the weights themselves and
 * are close early. BG_RESOURCE for memory; *out has NaN bounds where the grid would pass 2^17 places. */
int bg_rate_distortion(const bg_hist *h, double distortion, double nats, int max, bg_ba *out, bg_err *e);

#endif
