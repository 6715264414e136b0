/* Owns the pass over a tensor that counts its weights, and the statistics that follow from the counts. */
#include "analysis/tensors/tensor_histogram.h"

#include <math.h>
#include <stdlib.h>
#include "analysis/bounds/differential_entropy.h"
#include "quant/source/weights.h"
#include "io/base/failure.h"

enum { TILE = 1 << 18, CODES = 65536 };

void bg_tensor_hist_free(bg_tensor_hist *h)
{
    bg_hist_free(&h->hist);
}

static int64_t rows_a_tile(const bg_tensor *t)
{
    int64_t n = t->cols ? TILE / t->cols : 1;
    return n < 1 ? 1 : n > t->rows ? (t->rows ? t->rows : 1) : n;
}

/* ---- 16-bit codes ---- */

/* Adds the codes of all rows to counts. Whole numbers, so threads may add in any order. */
static int count_codes(const bg_tensor *t, uint64_t *counts, bg_err *e)
{
    int64_t step = rows_a_tile(t), tiles = (t->rows + step - 1) / step;
    bg_failure failure = {0};
#pragma omp parallel if (tiles > 1)
    {
        uint16_t *codes = malloc((size_t)(step * t->cols) * sizeof *codes);
        uint64_t *own = calloc(CODES, sizeof *own);
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < tiles; k++) {
            int64_t first = k * step, n = t->rows - first < step ? t->rows - first : step;
            bg_err mine = {0};
            int failed = !codes || !own   ? bg_no_memory(&mine, t->name, (size_t)(step * t->cols) * sizeof *codes)
                         : bg_interrupted ? bg_fail(&mine, BG_RESOURCE, "interrupted")
                                          : bg_tensor_codes16(t, first, n, codes, &mine);
            if (failed)
                bg_failure_note(&failure, k, &mine);
            for (size_t i = 0, end = failed ? 0 : (size_t)(n * t->cols); i < end; i++)
                own[codes[i]]++;
        }
#pragma omp critical(bg_count_codes)
        for (int c = 0; c < CODES && own; c++)
            counts[c] += own[c];
        free(codes);
        free(own);
    }
    return bg_failure_status(&failure, e);
}

static int read_codes(const bg_tensor *t, bg_tensor_hist *out, bg_err *e)
{
    uint64_t *counts = calloc(CODES, sizeof *counts);
    float *values = malloc(CODES * sizeof *values);
    int status = counts && values ? BG_OK : bg_no_memory(e, t->name, CODES * 12);
    if (!status)
        status = count_codes(t, counts, e);
    for (uint32_t c = 0; c < CODES && !status; c++) {
        float v = t->dtype == BG_BF16 ? bg_bf16_to_f32((uint16_t)c) : bg_f16_to_f32((uint16_t)c);
        values[c] = v;
        if (isfinite(v)) {
            out->zeros += v == 0 ? counts[c] : 0;
            continue;
        }
        *(isnan(v) ? &out->nans : &out->infs) += counts[c];
        counts[c] = 0;
    }
    out->mantissa_bits = t->dtype == BG_BF16 ? 7 : 10;
    if (!status)
        status = bg_hist_from_codes(&out->hist, counts, values, e);
    free(counts);
    free(values);
    return status;
}

/* ---- other types ---- */

/* Moves the finite weights to the front, counting the others. */
static size_t keep_finite(float *x, size_t n, bg_tensor_hist *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(x[i])) {
            out->zeros += x[i] == 0;
            x[kept++] = x[i];
        } else {
            *(isnan(x[i]) ? &out->nans : &out->infs) += 1;
        }
    }
    return kept;
}

static int read_sorted(const bg_tensor *t, bg_tensor_hist *out, bg_err *e)
{
    float *x = malloc(((size_t)t->count + 1) * sizeof *x);
    if (!x)
        return bg_no_memory(e, t->name, t->count * sizeof *x);
    int64_t step = rows_a_tile(t);
    int status = BG_OK;
    for (int64_t at = 0; !status && at < t->rows; at += step)
        status = bg_tensor_rows(t, at, t->rows - at < step ? t->rows - at : step, x + at * t->cols, e);
    size_t kept = status ? 0 : keep_finite(x, (size_t)t->count, out);
    if (!status)
        status = bg_hist_from_values(&out->hist, x, NULL, kept, e);
    free(x);
    return status;
}

typedef struct binning {
    double low, high, *sum, *weight;
} binning;

/* One pass in row order: extremes first, then the bins. */
static int pass(const bg_tensor *t, float *tile, binning *b, bg_tensor_hist *out, bg_err *e)
{
    int64_t step = rows_a_tile(t);
    double scale = b->sum && b->high > b->low ? BG_BINS / (b->high - b->low) : 0;
    for (int64_t at = 0; at < t->rows; at += step) {
        int64_t n = t->rows - at < step ? t->rows - at : step;
        int status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : bg_tensor_rows(t, at, n, tile, e);
        if (status)
            return status;
        bg_tensor_hist again = {0};
        size_t kept = keep_finite(tile, (size_t)(n * t->cols), b->sum ? &again : out);
        for (size_t i = 0; i < kept; i++) {
            double x = (double)tile[i];
            if (!b->sum) {
                b->low = fmin(b->low, x), b->high = fmax(b->high, x);
                continue;
            }
            int k = (int)((x - b->low) * scale);
            k = k < BG_BINS ? k : BG_BINS - 1;
            b->weight[k] += 1, b->sum[k] += x - b->low;
        }
    }
    return BG_OK;
}

