/* The uniform grid: equally spaced points ŵ = s·(q − z), K = 2^bits of them (or `levels`).
 *
 *     zero=sym   q = −K/2 … K/2−1 (odd K: ±(K−1)/2), z = 0; offset=midrise puts the points at s·(q + ½)
 *     zero=asym  q = 0 … K−1, the range widened to hold 0, z = round(−lo/s) an integer (GPTQ's grid)
 *     zero=min   q = 0 … K−1 above the stored minimum (GGUF's Q4_1, AWQ without its forced zero)
 *
 * With a the clipped largest magnitude, the symmetric step is
 *     step=int    a/(K/2 − 1): the largest weight is a point; mid-rise 2a/K: it is the edge of a cell
 *     step=range  2a/(K − 1): the rule of many notebooks; mid-tread points then miss ±a by half a step, mid-rise hit it
 *     step=signed |m|/(K/2), m the weight of largest magnitude, which is the point −K/2 of a grid turned to its side
 * (GGUF's Q4_0) step=Nsigma given outright; entropy-coded without `bits` the grid is as long as the weights need. One
 * bit with step=int has no positive mid-tread point: it is the sign grid ±a/2. One bit with step=range rounds all to 0.
 *
 * clip=mse, or clip=output with each weight counting by the power of its input, searches a (or the common shrink of
 * both ends) for the least squared error: on a histogram a coarse scan, then a golden section; on a group's own weights
 * a scan in steps of 1 %. Check: 4 bits on N(0,1), mid-rise, clip=mse: step 0.33520, mse 0.01154288 (Max 1960).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/scope/scope.h"

typedef struct uniform_params {
    int midrise; /* offset=midrise: 0 between two points */
} uniform_params;

static void symmetric_code(const bg_spec *s, int K, double a, double step, int ideal, bg_code *out)
{
    const uniform_params *p = bg_grid_params(s);
    int midrise = p->midrise, by_range = s->step.word == BG_STEP_RANGE;
    midrise |= K == 2 && !by_range && step <= 0;
    *out = (bg_code){.K = K, .affine = 1, .lo = -(K / 2), .hi = (K - 1) / 2, .zero = midrise ? -0.5f : 0};
    if (midrise && K % 2)
        out->zero = 0; /* an odd number of points about 0 has one at 0 */
    if (step <= 0)
        step = by_range ? 2 * a / (K - 1) : midrise ? 2 * a / K : a / out->hi;
    out->scale = ideal ? (float)step : bg_scale_round(s, (float)step, (float)out->hi - out->zero);
}

/* step=signed: the weight of largest magnitude, sign and all, is the outermost point of the longer side. GGUF stores
 * that as a step of either sign under one range of codes; here the step is positive and the range turns, the same
 * points. */
static void signed_code(const bg_spec *s, const bg_scope_stats *st, int K, bg_code *out)
{
    int below = -st->min > st->max;
    double step = (below ? -st->min : st->max) / (K / 2);
    *out = (bg_code){.K = K, .affine = 1, .lo = below ? -(K / 2) : -((K - 1) / 2), .hi = below ? (K - 1) / 2 : K / 2};
    out->scale = st->ideal ? (float)step : bg_scale_round(s, (float)step, (float)(K / 2));
}

static void range_code(const bg_spec *s, int K, double lo, double hi, int ideal, bg_code *out)
{
    int asym = s->zero == BG_ZERO_ASYM;
    if (asym) {
        lo = fmin(lo, 0);
        hi = fmax(hi, 0);
    }
    double M = K - 1, step = (hi - lo) / M;
    *out = (bg_code){.K = K, .affine = 1, .lo = 0, .hi = K - 1};
    out->scale = ideal ? (float)step : bg_scale_round(s, (float)step, (float)M);
    if (!asym)
        out->offset = ideal ? (float)lo : bg_scale_round(s, (float)lo, 1);
    else if (out->scale > 0)
        out->zero =
            fminf(fmaxf(rintf(-(float)lo / out->scale), 0), (float)M); /* float32, as GPTQ has it: ties fall alike */
}

/* The code when only `share` of the range is kept. */
static void code_for(const bg_spec *s, const bg_scope_stats *st, int K, double share, bg_code *out)
{
    if (s->step.word == BG_STEP_SIGNED) {
        signed_code(s, st, K, out);
        return;
    }
    if (s->zero == BG_ZERO_SYM) {
        symmetric_code(s, K, share * fmax(fabs(st->min), fabs(st->max)), 0, st->ideal, out);
        return;
    }
    range_code(s, K, share * st->min, share * st->max, st->ideal, out);
}

