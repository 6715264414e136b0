/* round=gptq: error feedback through the second moment of the layer's input.
 *
 * Frantar et al., arXiv 2210.17323, in the form of Babai's nearest plane (quant/kernel/cholesky.h): columns are walked
 * in blocks; at the start of a block one matrix product brings the errors of all columns before it, inside the block
 * each error is added as it arises. Rows never meet, so they are cut into fixed chunks over the threads.
 *
 * A group's points are fitted to what its weights have become when the walk reaches it: the weights that would cancel
 * the errors so far, w + y with y·M_gg = (Σ_{i<g} δ_i·M_ig). With static=true they are fitted to the weights before the
 * walk; then act-order needs no stored group index. So they are where scales are scales of scales (NVFP4, double
 * quantization), which are rounded together.
 *
 * steps=water (WaterSIC, arXiv 2603.04956) gives column j the step s·g/M_jj, g the geometric mean of the M_jj: every
 * column then adds the same to ‖(w−ŵ)M‖², the arithmetic mean of theory's loss becomes the geometric one, and with
 * entropy coding the distance from the functional bound tends to ½·log2(2πe/12) at high rate for any Σ. At low rate,
 * where the noise of a column, D = (s·g)²/12, is no longer small against what Σ gives some directions of w, the rate
 * weighs against the loss: among points of spread σ a point ŵ costs ‖ŵ‖²/2σ² nats, and D buys 2D of loss a nat. What is
 * least is
 *
 *     (w−ŵ)Σ(w−ŵ)ᵀ + (D/σ²)·ŵŵᵀ = (t−ŵ)(Σ+μI)(t−ŵ)ᵀ + const,   μ = D/σ²,   t = wΣ(Σ+μI)⁻¹ ,
 *
 * so that t is rounded in place of w, by the factor of Σ + μI: the minimum mean squared error decision feedback of
 * Cioffi and Forney 1997. For Σ = I, t is w shrunk by σ²/(σ²+D). Steps are quarters of an octave apart (which costs
 * 0.0036 bit); code=entropy writes them and the symbols, each with the law that those before it tell
 * (quant/coding/column_coding.h).
 *
 * Check: with Σ = I every y is 0 and the result is nearest rounding, digit for digit.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/cholesky.h"
#include "quant/kernel/product.h"
#include "io/base/dtype.h"
#include "quant/coding/column_coding.h"
#include "quant/engine/engine.h"
#include "quant/rounding/gptq_walk.h"
#include "quant/engine/measure.h"
#include "quant/engine/quantize.h"
#include "quant/engine/shared_factor.h"

enum { CHUNK = 8 * BG_GPTQ_LANES, BLOCK = 128, INDEX_BITS = 32 /* of g_idx in GPTQ files */ };

static const bg_key keys[] = {
    {"percdamp", BG_KEY_NUMBER, 0, 10, NULL, "0.01", "damping, as a share of the mean diagonal of Σ",
     BG_PARAM(bg_gptq_params, percdamp)},
    {"order", BG_KEY_WORD, 0, 0, "natural|act|groups", "natural",
     "act: columns by falling E[x²]; groups: whole groups so, and each inside", BG_SPEC_PARAM(column_order)},
    {"static", BG_KEY_BOOL, 0, 1, NULL, "false", "groups are fitted before the walk",
     BG_PARAM(bg_gptq_params, static_groups)},
    {"steps", BG_KEY_WORD, 0, 0, "equal|water", "equal",
     "water: column steps in inverse proportion to M_jj (scope=tensor)", BG_SPEC_PARAM(water_steps)},
    {0},
};

typedef bg_gptq_walk walk;

static int64_t column(const walk *k, int64_t at)
{
    return bg_gptq_column(k, at);
}

static const bg_code *code_at(const walk *k, int64_t r, int64_t at)
{
    return bg_gptq_code(k, r, at);
}

/* Fits one scope, which starts at column or step `first`, and keeps its code (and tables, if the fit wrote any into the
 * room). */
