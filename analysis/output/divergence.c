/* Owns the measures of a changed prediction: log-loss, Kullback–Leibler divergence, agreement of the top token, change
 * of the next token's probability. Sums in double; the exponential is a double's too, because the divergence between
 * two almost equal predictions is the square of their distance (10⁻¹⁰ at float32's own noise). */
#include "analysis/output/divergence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/probability/estimate.h"

/* e^x for x ≤ 0: 2^k·e^r, |r| ≤ ln2/2, the series of e^r to r¹² (next term below 2·10⁻¹⁶). Below −700 it is e⁻⁷⁰⁰. */
static inline double exp_of(double x)
{
    const double log2e = 1.4426950408889634, ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;
    const double shifter = 6755399441055744.0; /* 1.5·2^52: adding it rounds to a whole number, kept in the low bits */
    double given = x;
    x = x > -700 ? x : -700;
    double shifted = x * log2e + shifter, k = shifted - shifter;
    double r = (x - k * ln2_high) - k * ln2_low;
    double p = 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r * r + r + 1;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return given == given ? p * power : given;
}

static int first_largest(const float *x, int64_t n)
{
    float top = x[0];
    for (int64_t i = 1; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++)
        if (x[i] == top)
            return (int)i;
    return 0; /* NaN first */
}

void bg_prediction_read(const float *logits, int64_t n, double *p, bg_prediction *out)
{
    out->top = first_largest(logits, n);
    double top = (double)logits[out->top], sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        double v = exp_of((double)logits[i] - top);
        if (p)
            p[i] = v;
        sum += v;
    }
    out->log_sum_exp = top + log(sum);
    double by = 1 / sum;
    for (int64_t i = 0; p && i < n; i++)
        p[i] *= by;
}

double bg_prediction_nll(const float *logits, const bg_prediction *r, int32_t next)
{
    return r->log_sum_exp - (double)logits[next];
}

bg_token bg_prediction_compare(const float *base, const double *p, const bg_prediction *b, const float *other,
                               int64_t n, int32_t next)
{
    bg_prediction o;
    bg_prediction_read(other, n, NULL, &o);
    double squared = 0, kl = 0, shift = b->log_sum_exp - o.log_sum_exp;
#pragma omp simd reduction(+ : squared, kl)
    for (int64_t i = 0; i < n; i++) {
        double d = (double)base[i] - (double)other[i];
        squared += d * d;
        kl += p[i] * (d - shift);
    }
    bg_token t = {.squared = squared / (double)n,
                  .kl = kl,
                  .same_top = o.top == b->top,
                  .nll_base = NAN,
                  .nll = NAN,
                  .delta_p = NAN};
    if (next >= 0) {
        t.nll_base = bg_prediction_nll(base, b, next);
        t.nll = bg_prediction_nll(other, &o, next);
        t.delta_p = exp(-t.nll) - exp(-t.nll_base);
    }
    return t;
}

bg_sample_mean bg_sample_mean_of(const double *x, int64_t n, const bg_sequences *sequences)
{
    if (sequences && sequences->n > 1) {
        bg_estimate m = bg_clustered_mean(x, sequences->lengths, sequences->n);
        return (bg_sample_mean){m.mean, m.se};
    }
    double sum = 0, square = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(x[i])) {
            sum += x[i];
            count++;
        }
    bg_sample_mean m = {count ? sum / (double)count : (double)NAN, NAN};
    for (int64_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            square += (x[i] - m.mean) * (x[i] - m.mean);
    if (count > 1)
        m.se = sqrt(square / (double)(count - 1) / (double)count);
    return m;
}

double bg_quantile(const double *sorted, int64_t n, double p)
{
    if (n < 1)
        return NAN;
    double at = p * (double)(n - 1);
    int64_t low = (int64_t)at;
    return low + 1 < n ? sorted[low] + (at - (double)low) * (sorted[low + 1] - sorted[low]) : sorted[n - 1];
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int bg_information_of(const bg_token *tokens, int64_t n, const bg_sequences *sequences, bg_information *out, bg_err *e)
{
    double *x = malloc((size_t)(n ? n : 1) * sizeof *x);
    if (!x)
        return bg_no_memory(e, "quantiles", (unsigned long long)n * sizeof *x);
    *out = (bg_information){.positions = n};
#define MEAN(field, value)                                                                                             \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        x[i] = (value);                                                                                                \
    out->field = bg_sample_mean_of(x, n, sequences)
    MEAN(squared, tokens[i].squared);
    MEAN(same_top, tokens[i].same_top);
    MEAN(nll_base, tokens[i].nll_base);
    MEAN(nll, tokens[i].nll);
    MEAN(log_ratio, tokens[i].nll - tokens[i].nll_base);
    MEAN(delta_p, tokens[i].delta_p);
    MEAN(kl, tokens[i].kl);
#undef MEAN
    double square = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isnan(tokens[i].delta_p)) {
            square += tokens[i].delta_p * tokens[i].delta_p;
            out->scored++;
        }
    out->delta_p_rms = out->scored ? sqrt(square / (double)out->scored) : (double)NAN;
    qsort(x, (size_t)n, sizeof *x, ascending);
    out->kl_median = bg_quantile(x, n, 0.5);
    out->kl_90 = bg_quantile(x, n, 0.9);
    out->kl_99 = bg_quantile(x, n, 0.99);
    out->kl_999 = bg_quantile(x, n, 0.999);
    out->kl_max = n ? x[n - 1] : (double)NAN;
    free(x);
    return BG_OK;
}
