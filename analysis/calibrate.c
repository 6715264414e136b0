/* Owns gathering a model's calibration: which windows of the text, which layers share an input, layer after layer. */
#include "analysis/calibrate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/source.h"

/* ---- windows ---- */

typedef struct windows {
    int32_t *ids;
    int *lengths;
    int64_t n;
} windows;

static void windows_free(windows *w)
{
    free(w->ids);
    free(w->lengths);
}

/* The text is cut into windows that do not overlap; `samples` of them are drawn by the seed (selection sampling, Knuth
 * volume 2, algorithm S) and stay in the order of the text. */
static int draw_windows(const int32_t *ids, int64_t n, const bg_calibrate_options *o, windows *w, bg_err *e)
{
    int length = n < o->length ? (int)n : o->length;
    int64_t all = length ? n / length : 0, want = o->samples && o->samples < all ? o->samples : all;
    if (!all)
        return bg_fail(e, BG_INPUT, "the text is empty: there is nothing to calibrate on");
    *w = (windows){malloc((size_t)want * (size_t)length * sizeof *w->ids), malloc((size_t)want * sizeof *w->lengths), 0};
    if (!w->ids || !w->lengths)
        return bg_no_memory(e, "the samples", (unsigned long long)want * (unsigned)length * sizeof *w->ids);
    for (int64_t i = 0; i < all && w->n < want; i++) {
        double chance = (double)(want - w->n) / (double)(all - i);
        if (bg_uniform_at(o->seed, (uint64_t)i) >= chance)
            continue;
        memcpy(w->ids + w->n * length, ids + i * length, (size_t)length * sizeof *ids);
        w->lengths[w->n++] = length;
    }
    return BG_OK;
}

/* ---- one layer ---- */

/* The first linear layer of a layer that reads the same input as this role: q for k and v, gate for up. */
static const bg_linear *leader(const bg_layer *layer, bg_linear_role role)
{
    if ((role == BG_K || role == BG_V) && layer->linear[BG_Q])
        return layer->linear[BG_Q];
    if (role == BG_UP && layer->linear[BG_GATE])
        return layer->linear[BG_GATE];
    return layer->linear[role];
}

typedef struct gatherer {
    const bg_layer *layer;
    bg_activations at[BG_LINEARS]; /* of those that lead */
    bg_folds folds[BG_LINEARS];    /* of those; n = 0: none */
    int64_t tokens;                /* that will come */
} gatherer;

static int see(void *self, const bg_linear *l, const float *x, int64_t n, bg_err *e)
{
    gatherer *g = self;
    (void)e;
    for (int role = 0; role < BG_LINEARS; role++)
        if (g->layer->linear[role] != l || leader(g->layer, (bg_linear_role)role) != l)
            continue;
        else if (g->folds[role].n)
            bg_folds_add(&g->folds[role], &g->at[role], x, n, g->tokens);
        else
            bg_activations_add(&g->at[role], x, n);
    return BG_OK;
}

static int gatherer_init(gatherer *g, const bg_layer *layer, int64_t tokens, const bg_calibrate_options *o, bg_err *e)
{
    int status = BG_OK, folds = bg_folds_of(tokens, o->folds);
    *g = (gatherer){.layer = layer, .tokens = tokens};
    for (int role = 0; role < BG_LINEARS && !status; role++) {
        const bg_linear *l = layer->linear[role];
        if (!l || leader(layer, (bg_linear_role)role) != l)
            continue;
        status = bg_activations_init(&g->at[role], l->in, e);
        if (!status && folds && l->in <= o->fold_cols)
            status = bg_folds_init(&g->folds[role], l->in, folds, e);
    }
    return status;
}

static void gatherer_free(gatherer *g)
{
    for (int role = 0; role < BG_LINEARS; role++) {
        bg_activations_free(&g->at[role]);
        bg_folds_free(&g->folds[role]);
    }
}

