/* Trellis codes and the Viterbi search for them.
 *
 * An Ungerboeck code of 2^ν states names for each weight one of four subsets D0…D3 of an alphabet: with input bit u and
 * the last ν inputs as state,   z1 = h0(D)·u,  z0 = h1(D)·u,  subset z0 + 2·z1   (mod 2; the parity checks h1·z1 +
 * h0·z0 = 0 of Ungerboeck 1982, written as a feed-forward encoder). z0 does not depend on u: each state may go to two
 * subsets only, D0 and D2 or D1 and D3.
 *
 * States j and j + 2^(ν−1) lead to 2j and 2j + 1 through the same two subsets, crosswise, so a step of the search is
 *     M'[2j]   = min(M[j] + a, M[j + H] + b)      a: cost of subset z(j), b: of the other of its pair
 *     M'[2j+1] = min(M[j] + b, M[j + H] + a)
 * for H = 2^(ν−1) values of j, eight at a time in 16-bit integers: costs come in quanta, less the least of a step.
 */
#ifndef BG_QUANT_KERNEL_TRELLIS_H
#define BG_QUANT_KERNEL_TRELLIS_H

#include <stddef.h>
#include <stdint.h>

enum { BG_TRELLIS_MAX_STATES = 256 };

typedef struct bg_trellis {
    int states, half;
    uint8_t pair[BG_TRELLIS_MAX_STATES / 2]; /* z(j) = z0 + 2·z1 of state j < half for u = 0 */
} bg_trellis;

/* states: 4, 8, … 256; 0 when another number is asked for, else 1. */
int bg_trellis_init(bg_trellis *t, int states);

/* The subset that input u (0 or 1) names in a state, and the state after it. */
static inline int bg_trellis_subset(const bg_trellis *t, int state, int u)
{
    int flip = u ^ (state >= t->half);
    return t->pair[state & (t->half - 1)] ^ (flip << 1);
}

static inline int bg_trellis_next(const bg_trellis *t, int state, int u)
{
    return (state << 1 | u) & (t->states - 1);
}

/* Bytes of choices[] for n steps. */
size_t bg_trellis_choice_bytes(const bg_trellis *t, size_t n);
/* The path of least Σ cost[i][subset of step i] from state 0 to any state: input[n]. cost[n][4] ≤ BG_TRELLIS_COST;
 * metrics that fall behind the best by 2^15 or more count as equally hopeless. Ties prefer the lower state. */
enum { BG_TRELLIS_COST = 8191 };
void bg_trellis_search(const bg_trellis *t, const uint16_t (*cost)[4], size_t n, uint8_t *choices, uint8_t *input);
void bg_trellis_search_ref(const bg_trellis *t, const uint16_t (*cost)[4], size_t n, uint8_t *choices, uint8_t *input);

#endif