static int fit(const walk *k, const float *x, int64_t first, int64_t n, int64_t at, bg_code_room *room, bg_err *e)
{
    bg_scope_stats st;
    bg_hist hist;
    int status = bg_scope_stats_for(k->s, x, k->importance ? k->importance + first : NULL, (size_t)n, &st, &hist, e);
    bg_code *c = &k->codes[at];
    st.ideal = k->two_level;
    if (!status)
        status = bg_code_fit(k->s, &st, room, c, e);
    bg_hist_free(&hist);
    if (!status && c->K > k->K)
        status =
            bg_fail(e, BG_USAGE, "spec '%s': round=gptq with codes of unknown length needs scope=tensor", k->s->text);
    if (!status && k->tables && c->levels == room->levels) {
        float *kept = k->tables + at * 2 * k->K;
        memcpy(kept, c->levels, (size_t)c->K * sizeof *kept);
        memcpy(kept + k->K, c->cuts, (size_t)(c->K - 1) * sizeof *kept);
        c->levels = kept;
        c->cuts = kept + k->K;
    }
    return status;
}

/* Codes of scopes that do not wait for the walk: every group of row r from its weights as they are. */
static int fit_row(const walk *k, int64_t r, bg_code_room *room, bg_err *e)
{
    int status = BG_OK;
    for (int64_t g = 0; !status && g < k->groups; g++) {
        int64_t first = g * k->G, n = first + k->G < k->C ? k->G : k->C - first;
        status = fit(k, k->w + r * k->C + first, first, n, r * k->groups + g, room, e);
    }
    return status;
}

int bg_gptq_fit_walked(const walk *k, int64_t r, int64_t at, const float *x, const float *t, float *scratch,
                       bg_code_room *room, bg_err *e)
{
    int64_t n = at + k->G < k->C ? k->G : k->C - at, N = k->f->n;
    const float *M = k->f->M + at * N + at;
    float *y = scratch;
    memcpy(y, t, (size_t)n * sizeof *y);
    for (int64_t i = 0; i < n; i++) {
        y[i] /= M[i * N + i];
        for (int64_t j = i + 1; j < n; j++)
            y[j] -= y[i] * M[i * N + j];
    }
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
    return fit(k, y, at, n, r * k->groups + bg_gptq_group(k, at), room, e);
}

/* Row r over columns [b, b+n) of the walk; t holds the errors before b brought to each of them. */
static int walk_row(const walk *k, int64_t r, int64_t b, int64_t n, float *t, float *x, float *scratch,
                    bg_code_room *room, bg_err *e)
{
    int64_t N = k->f->n;
    float *delta = k->delta + r * k->C;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = column(k, b + i);
        x[i] = k->f->dead[c] ? 0 : k->aim[r * k->C + c];
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t at = b + i;
        if (k->on_the_way && at % k->G == 0) {
            int status = bg_gptq_fit_walked(k, r, at, x + i, t + i, scratch, room, e);
            if (status)
                return status;
        }
        const float *M = k->f->M + at * N + b;
        const bg_code *code = code_at(k, r, at);
        float target = x[i] + t[i] / M[i];
        int index = bg_code_index(code, target);
        float d = x[i] - bg_code_value(code, index);
        k->symbols[r * k->C + column(k, at)] = (uint16_t)index;
        delta[at] = d;
        double left = k->f->dead[column(k, at)] ? 0 : (double)t[i] + (double)d * (double)M[i];
        k->loss[r] += left * left;
        k->moved[r] += k->f->dead[column(k, at)] ? 0 : (double)d * (double)d;
        for (int64_t j = i + 1; j < n; j++)
            t[j] += d * M[j];
    }
    return BG_OK;
}

static int walk_chunk(const walk *k, int64_t first, int64_t b, int64_t n, float *t, float *scratch, bg_code_room *room,
                      bg_err *e)
{
    int64_t rows = first + CHUNK < k->R ? CHUNK : k->R - first;
    if (b)
        bg_sgemm((bg_product_shape){rows, n, b}, 1, (bg_s_operand){k->delta + first * k->C, k->C, 1},
                 (bg_s_operand){k->f->M + b, k->f->n, 1}, 0, t, n);
    else
        memset(t, 0, (size_t)(rows * n) * sizeof *t);
    int status = BG_OK;
    int64_t r = 0;
    for (; !status && k->affine && r + BG_GPTQ_LANES <= rows; r += BG_GPTQ_LANES)
        status = bg_gptq_walk_lanes(k, first + r, b, n, t + r * n, scratch, room, e);
    for (; !status && r < rows; r++)
        status = walk_row(k, first + r, b, n, t + r * n, scratch, scratch + n, room, e);
    return status;
}

