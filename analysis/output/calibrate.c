/* Owns gathering a model's calibration: which windows of the text, which layers share an input, layer after layer. */
#include "analysis/output/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/output/hidden_states.h"
#include "quant/probability/random.h"

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
    *w =
        (windows){malloc((size_t)want * (size_t)length * sizeof *w->ids), malloc((size_t)want * sizeof *w->lengths), 0};
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

/* Statistics of the inputs of one layer's linear layers, in their order; those that share an input have the first's. */
typedef struct gatherer {
    const bg_linear *linears;
    int n;
    bg_activations *at; /* [n] of those that lead; cols = 0: none */
    bg_folds *folds;    /* [n] of those; n = 0: none */
    int64_t tokens;     /* that will come */
} gatherer;

static int see(void *self, const bg_linear *l, const float *x, int64_t n, bg_err *e)
{
    gatherer *g = self;
    int64_t i = l - g->linears;
    (void)e;
    if (l->shares != l)
        return BG_OK;
    if (g->folds[i].n)
        bg_folds_add(&g->folds[i], &g->at[i], x, n, g->tokens);
    else
        bg_activations_add(&g->at[i], x, n);
    return BG_OK;
}

/* How many tokens an expert will see is not known before, so its moments have no parts. */
static int gatherer_init(gatherer *g, const bg_model *m, int layer, int64_t tokens, const bg_calibrate_options *o,
                         bg_err *e)
{
    const bg_layer *y = &m->layers[layer];
    int status = BG_OK, folds = bg_folds_of(tokens, o->folds);
    *g = (gatherer){.linears = m->linears + y->first, .n = y->n_linears, .tokens = tokens};
    g->at = calloc((size_t)g->n + 1, sizeof *g->at);
    g->folds = calloc((size_t)g->n + 1, sizeof *g->folds);
    if (!g->at || !g->folds)
        return bg_no_memory(e, "statistics", (size_t)g->n * sizeof *g->at);
    for (int i = 0; i < g->n && !status; i++) {
        const bg_linear *l = &g->linears[i];
        if (l->shares != l)
            continue;
        status = bg_activations_init(&g->at[i], l->in, e);
        if (!status && folds && l->in <= o->fold_cols && l->expert < 0)
            status = bg_folds_init(&g->folds[i], l->in, folds, e);
    }
    return status;
}

static void gatherer_free(gatherer *g)
{
    for (int i = 0; i < g->n && g->at && g->folds; i++) {
        bg_activations_free(&g->at[i]);
        bg_folds_free(&g->folds[i]);
    }
    free(g->at);
    free(g->folds);
}

/* ---- the side file ---- */

static int put(bg_out *side, const void *v, size_t size, uint64_t *bytes, bg_err *e)
{
    if (fwrite(v, 1, size, side->file) != size)
        return bg_out_failed(side, e);
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
    if (!status)
        status = put(side, s->triangle, triangle * sizeof *s->triangle, bytes, e);
    if (!status && f->n)
        status = put(side, f->triangle, (size_t)f->n * triangle * sizeof *f->triangle, bytes, e);
    if (!status && *bytes % 8) /* the next input begins at a double */
        status = put(side, &zero, sizeof zero, bytes, e);
    return status;
}

static void describe(const bg_activations *s, bg_calibrated *out)
{
    for (int64_t i = 0; i < s->cols; i++) {
        out->trace += s->triangle[i * (i + 3) / 2];
        out->mean_abs += s->mean_abs[i] / (double)s->cols;
        out->max_abs = s->max_abs[i] > out->max_abs ? s->max_abs[i] : out->max_abs;
    }
}

/* Finishes and writes what the input of linear layer `lead` gathered; those that share it learn where it stands. */
static int keep_input(gatherer *g, int lead, bg_out *side, bg_calibrate_result *out, bg_err *e)
{
    const bg_linear *first = &g->linears[lead];
    bg_activations *s = &g->at[lead];
    bg_calibrated row = {.shares = first, .offset = out->side_bytes, .folds = g->folds[lead].n, .tokens = s->tokens};
    int status = bg_activations_finish(s, first->name, e);
    if (status)
        return status;
    describe(s, &row);
    for (int i = lead; i < g->n; i++)
        if (g->linears[i].shares == first) {
            row.linear = &g->linears[i];
            out->layers[row.linear->index] = row;
        }
    return write_activations(side, s, &g->folds[lead], &out->side_bytes, e);
}

/* ---- sequential ---- */

/* The layer's own weights become what the spec makes of them, given the moments of their input. */
static int quantize_linear(const bg_linear *l, const bg_activations *s, const bg_calibrate_options *o, bg_err *e)
{
    bg_matrix matrix = bg_matrix_of(l->w, l->out, l->in);
    bg_measure measure = {0};
    size_t bytes = (size_t)(l->out * l->in) * sizeof *l->w;
    matrix.second_moment = s->second_moment;
    matrix.mean_abs = s->mean_abs;
    matrix.max_abs = s->max_abs;
    matrix.seed = o->seed;
    float *hat = malloc(bytes);
    int status =
        hat ? bg_reconstruct(&matrix, o->sequential, l->w, hat, &measure, NULL, e) : bg_no_memory(e, l->name, bytes);
    if (!status && measure.skipped)
        status = bg_fail(e, BG_INPUT, "%s cannot run here: %s", o->sequential->text, measure.skipped);
    if (status)
        bg_context(e, "%s", l->name);
    else
        memcpy(l->w, hat, bytes);
    free(hat);
    return status;
}

