/* Owns the Viterbi search on the bitshift trellis and its computed codes; the recursion is in bitshift.h. Choices are K
 * bits for each q and step, packed 8/K steps to a byte; both versions add the same integers and choose the same path.
 */
#include <math.h>
#include <string.h>
#include "io/base/dtype.h"
#include "quant/kernel/bitshift.h"
#include "quant/kernel/simd.h"

static size_t count_remainders(const bg_bitshift *b)
{
    return (size_t)1 << (b->L - b->K);
}
static size_t steps_per_byte(const bg_bitshift *b)
{
    return 8 / (size_t)b->K;
}

size_t bg_bitshift_choices(const bg_bitshift *b, size_t steps)
{
    return (steps + steps_per_byte(b) - 1) / steps_per_byte(b) * count_remainders(b);
}

size_t bg_bitshift_metrics(const bg_bitshift *b)
{
    return 2 * (count_remainders(b) + BG_BITSHIFT_MARGIN);
}

static void init_metrics(const bg_bitshift *b, int start, uint16_t *m)
{
    for (size_t q = 0; q < count_remainders(b); q++)
        m[q] = start == BG_BITSHIFT_FREE || (size_t)start == q ? 0 : UINT16_MAX;
}

/* Where the end is given and costs too much for 16 bits, the choices do not know the start: its bits are put in by
 * hand, so that every path is a stream. */
static unsigned keep_start(const bg_bitshift *b, int start, size_t t, unsigned p)
{
    int held = b->L - b->K - (int)t * b->K; /* bits of the start among the upper ones of the state at t */
    if (start == BG_BITSHIFT_FREE || t >= (size_t)b->L || held <= 0)
        return p;
    unsigned from = (unsigned)start & ((1u << held) - 1);
    if (held >= b->K)
        return from >> (held - b->K);
    unsigned low = (1u << (b->K - held)) - 1;
    return from << (b->K - held) | (p & low);
}

static unsigned trace_path(const bg_bitshift *b, const uint16_t *m, size_t steps, bg_bitshift_ends ends,
                           const uint8_t *choices, uint16_t *state)
{
    size_t Q = count_remainders(b), q = ends.end == BG_BITSHIFT_FREE ? 0 : (size_t)ends.end, pack = steps_per_byte(b);
    for (size_t i = 1; ends.end == BG_BITSHIFT_FREE && i < Q; i++)
        q = m[i] < m[q] ? i : q;
    unsigned min = m[q];
    for (size_t t = steps; t-- > 0;) {
        size_t first = t / pack * pack, held = steps - first < pack ? steps - first : pack;
        unsigned p = choices[t / pack * Q + q] >> ((held - 1 - (t - first)) * (size_t)b->K) & ((1u << b->K) - 1);
        state[t] = (uint16_t)(keep_start(b, ends.start, t, p) * Q + q);
        q = state[t] >> b->K;
    }
    return min;
}

static int clamp_int16(int v)
{
    return v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v;
}

unsigned bg_bitshift_cost(int doublings, int16_t x, int16_t entry)
{
    int r = clamp_int16(x - entry);
    for (int i = 0; i < doublings; i++)
        r = clamp_int16(2 * r);
    return (unsigned)(r * r) >> 16;
}

static unsigned add_saturated(unsigned a, unsigned b)
{
    return a + b < UINT16_MAX ? a + b : UINT16_MAX;
}

uint64_t bg_bitshift_search_ref(const bg_bitshift *b, const int16_t *x, size_t steps, bg_bitshift_ends ends,
                                bg_bitshift_workspace w, uint16_t *state)
{
    size_t Q = count_remainders(b), pack = steps_per_byte(b), N = (size_t)1 << b->L;
    uint16_t *m = w.metrics, *next = w.metrics + Q + BG_BITSHIFT_MARGIN;
    uint64_t taken = 0;
    init_metrics(b, ends.start, m);
    for (size_t t = 0; t < steps; t++) {
        uint8_t *row = w.choices + t / pack * Q;
        unsigned min = UINT16_MAX;
        for (size_t q = 0; q < Q; q++)
            min = m[q] < min ? m[q] : min;
        for (size_t q = 0; q < Q; q++) {
            unsigned best = 0, arg = 0;
            for (unsigned p = 0; p < 1u << b->K; p++) {
                size_t s = p * Q + q;
                unsigned cost = 0;
                for (int v = 0; v < b->V; v++)
                    cost = add_saturated(cost, bg_bitshift_cost(b->doublings, x[t * (size_t)b->V + (size_t)v],
                                                                b->table[(size_t)v * N + s]));
                unsigned c = add_saturated(m[s >> b->K], cost);
                if (p == 0 || c < best)
                    best = c, arg = p;
            }
            next[q] = (uint16_t)(best == UINT16_MAX ? best : best - min);
            row[q] = (uint8_t)((t % pack ? row[q] << b->K : 0) | (int)arg);
        }
        uint16_t *swap = m;
        m = next, next = swap, taken += min;
    }
    return taken + trace_path(b, m, steps, ends, w.choices, state);
}