/* The scales of scales as they are stored. */
static int round_scales(const walk *k, bg_err *e)
{
    size_t n = (size_t)(k->R * k->groups);
    float *scales = malloc(n * sizeof *scales);
    if (!scales)
        return bg_no_memory(e, "scales", n * sizeof *scales);
    for (size_t i = 0; i < n; i++)
        scales[i] = k->codes[i].scale;
    bg_two_level_scales(k->s, scales, n);
    for (size_t i = 0; i < n; i++)
        k->codes[i].scale = scales[i];
    free(scales);
    return BG_OK;
}

/* All blocks of all rows. Inside the parallel region every product runs on one thread and on a fixed chunk. */
static int walk_all(const walk *k, bg_err *e)
{
    int status = BG_OK;
#pragma omp parallel
    {
        bg_err mine = {0};
        bg_code_room room = {0};
        int bad = bg_code_room_init(&room, k->s, &mine);
        float *t = malloc((size_t)(CHUNK * k->block + BG_GPTQ_SCRATCH * k->block) * sizeof *t);
        if (!bad && !t)
            bad = bg_no_memory(&mine, "error feedback", (unsigned long long)(CHUNK * k->block) * sizeof *t);
        if (k->per_group && !k->on_the_way) {
#pragma omp for schedule(static)
            for (int64_t r = 0; r < k->R; r++)
                if (!bad)
                    bad = fit_row(k, r, &room, &mine);
#pragma omp single
            if (!bad && k->two_level)
                bad = round_scales(k, &mine);
        }
        for (int64_t b = 0; b < k->C; b += k->block) {
            int64_t n = b + k->block < k->C ? k->block : k->C - b;
#pragma omp for schedule(dynamic)
            for (int64_t first = 0; first < k->R; first += CHUNK)
                if (!bad)
                    bad = walk_chunk(k, first, b, n, t, t + CHUNK * k->block, &room, &mine);
        }
        free(t);
        bg_code_room_free(&room);
        if (bad) {
#pragma omp critical(bg_gptq_error)
            {
                status = bad;
                if (e)
                    *e = mine;
            }
        }
    }
    return status;
}

/* Σ over columns of (step/2)²·M_jj², averaged over rows: no unclipped walk can lose more (Babai 1986). */
static double babai_bound(const walk *k)
{
    double *rows = k->loss; /* measured by now */
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < k->R; r++) {
        const bg_code *last = NULL;
        double half = 0;
        rows[r] = 0;
        for (int64_t at = 0; at < k->C; at++) {
            const bg_code *c = code_at(k, r, at);
            if (c != last) {
                half = c->affine ? 0.5 * fabs((double)c->scale) : 0;
                for (int q = 0; !c->affine && q + 1 < c->K; q++)
                    half = fmax(half, 0.5 * (double)(c->scale * (c->levels[q + 1] - c->levels[q])));
            }
            last = c;
            double m = (double)k->f->M[at * k->f->n + at];
            rows[r] += half * half * m * m;
        }
    }
    double sum = 0;
    for (int64_t r = 0; r < k->R; r++)
        sum += rows[r];
    return sum / (double)k->R;
}

static int set_importance(walk *k, bg_err *e)
{
    if (!k->s->fits_importance)
        return BG_OK;
    int64_t C = k->C, rows = k->per_group ? 1 : k->R;
    k->importance = malloc((size_t)(rows * C) * sizeof *k->importance);
    if (!k->importance)
        return bg_no_memory(e, "importance", (unsigned long long)(rows * C) * sizeof *k->importance);
    for (int64_t at = 0; at < C; at++) {
        float pivot = k->f->M[at * (C + 1)];
        k->importance[k->on_the_way ? at : column(k, at)] = pivot * pivot;
    }
    for (int64_t r = 1; r < rows; r++)
        memcpy(k->importance + r * C, k->importance, (size_t)C * sizeof *k->importance);
    return BG_OK;
}

