/* Owns stratified and clustered means (estimate.h). */
#include "quant/probability/estimate.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

/* Sum of weights, mean and variance of the mean of one stratum. */
typedef struct stratum_sum {
    double weights, mean, variance;
    int n;
} stratum_sum;

static int is_in(const int *stratum, int i, int which)
{
    return !stratum || stratum[i] == which;
}

static stratum_sum sum_stratum(const double *x, const double *w, const int *stratum, int n, int first)
{
    stratum_sum s = {0};
    int which = stratum ? stratum[first] : 0;
    double square = 0;
    for (int i = first; i < n; i++)
        if (is_in(stratum, i, which)) {
            s.weights += w[i];
            s.mean += w[i] * x[i];
            s.n++;
        }
    s.mean /= s.weights;
    for (int i = first; i < n; i++)
        if (is_in(stratum, i, which))
            square += w[i] * w[i] * (x[i] - s.mean) * (x[i] - s.mean);
    if (s.n > 1)
        s.variance = square / (s.weights * s.weights) * s.n / (s.n - 1);
    return s;
}

static int is_first_of_stratum(const int *stratum, int i)
{
    for (int k = 0; stratum && k < i; k++)
        if (stratum[k] == stratum[i])
            return 0;
    return stratum || i == 0;
}

bg_estimate bg_stratified_mean(const double *x, const double *w, const int *stratum, int n)
{
    double weights = 0, sum = 0, variance = 0, squares = 0;
    int spread = 0;
    for (int i = 0; i < n; i++) {
        if (!is_first_of_stratum(stratum, i))
            continue;
        stratum_sum s = sum_stratum(x, w, stratum, n, i);
        double v = s.weights * s.weights * s.variance;
        weights += s.weights;
        sum += s.weights * s.mean;
        variance += v;
        squares += s.n > 1 ? v * v / (s.n - 1) : 0;
        spread += s.n - 1;
    }
    bg_estimate m = {n ? sum / weights : (double)NAN, NAN, 0, n};
    if (spread) {
        m.se = sqrt(variance) / weights;
        m.freedom = squares > 0 ? variance * variance / squares : spread;
    }
    return m;
}

bg_estimate bg_clustered_mean(const double *x, const int *lengths, int clusters)
{
    double sum = 0, square = 0;
    int64_t n = 0, used = 0, at = 0;
    for (int c = 0; c < clusters; c++)
        for (int i = 0; i < lengths[c]; i++, at++)
            if (!isnan(x[at])) {
                sum += x[at];
                n++;
            }
    bg_estimate m = {n ? sum / (double)n : (double)NAN, NAN, 0, (int)n};
    at = 0;
    for (int c = 0; c < clusters; c++) {
        double of_cluster = 0;
        int64_t values = 0;
        for (int i = 0; i < lengths[c]; i++, at++)
            if (!isnan(x[at])) {
                of_cluster += x[at] - m.mean;
                values++;
            }
        square += of_cluster * of_cluster;
        used += values > 0;
    }
    if (used > 1) {
        m.se = sqrt(square * (double)used / (double)(used - 1)) / (double)n;
        m.freedom = (double)(used - 1);
    }
    return m;
}

double bg_student_quantile(double p, double freedom)
{
    return gsl_cdf_tdist_Pinv(p, freedom);
}

void bg_estimate_interval(const bg_estimate *m, double *low, double *high)
{
    double reach = m->freedom > 0 ? bg_student_quantile(0.975, m->freedom) * m->se : (double)NAN;
    *low = m->mean - reach;
    *high = m->mean + reach;
}
