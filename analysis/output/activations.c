/* Owns Σ = E[xxᵀ]: blocks of its lower triangle, each one a small matrix product added into double sums. Only the
 * triangle is kept, row by row; the square is for those who compute with Σ. */
#define _DEFAULT_SOURCE /* madvise */
#include "analysis/output/activations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "quant/kernel/product.h"

enum {
    TOKENS = 128 /* summed in float32 */,
    TOKENS_WIDE = 1024,
    BLOCK_MOST = 512 /* columns */,
    STRIP = 128,
    WIDE = 4 * BLOCK_MOST,
    SQUARE = 64 /* mirrored together */
};

/* Columns of a block: wide ones pack their panels less often, narrow ones give every thread some. It depends on the
 * shape alone, as the digits do. */
static int64_t block_of(int64_t cols)
{
    return cols >= WIDE ? BLOCK_MOST : cols >= 768 ? BLOCK_MOST / 2 : BLOCK_MOST / 4;
}

static int64_t triangle_of(int64_t cols)
{
    return cols * (cols + 1) / 2;
}

/* Where row i of the triangle begins. */
static double *row_of(const bg_activations *s, int64_t i)
{
    return s->triangle + triangle_of(i);
}

/* n zeros; many of them on large pages where the system has such, because blocks of Σ touch a page for every row. */
static double *zeros(size_t n)
{
    const size_t page = 1 << 21;
    size_t bytes = (n * sizeof(double) + page - 1) / page * page;
    if (bytes < 2 * page)
        return calloc(n, sizeof(double));
    double *x = aligned_alloc(page, bytes);
#ifdef MADV_HUGEPAGE
    if (x)
        (void)madvise(x, bytes, MADV_HUGEPAGE);
#endif
    return x ? memset(x, 0, bytes) : NULL;
}

int bg_activations_init(bg_activations *s, int64_t cols, bg_err *e)
{
    *s = (bg_activations){.cols = cols,
                          .triangle = zeros((size_t)triangle_of(cols)),
                          .mean_abs = calloc((size_t)cols, sizeof(double)),
                          .max_abs = calloc((size_t)cols, sizeof(double))};
    if (s->triangle && s->mean_abs && s->max_abs)
        return BG_OK;
    bg_activations_free(s);
    return bg_no_memory(e, "second moments", (unsigned long long)triangle_of(cols) * sizeof(double));
}

void bg_activations_free(bg_activations *s)
{
    free(s->triangle);
    free(s->second_moment);
    free(s->mean_abs);
    free(s->max_abs);
    *s = (bg_activations){0};
}

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* tile [rows × ld] = Σ over k tokens of a[t]·b[t], both C floats from token to token; of a diagonal block (a = b) the
 * strips that reach the diagonal. */
static void multiply_block(const float *a, const float *b, int64_t C, int64_t k, int64_t rows, int64_t cols,
                           float *tile)
{
    int64_t strip = a == b ? STRIP : rows;
    for (int64_t r = 0; r < rows; r += strip) {
        int64_t height = min(strip, rows - r);
        bg_sgemm((bg_product_shape){height, a == b ? r + height : cols, k}, 1, (bg_s_operand){a + r, 1, C},
                 (bg_s_operand){b, C, 1}, 0, tile + r * cols, cols);
    }
}

/* One block of the triangle: rows [i, i+block), columns [j, j+block) of Σ. */
static void add_block(bg_activations *s, const float *x, int64_t n, int64_t block, int64_t i, int64_t j)
{
    float tile[BLOCK_MOST * BLOCK_MOST]; /* on the stack: its pages stay with the thread */
    int64_t C = s->cols, rows = min(block, C - i), cols = min(block, C - j);
    int64_t tokens =
        C >= WIDE ? TOKENS_WIDE : TOKENS; /* adding a wide Σ to itself costs as much as some of its products */
    for (int64_t t = 0; t < n; t += tokens) {
        multiply_block(x + t * C + i, x + t * C + j, C, min(tokens, n - t), rows, cols, tile);
        for (int64_t r = 0; r < rows; r++) {
            double *sum = row_of(s, i + r) + j;
            for (int64_t c = 0; c < (i == j ? r + 1 : cols); c++)
                sum[c] += (double)tile[r * cols + c];
        }
    }
}

static void add_magnitudes(bg_activations *s, const float *x, int64_t n, int64_t first, int64_t last)
{
    for (int64_t t = 0; t < n; t++)
        for (int64_t c = first; c < last; c++) {
            double a = fabs((double)x[t * s->cols + c]);
            s->mean_abs[c] += a;
            s->max_abs[c] = a > s->max_abs[c] ? a : s->max_abs[c];
        }
}

/* Pair p of blocks, row at or below column: first those below the diagonal, which take twice as long, then the
 * diagonal. */
static void pair_at(int64_t p, int64_t below, int64_t *i, int64_t *j)
{
    *i = *j = p - below;
    if (p >= below)
        return;
    *i = (int64_t)((1 + sqrt(8 * (double)p + 1)) / 2); /* but for rounding */
    while (*i * (*i - 1) / 2 > p)
        --*i;
    while (*i * (*i + 1) / 2 <= p)
        ++*i;
    *j = p - *i * (*i - 1) / 2;
}

