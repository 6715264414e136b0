/* Range asymmetric numeral systems: entropy coding of symbols by a table of frequencies that add up to 2^B.
 *
 *     encode  x ← (x div f)·2^B + c + (x mod f)       decode  x ← f·(x div 2^B) + (x mod 2^B) − c
 *
 * for a symbol of frequency f whose slots start at c. The state x stays in [2^16, 2^32): 16 bits leave before an encoding
 * step that would overflow, and come back after the decoding step. Four states take turns, so that their divisions
 * overlap. The stream is written backwards and read forwards; a damaged one ends in another state than 2^16 or at another
 * place, and is refused. Duda 2013 (arXiv 1311.2540); interleaving as in Giesen 2014 (arXiv 1402.3392).
 */
#ifndef BG_QUANT_KERNEL_RANS_H
#define BG_QUANT_KERNEL_RANS_H

#include <stddef.h>
#include <stdint.h>

enum { BG_RANS_LANES = 4, BG_RANS_LEAST_BITS = 12, BG_RANS_MOST_BITS = 16, BG_RANS_MOST_SYMBOLS = 65536 };
#define BG_RANS_START 65536u

/* The caller owns the arrays: frequency[K], first[K] (start of its slots), inverse[K] = 1/frequency, symbol[2^bits]. */
typedef struct bg_rans_table {
    int K, bits;
    uint32_t *frequency, *first;
    double *inverse;
    uint16_t *symbol;
} bg_rans_table;

/* The precision for K symbols: enough that rounding frequencies costs little. K ≤ 65536. */
int bg_rans_bits(int K);

/* Frequencies that add up to 2^bits, each at least 1 where its count is positive (`all`: everywhere), by scaling and the
 * largest remainders. count[K] with a positive sum; scratch[K]. frequency[K] receives them. */
void bg_rans_scale(const double *count, int K, int bits, int all, uint32_t *frequency, double *scratch);
/* Completes a table whose K, bits and frequency are set. */
void bg_rans_fill(bg_rans_table *t);

/* One step of the coder; `out` moves down as 16-bit words are written. The symbol's frequency must be positive. */
static inline uint32_t bg_rans_put(const bg_rans_table *t, uint32_t x, unsigned symbol, uint16_t **out)
{
    uint32_t f = t->frequency[symbol];
    if (x >= (uint64_t)f << (32 - t->bits)) {
        *--*out = (uint16_t)x;
        x >>= 16;
    }
    /* (x + ½)/f is at least 2^−17 from an integer and the product is off by less than 2^−20 */
    uint32_t q = (uint32_t)(((double)x + 0.5) * t->inverse[symbol]);
    return (q << t->bits) + t->first[symbol] + (x - q * f);
}

/* One step of the decoder: the symbol, and the state moved on. *in moves up; at `end` zeros are read and *in passes it, which
 * the closing check notices. */
static inline unsigned bg_rans_get(const bg_rans_table *t, uint32_t *state, const uint16_t **in, const uint16_t *end)
{
    uint32_t x = *state, slot = x & ((1u << t->bits) - 1);
    unsigned symbol = t->symbol[slot];
    x = t->frequency[symbol] * (x >> t->bits) + slot - t->first[symbol];
    if (x < BG_RANS_START) {
        x = x << 16 | (*in < end ? **in : 0u);
        ++*in;
    }
    *state = x;
    return symbol;
}

/* 16-bit words that n symbols can need at most, states included. */
size_t bg_rans_room(size_t n);
/* Codes n symbols into the end of words[room]; returns where the stream begins. */
size_t bg_rans_encode(const bg_rans_table *t, const uint16_t *symbols, size_t n, uint16_t *words, size_t room);
/* Decodes words[length] to n symbols. 0, or −1 when the stream is damaged. */
int bg_rans_decode(const bg_rans_table *t, const uint16_t *words, size_t length, uint16_t *symbols, size_t n);

#endif
