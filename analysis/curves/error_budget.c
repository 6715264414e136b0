/* Owns the split of a quantizer's error and rate; the chain of differences is in budget.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/curves/error_budget.h"
#include "quant/engine/engine.h"
#include "quant/kernel/kmeans1d.h"
#include "quant/engine/measure.h"
#include "quant/rounding/nearest.h"

typedef struct chain {
    const bg_spec *s;
    const bg_matrix *m;
    int64_t size, per_row, scopes; /* per_row 0: scopes run over the flattened matrix */
    double inside, clipped,
        scaled;     /* Σ squared error: ideal scales within and beyond the levels; stored scales, ideal zeros */
    float *unit;    /* x in units of its scale, from its zero: weights within the levels from the front, others from the
                       back */
    double *weight; /* scale² of each */
    size_t n, beyond, capacity;
    int K;
} chain;

static int64_t scope_at(const chain *c, int64_t k, size_t *n)
{
    int64_t C = c->m->cols, all = c->m->rows * C, column = c->per_row ? k % c->per_row * c->size : k * c->size;
    int64_t end = c->per_row ? C : all;
    *n = (size_t)(end - column < c->size ? end - column : c->size);
    return c->per_row ? k / c->per_row * C + column : column;
}

static double square(float x, float y)
{
    return ((double)x - (double)y) * ((double)x - (double)y);
}

/* Adds one scope's errors and its weights in the grid's own unit. */
static void add_scope(chain *c, const float *x, size_t n, const bg_code *ideal, const bg_code *stored)
{
    bg_code recipe = *ideal;
    recipe.scale = stored->scale;
    c->K = ideal->K > c->K ? ideal->K : c->K;
    bg_reach reach = bg_code_reach(ideal);
    for (size_t i = 0; i < n; i++) {
        double error = square(x[i], bg_code_value(ideal, bg_code_index(ideal, x[i])));
        c->scaled += square(x[i], bg_code_value(&recipe, bg_code_index(&recipe, x[i])));
        int clips = bg_clips(reach, x[i]);
        *(clips ? &c->clipped : &c->inside) += error;
        if (ideal->scale != 0) {
            size_t at = clips ? c->capacity - ++c->beyond : c->n++;
            c->unit[at] = (x[i] - ideal->offset) / ideal->scale + (ideal->affine ? ideal->zero : 0);
            c->weight[at] = (double)ideal->scale * (double)ideal->scale;
        }
    }
}

static int walk(chain *c, const float *w, bg_err *e)
{
    bg_code_room capacity, other;
    int status = bg_code_room_init(&capacity, c->s, e);
    if (status)
        return status;
    if (!(status = bg_code_room_init(&other, c->s, e))) {
        for (int64_t k = 0; k < c->scopes && !status; k++) {
            size_t n;
            const float *x = w + scope_at(c, k, &n);
            bg_scope_stats st;
            bg_hist hist;
            bg_code ideal, stored;
            status = bg_scope_stats_for(c->s, x, NULL, n, &st, &hist, e);
            if (!status)
                status = bg_code_fit(c->s, &st, &other, &stored, e);
            st.ideal = 1;
            if (!status)
                status = bg_code_fit(c->s, &st, &capacity, &ideal, e);
            if (!status)
                add_scope(c, x, n, &ideal, &stored);
            bg_hist_free(&hist);
        }
        bg_code_room_free(&other);
    }
    bg_code_room_free(&capacity);
    return status;
}

/* Σ squared error, of the weights within the grid's levels, of the best K levels for all weights and scopes together.
 */
static int best_levels(chain *c, double *sse, bg_err *e)
{
    bg_hist all, within;
    *sse = 0;
    if (!c->n)
        return BG_OK;
    int status = bg_hist_from_values(&within, c->unit, c->weight, c->n, e);
    if (status)
        return status;
    memmove(c->unit + c->n, c->unit + c->capacity - c->beyond, c->beyond * sizeof *c->unit);
    memmove(c->weight + c->n, c->weight + c->capacity - c->beyond, c->beyond * sizeof *c->weight);
    if (!(status = bg_hist_from_values(&all, c->unit, c->weight, c->n + c->beyond, e))) {
        int K = (size_t)c->K < all.n ? c->K : (int)all.n;
        double *levels = malloc((size_t)K * sizeof *levels), total = 0;
        status =
            levels ? bg_kmeans1d(&all, K, levels, &total, e) : bg_no_memory(e, "levels", (size_t)K * sizeof *levels);
        if (!status)
            *sse = bg_hist_mse(&within, levels, K) * within.total;
        free(levels);
        bg_hist_free(&all);
    }
    bg_hist_free(&within);
    return status;
}

