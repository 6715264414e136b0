/* Owns measuring the rows of an evaluation: one model at a time, as it is and under each spec. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/output/evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/output/text_drift.h"
#include "analysis/output/weight_replacement.h"
#include "io/base/file.h"
#include "quant/source/weights.h"

enum { TEXT_LIMIT = 1 << 30, CONTEXT_MOST = 2048 };

/* A model with what is measured on it. */
typedef struct subject {
    const char *path;
    bg_ckpt *ckpt;
    bg_model *model;
    bg_tokenizer *tokenizer;
    bg_calibration *calibration;
    bg_ids text;
    size_t text_bytes;
    const bg_qa *qa;
    bg_qa_answer *answers;
    bg_continuation *prompts;
    int32_t *generated; /* behind prompts[i].id */
    int n_prompts;
} subject;

static void subject_close(subject *s)
{
    free(s->answers);
    free(s->prompts);
    free(s->generated);
    bg_ids_free(&s->text);
    bg_tokenizer_close(s->tokenizer);
    bg_calibration_close(s->calibration);
    bg_model_close(s->model);
    bg_ckpt_close(s->ckpt);
}

static int read_text(subject *s, const char *path, bg_provenance *p, bg_err *e)
{
    char *text;
    int status = bg_file_read(path, TEXT_LIMIT, &text, &s->text_bytes, e);
    if (status)
        return status;
    status = s->text_bytes ? bg_tokenizer_encode(s->tokenizer, text, s->text_bytes, 0, &s->text, e)
                           : bg_fail(e, BG_INPUT, "%s: the text is empty", path);
    free(text);
    if (!status && s->text.replaced)
        bg_warn("%s: %zu invalid UTF-8 sequences were read as U+FFFD", path, s->text.replaced);
    return status ? status : bg_provenance_add(p, path, 0, e);
}

/* Excerpts of the text, evenly spaced; every model that shares the tokenizer goes on from the same. */
static int choose_prompts(subject *s, const bg_evaluation_options *o, bg_err *e)
{
    int length = o->prompt_tokens < (int)s->text.n ? o->prompt_tokens : (int)s->text.n;
    if (!o->prompts || !length)
        return BG_OK;
    if (length + o->new_tokens > bg_model_context(s->model))
        return bg_fail(e, BG_INPUT, "%s: %d prompt and %d new tokens do not fit the model's context of %d", s->path,
                       length, o->new_tokens, bg_model_context(s->model));
    s->n_prompts = o->prompts;
    s->prompts = calloc((size_t)s->n_prompts, sizeof *s->prompts);
    s->generated = malloc((size_t)s->n_prompts * (size_t)o->new_tokens * sizeof *s->generated);
    if (!s->prompts || !s->generated)
        return bg_no_memory(e, "prompts", (size_t)s->n_prompts * (size_t)o->new_tokens * sizeof *s->generated);
    for (int i = 0; i < s->n_prompts; i++)
        s->prompts[i] = (bg_continuation){
            .prompt = s->text.id + (s->text.n - (size_t)length) * (size_t)i / (size_t)s->n_prompts,
            .n_prompt = length,
            .id = s->generated + (size_t)i * (size_t)o->new_tokens,
            .max = o->new_tokens,
            .eos = bg_tokenizer_eos(s->tokenizer),
        };
    return BG_OK;
}

static int subject_open(subject *s, const bg_evaluation_options *o, bg_provenance *p, bg_err *e)
{
    int status = bg_weights_open(s->path, &(bg_ckpt_options){0}, &s->ckpt, e);
    if (!status)
        status = bg_ckpt_provenance(s->ckpt, p, e);
    if (!status)
        status = bg_model_open(s->ckpt, &s->model, e);
    if (!status)
        status = bg_model_load(s->model, e);
    if (!status && (o->text || o->qa))
        status = bg_tokenizer_open(s->ckpt->path, &s->tokenizer, e);
    if (!status && o->text)
        status = read_text(s, o->text, p, e);
    if (!status && o->calibration)
        status = bg_calibration_open(o->calibration, s->ckpt, &s->calibration, p, e);
    if (!status)
        status = choose_prompts(s, o, e);
    if (!status && s->qa) {
        s->answers = calloc((size_t)s->qa->n, sizeof *s->answers);
        if (!s->answers)
            status = bg_no_memory(e, "answers", (size_t)s->qa->n * sizeof *s->answers);
    }
    return status;
}

