/* Owns the Viterbi search on Ungerboeck trellises; the recursion is in trellis.h. Both versions add and compare the
 * same integers with the same saturation, so they choose the same path. Codes: Ungerboeck 1982, table I (one
 * dimension), in octal. */
#include <string.h>
#include "quant/kernel/simd.h"
#include "quant/kernel/trellis.h"

static const struct {
    int states, h0, h1;
} codes[] = {{4, 05, 02},     {8, 013, 04},      {16, 023, 04},    {32, 045, 010},
             {64, 0103, 024}, {128, 0235, 0126}, {256, 0515, 0362}};

enum { EASE = 4 }; /* steps after which the least metric is taken from all: 4 · 8191 + 2^15 fits in 16 bits */

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

/* A step's choices: for each eight j two bytes, of states 2j and of 2j + 1; a set bit came from j, a clear one from j +
 * half. With 4 or 8 states one byte has a bit for each state. */
static int is_small(const bg_trellis *t)
{
    return t->half < 8;
}
static size_t step_bytes(const bg_trellis *t)
{
    return is_small(t) ? 1 : (size_t)t->half / 4;
}
static size_t choice_byte(const bg_trellis *t, int j, int odd)
{
    return is_small(t) ? 0 : (size_t)(2 * (j >> 3) + odd);
}
static int choice_bit(const bg_trellis *t, int j, int odd)
{
    return is_small(t) ? 2 * j + odd : j & 7;
}

size_t bg_trellis_choice_bytes(const bg_trellis *t, size_t n)
{
    return n * step_bytes(t);
}

static void init_metrics(const bg_trellis *t, uint16_t *m)
{
    for (int s = 0; s < t->states; s++)
        m[s] = s ? UINT16_MAX : 0;
}

static void trace_path(const bg_trellis *t, const uint16_t *m, size_t n, const uint8_t *choices, uint8_t *input)
{
    int s = 0;
    for (int i = 1; i < t->states; i++)
        s = m[i] < m[s] ? i : s;
    for (size_t i = n, bytes = step_bytes(t); i-- > 0;) {
        int j = s >> 1, odd = s & 1;
        input[i] = (uint8_t)odd;
        s = choices[i * bytes + choice_byte(t, j, odd)] >> choice_bit(t, j, odd) & 1 ? j : j + t->half;
    }
}

static unsigned add_saturated(unsigned a, unsigned b)
{
    return a + b < UINT16_MAX ? a + b : UINT16_MAX;
}

void bg_trellis_search_ref(const bg_trellis *t, const uint16_t (*cost)[4], size_t n, uint8_t *choices, uint8_t *input)
{
    uint16_t m[BG_TRELLIS_MAX_STATES], next[BG_TRELLIS_MAX_STATES];
    size_t bytes = step_bytes(t);
    init_metrics(t, m);
    for (size_t i = 0; i < n; i++) {
        uint8_t *row = choices + i * bytes;
        unsigned min = i % EASE == EASE - 1 ? UINT16_MAX : 0;
        memset(row, 0, bytes);
        for (int j = 0; j < t->half; j++) {
            unsigned a = cost[i][t->pair[j]], b = cost[i][t->pair[j] ^ 2];
            unsigned e0 = add_saturated(m[j], a), e1 = add_saturated(m[j + t->half], b), o0 = add_saturated(m[j], b),
                     o1 = add_saturated(m[j + t->half], a);
            next[2 * j] = (uint16_t)(e1 < e0 ? e1 : e0), next[2 * j + 1] = (uint16_t)(o1 < o0 ? o1 : o0);
            row[choice_byte(t, j, 0)] |= (uint8_t)((e0 <= e1) << choice_bit(t, j, 0));
            row[choice_byte(t, j, 1)] |= (uint8_t)((o0 <= o1) << choice_bit(t, j, 1));
        }
        for (int s = 0; s < t->states; s++)
            min = next[s] < min ? next[s] : min;
        for (int s = 0; s < t->states; s++)
            m[s] = (uint16_t)(next[s] - min);
    }
    trace_path(t, m, n, choices, input);
}

/* The least metric, from all of them. */
static void subtract_min(uint16_t *m, int states)
{
    bg_h8 min = bg_h8_load(m);
    for (int s = 8; s < states; s += 8)
        min = bg_h8_min(min, bg_h8_load(m + s));
    bg_h8 all = bg_h8_min_lane(min);
    for (int s = 0; s < states; s += 8)
        bg_h8_store(m + s, bg_h8_load(m + s) - all);
}

/* 4 or 8 states: all metrics in one register. Lane s = 2j + odd takes j's metric and j + half's, each with its subset's
 * cost. */