/* The parts of nearest rounding's error of a scalar grid. */
static int split(const bg_matrix *m, const bg_spec *s, const float *w, double nearest, bg_budget *out, bg_err *e)
{
    size_t all = (size_t)(m->rows * m->cols);
    int flat = bg_scope_is_flat(s);
    chain c = {
        .s = s, .m = m, .size = bg_scope_size(s, m->rows, m->cols), .scopes = bg_scope_count(s, m->rows, m->cols)};
    c.per_row = flat ? 0 : (m->cols + c.size - 1) / c.size;
    c.capacity = all;
    c.unit = malloc((all + 1) * sizeof *c.unit), c.weight = malloc((all + 1) * sizeof *c.weight);
    double best = 0, n = (double)all;
    int zeros = s->zero != BG_ZERO_SYM, levels = (s->grid->flags & BG_GRID_STORES_LEVELS) != 0;
    int status = c.unit && c.weight ? walk(&c, w, e) : bg_no_memory(e, "error budget", all * 12);
    if (!status && levels && c.scopes > 1)
        best = c.inside; /* levels of each scope's own: none shared by all is better */
    else if (!status)
        status = best_levels(&c, &best, e);
    free(c.unit), free(c.weight);
    if (status)
        return status;
    double ideal = (c.inside + c.clipped) / n, after_scales = levels ? ideal : zeros ? c.scaled / n : nearest;
    out->granular = best / n;
    out->mismatch = (c.inside - best) / n;
    out->clipping = c.clipped / n;
    out->scale_rounding = after_scales - ideal;
    out->zero_point = nearest - after_scales;
    return BG_OK;
}

static void split_rate(const bg_measure *r, bg_budget *out)
{
    double indices = r->rate.indices / r->count;
    out->entropy = isfinite(r->index_entropy) ? r->index_entropy : indices;
    out->slack = indices - out->entropy;
    out->padding = r->rate.padding / r->count;
    out->rate_bits = r->rate_bits;
    out->side = r->rate_bits - indices - out->padding;
}

int bg_budget_of(const bg_matrix *m, const bg_spec *s, bg_budget *out, bg_err *e)
{
    bg_measure r, plain;
    bg_stored stored = {0};
    bg_spec nearest = *s;
    size_t bytes = (size_t)(m->rows * m->cols) * sizeof(float);
    *out = (bg_budget){0};
    if (s->transform->forward || !m->memory || s->fits_importance)
        return bg_fail(e, BG_USAGE,
                       "'%s': an error budget is of a quantizer without transform and weighting, on a matrix in "
                       "memory",
                       s->text);
    float *hat = malloc(bytes + 1);
    if (!hat)
        return bg_no_memory(e, "error budget", bytes);
    int scalar = s->grid->kind == BG_GRID_SCALAR;
    int status = bg_reconstruct(m, s, m->memory, hat, &r, scalar ? &stored : NULL, e);
    if (!status && r.skipped)
        status = bg_fail(e, BG_USAGE, "'%s': %s", s->text, r.skipped);
    nearest.rounding = &bg_rounding_nearest;
    plain = r;
    if (!status && s->rounding->run)
        status = bg_reconstruct(m, &nearest, m->memory, hat, &plain, NULL, e);
    if (!status) {
        out->mse = r.mse, out->rounding = r.mse - plain.mse, out->granular = plain.mse;
        split_rate(&r, out);
        if (scalar)
            status = split(m, &nearest, m->memory, plain.mse, out, e);
    }
    bg_stored_free(&stored);
    free(hat);
    return status;
}
