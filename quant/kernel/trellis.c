/* Owns the Viterbi search on Ungerboeck trellises; the recursion is in trellis.h. Both versions add and compare the same
 * floats in the same order, so they choose the same path. Codes: Ungerboeck 1982, table I (one dimension), in octal. */
#include <string.h>
#include "quant/kernel/simd.h"
#include "quant/kernel/trellis.h"

static const struct {
    int states, h0, h1;
} codes[] = {{4, 05, 02}, {8, 013, 04}, {16, 023, 04}, {32, 045, 010}, {64, 0103, 024}, {128, 0235, 0126}, {256, 0515, 0362}};

enum { EASE = 64 }; /* steps after which the metrics are brought back to zero */

int bg_trellis_init(bg_trellis *t, int states)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].states == states) {
            *t = (bg_trellis){.states = states, .half = states / 2};
            for (int j = 0; j < t->half; j++)
                t->pair[j] = (uint8_t)(__builtin_parity((unsigned)(codes[i].h1 & j << 1)) |
                                       __builtin_parity((unsigned)(codes[i].h0 & j << 1)) << 1);
            return 1;
        }
    return 0;
}

/* A step's choices: for each four j one byte, low bits for 2j, high bits for 2j + 1; a set bit came from j + half. */
static size_t step_bytes(const bg_trellis *t) { return t->half < 4 ? 1 : (size_t)t->half / 4; }

size_t bg_trellis_room(const bg_trellis *t, size_t n) { return n * step_bytes(t); }

static void start(const bg_trellis *t, float *m)
{
    for (int s = 0; s < t->states; s++)
        m[s] = s ? 1e30f : 0;
}

static float trace(const bg_trellis *t, const float *m, size_t n, const uint8_t *choices, uint8_t *input)
{
    int s = 0;
    for (int i = 1; i < t->states; i++)
        s = m[i] < m[s] ? i : s;
    float least = m[s];
    for (size_t i = n, bytes = step_bytes(t); i-- > 0;) {
        int j = s >> 1, odd = s & 1;
        input[i] = (uint8_t)odd;
        s = j + (choices[i * bytes + (size_t)(j >> 2)] >> (4 * odd + (j & 3)) & 1) * t->half;
    }
    return least;
}

float bg_trellis_search_ref(const bg_trellis *t, const float (*cost)[4], size_t n, uint8_t *choices, uint8_t *input)
{
    float m[BG_TRELLIS_MOST], next[BG_TRELLIS_MOST];
    size_t bytes = step_bytes(t);
    start(t, m);
    for (size_t i = 0; i < n; i++) {
        memset(choices + i * bytes, 0, bytes);
        for (int j = 0; j < t->half; j++) {
            float a = cost[i][t->pair[j]], b = cost[i][t->pair[j] ^ 2];
            float e0 = m[j] + a, e1 = m[j + t->half] + b, o0 = m[j] + b, o1 = m[j + t->half] + a;
            next[2 * j] = e1 < e0 ? e1 : e0, next[2 * j + 1] = o1 < o0 ? o1 : o0;
            choices[i * bytes + (size_t)(j >> 2)] |= (uint8_t)((e1 < e0) << (j & 3) | (o1 < o0) << (4 + (j & 3)));
        }
        float ease = i % EASE == EASE - 1 ? next[0] : 0;
        for (int s = 0; s < t->states; s++)
            m[s] = next[s] - ease;
    }
    return trace(t, m, n, choices, input);
}

/* Because z is linear in the bits of j, its pattern over four neighbours is that of j = 0…3 up to an exclusive or with one
 * of four constants: four shuffles of a step's costs serve all j. */
float bg_trellis_search(const bg_trellis *t, const float (*cost)[4], size_t n, uint8_t *choices, uint8_t *input)
{
    if (t->half < 4)
        return bg_trellis_search_ref(t, cost, n, choices, input);
    float rows[2][BG_TRELLIS_MOST], *m = rows[0], *next = rows[1];
    int groups = t->half / 4;
    bg_i4 lane[4];
    for (int c = 0; c < 4; c++)
        lane[c] = (bg_i4){t->pair[0] ^ c, t->pair[1] ^ c, t->pair[2] ^ c, t->pair[3] ^ c};
    start(t, m);
    for (size_t i = 0; i < n; i++, choices += groups) {
        bg_f4 d = bg_f4_load(cost[i]), by[4];
        for (int c = 0; c < 4; c++)
            by[c] = bg_f4_permute(d, lane[c]);
        for (int g = 0; g < groups; g++) {
            bg_f4 lo = bg_f4_load(m + 4 * g), hi = bg_f4_load(m + 4 * g + t->half);
            bg_f4 a = by[t->pair[4 * g]], b = by[t->pair[4 * g] ^ 2];
            bg_f4 e0 = lo + a, e1 = hi + b, o0 = lo + b, o1 = hi + a;
            bg_f4 e = bg_f4_min(e1, e0), o = bg_f4_min(o1, o0);
            bg_f4_store(next + 8 * g, bg_f4_zip_low(e, o)), bg_f4_store(next + 8 * g + 4, bg_f4_zip_high(e, o));
            choices[g] = (uint8_t)(bg_i4_bits((bg_i4)(e1 < e0)) | bg_i4_bits((bg_i4)(o1 < o0)) << 4);
        }
        if (i % EASE == EASE - 1) {
            bg_f4 ease = {next[0], next[0], next[0], next[0]};
            for (int s = 0; s < t->states; s += 4)
                bg_f4_store(next + s, bg_f4_load(next + s) - ease);
        }
        float *swap = m;
        m = next, next = swap;
    }
    return trace(t, m, n, choices - n * (size_t)groups, input);
}
