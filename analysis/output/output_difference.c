/* Owns the walk of a base model and its trials through a text together. */
#include "analysis/output/output_difference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/probability/random.h"

static const uint64_t default_budget = 2ull << 30;
enum { SUM_CHUNK = 1 << 16 /* weights whose squares make one partial sum */ };

typedef struct walk {
    bg_model *base;
    const bg_corpus *text;
    const bg_functional_options *o;
    bg_batch batch;
    int64_t tokens;
    bg_trial *v;
    int n;
    float *base_h, **h;   /* [n]; NULL while a trial still equals the base */
    float **hat;          /* [n_linears + 2] replaced weights of the spec at hand; only the current layer's are set */
    float **scale;        /* [n_linears + 2] and what its transform divides their inputs by; NULL: 1 */
    float **outer_hat;    /* [2·n] embedding and output matrix of each trial; NULL where unchanged */
    const float **chosen; /* [n_linears + 2] what one trial takes of them */
    double *energy;       /* [n_linears + 2] Σw² of each tensor; negative: not yet known */
    bg_workspace *work;
    bg_progress progress;
} walk;

int bg_trial_changes(const bg_trial *v, const bg_linear *l)
{
    if (!v->spec && !v->recipe && v->noise == 0)
        return 0;
    if (l->layer < 0)
        return v->embeddings;
    if (v->recipe)
        return bg_recipe_spec(v->recipe, l->name) != NULL;
    if (!v->role && !l->tensor->is_linear)
        return 0; /* a router, unless it is asked for */
    return (v->layer < 0 || v->layer == l->layer) && (!v->role || !strcmp(v->role, l->tensor->role));
}

const bg_spec *bg_trial_spec(const bg_trial *v, const bg_linear *l)
{
    return v->recipe ? bg_recipe_spec(v->recipe, l->name) : v->spec;
}

/* ---- changed weights ---- */

typedef struct distance {
    double squared, energy;
} distance;

/* Σ(a − b)² and Σa², partial sums of fixed chunks added in order. */
static int distance_of(const float *a, const float *b, int64_t n, distance *out, bg_err *e)
{
    int64_t chunks = (n + SUM_CHUNK - 1) / SUM_CHUNK;
    distance *part = calloc((size_t)chunks, sizeof *part);
    if (!part)
        return bg_no_memory(e, "partial sums", (unsigned long long)chunks * sizeof *part);
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < chunks; c++) {
        double squared = 0, energy = 0;
        int64_t end = (c + 1) * SUM_CHUNK < n ? (c + 1) * SUM_CHUNK : n;
        for (int64_t i = c * SUM_CHUNK; i < end; i++) {
            double d = (double)a[i] - (double)b[i];
            squared += d * d;
            energy += (double)a[i] * (double)a[i];
        }
        part[c] = (distance){squared, energy};
    }
    *out = (distance){0, 0};
    for (int64_t c = 0; c < chunks; c++) {
        out->squared += part[c].squared;
        out->energy += part[c].energy;
    }
    free(part);
    return BG_OK;
}

static int quantize(const walk *k, const bg_spec *s, const bg_linear *l, float *out, bg_measure *measure, bg_err *e)
{
    bg_matrix m = bg_matrix_of(l->w, l->out, l->in);
    m.seed = k->o->seed;
    int keeps_scale = s->transform->forward && l->layer >= 0;
    bg_stored made = {0};
    int status = k->o->calibration ? k->o->calibration(k->o->self, l, &m, e) : BG_OK;
    if (!status)
        status = bg_reconstruct(&m, s, l->w, out, measure, keeps_scale ? &made : NULL, e);
    if (keeps_scale) {
        free(k->scale[l->index]);
        k->scale[l->index] = made.input_scale;
        made.input_scale = NULL;
    }
    bg_stored_free(&made);
    return status ? bg_context(e, "%s: %s", l->name, s->text) : BG_OK;
}

/* w + t·rms·g; g of an element depends on the seed, the tensor and the element only (Box–Muller). */
static void add_noise(const walk *k, const bg_linear *l, double t, double energy, float *out)
{
    int64_t n = l->out * l->in;
    double size = t * sqrt(energy / (double)n);
    uint64_t seed = bg_bits_at(k->o->seed, (uint64_t)l->index);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double radius = sqrt(-2 * log(bg_uniform_at(seed, 2 * (uint64_t)i)));
        double g = radius * cos(6.283185307179586 * bg_uniform_at(seed, 2 * (uint64_t)i + 1));
        out[i] = (float)((double)l->w[i] + size * g);
    }
}

