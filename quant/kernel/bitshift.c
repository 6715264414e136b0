/* Owns the Viterbi search on the bitshift trellis and its computed codes; the recursion is in bitshift.h. Choices are K bits
 * for each q and step, packed 8/K steps to a byte; both versions add in the same order and choose the same path. */
#include <math.h>
#include <string.h>
#include "io/dtype.h"
#include "quant/kernel/bitshift.h"
#include "quant/kernel/simd.h"

static size_t remainders(const bg_bitshift *b) { return (size_t)1 << (b->L - b->K); }
static size_t steps_a_byte(const bg_bitshift *b) { return 8 / (size_t)b->K; }

size_t bg_bitshift_choices(const bg_bitshift *b, size_t steps)
{
    return (steps + steps_a_byte(b) - 1) / steps_a_byte(b) * remainders(b);
}

size_t bg_bitshift_metrics(const bg_bitshift *b) { return 2 * (remainders(b) + BG_BITSHIFT_ROOM); }

static void begin(const bg_bitshift *b, int start, float *m)
{
    for (size_t q = 0; q < remainders(b); q++)
        m[q] = start == BG_BITSHIFT_FREE || (size_t)start == q ? 0 : 1e30f;
}

static float trace(const bg_bitshift *b, const float *m, size_t steps, int end, const uint8_t *choices, uint16_t *state)
{
    size_t Q = remainders(b), q = end == BG_BITSHIFT_FREE ? 0 : (size_t)end, pack = steps_a_byte(b);
    for (size_t i = 1; end == BG_BITSHIFT_FREE && i < Q; i++)
        q = m[i] < m[q] ? i : q;
    float least = m[q];
    for (size_t t = steps; t-- > 0;) {
        size_t first = t / pack * pack, held = steps - first < pack ? steps - first : pack;
        unsigned p = choices[t / pack * Q + q] >> ((held - 1 - (t - first)) * (size_t)b->K) & ((1u << b->K) - 1);
        state[t] = (uint16_t)(p * Q + q);
        q = state[t] >> b->K;
    }
    return least;
}

float bg_bitshift_search_ref(const bg_bitshift *b, const float *x, size_t steps, int start, int end, float *metrics,
                             uint8_t *choices, uint16_t *state)
{
    size_t Q = remainders(b), pack = steps_a_byte(b), N = (size_t)1 << b->L;
    float *m = metrics, *next = metrics + Q + BG_BITSHIFT_ROOM;
    begin(b, start, m);
    for (size_t t = 0; t < steps; t++) {
        uint8_t *row = choices + t / pack * Q;
        for (size_t q = 0; q < Q; q++) {
            float best = 0;
            unsigned arg = 0;
            for (unsigned p = 0; p < 1u << b->K; p++) {
                size_t s = p * Q + q;
                float c = m[s >> b->K];
                for (int v = 0; v < b->V; v++) {
                    float r = x[t * (size_t)b->V + (size_t)v] - b->table[(size_t)v * N + s];
                    c = fmaf(r, r, c);
                }
                if (p == 0 || c < best)
                    best = c, arg = p;
            }
            next[q] = best;
            row[q] = (uint8_t)((t % pack ? row[q] << b->K : 0) | (int)arg);
        }
        float *swap = m;
        m = next, next = swap;
    }
    return trace(b, m, steps, end, choices, state);
}

/* The metrics of four neighbouring states: equal for K ≥ 2. */
BG_INLINE bg_f4 from(const float *m, size_t s, int K)
{
    if (K == 1)
        return __builtin_shufflevector(bg_f4_load(m + (s >> 1)), bg_f4_load(m + (s >> 1)), 0, 0, 1, 1);
    float a = m[s >> K];
    return (bg_f4){a, a, a, a};
}

