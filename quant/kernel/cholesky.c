/* Owns the damped, ordered Cholesky factor of a second moment. */
#include "quant/kernel/cholesky.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/product.h"

typedef struct ranked {
    double diagonal;
    int64_t column;
} ranked;

static int falling(const void *a, const void *b)
{
    const ranked *p = a, *q = b;
    if (p->diagonal != q->diagonal)
        return p->diagonal > q->diagonal ? -1 : 1;
    return p->column < q->column ? -1 : 1;
}

static int choose_order(bg_factor *f, const double *H, int64_t G, bg_err *e)
{
    int64_t n = f->n, whole = G > 1 ? n / G : 0;
    ranked *r = malloc((size_t)n * sizeof *r), *group = malloc(((size_t)whole + 1) * sizeof *group);
    f->order = malloc((size_t)n * sizeof *f->order);
    if (!r || !group || !f->order) {
        free(r);
        free(group);
        return bg_no_memory(e, "column order", (unsigned long long)n * sizeof *r);
    }
    for (int64_t i = 0; i < n; i++)
        r[i] = (ranked){H[i * n + i], i};
    for (int64_t g = 0; g < whole; g++) {
        qsort(r + g * G, (size_t)G, sizeof *r, falling);
        group[g] = (ranked){r[g * G].diagonal, g};
    }
    qsort(group, (size_t)whole, sizeof *group, falling);
    qsort(r + whole * G, (size_t)(n - whole * G), sizeof *r, falling);
    for (int64_t k = 0; k < n; k++)
        f->order[k] = k < whole * G ? r[group[k / G].column * G + k % G].column : r[k].column;
    free(r);
    free(group);
    return BG_OK;
}

/* A = J·P·(H + λI)·Pᵀ·J with J the reversal: its lower factor L gives M = J·L·J, upper triangular, H = M·Mᵀ. */
static void fill(const bg_factor *f, const double *H, double lambda, double *A)
{
    int64_t n = f->n;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        int64_t p = f->order ? f->order[n - 1 - i] : n - 1 - i;
        for (int64_t j = 0; j <= i; j++) {
            int64_t q = f->order ? f->order[n - 1 - j] : n - 1 - j;
            A[i * n + j] = p <= q ? H[p * n + q] : H[q * n + p];
        }
        A[i * n + i] = (f->dead[p] ? 1.0 : A[i * n + i]) + lambda;
    }
}

/* Below the diagonal M stays as calloc gave it: pages never written take no memory, there and above A's diagonal. */
static void keep(bg_factor *f, const double *A)
{
    int64_t n = f->n;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++)
            f->M[i * n + j] = (float)A[(n - 1 - i) * n + (n - 1 - j)];
    for (int64_t i = 0; i < n; i++) {
        double d = A[i * n + i] * A[i * n + i];
        f->mean_log2 += log2(d) / (double)n;
        f->mean_square += d / (double)n;
    }
}

enum { PANEL = 192 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Right-looking blocked Cholesky of the lower triangle of A (row-major), in place. Tiles are fixed and every BLAS call is
 * made inside a parallel region, where it runs on one thread, so that the digits do not depend on how many there are.
 * Returns 0, or LAPACK's number of the leading minor that is not positive. */
static int cholesky(double *A, int64_t n)
{
    int info = 0;
    for (int64_t k = 0; k < n && !info; k += PANEL) {
        int64_t kb = least(PANEL, n - k), rest = k + kb;
        int64_t tiles = (n - rest + PANEL - 1) / PANEL;
#pragma omp parallel
        {
#pragma omp single
            /* Row-major lower is column-major upper: named so, LAPACK works in place and nothing is transposed. */
            info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', (lapack_int)kb, A + k * n + k, (lapack_int)n);
            if (!info) {
#pragma omp for schedule(dynamic)
                for (int64_t t = 0; t < tiles; t++) {
                    int64_t i = rest + t * PANEL;
                    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit,
                                (int)least(PANEL, n - i), (int)kb, 1.0, A + k * n + k, (int)n, A + i * n + k, (int)n);
                }
#pragma omp for schedule(dynamic)
                for (int64_t t = 0; t < tiles * tiles; t++) {
                    int64_t i = rest + t / tiles * PANEL, j = rest + t % tiles * PANEL;
                    if (j <= i)
                        bg_dgemm(least(PANEL, n - i), least(PANEL, n - j), kb, -1, (bg_d_operand){A + i * n + k, n, 1},
                                 (bg_d_operand){A + j * n + k, 1, n}, 1, A + i * n + j, n);
                }
            }
        }
    }
    return info;
}

static int factorise(bg_factor *f, const double *H, double mean, double percdamp, bg_err *e)
{
    int64_t n = f->n;
    double *A = malloc((size_t)n * (size_t)n * sizeof *A);
    f->M = calloc((size_t)n * (size_t)n, sizeof *f->M);
    if (!A || !f->M) {
        free(A);
        return bg_no_memory(e, "Cholesky factor", (unsigned long long)n * (unsigned long long)n * sizeof *A);
    }
    int status = BG_OK;
    for (f->damp = percdamp;; f->damp = f->damp < 1e-7 ? 1e-6 : 10 * f->damp) {
        f->lambda = f->damp * mean;
        fill(f, H, f->lambda, A);
        int info = cholesky(A, n);
        if (info == 0)
            break;
        if (info < 0 || f->damp > 1e6) {
            status = bg_fail(e, BG_INPUT, "second moment cannot be factorised even with damping %g", f->damp);
            break;
        }
    }
    if (!status)
        keep(f, A);
    free(A);
    return status;
}

int bg_factor_init(bg_factor *f, const double *H, int64_t n, double percdamp, int64_t order, bg_err *e)
{
    *f = (bg_factor){.n = n};
    f->dead = calloc((size_t)n, 1);
    if (!f->dead)
        return bg_no_memory(e, "dead columns", (unsigned long long)n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i; j < n; j++)
            if (!isfinite(H[i * n + j])) {
                bg_factor_free(f);
                return bg_fail(e, BG_INPUT, "second moment is not finite at (%lld, %lld); calibrate again",
                               (long long)i, (long long)j);
            }
        f->dead[i] = !(H[i * n + i] > 0);
        sum += f->dead[i] ? 1.0 : H[i * n + i];
    }
    int status = order != BG_ORDER_NATURAL ? choose_order(f, H, order, e) : BG_OK;
    if (!status)
        status = factorise(f, H, sum / (double)n, percdamp, e);
    if (status)
        bg_factor_free(f);
    return status;
}

void bg_factor_free(bg_factor *f)
{
    free(f->order);
    free(f->dead);
    free(f->M);
    *f = (bg_factor){0};
}
