/* Owns shrinkage, held-out eigenvalues and their band (output_band.h). */
#include "analysis/bounds/output_bound_interval.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/probability/bootstrap.h"

enum { ROUNDS = 4 /* of cross-validation */ };

static double share(const bg_folds *f, int k)
{
    double all = 0;
    for (int i = 0; i < f->n; i++)
        all += (double)f->tokens[i];
    return (double)f->tokens[k] / all;
}

/* Folds of unequal length: Var S = Σ p²·Var S_k, and Σ p²‖S_k − S‖² falls short of it by the factor 1 − Σp². */
static double shrinkage_of(const bg_folds *f, const double *s, const bg_output_bound *b)
{
    int64_t n = f->cols, size = n * (n + 1) / 2;
    double error = 0, squares = 0, spread = 0;
    for (int k = 0; k < f->n; k++) {
        double p = share(f, k), sum = 0;
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j <= i; j++) {
                double d = (double)f->triangle[k * size + i * (i + 1) / 2 + j] - s[i * n + j];
                sum += (i == j ? 1 : 2) * d * d;
            }
        error += p * p * sum;
        squares += p * p;
    }
    for (int64_t i = 0; i < n; i++)
        spread += pow(b->eigenvalues[i] - b->mean_diagonal, 2);
    return spread > 0 ? fmin(1, error / (1 - squares) / spread) : 1;
}

/* Eigenvectors (columns) of the folds that are not left out in this round, into the lower triangle q[n × n]. */
static int basis(const bg_folds *f, int round, int rounds, double *q, double *values, bg_err *e)
{
    int64_t n = f->cols, size = n * (n + 1) / 2;
    memset(q, 0, (size_t)n * (size_t)n * sizeof *q);
    for (int k = 0; k < f->n; k++) {
        double weight = k * rounds / f->n == round ? 0 : (double)f->tokens[k];
        for (int64_t i = 0; weight > 0 && i < n; i++)
            for (int64_t j = 0; j <= i; j++)
                q[i * n + j] += weight * (double)f->triangle[k * size + i * (i + 1) / 2 + j];
    }
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', (lapack_int)n, q, (lapack_int)n, values);
    return info ? bg_fail(e, BG_RESOURCE, "eigenvectors of a second moment: dsyevd ended with %d", (int)info) : BG_OK;
}

/* energy[i] = qᵢᵀ S_k qᵢ, falling with i as the eigenvalues do. q and product: n × n, columns. */
static void energies(const bg_folds *f, int k, const double *q, double *square, double *product, double *energy)
{
    int64_t n = f->cols, size = n * (n + 1) / 2;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++)
            square[i * n + j] = (double)f->triangle[k * size + i * (i + 1) / 2 + j];
    cblas_dsymm(CblasColMajor, CblasLeft, CblasUpper, (int)n, (int)n, 1, square, (int)n, q, (int)n, 0, product, (int)n);
    for (int64_t i = 0; i < n; i++)
        energy[n - 1 - i] = fmax(0, cblas_ddot((int)n, q + i * n, 1, product + i * n, 1));
}

/* One round: what its folds have along the eigenvectors of the others. */
static int validate(const bg_folds *f, int round, int rounds, double *energy, bg_err *e)
{
    size_t n = (size_t)f->cols, square = n * n;
    double *q = malloc((3 * square + n) * sizeof *q);
    int status =
        q ? basis(f, round, rounds, q, q + 3 * square, e) : bg_no_memory(e, "eigenvectors", 3 * square * sizeof *q);
    for (int k = 0; k < f->n && !status; k++)
        if (k * rounds / f->n == round)
            energies(f, k, q, q + square, q + 2 * square, energy + (size_t)k * n);
    free(q);
    return status;
}

/* Rounds in parallel and not the products inside them: faster, and the same digits for any number of threads. */
static int cross_validate(const bg_folds *f, double *energy, bg_err *e)
{
    int rounds = f->n < ROUNDS ? f->n : ROUNDS, status = BG_OK;
#pragma omp parallel for schedule(dynamic, 1)
    for (int r = 0; r < rounds; r++) {
        bg_err mine = {0};
        int failed = validate(f, r, rounds, energy, &mine);
        if (failed) {
#pragma omp critical(bg_band)
            {
                status = failed;
                *e = mine;
            }
        }
    }
    return status;
}

