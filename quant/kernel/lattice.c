/* Owns lattice decoders. Z, D_n and E8 round and mend the parity at the least cost (Conway and Sloane 1982); A2 and E8
 * are two cosets each. Leech: for both residues m and all 4096 words of the Golay code the cost of each coordinate's
 * class, the parity of Σ(v − class)/4 and the price of changing it are added up from tables over three bytes of the
 * word: exact. */
#include <math.h>
#include <string.h>
#include "quant/kernel/lattice.h"

/* ---- the Golay code ---- */

/* Systematic words of the cyclic (23, 12) code with g = x^11 + x^9 + x^7 + x^6 + x^5 + x + 1, and a parity bit. */
static uint32_t golay_word(uint32_t information)
{
    uint32_t rest = information << 11;
    for (int i = 22; i >= 11; i--)
        if (rest >> i & 1)
            rest ^= 0xae3u << (i - 11);
    uint32_t word = information | rest << 12;
    return word | (uint32_t)__builtin_parity(word) << 23;
}

void bg_lattice_init(bg_lattice *l, bg_lattice_kind kind)
{
    static const struct {
        int dim;
        double volume, unit[2];
    } rows[BG_LATTICES] = {{1, 1, {1, 1}},
                           {2, 0.86602540378443865, {0.5, 0.86602540378443865}},
                           {4, 2, {1, 1}},
                           {8, 1, {0.5, 0.5}},
                           {24, 1, {0.35355339059327376, 0.35355339059327376}}};
    *l = (bg_lattice){.kind = kind, .dim = rows[kind].dim, .volume = rows[kind].volume};
    memcpy(l->unit, rows[kind].unit, sizeof l->unit);
    for (uint32_t i = 0; kind == BG_LATTICE_LEECH && i < BG_GOLAY_WORDS; i++)
        l->golay[i] = golay_word(i);
}

/* ---- the small ones ---- */

/* Nearest point of D_n + shift: v are the integers to which shift is added. Returns the squared distance. */
static float nearest_checkerboard(const float *x, int n, float shift, int32_t *v)
{
    float sum = 0, worst = -1;
    int at = 0, odd = 0;
    for (int i = 0; i < n; i++) {
        float y = x[i] - shift, k = rintf(y), r = fabsf(y - k);
        v[i] = (int32_t)k, odd ^= v[i] & 1;
        sum += r * r;
        if (r > worst)
            worst = r, at = i;
    }
    if (odd) { /* the coordinate that lies worst goes the other way */
        v[at] += x[at] - shift > (float)v[at] ? 1 : -1;
        sum += 1 - 2 * worst;
    }
    return sum;
}

static void nearest_a2(const float *x, int32_t *v)
{
    const float h = 1.7320508f;
    int32_t a = (int32_t)rintf(x[0]), b = (int32_t)rintf(x[1] / h);
    int32_t c = (int32_t)rintf(x[0] - 0.5f), d = (int32_t)rintf(x[1] / h - 0.5f);
    float ax = x[0] - (float)a, ay = x[1] - (float)b * h, cx = x[0] - (float)c - 0.5f,
          cy = x[1] - ((float)d + 0.5f) * h;
    int second = cx * cx + cy * cy < ax * ax + ay * ay;
    v[0] = second ? 2 * c + 1 : 2 * a, v[1] = second ? 2 * d + 1 : 2 * b;
}

static void nearest_e8(const float *x, int32_t *v)
{
    int32_t w[8];
    float whole = nearest_checkerboard(x, 8, 0, v), half = nearest_checkerboard(x, 8, 0.5f, w);
    for (int i = 0; i < 8; i++)
        v[i] = half < whole ? 2 * w[i] + 1 : 2 * v[i];
}

/* ---- Leech ---- */

typedef struct choice {
    float cost, price; /* squared distance; what changing the parity adds to it at least */
    int odd;
} choice;

/* Cost, parity and price of each coordinate for class 4k + 2c + m, c = 0, 1. */
static void price_classes(const float *x, int m, choice at[24][2])
{
    for (int i = 0; i < 24; i++)
        for (int c = 0; c < 2; c++) {
            float y = (x[i] - (float)(2 * c + m)) / 4, k = rintf(y), r = fabsf(y - k);
            at[i][c] = (choice){16 * r * r, 16 - 32 * r, (int)k & 1};
        }
}

/* Sums over the eight coordinates of a byte of the word, for all its values. */
static void sum_byte(choice at[24][2], int first, choice *sum)
{
    sum[0] = (choice){0, 1e30f, 0};
    for (int b = 0, n = 1; b < 8; b++, n *= 2)
        for (int i = 2 * n; i-- > 0;) {
            const choice *c = &at[first + b][i >= n], *s = &sum[i & (n - 1)];
            sum[i] = (choice){s->cost + c->cost, s->price < c->price ? s->price : c->price, s->odd ^ c->odd};
        }
}

/* The best word for one m; parity of Σk must be m. */
static float best_word(const bg_lattice *l, choice at[24][2], int m, uint32_t *word)
{
    choice sum[3][256];
    float best = 1e30f;
    for (int j = 0; j < 3; j++)
        sum_byte(at, 8 * j, sum[j]);
    for (int i = 0; i < BG_GOLAY_WORDS; i++) {
        uint32_t w = l->golay[i];
        const choice *a = &sum[0][w & 255], *b = &sum[1][w >> 8 & 255], *c = &sum[2][w >> 16];
        float cost = a->cost + b->cost + c->cost;
        if (cost < best) {
            float price = a->price < b->price ? a->price : b->price;
            price = c->price < price ? c->price : price;
            cost += (a->odd ^ b->odd ^ c->odd) != m ? price : 0;
            if (cost < best)
                best = cost, *word = w;
        }
    }
    return best;
}

