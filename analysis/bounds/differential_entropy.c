/* Owns estimators of differential entropy (entropy.h). */
#include "analysis/bounds/differential_entropy.h"

#include <gsl/gsl_sf_psi.h>
#include <math.h>
#include <stdlib.h>
#include "quant/probability/random.h"

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

static double spacing_at(double value, int mantissa_bits)
{
    int exponent;
    frexp(value, &exponent);
    return ldexp(1, exponent - 1 - mantissa_bits);
}

double bg_entropy_of_codes(const bg_hist *h, int mantissa_bits)
{
    /* A power of two, so that the numbers too far apart for bins begin at the edge of one. */
    double width = exp2(floor(log2(sqrt(h->sigma2) / 64))), entropy = 0;
    for (size_t i = 0; i < h->n;) {
        double bin = floor(h->value[i] / width), count = 0, w = width;
        for (; i < h->n && floor(h->value[i] / width) <= bin; i++) {
            double spacing = spacing_at(h->value[i], mantissa_bits);
            int alone =
                spacing > width / 8; /* a bin must hold many numbers, or exactly one: 1 or 2 in turn look uneven */
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

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* n of the weights without replacement (Knuth volume 2, algorithm S), each spread over its code, sorted. Draws that
 * came twice would look like a peak. */
static void draw(const bg_hist *h, int mantissa_bits, uint64_t seed, double *x, size_t n)
{
    size_t seen = 0, taken = 0;
    for (size_t a = 0; a < h->n && taken < n; a++)
        for (double k = 0; k < h->weight[a] && taken < n; k++, seen++)
            if (bg_uniform_at(seed, 2 * seen) * (h->total - (double)seen) < (double)(n - taken))
                x[taken++] =
                    h->value[a] + (bg_uniform_at(seed, 2 * seen + 1) - 0.5) * spacing_at(h->value[a], mantissa_bits);
    qsort(x, n, sizeof *x, rising);
}

int bg_entropies_of(const bg_hist *h, int mantissa_bits, uint64_t seed, bg_entropies *out, bg_err *e)
{
    size_t n = h->total < BG_ENTROPY_SAMPLES ? (size_t)h->total : BG_ENTROPY_SAMPLES;
    *out = (bg_entropies){0};
    if (n < 64 || !(h->sigma2 > 0))
        return BG_OK;
    double *x = malloc(n * sizeof *x);
    if (!x)
        return bg_no_memory(e, "samples", n * sizeof *x);
    draw(h, mantissa_bits, seed, x, n);
    *out = (bg_entropies){.samples = n,
                          .codes = bg_entropy_of_codes(h, mantissa_bits),
                          .vasicek = bg_entropy_vasicek(x, n, (size_t)(sqrt((double)n) / 2)),
                          .kozachenko_leonenko = bg_entropy_kozachenko_leonenko(x, n, 4)};
    bg_entropy_histogram(x, n, sqrt(h->sigma2) / 16, NULL, &out->miller_madow);
    free(x);
    return BG_OK;
}
