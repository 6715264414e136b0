/* The bitshift trellis (Tseng and others 2024, QTIP): the state is the last L bits of the stream, every step shifts in
 * K new ones, and the state names V weights in a table of 2^L entries, so a decoder needs no trellis at all.
 *
 * States that differ in their top K bits only lead to the same next states, so the search keeps one metric for each
 * remainder q of L − K bits, the least over the 2^K states p·Q + q, Q = 2^(L−K):
 *     m'[q] = min_p  m[(p·Q + q) >> K] + |x − T[p·Q + q]|²
 * Weights and table are 16-bit fixed-point numbers. A weight costs ⌊(2^doublings·(x − T))² / 2^16⌋, both factors
 * saturating; metrics are 16-bit, less the least of the step before, and the largest of them means that nothing leads
 * there.
 */
#ifndef BG_QUANT_KERNEL_BITSHIFT_H
#define BG_QUANT_KERNEL_BITSHIFT_H

#include <stddef.h>
#include <stdint.h>

enum { BG_BITSHIFT_MARGIN = 8, BG_BITSHIFT_FREE = -1 };

typedef struct bg_bitshift {
    int L, K, V, doublings; /* K: bits of a step, that is of V weights (1 or 2); L − K ≥ 4, K ≤ 8 */
    const int16_t *table;   /* [V × 2^L], by weight of the step */
} bg_bitshift;

/* Remainders before the first and after the last step, or BG_BITSHIFT_FREE. */
typedef struct bg_bitshift_ends {
    int start, end;
} bg_bitshift_ends;

/* Memory of a search, of bg_bitshift_metrics numbers and bg_bitshift_choices bytes. */
typedef struct bg_bitshift_workspace {
    uint16_t *metrics;
    uint8_t *choices;
} bg_bitshift_workspace;

/* Bytes of choices[] and numbers of metrics[]. */
size_t bg_bitshift_choices(const bg_bitshift *b, size_t steps);
size_t bg_bitshift_metrics(const bg_bitshift *b);

/* The path of least cost through x[steps × V]: state[steps]. `start` is the remainder before the first step and
 * `end` the one after the last, or BG_BITSHIFT_FREE. Returns the cost; ties prefer the lower p, and the lower end. */
uint64_t bg_bitshift_search(const bg_bitshift *b, const int16_t *x, size_t steps, bg_bitshift_ends ends,
                            bg_bitshift_workspace w, uint16_t *state);
uint64_t bg_bitshift_search_ref(const bg_bitshift *b, const int16_t *x, size_t steps, bg_bitshift_ends ends,
                                bg_bitshift_workspace w, uint16_t *state);
/* What one weight costs at one entry of the table. */
unsigned bg_bitshift_cost(int doublings, int16_t x, int16_t entry);

/* Tables that a decoder computes from the state: sums of the bytes of one product (1MAD), of two float16 cut out of one
 * product (3INST); both about standard normal, L = 16. */
float bg_bitshift_1mad(uint32_t state);
float bg_bitshift_3inst(uint32_t state);
/* The hybrid code's index into 2^9 pairs and the sign of the pair's first number (−1 or 1). */
int bg_bitshift_hybrid(uint32_t state, float *sign);

#endif
