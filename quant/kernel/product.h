/* The dense matrix product of one thread, at the speed of the machine's widest vectors.
 *
 * Every element is the sum over k in blocks of BG_PRODUCT_DEPTH: inside a block one chain of multiply-adds in the order
 * of k, the blocks added to c one after the other. That order depends on nothing else, so a product cut along m and n
 * into any parts has the same digits as the whole.
 *
 * c = alpha·a·b + beta·c, a [m × k], b [k × n], c [m × n] with ldc elements from row to row. With beta 0 c is not read.
 * c must not overlap a or b. The functions may be called from any thread and cannot fail: where a thread's workspace of
 * a megabyte cannot be allocated, the reference does the work.
 */
#ifndef BG_QUANT_KERNEL_PRODUCT_H
#define BG_QUANT_KERNEL_PRODUCT_H

#include <stdint.h>

enum { BG_PRODUCT_DEPTH = 256 };

typedef struct bg_product_shape {
    int64_t m, n, k;
} bg_product_shape;

/* A matrix in place: element (i, j) is at[i·row + j·col]. Its transpose is the same with row and col exchanged. */
typedef struct bg_s_operand {
    const float *at;
    int64_t row, col;
} bg_s_operand;

typedef struct bg_d_operand {
    const double *at;
    int64_t row, col;
} bg_d_operand;

void bg_sgemm(bg_product_shape s, float alpha, bg_s_operand a, bg_s_operand b, float beta, float *c, int64_t ldc);
void bg_dgemm(bg_product_shape s, double alpha, bg_d_operand a, bg_d_operand b, double beta, double *c, int64_t ldc);

/* Plain loops; of floats in double, with one rounding at the end. */
void bg_sgemm_ref(bg_product_shape s, float alpha, bg_s_operand a, bg_s_operand b, float beta, float *c, int64_t ldc);
void bg_dgemm_ref(bg_product_shape s, double alpha, bg_d_operand a, bg_d_operand b, double beta, double *c,
                  int64_t ldc);

#endif
