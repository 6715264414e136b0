/* Owns the entropy coder's tables and its plain streams; formulas in rans.h. */
#include <math.h>
#include <string.h>
#include "quant/kernel/rans.h"

int bg_rans_bits(int K)
{
    int bits = BG_RANS_LEAST_BITS;
    while (bits < BG_RANS_MOST_BITS && (1 << bits) < 1024 * K)
        bits++;
    return bits;
}

static double total_at(const double *count, int K, int all, double scale)
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
        if (total_at(count, K, all, mid) <= slots)
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

size_t bg_rans_room(size_t n) { return n + 2 * BG_RANS_LANES; }

size_t bg_rans_encode(const bg_rans_table *t, const uint16_t *symbols, size_t n, uint32_t *words, size_t room)
{
    uint64_t x[BG_RANS_LANES] = {BG_RANS_START, BG_RANS_START};
    uint32_t *out = words + room;
    for (size_t i = n; i-- > 0;)
        x[i % BG_RANS_LANES] = bg_rans_put(t, x[i % BG_RANS_LANES], symbols[i], &out);
    bg_rans_close(x, &out);
    return (size_t)(out - words);
}

int bg_rans_decode(const bg_rans_table *t, const uint32_t *words, size_t length, uint16_t *symbols, size_t n)
{
    uint64_t x[BG_RANS_LANES];
    const uint32_t *in = words, *end = words + length;
    if (length < 2 * BG_RANS_LANES)
        return -1;
    bg_rans_open(x, &in);
    for (size_t i = 0; i < n; i++)
        symbols[i] = (uint16_t)bg_rans_get(t, &x[i % BG_RANS_LANES], &in, end);
    return x[0] == BG_RANS_START && x[1] == BG_RANS_START && in == end ? 0 : -1;
}