void bg_activations_add(bg_activations *s, const float *x, int64_t n)
{
    int64_t block = block_of(s->cols), blocks = (s->cols + block - 1) / block, below = blocks * (blocks - 1) / 2;
#pragma omp parallel for schedule(dynamic)
    for (int64_t p = 0; p < below + blocks; p++) {
        int64_t i, j;
        pair_at(p, below, &i, &j);
        add_block(s, x, n, block, i * block, j * block);
        if (i == j)
            add_magnitudes(s, x, n, i * block, min((i + 1) * block, s->cols));
    }
    s->tokens += n;
}

void bg_activations_add_ref(bg_activations *s, const float *x, int64_t n)
{
    int64_t C = s->cols;
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < C; i++)
            for (int64_t j = 0; j <= i; j++)
                row_of(s, i)[j] += (double)x[t * C + i] * (double)x[t * C + j];
    add_magnitudes(s, x, n, 0, C);
    s->tokens += n;
}

int bg_activations_finish(bg_activations *s, const char *name, bg_err *e)
{
    int64_t C = s->cols;
    if (!s->tokens)
        return bg_fail(e, BG_INPUT, "%s: no token reached this layer", name);
    int overflown = 0;
#pragma omp parallel for schedule(dynamic, 16) reduction(| : overflown)
    for (int64_t i = 0; i < C; i++) {
        double *row = row_of(s, i);
        s->mean_abs[i] /= (double)s->tokens;
        for (int64_t j = 0; j <= i; j++) {
            row[j] /= (double)s->tokens;
            overflown |= !isfinite(row[j]);
        }
    }
    return overflown ? bg_fail(e, BG_INPUT, "%s: its input is not finite; the model overflows on this text", name)
                     : BG_OK;
}

/* The upper triangle of a square from its lower one, squares of SQUARE × SQUARE at a time, which both ends keep in
 * cache. */
static void mirror(double *square, int64_t C)
{
#pragma omp parallel for schedule(dynamic)
    for (int64_t r = 0; r < C; r += SQUARE)
        for (int64_t c = 0; c <= r; c += SQUARE)
            for (int64_t i = r; i < min(r + SQUARE, C); i++)
                for (int64_t j = c; j < min(c + SQUARE, i); j++)
                    square[j * C + i] = square[i * C + j];
}

int bg_activations_square(bg_activations *s, bg_err *e)
{
    int64_t C = s->cols, capacity = C * C - triangle_of(C);
    double *square = realloc(s->triangle, (size_t)(C * C) * sizeof *square);
    if (!square)
        return bg_no_memory(e, "second moments", (unsigned long long)(C * C) * sizeof *square);
    s->triangle = NULL;
    s->second_moment = square;
    /* To the end of the square, then row i to its place, which never lies behind where it is read: no second buffer. */
    memmove(square + capacity, square, (size_t)triangle_of(C) * sizeof *square);
    for (int64_t i = 0; i < C; i++)
        memmove(square + i * C, square + capacity + triangle_of(i), (size_t)(i + 1) * sizeof *square);
    mirror(square, C);
    return BG_OK;
}

/* ---- folds ---- */

int bg_folds_of(int64_t tokens, int wanted)
{
    int64_t n = min(min(tokens / TOKENS, wanted), BG_FOLDS_MOST);
    return n < 2 ? 0 : (int)n;
}

int64_t bg_fold_end(int64_t tokens, int n, int k)
{
    return k + 1 == n ? tokens : tokens / TOKENS * (k + 1) / n * TOKENS;
}

int bg_folds_init(bg_folds *f, int64_t cols, int n, bg_err *e)
{
    size_t triangle = (size_t)triangle_of(cols);
    *f = (bg_folds){.n = n,
                    .cols = cols,
                    .triangle = malloc((size_t)n * triangle * sizeof(float)),
                    .before = calloc(triangle, sizeof(double))};
    if (f->triangle && f->before)
        return BG_OK;
    bg_folds_free(f);
    return bg_no_memory(e, "second moments of parts of the text", (size_t)n * triangle * sizeof(float));
}

void bg_folds_free(bg_folds *f)
{
    free(f->triangle);
    free(f->before);
    *f = (bg_folds){0};
}

/* The running sums less those at the end of the last fold. */
static void close_fold(bg_folds *f, const bg_activations *s, int k, int64_t tokens)
{
    int64_t size = triangle_of(f->cols);
    float *to = f->triangle + k * size;
    f->tokens[k] = tokens;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < size; i++) {
        to[i] = (float)((s->triangle[i] - f->before[i]) / (double)tokens);
        f->before[i] = s->triangle[i];
    }
}

void bg_folds_add(bg_folds *f, bg_activations *s, const float *x, int64_t n, int64_t total)
{
    for (int64_t at = 0; at < n;) {
        int k = 0;
        while (bg_fold_end(total, f->n, k) <= s->tokens)
            k++;
        int64_t end = bg_fold_end(total, f->n, k), piece = min(n - at, end - s->tokens);
        bg_activations_add(s, x + at * s->cols, piece);
        if (s->tokens == end)
            close_fold(f, s, k, end - (k ? bg_fold_end(total, f->n, k - 1) : 0));
        at += piece;
    }
}
