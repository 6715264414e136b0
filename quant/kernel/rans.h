/* Range asymmetric numeral systems (rANS): entropy coding of symbols by a table of frequencies that add up to 2^B.
 *
 * A symbol of frequency f owns the slots c … c + f − 1 of 2^B, c the sum of the frequencies before it. With the state
 * x,
 *
 *     encode  x ← (x div f)·2^B + c + (x mod f)
 *     decode  slot = x mod 2^B gives the symbol,  x ← f·(x div 2^B) + slot − c
 *
 * are inverse to each other, and each encoding step multiplies x by about 2^B/f: the ideal length of the symbol.
 *
 * Invariant: between steps x lies in [2^31, 2^63). Before an encoding step that would leave the interval, which is when
 * x ≥ f·2^(63−B), the low 32 bits of x go to the stream; after a decoding step that leaves x below 2^31 the decoder
 * takes 32 bits back. Both tests look at the same x, so decoder and encoder move words at the same steps. x div f is
 * never below 2^15, and what rounding it down costs cannot be measured.
 *
 * The stream is written backwards from the end of its memory and read forwards: the decoder meets the symbols in
 * reverse order of encoding. Symbol i uses state i mod lanes: two states, whose steps overlap in the processor, or
 * eight in streams of BG_RANS_LONG symbols and more, where writing eight states costs nothing. The final states stand
 * at the front of the stream. A decoder that has read all symbols must be at the end of the stream with every state
 * 2^31, the encoder's initial one; a damaged stream fails this test.
 *
 * Division by f is a multiplication by ⌈2^(64+shift)/f⌉ (bg_rans_fill). Duda 2013 (arXiv 1311.2540); interleaving as in
 * Giesen 2014 (arXiv 1402.3392).
 */
#ifndef BG_QUANT_KERNEL_RANS_H
#define BG_QUANT_KERNEL_RANS_H

#include <stddef.h>
#include <stdint.h>

enum {
    BG_RANS_LANES = 2,
    BG_RANS_WIDE = 8,
    BG_RANS_LONG = 1 << 17 /* symbols from which on a stream has wide lanes */
};
enum { BG_RANS_MIN_BITS = 14, BG_RANS_MAX_BITS = 16, BG_RANS_MAX_SYMBOLS = 65536 };
#define BG_RANS_START 0x80000000u

/* The caller owns the arrays: frequency[K], first[K] (start of its slots), inverse[K] and shift[K] to divide by
 * the frequency, symbol[2^bits]. */
typedef struct bg_rans_table {
    int K, bits;
    uint32_t *frequency, *first;
    uint64_t *inverse;
    uint8_t *shift;
    uint16_t *symbol;
} bg_rans_table;

/* The precision for K symbols: enough that rounding frequencies costs little. K ≤ 65536. */
int bg_rans_bits(int K);

/* Frequencies that add up to 2^bits, each at least 1 where its count is positive (`all`: everywhere), by scaling and
 * the largest remainders. count[K] with a positive sum; scratch[K]. frequency[K] receives them. */
void bg_rans_scale(const double *count, int K, int bits, int all, uint32_t *frequency, double *scratch);
/* Completes a table whose K, bits and frequency are set. */
void bg_rans_fill(bg_rans_table *t);

/* One step of the coder; `out` moves down as 32-bit words are written. The symbol's frequency must be positive. */
static inline uint64_t bg_rans_put(const bg_rans_table *t, uint64_t x, unsigned symbol, uint32_t **out)
{
    uint64_t f = t->frequency[symbol];
    if (x >= f << (63 - t->bits)) {
        *--*out = (uint32_t)x;
        x >>= 32;
    }
    /* ⌈2^(64+shift)/f⌉ is off by less than f/2^(63+shift) of itself, too little to change ⌊x/f⌋ for x < 2^63 */
    uint64_t q = f > 1 ? (uint64_t)((unsigned __int128)x * t->inverse[symbol] >> 64) >> t->shift[symbol] : x;
    return (q << t->bits) + t->first[symbol] + (x - q * f);
}

/* One step of the decoder: the symbol, and the state moved on. *in moves up; at `end` zeros are read and *in passes it,
 * which the closing check notices. */
static inline unsigned bg_rans_get(const bg_rans_table *t, uint64_t *state, const uint32_t **in, const uint32_t *end)
{
    uint64_t x = *state, slot = x & ((1u << t->bits) - 1);
    unsigned symbol = t->symbol[slot];
    x = t->frequency[symbol] * (x >> t->bits) + slot - t->first[symbol];
    if (x < BG_RANS_START) {
        x = x << 32 | (*in < end ? **in : 0u);
        ++*in;
    }
    *state = x;
    return symbol;
}

/* The same steps without a table, for a distribution that is computed anew for every symbol: it has `f` slots of 2^bits
 * from `first` on. A decoder looks which symbol has the slot, then moves the state on. bits ≤ 24. */
static inline uint64_t bg_rans_put_slots(uint64_t x, uint32_t first, uint32_t f, int bits, uint32_t **out)
{
    if (x >= (uint64_t)f << (63 - bits)) {
        *--*out = (uint32_t)x;
        x >>= 32;
    }
    return (x / f << bits) + first + x % f;
}

static inline uint32_t bg_rans_slot(uint64_t x, int bits)
{
    return (uint32_t)(x & ((1u << bits) - 1));
}

static inline uint64_t bg_rans_take_slots(uint64_t x, uint32_t first, uint32_t f, int bits, const uint32_t **in,
                                          const uint32_t *end)
{
    x = f * (x >> bits) + bg_rans_slot(x, bits) - first;
    if (x < BG_RANS_START) {
        x = x << 32 | (*in < end ? **in : 0u);
        ++*in;
    }
    return x;
}

/* The states at the front of a stream, written last and read first. */
static inline void bg_rans_close_lanes(const uint64_t *x, int lanes, uint32_t **out)
{
    for (int l = lanes; l-- > 0;) {
        *--*out = (uint32_t)x[l];
        *--*out = (uint32_t)(x[l] >> 32);
    }
}

static inline void bg_rans_open_lanes(uint64_t *x, int lanes, const uint32_t **in)
{
    for (int l = 0; l < lanes; l++, *in += 2)
        x[l] = (uint64_t)(*in)[0] << 32 | (*in)[1];
}

/* Of coders that walk a stream step by step. */
static inline void bg_rans_close(const uint64_t *x, uint32_t **out)
{
    bg_rans_close_lanes(x, BG_RANS_LANES, out);
}
static inline void bg_rans_open(uint64_t *x, const uint32_t **in)
{
    bg_rans_open_lanes(x, BG_RANS_LANES, in);
}

/* 32-bit words that n symbols can need at most, states included. */
size_t bg_rans_max_words(size_t n);
/* Codes n symbols into the end of words[capacity]; returns where the stream begins. */
size_t bg_rans_encode(const bg_rans_table *t, const uint16_t *symbols, size_t n, uint32_t *words, size_t capacity);
size_t bg_rans_encode_ref(const bg_rans_table *t, const uint16_t *symbols, size_t n, uint32_t *words, size_t capacity);
/* Decodes words[length] to n symbols. 0, or −1 when the stream is damaged. */
int bg_rans_decode(const bg_rans_table *t, const uint32_t *words, size_t length, uint16_t *symbols, size_t n);
int bg_rans_decode_ref(const bg_rans_table *t, const uint32_t *words, size_t length, uint16_t *symbols, size_t n);

#endif
