/* Owns the distances between rate–quality curves. */
#include "analysis/curves/bd_rate.h"

#include <gsl/gsl_errno.h>
#include <gsl/gsl_interp.h>
#include <gsl/gsl_multifit.h>
#include <math.h>

/* ---- integrals of y(x) over [a, b], x rising ---- */

/* ∫ over t in [t0, t1] ⊂ [0, 1] of the Hermite cubic with ends y0, y1 and slopes m0, m1 (times the width), times h. */
static double hermite_piece(double y0, double y1, double m0, double m1, double h, double t0, double t1)
{
    double c3 = 2 * y0 - 2 * y1 + m0 + m1, c2 = 3 * y1 - 3 * y0 - 2 * m0 - m1;
    double ends[2] = {t0, t1}, F[2];
    for (int i = 0; i < 2; i++) {
        double t = ends[i];
        F[i] = (((c3 / 4 * t + c2 / 3) * t + m0 / 2) * t + y0) * t;
    }
    return h * (F[1] - F[0]);
}

static double end_slope(double h0, double h1, double d0, double d1)
{
    double m = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1);
    if (m * d0 <= 0)
        return 0;
    return d0 * d1 < 0 && fabs(m) > 3 * fabs(d0) ? 3 * d0 : m;
}

/* Fritsch & Butland 1984: the weighted harmonic mean of the neighbouring secants, 0 at an extremum. */
static void pchip_slopes(const double *x, const double *y, int n, double *m)
{
    double h[BG_BD_POINTS], d[BG_BD_POINTS];
    for (int i = 0; i + 1 < n; i++) {
        h[i] = x[i + 1] - x[i];
        d[i] = (y[i + 1] - y[i]) / h[i];
    }
    if (n == 2) {
        m[0] = m[1] = d[0];
        return;
    }
    m[0] = end_slope(h[0], h[1], d[0], d[1]);
    m[n - 1] = end_slope(h[n - 2], h[n - 3], d[n - 2], d[n - 3]);
    for (int i = 1; i + 1 < n; i++) {
        double a = 2 * h[i] + h[i - 1], b = h[i] + 2 * h[i - 1];
        m[i] = d[i - 1] * d[i] > 0 ? (a + b) / (a / d[i - 1] + b / d[i]) : 0;
    }
}

static double pchip_integral(const double *x, const double *y, int n, double a, double b)
{
    double m[BG_BD_POINTS], sum = 0;
    pchip_slopes(x, y, n, m);
    for (int i = 0; i + 1 < n; i++) {
        double h = x[i + 1] - x[i], t0 = fmax((a - x[i]) / h, 0), t1 = fmin((b - x[i]) / h, 1);
        if (t1 > t0)
            sum += hermite_piece(y[i], y[i + 1], m[i] * h, m[i + 1] * h, h, t0, t1);
    }
    return sum;
}

static double akima_integral(const double *x, const double *y, int n, double a, double b)
{
    gsl_interp *akima = gsl_interp_alloc(gsl_interp_akima, (size_t)n);
    double out = NAN;
    if (!akima)
        return out;
    if (gsl_interp_init(akima, x, y, (size_t)n) || gsl_interp_eval_integ_e(akima, x, y, a, b, NULL, &out))
        out = NAN;
    gsl_interp_free(akima);
    return out;
}

/* One polynomial of degree 3 in u = (x − middle)/half, which keeps the powers comparable. */
static double cubic_integral(const double *x, const double *y, int n, double a, double b)
{
    double middle = 0.5 * (x[0] + x[n - 1]), half = 0.5 * (x[n - 1] - x[0]), out = NAN, chisq;
    gsl_matrix *X = gsl_matrix_alloc((size_t)n, 4), *cov = gsl_matrix_alloc(4, 4);
    gsl_vector *c = gsl_vector_alloc(4);
    gsl_multifit_linear_workspace *work = gsl_multifit_linear_alloc((size_t)n, 4);
    if (X && cov && c && work) {
        for (int i = 0; i < n; i++)
            for (int k = 0; k < 4; k++)
                gsl_matrix_set(X, (size_t)i, (size_t)k, pow((x[i] - middle) / half, k));
        gsl_vector_const_view v = gsl_vector_const_view_array(y, (size_t)n);
        if (!gsl_multifit_linear(X, &v.vector, c, cov, &chisq, work)) {
            out = 0;
            for (int k = 0; k < 4; k++)
                out += half * gsl_vector_get(c, (size_t)k) / (k + 1) *
                       (pow((b - middle) / half, k + 1) - pow((a - middle) / half, k + 1));
        }
    }
    gsl_multifit_linear_free(work);
    gsl_vector_free(c);
    gsl_matrix_free(cov);
    gsl_matrix_free(X);
    return out;
}

