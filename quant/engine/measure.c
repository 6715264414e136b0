/* Owns the comparison of a matrix with what a quantizer made of it. */
#include "quant/engine/measure.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/assert.h"
#include "io/base/failure.h"
#include "quant/kernel/difference.h"
#include "quant/kernel/product.h"

enum {
    CHUNK = 64,
    WIDE = 192,  /* rows: the unit of work and of summation; of products where there are enough */
    STRIP = 192, /* columns of Σ in single precision at a time */
};

/* Columns [first, first + cols) of T, the upper triangle of Σ with half its diagonal; rows from `first + cols` on are
 * zero. */
typedef struct strip {
    int64_t first, cols;
    float *T; /* [(first + cols) × cols] */
} strip;

static void fill_row(const strip *s, const double *second_moment, int64_t C, int64_t i)
{
    for (int64_t j = 0; j < s->cols; j++) {
        double v = second_moment[i * C + s->first + j];
        s->T[i * s->cols + j] = (float)(i < s->first + j ? v : i == s->first + j ? v / 2 : 0);
    }
}

/* The strip's part of Σ over the chunk's rows of e·Σ·eᵀ = 2·e·T·eᵀ: half the products. They are in single and the sum
 * is in double precision. error: room of rows × C, image: of rows × cols. */
static double weighted(const strip *s, const float *w, const float *hat, int64_t rows, int64_t C, float *error,
                       float *image)
{
    int64_t depth = s->first + s->cols;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < depth; i++)
            error[r * depth + i] = w[r * C + i] - hat[r * C + i];
    bg_sgemm((bg_product_shape){rows, s->cols, depth}, 1, (bg_s_operand){error, depth, 1},
             (bg_s_operand){s->T, s->cols, 1}, 0, image, s->cols);
    double sum = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < s->cols; j++)
            sum += (double)error[r * depth + s->first + j] * (double)image[r * s->cols + j];
    return 2 * sum;
}

int bg_output_mse(const double *second_moment, const float *w, const float *hat, int64_t R, int64_t C, double *out,
                  bg_err *e)
{
    int64_t rows_most = R >= 8 * WIDE ? WIDE : CHUNK, chunks = (R + rows_most - 1) / rows_most;
    float *T = malloc((size_t)(C * STRIP) * sizeof *T);
    double *sums = calloc((size_t)chunks, sizeof *sums);
    bg_failure failure = {0};
    if (!T || !sums) {
        free(T);
        free(sums);
        return bg_no_memory(e, "output error", (unsigned long long)(C * STRIP) * sizeof *T);
    }
#pragma omp parallel
    {
        float *room = malloc((size_t)(rows_most * (C + STRIP)) * sizeof *room);
        if (!room) {
            bg_err mine = {0};
            bg_no_memory(&mine, "output error", (unsigned long long)(C * STRIP) * sizeof *T);
            bg_failure_note(&failure, 0, &mine);
        }
        for (int64_t first = 0; first < C; first += STRIP) {
            strip s = {.first = first, .cols = first + STRIP < C ? STRIP : C - first, .T = T};
#pragma omp for schedule(static)
            for (int64_t i = 0; i < first + s.cols; i++)
                if (room)
                    fill_row(&s, second_moment, C, i);
#pragma omp for schedule(dynamic)
            for (int64_t c = 0; c < chunks; c++) {
                int64_t at = c * rows_most, rows = at + rows_most < R ? rows_most : R - at;
                if (room)
                    sums[c] += weighted(&s, w + at * C, hat + at * C, rows, C, room, room + rows_most * C);
            }
        }
        free(room);
    }
    *out = 0;
    for (int64_t c = 0; !failure.status && c < chunks; c++)
        *out += sums[c];
    *out /= (double)R;
    free(T);
    free(sums);
    return bg_failure_status(&failure, e);
}

int bg_measure_quantized(const bg_matrix *m, const bg_quantized *q, bg_measure *out, bg_err *e)
{
    int64_t R = m->rows, C = m->cols;
    const float *w = m->memory, *hat = q->hat;
    const bg_rate *r = &q->rate;
    BG_ASSERT(r->indices >= 0 && r->scales >= 0 && r->zeros >= 0 && r->codebook >= 0);
    BG_ASSERT(r->positions >= 0 && r->order >= 0 && r->padding >= 0 && r->table >= 0);
    bg_difference d;
    int status = bg_difference_of(w, hat, R, C, &d, e);
    if (status)
        return status;
    *out = (bg_measure){.clipped = q->clipped,
                        .index_entropy = q->index_entropy,
                        .babai_bound = q->babai_bound,
                        .rate = q->rate,
                        .output_mse = q->output_mse};
    out->count = (double)R * (double)C;
    out->mse = d.squares / out->count;
    out->max_error = (double)d.max;
    out->max_relative = d.largest > 0 ? (double)d.max / (double)d.largest : 0;
    out->rate_bits = bg_rate_total(&out->rate) / out->count;
    int ask = m->second_moment && isnan(q->output_mse);
    return ask ? bg_output_mse(m->second_moment, w, hat, R, C, &out->output_mse, e) : BG_OK;
}
