/* The bitshift trellis (Tseng and others 2024, QTIP) and the Viterbi search on it.
 *
 * The code. The stream is a string of bits; the state at a step is the L bits that end there, and every step shifts in
 * K new ones. A state names V weights (1 or 2) in a table of 2^L entries, so a decoder needs no trellis: it slides a
 * window of L bits over the stream and looks up, or computes, the entry.
 *
 * The search. A state is p·Q + q with Q = 2^(L−K): its top K bits p are those that the next step shifts out, so states
 * that differ in p only have the same successors. It is enough to keep one metric for each remainder q, the smallest
 * over the 2^K states that share it:
 *
 *     m'[q] = min over p of  m[(p·Q + q) >> K] + |x − T[p·Q + q]|²
 *
 * (a state's predecessors share the remainder that is its upper L − K bits). The winning p, K bits, is the choice
 * stored for q and step; the path is read back from the final remainder, one state per step.
 *
 * Arithmetic. Weights and table are 16-bit fixed-point numbers. A weight costs ⌊(2^doublings·(x − T))² / 2^16⌋, with
 * both factors saturating. Metrics are 16-bit, reduced by the smallest metric of the step before; the largest number
 * means that no path leads there. The fast version and _ref add the same integers with the same saturation and choose
 * the same path; ties prefer the lower p and the lower final remainder.
 *
 * Ends. A tail-biting stream needs a given start and end: start fixes the remainder before the first step, end the one
 * after the last. Where the forced end saturates, the choices no longer lead back to the start; its bits are then put
 * into the first states (keep_start), so that the result is always a stream.
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