/* All linear layers that read the input of linear layer `lead`. */
static int quantize_input(gatherer *g, int lead, const bg_calibrate_options *o, bg_err *e)
{
    int status = bg_activations_square(&g->at[lead], e);
    for (int i = lead; i < g->n && !status; i++)
        if (g->linears[i].shares == &g->linears[lead])
            status = quantize_linear(&g->linears[i], &g->at[lead], o, e);
    return status;
}

/* ---- the walk ---- */

typedef struct walk {
    bg_model *m;
    const bg_calibrate_options *o;
    bg_batch batch;
    bg_states states; /* [tokens × D], between two layers */
    int together;     /* samples, all of one length, in a block: what bg_model_layer would work on at once */
    float *h;         /* one block of them */
    bg_workspace *work;
} walk;

/* Block by block: `layer` of every sample's states (−1: the embedding), kept or, for a tap's sake alone, dropped. */
static int pass_over(walk *w, int layer, const bg_pass *p, int keep, bg_err *e)
{
    int64_t at = 0;
    int status = BG_OK;
    for (int i = 0; i < w->batch.n && !status; i += w->together) {
        int left = w->batch.n - i;
        bg_batch b = {w->batch.ids + at, w->batch.lengths + i, left < w->together ? left : w->together};
        int64_t n = bg_batch_tokens(&b);
        status = layer < 0 ? bg_model_embed(w->m, &b, p, w->h, e) : bg_states_get(&w->states, at, n, w->h, e);
        if (!status && layer >= 0)
            status = bg_model_layer(w->m, layer, &b, p, w->h, w->work, e);
        if (!status && keep)
            status = bg_states_put(&w->states, at, n, w->h, e);
        at += n;
    }
    return status;
}

/* An input's moments are written, used and freed one after the other: as a square there is at most one at a time. */
static int settle(walk *w, gatherer *g, bg_out *side, bg_calibrate_result *out, bg_err *e)
{
    int status = BG_OK;
    for (int i = 0; i < g->n && !status; i++) {
        if (!g->at[i].cols)
            continue;
        if (!g->at[i].tokens && g->linears[i].expert >= 0) {
            bg_warn("%s: no token of the text reached this expert, so it has no statistics", g->linears[i].name);
            bg_activations_free(&g->at[i]);
            continue;
        }
        status = keep_input(g, i, side, out, e);
        bg_folds_free(&g->folds[i]);
        if (!status && w->o->sequential)
            status = quantize_input(g, i, w->o, e);
        bg_activations_free(&g->at[i]);
    }
    return status;
}

static int walk_layer(walk *w, int layer, bg_out *side, bg_calibrate_result *out, bg_err *e)
{
    gatherer g;
    bg_tap tap = {see, &g};
    int status = bg_model_load_layer(w->m, layer, e);
    if (status)
        return status;
    status = gatherer_init(&g, w->m, layer, out->tokens, w->o, e);
    if (!status)
        status = pass_over(w, layer, &(bg_pass){.tap = &tap}, !w->o->sequential, e);
    if (!status)
        status = settle(w, &g, side, out, e);
    gatherer_free(&g);
    if (!status && w->o->sequential)
        status = pass_over(w, layer, NULL, 1, e);
    bg_model_drop_layer(w->m, layer);
    return status;
}

static int walk_open(walk *w, const windows *text, const char *beside, bg_err *e)
{
    w->batch = (bg_batch){.ids = text->ids, .lengths = text->lengths, .n = (int)text->n};
    int64_t tokens = bg_batch_tokens(&w->batch), width = w->m->config.hidden;
    int status = bg_model_check(w->m, &w->batch, e);
    if (!status)
        status = bg_model_load_input(w->m, e);
    if (!status)
        status = bg_workspace_for(w->m, &w->batch, &w->work, e);
    if (!status)
        status = bg_states_open(&w->states, tokens, width, w->o->states_bytes, beside, e);
    if (status)
        return status;
    w->together = bg_workspace_sequences(w->work, text->lengths[0]);
    size_t bytes = (size_t)w->together * (size_t)text->lengths[0] * (size_t)width * sizeof *w->h;
    w->h = malloc(bytes);
    return w->h ? pass_over(w, -1, NULL, 1, e) : bg_no_memory(e, "a block of hidden states", bytes);
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
        status = walk_open(&w, &text, side->path, e);
    out->samples = text.n;
    out->tokens = status ? 0 : bg_batch_tokens(&w.batch);
    bg_progress_begin(&bar, "calibrate", (unsigned)m->config.layers);
    for (int l = 0; l < m->config.layers && !status; l++) {
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : walk_layer(&w, l, side, out, e);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    bg_workspace_close(w.work);
    bg_states_close(&w.states);
    free(w.h);
    windows_free(&text);
    return status;
}