/* Ŵ of one tensor as trial v wants it, into *hat (made here). *measure.skipped: the spec cannot run here. */
static int change(const walk *k, const bg_trial *v, const bg_linear *l, float **hat, bg_measure *measure, distance *d,
                  bg_err *e)
{
    int64_t n = l->out * l->in;
    *measure = (bg_measure){.rate_bits = NAN};
    if (!*hat)
        *hat = malloc((size_t)n * sizeof **hat);
    if (!*hat)
        return bg_no_memory(e, "changed weights", (unsigned long long)n * sizeof **hat);
    int status = k->energy[l->index] < 0 ? distance_of(l->w, l->w, n, d, e) : BG_OK;
    if (status)
        return status;
    if (k->energy[l->index] < 0)
        k->energy[l->index] = d->energy;
    d->energy = k->energy[l->index];
    const bg_spec *s = bg_trial_spec(v, l);
    if (s) {
        status = quantize(k, s, l, *hat, measure, e);
        d->squared = measure->mse * (double)n;
        return status;
    }
    add_noise(k, l, v->noise, d->energy, *hat);
    return distance_of(l->w, *hat, n, d, e);
}

static void account(bg_trial *v, const bg_linear *l, const bg_measure *m, const distance *d)
{
    double n = (double)(l->out * l->in);
    v->tensors++;
    v->weights += n;
    v->bits += m->rate_bits * n;
    v->squared += d->squared;
    v->energy += d->energy;
    if (l->layer >= 0)
        v->relative[l->index] = d->energy > 0 ? d->squared / d->energy : 0;
}

static void skip(bg_trial *v, const char *reason, const bg_linear *l)
{
    if (!v->skipped) {
        v->skipped = reason;
        v->skipped_tensor = l->name;
    }
}

/* ---- one layer for one family of trials: those that share a spec (or are alone) ---- */

static int family_end(const walk *k, int first)
{
    int end = first + 1;
    while (k->v[first].spec && end < k->n && k->v[end].spec == k->v[first].spec)
        end++;
    return end;
}

/* Changes the layer's tensors that anyone of v[first..end) wants; afterwards hat[] holds them. */
static int change_layer(walk *k, int layer, int first, int end, bg_err *e)
{
    int status = BG_OK;
    const bg_layer *y = &k->base->layers[layer];
    for (int i = 0; !status && i < y->n_linears; i++) {
        const bg_linear *l = &k->base->linears[y->first + i];
        int wanted = 0;
        for (int j = first; j < end; j++)
            wanted |= !k->v[j].skipped && bg_trial_changes(&k->v[j], l);
        if (!wanted)
            continue;
        bg_measure measure;
        distance d = {0, 0};
        status = change(k, &k->v[first], l, &k->hat[l->index], &measure, &d, e);
        for (int j = first; !status && j < end; j++) {
            if (!bg_trial_changes(&k->v[j], l))
                continue;
            if (measure.skipped)
                skip(&k->v[j], measure.skipped, l);
            else
                account(&k->v[j], l, &measure, &d);
        }
    }
    return status;
}

static int run_trial(walk *k, int layer, int i, bg_err *e)
{
    bg_trial *v = &k->v[i];
    size_t bytes = (size_t)(k->tokens * k->base->config.hidden) * sizeof(float);
    float keep = v->activation_keep;
    int bits = v->activation_bits > 0 || !v->spec ? v->activation_bits : bg_spec_activations(v->spec, &keep);
    int changes = v->precision != BG_FLOAT32 || bits > 0;
    memset(k->chosen, 0, (size_t)(k->base->n_linears + 2) * sizeof *k->chosen);
    const bg_layer *y = &k->base->layers[layer];
    for (int j = 0; j < y->n_linears; j++) {
        const bg_linear *l = &k->base->linears[y->first + j];
        if (!bg_trial_changes(v, l))
            continue;
        k->chosen[l->index] = k->hat[l->index];
        changes = 1;
    }
    if (!changes && !k->h[i])
        return BG_OK;
    if (!k->h[i]) {
        if (!(k->h[i] = malloc(bytes)))
            return bg_no_memory(e, "hidden states", bytes);
        memcpy(k->h[i], k->base_h, bytes);
    }
    bg_pass pass = {.precision = v->precision,
                    .weights = k->chosen,
                    .activation_bits = bits,
                    .activation_keep = keep,
                    .input_scales = (const float *const *)k->scale};
    return bg_model_layer(k->base, layer, &k->batch, &pass, k->h[i], k->work, e);
}