/* ---- clip=mse ---- */

/* Sixteen partial sums: bg_code_index and bg_code_value of an affine code, for a vector of weights at a time. */
static double error_of_values(const bg_scope_stats *st, const bg_code *c)
{
    enum { LANES = 16 };
    float divisor = c->scale != 0 ? c->scale : 1, some = c->scale != 0, lo = (float)c->lo, hi = (float)c->hi;
    int whole = rintf(c->zero) == c->zero;
    float before = whole ? 0 : c->zero, after = whole ? c->zero : 0; /* the rounding */
    float part[LANES] = {0};
    double sum = 0;
    for (size_t first = 0; first < st->n; first += LANES) {
        size_t n = st->n - first < LANES ? st->n - first : LANES;
        for (size_t i = 0; i < n; i++) {
            float x = st->x[first + i], q = rintf((x - c->offset) * some / divisor + before) + after;
            q = q < lo ? lo : q > hi ? hi : q;
            float d = x - (c->scale * (q - c->zero) + c->offset);
            part[i] += (st->importance ? st->importance[first + i] : 1) * d * d;
        }
    }
    for (int i = 0; i < LANES; i++)
        sum += (double)part[i];
    return sum;
}

static void search_values(const bg_spec *s, const bg_scope_stats *st, int K, bg_code *out)
{
    double least = INFINITY;
    for (int percent = 100; percent >= 30; percent--) {
        bg_code c;
        code_for(s, st, K, percent / 100.0, &c);
        double error = error_of_values(st, &c);
        if (error < least) {
            least = error;
            *out = c;
        }
    }
}

typedef struct search {
    const bg_spec *s;
    const bg_scope_stats *st;
    int K;
    double *levels;
} search;

static double error_at(const search *q, double log_share)
{
    bg_code c;
    bg_scope_stats ideal = *q->st;
    ideal.ideal = 1; /* the error is smooth in the range; the scale is rounded once it is found */
    code_for(q->s, &ideal, q->K, exp(log_share), &c);
    for (int k = 0; k < c.K; k++)
        q->levels[k] = (double)bg_code_value(&c, k);
    return bg_hist_mse(q->st->hist, q->levels, c.K);
}

/* Golden section on [a, b]. The error is flat at its least: 40 steps leave the share within 1e-8. */
static double golden(const search *q, double a, double b)
{
    const double ratio = 0.6180339887498949;
    double x = b - ratio * (b - a), y = a + ratio * (b - a), fx = error_at(q, x), fy = error_at(q, y);
    for (int i = 0; i < 40; i++) {
        if (fx <= fy) {
            b = y, y = x, fy = fx;
            x = b - ratio * (b - a);
            fx = error_at(q, x);
        } else {
            a = x, x = y, fx = fy;
            y = a + ratio * (b - a);
            fy = error_at(q, y);
        }
    }
    return fx <= fy ? x : y;
}

enum { SCAN = 64 };

static int search_hist(const bg_spec *s, const bg_scope_stats *st, int K, bg_code *out, bg_err *e)
{
    search q = {s, st, K, malloc((size_t)K * sizeof(double))};
    if (!q.levels)
        return bg_no_memory(e, "levels of a grid", (unsigned long long)K * sizeof(double));
    double reach = fmax(fabs(st->min), fabs(st->max)),
           low = st->sigma > 0 ? log(fmin(0.25 * st->sigma / reach, 0.5)) : -1;
    double least = INFINITY;
    int best = 0;
    for (int i = 0; i <= SCAN; i++) {
        double error = error_at(&q, low * (SCAN - i) / SCAN);
        if (error < least) {
            least = error;
            best = i;
        }
    }
    double share = low * (SCAN - best) / SCAN;
    double a = low * (SCAN - (best > 0 ? best - 1 : 0)) / SCAN,
           b = low * (SCAN - (best < SCAN ? best + 1 : SCAN)) / SCAN;
    double found = golden(&q, a, b);
    if (error_at(&q, found) <= least)
        share = found;
    code_for(s, st, K, exp(share), out);
    free(q.levels);
    return BG_OK;
}

/* ---- the row ---- */

