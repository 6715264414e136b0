/* Owns reverse water-filling (waterfill.h), by bisection on ln θ. Check: v = (4, 1) at 1 bit has θ = D = ½, rates 1.5 and 0.5. */
#include "analysis/waterfill.h"

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
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, v[i]);
    return most;
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

bg_water bg_waterfill_distortion(const double *v, const double *w, size_t n, double distortion)
{
    double low = 0, high = largest(v, n);
    for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
        double mid = 0.5 * (low + high);
        *(bg_waterfill_at(v, w, n, mid).distortion < distortion ? &low : &high) = mid;
    }
    return bg_waterfill_at(v, w, n, high);
}
