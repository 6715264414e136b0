/* Owns the bootstrap. */
#include "quant/probability/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include "quant/probability/random.h"

int bg_resample_at(uint64_t seed, int b, int i, int n)
{
    return (int)(bg_uniform_at(seed, (uint64_t)b * (uint64_t)n + (uint64_t)i) * n);
}

static int compare_rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bg_resample_interval(double *values, double *low, double *high)
{
    qsort(values, BG_RESAMPLES, sizeof *values, compare_rising);
    *low = values[(int)(0.025 * BG_RESAMPLES)];
    *high = values[(int)(0.975 * BG_RESAMPLES)];
}

void bg_resample_mean(const double *x, const double *w, int n, uint64_t seed, double *low, double *high)
{
    double means[BG_RESAMPLES];
    *low = *high = (double)NAN;
    if (n < 2)
        return;
    for (int b = 0; b < BG_RESAMPLES; b++) {
        double sum = 0, total = 0;
        for (int i = 0; i < n; i++) {
            int k = bg_resample_at(seed, b, i, n);
            sum += w[k] * x[k];
            total += w[k];
        }
        means[b] = sum / total;
    }
    bg_resample_interval(means, low, high);
}
