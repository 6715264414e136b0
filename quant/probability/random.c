/* Owns the random generator: a function of (seed, index), not a state that advances.
 *
 * The number at an index is the same whoever asks for it and in which order, so samples can be drawn in parallel, in
 * tiles or again without changing a digit. The bits are the splitmix64 finaliser (Steele, Lea and Flood 2014, OOPSLA:
 * "Fast splittable pseudorandom number generators") over index + 1 golden-ratio steps from the mixed seed.
 */
#include "quant/probability/random.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

static uint64_t mix_bits(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t bg_bits_at(uint64_t seed, uint64_t index)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    return mix_bits(mix_bits(seed + golden) + (index + 1) * golden);
}

double bg_uniform_at(uint64_t seed, uint64_t index)
{
    return ((double)(bg_bits_at(seed, index) >> 11) + 0.5) * 0x1p-53;
}

double bg_normal_at(uint64_t seed, uint64_t index)
{
    return gsl_cdf_ugaussian_Pinv(bg_uniform_at(seed, index));
}

/* Marsaglia and Tsang 2000, ACM TOMS 26(3), with the boost G(a) = G(a+1)·U^{1/a} below 1. A rejected draw goes on
 * within the stream `key`, so the variate belongs to its key alone. */
double bg_gamma_of(uint64_t key, double a)
{
    double boost = a < 1 ? pow(bg_uniform_at(key, 0), 1 / a) : 1;
    double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (uint64_t i = 1;; i += 2) {
        double z = bg_normal_at(key, i), v = 1 + c * z;
        v = v * v * v;
        if (v > 0 && log(bg_uniform_at(key, i + 1)) < 0.5 * z * z + d * (1 - v + log(v)))
            return boost * d * v;
    }
}
