/* Owns the damped, ordered Cholesky factor of a second moment. */
#define _DEFAULT_SOURCE /* madvise */
#include "quant/kernel/cholesky.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "quant/kernel/product.h"

typedef struct ranked {
    double diagonal;
    int64_t column;
} ranked;

static int compare_falling(const void *a, const void *b)
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
        qsort(r + g * G, (size_t)G, sizeof *r, compare_falling);
        group[g] = (ranked){r[g * G].diagonal, g};
    }
    qsort(group, (size_t)whole, sizeof *group, compare_falling);
    qsort(r + whole * G, (size_t)(n - whole * G), sizeof *r, compare_falling);
    for (int64_t k = 0; k < n; k++)
        f->order[k] = k < whole * G ? r[group[k / G].column * G + k % G].column : r[k].column;
    free(r);
    free(group);
    return BG_OK;
}

/* The lower triangle of an n × n matrix in panels of PANEL columns, one after the other: panel p holds rows p·PANEL …
 * n−1, PANEL apart. It takes no more than the triangle, a tile is dense in memory, and a panel that is done can be
 * given back. */
enum { PANEL = 192 };

static int64_t panel_offset(int64_t n, int64_t p)
{
    return PANEL * (p * n - PANEL * (p * (p - 1) / 2));
}

static double *panel_at(double *A, int64_t n, int64_t p)
{
    return A + panel_offset(n, p);
}

static int64_t count_panels(int64_t n)
{
    return (n + PANEL - 1) / PANEL;
}

static int64_t min_int(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A = J·P·(H + λI)·Pᵀ·J with J the reversal: its lower factor L gives M = J·L·J, upper triangular, H = M·Mᵀ. */
static void fill_panels(const bg_factor *f, const double *H, double lambda, double *A)
{
    int64_t n = f->n;
#pragma omp parallel for schedule(dynamic, 16)
    for (int64_t i = 0; i < n; i++) {
        int64_t p = f->order ? f->order[n - 1 - i] : n - 1 - i;
        for (int64_t first = 0; first <= i; first += PANEL) {
            double *row = panel_at(A, n, first / PANEL) + (i - first) * PANEL;
            for (int64_t j = first; j <= min_int(i, first + PANEL - 1); j++) {
                int64_t q = f->order ? f->order[n - 1 - j] : n - 1 - j;
                double v = p <= q ? H[p * n + q] : H[q * n + p];
                row[j - first] = j < i ? v : (f->dead[p] ? 1.0 : v) + lambda;
            }
        }
    }
}

/* Memory whose content is no longer needed goes back to the system, as far as whole pages do. */
static void give_back(double *from, double *to)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), low = ((uintptr_t)from + page - 1) / page * page;
    uintptr_t high = (uintptr_t)to / page * page;
    if (low < high)
        (void)madvise((void *)low, high - low, MADV_DONTNEED);
}

static void keep_row(bg_factor *f, double *A, int64_t i)
{
    int64_t n = f->n;
    float *M = f->M + (n - 1 - i) * n;
    for (int64_t first = 0; first <= i; first += PANEL) {
        const double *row = panel_at(A, n, first / PANEL) + (i - first) * PANEL;
        for (int64_t j = first; j <= min_int(i, first + PANEL - 1); j++)
            M[n - 1 - j] = (float)row[j - first];
    }
}

/* M from A's factor, a band of A's rows at a time, the last first: pages of M come as those of A go. Below the diagonal
 * M stays as calloc gave it, and pages never written take no memory. */
static void keep_factor(bg_factor *f, double *A)
{
    enum { BAND = 256 };
    int64_t n = f->n;
    for (int64_t i = 0; i < n; i++) {
        double l = panel_at(A, n, i / PANEL)[i % PANEL * (PANEL + 1)];
        f->mean_log2 += log2(l * l) / (double)n;
        f->mean_square += l * l / (double)n;
    }
    for (int64_t last = n; last > 0; last -= BAND) {
        int64_t first = last > BAND ? last - BAND : 0;
#pragma omp parallel for schedule(static)
        for (int64_t i = first; i < last; i++)
            keep_row(f, A, i);
        for (int64_t p = 0; p < count_panels(n); p++)
            give_back(panel_at(A, n, p) + (first > p * PANEL ? first - p * PANEL : 0) * PANEL, panel_at(A, n, p + 1));
    }
}

/* Right-looking blocked Cholesky of the lower triangle of A, in place. Tiles are fixed and every BLAS call is made
 * inside a parallel region, where it runs on one thread, so that the digits do not depend on how many there are.
 * Returns 0, or LAPACK's number of the leading minor that is not positive. */
static int factor_panels(double *A, int64_t n)
{
    int info = 0;
    for (int64_t p = 0; p < count_panels(n) && !info; p++) {
        int64_t kb = min_int(PANEL, n - p * PANEL), tiles = count_panels(n) - p - 1, height = n - p * PANEL;
        double *L = panel_at(A, n, p);
#pragma omp parallel
        {
#pragma omp single
            /* Row-major lower is column-major upper: named so, LAPACK works in place and nothing is transposed. */
            info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', (lapack_int)kb, L, PANEL);
            if (!info) {
#pragma omp for schedule(dynamic)
                for (int64_t t = 1; t <= tiles; t++)
                    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit,
                                (int)min_int(PANEL, height - t * PANEL), (int)kb, 1.0, L, PANEL, L + t * PANEL * PANEL,
                                PANEL);
#pragma omp for schedule(dynamic)
                for (int64_t t = 0; t < tiles * tiles; t++) {
                    int64_t i = t / tiles + 1, j = t % tiles + 1;
                    if (j <= i)
                        bg_dgemm((bg_product_shape){min_int(PANEL, height - i * PANEL),
                                                    min_int(PANEL, height - j * PANEL), kb},
                                 -1, (bg_d_operand){L + i * PANEL * PANEL, PANEL, 1},
                                 (bg_d_operand){L + j * PANEL * PANEL, 1, PANEL}, 1,
                                 panel_at(A, n, p + j) + (i - j) * PANEL * PANEL, PANEL);
                }
            }
        }
    }
    return info;
}

static int factor_damped(bg_factor *f, const double *H, double percdamp, bg_err *e)
{
    int64_t n = f->n;
    size_t bytes = (size_t)panel_offset(n, count_panels(n)) * sizeof(double);
    double *A = malloc(bytes);
    if (!A)
        return bg_no_memory(e, "Cholesky factor", bytes);
    int status = BG_OK;
    for (f->damp = percdamp;; f->damp = f->damp < 1e-7 ? 1e-6 : 10 * f->damp) {
        f->lambda = f->damp * f->mean;
        fill_panels(f, H, f->lambda, A);
        int info = factor_panels(A, n);
        if (info == 0)
            break;
        if (info < 0 || f->damp > 1e6) {
            status = bg_fail(e, BG_INPUT, "second moment cannot be factorised even with damping %g", f->damp);
            break;
        }
    }
    f->M = status ? NULL : calloc((size_t)n * (size_t)n, sizeof *f->M);
    if (f->M)
        keep_factor(f, A);
    else if (!status)
        status = bg_no_memory(e, "Cholesky factor", (unsigned long long)n * (unsigned long long)n * sizeof *f->M);
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
    f->mean = sum / (double)n;
    int status = order != BG_ORDER_NATURAL ? choose_order(f, H, order, e) : BG_OK;
    if (!status)
        status = factor_damped(f, H, percdamp, e);
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