static void search_small(const bg_trellis *t, const uint16_t (*cost)[4], size_t n, uint8_t *choices, uint8_t *input)
{
    bg_b16 from_low, from_high, cost_low, cost_high;
    for (int b = 0; b < 16; b++) {
        int s = b / 2 & (t->states - 1), j = s >> 1, low = t->pair[j] ^ (s & 1) << 1;
        from_low[b] = (uint8_t)(2 * j + b % 2), from_high[b] = (uint8_t)(2 * (j + t->half) + b % 2);
        cost_low[b] = (uint8_t)(2 * low + b % 2), cost_high[b] = (uint8_t)(2 * (low ^ 2) + b % 2);
    }
    uint16_t metrics[8] = {0};
    init_metrics(t, metrics);
    for (int s = t->states; s < 8; s++)
        metrics[s] = metrics[s & (t->states - 1)];
    bg_h8 m = bg_h8_load(metrics);
    for (size_t i = 0; i < n; i++) {
        bg_h8 low = bg_h8_add(bg_h8_shuffle(m, from_low), bg_h8_spread(cost[i], cost_low));
        bg_h8 high = bg_h8_add(bg_h8_shuffle(m, from_high), bg_h8_spread(cost[i], cost_high));
        m = bg_h8_min(low, high);
        choices[i] = (uint8_t)bg_h8_equal(m, low, m, low);
        if (i % EASE == EASE - 1)
            m -= bg_h8_min_lane(m);
    }
    bg_h8_store(metrics, m);
    trace_path(t, metrics, n, choices, input);
}

/* 16 states: eight j, one half. Because z is linear in the bits of j, its pattern over eight (sixteen) neighbours is
 * that of j = 0…7 (0…15) up to an exclusive or with one of four constants: four shuffles of a step's costs serve all j.
 */
static void search_sixteen(const bg_trellis *t, const uint16_t (*cost)[4], size_t n, uint8_t *choices, uint8_t *input)
{
    uint16_t m[16];
    bg_b16 lane[4];
    for (int c = 0; c < 4; c++)
        for (int l = 0; l < 16; l++)
            lane[c][l] = (uint8_t)(2 * (t->pair[l / 2] ^ c) + l % 2);
    init_metrics(t, m);
    for (size_t i = 0; i < n; i++) {
        bg_h8 lo = bg_h8_load(m), hi = bg_h8_load(m + 8), a = bg_h8_spread(cost[i], lane[0]),
              b = bg_h8_spread(cost[i], lane[2]);
        bg_h8 e0 = bg_h8_add(lo, a), o0 = bg_h8_add(lo, b), e = bg_h8_min(bg_h8_add(hi, b), e0),
              o = bg_h8_min(bg_h8_add(hi, a), o0);
        bg_h8_store(m, bg_h8_zip_low(e, o)), bg_h8_store(m + 8, bg_h8_zip_high(e, o));
        uint16_t kept = bg_h8_equal(e, e0, o, o0);
        memcpy(choices + 2 * i, &kept, sizeof kept);
        if (i % EASE == EASE - 1)
            subtract_min(m, 16);
    }
    trace_path(t, m, n, choices, input);
}

void bg_trellis_search(const bg_trellis *t, const uint16_t (*cost)[4], size_t n, uint8_t *choices, uint8_t *input)
{
    if (is_small(t) || t->half < 16) {
        (is_small(t) ? search_small : search_sixteen)(t, cost, n, choices, input);
        return;
    }
    uint16_t rows[2][BG_TRELLIS_MAX_STATES], *m = rows[0], *next = rows[1];
    bg_h16 lane[4];
    for (int c = 0; c < 4; c++)
        for (int l = 0; l < 16; l++)
            lane[c][l] = (uint16_t)(2 * (t->pair[l] ^ c) * 0x101 + 0x100);
    init_metrics(t, m);
    uint8_t *row = choices;
    for (size_t i = 0; i < n; i++) {
        bg_h16 by[4];
        for (int c = 0; c < 4; c++)
            by[c] = bg_h16_among_four(cost[i], lane[c]);
        for (int j = 0; j < t->half; j += 16, row += 4) {
            bg_h16 lo = bg_h16_load(m + j), hi = bg_h16_load(m + j + t->half);
            bg_h16 a = by[t->pair[j]], b = by[t->pair[j] ^ 2];
            bg_h16 e0 = bg_h16_add(lo, a), o0 = bg_h16_add(lo, b);
            bg_h16 e = bg_h16_min(bg_h16_add(hi, b), e0), o = bg_h16_min(bg_h16_add(hi, a), o0);
            bg_h16_store_zipped(next + 2 * j, e, o);
            uint32_t kept = bg_h16_equal(e, e0, o, o0);
            memcpy(row, &kept, sizeof kept);
        }
        if (i % EASE == EASE - 1)
            subtract_min(next, t->states);
        uint16_t *swap = m;
        m = next, next = swap;
    }
    trace_path(t, m, n, choices, input);
}
