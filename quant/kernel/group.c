/* Owns the passes over a row held in cache. See group.h.
 *
 * A group's error needs no rounding back to weights: with y = x/s and r = y − round(y) it is s²·Σ r². Lanes of eight are kept
 * apart through a whole row (times s² per group) and added up once, in double; so that s² neither underflows nor
 * overflows, rows whose scales lie outside 1e±15 take the plain version, as do groups that are no multiple of 16.
 */
#include "quant/kernel/group.h"
#include "quant/kernel/simd.h"

static void merge(bg_error *e, bg_f8 sum, bg_f8 most)
{
    double total = 0;
    float largest = 0;
    for (int l = 0; l < 8; l++) {
        total += (double)sum[l];
        largest = most[l] > largest ? most[l] : largest;
    }
    largest = sqrtf(largest);
    e->sse += total;
    e->most = largest > e->most ? largest : e->most;
}

/* Whether s² of all of them is a normal float, and so the lanes may be kept in float. Zero scales are not. */
static int moderate(const float *scale, size_t groups)
{
    float least = INFINITY, most = 0;
    for (size_t k = 0; k < groups; k++) {
        least = scale[k] < least ? scale[k] : least;
        most = scale[k] > most ? scale[k] : most;
    }
    return least > 1e-15f && most < 1e15f;
}

/* ---- range ---- */

void bg_group_range_ref(const float *x, size_t n, size_t g, float *least, float *most)
{
    for (size_t first = 0, k = 0; first < n; first += g, k++) {
        least[k] = most[k] = x[first];
        for (size_t i = first; i < n && i < first + g; i++) {
            least[k] = x[i] < least[k] ? x[i] : least[k];
            most[k] = x[i] > most[k] ? x[i] : most[k];
        }
    }
}

void bg_group_range(const float *x, size_t n, size_t g, float *least, float *most)
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
        least[k] = l;
        most[k] = h;
    }
    if (whole * g < n)
        bg_group_range_ref(x + whole * g, n - whole * g, g, least + whole, most + whole);
}

void bg_range_join(const float *least, const float *most, size_t n, size_t together, float *joined_least,
                   float *joined_most)
{
    bg_group_range_ref(least, n, together, joined_least, joined_most);
    for (size_t first = 0, k = 0; first < n; first += together, k++) {
        joined_most[k] = most[first];
        for (size_t i = first; i < n && i < first + together; i++)
            joined_most[k] = most[i] > joined_most[k] ? most[i] : joined_most[k];
    }
}

/* ---- affine ---- */

void bg_group_affine_ref(const float *x, size_t n, size_t g, const bg_affine *a, bg_error *e)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = i / g;
        float y = x[i] * a->inverse[k] - a->shift[k], q = rintf(y);
        q = q < a->low[k] ? a->low[k] : q > a->high[k] ? a->high[k] : q;
        double d = a->scale[k] != 0 ? (double)a->scale[k] * (double)(y - q) : (double)x[i] - (double)a->rest[k];
        e->sse += d * d;
        e->most = fabsf((float)d) > e->most ? fabsf((float)d) : e->most;
    }
}

/* Whole groups; shifted is a constant in each caller: integer zero points need no shift. */
BG_INLINE void affine_row(const float *x, size_t groups, size_t g, const bg_affine *a, int shifted, bg_error *e)
{
    bg_f8 row = bg_f8_all(0), row_most = row;
    for (size_t k = 0; k < groups; k++) {
        const float *p = x + k * g;
        bg_f8 inverse = bg_f8_all(a->inverse[k]), shift = bg_f8_all(a->shift[k]), low = bg_f8_all(a->low[k]),
              high = bg_f8_all(a->high[k]), s0 = bg_f8_all(0), s1 = s0, m0 = s0, m1 = s0;
        for (size_t i = 0; i < g; i += 16) {
            bg_f8 y0 = bg_f8_load(p + i) * inverse, y1 = bg_f8_load(p + i + 8) * inverse;
            if (shifted) {
                y0 -= shift;
                y1 -= shift;
            }
            bg_f8 r0 = y0 - bg_f8_min(bg_f8_max(bg_f8_round(y0), low), high);
            bg_f8 r1 = y1 - bg_f8_min(bg_f8_max(bg_f8_round(y1), low), high);
            r0 *= r0;
            r1 *= r1;
            s0 += r0;
            s1 += r1;
            m0 = bg_f8_max(m0, r0);
            m1 = bg_f8_max(m1, r1);
        }
        bg_f8 square = bg_f8_all(a->scale[k] * a->scale[k]);
        row += square * (s0 + s1);
        row_most = bg_f8_max(row_most, square * bg_f8_max(m0, m1));
    }
    merge(e, row, row_most);
}

