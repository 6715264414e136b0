/* Owns estimators of differential entropy (entropy.h). */
#include "analysis/entropy.h"

#include <gsl/gsl_sf_psi.h>
#include <math.h>

double bg_entropy_vasicek(const double *x, size_t n, size_t m)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double high = x[i + m < n ? i + m : n - 1], low = x[i >= m ? i - m : 0];
        sum += log2((double)n / (2 * (double)m) * (high - low));
    }
    return sum / (double)n;
}

double bg_entropy_kozachenko_leonenko(const double *x, size_t n, size_t k)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        size_t low = i, high = i; /* the window of i's nearest so far */
        double d = 0;
        for (size_t taken = 0; taken < k; taken++) {
            double left = low > 0 ? x[i] - x[low - 1] : (double)INFINITY;
            double right = high + 1 < n ? x[high + 1] - x[i] : (double)INFINITY;
            if (left <= right)
                d = left, low--;
            else
                d = right, high++;
        }
        sum += log(d);
    }
    double nats = gsl_sf_psi((double)n) - gsl_sf_psi((double)k) + log(2) + sum / (double)n;
    return nats / log(2);
}

double bg_entropy_histogram(const double *x, size_t n, double width, double *discrete, double *corrected)
{
    double entropy = 0, bins = 0;
    for (size_t i = 0; i < n;) {
        double bin = floor(x[i] / width + 0.5), count = 0;
        for (; i < n && floor(x[i] / width + 0.5) <= bin; i++)
            count++;
        entropy -= count / (double)n * log2(count / (double)n);
        bins++;
    }
    if (discrete)
        *discrete = entropy;
    if (corrected)
        *corrected = entropy + log2(width) + (bins - 1) / (2 * (double)n * log(2));
    return entropy + log2(width);
}

double bg_entropy_of_codes(const bg_hist *h, int mantissa_bits)
{
    /* A power of two, so that the numbers too far apart for bins begin at the edge of one. */
    double width = exp2(floor(log2(sqrt(h->sigma2) / 64))), entropy = 0;
    for (size_t i = 0; i < h->n;) {
        double bin = floor(h->value[i] / width), count = 0, w = width;
        for (; i < h->n && floor(h->value[i] / width) <= bin; i++) {
            int exponent;
            frexp(h->value[i], &exponent);
            double spacing = ldexp(1, exponent - 1 - mantissa_bits);
            int alone = spacing > width / 8; /* a bin must hold many numbers, or exactly one: 1 or 2 in turn look uneven */
            if (alone && count > 0)
                break;
            count += h->weight[i];
            if (alone) {
                w = spacing;
                i++;
                break;
            }
        }
        double p = count / h->total;
        if (p > 0)
            entropy -= p * log2(p / w);
    }
    return entropy;
}