/* The scales of a family; its changed weights too, whose room the layer's next family takes over, when the layer is
 * done. */
static void forget(walk *k, int layer, int done)
{
    const bg_layer *y = &k->base->layers[layer];
    for (int i = 0; i < y->n_linears; i++) {
        const bg_linear *l = &k->base->linears[y->first + i];
        free(k->scale[l->index]);
        k->scale[l->index] = NULL;
        if (!done)
            continue;
        free(k->hat[l->index]);
        k->hat[l->index] = NULL;
    }
}

static int run_layer(walk *k, int layer, bg_err *e)
{
    int status = bg_model_load_layer(k->base, layer, e);
    for (int first = 0, end; !status && first < k->n; first = end) {
        end = family_end(k, first);
        status = change_layer(k, layer, first, end, e);
        for (int i = first; !status && i < end; i++) {
            if (!k->v[i].skipped && !k->v[i].candidate)
                status = run_trial(k, layer, i, e);
            bg_progress_step(&k->progress, 1);
        }
        forget(k, layer, 0);
    }
    forget(k, layer, 1);
    if (!status)
        status = bg_model_layer(k->base, layer, &k->batch, NULL, k->base_h, k->work, e);
    bg_model_drop_layer(k->base, layer);
    return status;
}

/* ---- embedding and output matrix ---- */

static int change_outer(walk *k, int i, bg_err *e)
{
    bg_trial *v = &k->v[i];
    const bg_linear *outer[] = {&k->base->embed, &k->base->head};
    int status = BG_OK;
    for (int j = 0; !status && j < (k->base->config.tied ? 1 : 2); j++) {
        if (v->skipped || !bg_trial_changes(v, outer[j]))
            continue;
        bg_measure measure;
        distance d = {0, 0};
        status = change(k, v, outer[j], &k->outer_hat[2 * i + j], &measure, &d, e);
        if (!status && measure.skipped)
            skip(v, measure.skipped, outer[j]);
        else if (!status)
            account(v, outer[j], &measure, &d);
    }
    if (status || v->skipped || !k->outer_hat[2 * i])
        return status;
    size_t bytes = (size_t)(k->tokens * k->base->config.hidden) * sizeof(float);
    if (!(k->h[i] = malloc(bytes)))
        return bg_no_memory(e, "hidden states", bytes);
    memset(k->chosen, 0, (size_t)(k->base->n_linears + 2) * sizeof *k->chosen);
    k->chosen[k->base->embed.index] = k->outer_hat[2 * i];
    return bg_model_embed(k->base, &k->batch, &(bg_pass){.weights = k->chosen}, k->h[i], e);
}

/* ---- another checkpoint ---- */

static int compare_weights(bg_model *base, const bg_linear *other, bg_trial *v, bg_err *e)
{
    const bg_linear *l = bg_model_find(base, other->name);
    if (!l || l->layer < 0 || l->out != other->out || l->in != other->in)
        return BG_OK;
    distance d = {0, 0};
    int status = distance_of(l->w, other->w, l->out * l->in, &d, e);
    bg_measure m = {.rate_bits = 8.0 * (double)bg_tensor_bytes(other->tensor) / (double)(l->out * l->in)};
    if (!status)
        account(v, l, &m, &d);
    return status;
}

