/* Owns the closed-form bounds (shannon.h). Check: at D = σ²/4 a Gaussian needs 1 bit. */
#include "analysis/bounds/shannon.h"

#include <math.h>

double bg_gaussian_rate_bits(double sigma2, double distortion)
{
    return distortion < sigma2 ? 0.5 * log2(sigma2 / distortion) : 0;
}

double bg_gaussian_distortion(double sigma2, double rate_bits)
{
    return sigma2 * exp2(-2 * rate_bits);
}

double bg_shannon_lower_bits(double differential_entropy_bits, double distortion)
{
    const double pi = 3.14159265358979323846;
    return fmax(0, differential_entropy_bits - 0.5 * log2(2 * pi * exp(1) * distortion));
}

double bg_gap_bits(double rate_bits, double sigma2, double distortion)
{
    return rate_bits - 0.5 * log2(sigma2 / distortion);
}
