/* Owns the probability distributions of synthetic weights, in closed form.
 *
 * Every distribution has mean 0 and variance 1 and is symmetric, so each function is written for x ≤ 0 only, where
 *
 *     F(x) = ∫ p dt,   M(x) = ∫ t·p dt,   S(x) = ∫ t²·p dt,   each over (−∞, x],
 *
 * keep their relative precision out to the far tail (a computed 1 − F would lose it). For x > 0 the symmetry gives
 * F(x) = 1 − F(−x), M(x) = M(−x) and S(x) = 1 − S(−x). The mean and the second moment of a cell [a, b] are differences
 * of M and S: the expectations of measure_density.c and of the density histograms need no sampling.
 *
 * Check values: F, M and S of the Gaussian at −1 are .158655, −.241971 and .400626.
 */
#include "quant/probability/distribution.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_dilog.h>
#include <gsl/gsl_sf_gamma.h>
#include <gsl/gsl_sf_psi.h>
#include <math.h>
#include <string.h>
#include "quant/probability/random.h"

static const double pi = 3.14159265358979323846;

static double mirror_value(double left_value, double x)
{
    return x > 0 ? 1 - left_value : left_value;
}

/* ---- gaussian; ar1 has the same margin ---- */

static double gaussian_pdf(const bg_distribution *d, double x)
{
    (void)d;
    return exp(-0.5 * x * x) / sqrt(2 * pi);
}

static double gaussian_cdf(const bg_distribution *d, double x)
{
    (void)d;
    return 0.5 * erfc(-x / sqrt(2));
}

static double gaussian_quantile(const bg_distribution *d, double p)
{
    (void)d;
    return gsl_cdf_ugaussian_Pinv(p);
}

static double gaussian_moment1(const bg_distribution *d, double x)
{
    return -gaussian_pdf(d, x);
}

static double gaussian_moment2(const bg_distribution *d, double x)
{
    double a = -fabs(x);
    return mirror_value(gaussian_cdf(d, a) - a * gaussian_pdf(d, a), x);
}

static double gaussian_entropy(const bg_distribution *d)
{
    (void)d;
    return 0.5 * log2(2 * pi * exp(1));
}

static double gaussian_kurtosis(const bg_distribution *d)
{
    (void)d;
    return 0;
}

/* Of a Gaussian AR(1) process: the entropy of a sample given all samples before it. */
static double ar1_entropy(const bg_distribution *d)
{
    return gaussian_entropy(d) + 0.5 * log2(1 - d->shape * d->shape);
}

/* ---- laplace: p = e^{−|x|/b}/2b, b = 1/√2 ---- */

static double laplace_pdf(const bg_distribution *d, double x)
{
    (void)d;
    return exp(-sqrt(2) * fabs(x)) / sqrt(2);
}

static double laplace_cdf(const bg_distribution *d, double x)
{
    (void)d;
    return mirror_value(0.5 * exp(-sqrt(2) * fabs(x)), x);
}

static double laplace_quantile(const bg_distribution *d, double p)
{
    (void)d;
    return p < 0.5 ? log(2 * p) / sqrt(2) : -log(2 * (1 - p)) / sqrt(2);
}

static double laplace_moment1(const bg_distribution *d, double x)
{
    (void)d;
    double b = sqrt(0.5), a = -fabs(x);
    return 0.5 * exp(a / b) * (a - b);
}

static double laplace_moment2(const bg_distribution *d, double x)
{
    (void)d;
    double b = sqrt(0.5), a = -fabs(x);
    return mirror_value(0.5 * exp(a / b) * (a * a - 2 * a * b + 2 * b * b), x);
}

static double laplace_entropy(const bg_distribution *d)
{
    (void)d;
    return log2(2 * exp(1) * sqrt(0.5));
}

static double laplace_kurtosis(const bg_distribution *d)
{
    (void)d;
    return 3;
}

/* ---- logistic: F = 1/(1 + e^{−x/s}), s = √3/π ---- */

static double logistic_scale(void)
{
    return sqrt(3) / pi;
}

static double logistic_pdf(const bg_distribution *d, double x)
{
    (void)d;
    double s = logistic_scale(), t = exp(-fabs(x) / s);
    return t / (s * (1 + t) * (1 + t));
}

static double logistic_cdf(const bg_distribution *d, double x)
{
    (void)d;
    double t = exp(-fabs(x) / logistic_scale());
    return mirror_value(t / (1 + t), x);
}

