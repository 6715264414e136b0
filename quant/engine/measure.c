/* Owns the comparison of a matrix with what a quantizer made of it. */
#include "quant/engine/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/product.h"

enum {
    CHUNK = 64,
    WIDE = 192,  /* rows: the unit of work and of summation; of products where there are enough */
    STRIP = 192, /* columns of Σ in single precision at a time */
};

typedef struct totals {
    double squares;
    float worst, largest;
} totals;

static totals compare(const float *w, const float *hat, int64_t n)
{
    totals t = {0};
    for (int64_t i = 0; i < n; i++) {
        float d = fabsf(w[i] - hat[i]), a = fabsf(w[i]);
        t.squares += (double)d * (double)d;
        t.worst = d > t.worst ? d : t.worst;
        t.largest = a > t.largest ? a : t.largest;
    }
    return t;
}

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
    int failed = !T || !sums;
#pragma omp parallel if (!failed)
    {
        float *room = failed ? NULL : malloc((size_t)(rows_most * (C + STRIP)) * sizeof *room);
        if (!room) {
#pragma omp atomic write
            failed = 1;
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
    for (int64_t c = 0; !failed && c < chunks; c++)
        *out += sums[c];
    *out /= (double)R;
    free(T);
    free(sums);
    return failed ? bg_no_memory(e, "output error", (unsigned long long)(C * STRIP) * sizeof *T) : BG_OK;
}

int bg_measure_difference(const bg_matrix *m, const float *w, const float *hat, int64_t R, int64_t C, bg_measure *out,
                          bg_err *e)
{
    int64_t chunks = (R + CHUNK - 1) / CHUNK;
    totals *t = malloc((size_t)chunks * sizeof *t), all = {0};
    if (!t)
        return bg_no_memory(e, "squared errors", (unsigned long long)chunks * sizeof *t);
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t first = c * CHUNK, rows = first + CHUNK < R ? CHUNK : R - first;
        t[c] = compare(w + first * C, hat + first * C, rows * C);
    }
    for (int64_t c = 0; c < chunks; c++) {
        all.squares += t[c].squares;
        all.worst = fmaxf(all.worst, t[c].worst);
        all.largest = fmaxf(all.largest, t[c].largest);
    }
    free(t);
    out->count = (double)R * (double)C;
    out->mse = all.squares / out->count;
    out->max_error = (double)all.worst;
    out->max_relative = all.largest > 0 ? (double)all.worst / (double)all.largest : 0;
    out->rate_bits = bg_rate_total(&out->rate) / out->count;
    out->output_mse = NAN;
    return m->second_moment ? bg_output_mse(m->second_moment, w, hat, R, C, &out->output_mse, e) : BG_OK;
}

/* counts[K] of each symbol; few of them in parallel, in rooms of their own. */
static void count_symbols(const uint16_t *symbols, size_t n, int K, uint64_t *counts)
{
    enum { FEW = 1024 };
#pragma omp parallel if (K <= FEW && n > 1 << 16)
    {
        uint32_t mine[4][FEW] = {{0}};
#pragma omp for schedule(static)
        for (size_t block = 0; block < (n + (1 << 16) - 1) >> 16; block++) {
            size_t end = (block + 1) << 16 < n ? (block + 1) << 16 : n;
            for (size_t i = block << 16; i < end; i++)
                if (K <= FEW)
                    mine[i & 3][symbols[i]]++; /* four rooms: equal neighbours do not wait for each other */
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

int bg_measure_symbols(const bg_spec *s, const uint16_t *symbols, size_t n, int K, bg_measure *out, bg_err *e)
{
    uint64_t *counts = calloc((size_t)K, sizeof *counts);
    if (!counts)
        return bg_no_memory(e, "symbol counts", (unsigned long long)K * sizeof *counts);
    count_symbols(symbols, n, K, counts);
    out->index_entropy = 0;
    for (int q = 0; q < K; q++)
        if (counts[q])
            out->index_entropy -= (double)counts[q] / (double)n * log2((double)counts[q] / (double)n);
    free(counts);
    return s->coding && s->coding->bits ? s->coding->bits(symbols, n, K, &out->rate.indices, &out->rate.table, e)
                                        : BG_OK;
}

bg_reach bg_code_reach(const bg_code *c)
{
    float low = bg_code_value(c, 0), high = bg_code_value(c, c->K - 1), first = low, last = high;
    if (c->K > 1) {
        first = bg_code_value(c, 1);
        last = bg_code_value(c, c->K - 2);
    }
    return (bg_reach){low - 0.5F * (first - low), high + 0.5F * (high - last)};
}