static int read_binned(const bg_tensor *t, bg_tensor_hist *out, bg_err *e)
{
    float *tile = malloc((size_t)(rows_a_tile(t) * t->cols) * sizeof *tile);
    double *workspace = calloc(2 * BG_BINS, sizeof *workspace);
    binning b = {(double)INFINITY, -(double)INFINITY, NULL, NULL};
    int status =
        tile && workspace ? pass(t, tile, &b, out, e) : bg_no_memory(e, t->name, 2 * BG_BINS * sizeof *workspace);
    if (!status && b.high >= b.low) {
        b.sum = workspace, b.weight = workspace + BG_BINS;
        status = pass(t, tile, &b, out, e);
    }
    size_t n = 0;
    for (size_t k = 0; k < BG_BINS && !status; k++)
        if (workspace[BG_BINS + k] > 0) {
            workspace[n] = b.low + workspace[k] / workspace[BG_BINS + k];
            workspace[BG_BINS + n++] = workspace[BG_BINS + k];
        }
    if (!status)
        status = bg_hist_from_sorted(&out->hist, workspace, workspace + BG_BINS, n, e);
    out->note = "more than 2^24 weights of 32 bits: counted in 65,536 equal bins, each at its mean";
    free(tile);
    free(workspace);
    return status;
}

int bg_tensor_hist_read(const bg_tensor *t, bg_tensor_hist *out, bg_err *e)
{
    *out = (bg_tensor_hist){.mantissa_bits = 23};
    const bg_source *density = t->ckpt ? bg_weights_density(t->ckpt) : NULL;
    int status;
    if (density) {
        out->note = "a density: no samples";
        return bg_hist_from_distribution(&out->hist, &density->distribution, density->sigma, e);
    }
    if (t->dtype == BG_BF16 || t->dtype == BG_F16)
        status = read_codes(t, out, e);
    else
        status = t->count <= BG_EXACT_WEIGHTS ? read_sorted(t, out, e) : read_binned(t, out, e);
    if (status) {
        bg_hist_free(&out->hist);
        return bg_context(e, "tensor '%s'", t->name);
    }
    if (!t->count)
        out->note = "an empty tensor";
    else if (!out->hist.n)
        out->note = "all weights are NaN or Inf";
    else if (out->hist.n == 1)
        out->note = "a constant tensor: variance 0";
    return BG_OK;
}

/* ---- statistics ---- */

/* β of the generalised Gaussian whose (E|x|)²/E x² = Γ(2/β)²/(Γ(1/β)Γ(3/β)) is the ratio given; the ratio grows with β.
 */
static double ggd_shape(double ratio)
{
    double low = 0.1, high = 20;
    for (int i = 0; i < 60; i++) {
        double b = 0.5 * (low + high);
        *(exp(2 * lgamma(2 / b) - lgamma(1 / b) - lgamma(3 / b)) < ratio ? &low : &high) = b;
    }
    return 0.5 * (low + high);
}

void bg_statistics_of(const bg_hist *h, int mantissa_bits, bg_statistics *out)
{
    const double none = (double)NAN;
    *out = (bg_statistics){.mean = h->mean,
                           .sigma2 = h->sigma2,
                           .min = h->min,
                           .max = h->max,
                           .skewness = none,
                           .kurtosis_excess = none,
                           .max_over_sigma = none,
                           .differential_entropy_bits = none,
                           .ggd_shape = none};
    if (!h->is_density) {
        out->weights = (uint64_t)h->total;
        out->distinct = h->n;
        out->entropy_bits = h->n ? bg_hist_entropy_bits(h) : 0;
    }
    if (!(h->sigma2 > 0))
        return;
    long double third = 0, fourth = 0, absolute = 0;
    for (size_t i = 0; i < h->n; i++) {
        long double d = (long double)h->value[i] - (long double)h->mean, w = (long double)h->weight[i];
        third += w * d * d * d;
        fourth += w * d * d * d * d;
        absolute += w * fabsl(d);
    }
    double sigma = sqrt(h->sigma2), n = h->total;
    out->skewness = (double)(third / (long double)n) / (h->sigma2 * sigma);
    out->kurtosis_excess = (double)(fourth / (long double)n) / (h->sigma2 * h->sigma2) - 3;
    out->max_over_sigma = fmax(h->max - h->mean, h->mean - h->min) / sigma;
    double mean_abs = (double)(absolute / (long double)n);
    out->ggd_shape = ggd_shape(mean_abs * mean_abs / h->sigma2);
    out->differential_entropy_bits = h->is_density ? bg_hist_entropy_bits(h) : bg_entropy_of_codes(h, mantissa_bits);
}

int bg_hist_add(bg_hist *sum, const bg_hist *h, bg_err *e)
{
    size_t n = sum->n + h->n, k = 0;
    double *value = malloc((2 * n + 1) * sizeof *value), *weight = value ? value + n : NULL;
    if (!value)
        return bg_no_memory(e, "a histogram", 2 * n * sizeof *value);
    for (size_t i = 0, j = 0; i < sum->n || j < h->n;) {
        int left = j == h->n || (i < sum->n && sum->value[i] <= h->value[j]);
        double v = left ? sum->value[i] : h->value[j], w = left ? sum->weight[i] : h->weight[j];
        *(left ? &i : &j) += 1;
        if (k && value[k - 1] == v)
            weight[k - 1] += w;
        else
            value[k] = v, weight[k++] = w;
    }
    bg_hist_free(sum);
    int status = bg_hist_from_sorted(sum, value, weight, k, e);
    free(value);
    return status;
}