static double logistic_quantile(const bg_distribution *d, double p)
{
    (void)d;
    return logistic_scale() * (log(p) - log1p(-p));
}

/* Parts: ∫F = s·ln(1 + e^{x/s}). */
static double logistic_moment1(const bg_distribution *d, double x)
{
    double s = logistic_scale(), a = -fabs(x);
    return a * logistic_cdf(d, a) - s * log1p(exp(a / s));
}

/* Parts once more: ∫ln(1 + e^z) dz = −Li₂(−e^z). */
static double logistic_moment2(const bg_distribution *d, double x)
{
    double s = logistic_scale(), a = -fabs(x), t = exp(a / s);
    return mirror_value(a * a * logistic_cdf(d, a) - 2 * a * s * log1p(t) - 2 * s * s * gsl_sf_dilog(-t), x);
}

static double logistic_entropy(const bg_distribution *d)
{
    (void)d;
    return (log(logistic_scale()) + 2) / log(2);
}

static double logistic_kurtosis(const bg_distribution *d)
{
    (void)d;
    return 1.2;
}

/* ---- uniform on ±√3 ---- */

static double uniform_at(double x)
{
    return fmax(-sqrt(3), fmin(sqrt(3), x));
}

static double uniform_pdf(const bg_distribution *d, double x)
{
    (void)d;
    return fabs(x) <= sqrt(3) ? 0.5 / sqrt(3) : 0;
}

static double uniform_cdf(const bg_distribution *d, double x)
{
    (void)d;
    return (uniform_at(x) / sqrt(3) + 1) / 2;
}

static double uniform_quantile(const bg_distribution *d, double p)
{
    (void)d;
    return sqrt(3) * (2 * p - 1);
}

static double uniform_moment1(const bg_distribution *d, double x)
{
    (void)d;
    double a = uniform_at(x);
    return (a * a - 3) / (4 * sqrt(3));
}

static double uniform_moment2(const bg_distribution *d, double x)
{
    (void)d;
    double a = uniform_at(x) / sqrt(3);
    return (a * a * a + 1) / 2;
}

static double uniform_entropy(const bg_distribution *d)
{
    (void)d;
    return log2(2 * sqrt(3));
}

static double uniform_kurtosis(const bg_distribution *d)
{
    (void)d;
    return -1.2;
}

/* ---- ggd: p ∝ e^{−(|x|/α)^β}, α² = Γ(1/β)/Γ(3/β); partial moments are incomplete gamma functions ---- */

static double ggd_alpha(const bg_distribution *d)
{
    return exp(0.5 * (lgamma(1 / d->shape) - lgamma(3 / d->shape)));
}

static double ggd_power(const bg_distribution *d, double x)
{
    return pow(fabs(x) / ggd_alpha(d), d->shape);
}

static double ggd_pdf(const bg_distribution *d, double x)
{
    return d->shape / (2 * ggd_alpha(d)) * exp(-ggd_power(d, x) - lgamma(1 / d->shape));
}

static double ggd_cdf(const bg_distribution *d, double x)
{
    return mirror_value(0.5 * gsl_sf_gamma_inc_Q(1 / d->shape, ggd_power(d, x)), x);
}

static double ggd_quantile(const bg_distribution *d, double p)
{
    double tail = p < 0.5 ? p : 1 - p;
    double x = ggd_alpha(d) * pow(gsl_cdf_gamma_Qinv(2 * tail, 1 / d->shape, 1), 1 / d->shape);
    return p < 0.5 ? -x : x;
}

static double ggd_moment1(const bg_distribution *d, double x)
{
    double b = d->shape;
    return -0.5 * ggd_alpha(d) * exp(lgamma(2 / b) - lgamma(1 / b)) * gsl_sf_gamma_inc_Q(2 / b, ggd_power(d, x));
}

static double ggd_moment2(const bg_distribution *d, double x)
{
    return mirror_value(0.5 * gsl_sf_gamma_inc_Q(3 / d->shape, ggd_power(d, x)), x);
}

static double ggd_entropy(const bg_distribution *d)
{
    double b = d->shape;
    return (1 / b + log(2 * ggd_alpha(d) / b) + lgamma(1 / b)) / log(2);
}

