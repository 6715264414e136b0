/* Owns reverse water-filling (waterfill.h), by bisection on ln θ or by the sorted variances. Check: v = (4, 1) at 1 bit
 * has θ = D = ½, rates 1.5 and 0.5. */
#include "analysis/bounds/water_filling.h"

#include <math.h>

bg_water bg_waterfill_at(const double *v, const double *w, size_t n, double level)
{
    bg_water out = {.level = level};
    for (size_t i = 0; i < n; i++) {
        double share = w ? w[i] : 1 / (double)n;
        out.distortion += share * fmin(level, v[i]);
        if (v[i] > level) {
            out.rate_bits += share * 0.5 * log2(v[i] / level);
            out.active++;
        }
    }
    return out;
}

static double largest(const double *v, size_t n)
{
    double max = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, v[i]);
    return max;
}

bg_water bg_waterfill_rate(const double *v, const double *w, size_t n, double rate_bits)
{
    double top = largest(v, n);
    if (!(top > 0))
        return bg_waterfill_at(v, w, n, 0);
    double high = log(top), low = high - 1;
    while (bg_waterfill_at(v, w, n, exp(low)).rate_bits < rate_bits && low > high - 1400)
        low -= high - low;
    for (int i = 0; i < 64; i++) {
        double mid = 0.5 * (low + high);
        *(bg_waterfill_at(v, w, n, exp(mid)).rate_bits > rate_bits ? &low : &high) = mid;
    }
    return bg_waterfill_at(v, w, n, exp(0.5 * (low + high)));
}

/* With the m largest above it the level is log2 θ = (Σ log2 v − 2nR)/m; m is the first that keeps the next below, and
 * rises with the rate. */
void bg_waterfill_sorted(const double *v, size_t n, const double *rate_bits, int rates, bg_water *out)
{
    double logs = 0, tail = 0;
    size_t m = 0;
    for (size_t i = 0; i < n; i++)
        tail += v[i];
    for (int r = 0; r < rates; r++) {
        double rate = fmax(0, rate_bits[r]), level = 0;
        while (m < n && v[m] > 0 && (!m || log2(v[m]) > (logs - 2 * (double)n * rate) / (double)m)) {
            tail -= v[m];
            logs += log2(v[m++]);
        }
        if (m)
            level = exp2((logs - 2 * (double)n * rate) / (double)m);
        out[r] = (bg_water){level, ((double)m * level + (m < n ? fmax(0, tail) : 0)) / (double)n, m ? rate : 0,
                            rate > 0 ? m : 0};
    }
}

bg_water bg_waterfill_distortion(const double *v, const double *w, size_t n, double distortion)
{
    double low = 0, high = largest(v, n);
    for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
        double mid = 0.5 * (low + high);
        *(bg_waterfill_at(v, w, n, mid).distortion < distortion ? &low : &high) = mid;
    }
    return bg_waterfill_at(v, w, n, high);
}