/* ---- the parts of a row ---- */

static int measure_losses(subject *s, const bg_pass *p, const bg_evaluation_options *o, bg_evaluation_row *row,
                          bg_err *e)
{
    int max = bg_model_context(s->model), context = o->context ? o->context : max < CONTEXT_MOST ? max : CONTEXT_MOST;
    int status = BG_OK;
    if (!s->text.n)
        return BG_OK;
    for (int c = 0; c < BG_CONVENTIONS && !status; c++) {
        if (!(o->conventions & 1u << c))
            continue;
        bg_loss_options lo = {.convention = (bg_convention)c,
                              .context = context,
                              .stride = o->stride ? o->stride : context / 2,
                              .windows = o->windows,
                              .bos = -1};
        if (c == BG_LLAMA_CPP) {
            bg_ids bos;
            lo.context = context < 512 ? context : 512;
            status = bg_tokenizer_encode(s->tokenizer, "", 0, 1, &bos, e);
            lo.bos = !status && bos.n ? bos.id[0] : -1;
            bg_ids_free(&bos);
        }
        if (!status)
            status = bg_loss_measure(s->model, p, s->text.id, (int64_t)s->text.n, &lo, &row->loss[c], e);
    }
    const bg_loss *l = &row->loss[BG_WINDOWS];
    if (!status && l->tokens)
        row->bits_per_byte = l->mean / log(2) * (double)s->text.n / (double)s->text_bytes;
    return status;
}

static int count_kind(bg_evaluation_row *row, const char *name, const bg_qa_item *item, const bg_qa_answer *a,
                      bg_err *e)
{
    int k = 0;
    while (k < row->n_kinds && strcmp(row->kinds[k].kind, name))
        k++;
    if (k == row->n_kinds) {
        void *more = realloc(row->kinds, (size_t)(k + 1) * sizeof *row->kinds);
        char *copy = strdup(name);
        row->kinds = more ? more : row->kinds;
        if (!more || !copy) {
            free(copy);
            return bg_no_memory(e, "kinds of questions", (size_t)(k + 1) * sizeof *row->kinds);
        }
        row->kinds[row->n_kinds++] = (bg_evaluation_kind){.kind = copy};
    }
    bg_evaluation_kind *kind = &row->kinds[k];
    kind->items++;
    kind->choice_items += item->n_choices > 0;
    kind->choice_right += a->choice_right;
    kind->greedy_right += a->greedy_right;
    return BG_OK;
}

static int measure_qa(subject *s, const bg_pass *p, bg_evaluation_row *row, bg_err *e)
{
    if (!s->qa)
        return BG_OK;
    int status = bg_qa_run(s->model, p, s->tokenizer, s->qa, s->answers, e);
    for (int all = 0; all < 2; all++)
        for (int i = 0; i < s->qa->n && !status; i++)
            status = count_kind(row, all ? "all" : s->qa->items[i].kind, &s->qa->items[i], &s->answers[i], e);
    return status;
}

/* First difference and edits of tokens, or of words where the base was made by another tokenizer; BLEU and ROUGE-L of
 * words, as they are defined. */