/* step=Nsigma: as many points as bits say, or, entropy-coded, as the weights reach. */
static int stepped(const bg_spec *s, const bg_scope_stats *st, int K, bg_code *out, bg_err *e)
{
    double step = s->step.number * st->sigma;
    symmetric_code(s, K, 0, step, st->ideal, out);
    if (!s->open_ended)
        return BG_OK;
    double scale = (double)out->scale;
    if (scale > 0 && (st->max - st->min) / scale > 65534)
        return bg_fail(e, BG_USAGE, "step=%.15gsigma needs more than 65,536 points here", s->step.number);
    out->lo = scale > 0 ? (int)floor(st->min / scale) : 0;
    out->hi = scale > 0 ? (int)ceil(st->max / scale) : 0;
    out->K = out->hi - out->lo + 1;
    return BG_OK;
}

static int fit(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e)
{
    (void)levels, (void)cuts;
    int K = s->points;
    double clip = s->clip.number;
    if (s->step.number > 0)
        return stepped(s, st, K, out, e);
    if (clip > 0) {
        bg_scope_stats inside = *st;
        double centre = s->zero == BG_ZERO_SYM ? 0 : st->mean;
        inside.min = fmax(st->min, centre - clip * st->sigma);
        inside.max = fmin(st->max, centre + clip * st->sigma);
        code_for(s, &inside, K, 1, out);
        return BG_OK;
    }
    if ((s->clip.word == BG_CLIP_MSE || s->clip.word == BG_CLIP_OUTPUT) && st->max > st->min) {
        if (st->hist)
            return search_hist(s, st, K, out, e);
        search_values(s, st, K, out);
        return BG_OK;
    }
    code_for(s, st, K, 1, out);
    return BG_OK;
}

static bg_needs needs(const bg_spec *s)
{
    if (s->clip.word == BG_CLIP_MSE || s->clip.word == BG_CLIP_OUTPUT)
        return s->scope.kind == BG_SCOPE_TENSOR ? BG_NEEDS_HIST : BG_NEEDS_VALUES;
    if (s->clip.number > 0 || s->step.number > 0)
        return BG_NEEDS_MOMENTS;
    return s->zero == BG_ZERO_SYM && s->step.word != BG_STEP_SIGNED ? BG_NEEDS_ABSMAX : BG_NEEDS_RANGE;
}

static int check(const bg_spec *s, bg_err *e)
{
    const uniform_params *p = bg_grid_params(s);
    int sym = s->zero == BG_ZERO_SYM;
    if (!sym && (bg_spec_given(s, "step") || p->midrise))
        return bg_fail(e, BG_USAGE, "spec '%s': step and offset belong to zero=sym", s->text);
    if (s->step.word == BG_STEP_SIGNED && (bg_spec_given(s, "clip") || p->midrise))
        return bg_fail(e, BG_USAGE, "spec '%s': step=signed takes neither clip nor offset", s->text);
    if (s->step.number > 0 && bg_spec_given(s, "clip"))
        return bg_fail(e, BG_USAGE, "spec '%s': a step in sigma leaves no range to clip", s->text);
    if (s->scale == BG_SCALE_E8M0 && !sym)
        return bg_fail(e, BG_USAGE, "spec '%s': power-of-two scales have no zero point", s->text);
    return BG_OK;
}

static const bg_key keys[] = {
    {.name = "step",
     .type = BG_KEY_WORD,
     .words = "int|range|signed|Nsigma",
     .default_text = "int",
     .help = "max/(2^(bits-1)-1); 2 max/(2^bits-1), the notebooks' rule; the signed largest is code -2^(bits-1) "
             "(Q4_0); N standard deviations",
     BG_SPEC_PARAM(step)},
    {.name = "offset",
     .type = BG_KEY_WORD,
     .words = "midtread|midrise",
     .default_text = "midtread",
     .help = "a point at 0, or 0 between two points",
     BG_PARAM(uniform_params, midrise)},
    {0},
};

const bg_grid bg_grid_uniform = {
    .name = "uniform",
    .title = "equally spaced points",
    .paper = "Bennett 1948; Max 1960, table II; round to nearest as in GPTQ, arXiv 2210.17323",
    .family = "uniform",
    .keys = keys,
    .default_scope = "tensor",
    .kind = BG_GRID_SCALAR,
    .flags = BG_GRID_INTEGER,
    .check = check,
    .needs = needs,
    .fit = fit,
};
