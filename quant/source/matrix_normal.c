/* Owns the samples of source:matrixnormal (source.h): W = P·diag(√μ)·Z·diag(√λ)·Qᵀ, Z standard normal, P and Q random
 * rotations, so that vec W has covariance Σ_r ⊗ Σ_c with the eigenvalues μ_i·λ_j.
 *
 * A random rotation is a product of reflections by Gaussian vectors of lengths n, n − 1, …, 2 (Stewart 1980, SIAM J.
 * Numerical Analysis 17), applied to the matrix one after another; rotations are left out on a side without spread,
 * where they change nothing. Plain loops: the same bytes with any BLAS. */
#include <math.h>
#include <stdlib.h>
#include "quant/probability/random.h"
#include "quant/source/source.h"

/* Streams of random numbers beside that of Z. */
enum { ROW_STREAM = 1, COLUMN_STREAM = 2 };

void bg_source_spectrum(int64_t n, double spread, double *eigenvalue)
{
    const bg_distribution *normal = bg_distribution_find("gaussian");
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        eigenvalue[i] = exp(spread * normal->quantile(normal, ((double)i + 0.5) / (double)n));
        sum += eigenvalue[i];
    }
    for (int64_t i = 0; i < n; i++)
        eigenvalue[i] *= (double)n / sum;
}

static double draw_direction(uint64_t seed, uint64_t first, int64_t n, double *u)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++) {
        u[i] = bg_normal_at(seed, first + (uint64_t)i);
        square += u[i] * u[i];
    }
    return square;
}

/* w ← P·w. u[rows], along[cols]: workspace. */
static void rotate_rows(double *w, int64_t rows, int64_t cols, uint64_t seed, double *workspace)
{
    double *u = workspace, *along = workspace + rows;
    for (int64_t k = rows - 2; k >= 0; k--) {
        double square = draw_direction(seed, (uint64_t)(k * rows), rows - k, u);
        for (int64_t j = 0; j < cols; j++)
            along[j] = 0;
        for (int64_t i = k; i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                along[j] += u[i - k] * w[i * cols + j];
        for (int64_t i = k; i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                w[i * cols + j] -= 2 / square * u[i - k] * along[j];
    }
}

/* w ← w·Qᵀ */
static void rotate_columns(double *w, int64_t rows, int64_t cols, uint64_t seed, double *u)
{
    for (int64_t k = cols - 2; k >= 0; k--) {
        double square = draw_direction(seed, (uint64_t)(k * cols), cols - k, u);
        for (int64_t i = 0; i < rows; i++) {
            double *row = w + i * cols + k, along = 0;
            for (int64_t j = 0; j < cols - k; j++)
                along += u[j] * row[j];
            for (int64_t j = 0; j < cols - k; j++)
                row[j] -= 2 / square * along * u[j];
        }
    }
}

int bg_source_matrix(const bg_source *s, float *out, bg_err *e)
{
    int64_t rows = s->n / s->cols, cols = s->cols;
    double *w = malloc((size_t)s->n * sizeof *w), *side = malloc((size_t)(2 * (rows + cols)) * sizeof *side);
    if (!w || !side) {
        free(w);
        free(side);
        return bg_no_memory(e, "a matrix-normal source", (size_t)s->n * sizeof *w);
    }
    double *row = side, *column = side + rows, *workspace = column + cols;
    bg_source_spectrum(rows, s->row_spread, row);
    bg_source_spectrum(cols, s->col_spread, column);
    for (int64_t i = 0; i < s->n; i++)
        w[i] = sqrt(row[i / cols] * column[i % cols]) * bg_normal_at(s->seed, (uint64_t)i);
    if (s->row_spread > 0)
        rotate_rows(w, rows, cols, bg_bits_at(s->seed, ROW_STREAM), workspace);
    if (s->col_spread > 0)
        rotate_columns(w, rows, cols, bg_bits_at(s->seed, COLUMN_STREAM), workspace);
    for (int64_t i = 0; i < s->n; i++)
        out[i] = (float)(s->sigma * w[i]);
    free(w);
    free(side);
    return BG_OK;
}
