/* Owns the composition of the five choices on a matrix in memory: transform, rounding (which fits the grid to its
 * scopes), coding of the indices, the transform back. It yields a bg_quantized; bg_measure_quantized measures it. */
#include "quant/engine/quantize.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/coding/column_coding.h"
#include "quant/engine/engine.h"
#include "quant/engine/measure.h"
#include "quant/kernel/group.h"
#include "quant/rounding/nearest.h"

extern const bg_transform bg_transform_none;
extern const bg_coding bg_coding_fixed;

static const char *const not_finite_reason = "the tensor holds NaN or infinite weights";
static const char *const empty_reason = "the tensor is empty";
static const char *const calibration_reason = "needs a calibration: give --calibration";
static const char *const large_reason = "the matrix has more than 2^31 weights, too many for this method";

enum { FEW = 1024, BLOCK_BITS = 16, STEP_BITS = 8 /* of a column's step, where the coding does not write it */ };

/* ---- coding ---- */

/* counts[K] of each symbol; few of them in parallel, in workspaces of their own. */
static void count_symbols(const uint16_t *symbols, size_t n, int K, uint64_t *counts)
{
#pragma omp parallel if (K <= FEW && n > 1 << 16)
    {
        uint32_t mine[4][FEW] = {{0}};
#pragma omp for schedule(static)
        for (size_t block = 0; block < (n + (1 << 16) - 1) >> 16; block++) {
            size_t end = (block + 1) << 16 < n ? (block + 1) << 16 : n;
            for (size_t i = block << 16; i < end; i++)
                if (K <= FEW)
                    mine[i & 3][symbols[i]]++; /* four workspaces: equal neighbours do not wait for each other */
                else
                    counts[symbols[i]]++;
        }
        for (int q = 0; K <= FEW && q < K; q++) {
            uint64_t sum = (uint64_t)mine[0][q] + mine[1][q] + mine[2][q] + mine[3][q];
#pragma omp atomic
            counts[q] += sum;
        }
    }
}

static double entropy_of(const uint64_t *counts, size_t n, int K)
{
    double bits = 0;
    for (int q = 0; q < K; q++)
        if (counts[q])
            bits -= (double)counts[q] / (double)n * log2((double)counts[q] / (double)n);
    return bits;
}

/* Counts the stored indices and, where the spec codes them, replaces the bits of fixed-length ones by coded ones. */
static int code_indices(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    size_t n = (size_t)(m->rows * m->cols);
    int K = q->stored.K;
    if (q->column_step && s->coding->bits_of_columns) {
        bg_columns c = {.rows = m->rows,
                        .cols = m->cols,
                        .symbols = q->stored.codes,
                        .zero = -q->stored.lo,
                        .step = q->column_step};
        q->rate.table = 0;
        return s->coding->bits_of_columns(&c, &q->rate.indices, &q->index_entropy, e);
    }
    if (q->column_step)
        q->rate.scales += STEP_BITS * (double)m->cols;
    uint64_t *counts = calloc((size_t)K, sizeof *counts);
    if (!counts)
        return bg_no_memory(e, "symbol counts", (unsigned long long)K * sizeof *counts);
    for (size_t i = 0; i < n; i++)
        BG_ASSERT(q->stored.codes[i] < K);
    count_symbols(q->stored.codes, n, K, counts);
    q->index_entropy = entropy_of(counts, n, K);
    free(counts);
    return s->coding->bits ? s->coding->bits(q->stored.codes, n, K, &q->rate.indices, &q->rate.table, e) : BG_OK;
}

/* ---- composition ---- */

static const char *reason_not_to(const bg_spec *s, const bg_matrix *m)
{
    if (m->rows <= 0 || m->cols <= 0)
        return empty_reason;
    if (m->rows > INT32_MAX / m->cols)
        return large_reason;
    if ((s->transform->needs_calibration || s->rounding->needs_calibration || s->fits_importance) && !m->second_moment)
        return calibration_reason;
    return bg_any_not_finite(m->memory, (size_t)(m->rows * m->cols)) ? not_finite_reason : NULL;
}

