/* Matrix products whose digits do not depend on the number of threads.
 *
 * A product is cut into chunks of rows and columns by its shape alone; each chunk is one single-threaded product, and
 * the chunks are spread over OpenMP threads. No sum crosses a chunk, so 1 and N threads give the same bits.
 *
 * All functions compute y = x·wᵀ + bias, the form of a linear layer: x [n × in] with ldx floats from row to row,
 * w [out × in] dense, bias [out] or NULL, y [n × out] with ldy floats from row to row. They must not be called from
 * inside a parallel region, bg_dots excepted. y must not overlap the inputs.
 */
#ifndef BG_QUANT_KERNEL_GEMM_H
#define BG_QUANT_KERNEL_GEMM_H

#include <stdint.h>

/* `count` products of the same x, many rows through bg_sgemm, one row as dot products with the rows of w, spread over
 * the threads together: their threads wait for each other once. The same digits as one by one. */
typedef struct bg_product {
    int64_t out;
    const float *w, *bias; /* bias NULL: none */
    float *y;
    int64_t ldy;
} bg_product;
void bg_gemm_all(int64_t n, int64_t in, const float *x, int64_t ldx, const bg_product *p, int count);

/* y[r] = x·w[r], rows of w ldw floats apart, n of them used; w is read from memory once. By this thread, and from any.
 */
void bg_dots(int64_t rows, int64_t n, const float *x, const float *w, int64_t ldw, float *y);

/* Plain loops, double accumulators, one rounding at the end. */
void bg_gemm_ref(int64_t n, int64_t in, const float *x, int64_t ldx, const bg_product *p);

/* The chunks of a product, for those who walk it themselves: chunk i of `count` covers rows [row, row+rows) of x and
 * [col, col+cols) of w. */
typedef struct bg_gemm_chunk {
    int64_t row, rows, col, cols;
} bg_gemm_chunk;
int64_t bg_gemm_chunks(int64_t n, int64_t out);
bg_gemm_chunk bg_gemm_chunk_at(int64_t n, int64_t out, int64_t i);

#endif