/* The code of the whole tensor. A code as long as the weights need (entropy-coded) is made longer still: what error
 * feedback asks for reaches further than the weights. */
static int whole_tensor_code(walk *k, bg_err *e)
{
    bg_hist own = {0};
    const bg_hist *h = k->m->hist;
    size_t n = (size_t)(k->R * k->C);
    int status = bg_code_room_init(&k->room, k->s, e);
    if (!status && k->importance) {
        bg_scope_stats st;
        status = bg_scope_stats_for(k->s, k->w, k->importance, n, &st, &own, e);
        if (!status)
            status = bg_code_fit(k->s, &st, &k->room, k->codes, e);
        bg_hist_free(&own);
        return status;
    }
    if (!status && !h) {
        status = bg_hist_from_values(&own, k->w, NULL, n, e);
        h = &own;
    }
    if (!status) {
        bg_scope_stats st = {
            .x = k->w, .n = n, .hist = h, .min = h->min, .max = h->max, .mean = h->mean, .sigma = sqrt(h->sigma2)};
        status = bg_code_fit(k->s, &st, &k->room, k->codes, e);
    }
    bg_hist_free(&own);
    bg_code *c = k->codes;
    if (!status && c->K != k->K) {
        int more = c->K < 16384 ? c->K : 16384;
        c->lo -= more;
        c->hi += more;
        k->K = c->K = c->hi - c->lo + 1;
    }
    return status;
}

/* Column steps that add equally to the loss, in quarters of an octave of the tensor's. The finest of them decides how
 * long the code must be to reach as far as the whole tensor's. */
static void water_steps(walk *k)
{
    bg_code base = k->codes[0];
    float finest = base.scale;
    for (int64_t at = 0; at < k->C; at++) {
        double share = 0.5 * k->f->mean_log2 - log2((double)k->f->M[at * (k->C + 1)]);
        int step = (int)lrint(fmin(fmax(BG_COLUMNS_PER_OCTAVE * share, -BG_COLUMNS_MAX_STEP), BG_COLUMNS_MAX_STEP));
        k->step[column(k, at)] = step;
        k->codes[at] = base;
        k->codes[at].scale = base.scale * exp2f((float)step / BG_COLUMNS_PER_OCTAVE);
        finest = fminf(finest, k->codes[at].scale);
    }
    enum { LONGEST = 1 << 15 };
    double longer = (double)base.scale / (double)finest;
    int lo = (int)fmax(-LONGEST, floor(base.lo * longer)), hi = (int)fmin(LONGEST - 1, ceil(base.hi * longer));
    k->K = hi - lo + 1;
    for (int64_t at = 0; at < k->C; at++) {
        k->codes[at].lo = lo;
        k->codes[at].hi = hi;
        k->codes[at].K = k->K;
    }
}

/* Are the grid's points equally spaced? All its codes are as the one of the first group. */
static int is_affine(walk *k, bg_err *e)
{
    bg_code_room room;
    int status = k->per_group ? bg_code_room_init(&room, k->s, e) : BG_OK;
    if (!status && k->per_group) {
        status = fit(k, k->w, 0, k->G, 0, &room, e);
        bg_code_room_free(&room);
    }
    k->affine = k->codes[0].affine;
    return status;
}