/* Rounding and coding: all choices but the transform. */
static int quantize_plain(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    q->skipped = reason_not_to(s, m);
    if (q->skipped)
        return BG_OK;
    int status = s->rounding->run ? s->rounding->run(s, m, q, e) : bg_round_nearest(s, m, q, e);
    if (!status && !q->skipped && q->stored.codes)
        status = code_indices(s, m, q, e);
    return status;
}

static bg_quantized empty_result(float *hat, int want_indices)
{
    return (bg_quantized){
        .hat = hat, .want_indices = want_indices, .index_entropy = (double)NAN, .output_mse = (double)NAN};
}

static int try_nearest(const bg_spec *s, const bg_matrix *m, float *hat, double *output_mse, const char **skipped,
                       bg_err *e)
{
    bg_spec inner = *s;
    bg_quantized q = empty_result(hat, 0);
    inner.transform = &bg_transform_none;
    inner.rounding = &bg_rounding_nearest;
    inner.coding = &bg_coding_fixed;
    inner.open_ended = 0;
    int status = quantize_plain(&inner, m, &q, e);
    *skipped = q.skipped;
    if (!status && !q.skipped && output_mse)
        status = bg_output_mse(m->second_moment, m->memory, hat, m->rows, m->cols, output_mse, e);
    bg_quantized_free(&q);
    return status;
}

static void free_turned(const bg_spec *s, bg_turned *t)
{
    if (s->transform->release)
        s->transform->release(t);
    free(t->w);
    free(t->second_moment);
    free(t->mean_abs);
    free(t->max_abs);
    free(t->scale);
    free(t->mask);
}

/* Turns the matrix, quantizes what it has become, turns the result back. Indices and scales are then of other
 * coordinates than the matrix, so that no format writer gets them. */
static int quantize_turned(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    bg_turned t = {0};
    bg_spec inner = *s;
    inner.transform = &bg_transform_none;
    q->want_indices = 0;
    int status = s->transform->forward(s, m, try_nearest, &t, e);
    q->skipped = t.skipped;
    if (!status && !q->skipped)
        status = quantize_plain(&inner, &t.m, q, e);
    bg_quantized_free(q);
    q->output_mse = (double)NAN; /* it would be that of the turned input */
    if (!status && !q->skipped)
        status = s->transform->inverse(s, &t, m, q, e);
    if (!status && !q->skipped) {
        q->stored.input_scale = t.scale;
        t.scale = NULL;
    }
    free_turned(s, &t);
    return status;
}

int bg_quantize(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    *q = empty_result(q->hat, q->want_indices);
    if (!s->transform->forward)
        return quantize_plain(s, m, q, e);
    q->skipped = reason_not_to(s, m);
    return q->skipped ? BG_OK : quantize_turned(s, m, q, e);
}

int bg_reconstruct(const bg_matrix *m, const bg_spec *s, const float *w, float *out, bg_measure *measure,
                   bg_stored *stored, bg_err *e)
{
    bg_measure mine, *r = measure ? measure : &mine;
    double began = bg_now();
    bg_matrix here = *m;
    size_t bytes = m->rows > 0 && m->cols > 0 ? (size_t)(m->rows * m->cols) * sizeof *out : 0;
    float *own = out == w ? malloc(bytes + 1) : NULL; /* the error needs the weights as they were */
    bg_quantized q = {.hat = own ? own : out, .want_indices = stored != NULL};
    *r = (bg_measure){.output_mse = (double)NAN};
    if (stored)
        *stored = (bg_stored){0};
    if (out == w && !own)
        return bg_no_memory(e, "a copy of the matrix", bytes);
    here.memory = w;
    int status = bg_quantize(s, &here, &q, e);
    r->skipped = q.skipped;
    if (!status && !q.skipped)
        status = bg_measure_quantized(&here, &q, r, e);
    if (!status && !q.skipped && own)
        memcpy(out, own, bytes);
    /* The range of indices of step=signed differs from scope to scope, which bg_stored cannot say. */
    if (!status && stored && s->step.word != BG_STEP_SIGNED) {
        *stored = q.stored;
        q.stored = (bg_stored){0};
    }
    bg_quantized_free(&q);
    free(own);
    r->seconds = bg_now() - began;
    return status ? bg_context(e, "%s", s->text) : BG_OK;
}
