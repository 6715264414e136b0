/* Owns the register tile of the float32 product and the packing that feeds it.
 *
 * The loops are those of Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, ACM TOMS 34(3), 2008: a
 * block of b is packed for a far cache, a block of a for a near one, and a tile of c stays in registers while k runs.
 */
#include "quant/kernel/sgemm.h"

#include <string.h>

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#endif

/* A tile is ROWS × (VECTORS · LANES) of c: as many accumulators as leave registers for one row of b and one element of a, and
 * enough of them to cover the latency of two multiply-add units. */
#if defined(__AVX512F__)
enum { LANES = 16, VECTORS = 2, ROWS = 12 };
#elif defined(__AVX2__) && defined(__FMA__)
enum { LANES = 8, VECTORS = 3, ROWS = 4 };
#else
enum { LANES = 4, VECTORS = 2, ROWS = 4 };
#endif
enum {
    COLS = VECTORS * LANES,
    DEPTH = BG_SGEMM_BLOCK, /* COLS × DEPTH of b fill two thirds of a near cache of 48 KB */
    BLOCK_ROWS = 16 * ROWS, /* of a, in the second cache while all of b's block passes */
    BLOCK_COLS = 24 * COLS, /* of b */
    FOUR = 4,               /* packing turns four by four */
};

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef float four __attribute__((vector_size(FOUR * sizeof(float))));
typedef struct tile {
    lanes at[ROWS][VECTORS];
} tile;

/* The packed blocks, one pair a thread: allocated with the thread, so a product has nothing that can fail. */
static _Thread_local _Alignas(64) float packed_a[BLOCK_ROWS * DEPTH];
static _Thread_local _Alignas(64) float packed_b[BLOCK_COLS * DEPTH];

static inline __attribute__((always_inline)) lanes multiply_add(float a, lanes b, lanes c)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_fmadd_ps(_mm512_set1_ps(a), (__m512)b, (__m512)c);
#elif defined(__AVX2__) && defined(__FMA__)
    return (lanes)_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)b, (__m256)c);
#else
    return c + a * b;
#endif
}

/* a [depth][ROWS], b [depth][COLS], both packed */
static inline __attribute__((always_inline)) tile tile_product(int64_t depth, const float *a, const float *b)
{
    tile t = {0};
    for (int64_t k = 0; k < depth; k++, a += ROWS, b += COLS) {
        lanes row[VECTORS];
        memcpy(row, b, sizeof row);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                t.at[r][v] = multiply_add(a[r], row[v], t.at[r][v]);
    }
    return t;
}

/* c = alpha·t + beta·c on a whole tile */
static inline __attribute__((always_inline)) void put(const tile *t, float alpha, float beta, float *c, int64_t ldc)
{
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) {
            float *to = c + r * ldc + v * LANES;
            lanes sum = alpha * t->at[r][v], old;
            if (beta != 0) {
                memcpy(&old, to, sizeof old);
                sum += beta * old;
            }
            memcpy(to, &sum, sizeof sum);
        }
}

/* The same on the part of a tile that is inside c: the part goes through a whole tile beside it, so that its digits are those
 * of any other. */
static void put_part(const tile *t, float alpha, float beta, float *c, int64_t ldc, int64_t rows, int64_t cols)
{
    float whole[ROWS * COLS] = {0};
    size_t bytes = (size_t)cols * sizeof *c;
    for (int64_t r = 0; beta != 0 && r < rows; r++)
        memcpy(whole + r * COLS, c + r * ldc, bytes);
    put(t, alpha, beta, whole, COLS);
    for (int64_t r = 0; r < rows; r++)
        memcpy(c + r * ldc, whole + r * COLS, bytes);
}

/* Four rows of four turned: to[j·step + i] = from[i·ld + j] */
static inline void turn_four(const float *from, int64_t ld, float *to, int64_t step)
{
    four a, b, c, d;
    memcpy(&a, from, sizeof a);
    memcpy(&b, from + ld, sizeof b);
    memcpy(&c, from + 2 * ld, sizeof c);
    memcpy(&d, from + 3 * ld, sizeof d);
    four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5), b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5), d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
    memcpy(to, &a, sizeof a);
    memcpy(to + step, &b, sizeof b);
    memcpy(to + 2 * step, &c, sizeof c);
    memcpy(to + 3 * step, &d, sizeof d);
}