/* The errors of the walk stand in `out`, which ŵ takes at the end, unless that is w. */
static int prepare(walk *k, float *out, bg_err *e)
{
    size_t cells = (size_t)k->R * (size_t)k->C, scopes = k->per_group ? (size_t)(k->R * k->groups) : (size_t)k->C;
    k->delta = out == k->w ? malloc(cells * sizeof *k->delta) : out;
    k->symbols = malloc(cells * sizeof *k->symbols);
    k->codes = calloc(scopes, sizeof *k->codes);
    k->loss = calloc((size_t)k->R, sizeof *k->loss);
    k->moved = calloc((size_t)k->R, sizeof *k->moved);
    k->tables = k->per_group ? malloc(scopes * 2 * (size_t)k->K * sizeof *k->tables) : NULL;
    k->step = k->water ? malloc((size_t)k->C * sizeof *k->step) : NULL;
    if (!k->delta || !k->symbols || !k->codes || !k->loss || !k->moved || (k->per_group && !k->tables) ||
        (k->water && !k->step))
        return bg_no_memory(e, "error feedback", cells * (sizeof *k->delta + sizeof *k->symbols));
    int status = set_importance(k, e);
    if (!status && !k->per_group)
        status = whole_tensor_code(k, e);
    if (!status && k->water)
        water_steps(k);
    return status ? status : is_affine(k, e);
}

static void release(walk *k, const float *out)
{
    if (k->delta != out)
        free(k->delta);
    free(k->symbols);
    free(k->loss);
    free(k->moved);
    free(k->codes);
    free(k->tables);
    free(k->importance);
    free(k->step);
    bg_code_room_free(&k->room);
}

/* ŵ from the points themselves, in the order of the columns of W. */
static void reconstruct(const walk *k, float *out)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < k->R; r++)
        for (int64_t at = 0; at < k->C; at++) {
            int64_t c = column(k, at);
            const bg_code *code = code_at(k, r, at);
            out[r * k->C + c] = bg_code_value(code, k->symbols[r * k->C + c]);
        }
}

static double clipped_share(const walk *k, const float *w)
{
    int64_t count = 0;
#pragma omp parallel for schedule(static) reduction(+ : count)
    for (int64_t r = 0; r < k->R; r++) {
        const bg_code *last = NULL;
        bg_reach reach = {0};
        for (int64_t at = 0; at < k->C; at++) {
            const bg_code *code = code_at(k, r, at);
            if (code != last)
                reach = bg_code_reach(code);
            last = code;
            count += bg_clips(reach, w[r * k->C + column(k, at)]);
        }
    }
    return (double)count / ((double)k->R * (double)k->C);
}

/* Hands codes, scales and the group of every column to a format writer. */
static int store(const walk *k, bg_stored *stored, bg_err *e)
{
    size_t scopes = k->per_group ? (size_t)(k->R * k->groups) : 1;
    const bg_code *first = k->codes;
    *stored = (bg_stored){.K = k->K, .lo = first->lo, .groups_per_row = (int)k->groups};
    stored->scales = malloc(scopes * sizeof *stored->scales);
    stored->zeros = malloc(scopes * sizeof *stored->zeros);
    stored->codes = malloc((size_t)(k->R * k->C) * sizeof *stored->codes);
    stored->column_group = malloc((size_t)k->C * sizeof *stored->column_group);
    if (!stored->scales || !stored->zeros || !stored->codes || !stored->column_group) {
        bg_stored_free(stored);
        return bg_no_memory(e, "codes", scopes * sizeof *stored->scales);
    }
    memcpy(stored->codes, k->symbols, (size_t)(k->R * k->C) * sizeof *stored->codes);
    for (size_t i = 0; i < scopes; i++) {
        stored->scales[i] = first[i].scale;
        stored->zeros[i] = first[i].affine && first[i].offset == 0.0F ? first[i].zero : first[i].offset;
    }
    for (int64_t at = 0; at < k->C; at++)
        stored->column_group[column(k, at)] = (int32_t)bg_gptq_group(k, at);
    if (!first->affine) {
        stored->levels = malloc((size_t)first->K * sizeof *stored->levels);
        if (!stored->levels) {
            bg_stored_free(stored);
            return bg_no_memory(e, "levels", (unsigned long long)first->K * sizeof *stored->levels);
        }
        memcpy(stored->levels, first->levels, (size_t)first->K * sizeof *stored->levels);
    }
    return BG_OK;
}

