/* Rate-distortion optimised rounding for entropy-coded indices: each weight takes the point near it that minimises
 *     (w − ŵ)² + λ·length(index),     λ = slope · 2·ln2 · D,
 * D the error of nearest rounding. 2·ln2·D is the slope of D(R) where six decibels buy a bit, so that slope=1 spends
 * distortion where it buys as much rate as a finer step would cost. Lengths are −log2 of the shares of the indices,
 * found anew after each pass. Scales, zero points and levels stay those of nearest rounding. With indices of fixed
 * length every length is the same and the answer is nearest rounding. Sullivan 1996; Wiegand and Schwarz 2011, 4.4. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/difference.h"
#include "quant/rounding/nearest.h"

enum { CHUNK = 1 << 16, REACH = 3 };

typedef struct rdo_params {
    double slope; /* λ in units of 2·ln2·D */
    int passes;
} rdo_params;

static const bg_key keys[] = {
    {.name = "slope",
     .type = BG_KEY_NUMBER,
     .min = 0,
     .max = 100,
     .default_text = "1",
     .help = "λ in units of 2·ln2·D",
     BG_PARAM(rdo_params, slope)},
    {.name = "passes",
     .type = BG_KEY_INTEGER,
     .min = 1,
     .max = 50,
     .default_text = "4",
     .help = "choices, each with the code lengths of the last",
     BG_PARAM(rdo_params, passes)},
    {0},
};

typedef struct choice {
    const bg_stored *stored;
    const float *w;
    float *out;
    const double *length; /* [K] bits */
    double lambda;
    int64_t n, cols, size; /* weights; columns; weights in a scope */
    int K;
} choice;

static float scale_of(const choice *c, int64_t i)
{
    int64_t per_row = c->stored->groups_per_row;
    return c->stored->scales[per_row ? i / c->cols * per_row + i % c->cols / c->size : i / c->size];
}

/* How far point b lies above point a, in units of the scale. */
static float apart(const bg_stored *s, int a, int b)
{
    return s->levels ? s->levels[b] - s->levels[a] : (float)(b - a);
}

static void choose(const choice *c, int64_t i)
{
    int q = c->stored->codes[i], best = q;
    float scale = scale_of(c, i), value = c->out[i], at = value;
    double r = (double)c->w[i] - (double)value, least = r * r + c->lambda * c->length[q];
    for (int k = q > REACH ? q - REACH : 0; k <= q + REACH && k < c->K; k++) {
        float v = value + scale * apart(c->stored, q, k);
        double d = (double)c->w[i] - (double)v, cost = d * d + c->lambda * c->length[k];
        if (k != q && cost < least)
            least = cost, best = k, at = v;
    }
    c->stored->codes[i] = (uint16_t)best, c->out[i] = at;
}

/* −log2 of each index's share; one never used costs as much as a single use would. */
static void lengths(const uint16_t *codes, int64_t n, int K, double *length)
{
    memset(length, 0, (size_t)K * sizeof *length);
    for (int64_t i = 0; i < n; i++)
        length[codes[i]] += 1;
    for (int k = 0; k < K; k++)
        length[k] = log2((double)n / fmax(length[k], 1));
}

static int optimise(const bg_spec *s, const bg_matrix *m, const float *w, float *out, double mse, bg_stored *stored,
                    bg_err *e)
{
    choice c = {.stored = stored, .w = w, .out = out, .n = m->rows * m->cols, .cols = m->cols};
    c.size = bg_scope_size(s, m->rows, m->cols), c.K = stored->K;
    const rdo_params *p = bg_rounding_params(s);
    c.lambda = p->slope * 2 * log(2) * mse;
    for (int64_t i = 0; i < c.n; i++)
        c.K = stored->codes[i] >= c.K ? stored->codes[i] + 1 : c.K;
    stored->K = c.K;
    double *length = malloc((size_t)c.K * sizeof *length);
    if (!length)
        return bg_no_memory(e, "code lengths", (size_t)c.K * sizeof *length);
    c.length = length;
    int64_t chunks = (c.n + CHUNK - 1) / CHUNK;
    for (int pass = 0; pass < p->passes; pass++) {
        lengths(stored->codes, c.n, c.K, length);
#pragma omp parallel for schedule(static)
        for (int64_t k = 0; k < chunks; k++)
            for (int64_t i = k * CHUNK; i < (k + 1) * CHUNK && i < c.n; i++)
                choose(&c, i);
    }
    free(length);
    return BG_OK;
}

static int run(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    if (s->grid->kind != BG_GRID_SCALAR)
        return bg_fail(e, BG_USAGE, "round=rdo chooses points of a scalar grid; %s chooses its own", s->grid->name);
    bg_spec nearest = *s;
    bg_difference d;
    int64_t n = m->rows * m->cols;
    nearest.rounding = &bg_rounding_nearest;
    q->want_indices = 1;
    int status = bg_round_nearest(&nearest, m, q, e);
    if (status || q->skipped || !s->coding->bits)
        return status;
    if (!q->stored.levels && (s->grid->flags & BG_GRID_STORES_LEVELS))
        return bg_fail(e, BG_USAGE, "round=rdo wants levels that all weights share; use scope=tensor");
    status = bg_difference_of(m->memory, q->hat, m->rows, m->cols, &d, e);
    return status ? status : optimise(s, m, m->memory, q->hat, d.squares / (double)n, &q->stored, e);
}

const bg_rounding bg_rounding_rdo = {
    .name = "rdo",
    .title = "the point that costs least in distortion and coded bits together",
    .paper = "Sullivan 1996",
    .keys = keys,
    .scalar_only = 1,
    .run = run,
};
