/* The HQQ grid: uniform, with the zero point that half-quadratic splitting finds; no calibration.
 *
 * Badri & Shaji 2023 (Mobius Labs): min over z of ‖W − (Q − z)/S‖_p^p, p = 0.7, with W_e ≈ W − W_r split off by
 * shrink(x; β) = sign(x)·max(|x| − |x|^(p−1)/β, 0) and then z = mean(Q − (W − W_e)·S). S = (K−1)/(max − min) stays. At
 * most 20 steps, as long as the mean error falls. Stored: 1/S and z, in the scale's type.
 */
#include <math.h>
#include <stddef.h>
#include "quant/scope/scope.h"

enum { STEPS = 20 };
static const double NORM = 0.7, BETA = 10, STEEPEST = 2e4;

typedef struct hqq_params {
    double kappa; /* growth of β every step */
} hqq_params;

static const bg_key keys[] = {
    {"zero", BG_KEY_WORD, 0, 0, "min", "min", "the zero point is a number of the scale's type", BG_SPEC_PARAM(zero)},
    {"kappa", BG_KEY_NUMBER, 1, 2, NULL, "1.01", "growth of β every step (1: constant, as hqq 0.2.8)",
     BG_PARAM(hqq_params, kappa)},
    {0},
};

static bg_needs needs(const bg_spec *s)
{
    (void)s;
    return BG_NEEDS_VALUES;
}

static double index_at(double x, double S, double z, double top)
{
    return fmin(fmax(rint(x * S + z), 0), top);
}

/* One half-quadratic step from *z: the mean |w − w_r| before it, and the new zero point. */
static double step(const float *x, size_t n, double S, double top, double beta, double *z)
{
    double error = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double w = (double)x[i], q = index_at(w, S, *z, top), d = w - (q - *z) / S;
        double size = fabs(d), kept = size > 0 ? fmax(size - pow(size, NORM - 1) / beta, 0) : 0;
        error += size;
        sum += q - (w - copysign(kept, d)) * S;
    }
    *z = sum / (double)n;
    return error / (double)n;
}

static int fit(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e)
{
    (void)levels, (void)cuts, (void)e;
    int K = s->points;
    double top = K - 1, range = st->max - st->min, S = range > 1e-4 ? fmin(top / range, STEEPEST) : 1;
    double z = -st->min * S, best = K == 16 ? rint(z) : z, beta = BETA, least = HUGE_VAL;
    z = best;
    for (int k = 0; k < STEPS; k++) {
        double before = z, error = step(st->x, st->n, S, top, beta, &z);
        if (error >= least)
            break;
        least = error;
        best = before;
        beta *= ((const hqq_params *)bg_grid_params(s))->kappa;
    }
    *out = (bg_code){.K = K, .affine = 1, .lo = 0, .hi = K - 1, .scale = (float)(1 / S)};
    out->zero = bg_scale_round(s, (float)best, 1);
    return BG_OK;
}

const bg_grid bg_grid_hqq = {
    .name = "hqq",
    .title = "uniform, zero point by half-quadratic splitting",
    .paper = "Badri & Shaji 2023, Half-Quadratic Quantization",
    .family = "uniform",
    .keys = keys,
    .refuses = "step offset clip double",
    .default_scope = "64",
    .kind = BG_GRID_SCALAR,
    .needs = needs,
    .fit = fit,
};