static int compare_texts(const bg_evaluation_drift *base, int same_tokens, bg_evaluation_drift *d, bg_bleu *bleu,
                         bg_err *e)
{
    int32_t *a, *b;
    size_t n_a, n_b;
    int status = bg_words(base->text, d->text, &a, &n_a, &b, &n_b, e);
    if (status)
        return status;
    bg_bleu_add(bleu, a, n_a, b, n_b);
    status = bg_rouge_l(a, n_a, b, n_b, &d->rouge_l, e);
    const int32_t *x = same_tokens ? base->id : a, *y = same_tokens ? d->id : b;
    size_t n_x = same_tokens ? (size_t)base->n : n_a, n_y = same_tokens ? (size_t)d->n : n_b;
    d->units = n_y;
    d->first_difference = bg_first_difference(x, n_x, y, n_y);
    if (!status)
        status = bg_edit_distance(x, n_x, y, n_y, &d->edits, e);
    free(a);
    free(b);
    return status;
}

static int keep_generated(const subject *s, const bg_continuation *c, bg_evaluation_drift *d, bg_err *e)
{
    size_t length;
    d->n = c->n;
    d->id = malloc(((size_t)c->n + 1) * sizeof *d->id);
    if (!d->id)
        return bg_no_memory(e, "generated tokens", (size_t)c->n * sizeof *d->id);
    memcpy(d->id, c->id, (size_t)c->n * sizeof *d->id);
    return bg_tokenizer_decode(s->tokenizer, c->id, (size_t)c->n, 0, &d->text, &length, e);
}

static int measure_speed(subject *s, const bg_pass *p, const bg_evaluation_options *o, const bg_evaluation_row *base,
                         bg_evaluation_row *row, bg_err *e)
{
    if (!s->n_prompts)
        return BG_OK;
    bg_bleu bleu = {0};
    int status = bg_speed_measure(s->model, p, s->prompts, s->n_prompts, o->repeats, &row->speed, e);
    row->drift = calloc((size_t)s->n_prompts, sizeof *row->drift);
    if (!status && !row->drift)
        status = bg_no_memory(e, "generated texts", (size_t)s->n_prompts * sizeof *row->drift);
    row->n_drift = row->drift ? s->n_prompts : 0;
    int same = base && !strcmp(base->token_hash, row->token_hash);
    for (int i = 0; i < row->n_drift && !status; i++) {
        bg_evaluation_drift *d = &row->drift[i];
        status = keep_generated(s, &s->prompts[i], d, e);
        if (!status)
            status = compare_texts(base && i < base->n_drift ? &base->drift[i] : d, same || !base, d, &bleu, e);
    }
    row->bleu = bg_bleu_score(&bleu);
    return status;
}

/* ---- rows ---- */

static double linear_count(const bg_model *m, double *bytes)
{
    double count = 0;
    *bytes = 0;
    for (int i = 0; i < m->n_linears; i++) {
        count += (double)m->linears[i].out * (double)m->linears[i].in;
        *bytes += (double)bg_tensor_bytes(m->linears[i].tensor);
    }
    return count;
}

static int new_row(bg_evaluation *v, const char *model, const char *spec, bg_evaluation_row **row, bg_err *e)
{
    void *more = realloc(v->rows, (size_t)(v->n + 1) * sizeof *v->rows);
    if (!more)
        return bg_no_memory(e, "rows", (size_t)(v->n + 1) * sizeof *v->rows);
    v->rows = more;
    *row = &v->rows[v->n++];
    **row = (bg_evaluation_row){.mse = (double)NAN,
                                .bits_per_byte = (double)NAN,
                                .log_change = (double)NAN,
                                .log_change_se = (double)NAN,
                                .quantize_seconds = (double)NAN,
                                .bleu = (double)NAN};
    (*row)->model = strdup(model);
    (*row)->spec = strdup(spec);
    return (*row)->model && (*row)->spec ? BG_OK : bg_no_memory(e, "rows", strlen(model));
}