/* One panel: to[k·width + i] = m(i, k), i < width, k < depth; rows from `count` on are zero. */
static inline __attribute__((always_inline)) void pack_panel(bg_matrix m, int64_t count, int64_t depth, int width, float *to)
{
    if (count < width)
        memset(to, 0, (size_t)(depth * width) * sizeof *to);
    if (m.row == 1) {
        for (int64_t k = 0; k < depth; k++)
            for (int64_t i = 0; i < count; i++)
                to[k * width + i] = m.at[k * m.col + i];
        return;
    }
    int64_t rows = m.col == 1 ? count / FOUR * FOUR : 0, steps = depth / FOUR * FOUR;
    for (int64_t k = 0; k < steps; k += FOUR)
        for (int64_t i = 0; i < rows; i += FOUR)
            turn_four(m.at + i * m.row + k, m.row, to + k * width + i, width);
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = i < rows ? steps : 0; k < depth; k++)
            to[k * width + i] = m.at[i * m.row + k * m.col];
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* All panels of a block of rows; twice, so that each width is a constant to the compiler. */
static void pack_a(bg_matrix m, int64_t rows, int64_t depth)
{
    for (int64_t i = 0; i < rows; i += ROWS)
        pack_panel((bg_matrix){m.at + i * m.row, m.row, m.col}, least(ROWS, rows - i), depth, ROWS, packed_a + i * depth);
}

static void pack_b(bg_matrix m, int64_t rows, int64_t depth)
{
    for (int64_t i = 0; i < rows; i += COLS)
        pack_panel((bg_matrix){m.at + i * m.row, m.row, m.col}, least(COLS, rows - i), depth, COLS, packed_b + i * depth);
}

/* c of one packed block of a and one of b */
static void multiply_blocks(int64_t rows, int64_t cols, int64_t depth, float alpha, float beta, float *c, int64_t ldc)
{
    for (int64_t j = 0; j < cols; j += COLS)
        for (int64_t i = 0; i < rows; i += ROWS) {
            tile t = tile_product(depth, packed_a + i * depth, packed_b + j * depth);
            float *to = c + i * ldc + j;
            if (rows - i >= ROWS && cols - j >= COLS)
                put(&t, alpha, beta, to, ldc);
            else
                put_part(&t, alpha, beta, to, ldc, least(ROWS, rows - i), least(COLS, cols - j));
        }
}

static void scale(int64_t m, int64_t n, float beta, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
}

void bg_sgemm(int64_t m, int64_t n, int64_t k, float alpha, bg_matrix a, bg_matrix b, float beta, float *c, int64_t ldc)
{
    if (k <= 0)
        scale(m, n, beta, c, ldc);
    for (int64_t j = 0; j < n; j += BLOCK_COLS)
        for (int64_t d = 0; d < k; d += DEPTH) {
            int64_t depth = least(DEPTH, k - d), cols = least(BLOCK_COLS, n - j);
            pack_b((bg_matrix){b.at + d * b.row + j * b.col, b.col, b.row}, cols, depth);
            for (int64_t i = 0; i < m; i += BLOCK_ROWS) {
                int64_t rows = least(BLOCK_ROWS, m - i);
                pack_a((bg_matrix){a.at + i * a.row + d * a.col, a.row, a.col}, rows, depth);
                multiply_blocks(rows, cols, depth, alpha, d ? 1 : beta, c + i * ldc + j, ldc);
            }
        }
}

void bg_sgemm_ref(int64_t m, int64_t n, int64_t k, float alpha, bg_matrix a, bg_matrix b, float beta, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += (double)a.at[i * a.row + l * a.col] * (double)b.at[l * b.row + j * b.col];
            c[i * ldc + j] = (float)((double)alpha * sum + (beta == 0 ? 0 : (double)beta * (double)c[i * ldc + j]));
        }
}