/* ---- the side file ---- */

static int put(bg_out *side, const void *v, size_t size, uint64_t *bytes, bg_err *e)
{
    if (fwrite(v, 1, size, side->file) != size)
        return bg_fail(e, BG_RESOURCE, "%s: writing failed: %s", side->path, strerror(errno));
    *bytes += size;
    return BG_OK;
}

static int write_activations(bg_out *side, const bg_activations *s, const bg_folds *f, uint64_t *bytes, bg_err *e)
{
    const float zero = 0;
    size_t triangle = (size_t)s->cols * (size_t)(s->cols + 1) / 2;
    int status = put(side, s->mean_abs, (size_t)s->cols * sizeof(double), bytes, e);
    if (!status)
        status = put(side, s->max_abs, (size_t)s->cols * sizeof(double), bytes, e);
    for (int64_t i = 0; i < s->cols && !status; i++)
        status = put(side, s->second_moment + i * s->cols, (size_t)(i + 1) * sizeof(double), bytes, e);
    if (!status && f->n)
        status = put(side, f->triangle, (size_t)f->n * triangle * sizeof *f->triangle, bytes, e);
    if (!status && *bytes % 8) /* the next input begins at a double */
        status = put(side, &zero, sizeof zero, bytes, e);
    return status;
}

static void describe(const bg_activations *s, bg_calibrated *out)
{
    for (int64_t i = 0; i < s->cols; i++) {
        out->trace += s->second_moment[i * s->cols + i];
        out->mean_abs += s->mean_abs[i] / (double)s->cols;
        out->max_abs = s->max_abs[i] > out->max_abs ? s->max_abs[i] : out->max_abs;
    }
}

/* Finishes and writes what a layer gathered; every linear layer learns where its input's statistics stand. */
static int keep_layer(gatherer *g, bg_out *side, bg_calibrate_result *out, bg_err *e)
{
    int status = BG_OK;
    for (int role = 0; role < BG_LINEARS && !status; role++) {
        const bg_linear *l = g->layer->linear[role], *first = l ? leader(g->layer, (bg_linear_role)role) : NULL;
        if (!l)
            continue;
        bg_calibrated *row = &out->layers[l->index];
        if (first != l) { /* leaders come before those that share with them */
            *row = out->layers[first->index];
            row->linear = l;
            continue;
        }
        *row = (bg_calibrated){.linear = l, .shares = l, .offset = out->side_bytes, .folds = g->folds[role].n};
        status = bg_activations_finish(&g->at[role], l->name, e);
        if (!status) {
            describe(&g->at[role], row);
            status = write_activations(side, &g->at[role], &g->folds[role], &out->side_bytes, e);
        }
    }
    return status;
}

/* ---- sequential ---- */

/* The layer's matrices under the spec, given its own input's moments; weights[index] replaces them. */
static int quantize_layer(const gatherer *g, const bg_calibrate_options *o, float **weights, bg_err *e)
{
    int status = BG_OK;
    for (int role = 0; role < BG_LINEARS && !status; role++) {
        const bg_linear *l = g->layer->linear[role];
        if (!l)
            continue;
        int lead = 0;
        while (g->layer->linear[lead] != leader(g->layer, (bg_linear_role)role))
            lead++;
        bg_matrix matrix = bg_matrix_of(l->w, l->out, l->in);
        bg_measure measure = {0};
        matrix.second_moment = g->at[lead].second_moment;
        matrix.mean_abs = g->at[lead].mean_abs;
        matrix.max_abs = g->at[lead].max_abs;
        matrix.seed = o->seed;
        float *hat = malloc((size_t)(l->out * l->in) * sizeof *hat);
        if (!hat)
            return bg_no_memory(e, l->name, (unsigned long long)(l->out * l->in) * sizeof *hat);
        weights[l->index] = hat;
        status = bg_reconstruct(&matrix, o->sequential, l->w, hat, &measure, NULL, e);
        if (!status && measure.skipped)
            status = bg_fail(e, BG_INPUT, "%s cannot run here: %s", o->sequential->text, measure.skipped);
        if (status)
            bg_context(e, "%s", l->name);
    }
    return status;
}

