/* Trellis codes of Ungerboeck and the Viterbi search for the best path.
 *
 * The code. A code of 2^ν states names for each weight one of four subsets D0…D3 of an alphabet of levels; one more
 * index chooses the level inside the subset. With input bit u and the last ν inputs as the state, the subset is
 * z0 + 2·z1, where
 *
 *     z1 = h0(D)·u,   z0 = h1(D)·u   (mod 2),
 *
 * the feed-forward form of the parity check h1·z1 + h0·z0 = 0 of Ungerboeck 1982 (table I of trellis.c). z0 does not
 * depend on u: a state can reach only D0 and D2, or only D1 and D3.
 *
 * The search. States j and j + H, H = 2^(ν−1), lead to 2j and 2j + 1 through the same two subsets, crosswise. So a step
 * is, for each of the H values of j,
 *
 *     M'[2j]   = min(M[j] + a, M[j + H] + b)      a: cost of subset z(j), b: cost of the other one of its pair
 *     M'[2j+1] = min(M[j] + b, M[j + H] + a)
 *
 * eight or sixteen j at a time in 16-bit integers with saturation. One bit per state and step remembers which operand
 * won (a set bit: the one from j); the path is read back from the best final state.
 *
 * Invariants. Costs of a step are at most BG_TRELLIS_MAX_COST and are taken relative to the smallest of the step; the
 * smallest metric is subtracted from all every fourth step, so a metric that saturates is at least 2^15 behind the best
 * and could not have won. Ties prefer j over j + H, and the lower final state: every version chooses the same path.
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
/* The path of least Σ cost[i][subset of step i] from state 0 to any state: input[n]. cost[n][4] ≤ BG_TRELLIS_MAX_COST;
 * metrics that fall behind the best by 2^15 or more saturate and count as equal. */
enum { BG_TRELLIS_MAX_COST = 8191 };
void bg_trellis_search(const bg_trellis *t, const uint16_t (*cost)[4], size_t n, uint8_t *choices, uint8_t *input);
void bg_trellis_search_ref(const bg_trellis *t, const uint16_t (*cost)[4], size_t n, uint8_t *choices, uint8_t *input);

#endif
