/* Owns the tables of the entropy coder and its streams; formulas and invariants are in rans.h.
 *
 * The plain coder (_ref) branches where a word moves. The fast one, for eight lanes, writes or reads a word in every
 * step and moves the pointer by 0 or 1, so no branch depends on a symbol; it needs a word of slack, which
 * bg_rans_max_words includes when encoding and the last eight words of the stream provide when decoding: the rest goes
 * through the plain steps. Both give the same stream.
 */
#include <math.h>
#include <string.h>
#include "quant/kernel/rans.h"

int bg_rans_bits(int K)
{
    int bits = BG_RANS_MIN_BITS;
    while (bits < BG_RANS_MAX_BITS && (1 << bits) < 256 * K)
        bits++;
    return bits;
}

static double count_slots(const double *count, int K, int all, double scale)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += count[k] > 0 || all ? fmax(1, floor(count[k] * scale)) : 0;
    return sum;
}

void bg_rans_scale(const double *count, int K, int bits, int all, uint32_t *frequency, double *scratch)
{
    double total = 0, slots = ldexp(1, bits);
    for (int k = 0; k < K; k++)
        total += count[k];
    double lo = 0, hi = 2 * slots / total;
    for (int i = 0; i < 60; i++) { /* the largest scale whose frequencies fit */
        double mid = (lo + hi) / 2;
        if (count_slots(count, K, all, mid) <= slots)
            lo = mid;
        else
            hi = mid;
    }
    double left = slots;
    for (int k = 0; k < K; k++) {
        double f = count[k] > 0 || all ? fmax(1, floor(count[k] * lo)) : 0;
        frequency[k] = (uint32_t)f, left -= f;
        scratch[k] = count[k] > 0 ? count[k] * lo / f : 0; /* how much too small the frequency is */
    }
    while (left > 0) { /* few are left: each step of the scale passes one more frequency */
        int best = -1;
        for (int k = 0; k < K; k++)
            if (frequency[k] && (best < 0 || scratch[k] > scratch[best]))
                best = k;
        double give = K > 4096 ? fmax(1, fmin(left, floor(left / 16))) : 1;
        frequency[best] += (uint32_t)give, left -= give;
        scratch[best] = count[best] * lo / frequency[best];
    }
}

void bg_rans_fill(bg_rans_table *t)
{
    uint32_t at = 0;
    for (int k = 0; k < t->K; k++) {
        t->first[k] = at;
        uint64_t f = t->frequency[k];
        t->inverse[k] = 0, t->shift[k] = 0;
        if (f > 1) { /* ⌈2^(64+shift)/f⌉ with 2^shift < f ≤ 2^(shift+1), so that it fits */
            t->shift[k] = (uint8_t)(31 - __builtin_clz((uint32_t)f - 1));
            t->inverse[k] = (uint64_t)((((unsigned __int128)1 << (64 + t->shift[k])) + f - 1) / f);
        }
        for (uint32_t i = 0; i < t->frequency[k]; i++)
            t->symbol[at + i] = (uint16_t)k;
        at += t->frequency[k];
    }
}

size_t bg_rans_max_words(size_t n)
{
    return n + 2 * BG_RANS_WIDE;
}

static int count_lanes(size_t n)
{
    return n < BG_RANS_LONG ? BG_RANS_LANES : BG_RANS_WIDE;
}

/* ---- plain ---- */

size_t bg_rans_encode_ref(const bg_rans_table *t, const uint16_t *symbols, size_t n, uint32_t *words, size_t capacity)
{
    uint64_t x[BG_RANS_WIDE];
    uint32_t *out = words + capacity;
    size_t lanes = (size_t)count_lanes(n);
    for (size_t l = 0; l < lanes; l++)
        x[l] = BG_RANS_START;
    for (size_t i = n; i-- > 0;)
        x[i % lanes] = bg_rans_put(t, x[i % lanes], symbols[i], &out);
    bg_rans_close_lanes(x, (int)lanes, &out);
    return (size_t)(out - words);
}

typedef struct reader {
    uint64_t x[BG_RANS_WIDE];
    int lanes;
    const uint32_t *in, *end;
} reader;

/* Decodes the symbols from number `from` on, then checks that every state is the initial one and that no word is left.
 */
