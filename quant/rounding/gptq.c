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
 * steps=water is quant/rounding/watersic.c: it changes the steps of the columns and what the walk rounds.
 *
 * Check: with Σ = I every y is 0 and the result is nearest rounding, digit for digit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/cholesky.h"
#include "quant/kernel/product.h"
#include "io/base/dtype.h"
#include "io/base/failure.h"
#include "quant/coding/column_coding.h"
#include "quant/rounding/gptq_walk.h"
#include "quant/spec/shared_factor.h"

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

/* Codes of scopes that do not wait for the walk: every group of row r from its weights as they are. */
static int fit_row(const walk *k, int64_t r, bg_code_room *room, bg_err *e)
{
    int status = BG_OK;
    for (int64_t g = 0; !status && g < k->groups; g++) {
        int64_t first = g * k->G, n = first + k->G < k->C ? k->G : k->C - first;
        status = bg_gptq_fit(k, k->w + r * k->C + first, first, n, r * k->groups + g, room, e);
    }
    return status;
}

/* Row r over a block of columns; t [n] holds the errors before the block brought to each of them. */
static int walk_row(const walk *k, int64_t r, const bg_gptq_block *block, float *t, bg_err *e)
{
    int64_t N = k->f->n, n = block->n, b = block->b;
    float *delta = k->delta + r * k->C, *x = block->scratch, *errors = x + n;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = column(k, b + i);
        x[i] = k->f->dead[c] ? 0 : k->aim[r * k->C + c];
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t at = b + i;
        if (k->on_the_way && at % k->G == 0) {
            memcpy(errors, t + i, (size_t)(n - i) * sizeof *t);
            int status = bg_gptq_fit_walked(k, r, at, x + i, errors, block->room, e);
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

/* A chunk of rows from `first` over a block; t [CHUNK × n] is workspace. */
static int walk_chunk(const walk *k, int64_t first, const bg_gptq_block *block, float *t, bg_err *e)
{
    int64_t rows = first + CHUNK < k->R ? CHUNK : k->R - first, n = block->n;
    if (block->b)
        bg_sgemm((bg_product_shape){rows, n, block->b}, 1, (bg_s_operand){k->delta + first * k->C, k->C, 1},
                 (bg_s_operand){k->f->M + block->b, k->f->n, 1}, 0, t, n);
    else
        memset(t, 0, (size_t)(rows * n) * sizeof *t);
    int status = BG_OK;
    int64_t r = 0;
    for (; !status && k->affine && r + BG_GPTQ_LANES <= rows; r += BG_GPTQ_LANES)
        status = bg_gptq_walk_lanes(k, first + r, block, t + r * n, e);
    for (; !status && r < rows; r++)
        status = walk_row(k, first + r, block, t + r * n, e);
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

/* All blocks of all rows. Inside the parallel region every product runs on one thread and on a fixed chunk. A chunk
 * that fails does not stop the others: of all failures the first is reported, on any number of threads. */
static int walk_all(const walk *k, bg_err *e)
{
    bg_failure failure = {0};
#pragma omp parallel
    {
        bg_err mine = {0};
        bg_code_room room = {0};
        int bad = bg_code_room_init(&room, k->s, &mine);
        float *t = malloc((size_t)(CHUNK * k->block + BG_GPTQ_SCRATCH * k->block) * sizeof *t);
        if (!bad && !t)
            bad = bg_no_memory(&mine, "error feedback", (unsigned long long)(CHUNK * k->block) * sizeof *t);
        if (bad)
            bg_failure_note(&failure, 0, &mine);
        if (k->per_group && !k->on_the_way) {
#pragma omp for schedule(static)
            for (int64_t r = 0; r < k->R; r++)
                if (!bad && fit_row(k, r, &room, &mine))
                    bg_failure_note(&failure, r, &mine);
#pragma omp single
            if (!bad && k->two_level && round_scales(k, &mine))
                bg_failure_note(&failure, 0, &mine);
        }
        for (int64_t b = 0; b < k->C; b += k->block) {
            bg_gptq_block block = {
                .b = b, .n = b + k->block < k->C ? k->block : k->C - b, .scratch = t + CHUNK * k->block, .room = &room};
#pragma omp for schedule(dynamic)
            for (int64_t first = 0; first < k->R; first += CHUNK)
                if (!bad && walk_chunk(k, first, &block, t, &mine))
                    bg_failure_note(&failure, first, &mine);
        }
        free(t);
        bg_code_room_free(&room);
    }
    return bg_failure_status(&failure, e);
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

/* Are the grid's points equally spaced? All its codes are as the one of the first group. */
static int is_affine(walk *k, bg_err *e)
{
    bg_code_room room;
    int status = k->per_group ? bg_code_room_init(&room, k->s, e) : BG_OK;
    if (!status && k->per_group) {
        status = bg_gptq_fit(k, k->w, 0, k->G, 0, &room, e);
        bg_code_room_free(&room);
    }
    k->affine = k->codes[0].affine;
    return status;
}

/* The errors of the walk stand in `out`, which ŵ takes at the end. */
static int prepare(walk *k, float *out, bg_err *e)
{
    size_t cells = (size_t)k->R * (size_t)k->C, scopes = k->per_group ? (size_t)(k->R * k->groups) : (size_t)k->C;
    k->delta = out;
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
        bg_water_steps(k);
    return status ? status : is_affine(k, e);
}

static void release(walk *k)
{
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

/* Moves indices, scales and the group of every column to the result. */
static int store(walk *k, bg_quantized *q, bg_err *e)
{
    size_t scopes = k->per_group ? (size_t)(k->R * k->groups) : 1;
    const bg_code *first = k->codes;
    bg_stored *out = &q->stored;
    *out = (bg_stored){.K = k->K, .lo = first->lo, .groups_per_row = (int)k->groups};
    out->scales = malloc(scopes * sizeof *out->scales);
    out->zeros = malloc(scopes * sizeof *out->zeros);
    out->column_group = malloc((size_t)k->C * sizeof *out->column_group);
    out->levels = first->affine ? NULL : malloc((size_t)first->K * sizeof *out->levels);
    if (!out->scales || !out->zeros || !out->column_group || (!first->affine && !out->levels))
        return bg_no_memory(e, "scales", scopes * sizeof *out->scales);
    out->codes = k->symbols;
    q->column_step = k->step;
    k->symbols = NULL;
    k->step = NULL;
    for (size_t i = 0; i < scopes; i++) {
        out->scales[i] = first[i].scale;
        out->zeros[i] = first[i].affine && first[i].offset == 0.0F ? first[i].zero : first[i].offset;
    }
    for (int64_t at = 0; at < k->C; at++)
        out->column_group[column(k, at)] = (int32_t)bg_gptq_group(k, at);
    if (!first->affine)
        memcpy(out->levels, first->levels, (size_t)first->K * sizeof *out->levels);
    return BG_OK;
}

/* The walk knows the output error: with H = Σ + λI it is ‖(w−ŵ)M‖² − λ‖w−ŵ‖². Where damping is most of that, little is
 * left of the difference's digits, and Σ itself is asked (NaN); so it is where w was not what the walk rounded. */
static double output_error(const walk *k)
{
    double loss = 0, moved = 0;
    for (int64_t r = 0; r < k->R; r++) {
        loss += k->loss[r];
        moved += k->moved[r];
    }
    double left = loss - k->f->lambda * moved;
    return !k->water && left > 0.1 * loss ? left / (double)k->R : (double)NAN;
}

static int finish(walk *k, bg_quantized *q, bg_err *e)
{
    q->clipped = clipped_share(k, k->w);
    q->rate = bg_spec_rate(k->s, k->R, k->C);
    if (k->f->order && k->on_the_way && !k->whole && k->groups > 1)
        q->rate.order = (double)INDEX_BITS * (double)k->C;
    q->output_mse = output_error(k);
    q->babai_bound = k->water ? 0 : babai_bound(k); /* it is of the aim's error */
    reconstruct(k, q->hat);                         /* the errors of the walk, which stood there, have been used */
    return store(k, q, e);
}

static int run(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    const float *w = m->memory;
    if (s->grid->kind == BG_GRID_VECTOR && (s->grid->vector || s->dim > 0))
        return bg_gptq_vectors(s, m, q, e);
    if (s->grid->kind != BG_GRID_SCALAR) {
        q->skipped = "round=gptq needs a scalar grid or vectors that are coded one by one";
        return BG_OK;
    }
    int64_t size = bg_scope_size(s, m->rows, m->cols);
    if (s->scope.kind == BG_SCOPE_ROWS || (s->scope.kind == BG_SCOPE_BLOCK && m->cols % size)) {
        q->skipped = "round=gptq needs blocks that end with the row";
        return BG_OK;
    }
    const bg_gptq_params *p = bg_rounding_params(s);
    int water = s->water_steps;
    if (water && (s->scope.kind != BG_SCOPE_TENSOR || !(s->step.number > 0))) {
        q->skipped = "steps=water needs uniform:step=Nsigma with scope=tensor";
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
        status = bg_water_factor(&k, order, &at_level, &mu, e);
    if (!status && water) {
        k.aim = aim = malloc((size_t)(k.R * k.C) * sizeof *aim);
        status = aim ? bg_water_aim(&k, mu, aim, e) : bg_no_memory(e, "a matrix", (size_t)(k.R * k.C) * sizeof *aim);
    }
    if (!status)
        status = prepare(&k, q->hat, e);
    if (!status)
        status = walk_all(&k, e);
    if (!status)
        status = finish(&k, q, e);
    release(&k);
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
