/* Owns the passes over a row held in cache. See group.h.
 *
 * A group's error needs no rounding back to weights: with y = x/s and r = y − round(y) it is s²·Σ r². Lanes of eight
 * are kept apart through a whole row (times s² per group) and added up once, in double; so that s² neither underflows
 * nor overflows, rows whose scales lie outside 1e±15 take the plain version, as do groups that are no multiple of 16.
 */
#include "quant/kernel/group.h"
#include "quant/kernel/simd.h"

static void merge_lanes(bg_error *e, bg_f8 sum, bg_f8 max)
{
    double total = 0;
    float largest = 0;
    for (int l = 0; l < 8; l++) {
        total += (double)sum[l];
        largest = max[l] > largest ? max[l] : largest;
    }
    largest = sqrtf(largest);
    e->sse += total;
    e->most = largest > e->most ? largest : e->most;
}

/* Whether s² of all of them is a normal float, and so the lanes may be kept in float. Zero scales are not. */
static int are_moderate(const float *scale, size_t groups)
{
    bg_f8 min = bg_f8_all(1), max = min;
    size_t k = 0;
    for (; k + 8 <= groups; k += 8) {
        min = bg_f8_min(min, bg_f8_load(scale + k));
        max = bg_f8_max(max, bg_f8_load(scale + k));
    }
    unsigned odd = bg_i8_bits(~((min > 1e-15f) & (max < 1e15f)));
    for (; k < groups; k++)
        odd |= !(scale[k] > 1e-15f && scale[k] < 1e15f);
    return !odd;
}

/* ---- range ---- */

void bg_group_range_ref(const float *x, size_t n, size_t g, float *min, float *max)
{
    for (size_t first = 0, k = 0; first < n; first += g, k++) {
        min[k] = max[k] = x[first];
        for (size_t i = first; i < n && i < first + g; i++) {
            min[k] = x[i] < min[k] ? x[i] : min[k];
            max[k] = x[i] > max[k] ? x[i] : max[k];
        }
    }
}

void bg_group_range(const float *x, size_t n, size_t g, float *min, float *max)
{
    size_t whole = g % 16 ? 0 : n / g;
    for (size_t k = 0; k < whole; k++) {
        const float *a = x + k * g;
        bg_f8 low = bg_f8_load(a), high = low, low2 = bg_f8_load(a + 8), high2 = low2;
        for (size_t i = 16; i < g; i += 16) {
            bg_f8 u = bg_f8_load(a + i), v = bg_f8_load(a + i + 8);
            low = bg_f8_min(low, u);
            high = bg_f8_max(high, u);
            low2 = bg_f8_min(low2, v);
            high2 = bg_f8_max(high2, v);
        }
        low = bg_f8_min(low, low2);
        high = bg_f8_max(high, high2);
        float l = low[0], h = high[0];
        for (int lane = 1; lane < 8; lane++) {
            l = low[lane] < l ? low[lane] : l;
            h = high[lane] > h ? high[lane] : h;
        }
        min[k] = l;
        max[k] = h;
    }
    if (whole * g < n)
        bg_group_range_ref(x + whole * g, n - whole * g, g, min + whole, max + whole);
}

void bg_range_join(const float *min, const float *max, size_t n, size_t together, float *joined_min, float *joined_max)
{
    bg_group_range_ref(min, n, together, joined_min, joined_max);
    for (size_t first = 0, k = 0; first < n; first += together, k++) {
        joined_max[k] = max[first];
        for (size_t i = first; i < n && i < first + together; i++)
            joined_max[k] = max[i] > joined_max[k] ? max[i] : joined_max[k];
    }
}

/* ---- affine ---- */

void bg_group_affine_ref(const float *x, size_t n, size_t g, const bg_affine *a, bg_error *e)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = i / g;
        float y = x[i] * a->inverse[k] - (a->shift ? a->shift[k] : 0), q = rintf(y);
        q = q < a->low[k] ? a->low[k] : q > a->high[k] ? a->high[k] : q;
        double d = a->scale[k] != 0 ? (double)a->scale[k] * (double)(y - q) : (double)x[i] - (double)a->rest[k];
        e->sse += d * d;
        e->most = fabsf((float)d) > e->most ? fabsf((float)d) : e->most;
    }
}

/* Bit l: group k + l has weights that round beyond its bounds (rounding is monotone: its ends tell), or may hold an
 * error above half of `known`. */