/* One step for sixteen remainders from q on; K and V are constants where it is inlined. */
BG_INLINE void sixteen(const float *table, size_t N, size_t Q, size_t q, int K, int V, const float *m, float *next,
                       bg_f4 x0, bg_f4 x1, bg_b16 *choice)
{
    bg_i4 arg[4];
    for (size_t g = 0; g < 4; g++) {
        bg_f4 best = {0, 0, 0, 0};
        arg[g] = (bg_i4){0, 0, 0, 0};
        for (int p = 0; p < 1 << K; p++) {
            size_t s = (size_t)p * Q + q + 4 * g;
            bg_f4 r = x0 - bg_f4_load(table + s), c = bg_f4_fma(r, r, from(m, s, K));
            if (V == 2) {
                r = x1 - bg_f4_load(table + N + s);
                c = bg_f4_fma(r, r, c);
            }
            if (p == 0)
                best = c;
            else {
                arg[g] = bg_i4_select((bg_i4)(c < best), (bg_i4){p, p, p, p}, arg[g]);
                best = bg_f4_min(c, best);
            }
        }
        bg_f4_store(next + q + 4 * g, best);
    }
    *choice = bg_i4_bytes(arg[0], arg[1], arg[2], arg[3]);
}

BG_INLINE void step(const bg_bitshift *b, int K, int V, const float *m, float *next, const float *x, int fresh, uint8_t *row)
{
    size_t Q = remainders(b), N = (size_t)1 << b->L;
    bg_f4 x0 = {x[0], x[0], x[0], x[0]}, x1 = {x[V - 1], x[V - 1], x[V - 1], x[V - 1]};
    for (size_t q = 0; q < Q; q += 16) {
        bg_b16 choice, old;
        sixteen(b->table, N, Q, q, K, V, m, next, x0, x1, &choice);
        if (!fresh) {
            memcpy(&old, row + q, sizeof old);
            choice |= old << K;
        }
        memcpy(row + q, &choice, sizeof choice);
    }
}

float bg_bitshift_search(const bg_bitshift *b, const float *x, size_t steps, int start, int end, float *metrics,
                         uint8_t *choices, uint16_t *state)
{
    size_t Q = remainders(b), pack = steps_a_byte(b);
    float *m = metrics, *next = metrics + Q + BG_BITSHIFT_ROOM;
    begin(b, start, m);
    for (size_t t = 0; t < steps; t++) {
        uint8_t *row = choices + t / pack * Q;
        const float *xt = x + t * (size_t)b->V;
        int fresh = t % pack == 0;
        switch (b->V * 8 + b->K) {
        case 9: step(b, 1, 1, m, next, xt, fresh, row); break;
        case 10: step(b, 2, 1, m, next, xt, fresh, row); break;
        case 11: step(b, 3, 1, m, next, xt, fresh, row); break;
        case 12: step(b, 4, 1, m, next, xt, fresh, row); break;
        case 18: step(b, 2, 2, m, next, xt, fresh, row); break;
        case 20: step(b, 4, 2, m, next, xt, fresh, row); break;
        default: step(b, b->K, b->V, m, next, xt, fresh, row);
        }
        float *swap = m;
        m = next, next = swap;
    }
    return trace(b, m, steps, end, choices, state);
}

/* ---- computed codes (QTIP, algorithms 1 to 3) ---- */

float bg_bitshift_1mad(uint32_t state)
{
    uint32_t x = state * 34038481u + 76625530u;
    int sum = (int)((x & 255) + (x >> 8 & 255) + (x >> 16 & 255) + (x >> 24));
    return (float)(sum - 510) / 147.800537109375f;
}

float bg_bitshift_3inst(uint32_t state)
{
    uint32_t x = ((state * 89226354u + 64248484u) & 0x8fff8fffu) ^ 0x3b603b60u;
    return bg_f16_to_f32((uint16_t)(x >> 16)) + bg_f16_to_f32((uint16_t)x);
}

int bg_bitshift_hybrid(uint32_t state, float *sign)
{
    uint32_t x = state * (state + 1);
    *sign = x >> 15 & 1 ? -1 : 1;
    return (int)(x >> 6 & 511);
}