static int decode_rest(const bg_rans_table *t, reader *r, uint16_t *symbols, size_t from, size_t n)
{
    int same = 1;
    for (size_t i = from; i < n; i++)
        symbols[i] = (uint16_t)bg_rans_get(t, &r->x[i % (size_t)r->lanes], &r->in, r->end);
    for (int l = 0; l < r->lanes; l++)
        same = same && r->x[l] == BG_RANS_START;
    return same && r->in == r->end ? 0 : -1;
}

int bg_rans_decode_ref(const bg_rans_table *t, const uint32_t *words, size_t length, uint16_t *symbols, size_t n)
{
    reader r = {.lanes = count_lanes(n), .in = words, .end = words + length};
    if (length < 2 * (size_t)r.lanes)
        return -1;
    bg_rans_open_lanes(r.x, r.lanes, &r.in);
    return decode_rest(t, &r, symbols, 0, n);
}

/* ---- without branches that depend on the symbols ---- */

/* One step of the encoder: the word is written in any case, and counted only when it leaves. */
static inline __attribute__((always_inline)) uint64_t encode_symbol(const bg_rans_table *t, uint64_t x, unsigned symbol,
                                                                    uint32_t **out)
{
    uint64_t f = t->frequency[symbol];
    unsigned leaves = x >= f << (63 - t->bits);
    (*out)[-1] = (uint32_t)x;
    *out -= leaves;
    x >>= 32 * leaves;
    uint64_t q = f > 1 ? (uint64_t)((unsigned __int128)x * t->inverse[symbol] >> 64) >> t->shift[symbol] : x;
    return (q << t->bits) + t->first[symbol] + (x - q * f);
}

/* One step of the decoder: a word is read in any case, and used only when it is wanted. */
static inline __attribute__((always_inline)) uint64_t decode_symbol(const bg_rans_table *t, uint64_t x,
                                                                    uint16_t *symbol, const uint32_t **in)
{
    uint64_t slot = x & ((1u << t->bits) - 1);
    unsigned s = t->symbol[slot];
    *symbol = (uint16_t)s;
    x = t->frequency[s] * (x >> t->bits) + slot - t->first[s];
    uint64_t wants = x < BG_RANS_START;
    x = x << 32 * wants | (**in & -wants);
    *in += wants;
    return x;
}

size_t bg_rans_encode(const bg_rans_table *t, const uint16_t *symbols, size_t n, uint32_t *words, size_t capacity)
{
    if (count_lanes(n) != BG_RANS_WIDE)
        return bg_rans_encode_ref(t, symbols, n, words, capacity);
    uint64_t x[BG_RANS_WIDE];
    uint32_t *out = words + capacity;
    size_t i = n;
    for (int l = 0; l < BG_RANS_WIDE; l++)
        x[l] = BG_RANS_START;
    for (; i % BG_RANS_WIDE; i--)
        x[(i - 1) % BG_RANS_WIDE] = bg_rans_put(t, x[(i - 1) % BG_RANS_WIDE], symbols[i - 1], &out);
    for (; i; i -= BG_RANS_WIDE)
        for (size_t l = BG_RANS_WIDE; l-- > 0;)
            x[l] = encode_symbol(t, x[l], symbols[i - BG_RANS_WIDE + l], &out);
    bg_rans_close_lanes(x, BG_RANS_WIDE, &out);
    return (size_t)(out - words);
}

int bg_rans_decode(const bg_rans_table *t, const uint32_t *words, size_t length, uint16_t *symbols, size_t n)
{
    if (count_lanes(n) != BG_RANS_WIDE)
        return bg_rans_decode_ref(t, words, length, symbols, n);
    uint64_t x[BG_RANS_WIDE];
    const uint32_t *in = words, *end = words + length;
    size_t i = 0;
    if (length < 2 * BG_RANS_WIDE)
        return -1;
    bg_rans_open_lanes(x, BG_RANS_WIDE, &in);
    for (; i + BG_RANS_WIDE <= n && end - in >= BG_RANS_WIDE; i += BG_RANS_WIDE)
        for (size_t l = 0; l < BG_RANS_WIDE; l++)
            x[l] = decode_symbol(t, x[l], &symbols[i + l], &in);
    reader r = {.lanes = BG_RANS_WIDE, .in = in, .end = end};
    memcpy(r.x, x, sizeof x);
    return decode_rest(t, &r, symbols, i, n);
}
