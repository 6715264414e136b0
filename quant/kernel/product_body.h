/* The body of the matrix product c = alpha·a·b + beta·c, compiled for each type by product_single.c and
 * product_double.c, which name the type and its multiply-add.
 *
 * The loops are those of Goto and van de Geijn 2008 (Anatomy of High-Performance Matrix Multiplication, ACM TOMS
 * 34(3)):
 *
 *     for each block of BLOCK_COLS columns of b
 *       for each block of DEPTH values of k:       pack the block of b, in panels of COLS columns, for the far cache
 *         for each block of BLOCK_ROWS rows of a:  pack the block of a, in panels of ROWS rows, for the near cache
 *           for each panel of b, for each panel of a:  one tile of c in registers while k runs (tile_product)
 *
 * A panel holds its elements in the order in which the tile reads them, panel[k][width], and is filled with zeros to
 * the full width. Packing reads a matrix with any strides: where neighbours in the panel are neighbours in memory they
 * are copied, otherwise turned four by four.
 *
 * Invariant: an element of c is summed over blocks of DEPTH values of k, inside a block by one chain of multiply-adds
 * in the order of k. That holds for whole tiles and for partial ones, which are computed whole and stored in part, so
 * the digits do not depend on where a product is cut along m and n, and a product in parts equals the whole.
 */
#include <string.h>
#include "quant/kernel/product_workspace.h"

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
#include <immintrin.h>
#endif

/* A tile is ROWS × (VECTORS vectors) of c: as many accumulators as leave registers for one row of b and one element of
 * a, and enough of them to cover the latency of two multiply-add units. */
#if defined(__AVX512F__)
enum { VECTOR = 64, VECTORS = 2, ROWS = 12 };
#define MULTIPLY_ADD(a, b, c) FMA_512(a, b, c)
#elif defined(__AVX2__) && defined(__FMA__)
enum { VECTOR = 32, VECTORS = 3, ROWS = 4 };
#define MULTIPLY_ADD(a, b, c) FMA_256(a, b, c)
#else
enum { VECTOR = 16, VECTORS = 2, ROWS = 4 };
#define MULTIPLY_ADD(a, b, c) ((c) + (a) * (b))
#endif
enum {
    LANES = VECTOR / (int)sizeof(REAL),
    COLS = VECTORS * LANES,
    DEPTH = BG_PRODUCT_DEPTH,
    BLOCK_ROWS = 16 * ROWS, /* of a, in the second cache while all of b's block passes */
    BLOCK_COLS = 24 * COLS, /* of b */
    FOUR = 4,               /* a matrix is turned four by four */
    STEPS = 8, /* of k copied at a time: their rows may be a multiple of the near cache apart, which keeps so many */
};

typedef REAL lanes __attribute__((vector_size(VECTOR)));
typedef REAL four __attribute__((vector_size(FOUR * sizeof(REAL))));
typedef struct tile {
    lanes at[ROWS][VECTORS];
} tile;

/* Both blocks, packed */
typedef struct packed {
    _Alignas(64) REAL a[BLOCK_ROWS * DEPTH];
    _Alignas(64) REAL b[BLOCK_COLS * DEPTH];
} packed;
_Static_assert(sizeof(packed) <= BG_PRODUCT_WORKSPACE, "a thread's workspace holds its packed blocks");

/* a [depth][ROWS], b [depth][COLS], both packed */
static inline __attribute__((always_inline)) tile tile_product(int64_t depth, const REAL *a, const REAL *b)
{
    tile t = {0};
    for (int64_t k = 0; k < depth; k++, a += ROWS, b += COLS) {
        lanes row[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) /* one by one: GCC would copy the whole through memory */
            memcpy(&row[v], b + v * LANES, sizeof row[v]);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
            for (int v = 0; v < VECTORS; v++)
                t.at[r][v] = (lanes)MULTIPLY_ADD(a[r], row[v], t.at[r][v]);
    }
    return t;
}

/* c = alpha·t + beta·c on a whole tile */
static inline __attribute__((always_inline)) void store_tile(const tile *t, REAL alpha, REAL beta, REAL *c, int64_t ldc)
{
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
        for (int v = 0; v < VECTORS; v++) {
            REAL *to = c + r * ldc + v * LANES;
            lanes sum = alpha * t->at[r][v], old;
            if (beta != 0) {
                memcpy(&old, to, sizeof old);
                sum += beta * old;
            }
            memcpy(to, &sum, sizeof sum);
        }
}

/* The same on the part of a tile that is inside c: the part goes through a whole tile beside it, so that its digits are
 * those of any other. */
static void store_part(const tile *t, REAL alpha, REAL beta, REAL *c, int64_t ldc, int64_t rows, int64_t cols)
{
    REAL whole[ROWS * COLS] = {0};
    size_t bytes = (size_t)cols * sizeof *c;
    for (int64_t r = 0; beta != 0 && r < rows; r++)
        memcpy(whole + r * COLS, c + r * ldc, bytes);
    store_tile(t, alpha, beta, whole, COLS);
    for (int64_t r = 0; r < rows; r++)
        memcpy(c + r * ldc, whole + r * COLS, bytes);
}

