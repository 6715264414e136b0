/* Owns the probability laws, `source:` strings and the program's only random generator.
 *
 * Every law has mean 0, variance 1 and is symmetric, so a law is written down for x ≤ 0 only, where its distribution
 * function and partial moments keep their relative precision out to the far tail:
 *     F(x) = ∫ p,  M(x) = ∫ t·p dt,  S(x) = ∫ t²·p dt  over (−∞, x];
 * for x > 0:  F = 1 − F(−x),  M = M(−x),  S = 1 − S(−x).
 * Check values: F, M, S of the Gaussian at −1 are .158655, −.241971, .400626.
 */
#define _POSIX_C_SOURCE 200809L
#include "quant/probability/source.h"

#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_dilog.h>
#include <gsl/gsl_sf_gamma.h>
#include <gsl/gsl_sf_psi.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"

static const double pi = 3.14159265358979323846;

static double below(double left_value, double x)
{
    return x > 0 ? 1 - left_value : left_value;
}

/* ---- gaussian; ar1 has the same margin ---- */

static double gaussian_pdf(const bg_distribution *l, double x)
{
    (void)l;
    return exp(-0.5 * x * x) / sqrt(2 * pi);
}

static double gaussian_cdf(const bg_distribution *l, double x)
{
    (void)l;
    return 0.5 * erfc(-x / sqrt(2));
}

static double gaussian_quantile(const bg_distribution *l, double p)
{
    (void)l;
    return gsl_cdf_ugaussian_Pinv(p);
}

static double gaussian_moment1(const bg_distribution *l, double x)
{
    return -gaussian_pdf(l, x);
}

static double gaussian_moment2(const bg_distribution *l, double x)
{
    double a = -fabs(x);
    return below(gaussian_cdf(l, a) - a * gaussian_pdf(l, a), x);
}

static double gaussian_entropy(const bg_distribution *l)
{
    (void)l;
    return 0.5 * log2(2 * pi * exp(1));
}

static double gaussian_kurtosis(const bg_distribution *l)
{
    (void)l;
    return 0;
}

/* Of a Gaussian AR(1) process: the entropy of a sample given all samples before it. */
static double ar1_entropy(const bg_distribution *l)
{
    return gaussian_entropy(l) + 0.5 * log2(1 - l->shape * l->shape);
}

/* ---- laplace: p = e^{−|x|/b}/2b, b = 1/√2 ---- */

static double laplace_pdf(const bg_distribution *l, double x)
{
    (void)l;
    return exp(-sqrt(2) * fabs(x)) / sqrt(2);
}

static double laplace_cdf(const bg_distribution *l, double x)
{
    (void)l;
    return below(0.5 * exp(-sqrt(2) * fabs(x)), x);
}

static double laplace_quantile(const bg_distribution *l, double p)
{
    (void)l;
    return p < 0.5 ? log(2 * p) / sqrt(2) : -log(2 * (1 - p)) / sqrt(2);
}

static double laplace_moment1(const bg_distribution *l, double x)
{
    (void)l;
    double b = sqrt(0.5), a = -fabs(x);
    return 0.5 * exp(a / b) * (a - b);
}

static double laplace_moment2(const bg_distribution *l, double x)
{
    (void)l;
    double b = sqrt(0.5), a = -fabs(x);
    return below(0.5 * exp(a / b) * (a * a - 2 * a * b + 2 * b * b), x);
}

static double laplace_entropy(const bg_distribution *l)
{
    (void)l;
    return log2(2 * exp(1) * sqrt(0.5));
}

static double laplace_kurtosis(const bg_distribution *l)
{
    (void)l;
    return 3;
}

/* ---- logistic: F = 1/(1 + e^{−x/s}), s = √3/π ---- */

static double logistic_scale(void)
{
    return sqrt(3) / pi;
}

static double logistic_pdf(const bg_distribution *l, double x)
{
    (void)l;
    double s = logistic_scale(), t = exp(-fabs(x) / s);
    return t / (s * (1 + t) * (1 + t));
}

static double logistic_cdf(const bg_distribution *l, double x)
{
    (void)l;
    double t = exp(-fabs(x) / logistic_scale());
    return below(t / (1 + t), x);
}

static double logistic_quantile(const bg_distribution *l, double p)
{
    (void)l;
    return logistic_scale() * (log(p) - log1p(-p));
}

/* Parts: ∫F = s·ln(1 + e^{x/s}). */
static double logistic_moment1(const bg_distribution *l, double x)
{
    double s = logistic_scale(), a = -fabs(x);
    return a * logistic_cdf(l, a) - s * log1p(exp(a / s));
}