/* ---- distances ---- */

static int check(bg_bd_method how, const double *x, const double *y, int n, bg_err *e)
{
    static const int min[] = {4, 2, 5};
    if (n < min[how])
        return bg_fail(e, BG_INPUT, "a curve of %d points is too short for this interpolation (%d)", n, min[how]);
    for (int i = 0; i < n; i++)
        if (!isfinite(x[i]) || !isfinite(y[i]) || (i && (x[i] <= x[i - 1] || y[i] <= y[i - 1])))
            return bg_fail(e, BG_INPUT, "a curve is not rising: more rate without more quality");
    return BG_OK;
}

/* A curve y(x) at n rising places. */
typedef struct samples {
    const double *x, *y;
    int n;
} samples;

/* Mean over the common range of x of test − anchor. */
static int mean_difference(bg_bd_method how, samples anchor, samples test, double *out, bg_err *e)
{
    static double (*const integral[])(const double *, const double *, int, double,
                                      double) = {cubic_integral, pchip_integral, akima_integral};
    int status = check(how, anchor.x, anchor.y, anchor.n, e);
    if (!status)
        status = check(how, test.x, test.y, test.n, e);
    if (status)
        return status;
    double low = fmax(anchor.x[0], test.x[0]), high = fmin(anchor.x[anchor.n - 1], test.x[test.n - 1]);
    if (!(high > low))
        return bg_fail(e, BG_INPUT, "the curves do not overlap");
    *out = (integral[how](test.x, test.y, test.n, low, high) - integral[how](anchor.x, anchor.y, anchor.n, low, high)) /
           (high - low);
    return isfinite(*out) ? BG_OK : bg_fail(e, BG_INPUT, "the interpolation of a curve failed");
}

int bg_bd_bits(bg_bd_method how, const bg_bd_curve *anchor, const bg_bd_curve *test, double *out, bg_err *e)
{
    return mean_difference(how, (samples){anchor->quality_db, anchor->rate, anchor->n},
                           (samples){test->quality_db, test->rate, test->n}, out, e);
}

static int logarithms(const bg_bd_curve *c, double *out, bg_err *e)
{
    for (int i = 0; i < c->n; i++) {
        if (!(c->rate[i] > 0))
            return bg_fail(e, BG_INPUT, "a rate of 0 has no logarithm");
        out[i] = log10(c->rate[i]);
    }
    return BG_OK;
}

int bg_bd_rate_percent(bg_bd_method how, const bg_bd_curve *anchor, const bg_bd_curve *test, double *out, bg_err *e)
{
    double a[BG_BD_POINTS], t[BG_BD_POINTS];
    int status = logarithms(anchor, a, e);
    if (!status)
        status = logarithms(test, t, e);
    if (!status)
        status = mean_difference(how, (samples){anchor->quality_db, a, anchor->n},
                                 (samples){test->quality_db, t, test->n}, out, e);
    if (!status)
        *out = 100 * (pow(10, *out) - 1);
    return status;
}

int bg_bd_quality_db(bg_bd_method how, int log_rate, const bg_bd_curve *anchor, const bg_bd_curve *test, double *out,
                     bg_err *e)
{
    if (!log_rate)
        return mean_difference(how, (samples){anchor->rate, anchor->quality_db, anchor->n},
                               (samples){test->rate, test->quality_db, test->n}, out, e);
    double a[BG_BD_POINTS], t[BG_BD_POINTS];
    int status = logarithms(anchor, a, e);
    if (!status)
        status = logarithms(test, t, e);
    return status ? status
                  : mean_difference(how, (samples){a, anchor->quality_db, anchor->n},
                                    (samples){t, test->quality_db, test->n}, out, e);
}