void bg_group_affine(const float *x, size_t n, size_t g, const bg_affine *a, bg_error *e)
{
    size_t groups = (n + g - 1) / g, whole = g % 16 || !moderate(a->scale, groups) ? 0 : n / g;
    int shifted = 0;
    for (size_t k = 0; k < groups; k++)
        shifted |= a->shift[k] != 0;
    if (shifted)
        affine_row(x, whole, g, a, 1, e);
    else
        affine_row(x, whole, g, a, 0, e);
    if (whole * g < n) {
        bg_affine rest = {a->scale + whole, a->inverse + whole, a->shift + whole, a->low + whole, a->high + whole,
                          a->rest + whole};
        bg_group_affine_ref(x + whole * g, n - whole * g, g, &rest, e);
    }
}

static void symmetric_ref(const float *x, size_t n, size_t g, const float *scale, const float *inverse, float low,
                          float high, bg_error *e)
{
    for (size_t i = 0; i < n; i++) {
        float y = x[i] * inverse[i / g], q = rintf(y), s = scale[i / g];
        q = q < low ? low : q > high ? high : q;
        double d = s != 0 ? (double)s * (double)(y - q) : (double)x[i];
        e->sse += d * d;
        e->most = fabsf((float)d) > e->most ? fabsf((float)d) : e->most;
    }
}

/* One row of whole groups; clamp is a constant in each caller, so that the common case pays for no bounds. */
BG_INLINE void symmetric_row(const float *x, size_t groups, size_t g, const float *scale, const float *inverse, float low,
                             float high, int clamp, bg_error *e)
{
    bg_f8 row = bg_f8_all(0), row_most = row, top = bg_f8_all(high), bottom = bg_f8_all(low);
    for (size_t k = 0; k < groups; k++) {
        const float *p = x + k * g;
        bg_f8 v = bg_f8_all(inverse[k]), s0 = bg_f8_all(0), s1 = s0, m0 = s0, m1 = s0;
        for (size_t i = 0; i < g; i += 16) {
            bg_f8 y0 = bg_f8_load(p + i) * v, y1 = bg_f8_load(p + i + 8) * v, q0 = bg_f8_round(y0), q1 = bg_f8_round(y1);
            if (clamp) {
                q0 = bg_f8_max(bg_f8_min(q0, top), bottom);
                q1 = bg_f8_max(bg_f8_min(q1, top), bottom);
            }
            bg_f8 r0 = y0 - q0, r1 = y1 - q1;
            r0 *= r0;
            r1 *= r1;
            s0 += r0;
            s1 += r1;
            m0 = bg_f8_max(m0, r0);
            m1 = bg_f8_max(m1, r1);
        }
        bg_f8 square = bg_f8_all(scale[k] * scale[k]);
        row += square * (s0 + s1);
        row_most = bg_f8_max(row_most, square * bg_f8_max(m0, m1));
    }
    merge(e, row, row_most);
}

void bg_group_symmetric(const float *x, size_t n, size_t g, const float *scale, const float *inverse, float low, float high,
                        float reach, bg_error *e)
{
    size_t whole = g % 16 || !moderate(scale, (n + g - 1) / g) ? 0 : n / g;
    if (reach < high + 0.5f && -reach > low - 0.5f)
        symmetric_row(x, whole, g, scale, inverse, low, high, 0, e);
    else
        symmetric_row(x, whole, g, scale, inverse, low, high, 1, e);
    if (whole * g < n)
        symmetric_ref(x + whole * g, n - whole * g, g, scale + whole, inverse + whole, low, high, e);
}

/* ---- tables ---- */

void bg_group_table_ref(const float *x, size_t n, size_t g, const float *scale, const float *inverse, const float *levels,
                        const float *cuts, int K, bg_error *e)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = i / g;
        float y = x[i] * inverse[k];
        int q = 0;
        while (q < K - 1 && y > cuts[q])
            q++;
        double d = scale[k] != 0 ? (double)scale[k] * (double)(y - levels[q]) : (double)x[i];
        e->sse += d * d;
        e->most = fabsf((float)d) > e->most ? fabsf((float)d) : e->most;
    }
}