static int run_candidate(walk *k, int i, bg_err *e)
{
    bg_trial *v = &k->v[i];
    bg_model *m = v->candidate;
    bg_workspace *w = NULL;
    size_t bytes = (size_t)(k->tokens * m->config.hidden) * sizeof(float);
    if (m->config.vocab != k->base->config.vocab)
        return bg_fail(e, BG_INPUT, "%s: a vocabulary of %d, the base has %d: their logits cannot be compared",
                       m->ckpt->title, m->config.vocab, k->base->config.vocab);
    int status = bg_model_check(m, &k->batch, e);
    if (!status)
        status = bg_workspace_for(m, &k->batch, &w, e);
    if (!status)
        status = bg_model_load_outer(m, e);
    if (!status && !(k->h[i] = malloc(bytes)))
        status = bg_no_memory(e, "hidden states", bytes);
    if (!status)
        status = bg_model_embed(m, &k->batch, NULL, k->h[i], e);
    for (int l = 0; !status && l < m->config.layers; l++) {
        status = bg_model_load_layer(m, l, e);
        if (!status && l < k->base->config.layers)
            status = bg_model_load_layer(k->base, l, e);
        for (int j = 0; !status && j < m->layers[l].n_linears; j++)
            status = compare_weights(k->base, &m->linears[m->layers[l].first + j], v, e);
        if (l < k->base->config.layers)
            bg_model_drop_layer(k->base, l);
        if (!status)
            status = bg_model_layer(m, l, &k->batch, NULL, k->h[i], w, e);
        bg_model_drop_layer(m, l);
    }
    bg_workspace_close(w);
    return status;
}

/* ---- logits, a block of rows at a time ---- */

/* The token after row `at` of the corpus; −1 at the end of a sequence. ends[at] marks those. */
static int32_t next_token(const walk *k, const unsigned char *ends, int64_t at)
{
    return ends[at] ? -1 : k->text->ids[at + 1];
}

static int trial_logits(walk *k, int i, int64_t first, int64_t n, float *logits, bg_err *e)
{
    bg_trial *v = &k->v[i];
    const bg_model *m = v->candidate ? v->candidate : k->base;
    memset(k->chosen, 0, (size_t)(k->base->n_linears + 2) * sizeof *k->chosen);
    if (k->outer_hat[2 * i]) {
        k->chosen[k->base->embed.index] = k->outer_hat[2 * i];
        if (!k->base->config.tied)
            k->chosen[k->base->head.index] = k->outer_hat[2 * i + 1];
    }
    bg_pass pass = {.precision = v->precision, .weights = v->candidate ? NULL : k->chosen};
    const float *h = (k->h[i] ? k->h[i] : k->base_h) + first * m->config.hidden;
    if (!v->candidate)
        return bg_model_logits(m, &pass, h, n, logits, k->work, e);
    bg_workspace *w = NULL;
    int status = bg_workspace_open(m, n, 1, &w, e);
    if (!status)
        status = bg_model_logits(m, &pass, h, n, logits, w, e);
    bg_workspace_close(w);
    return status;
}

static int compare_logits(walk *k, const unsigned char *ends, bg_err *e)
{
    int64_t rows = bg_model_logit_rows(k->base, k->work), vocab = k->base->config.vocab;
    float *base = malloc((size_t)(rows * vocab) * sizeof *base),
          *other = malloc((size_t)(rows * vocab) * sizeof *other);
    double *p = malloc((size_t)(rows * vocab) * sizeof *p);
    bg_prediction *row = malloc((size_t)rows * sizeof *row);
    int status = BG_OK;
    if (!base || !other || !p || !row)
        status = bg_no_memory(e, "logits", (unsigned long long)(rows * vocab) * 16);
    for (int64_t first = 0; !status && first < k->tokens; first += rows) {
        int64_t n = k->tokens - first < rows ? k->tokens - first : rows;
        status = bg_model_logits(k->base, NULL, k->base_h + first * k->base->config.hidden, n, base, k->work, e);
#pragma omp parallel for schedule(static)
        for (int64_t r = 0; r < n; r++)
            bg_prediction_read(base + r * vocab, vocab, p + r * vocab, &row[r]);
        for (int i = 0; !status && i < k->n; i++) {
            if (k->v[i].skipped)
                continue;
            status = trial_logits(k, i, first, n, other, e);
            bg_token *out = k->v[i].tokens + first;
#pragma omp parallel for schedule(static)
            for (int64_t r = 0; r < n; r++)
                out[r] = bg_prediction_compare(base + r * vocab, p + r * vocab, &row[r], other + r * vocab, vocab,
                                               next_token(k, ends, first + r));
        }
    }
    free(base);
    free(other);
    free(p);
    free(row);
    return status;
}

/* ---- the walk ---- */

