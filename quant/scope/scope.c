/* Owns the fitting of one scope: statistics, the row's fit, and the rounding of scales and levels to what is stored. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/scope/scope.h"

enum {
    BLOCK = 256, /* weights rounded together */
    FEW = 32,    /* so many levels are counted through; more are searched */
};

void bg_scope_stats_of(bg_scope_stats *st, const float *x, size_t n)
{
    double sum = 0, squares = 0;
    float least = n ? x[0] : 0, most = least;
    for (size_t i = 0; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
        sum += (double)x[i];
    }
    double mean = n ? sum / (double)n : 0;
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    st->x = x;
    st->n = n;
    st->min = (double)least;
    st->max = (double)most;
    st->mean = mean;
    st->sigma = n ? sqrt(squares / (double)n) : 0;
}

bg_needs bg_spec_needs(const bg_spec *s)
{
    if (s->grid->needs)
        return s->grid->needs(s);
    return s->grid->flags & BG_GRID_FITS_HIST ? BG_NEEDS_HIST : BG_NEEDS_ABSMAX;
}

/* 2^(⌊log2 largest⌋ − ⌊log2 top⌋), within E8M0's 2^−127…2^127. */
static float e8m0_scale(float x, float top)
{
    int largest, levels;
    frexpf(x * top, &largest);
    frexpf(top, &levels);
    int k = largest - levels;
    return ldexpf(1, k < -127 ? -127 : k > 127 ? 127 : k);
}

float bg_scale_round(const bg_spec *s, float x, float top)
{
    float y = x;
    switch ((bg_scale_type)s->scale) {
    case BG_SCALE_F32:
        return x;
    case BG_SCALE_F16:
        y = bg_f16_to_f32(bg_f32_to_f16(x));
        return isfinite(y) ? y : copysignf(65504, x);
    case BG_SCALE_BF16:
        y = bg_bf16_to_f32(bg_f32_to_bf16(x));
        return isfinite(y) ? y : copysignf(0x1.fep127f, x);
    case BG_SCALE_E8M0:
        return x > 0 ? e8m0_scale(x, top) : ldexpf(1, -127);
    case BG_SCALE_E4M3:
        return bg_e4m3_to_f32(bg_f32_to_e4m3(x));
    }
    return x;
}

int bg_code_room_init(bg_code_room *r, const bg_spec *s, bg_err *e)
{
    int K = s->points;
    r->K = K;
    r->levels = malloc((size_t)K * sizeof(float));
    r->cuts = malloc((size_t)K * sizeof(float));
    if (r->levels && r->cuts)
        return BG_OK;
    bg_code_room_free(r);
    return bg_no_memory(e, "levels of a grid", 2ull * (size_t)K * sizeof(float));
}

void bg_code_room_free(bg_code_room *r)
{
    free(r->levels);
    free(r->cuts);
    *r = (bg_code_room){0};
}

/* Fitted levels to their storage type; a cut moves by the mean of its neighbours' moves, so midpoints stay midpoints.
 */
static void round_levels(const bg_spec *s, bg_code_room *r, bg_code *c)
{
    float before = 0;
    for (int k = 0; k < c->K; k++) {
        float level = r->levels[k], rounded = bg_scale_round(s, level, 1);
        if (k)
            r->cuts[k - 1] += 0.5f * (before + (rounded - level));
        before = rounded - level;
        r->levels[k] = rounded;
    }
    c->levels = r->levels;
    c->cuts = r->cuts;
}

/* The largest magnitude that the scale multiplies. */
static float top_of(const bg_code *c)
{
    if (!c->affine)
        return fmaxf(fabsf(c->levels[0]), fabsf(c->levels[c->K - 1]));
    float high = (float)c->hi - c->zero, low = c->zero - (float)c->lo;
    return c->zero == 0 && c->lo < 0 ? high : fmaxf(high, low);
}

int bg_code_fit(const bg_spec *s, const bg_scope_stats *st, bg_code_room *r, bg_code *out, bg_err *e)
{
    *out = (bg_code){.scale = 1};
    int status = s->grid->fit(s, st, out, r->levels, r->cuts, e);
    if (status || st->ideal)
        return status;
    if (s->grid->flags & BG_GRID_STORES_LEVELS) {
        round_levels(s, r, out);
        return BG_OK;
    }
    float unit = (float)st->unit;
    out->scale = unit > 0 ? bg_scale_round(s, out->scale / unit, top_of(out)) * unit
                          : bg_scale_round(s, out->scale, top_of(out));
    return BG_OK;
}

/* An integer zero point is added after rounding, as GPTQ, AWQ and every engine do it: of two points equally near the
 * one at an even multiple of the step is taken, not the one with an even index. Other zero points are rounded with the
 * weight. */
typedef struct zero_point {
    float within, after;
} zero_point;