static int falling(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static void distortions_of(const double *falling_variances, int64_t n, const double *rates, int n_rates, double *out)
{
    bg_water at[BG_BAND_RATES];
    bg_waterfill_sorted(falling_variances, (size_t)n, rates, n_rates, at);
    for (int r = 0; r < n_rates; r++)
        out[r] = at[r].distortion;
}

/* The bound of the energies averaged over folds with these weights. */
static void bound_of(const double *energy, const double *weight, int folds, int64_t n, double *mean,
                     const double *rates, int n_rates, double *out)
{
    memset(mean, 0, (size_t)n * sizeof *mean);
    for (int k = 0; k < folds; k++)
        for (int64_t i = 0; weight[k] > 0 && i < n; i++)
            mean[i] += weight[k] * energy[k * n + i];
    qsort(mean, (size_t)n, sizeof *mean, falling);
    distortions_of(mean, n, rates, n_rates, out);
}

static void draw_weights(const bg_folds *f, uint64_t seed, int b, double *weight)
{
    double total = 0;
    memset(weight, 0, BG_FOLDS_MOST * sizeof *weight);
    for (int i = 0; i < f->n; i++) {
        int k = bg_resample_at(seed, b, i, f->n);
        weight[k] += (double)f->tokens[k];
        total += (double)f->tokens[k];
    }
    for (int k = 0; k < f->n; k++)
        weight[k] /= total;
}

static int resample(const bg_folds *f, const double *energy, const double *rates, int n, uint64_t seed,
                    bg_output_band *out, bg_err *e)
{
    double(*drawn)[BG_RESAMPLES] = malloc(BG_BAND_RATES * sizeof *drawn);
    int status = drawn ? BG_OK : bg_no_memory(e, "resamples", BG_BAND_RATES * sizeof *drawn);
#pragma omp parallel
    {
        double *mean = malloc((size_t)f->cols * sizeof *mean), weight[BG_FOLDS_MOST], at[BG_BAND_RATES];
#pragma omp for schedule(static)
        for (int b = -1; b < BG_RESAMPLES; b++) { /* −1: every fold once */
            if (!mean || !drawn)
                continue;
            if (b >= 0)
                draw_weights(f, seed, b, weight);
            for (int k = 0; b < 0 && k < f->n; k++)
                weight[k] = share(f, k);
            bound_of(energy, weight, f->n, f->cols, mean, rates, n, b < 0 ? out->held_out : at);
            for (int r = 0; b >= 0 && r < n; r++)
                drawn[r][b] = at[r];
        }
        if (!mean) {
#pragma omp critical(bg_band)
            status = bg_no_memory(e, "resamples", (size_t)f->cols * sizeof *mean);
        }
        free(mean);
    }
    for (int r = 0; r < n && !status; r++)
        bg_resample_interval(drawn[r], &out->low[r], &out->high[r]);
    free(drawn);
    return status;
}

int bg_output_band_of(const bg_folds *f, const double *second_moment, const bg_output_bound *b, const double *rates,
                      int n, uint64_t seed, bg_output_band *out, bg_err *e)
{
    *out = (bg_output_band){.folds = f->n};
    if (f->n < 2 || n > BG_BAND_RATES || f->cols != b->n)
        return bg_fail(e, BG_INPUT,
                       "a band needs the moments of two parts of the text or more; run bitgap calibrate --folds 8");
    double *energy = malloc((size_t)f->n * (size_t)f->cols * sizeof *energy),
           *shrunk = malloc((size_t)b->n * sizeof *shrunk);
    int status =
        energy && shrunk ? BG_OK : bg_no_memory(e, "energies", (size_t)f->n * (size_t)f->cols * sizeof *energy);
    if (!status) {
        out->shrinkage = shrinkage_of(f, second_moment, b);
        for (int64_t i = 0; i < b->n; i++)
            shrunk[i] = (1 - out->shrinkage) * b->eigenvalues[i] + out->shrinkage * b->mean_diagonal;
        distortions_of(shrunk, b->n, rates, n, out->shrunk);
        status = cross_validate(f, energy, e);
    }
    if (!status)
        status = resample(f, energy, rates, n, seed, out, e);
    free(energy);
    free(shrunk);
    return status;
}