typedef struct walk {
    bg_model *m;
    const bg_calibrate_options *o;
    bg_batch batch;
    float *h, *copy; /* [tokens × D]; copy: only sequential */
    float **weights;
    bg_work *work;
} walk;

static int walk_layer(walk *w, int layer, bg_out *side, bg_calibrate_result *out, bg_err *e)
{
    gatherer g;
    bg_tap tap = {see, &g};
    size_t floats = (size_t)out->tokens * (size_t)w->m->config.hidden;
    int status = bg_model_load_layer(w->m, layer, e);
    if (status)
        return status;
    status = gatherer_init(&g, &w->m->layers[layer], out->tokens, w->o, e);
    if (!status && w->o->sequential)
        memcpy(w->copy, w->h, floats * sizeof *w->h);
    if (!status)
        status = bg_model_layer(w->m, layer, &w->batch, &(bg_pass){.tap = &tap}, w->o->sequential ? w->copy : w->h,
                                w->work, e);
    if (!status)
        status = keep_layer(&g, side, out, e);
    if (!status && w->o->sequential) {
        status = quantize_layer(&g, w->o, w->weights, e);
        if (!status)
            status = bg_model_layer(w->m, layer, &w->batch, &(bg_pass){.weights = (const float *const *)w->weights}, w->h,
                                    w->work, e);
    }
    for (int i = 0; i < w->m->n_linears + 2; i++) {
        free(w->weights[i]);
        w->weights[i] = NULL;
    }
    gatherer_free(&g);
    bg_model_drop_layer(w->m, layer);
    return status;
}

static int walk_open(walk *w, const windows *text, bg_err *e)
{
    w->batch = (bg_batch){.ids = text->ids, .lengths = text->lengths, .n = (int)text->n};
    size_t bytes = (size_t)bg_batch_tokens(&w->batch) * (size_t)w->m->config.hidden * sizeof *w->h;
    w->h = malloc(bytes);
    w->copy = malloc(w->o->sequential ? bytes : 1);
    w->weights = calloc((size_t)w->m->n_linears + 2, sizeof *w->weights);
    if (!w->h || !w->copy || !w->weights)
        return bg_no_memory(e, "hidden states; fewer or shorter samples need less", bytes);
    int status = bg_model_check(w->m, &w->batch, e);
    if (!status)
        status = bg_model_load_outer(w->m, e);
    if (!status)
        status = bg_work_for(w->m, &w->batch, &w->work, e);
    return status ? status : bg_model_embed(w->m, &w->batch, NULL, w->h, e);
}

int bg_calibrate(bg_model *m, const int32_t *ids, int64_t n, const bg_calibrate_options *o, bg_out *side,
                 bg_calibrate_result *out, bg_err *e)
{
    windows text = {0};
    walk w = {.m = m, .o = o};
    bg_progress bar;
    *out = (bg_calibrate_result){.layers = calloc((size_t)m->n_linears + 1, sizeof *out->layers)};
    int status = out->layers ? draw_windows(ids, n, o, &text, e) : bg_no_memory(e, "layers", (unsigned)m->n_linears);
    if (!status)
        status = walk_open(&w, &text, e);
    out->samples = text.n;
    out->tokens = status ? 0 : bg_batch_tokens(&w.batch);
    bg_progress_begin(&bar, "calibrate", (unsigned)m->config.layers);
    for (int l = 0; l < m->config.layers && !status; l++) {
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : walk_layer(&w, l, side, out, e);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    bg_work_close(w.work);
    free(w.h);
    free(w.copy);
    free(w.weights);
    windows_free(&text);
    return status;
}
