/* Owns the deterministic matrix product. Chunk edges follow from the shape alone: an even number of them, evenly sized
 * and rounded to what register tiles have in common, so that each call packs its panels once and the threads get equal
 * parts. A large product is cut into large chunks, which pack x least often; a small one finer, so that every thread
 * has one: three chunks on two threads take as long as four. */
#include "quant/kernel/gemm.h"

#include <string.h>
#include "quant/kernel/product.h"
#include "quant/kernel/simd.h"

enum {
    LARGE_ROWS = 512,
    LARGE_COLS = 768, /* at most so many rows of x and of w in one chunk */
    SMALL_ROWS = 256,
    SMALL_COLS = 288, /* where fewer than ENOUGH large ones would do */
    ENOUGH = 16,
    TILE = 16,
    VECTOR_ROWS = 256, /* rows of w in one chunk of a matrix-vector product */
    TOGETHER = 4,      /* of them at a time */
};

typedef struct cut {
    int64_t size, count; /* chunk length and how many chunks */
} cut;

static cut cut_evenly(int64_t total, int64_t max)
{
    int64_t parts = (total + max - 1) / max;
    parts += parts > 1 && parts % 2;
    int64_t size = (total + parts - 1) / parts;
    size = (size + TILE - 1) / TILE * TILE;
    return (cut){size, (total + size - 1) / size};
}

static void cut_product(int64_t n, int64_t out, cut *rows, cut *cols)
{
    *rows = cut_evenly(n, LARGE_ROWS);
    *cols = cut_evenly(out, LARGE_COLS);
    if (rows->count * cols->count >= ENOUGH)
        return;
    *rows = cut_evenly(n, SMALL_ROWS);
    *cols = cut_evenly(out, SMALL_COLS);
}

int64_t bg_gemm_chunks(int64_t n, int64_t out)
{
    cut rows, cols;
    if (n <= 0 || out <= 0)
        return 0;
    cut_product(n, out, &rows, &cols);
    return rows.count * cols.count;
}

/* Rows vary fastest: neighbours in time share a panel of w. */
bg_gemm_chunk bg_gemm_chunk_at(int64_t n, int64_t out, int64_t i)
{
    cut rows, cols;
    cut_product(n, out, &rows, &cols);
    bg_gemm_chunk c = {.row = i % rows.count * rows.size, .col = i / rows.count * cols.size};
    c.rows = n - c.row < rows.size ? n - c.row : rows.size;
    c.cols = out - c.col < cols.size ? out - c.col : cols.size;
    return c;
}

static void add_bias(int64_t n, int64_t out, const float *bias, float *y, int64_t ldy)
{
    for (int64_t r = 0; bias && r < n; r++)
        for (int64_t c = 0; c < out; c++)
            y[r * ldy + c] += bias[c];
}

static int64_t vector_chunks(int64_t out)
{
    return (out + VECTOR_ROWS - 1) / VECTOR_ROWS;
}

typedef float lanes __attribute__((vector_size(64)));

/* In pairs: one after the other the lanes would take longer than the products. */
static inline float sum_lanes(lanes v)
{
    bg_f8 half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                 __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    bg_f4 quarter = __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
    return (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
}

/* Up to TOGETHER rows: x is read once for them. */
static inline __attribute__((always_inline)) void dot_rows(int64_t rows, int64_t n, const float *x, const float *w,
                                                           int64_t ldw, float *y)
{
    const int64_t step = sizeof(lanes) / sizeof *x, whole = n / step * step;
    lanes sum[TOGETHER] = {0};
    for (int64_t k = 0; k < whole; k += step) {
        lanes a, b;
        memcpy(&a, x + k, sizeof a);
        for (int64_t r = 0; r < rows; r++) {
            memcpy(&b, w + r * ldw + k, sizeof b);
            sum[r] += a * b;
        }
    }
    for (int64_t r = 0; r < rows; r++) {
        y[r] = sum_lanes(sum[r]);
        for (int64_t k = whole; k < n; k++)
            y[r] += x[k] * w[r * ldw + k];
    }
}

void bg_dots(int64_t rows, int64_t n, const float *x, const float *w, int64_t ldw, float *y)
{
    int64_t r = 0;
    for (; r + TOGETHER <= rows; r += TOGETHER)
        dot_rows(TOGETHER, n, x, w + r * ldw, ldw, y + r);
    for (; r < rows; r++)
        dot_rows(1, n, x, w + r * ldw, ldw, y + r);
}

static void vector_chunk(int64_t in, const float *x, const bg_product *p, int64_t i)
{
    int64_t first = i * VECTOR_ROWS, rows = p->out - first < VECTOR_ROWS ? p->out - first : VECTOR_ROWS;
    bg_dots(rows, in, x, p->w + first * in, in, p->y + first);
    add_bias(1, rows, p->bias ? p->bias + first : NULL, p->y + first, rows);
}

static void matrix_chunk(int64_t n, int64_t in, const float *x, int64_t ldx, const bg_product *p, int64_t i)
{
    bg_gemm_chunk c = bg_gemm_chunk_at(n, p->out, i);
    float *y = p->y + c.row * p->ldy + c.col;
    bg_sgemm((bg_product_shape){c.rows, c.cols, in}, 1, (bg_s_operand){x + c.row * ldx, ldx, 1},
             (bg_s_operand){p->w + c.col * in, 1, in}, 0, y, p->ldy);
    add_bias(c.rows, c.cols, p->bias ? p->bias + c.col : NULL, y, p->ldy);
}

void bg_gemm_all(int64_t n, int64_t in, const float *x, int64_t ldx, const bg_product *p, int count)
{
    int64_t chunks = 0;
    for (int k = 0; k < count; k++)
        chunks += n == 1 ? vector_chunks(p[k].out) : bg_gemm_chunks(n, p[k].out);
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < chunks; i++) {
        int64_t at = i;
        int k = 0;
        for (int64_t own; (own = n == 1 ? vector_chunks(p[k].out) : bg_gemm_chunks(n, p[k].out)) <= at; k++)
            at -= own;
        if (n == 1)
            vector_chunk(in, x, &p[k], at);
        else
            matrix_chunk(n, in, x, ldx, &p[k], at);
    }
}

void bg_gemm_ref(int64_t n, int64_t in, const float *x, int64_t ldx, const bg_product *p)
{
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < p->out; c++) {
            double sum = p->bias ? (double)p->bias[c] : 0;
            for (int64_t i = 0; i < in; i++)
                sum += (double)x[r * ldx + i] * (double)p->w[c * in + i];
            p->y[r * p->ldy + c] = (float)sum;
        }
}