BG_INLINE unsigned careful_groups(const bg_affine *a, size_t k, size_t groups, float known, int shifted)
{
    if (k + 8 <= groups) {
        bg_f8 inverse = bg_f8_load(a->inverse + k), shift = shifted ? bg_f8_load(a->shift + k) : bg_f8_all(0);
        bg_f8 first = bg_f8_round(bg_f8_load(a->min + k) * inverse - shift);
        bg_f8 last = bg_f8_round(bg_f8_load(a->max + k) * inverse - shift);
        bg_i8 beyond = (first < bg_f8_load(a->low + k)) | (last > bg_f8_load(a->high + k));
        return bg_i8_bits(beyond | (bg_f8_load(a->scale + k) > bg_f8_all(known)));
    }
    unsigned bits = 0;
    for (size_t l = 0; k + l < groups; l++) {
        size_t j = k + l;
        float shift = shifted ? a->shift[j] : 0;
        int beyond = rintf(a->min[j] * a->inverse[j] - shift) < a->low[j] ||
                     rintf(a->max[j] * a->inverse[j] - shift) > a->high[j];
        bits |= (unsigned)(beyond || a->scale[j] > known) << l;
    }
    return bits;
}

/* What the squares of a group need. A group that is not careful has no weight beyond its bounds, and its largest error
 * is not wanted. */
enum { SHIFTED = 1, CAREFUL = 2 };

/* Σ r² by lanes of group j, at p; `together` vectors run side by side. flags and together are constants in each caller.
 */
BG_INLINE bg_f8 affine_squares(const float *p, size_t g, const bg_affine *a, size_t j, int flags, int together,
                               bg_f8 *max)
{
    bg_f8 inverse = bg_f8_all(a->inverse[j]), sum[4] = {{0}}, largest = {0};
    for (size_t i = 0; i < g; i += 8 * (size_t)together)
        for (int u = 0; u < together; u++) {
            bg_f8 y = bg_f8_load(p + i + 8 * u) * inverse;
            if (flags & SHIFTED)
                y -= bg_f8_all(a->shift[j]);
            bg_f8 q = bg_f8_round(y);
            if (flags & CAREFUL)
                q = bg_f8_min(bg_f8_max(q, bg_f8_all(a->low[j])), bg_f8_all(a->high[j]));
            bg_f8 r = y - q;
            if (flags & CAREFUL)
                largest = bg_f8_max(largest, r * r);
            sum[u] = bg_f8_fma(r, r, sum[u]);
        }
    if (flags & CAREFUL)
        *max = largest;
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Whole groups of a row. An error inside the bounds is at max half a scale, so only scales above twice the largest
 * error so far need a look at it; the margin is for the rounding of r²·s². */
BG_INLINE void affine_row(const float *x, size_t groups, size_t g, const bg_affine *a, int shifted, int together,
                          bg_error *e)
{
    bg_f8 row = {0}, row_max = {0}, max;
    float known = 2 * e->most * (1 - 0x1p-18f);
    for (size_t k = 0; k < groups; k += 8) {
        unsigned careful = careful_groups(a, k, groups, known, shifted);
        for (size_t j = k; j < groups && j < k + 8; j++) {
            bg_f8 square = bg_f8_all(a->scale[j] * a->scale[j]), sum;
            if (careful >> (j - k) & 1) {
                sum = affine_squares(x + j * g, g, a, j, shifted | CAREFUL, together, &max);
                row_max = bg_f8_max(row_max, square * max);
            } else
                sum = affine_squares(x + j * g, g, a, j, shifted, together, &max);
            row = bg_f8_fma(square, sum, row);
        }
    }
    merge_lanes(e, row, row_max);
}

void bg_group_affine(const float *x, size_t n, size_t g, const bg_affine *a, bg_error *e)
{
    size_t whole = g % 16 || !are_moderate(a->scale, (n + g - 1) / g) ? 0 : n / g;
    if (g % 32 && a->shift)
        affine_row(x, whole, g, a, 1, 2, e);
    else if (g % 32)
        affine_row(x, whole, g, a, 0, 2, e);
    else if (a->shift)
        affine_row(x, whole, g, a, 1, 4, e);
    else if (g == 32)
        affine_row(x, whole, 32, a, 0, 4, e);
    else
        affine_row(x, whole, g, a, 0, 4, e);
    if (whole * g < n) {
        bg_affine rest = {a->scale + whole,
                          a->inverse + whole,
                          a->shift ? a->shift + whole : NULL,
                          a->low + whole,
                          a->high + whole,
                          a->rest + whole,
                          NULL,
                          NULL};
        bg_group_affine_ref(x + whole * g, n - whole * g, g, &rest, e);
    }
}

/* ---- tables ---- */

void bg_group_table_ref(const float *x, size_t n, size_t g, const bg_table_code *t, bg_error *e)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = i / g;
        float y = x[i] * t->inverse[k];
        int q = 0;
        while (q < t->K - 1 && y > t->cuts[q])
            q++;
        double d = t->scale[k] != 0 ? (double)t->scale[k] * (double)(y - t->levels[q]) : (double)x[i];
        e->sse += d * d;
        e->most = fabsf((float)d) > e->most ? fabsf((float)d) : e->most;
    }
}