BG_INLINE bg_h16 cost_of(bg_s16 x, const int16_t *table, int doublings)
{
    bg_s16 r = bg_s16_sub(x, bg_s16_load(table));
    for (int i = 0; i < doublings; i++)
        r = bg_s16_add(r, r);
    return bg_s16_square(r);
}

typedef struct step_row {
    const int16_t *table, *x;
    const uint16_t *m;
    uint16_t *next;
    uint8_t *choices;
    bg_h16 min; /* of m, in every lane */
    int fresh;  /* the first step of the bytes in choices */
} step_row;

/* One step for all remainders; K, V and doublings are constants where it is inlined. Sixteen neighbours follow sixteen
 * >> K. */
BG_INLINE void run_step(step_row *r, int L, int K, int V, int doublings)
{
    size_t Q = (size_t)1 << (L - K), N = (size_t)1 << L;
    bg_h16 before, min = bg_h16_all(UINT16_MAX), nowhere = bg_h16_all(UINT16_MAX);
    for (int l = 0; l < 16; l++)
        before[l] = (uint16_t)((l >> K) * 0x202 + 0x100);
    bg_s16 x0 = bg_s16_all(r->x[0]), x1 = bg_s16_all(r->x[V - 1]);
    for (size_t q = 0; q < Q; q += 16) {
        bg_h16 best = nowhere, arg = bg_h16_all(0);
        for (int p = 0; p < 1 << K; p++) {
            size_t s = (size_t)p * Q + q;
            bg_h16 c = cost_of(x0, r->table + s, doublings);
            if (V == 2)
                c = bg_h16_add(c, cost_of(x1, r->table + N + s, doublings));
            c = bg_h16_add(c, bg_h16_among_eight(r->m + (s >> K), before));
            bg_h16 lower = bg_h16_min(c, best);
            arg = p ? bg_h16_select((bg_h16)(lower == best), arg, bg_h16_all((uint16_t)p)) : arg;
            best = lower;
        }
        bg_h16 kept = (best - r->min) | (bg_h16)(best == nowhere);
        bg_h16_store(r->next + q, kept);
        min = bg_h16_min(min, kept);
        bg_b16 choice = bg_h16_bytes(arg), old;
        if (!r->fresh) {
            memcpy(&old, r->choices + q, sizeof old);
            choice |= old << K;
        }
        memcpy(r->choices + q, &choice, sizeof choice);
    }
    uint16_t all = UINT16_MAX;
    for (int l = 0; l < 16; l++)
        all = min[l] < all ? min[l] : all;
    r->min = bg_h16_all(all);
}

uint64_t bg_bitshift_search(const bg_bitshift *b, const int16_t *x, size_t steps, bg_bitshift_ends ends,
                            bg_bitshift_workspace w, uint16_t *state)
{
    size_t Q = count_remainders(b), pack = steps_per_byte(b);
    step_row r = {.table = b->table, .x = x, .m = w.metrics, .min = bg_h16_all(0)};
    uint16_t *m = w.metrics, *next = w.metrics + Q + BG_BITSHIFT_MARGIN;
    uint64_t taken = 0;
    init_metrics(b, ends.start, m);
    for (size_t t = 0; t < steps; t++) {
        r.x = x + t * (size_t)b->V, r.m = m, r.next = next;
        r.choices = w.choices + t / pack * Q, r.fresh = t % pack == 0;
        taken += r.min[0];
        switch (b->doublings * 100 + b->V * 10 + b->K) {
        case 11:
            run_step(&r, b->L, 1, 1, 0);
            break;
        case 12:
            run_step(&r, b->L, 2, 1, 0);
            break;
        case 113:
            run_step(&r, b->L, 3, 1, 1);
            break;
        case 214:
            run_step(&r, b->L, 4, 1, 2);
            break;
        case 22:
            run_step(&r, b->L, 2, 2, 0);
            break;
        case 24:
            run_step(&r, b->L, 4, 2, 0);
            break;
        default:
            run_step(&r, b->L, b->K, b->V, b->doublings);
        }
        uint16_t *swap = m;
        m = next, next = swap;
    }
    return taken + trace_path(b, m, steps, ends, w.choices, state);
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