/* What the row's weights cost: a variant changes the layers' share of the file. */
static int set_cost(const subject *s, const bg_replace *variant, bg_evaluation_row *row, bg_err *e)
{
    double stored, count = linear_count(s->model, &stored);
    double bits = variant ? variant->bits : 8 * stored;
    row->rate_bits = count ? bits / count : 0;
    row->bytes = ceil((double)s->ckpt->file_bytes - stored + bits / 8);
    row->model_bits = 8 * row->bytes / s->model->parameters;
    if (!variant)
        return BG_OK;
    row->mse = variant->count ? variant->sse / variant->count : 0;
    if (variant->skipped) {
        char note[256];
        snprintf(note, sizeof note, "%d of %d layers kept their weights: %s", variant->skipped, s->model->n_linears,
                 variant->reason);
        row->note = strdup(note);
        return row->note ? BG_OK : bg_no_memory(e, "rows", sizeof note);
    }
    return BG_OK;
}

static int measure_row(subject *s, const bg_spec *spec, const bg_evaluation_options *o, bg_evaluation *v, bg_err *e)
{
    bg_evaluation_row *row = NULL;
    bg_replace variant = {0};
    bg_pass pass = {0};
    bg_peak_reset();
    int status = new_row(v, s->ckpt->title, spec ? spec->text : "none", &row, e);
    if (!status && s->text.n) {
        bg_sha256 hash = bg_sha256_of(s->text.id, s->text.n * sizeof *s->text.id);
        memcpy(row->token_hash, hash.hex, sizeof hash.hex);
    }
    if (!status && spec) {
        double began = bg_now();
        status = bg_replace_make(s->model, spec, s->calibration, o->seed, &variant, e);
        row->quantize_seconds = bg_now() - began;
        pass = bg_replace_pass(&variant);
    }
    if (!status)
        status = set_cost(s, spec ? &variant : NULL, row, e);
    if (!status)
        status = measure_losses(s, &pass, o, row, e);
    if (!status)
        status = measure_qa(s, &pass, row, e);
    if (!status)
        status = measure_speed(s, &pass, o, v->n > 1 ? &v->rows[0] : NULL, row, e);
    if (!status) {
        row->peak_bytes = bg_peak_bytes();
        if (!strcmp(v->rows[0].token_hash, row->token_hash))
            bg_loss_compare(&v->rows[0].loss[BG_WINDOWS], &row->loss[BG_WINDOWS], &row->log_change,
                            &row->log_change_se);
    }
    bg_replace_free(&variant);
    return status && spec ? bg_context(e, "%s", spec->text) : status;
}

int bg_evaluate_model(const char *path, const bg_spec *specs, int n_specs, const bg_evaluation_options *o,
                      bg_evaluation *out, bg_provenance *p, bg_err *e)
{
    subject s = {.path = path};
    bg_qa qa = {0};
    int status = o->qa ? bg_qa_read(o->qa, &qa, e) : BG_OK;
    if (!status && o->qa)
        status = bg_provenance_add(p, o->qa, 0, e);
    s.qa = o->qa ? &qa : NULL;
    if (!status)
        status = subject_open(&s, o, p, e);
    for (int i = -1; i < n_specs && !status; i++)
        status = measure_row(&s, i < 0 ? NULL : &specs[i], o, out, e);
    subject_close(&s);
    bg_qa_free(&qa);
    return status;
}

void bg_evaluation_free(bg_evaluation *v)
{
    for (int i = 0; i < v->n; i++) {
        bg_evaluation_row *r = &v->rows[i];
        for (int c = 0; c < BG_CONVENTIONS; c++)
            bg_loss_free(&r->loss[c]);
        for (int k = 0; k < r->n_kinds; k++)
            free(r->kinds[k].kind);
        for (int k = 0; k < r->n_drift; k++) {
            free(r->drift[k].text);
            free(r->drift[k].id);
        }
        free(r->kinds);
        free(r->drift);
        free(r->model);
        free(r->spec);
        free(r->note);
    }
    for (int i = 0; i < v->n_imports; i++) {
        free(v->imports[i].model);
        free(v->imports[i].task);
        free(v->imports[i].metric);
    }
    free(v->rows);
    free(v->imports);
    *v = (bg_evaluation){0};
}