/* The level of y among 16: the cuts below y are counted, the level is looked up in registers. */
BG_INLINE bg_f8 table16(bg_f8 y, const bg_f8 *cut, bg_f8 lower, bg_f8 upper)
{
    bg_i8 a = y > cut[0], b = y > cut[1];
    for (int k = 2; k < 14; k += 2) {
        a += y > cut[k];
        b += y > cut[k + 1];
    }
    bg_i8 index = -(a + b + (y > cut[14]));
    return (bg_f8)bg_i8_select(index > 7, (bg_i8)bg_f8_permute(upper, index & 7), (bg_i8)bg_f8_permute(lower, index & 7));
}

/* Tables that mirror themselves: |y| among the 8 magnitudes. */
BG_INLINE bg_f8 table8(bg_f8 y, const bg_f8 *cut, bg_f8 magnitudes)
{
    bg_i8 a = y > cut[0], b = y > cut[1];
    a += y > cut[2];
    b += y > cut[3];
    a += y > cut[4];
    b += y > cut[5];
    return bg_f8_permute(magnitudes, -(a + b + (y > cut[6])));
}

static size_t run16(const float *x, size_t n, size_t g, const float *scale, const float *inverse, const float *level,
                    const float *cuts, bg_error *e)
{
    bg_f8 cut[15], lower = bg_f8_load(level), upper = bg_f8_load(level + 8), row = bg_f8_all(0), row_most = row;
    for (int k = 0; k < 15; k++)
        cut[k] = bg_f8_all(cuts[k]);
    for (size_t k = 0; k < n / g; k++) {
        bg_f8 v = bg_f8_all(inverse[k]), s = bg_f8_all(0), m = s;
        for (size_t i = 0; i < g; i += 8) {
            bg_f8 y = bg_f8_load(x + k * g + i) * v, r = y - table16(y, cut, lower, upper);
            r *= r;
            s += r;
            m = bg_f8_max(m, r);
        }
        bg_f8 square = bg_f8_all(scale[k] * scale[k]);
        row += square * s;
        row_most = bg_f8_max(row_most, square * m);
    }
    merge(e, row, row_most);
    return n / g * g;
}

static size_t run8(const float *x, size_t n, size_t g, const float *scale, const float *inverse, const float *level,
                   const float *cuts, bg_error *e)
{
    bg_f8 cut[7], magnitudes = bg_f8_load(level + 7), row = bg_f8_all(0), row_most = row;
    bg_i8 mask = bg_i8_all(0x7FFFFFFF);
    for (int k = 0; k < 7; k++)
        cut[k] = bg_f8_all(cuts[7 + k]);
    for (size_t k = 0; k < n / g; k++) {
        bg_f8 v = bg_f8_all(inverse[k]), s = bg_f8_all(0), m = s;
        for (size_t i = 0; i < g; i += 8) {
            bg_f8 y = (bg_f8)((bg_i8)(bg_f8_load(x + k * g + i) * v) & mask), r = y - table8(y, cut, magnitudes);
            r *= r;
            s += r;
            m = bg_f8_max(m, r);
        }
        bg_f8 square = bg_f8_all(scale[k] * scale[k]);
        row += square * s;
        row_most = bg_f8_max(row_most, square * m);
    }
    merge(e, row, row_most);
    return n / g * g;
}

void bg_group_table(const float *x, size_t n, size_t g, const float *scale, const float *inverse, const float *levels,
                    const float *cuts, int K, bg_error *e)
{
    size_t done = 0;
    if (g % 8 == 0 && K <= 16 && moderate(scale, (n + g - 1) / g)) {
        float level[16], cut[16];
        int mirrored = K == 15;
        for (int k = 0; k < 16; k++) {
            level[k] = levels[k < K ? k : K - 1];
            cut[k] = k < K - 1 ? cuts[k] : INFINITY;
            mirrored &= k >= K || (levels[k] == -levels[K - 1 - k] && (k == K - 1 || cuts[k] == -cuts[K - 2 - k]));
        }
        done = (mirrored ? run8 : run16)(x, n, g, scale, inverse, level, cut, e);
    }
    if (done < n)
        bg_group_table_ref(x + done, n - done, g, scale + done / g, inverse + done / g, levels, cuts, K, e);
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
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        u &= 0x7FFFFFFFu;
        most = u > most ? u : most;
    }
    return most >= 0x7F800000u;
}