/* Bits of the symbols and steps of steps=water; with another coding than entropy a step takes 8 bits. */
static int water_bits(const walk *k, bg_measure *measure, bg_err *e)
{
    enum { STEP_BITS = 8 };
    if (!k->s->coding->by_distribution) {
        measure->rate.scales += STEP_BITS * (double)k->C;
        return bg_measure_symbols(k->s, k->symbols, (size_t)(k->R * k->C), k->K, measure, e);
    }
    bg_columns c = {.rows = k->R, .cols = k->C, .symbols = k->symbols, .zero = -k->codes[0].lo, .step = k->step};
    measure->rate.table = 0;
    return bg_columns_code(&c, &measure->rate.indices, &measure->index_entropy, e);
}

/* The walk knows the output error: with H = Σ + λI it is ‖(w−ŵ)M‖² − λ‖w−ŵ‖². Where damping is most of that, little is
 * left of the difference's digits, and Σ itself is asked; so it is where w was not what the walk rounded. */
static int measure_error(const walk *k, const float *hat, bg_measure *measure, bg_err *e)
{
    double loss = 0, moved = 0;
    for (int64_t r = 0; r < k->R; r++) {
        loss += k->loss[r];
        moved += k->moved[r];
    }
    bg_matrix m = *k->m;
    if (!k->water && loss - k->f->lambda * moved > 0.1 * loss)
        m.second_moment = NULL;
    int status = bg_measure_difference(&m, k->w, hat, k->R, k->C, measure, e);
    if (!m.second_moment)
        measure->output_mse = (loss - k->f->lambda * moved) / (double)k->R;
    return status;
}

static int finish(walk *k, float *out, bg_measure *measure, bg_stored *stored, bg_err *e)
{
    double clipped = clipped_share(k, k->w);
    int status = stored ? store(k, stored, e) : BG_OK;
    if (status)
        return status;
    *measure = (bg_measure){.clipped = clipped, .rate = bg_spec_rate(k->s, k->R, k->C)};
    if (k->f->order && k->on_the_way && !k->whole && k->groups > 1)
        measure->rate.order = (double)INDEX_BITS * (double)k->C;
    status = k->water ? water_bits(k, measure, e)
                      : bg_measure_symbols(k->s, k->symbols, (size_t)(k->R * k->C), k->K, measure, e);
    if (status)
        return status;
    /* The errors of the walk have been used. Where out is w, the error is taken before ŵ replaces it. */
    float *hat = k->delta;
    reconstruct(k, hat);
    status = measure_error(k, hat, measure, e);
    measure->babai_bound = k->water ? 0 : babai_bound(k); /* it is of the aim's error */
    if (!status && hat != out)
        memcpy(out, hat, (size_t)(k->R * k->C) * sizeof *out);
    return status;
}

/* The factor of Σ + μI for steps=water, μ of round_gptq's opening from the factor it leads to; *own in place of k->f.
 */
static int factor_at_level(walk *k, int64_t order, bg_factor *own, double *mu, bg_err *e)
{
    enum { TRIES = 4 };
    double step = k->s->step.number, damp = k->f->damp, last = 0;
    int status = BG_OK;
    for (int i = 0; i < TRIES && !status; i++) {
        double level = step * step / 12 * exp2(k->f->mean_log2);
        if (fabs(level - last) < 0.2 * level)
            break;
        bg_factor next;
        *mu = last = level;
        status = bg_factor_init(&next, k->m->second_moment, k->C, damp + level / k->f->mean, order, e);
        if (status)
            break;
        bg_factor_free(own);
        *own = next;
        k->f = own;
    }
    return status;
}