/* Parts once more: ∫ln(1 + e^z) dz = −Li₂(−e^z). */
static double logistic_moment2(const bg_distribution *l, double x)
{
    double s = logistic_scale(), a = -fabs(x), t = exp(a / s);
    return below(a * a * logistic_cdf(l, a) - 2 * a * s * log1p(t) - 2 * s * s * gsl_sf_dilog(-t), x);
}

static double logistic_entropy(const bg_distribution *l)
{
    (void)l;
    return (log(logistic_scale()) + 2) / log(2);
}

static double logistic_kurtosis(const bg_distribution *l)
{
    (void)l;
    return 1.2;
}

/* ---- uniform on ±√3 ---- */

static double uniform_at(double x)
{
    return fmax(-sqrt(3), fmin(sqrt(3), x));
}

static double uniform_pdf(const bg_distribution *l, double x)
{
    (void)l;
    return fabs(x) <= sqrt(3) ? 0.5 / sqrt(3) : 0;
}

static double uniform_cdf(const bg_distribution *l, double x)
{
    (void)l;
    return (uniform_at(x) / sqrt(3) + 1) / 2;
}

static double uniform_quantile(const bg_distribution *l, double p)
{
    (void)l;
    return sqrt(3) * (2 * p - 1);
}

static double uniform_moment1(const bg_distribution *l, double x)
{
    (void)l;
    double a = uniform_at(x);
    return (a * a - 3) / (4 * sqrt(3));
}

static double uniform_moment2(const bg_distribution *l, double x)
{
    (void)l;
    double a = uniform_at(x) / sqrt(3);
    return (a * a * a + 1) / 2;
}

static double uniform_entropy(const bg_distribution *l)
{
    (void)l;
    return log2(2 * sqrt(3));
}

static double uniform_kurtosis(const bg_distribution *l)
{
    (void)l;
    return -1.2;
}

/* ---- ggd: p ∝ e^{−(|x|/α)^β}, α² = Γ(1/β)/Γ(3/β); partial moments are incomplete gamma functions ---- */

static double ggd_alpha(const bg_distribution *l)
{
    return exp(0.5 * (lgamma(1 / l->shape) - lgamma(3 / l->shape)));
}

static double ggd_power(const bg_distribution *l, double x)
{
    return pow(fabs(x) / ggd_alpha(l), l->shape);
}

static double ggd_pdf(const bg_distribution *l, double x)
{
    return l->shape / (2 * ggd_alpha(l)) * exp(-ggd_power(l, x) - lgamma(1 / l->shape));
}

static double ggd_cdf(const bg_distribution *l, double x)
{
    return below(0.5 * gsl_sf_gamma_inc_Q(1 / l->shape, ggd_power(l, x)), x);
}

static double ggd_quantile(const bg_distribution *l, double p)
{
    double tail = p < 0.5 ? p : 1 - p;
    double x = ggd_alpha(l) * pow(gsl_cdf_gamma_Qinv(2 * tail, 1 / l->shape, 1), 1 / l->shape);
    return p < 0.5 ? -x : x;
}

static double ggd_moment1(const bg_distribution *l, double x)
{
    double b = l->shape;
    return -0.5 * ggd_alpha(l) * exp(lgamma(2 / b) - lgamma(1 / b)) * gsl_sf_gamma_inc_Q(2 / b, ggd_power(l, x));
}

static double ggd_moment2(const bg_distribution *l, double x)
{
    return below(0.5 * gsl_sf_gamma_inc_Q(3 / l->shape, ggd_power(l, x)), x);
}

static double ggd_entropy(const bg_distribution *l)
{
    double b = l->shape;
    return (1 / b + log(2 * ggd_alpha(l) / b) + lgamma(1 / b)) / log(2);
}

static double ggd_kurtosis(const bg_distribution *l)
{
    double b = l->shape;
    return exp(lgamma(5 / b) + lgamma(1 / b) - 2 * lgamma(3 / b)) - 3;
}

/* ---- student: x = c·t with t Student of ν degrees, c² = (ν−2)/ν; partial moments are incomplete beta functions ----
 */

static double student_c(const bg_distribution *l)
{
    return sqrt((l->shape - 2) / l->shape);
}

static double student_pdf(const bg_distribution *l, double x)
{
    double nu = l->shape, c = student_c(l), t = x / c;
    return exp(-0.5 * (nu + 1) * log1p(t * t / nu) - gsl_sf_lnbeta(nu / 2, 0.5)) / (c * sqrt(nu));
}

static double student_cdf(const bg_distribution *l, double x)
{
    return below(gsl_cdf_tdist_P(-fabs(x) / student_c(l), l->shape), x);
}

