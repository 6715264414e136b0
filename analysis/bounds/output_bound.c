/* Owns the functional rate-distortion bound of a linear layer (output_bound.h). */
#include "analysis/bounds/output_bound.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* LAPACK on one thread: its sums, and so the last digits, depend on how many share the work. Returns how many there
 * were. */
static int alone(void)
{
    int threads = openblas_get_num_threads();
    openblas_set_num_threads(1);
    return threads;
}

static int copy_of(const double *from, int64_t n, double **to, bg_err *e)
{
    if (n < 1 || n > INT32_MAX)
        return bg_fail(e, BG_INPUT, "a second moment of %lld columns", (long long)n);
    size_t bytes = (size_t)n * (size_t)n * sizeof *from;
    *to = malloc(bytes);
    if (!*to)
        return bg_no_memory(e, "a second moment", bytes);
    memcpy(*to, from, bytes);
    for (size_t i = 0; i < (size_t)n * (size_t)n; i++)
        if (!isfinite(from[i])) {
            free(*to);
            *to = NULL;
            return bg_fail(e, BG_INPUT, "the second moment of the inputs is not finite; re-run bitgap calibrate");
        }
    return BG_OK;
}

int bg_output_bound_init(bg_output_bound *b, const double *second_moment, int64_t n, bg_err *e)
{
    *b = (bg_output_bound){.n = n};
    double *a, logs = 0;
    int status = copy_of(second_moment, n, &a, e);
    if (status)
        return status;
    b->eigenvalues = malloc((size_t)n * sizeof *b->eigenvalues);
    if (!b->eigenvalues) {
        free(a);
        return bg_no_memory(e, "eigenvalues", (size_t)n * sizeof *b->eigenvalues);
    }
    for (int64_t i = 0; i < n; i++)
        b->mean_diagonal += a[i * n + i] / (double)n;
    int threads = alone();
    lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', 'U', (lapack_int)n, a, (lapack_int)n, b->eigenvalues);
    openblas_set_num_threads(threads);
    free(a);
    if (info) {
        bg_output_bound_free(b);
        return bg_fail(e, BG_RESOURCE, "eigenvalues of the second moment: dsyevd ended with %d", (int)info);
    }
    for (int64_t i = 0; i < n / 2; i++) { /* descending */
        double swap = b->eigenvalues[i];
        b->eigenvalues[i] = b->eigenvalues[n - 1 - i];
        b->eigenvalues[n - 1 - i] = swap;
    }
    for (int64_t i = 0; i < n; i++) {
        b->eigenvalues[i] = fmax(0, b->eigenvalues[i]);
        logs += log2(b->eigenvalues[i]) / (double)n;
    }
    b->log2_geometric_mean = logs;
    return BG_OK;
}

void bg_output_bound_free(bg_output_bound *b)
{
    free(b->eigenvalues);
    *b = (bg_output_bound){0};
}

/* The level scales with σ²: fill for variances λ_i and scale the outcome. */
int bg_output_bound_at_rate(const bg_output_bound *b, double sigma2, double rate_bits, bg_water *out, bg_err *e)
{
    if (!(sigma2 > 0))
        return bg_fail(e, BG_INPUT, "an output bound of weights without variance");
    bg_waterfill_sorted(b->eigenvalues, (size_t)b->n, &rate_bits, 1, out);
    out->level *= sigma2;
    out->distortion *= sigma2;
    return BG_OK;
}

int bg_output_bound_at_distortion(const bg_output_bound *b, double sigma2, double distortion, bg_water *out, bg_err *e)
{
    if (!(sigma2 > 0) || !(distortion > 0))
        return bg_fail(e, BG_INPUT, "an output bound of weights without variance, or at no distortion");
    *out = bg_waterfill_distortion(b->eigenvalues, NULL, (size_t)b->n, distortion / sigma2);
    out->level *= sigma2;
    out->distortion *= sigma2;
    return BG_OK;
}

double bg_effective_rank(const bg_output_bound *b)
{
    double sum = 0, entropy = 0;
    for (int64_t i = 0; i < b->n; i++)
        sum += b->eigenvalues[i];
    for (int64_t i = 0; i < b->n; i++)
        entropy -= b->eigenvalues[i] > 0 ? b->eigenvalues[i] / sum * log(b->eigenvalues[i] / sum) : 0;
    return exp(entropy);
}

double bg_nearest_loss_bits(const bg_output_bound *b)
{
    return 0.5 * (log2(b->mean_diagonal) - b->log2_geometric_mean);
}

double bg_feedback_loss_bits(const bg_output_bound *b, const double *pivots)
{
    double mean = 0;
    for (int64_t i = 0; i < b->n; i++)
        mean += pivots[i] / (double)b->n;
    return 0.5 * (log2(mean) - b->log2_geometric_mean);
}

/* ‖Ũ⁻¹‖² for the upper triangle u (row-major), its columns divided by the diagonal; u is overwritten. */
static double inverse_norm(double *u, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i <= j; i++)
            u[i * n + j] /= j == i ? 1 : u[j * n + j];
    for (int64_t i = 0; i < n; i++)
        u[i * n + i] = 1;
    LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'U', 'U', (lapack_int)n, u, (lapack_int)n);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++)
            sum += u[i * n + j] * u[i * n + j];
    return sum;
}

/* Σ = UUᵀ with U upper is the ordinary factor L of Σ with rows and columns in reverse: U_ij = L_{n−1−i, n−1−j}. */
int bg_feedback_pivots(const double *second_moment, int64_t n, double *pivots, double *weight_factor, bg_err *e)
{
    double *a;
    int status = copy_of(second_moment, n, &a, e);
    if (status)
        return status;
    for (int64_t i = 0; i < n * n / 2; i++) { /* both orders reversed at once */
        double swap = a[i];
        a[i] = a[n * n - 1 - i];
        a[n * n - 1 - i] = swap;
    }
    int threads = alone();
    lapack_int info = LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (lapack_int)n, a, (lapack_int)n);
    if (info) {
        openblas_set_num_threads(threads);
        free(a);
        return bg_fail(e, BG_INPUT, "the second moment is not positive definite (order %d); use more calibration text",
                       (int)info);
    }
    for (int64_t i = 0; i < n * n / 2; i++) {
        double swap = a[i];
        a[i] = a[n * n - 1 - i];
        a[n * n - 1 - i] = swap;
    }
    for (int64_t i = 0; i < n; i++)
        pivots[i] = a[i * n + i] * a[i * n + i];
    if (weight_factor)
        *weight_factor = inverse_norm(a, n) / (double)n;
    openblas_set_num_threads(threads);
    free(a);
    return BG_OK;
}