static int64_t min_int(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Four rows of four turned: to[j·step + i] = from[i·ld + j] */
static inline void turn_four(const REAL *from, int64_t ld, REAL *to, int64_t step)
{
    four a, b, c, d;
    memcpy(&a, from, sizeof a);
    memcpy(&b, from + ld, sizeof b);
    memcpy(&c, from + 2 * ld, sizeof c);
    memcpy(&d, from + 3 * ld, sizeof d);
    four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5), b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
    d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
    memcpy(to, &a, sizeof a);
    memcpy(to + step, &b, sizeof b);
    memcpy(to + 2 * step, &c, sizeof c);
    memcpy(to + 3 * step, &d, sizeof d);
}

/* Panels of a matrix whose neighbours in i stand together. */
static inline __attribute__((always_inline)) void copy_panels(OPERAND m, int64_t rows, int64_t depth, int width,
                                                              REAL *to)
{
    for (int64_t d = 0; d < depth; d += STEPS)
        for (int64_t i = 0; i < rows; i += width)
            for (int64_t k = d; k < min_int(d + STEPS, depth); k++) {
                REAL *at = to + i * depth + k * width;
                if (rows - i >= width)
                    memcpy(at, m.at + k * m.col + i, (size_t)width * sizeof *at); /* a width the compiler knows */
                else
                    memcpy(at, m.at + k * m.col + i, (size_t)(rows - i) * sizeof *at);
            }
}

/* One panel of any other matrix, four rows after four: the panel stays in the near cache, the rows stream. */
static inline __attribute__((always_inline)) void turn_panel(OPERAND m, int64_t rows, int64_t depth, int width,
                                                             REAL *to)
{
    for (int64_t i = 0; i < rows; i += FOUR) {
        int64_t k = 0;
        for (; m.col == 1 && rows - i >= FOUR && depth - k >= FOUR; k += FOUR)
            turn_four(m.at + i * m.row + k, m.row, to + k * width + i, width);
        for (; k < depth; k++)
            for (int64_t r = i; r < min_int(i + FOUR, rows); r++)
                to[k * width + r] = m.at[r * m.row + k * m.col];
    }
}

/* to[i/width][k][i%width] = m(i, k), i < rows, k < depth; a panel's rows beyond the last are zero. */
static inline __attribute__((always_inline)) void pack_panels(OPERAND m, int64_t rows, int64_t depth, int width,
                                                              REAL *to)
{
    int64_t last = rows / width * width;
    if (last < rows)
        memset(to + last * depth, 0, (size_t)(depth * width) * sizeof *to);
    if (m.row == 1)
        copy_panels(m, rows, depth, width, to);
    else
        for (int64_t i = 0; i < rows; i += width)
            turn_panel((OPERAND){m.at + i * m.row, m.row, m.col}, min_int(width, rows - i), depth, width,
                       to + i * depth);
}

/* c of one packed block of a and one of b */
static void multiply_blocks(const packed *p, bg_product_shape s, REAL alpha, REAL beta, REAL *c, int64_t ldc)
{
    for (int64_t j = 0; j < s.n; j += COLS)
        for (int64_t i = 0; i < s.m; i += ROWS) {
            tile t = tile_product(s.k, p->a + i * s.k, p->b + j * s.k);
            REAL *to = c + i * ldc + j;
            if (s.m - i >= ROWS && s.n - j >= COLS)
                store_tile(&t, alpha, beta, to, ldc);
            else
                store_part(&t, alpha, beta, to, ldc, min_int(ROWS, s.m - i), min_int(COLS, s.n - j));
        }
}

static void scale_result(int64_t m, int64_t n, REAL beta, REAL *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
}

void PRODUCT(bg_product_shape s, REAL alpha, OPERAND a, OPERAND b, REAL beta, REAL *c, int64_t ldc)
{
    packed *p = bg_product_workspace();
    if (!p) {
        PRODUCT_REF(s, alpha, a, b, beta, c, ldc);
        return;
    }
    if (s.k <= 0)
        scale_result(s.m, s.n, beta, c, ldc);
    for (int64_t j = 0; j < s.n; j += BLOCK_COLS)
        for (int64_t d = 0; d < s.k; d += DEPTH) {
            int64_t depth = min_int(DEPTH, s.k - d), cols = min_int(BLOCK_COLS, s.n - j);
            pack_panels((OPERAND){b.at + d * b.row + j * b.col, b.col, b.row}, cols, depth, COLS, p->b);
            for (int64_t i = 0; i < s.m; i += BLOCK_ROWS) {
                int64_t rows = min_int(BLOCK_ROWS, s.m - i);
                pack_panels((OPERAND){a.at + i * a.row + d * a.col, a.row, a.col}, rows, depth, ROWS, p->a);
                multiply_blocks(p, (bg_product_shape){rows, cols, depth}, alpha, d ? 1 : beta, c + i * ldc + j, ldc);
            }
        }
}

void PRODUCT_REF(bg_product_shape s, REAL alpha, OPERAND a, OPERAND b, REAL beta, REAL *c, int64_t ldc)
{
    for (int64_t i = 0; i < s.m; i++)
        for (int64_t j = 0; j < s.n; j++) {
            double sum = 0;
            for (int64_t l = 0; l < s.k; l++)
                sum += (double)a.at[i * a.row + l * a.col] * (double)b.at[l * b.row + j * b.col];
            c[i * ldc + j] = (REAL)((double)alpha * sum + (beta == 0 ? 0 : (double)beta * (double)c[i * ldc + j]));
        }
}