static double ggd_kurtosis(const bg_distribution *d)
{
    double b = d->shape;
    return exp(lgamma(5 / b) + lgamma(1 / b) - 2 * lgamma(3 / b)) - 3;
}

/* ---- student: x = c·t with t Student of ν degrees, c² = (ν−2)/ν; partial moments are incomplete beta functions ----
 */

static double student_c(const bg_distribution *d)
{
    return sqrt((d->shape - 2) / d->shape);
}

static double student_pdf(const bg_distribution *d, double x)
{
    double nu = d->shape, c = student_c(d), t = x / c;
    return exp(-0.5 * (nu + 1) * log1p(t * t / nu) - gsl_sf_lnbeta(nu / 2, 0.5)) / (c * sqrt(nu));
}

static double student_cdf(const bg_distribution *d, double x)
{
    return mirror_value(gsl_cdf_tdist_P(-fabs(x) / student_c(d), d->shape), x);
}

static double student_quantile(const bg_distribution *d, double p)
{
    return student_c(d) * gsl_cdf_tdist_Pinv(p, d->shape);
}

static double student_moment1(const bg_distribution *d, double x)
{
    double nu = d->shape, c = student_c(d), t = x / c;
    return -c * c * (nu + t * t) / (nu - 1) * student_pdf(d, x);
}

static double student_moment2(const bg_distribution *d, double x)
{
    double nu = d->shape, t = x / student_c(d);
    return mirror_value(0.5 * gsl_sf_beta_inc(nu / 2 - 1, 1.5, nu / (nu + t * t)), x);
}

static double student_entropy(const bg_distribution *d)
{
    double nu = d->shape;
    double h =
        (nu + 1) / 2 * (gsl_sf_psi((nu + 1) / 2) - gsl_sf_psi(nu / 2)) + 0.5 * log(nu) + gsl_sf_lnbeta(nu / 2, 0.5);
    return (h + log(student_c(d))) / log(2);
}

static double student_kurtosis(const bg_distribution *d)
{
    return d->shape > 4 ? 6 / (d->shape - 4) : (double)NAN;
}

/* ---- outliers: a Gaussian with a share p of weights that are ten times as wide ---- */

enum { WIDER = 10 };

/* σ of the others, so that the whole has variance 1. */
static double bulk_sigma(const bg_distribution *d)
{
    return 1 / sqrt(1 + d->shape * (WIDER * WIDER - 1));
}

static double outliers_pdf(const bg_distribution *d, double x)
{
    double a = bulk_sigma(d), b = WIDER * a;
    return (1 - d->shape) * gaussian_pdf(d, x / a) / a + d->shape * gaussian_pdf(d, x / b) / b;
}

static double outliers_cdf(const bg_distribution *d, double x)
{
    double a = bulk_sigma(d);
    return (1 - d->shape) * gaussian_cdf(d, x / a) + d->shape * gaussian_cdf(d, x / (WIDER * a));
}

/* Newton's steps inside a bracket that shrinks; between the quantiles of the two parts. */
static double outliers_quantile(const bg_distribution *d, double p)
{
    double z = gsl_cdf_ugaussian_Pinv(fmin(p, 1 - p)), a = bulk_sigma(d), low = WIDER * a * z, high = a * z, x = high;
    for (int i = 0; i < 100 && high - low > 1e-15 * -low; i++) {
        double miss = outliers_cdf(d, x) - fmin(p, 1 - p);
        *(miss > 0 ? &high : &low) = x;
        double next = x - miss / outliers_pdf(d, x);
        if (fabs(next - x) <= 1e-15 * fabs(x))
            break;
        x = next > low && next < high ? next : 0.5 * (low + high);
    }
    return p <= 0.5 ? x : -x;
}

static double outliers_moment1(const bg_distribution *d, double x)
{
    double a = bulk_sigma(d), b = WIDER * a;
    return -(1 - d->shape) * a * gaussian_pdf(d, x / a) - d->shape * b * gaussian_pdf(d, x / b);
}

static double outliers_moment2(const bg_distribution *d, double x)
{
    double a = bulk_sigma(d), b = WIDER * a;
    return (1 - d->shape) * a * a * gaussian_moment2(d, x / a) + d->shape * b * b * gaussian_moment2(d, x / b);
}