/* Levels and cuts in registers, for a search by halves whose every step is a comparison and a look-up among four. A
 * look-up's index is a sum of comparisons, which are 0 or −1, so that entries a b c d for the answers 00 01 10 11 stand
 * as a d c b. The last step compares the squared distances themselves, because cuts stand midway between levels. */
typedef struct halves {
    bg_f8 middle, second[2], third, even[2], odd[2]; /* of 8 levels only even[0] and odd[0] */
} halves;

static bg_f8 load_four(const float *at, int stride)
{
    float a = at[0], b = at[stride], c = at[2 * stride], d = at[3 * stride];
    return (bg_f8){a, d, c, b, a, d, c, b};
}

static void halves_of_16(halves *h, const float *level, const float *cut)
{
    h->middle = bg_f8_all(cut[7]);
    h->second[0] = bg_f8_all(cut[3]), h->second[1] = bg_f8_all(cut[11]);
    h->third = load_four(cut + 1, 4);
    for (int b = 0; b < 2; b++)
        h->even[b] = load_four(level + 8 * b, 2), h->odd[b] = load_four(level + 8 * b + 1, 2);
}

BG_INLINE bg_f8 smaller_square(bg_f8 y, bg_f8 a, bg_f8 b)
{
    bg_f8 u = y - a, v = y - b;
    return bg_f8_min(u * u, v * v);
}

/* Squared distance to the nearest of 16. */
BG_INLINE bg_f8 square_of_16(bg_f8 y, const halves *h)
{
    bg_i8 a = y > h->middle, b = y > bg_f8_either(a, h->second[1], h->second[0]),
          c = y > bg_f8_among_four(h->third, a + a + b);
    bg_i8 bc = b + b + c;
    return smaller_square(y, bg_f8_either(a, bg_f8_among_four(h->even[1], bc), bg_f8_among_four(h->even[0], bc)),
                          bg_f8_either(a, bg_f8_among_four(h->odd[1], bc), bg_f8_among_four(h->odd[0], bc)));
}

/* Tables that mirror themselves: |y| among the 8 magnitudes. */
static void halves_of_8(halves *h, const float *level, const float *cut)
{
    h->middle = bg_f8_all(cut[3]);
    h->second[0] = bg_f8_all(cut[1]), h->second[1] = bg_f8_all(cut[5]);
    h->even[0] = load_four(level, 2), h->odd[0] = load_four(level + 1, 2);
}

BG_INLINE bg_f8 square_of_8(bg_f8 y, const halves *h)
{
    bg_i8 a = y > h->middle, b = y > bg_f8_either(a, h->second[1], h->second[0]), ab = a + a + b;
    return smaller_square(y, bg_f8_among_four(h->even[0], ab), bg_f8_among_four(h->odd[0], ab));
}

/* Whether the search by halves finds the nearest level by `cuts`: they stand midway, to float rounding. */
static int are_midway(const bg_table_code *t)
{
    float margin = 0x1p-21f * (t->levels[t->K - 1] - t->levels[0]);
    for (int k = 0; k + 1 < t->K; k++)
        if (!(fabsf(t->cuts[k] - 0.5f * (t->levels[k] + t->levels[k + 1])) <= margin))
            return 0;
    return 1;
}