static double student_quantile(const bg_distribution *l, double p)
{
    return student_c(l) * gsl_cdf_tdist_Pinv(p, l->shape);
}

static double student_moment1(const bg_distribution *l, double x)
{
    double nu = l->shape, c = student_c(l), t = x / c;
    return -c * c * (nu + t * t) / (nu - 1) * student_pdf(l, x);
}

static double student_moment2(const bg_distribution *l, double x)
{
    double nu = l->shape, t = x / student_c(l);
    return below(0.5 * gsl_sf_beta_inc(nu / 2 - 1, 1.5, nu / (nu + t * t)), x);
}

static double student_entropy(const bg_distribution *l)
{
    double nu = l->shape;
    double h =
        (nu + 1) / 2 * (gsl_sf_psi((nu + 1) / 2) - gsl_sf_psi(nu / 2)) + 0.5 * log(nu) + gsl_sf_lnbeta(nu / 2, 0.5);
    return (h + log(student_c(l))) / log(2);
}

static double student_kurtosis(const bg_distribution *l)
{
    return l->shape > 4 ? 6 / (l->shape - 4) : (double)NAN;
}

/* ---- outliers: a Gaussian with a share p of weights that are ten times as wide ---- */

enum { WIDER = 10 };

/* σ of the others, so that the whole has variance 1. */
static double bulk_sigma(const bg_distribution *l)
{
    return 1 / sqrt(1 + l->shape * (WIDER * WIDER - 1));
}

static double outliers_pdf(const bg_distribution *l, double x)
{
    double a = bulk_sigma(l), b = WIDER * a;
    return (1 - l->shape) * gaussian_pdf(l, x / a) / a + l->shape * gaussian_pdf(l, x / b) / b;
}

static double outliers_cdf(const bg_distribution *l, double x)
{
    double a = bulk_sigma(l);
    return (1 - l->shape) * gaussian_cdf(l, x / a) + l->shape * gaussian_cdf(l, x / (WIDER * a));
}

/* Newton's steps inside a bracket that shrinks; between the quantiles of the two parts. */
static double outliers_quantile(const bg_distribution *l, double p)
{
    double z = gsl_cdf_ugaussian_Pinv(fmin(p, 1 - p)), a = bulk_sigma(l), low = WIDER * a * z, high = a * z, x = high;
    for (int i = 0; i < 100 && high - low > 1e-15 * -low; i++) {
        double miss = outliers_cdf(l, x) - fmin(p, 1 - p);
        *(miss > 0 ? &high : &low) = x;
        double next = x - miss / outliers_pdf(l, x);
        if (fabs(next - x) <= 1e-15 * fabs(x))
            break;
        x = next > low && next < high ? next : 0.5 * (low + high);
    }
    return p <= 0.5 ? x : -x;
}

static double outliers_moment1(const bg_distribution *l, double x)
{
    double a = bulk_sigma(l), b = WIDER * a;
    return -(1 - l->shape) * a * gaussian_pdf(l, x / a) - l->shape * b * gaussian_pdf(l, x / b);
}

static double outliers_moment2(const bg_distribution *l, double x)
{
    double a = bulk_sigma(l), b = WIDER * a;
    return (1 - l->shape) * a * a * gaussian_moment2(l, x / a) + l->shape * b * b * gaussian_moment2(l, x / b);
}

/* −∫ p log2 p by the trapezoid rule, which converges faster than any power for so smooth an integrand. */
static double outliers_entropy(const bg_distribution *l)
{
    double a = bulk_sigma(l), step = a / 16, sum = 0;
    for (int i = -16 * 12 * WIDER; i <= 16 * 12 * WIDER; i++) {
        double p = outliers_pdf(l, i * step);
        sum -= p > 0 ? p * log2(p) * step : 0;
    }
    return sum;
}

static double outliers_kurtosis(const bg_distribution *l)
{
    double a = bulk_sigma(l);
    return 3 * pow(a, 4) * (1 - l->shape + l->shape * pow(WIDER, 4)) - 3;
}

/* ---- the table ---- */