/* −∫ p log2 p by the trapezoid rule, which converges faster than any power for so smooth an integrand. */
static double outliers_entropy(const bg_distribution *d)
{
    double a = bulk_sigma(d), step = a / 16, sum = 0;
    for (int i = -16 * 12 * WIDER; i <= 16 * 12 * WIDER; i++) {
        double p = outliers_pdf(d, i * step);
        sum -= p > 0 ? p * log2(p) * step : 0;
    }
    return sum;
}

static double outliers_kurtosis(const bg_distribution *d)
{
    double a = bulk_sigma(d);
    return 3 * pow(a, 4) * (1 - d->shape + d->shape * pow(WIDER, 4)) - 3;
}

/* ---- samples ---- */

static double sample_by_quantile(const bg_distribution *d, uint64_t seed, uint64_t index)
{
    return d->quantile(d, bg_uniform_at(seed, index));
}

/* |x/α|^β is a gamma variate of shape 1/β. */
static double sample_ggd(const bg_distribution *d, uint64_t seed, uint64_t index)
{
    uint64_t key = bg_bits_at(seed, index);
    double x = ggd_alpha(d) * pow(bg_gamma_of(key, 1 / d->shape), 1 / d->shape);
    return key & 1 ? x : -x;
}

/* A Gaussian over the root of χ²/ν, itself twice a gamma variate of shape ν/2. */
static double sample_student(const bg_distribution *d, uint64_t seed, uint64_t index)
{
    uint64_t key = bg_bits_at(seed, index);
    double z = bg_normal_at(key ^ 0x5bf03635u, 0), chi2 = 2 * bg_gamma_of(key, d->shape / 2);
    return student_c(d) * z / sqrt(chi2 / d->shape);
}

/* ---- the table ---- */

#define FUNCTIONS(name)                                                                                                \
    .pdf = name##_pdf, .cdf = name##_cdf, .quantile = name##_quantile, .moment1 = name##_moment1,                      \
    .moment2 = name##_moment2
#define OWN(name)   FUNCTIONS(name), .entropy_bits = name##_entropy, .kurtosis_excess = name##_kurtosis
#define BY_QUANTILE .memoryless = 1, .sample = sample_by_quantile
const bg_distribution bg_distributions[] = {
    {.name = "gaussian", .help = "normal", BY_QUANTILE, OWN(gaussian)},
    {.name = "laplace", .help = "double exponential", BY_QUANTILE, OWN(laplace)},
    {.name = "logistic", .help = "logistic", BY_QUANTILE, OWN(logistic)},
    {.name = "uniform", .help = "uniform on ±√3", BY_QUANTILE, OWN(uniform)},
    {.name = "ggd",
     .help = "generalised Gaussian of exponent `shape` (2: Gaussian, 1: Laplace)",
     .shape = 0.7,
     .shape_key = "shape",
     .shape_min = 0.2,
     .shape_max = 100,
     .memoryless = 1,
     .sample = sample_ggd,
     OWN(ggd)},
    {.name = "student",
     .help = "Student t of `nu` degrees of freedom",
     .shape = 5,
     .shape_key = "nu",
     .shape_min = 2.05,
     .shape_max = 1e4,
     .memoryless = 1,
     .sample = sample_student,
     OWN(student)},
    {.name = "ar1",
     .help = "Gaussian with correlation `rho` between neighbours of a row",
     .shape = 0.9,
     .shape_key = "rho",
     .shape_min = -0.9999,
     .shape_max = 0.9999,
     FUNCTIONS(gaussian),
     .entropy_bits = ar1_entropy,
     .kurtosis_excess = gaussian_kurtosis},
    {.name = "matrixnormal",
     .help = "Gaussian matrix, covariance Σ_r ⊗ Σ_c: `rows`, `cols`, and `row_spread`, `col_spread` of their log "
             "eigenvalues",
     FUNCTIONS(gaussian),
     .entropy_bits = gaussian_entropy,
     .kurtosis_excess = gaussian_kurtosis},
    {.name = "outliers",
     .help = "Gaussian, a `share` of the weights ten times as wide",
     .shape = 0.001,
     .shape_key = "share",
     .shape_min = 0,
     .shape_max = 1,
     BY_QUANTILE,
     OWN(outliers)},
    {0},
};
#undef FUNCTIONS
#undef OWN
#undef BY_QUANTILE

const bg_distribution *bg_distribution_find(const char *name)
{
    for (const bg_distribution *d = bg_distributions; d->name; d++)
        if (!strcmp(d->name, name))
            return d;
    return NULL;
}
