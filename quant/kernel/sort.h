/* Sorting of float32 by radix; the caller brings the second array. */
#ifndef BG_QUANT_KERNEL_SORT_H
#define BG_QUANT_KERNEL_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Ascending, in place; scratch[n]. −0 comes before +0, NaN at the ends by its sign. In parallel for large n. */
void bg_sort_f32(float *x, float *scratch, size_t n);

/* Ascending keys with what travels along: pairs (key << 32 | load) are ordered by key only, stably. scratch[n]. */
void bg_sort_pairs(uint64_t *pairs, uint64_t *scratch, size_t n);

/* The order-preserving map of float32 to uint32 and back. */
uint32_t bg_sort_key(float x);
float bg_sort_unkey(uint32_t k);

#endif