#define LAW(law) law##_pdf, law##_cdf, law##_quantile, law##_moment1, law##_moment2
const bg_distribution bg_distributions[] = {
    {"gaussian", "normal", 0, NULL, 1, LAW(gaussian), gaussian_entropy, gaussian_kurtosis},
    {"laplace", "double exponential", 0, NULL, 1, LAW(laplace), laplace_entropy, laplace_kurtosis},
    {"logistic", "logistic", 0, NULL, 1, LAW(logistic), logistic_entropy, logistic_kurtosis},
    {"uniform", "uniform on ±√3", 0, NULL, 1, LAW(uniform), uniform_entropy, uniform_kurtosis},
    {"ggd", "generalised Gaussian of exponent `shape` (2: Gaussian, 1: Laplace)", 0.7, "shape", 1, LAW(ggd),
     ggd_entropy, ggd_kurtosis},
    {"student", "Student t of `nu` degrees of freedom", 5, "nu", 1, LAW(student), student_entropy, student_kurtosis},
    {"ar1", "Gaussian with correlation `rho` between neighbours of a row", 0.9, "rho", 0, LAW(gaussian), ar1_entropy,
     gaussian_kurtosis},
    {"outliers", "Gaussian, a `share` of the weights ten times as wide", 0.001, "share", 1, LAW(outliers),
     outliers_entropy, outliers_kurtosis},
    {0},
};
#undef LAW

const bg_distribution *bg_distribution_find(const char *name)
{
    for (const bg_distribution *l = bg_distributions; l->name; l++)
        if (!strcmp(l->name, name))
            return l;
    return NULL;
}

/* ---- source strings ---- */

static int shape_range(const bg_distribution *l, double *least, double *most)
{
    *least = 0.2, *most = 100; /* ggd */
    if (!strcmp(l->name, "student"))
        *least = 2.05, *most = 1e4;
    else if (!strcmp(l->name, "ar1"))
        *least = -0.9999, *most = 0.9999;
    else if (!strcmp(l->name, "outliers"))
        *least = 0, *most = 1;
    return l->shape_key != NULL;
}

static int number_in(const char *key, const char *value, double least, double most, double *out, bg_err *e)
{
    char *end;
    errno = 0;
    double x = strtod(value, &end);
    if (end == value || *end || !isfinite(x) || x < least || x > most)
        return bg_fail(e, BG_USAGE, "source: %s=%s: a number from %g to %g is wanted", key, value, least, most);
    *out = x;
    return BG_OK;
}

static int integer_in(const char *key, const char *value, int64_t least, int64_t most, int64_t *out, bg_err *e)
{
    char *end;
    errno = 0;
    long long x = strtoll(value, &end, 10);
    if (end == value || *end || errno || x < least || x > most)
        return bg_fail(e, BG_USAGE, "source: %s=%s: an integer from %lld to %lld is wanted", key, value,
                       (long long)least, (long long)most);
    *out = x;
    return BG_OK;
}

static int set_key(bg_source *s, const char *key, const char *value, bg_err *e)
{
    double least, most;
    int64_t seed = 0;
    if (!strcmp(key, "n"))
        return integer_in(key, value, 1, (int64_t)1 << 40, &s->n, e);
    if (!strcmp(key, "cols"))
        return integer_in(key, value, 1, 1 << 24, &s->cols, e);
    if (!strcmp(key, "sigma"))
        return number_in(key, value, 1e-30, 1e30, &s->sigma, e);
    if (!strcmp(key, "seed")) {
        int status = integer_in(key, value, 0, INT64_MAX, &seed, e);
        s->seed = (uint64_t)seed;
        return status;
    }
    if (shape_range(&s->distribution, &least, &most) && !strcmp(key, s->distribution.shape_key))
        return number_in(key, value, least, most, &s->distribution.shape, e);
    const char *const keys[] = {"n", "cols", "sigma", "seed", s->distribution.shape_key};
    const char *near = bg_nearest(key, keys, 5);
    return bg_fail(e, BG_USAGE, "source:%s has no key '%s'%s%s; its keys are n, cols, seed, sigma%s%s",
                   s->distribution.name, key, near ? ", did you mean " : "", near ? near : "",
                   s->distribution.shape_key ? ", " : "", s->distribution.shape_key ? s->distribution.shape_key : "");
}

/* The largest power of two up to 4096 that divides n. */
static int64_t default_cols(int64_t n)
{
    int64_t cols = 1;
    while (cols < 4096 && n % (2 * cols) == 0)
        cols *= 2;
    return cols;
}

static int finish(bg_source *s, bg_err *e)
{
    if (!s->n && !s->distribution.memoryless)
        return bg_fail(e, BG_USAGE, "source:%s has memory and no density of single weights: say how many samples, n=…",
                       s->distribution.name);
    if (!s->n)
        return BG_OK;
    if (!s->cols)
        s->cols = default_cols(s->n);
    if (s->n % s->cols)
        return bg_fail(e, BG_USAGE, "source:%s: cols=%lld does not divide n=%lld", s->distribution.name,
                       (long long)s->cols, (long long)s->n);
    return BG_OK;
}

