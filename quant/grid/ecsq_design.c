/* Owns the design of entropy-coded scalar quantizers; formulas and check values in ecsq.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/grid/ecsq_design.h"

enum { MOST = 16384, ITERATIONS = 3000, BISECTIONS = 48 };

static int reserve(bg_ecsq *q, bg_err *e)
{
    *q = (bg_ecsq){.levels = malloc(MOST * sizeof(double)),
                   .thresholds = malloc(MOST * sizeof(double)),
                   .probability = malloc(MOST * sizeof(double))};
    if (q->levels && q->thresholds && q->probability)
        return BG_OK;
    bg_ecsq_free(q);
    return bg_no_memory(e, "entropy-coded quantizer", 3 * MOST * sizeof(double));
}

void bg_ecsq_free(bg_ecsq *q)
{
    free(q->levels), free(q->thresholds), free(q->probability);
    *q = (bg_ecsq){0};
}

/* Probabilities, centroids (or the given levels' error), distortion and entropy of the cells between the thresholds.
 * Empty cells disappear. */
static void settle(const bg_hist *h, bg_ecsq *q, int keep_levels)
{
    bg_moments below = {0, 0, 0}, all = {h->W[h->n], h->M[h->n], h->S[h->n]};
    double sse = 0, entropy = 0;
    int n = 0;
    for (int k = 0; k < q->K; k++) {
        bg_moments up = k < q->K - 1 ? bg_hist_below(h, q->thresholds[k]) : all;
        double w = up.w - below.w, m = up.m - below.m, s = up.s - below.s, p = w / h->total;
        if (!(p > 1e-15)) {
            if (n && k < q->K - 1)
                q->thresholds[n - 1] = q->thresholds[k]; /* the cell before takes the empty one's place */
            continue;
        }
        double c = keep_levels ? q->levels[k] - h->mean : m / w;
        sse += fmax(s - 2 * c * m + c * c * w, 0);
        entropy -= p * log2(p);
        q->levels[n] = c + h->mean, q->probability[n] = p;
        if (k < q->K - 1)
            q->thresholds[n] = q->thresholds[k];
        n++;
        below = up;
    }
    q->K = n;
    q->mse = sse / h->total, q->entropy_bits = entropy;
}

/* ---- uniform thresholds ---- */

static int lay_uniform(const bg_hist *h, double step, double offset, int midpoint, bg_ecsq *q)
{
    double low = floor(-h->min / step + offset), high = floor(h->max / step + offset);
    if (low + high + 1 > MOST)
        return 0;
    int a = (int)fmax(low, 0), b = (int)fmax(high, 0), n = 0;
    for (int k = -a; k <= b; k++) {
        q->levels[n] = k * step;
        if (k < b)
            q->thresholds[n] = k < 0 ? (k + offset) * step : (k + 1 - offset) * step;
        n++;
    }
    q->K = n, q->step = step;
    settle(h, q, midpoint);
    return 1;
}

int bg_ecsq_uniform(const bg_hist *h, double rate_bits, double step, double offset, int midpoint, bg_ecsq *out,
                    bg_err *e)
{
    int s = reserve(out, e);
    if (s)
        return s;
    double span = fmax(h->max - h->min, fmax(fabs(h->max), fabs(h->min))), sigma = sqrt(h->sigma2);
    double fine = log(fmax(span / (MOST - 8), 1e-300)), coarse = log(fmax(8 * span + 8 * sigma, 1e-290));
    for (int i = 0; step <= 0 && i < BISECTIONS; i++) {
        double mid = (fine + coarse) / 2;
        if (lay_uniform(h, exp(mid), offset, midpoint, out) && out->entropy_bits <= rate_bits)
            coarse = mid;
        else
            fine = mid;
    }
    if (!lay_uniform(h, step > 0 ? step : exp(coarse), offset, midpoint, out)) {
        bg_ecsq_free(out);
        return bg_fail(e, BG_USAGE, "a step of %g needs more than %d points here", step, MOST);
    }
    return BG_OK;
}

/* ---- the optimum ---- */

/* Thresholds where the costs (x − y)² + λ·length of neighbouring levels meet; levels that win nowhere disappear. As
 * functions of x the costs are x² plus straight lines, so this is their lower envelope. */
static void envelope(bg_ecsq *q, double lambda)
{
    int n = 0;
    for (int k = 0; k < q->K; k++) {
        double y = q->levels[k], p = q->probability[k], cost = -lambda * log2(p);
        for (;; n--) {
            if (n == 0)
                break;
            double z = q->levels[n - 1], lower = -lambda * log2(q->probability[n - 1]);
            q->thresholds[n - 1] = y > z          ? (y + z) / 2 + (cost - lower) / (2 * (y - z))
                                   : cost < lower ? -HUGE_VAL
                                                  : HUGE_VAL;
            if (n == 1 ? q->thresholds[0] > -HUGE_VAL : q->thresholds[n - 1] > q->thresholds[n - 2])
                break;
        }
        q->levels[n] = y, q->probability[n] = p;
        n++;
    }
    q->K = n;
}

static void iterate(const bg_hist *h, double lambda, int odd, bg_ecsq *q)
{
    double step = sqrt(lambda * 6 / log(2)), reach = fmax(h->max - h->mean, h->mean - h->min);
    int half = (int)fmin(ceil(reach / step), MOST / 2 - 2), n = 0;
    for (int k = -half; k < half + odd; k++) {
        q->levels[n] = h->mean + (k + (odd ? 0 : 0.5)) * step;
        q->thresholds[n] = q->levels[n] + step / 2;
        n++;
    }
    q->K = n, q->lambda = lambda;
    settle(h, q, 0);
    double before = q->mse + lambda * q->entropy_bits;
    for (int i = 0; i < ITERATIONS; i++) {
        envelope(q, lambda);
        settle(h, q, 0);
        double now = q->mse + lambda * q->entropy_bits;
        if (before - now < 1e-10 * now)
            break;
        before = now;
    }
}

static void for_rate(const bg_hist *h, double rate_bits, int odd, bg_ecsq *q)
{
    double step = fmax((h->max - h->min) / (MOST - 8), 1e-150), wide = 4 * sqrt(h->sigma2) + 1e-140;
    double low = log(step * step), high = log(wide * wide);
    for (int i = 0; i < BISECTIONS && high - low > 1e-9; i++) {
        double mid = (low + high) / 2;
        iterate(h, exp(mid), odd, q);
        if (fabs(q->entropy_bits - rate_bits) < 1e-9)
            return;
        if (q->entropy_bits <= rate_bits)
            high = mid;
        else
            low = mid;
    }
    iterate(h, exp(high), odd, q);
}

int bg_ecsq_optimal(const bg_hist *h, double rate_bits, bg_ecsq *out, bg_err *e)
{
    bg_ecsq other;
    int s = reserve(out, e);
    if (s)
        return s;
    if ((s = reserve(&other, e))) {
        bg_ecsq_free(out);
        return s;
    }
    for_rate(h, rate_bits, 1, out);
    for_rate(h, rate_bits, 0, &other);
    /* both moved to the wanted rate along the slope */
    double a = out->mse + out->lambda * (out->entropy_bits - rate_bits);
    double b = other.mse + other.lambda * (other.entropy_bits - rate_bits);
    if (b < a) {
        bg_ecsq swap = *out;
        *out = other, other = swap;
    }
    bg_ecsq_free(&other);
    return BG_OK;
}