/* t = w − μ·w(Σ+μI)⁻¹ by two triangular solves, in chunks of rows. */
static int wiener(const walk *k, double mu, float *t, bg_err *e)
{
    int status = BG_OK;
#pragma omp parallel
    {
        float *y = malloc((size_t)(CHUNK * k->C) * sizeof *y);
#pragma omp for schedule(dynamic)
        for (int64_t first = 0; first < k->R; first += CHUNK) {
            int64_t rows = first + CHUNK < k->R ? CHUNK : k->R - first, C = k->C;
            for (int64_t i = 0; y && i < rows * C; i++)
                y[i] = k->w[(first + i / C) * C + column(k, i % C)];
            for (int transposed = 1; y && transposed >= 0; transposed--)
                cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, transposed ? CblasTrans : CblasNoTrans, CblasNonUnit,
                            (int)rows, (int)C, 1, k->f->M, (int)C, y, (int)C);
            for (int64_t i = 0; y && i < rows * C; i++) {
                int64_t at = (first + i / C) * C + column(k, i % C);
                t[at] = k->w[at] - (float)mu * y[i];
            }
        }
        if (!y) {
#pragma omp critical(bg_gptq_error)
            status = bg_no_memory(e, "weights of a chunk", (unsigned long long)(CHUNK * k->C) * sizeof *y);
        }
        free(y);
    }
    return status;
}

static int run(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_stored *stored,
               bg_err *e)
{
    *measure = (bg_measure){0};
    if (s->grid->kind == BG_GRID_VECTOR && (s->grid->vector || s->dim > 0))
        return bg_gptq_vectors(s, m, w, out, measure, e);
    if (s->grid->kind != BG_GRID_SCALAR) {
        measure->skipped = "round=gptq needs a scalar grid or vectors that are coded one by one";
        return BG_OK;
    }
    int64_t size = bg_scope_size(s, m->rows, m->cols);
    if (s->scope.kind == BG_SCOPE_ROWS || (s->scope.kind == BG_SCOPE_BLOCK && m->cols % size)) {
        measure->skipped = "round=gptq needs blocks that end with the row";
        return BG_OK;
    }
    const bg_gptq_params *p = bg_rounding_params(s);
    int water = s->water_steps;
    if (water && (s->scope.kind != BG_SCOPE_TENSOR || !(s->step.number > 0))) {
        measure->skipped = "steps=water needs uniform:step=Nsigma with scope=tensor";
        return BG_OK;
    }
    int64_t G = s->scope.kind != BG_SCOPE_TENSOR && size < m->cols ? size : m->cols;
    int64_t order = s->column_order == BG_COLUMNS_ACT      ? BG_ORDER_ACT
                    : s->column_order == BG_COLUMNS_GROUPS ? G
                                                           : BG_ORDER_NATURAL;
    bg_factor own = {0}, at_level = {0};
    const bg_factor *f = NULL;
    float *aim = NULL;
    double mu = 0;
    int status = bg_factor_shared(m, p->percdamp, order, &own, &f, e);
    walk k = {.s = s,
              .m = m,
              .f = f,
              .w = w,
              .aim = w,
              .R = m->rows,
              .C = m->cols,
              .K = s->points,
              .block = BLOCK,
              .water = water};
    k.per_group = s->scope.kind != BG_SCOPE_TENSOR;
    k.G = G;
    k.whole = s->column_order == BG_COLUMNS_GROUPS;
    k.groups = (k.C + k.G - 1) / k.G;
    k.two_level = s->two_level;
    k.on_the_way = k.per_group && k.G < k.C && !p->static_groups && !k.two_level;
    if (k.on_the_way)
        k.block = k.G >= BLOCK ? k.G : k.G * (BLOCK / k.G);
    if (!status && water)
        status = factor_at_level(&k, order, &at_level, &mu, e);
    if (!status && water) {
        k.aim = aim = malloc((size_t)(k.R * k.C) * sizeof *aim);
        status = aim ? wiener(&k, mu, aim, e) : bg_no_memory(e, "a matrix", (size_t)(k.R * k.C) * sizeof *aim);
    }
    if (!status)
        status = prepare(&k, out, e);
    if (!status)
        status = walk_all(&k, e);
    if (!status)
        status = finish(&k, out, measure, stored, e);
    release(&k, out);
    free(aim);
    bg_factor_free(&at_level);
    bg_factor_free(&own);
    return status;
}

const bg_rounding bg_rounding_gptq = {
    .name = "gptq",
    .title = "error feedback through the second moment of the inputs",
    .paper = "Frantar et al. 2022, arXiv 2210.17323, algorithm 1; as Babai's nearest plane",
    .keys = keys,
    .needs_calibration = 1,
    .run = run,
};
