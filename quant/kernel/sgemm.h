/* The float32 matrix product of one thread, at the speed of the machine's widest vectors.
 *
 * Every element is the sum over k in blocks of BG_SGEMM_BLOCK: inside a block one chain of multiply-adds in the order of k,
 * the blocks added to c one after the other. That order depends on nothing else, so a product cut along m and n into any
 * parts has the same digits as the whole.
 */
#ifndef BG_QUANT_KERNEL_SGEMM_H
#define BG_QUANT_KERNEL_SGEMM_H

#include <stdint.h>

enum { BG_SGEMM_BLOCK = 256 };

/* A matrix in place: element (i, j) is at[i·row + j·col]. Its transpose is the same with row and col exchanged. */
typedef struct bg_matrix {
    const float *at;
    int64_t row, col;
} bg_matrix;

/* c = alpha·a·b + beta·c, a [m × k], b [k × n], c [m × n] with ldc floats from row to row. With beta 0 c is not read. c must not
 * overlap a or b. Cannot fail; may be called from any thread. */
void bg_sgemm(int64_t m, int64_t n, int64_t k, float alpha, bg_matrix a, bg_matrix b, float beta, float *c, int64_t ldc);

/* Plain loops, double accumulators, one rounding at the end. */
void bg_sgemm_ref(int64_t m, int64_t n, int64_t k, float alpha, bg_matrix a, bg_matrix b, float beta, float *c, int64_t ldc);

#endif