static void nearest_leech(const bg_lattice *l, const float *x, int32_t *v)
{
    choice at[2][24][2];
    uint32_t word[2] = {0, 0};
    float y[24], cost[2];
    for (int i = 0; i < 24; i++)
        y[i] = x[i] * 2.8284271f;
    for (int m = 0; m < 2; m++) {
        price_classes(y, m, at[m]);
        cost[m] = best_word(l, at[m], m, &word[m]);
    }
    int m = cost[1] < cost[0], odd = m, worst = 0;
    float price = 1e30f;
    for (int i = 0; i < 24; i++) {
        int c = word[m] >> i & 1;
        v[i] = 4 * (int32_t)rintf((y[i] - (float)(2 * c + m)) / 4) + 2 * c + m;
        odd ^= at[m][i][c].odd;
        if (at[m][i][c].price < price)
            price = at[m][i][c].price, worst = i;
    }
    if (odd)
        v[worst] += y[worst] > (float)v[worst] ? 4 : -4;
}

void bg_lattice_nearest(const bg_lattice *l, const float *x, int32_t *v)
{
    switch (l->kind) {
    case BG_LATTICE_A2:
        nearest_a2(x, v);
        break;
    case BG_LATTICE_D4:
        nearest_checkerboard(x, 4, 0, v);
        break;
    case BG_LATTICE_E8:
        nearest_e8(x, v);
        break;
    case BG_LATTICE_LEECH:
        nearest_leech(l, x, v);
        break;
    default:
        v[0] = (int32_t)rintf(x[0]);
    }
}

/* ---- E8P ---- */

/* Adds the patterns in which the coordinates of `three` are 3/2 and that of `five` (or none: −1) 5/2. */
static int add_pattern(bg_e8p *b, int n, unsigned three, int five)
{
    int sum2 = 0; /* twice the sum of the coordinates */
    for (int i = 0; i < 8; i++) {
        int twice = i == five ? 5 : three >> i & 1 ? 3 : 1;
        b->pattern[n][i] = (float)twice / 2;
        sum2 += twice;
    }
    b->odd[n] = (uint8_t)(sum2 / 2 & 1);
    return n + 1;
}

void bg_e8p_init(bg_e8p *b)
{
    int n = 0;
    for (int threes = 0; threes <= 4; threes++) /* norm² 2, 4, 6, 8, 10 */
        for (unsigned s = 0; s < 256; s++)
            if (__builtin_popcount(s) == threes)
                n = add_pattern(b, n, s, -1);
    for (int five = 0; five < 8; five++) /* norm² 8, and 10 with one 3/2 */
        for (int i = -1; i < 8; i++)
            if (i != five)
                n = add_pattern(b, n, i < 0 ? 0 : 1u << i, five);
    for (unsigned s = 0; s < 256 && n < BG_E8P_PATTERNS; s++) /* norm² 12: 29 of the 56 with five 3/2 */
        if (__builtin_popcount(s) == 5)
            n = add_pattern(b, n, s, -1);
}

uint16_t bg_e8p_nearest(const bg_e8p *b, const float *x)
{
    float best = -1e30f;
    uint16_t index = 0;
    for (int shift = 0; shift < 2; shift++) {
        float y[8], size[8];
        unsigned minus = 0;
        for (int i = 0; i < 8; i++) {
            y[i] = x[i] + (shift ? 0.25f : -0.25f);
            size[i] = fabsf(y[i]), minus |= (unsigned)(y[i] < 0) << i;
        }
        int odd = __builtin_parity(minus);
        for (int p = 0; p < BG_E8P_PATTERNS; p++) {
            const float *a = b->pattern[p];
            float dot = 0, norm = 0, min = 1e30f, energy = 0;
            for (int i = 0; i < 8; i++) { /* −|y − a|² + |y|², with the best signs */
                float t = size[i] * a[i];
                dot += t, norm += a[i] * a[i], min = t < min ? t : min, energy += y[i] * y[i];
            }
            float score = 2 * (dot - (odd != b->odd[p] ? 2 * min : 0)) - norm - energy;
            if (score > best) {
                unsigned signs = minus;
                if (odd != b->odd[p])
                    for (int i = 0; i < 8; i++)
                        if (size[i] * a[i] == min) {
                            signs ^= 1u << i;
                            break;
                        }
                best = score;
                index = (uint16_t)((unsigned)p | (signs & 127) << 8 | (unsigned)shift << 15);
            }
        }
    }
    return index;
}

void bg_e8p_word(const bg_e8p *b, uint16_t index, float *x)
{
    int p = index & 255, shift = index >> 15;
    unsigned signs = index >> 8 & 127;
    signs |= (unsigned)(__builtin_parity(signs) ^ b->odd[p]) << 7;
    for (int i = 0; i < 8; i++)
        x[i] = (signs >> i & 1 ? -b->pattern[p][i] : b->pattern[p][i]) - (shift ? 0.25f : -0.25f);
}
