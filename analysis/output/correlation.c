/* Owns correlation: Pearson's r (GSL), Spearman's ρ as Pearson of mid-ranks, Student's t, Fisher's z interval with the
 * standard error 1/√(n−3) (1.03/√(n−3) for ranks, Fieller, Hartley and Pearson 1957), and for up to eight points the
 * permutation p-value: with four points even |ρ| = 1 has p = 2/24. */
#include "analysis/output/correlation.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_PERMUTED = 8, FEWEST = 5 };

static double pearson_of(const double *x, const double *y, int n)
{
    double mx = gsl_stats_mean(x, 1, (size_t)n), my = gsl_stats_mean(y, 1, (size_t)n), xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? fmax(-1, fmin(1, xy / sqrt(xx * yy))) : (double)NAN;
}

static bg_correlation finish(double r, int n, double fisher)
{
    bg_correlation c = {.n = n, .r = r, .t = NAN, .p = NAN, .low = NAN, .high = NAN, .p_exact = NAN};
    if (isnan(r) || n < 3)
        return c;
    if (fabs(r) >= 1) { /* t is infinite */
        c.p = 0;
    } else {
        c.t = r * sqrt((n - 2) / (1 - r * r));
        c.p = 2 * gsl_cdf_tdist_Q(fabs(c.t), n - 2);
    }
    if (n > 3 && fabs(r) < 1) {
        double half = 1.959963984540054 * fisher / sqrt(n - 3);
        c.low = tanh(atanh(r) - half);
        c.high = tanh(atanh(r) + half);
    }
    return c;
}

bg_correlation bg_pearson(const double *x, const double *y, int n)
{
    return finish(n > 1 ? pearson_of(x, y, n) : (double)NAN, n, 1);
}

/* rank[i]: 1 + how many are smaller, ties sharing the mean of their places. Exact for any n of a report. */
static void mid_ranks(const double *x, int n, double *rank)
{
    for (int i = 0; i < n; i++) {
        int below = 0, equal = 0;
        for (int j = 0; j < n; j++) {
            below += x[j] < x[i];
            equal += x[j] == x[i];
        }
        rank[i] = below + (equal + 1) / 2.0;
    }
}

/* Share of the n! pairings whose |ρ| is at least the one seen (Heap's algorithm over y). */
static double exact_p(const double *x, const double *y, int n, double r)
{
    double z[MAX_PERMUTED];
    int count[MAX_PERMUTED] = {0};
    double hits = 0, all = 0;
    for (int i = 0; i < n; i++)
        z[i] = y[i];
    for (int i = 0;;) {
        if (i == 0) {
            hits += fabs(pearson_of(x, z, n)) >= fabs(r) - 1e-12;
            all++;
            i = 1;
        }
        while (i < n && count[i] >= i)
            count[i++] = 0;
        if (i >= n)
            return hits / all;
        int j = i % 2 ? count[i] : 0;
        double keep = z[i];
        z[i] = z[j];
        z[j] = keep;
        count[i]++;
        i = 0;
    }
}

bg_correlation bg_spearman(const double *x, const double *y, int n, double *ranks)
{
    if (n < 2)
        return finish(NAN, n, 1.03);
    mid_ranks(x, n, ranks);
    mid_ranks(y, n, ranks + n);
    bg_correlation c = finish(pearson_of(ranks, ranks + n, n), n, 1.03);
    if (n <= MAX_PERMUTED && !isnan(c.r))
        c.p_exact = exact_p(ranks, ranks + n, n, c.r);
    return c;
}

const char *bg_correlation_verdict(const bg_correlation *rank)
{
    double p = isnan(rank->p_exact) ? rank->p : rank->p_exact;
    if (isnan(rank->r) || rank->n < FEWEST || !(p <= 0.05))
        return "too few";
    return rank->r > 0.8 ? "validated" : rank->r > 0.5 ? "partly" : "not";
}