static int prepare(walk *k, bg_err *e)
{
    size_t slots = (size_t)k->base->n_linears + 2, n = (size_t)k->n;
    size_t bytes = (size_t)(k->tokens * k->base->config.hidden) * sizeof(float);
    k->base_h = malloc(bytes);
    k->h = calloc(n, sizeof *k->h);
    k->hat = calloc(slots, sizeof *k->hat);
    k->scale = calloc(slots, sizeof *k->scale);
    k->outer_hat = calloc(2 * n, sizeof *k->outer_hat);
    k->chosen = calloc(slots, sizeof *k->chosen);
    k->energy = malloc(slots * sizeof *k->energy);
    if (!k->base_h || !k->h || !k->hat || !k->scale || !k->outer_hat || !k->chosen || !k->energy)
        return bg_no_memory(e, "hidden states", bytes);
    for (size_t i = 0; i < slots; i++)
        k->energy[i] = -1;
    for (int i = 0; i < k->n; i++) {
        k->v[i].relative = calloc(slots, sizeof(double));
        k->v[i].tokens = calloc((size_t)k->tokens, sizeof(bg_token));
        if (!k->v[i].relative || !k->v[i].tokens)
            return bg_no_memory(e, "results", (unsigned long long)k->tokens * sizeof(bg_token));
    }
    int status = bg_model_check(k->base, &k->batch, e);
    if (!status)
        status = bg_workspace_for(k->base, &k->batch, &k->work, e);
    if (!status)
        status = bg_model_load_outer(k->base, e);
    return status ? status : bg_model_embed(k->base, &k->batch, NULL, k->base_h, e);
}

static void release(walk *k)
{
    for (int i = 0; k->h && i < k->n; i++)
        free(k->h[i]);
    for (int i = 0; k->hat && i < k->base->n_linears + 2; i++)
        free(k->hat[i]);
    for (int i = 0; k->scale && i < k->base->n_linears + 2; i++)
        free(k->scale[i]);
    for (int i = 0; k->outer_hat && i < 2 * k->n; i++)
        free(k->outer_hat[i]);
    free(k->base_h);
    free(k->h);
    free(k->hat);
    free(k->scale);
    free(k->outer_hat);
    free(k->chosen);
    free(k->energy);
    bg_workspace_close(k->work);
}

static int walk_together(walk *k, const unsigned char *ends, bg_err *e)
{
    bg_progress_begin(&k->progress, "functional error", (unsigned long long)k->n * (unsigned)k->base->config.layers);
    int status = prepare(k, e);
    for (int i = 0; !status && i < k->n; i++) {
        if (k->v[i].candidate)
            status = run_candidate(k, i, e);
        else if (k->v[i].embeddings)
            status = change_outer(k, i, e);
    }
    for (int l = 0; !status && l < k->base->config.layers; l++)
        status = run_layer(k, l, e);
    if (!status)
        status = compare_logits(k, ends, e);
    bg_sequences sequences = {k->text->lengths, k->text->sequences};
    for (int i = 0; !status && i < k->n; i++)
        if (!k->v[i].skipped)
            status = bg_information_of(k->v[i].tokens, k->tokens, &sequences, &k->v[i].info, e);
    release(k);
    bg_progress_end(&k->progress);
    return status;
}

int bg_functional_run(bg_model *base, const bg_corpus *t, bg_trial *v, int n, const bg_functional_options *o, bg_err *e)
{
    int64_t at = 0;
    int status = BG_OK;
    unsigned char *ends = calloc((size_t)t->n + 1, 1);
    if (!ends)
        return bg_no_memory(e, "text", (unsigned long long)t->n);
    for (int i = 0; i < t->sequences; i++)
        ends[(at += t->lengths[i]) - 1] = 1;
    uint64_t budget = o->hidden_bytes ? o->hidden_bytes : default_budget;
    uint64_t each = (uint64_t)at * (uint64_t)base->config.hidden * sizeof(float);
    int together = budget / each < 3 ? 1 : budget / each - 1 > (uint64_t)n ? n : (int)(budget / each) - 1;
    for (int first = 0; !status && first < n; first += together) {
        walk k = {.base = base,
                  .text = t,
                  .o = o,
                  .tokens = at,
                  .v = v + first,
                  .n = n - first < together ? n - first : together,
                  .batch = {.ids = t->ids, .lengths = t->lengths, .n = t->sequences}};
        status = walk_together(&k, ends, e);
    }
    free(ends);
    return status;
}

void bg_trials_free(bg_trial *v, int n)
{
    for (int i = 0; v && i < n; i++) {
        free(v[i].relative);
        free(v[i].tokens);
        v[i].relative = NULL;
        v[i].tokens = NULL;
    }
}