static zero_point split_zero(const bg_code *c)
{
    int whole = rintf(c->zero) == c->zero;
    return (zero_point){whole ? 0 : c->zero, whole ? c->zero : 0};
}

static inline int affine_index(const bg_code *c, zero_point z, float x)
{
    float y = x - c->offset, q = rintf((c->scale != 0 ? y / c->scale : 0) + z.within) + z.after;
    q = q < (float)c->lo ? (float)c->lo : q > (float)c->hi ? (float)c->hi : q;
    return (int)q - c->lo;
}

static inline float in_levels(const bg_code *c, float x)
{
    return c->scale != 0 ? (x - c->offset) * (1 / c->scale) : 0;
}

int bg_code_index(const bg_code *c, float x)
{
    if (c->affine)
        return affine_index(c, split_zero(c), x);
    float y = in_levels(c, x);
    int below = 0;
    for (int n = c->K - 1; n > 0;) { /* cuts that lie below y */
        int half = n / 2;
        if (c->cuts[below + half] < y) {
            below += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return below;
}

/* Indices of at most BLOCK weights, in loops that compilers turn into vectors. */
static void block_of_indices(const bg_code *c, const float *x, size_t n, int32_t *index)
{
    float y[BLOCK];
    if (c->affine) {
        const bg_code code = *c; /* a copy: nothing written below can change it */
        zero_point z = split_zero(c);
        for (size_t i = 0; i < n; i++)
            index[i] = affine_index(&code, z, x[i]);
    } else if (c->K <= FEW) {
        for (size_t i = 0; i < n; i++) {
            y[i] = in_levels(c, x[i]);
            index[i] = 0;
        }
        for (int k = 0; k < c->K - 1; k++)
            for (size_t i = 0; i < n; i++)
                index[i] += c->cuts[k] < y[i];
    } else {
        for (size_t i = 0; i < n; i++)
            index[i] = bg_code_index(c, x[i]);
    }
}

void bg_code_round(const bg_code *c, const float *x, size_t n, float *out, uint16_t *index)
{
    int32_t block[BLOCK];
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t many = n - first < BLOCK ? n - first : BLOCK;
        block_of_indices(c, x + first, many, block);
        for (size_t i = 0; index && i < many; i++)
            index[first + i] = (uint16_t)block[i];
        for (size_t i = 0; i < many; i++)
            out[first + i] = bg_code_value(c, block[i]);
    }
}

int bg_scope_stats_for(const bg_spec *s, const float *x, const float *importance, size_t n, bg_scope_stats *st,
                       bg_hist *hist, bg_err *e)
{
    *st = (bg_scope_stats){0};
    *hist = (bg_hist){0};
    bg_scope_stats_of(st, x, n);
    st->importance = importance;
    if (bg_spec_needs(s) != BG_NEEDS_HIST)
        return BG_OK;
    st->hist = hist;
    double *weights = importance ? malloc((n + 1) * sizeof *weights) : NULL;
    if (importance && !weights)
        return bg_no_memory(e, "weighted statistics", n * sizeof *weights);
    double all = 0;
    for (size_t i = 0; importance && i < n; i++)
        all += weights[i] = (double)importance[i];
    int status = bg_hist_from_values(hist, x, all > 0 ? weights : NULL, n, e); /* none matters: all alike */
    free(weights);
    return status;
}

int bg_scope_fit(const bg_spec *s, const bg_scope_weights *weights, bg_code_room *room, bg_code *out, bg_err *e)
{
    bg_scope_stats st;
    bg_hist hist;
    int status = bg_scope_stats_for(s, weights->x, weights->importance, weights->n, &st, &hist, e);
    st.ideal = weights->ideal;
    if (!status)
        status = bg_code_fit(s, &st, room, out, e);
    bg_hist_free(&hist);
    return status;
}

int bg_scope_error(const bg_spec *s, bg_code_room *room, const float *x, size_t n, bg_scope_sum *sum, bg_err *e)
{
    bg_code c;
    int status = bg_scope_fit(s, &(bg_scope_weights){.x = x, .n = n}, room, &c, e);
    if (status)
        return status;
    int clips = bg_spec_needs(s) >= BG_NEEDS_MOMENTS;
    bg_reach reach = bg_code_reach(&c);
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)x[i] - (double)bg_code_value(&c, bg_code_index(&c, x[i])));
        sum->sse += d * d;
        sum->max = (float)d > sum->max ? (float)d : sum->max;
        sum->clipped += clips && bg_clips(reach, x[i]);
    }
    return BG_OK;
}

bg_reach bg_code_reach(const bg_code *c)
{
    float low = bg_code_value(c, 0), high = bg_code_value(c, c->K - 1), first = low, last = high;
    if (c->K > 1) {
        first = bg_code_value(c, 1);
        last = bg_code_value(c, c->K - 2);
    }
    return (bg_reach){low - 0.5F * (first - low), high + 0.5F * (high - last)};
}