static int find_law(const char *name, bg_source *s, bg_err *e)
{
    const bg_distribution *law = bg_distribution_find(name);
    if (!law) {
        const char *names[16];
        int n = 0;
        for (const bg_distribution *l = bg_distributions; l->name && n < 16; l++)
            names[n++] = l->name;
        const char *near = bg_nearest(name, names, n);
        return bg_fail(
            e, BG_USAGE,
            "source: no law '%s'%s%s; there are gaussian, laplace, logistic, uniform, ggd, student, ar1, outliers",
            name, near ? ", did you mean " : "", near ? near : "");
    }
    *s = (bg_source){.distribution = *law, .sigma = 1, .seed = 1};
    return BG_OK;
}

int bg_source_parse(const char *text, bg_source *out, bg_err *e)
{
    char copy[256];
    if (strlen(text) >= sizeof copy)
        return bg_fail(e, BG_USAGE, "source: longer than %zu characters", sizeof copy - 1);
    memcpy(copy, text, strlen(text) + 1);
    char *save = NULL, *word = strtok_r(copy, ",", &save);
    int status = find_law(word ? word : "", out, e);
    while (!status && (word = strtok_r(NULL, ",", &save))) {
        char *value = strchr(word, '=');
        if (!value)
            return bg_fail(e, BG_USAGE, "source:%s: '%s' should be key=value", out->distribution.name, word);
        *value++ = 0;
        status = set_key(out, word, value, e);
    }
    return status ? status : finish(out, e);
}

/* ---- sampling ---- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t bg_bits_at(uint64_t seed, uint64_t index)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u;
    return mix(mix(seed + golden) + (index + 1) * golden);
}

double bg_uniform_at(uint64_t seed, uint64_t index)
{
    return ((double)(bg_bits_at(seed, index) >> 11) + 0.5) * 0x1p-53;
}

static double normal_at(uint64_t seed, uint64_t index)
{
    return gsl_cdf_ugaussian_Pinv(bg_uniform_at(seed, index));
}

/* A gamma variate of any shape from the stream `key`: Marsaglia and Tsang 2000, ACM TOMS 26(3), with the boost
 * G(a) = G(a+1)·U^{1/a} below 1. Rejection draws on within the stream, so that it belongs to one index alone. */
static double gamma_from(uint64_t key, double a)
{
    double boost = a < 1 ? pow(bg_uniform_at(key, 0), 1 / a) : 1;
    double d = (a < 1 ? a + 1 : a) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (uint64_t i = 1;; i += 2) {
        double z = normal_at(key, i), v = 1 + c * z;
        v = v * v * v;
        if (v > 0 && log(bg_uniform_at(key, i + 1)) < 0.5 * z * z + d * (1 - v + log(v)))
            return boost * d * v;
    }
}

static double ggd_sample(const bg_distribution *l, uint64_t seed, uint64_t index)
{
    uint64_t key = bg_bits_at(seed, index);
    double x = ggd_alpha(l) * pow(gamma_from(key, 1 / l->shape), 1 / l->shape);
    return key & 1 ? x : -x;
}

static double student_sample(const bg_distribution *l, uint64_t seed, uint64_t index)
{
    uint64_t key = bg_bits_at(seed, index);
    double z = normal_at(key ^ 0x5bf03635u, 0), chi2 = 2 * gamma_from(key, l->shape / 2);
    return student_c(l) * z / sqrt(chi2 / l->shape);
}

/* A row starts stationary and runs x_j = ρ·x_{j−1} + √(1−ρ²)·z_j, so a sample needs the row's start, not the file's. */
static void ar1_samples(const bg_source *s, int64_t first, int64_t n, float *out)
{
    double rho = s->distribution.shape, fresh = sqrt(1 - rho * rho), x = 0;
    for (int64_t i = first - first % s->cols; i < first + n; i++) {
        double z = normal_at(s->seed, (uint64_t)i);
        x = i % s->cols ? rho * x + fresh * z : z;
        if (i >= first)
            out[i - first] = (float)(s->sigma * x);
    }
}

void bg_source_samples(const bg_source *s, int64_t first, int64_t n, float *out)
{
    const bg_distribution *l = &s->distribution;
    if (!l->memoryless) {
        ar1_samples(s, first, n, out);
        return;
    }
    int is_ggd = !strcmp(l->name, "ggd"), is_student = !strcmp(l->name, "student");
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)(first + i);
        double x = is_ggd       ? ggd_sample(l, s->seed, at)
                   : is_student ? student_sample(l, s->seed, at)
                                : l->quantile(l, bg_uniform_at(s->seed, at));
        out[i] = (float)(s->sigma * x);
    }
}