/* Whole groups. mirrored is a constant in each caller. */
BG_INLINE void table_row(const float *x, size_t groups, size_t g, const bg_table_code *t, const halves *h, int mirrored,
                         bg_error *e)
{
    bg_f8 row = {0}, row_max = {0};
    for (size_t k = 0; k < groups; k++) {
        bg_f8 by = bg_f8_all(t->inverse[k]), square = bg_f8_all(t->scale[k] * t->scale[k]), sum = {0}, max = {0};
        for (size_t i = 0; i < g; i += 8) {
            bg_f8 y = bg_f8_load(x + k * g + i) * by;
            if (mirrored)
                y = bg_f8_max(y, -y);
            bg_f8 r2 = mirrored ? square_of_8(y, h) : square_of_16(y, h);
            sum += r2;
            max = bg_f8_max(max, r2);
        }
        row = bg_f8_fma(square, sum, row);
        row_max = bg_f8_max(row_max, square * max);
    }
    merge_lanes(e, row, row_max);
}

void bg_group_table(const float *x, size_t n, size_t g, const bg_table_code *t, bg_error *e)
{
    int K = t->K, fast = g % 8 == 0 && K <= 16 && are_moderate(t->scale, (n + g - 1) / g) && are_midway(t);
    size_t whole = fast ? n / g : 0;
    if (whole) {
        float level[16], cut[16];
        int mirrored = K == 15;
        halves h;
        for (int k = 0; k < 16; k++) {
            level[k] = t->levels[k < K ? k : K - 1];
            cut[k] = k < K - 1 ? t->cuts[k] : INFINITY;
            mirrored &=
                k >= K || (t->levels[k] == -t->levels[K - 1 - k] && (k == K - 1 || t->cuts[k] == -t->cuts[K - 2 - k]));
        }
        if (mirrored) {
            halves_of_8(&h, level + 7, cut + 7);
            table_row(x, whole, g, t, &h, 1, e);
        } else {
            halves_of_16(&h, level, cut);
            table_row(x, whole, g, t, &h, 0, e);
        }
    }
    if (whole * g < n) {
        bg_table_code rest = {t->scale + whole, t->inverse + whole, t->levels, t->cuts, K};
        bg_group_table_ref(x + whole * g, n - whole * g, g, &rest, e);
    }
}

/* ---- scales ---- */

/* Nearest even at ten mantissa bits; below 2⁻¹⁴, multiples of 2⁻²⁴. */
BG_INLINE bg_f8 round_f16(bg_f8 x)
{
    bg_i8 u = (bg_i8)x;
    u = (u + 0xFFF + ((u >> 13) & 1)) & ~0x1FFF;
    bg_f8 subnormal = (x + 0.75f) - 0.75f;
    bg_f8 y = (bg_f8)bg_i8_select(x < 0x1p-14f, (bg_i8)subnormal, u);
    return bg_f8_min(y, bg_f8_all(65504));
}

void bg_round_f16(float *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        bg_f8_store(x + i, round_f16(bg_f8_load(x + i)));
    if (i < n) {
        float rest[8] = {0};
        memcpy(rest, x + i, (n - i) * sizeof *x);
        bg_f8_store(rest, round_f16(bg_f8_load(rest)));
        memcpy(x + i, rest, (n - i) * sizeof *x);
    }
}

void bg_invert(const float *x, float *inverse, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        bg_f8 v = bg_f8_load(x + i), one = bg_f8_all(1);
        bg_i8 zero = v == 0;
        v = one / (bg_f8)bg_i8_select(zero, (bg_i8)one, (bg_i8)v);
        bg_f8_store(inverse + i, (bg_f8)((bg_i8)v & ~zero));
    }
    for (; i < n; i++)
        inverse[i] = x[i] != 0 ? 1.0f / x[i] : 0.0f;
}

/* ---- codes ---- */

void bg_count_codes(const uint16_t *codes, size_t n, uint32_t *counts)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        uint64_t four;
        memcpy(&four, codes + i, sizeof four);
        counts[four & 0xFFFF]++;
        counts[(four >> 16) & 0xFFFF]++;
        counts[(four >> 32) & 0xFFFF]++;
        counts[four >> 48]++;
    }
    for (; i < n; i++)
        counts[codes[i]]++;
}

void bg_widen_bf16(const uint16_t *codes, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)codes[i] << 16;
        memcpy(&out[i], &u, sizeof u);
    }
}

int bg_any_not_finite(const float *x, size_t n)
{
    uint32_t max = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        u &= 0x7FFFFFFFu;
        max = u > max ? u : max;
    }
    return max >= 0x7F800000u;
}
