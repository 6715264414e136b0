/* Owns writing an evaluation: the document, and the same rows as CSV and as a Markdown table. */
#include "analysis/output/evaluation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/documents/document.h"

/* Every figure of a row, once: the document, the CSV and the Markdown table are printed from this list. */
typedef struct column {
    const char *field;
    const char *heading; /* in the Markdown table; NULL: not shown there */
    int digits;          /* there */
    double (*of)(const bg_evaluation_row *r, const bg_evaluation_row *base);
} column;

#define OF(name, expression)                                                                                           \
    static double name(const bg_evaluation_row *r, const bg_evaluation_row *base)                                      \
    {                                                                                                                  \
        (void)base;                                                                                                    \
        return expression;                                                                                             \
    }
#define NONE ((double)NAN)

static double loss_field(const bg_evaluation_row *r, bg_convention c, int se)
{
    return !r->loss[c].tokens ? NONE : se ? r->loss[c].perplexity_se : r->loss[c].perplexity;
}

static const bg_evaluation_kind *all_kinds(const bg_evaluation_row *r)
{
    return r->n_kinds ? &r->kinds[r->n_kinds - 1] : NULL;
}

static double share(int right, int items)
{
    return items ? (double)right / items : NONE;
}

static double choice_share(const bg_evaluation_row *r)
{
    const bg_evaluation_kind *k = all_kinds(r);
    return k ? share(k->choice_right, k->choice_items) : NONE;
}

static double drift_mean(const bg_evaluation_row *r, double (*of)(const bg_evaluation_drift *d))
{
    double sum = 0;
    for (int i = 0; i < r->n_drift; i++)
        sum += of(&r->drift[i]);
    return r->n_drift ? sum / r->n_drift : NONE;
}

static double drift_first(const bg_evaluation_drift *d)
{
    return (double)d->first_difference;
}

static double drift_edits(const bg_evaluation_drift *d)
{
    return d->units ? (double)d->edits / (double)d->units : 0;
}

static double drift_rouge(const bg_evaluation_drift *d)
{
    return d->rouge_l;
}

static double drift_same(const bg_evaluation_drift *d)
{
    return !d->edits;
}

static double speed_field(const bg_evaluation_row *r, double value)
{
    return r->speed.runs && value > 0 ? value : NONE;
}

OF(rate_bits, r->rate_bits)
OF(model_bits, r->model_bits)
OF(bytes, r->bytes)
OF(compression, r->bytes > 0 ? base->bytes / r->bytes : NONE)
OF(quantize_seconds, r->quantize_seconds)
OF(mse, r->mse)
OF(perplexity, loss_field(r, BG_WINDOWS, 0))
OF(perplexity_se, loss_field(r, BG_WINDOWS, 1))
OF(change, r->log_change)
OF(change_se, r->log_change_se)
OF(bits_per_byte, r->bits_per_byte)
OF(llama_cpp, loss_field(r, BG_LLAMA_CPP, 0))
OF(llama_cpp_se, loss_field(r, BG_LLAMA_CPP, 1))
OF(strided, loss_field(r, BG_STRIDED, 0))
OF(strided_se, loss_field(r, BG_STRIDED, 1))
OF(tokens, r->loss[BG_WINDOWS].tokens ? (double)r->loss[BG_WINDOWS].tokens : NONE)
OF(qa_items, r->n_kinds ? all_kinds(r)->items : NONE)
OF(qa_accuracy, choice_share(r))
OF(qa_accuracy_se, r->n_kinds ? sqrt(choice_share(r) * (1 - choice_share(r)) / all_kinds(r)->choice_items) : NONE)
OF(qa_greedy, r->n_kinds ? share(all_kinds(r)->greedy_right, all_kinds(r)->items) : NONE)
OF(prompt_rate, speed_field(r, r->speed.prompt_rate.median))
OF(prompt_rate_least, speed_field(r, r->speed.prompt_rate.min))
OF(prompt_rate_most, speed_field(r, r->speed.prompt_rate.max))
OF(rate, speed_field(r, r->speed.rate.median))
OF(rate_least, speed_field(r, r->speed.rate.min))
OF(rate_most, speed_field(r, r->speed.rate.max))
OF(latency, speed_field(r, r->speed.latency.median))
OF(latency_least, speed_field(r, r->speed.latency.min))
OF(latency_most, speed_field(r, r->speed.latency.max))
OF(peak, r->peak_bytes ? (double)r->peak_bytes : NONE)
OF(cache, r->speed.cache_bytes ? (double)r->speed.cache_bytes : NONE)
OF(first_difference, drift_mean(r, drift_first))
OF(same_texts, drift_mean(r, drift_same))
OF(edit_distance, drift_mean(r, drift_edits))
OF(bleu, r->n_drift ? r->bleu : NONE)
OF(rouge_l, drift_mean(r, drift_rouge))

static const column columns[] = {
    {"rate_bits", "bits/weight", 3, rate_bits},
    {"model_bits", NULL, 3, model_bits},
    {"bytes", "bytes", 0, bytes},
    {"compression", "compression", 2, compression},
    {"quantize_seconds", "quantizing (s)", 2, quantize_seconds},
    {"weight_mse", NULL, 0, mse},
    {"perplexity", "perplexity", 4, perplexity},
    {"perplexity_se", "±", 4, perplexity_se},
    {"log_perplexity_change", "Δ ln perplexity", 5, change},
    {"log_perplexity_change_se", "±", 5, change_se},
    {"bits_per_byte", "bits/byte", 4, bits_per_byte},
    {"perplexity_llama_cpp", NULL, 4, llama_cpp},
    {"perplexity_llama_cpp_se", NULL, 4, llama_cpp_se},
    {"perplexity_strided", NULL, 4, strided},
    {"perplexity_strided_se", NULL, 4, strided_se},
    {"scored_tokens", NULL, 0, tokens},
    {"qa_items", NULL, 0, qa_items},
    {"qa_accuracy", "QA choice", 3, qa_accuracy},
    {"qa_accuracy_se", NULL, 3, qa_accuracy_se},
    {"qa_greedy_accuracy", "QA greedy", 3, qa_greedy},
    {"prompt_tokens_per_second", "prompt tokens/s", 0, prompt_rate},
    {"prompt_tokens_per_second_least", NULL, 0, prompt_rate_least},
    {"prompt_tokens_per_second_most", NULL, 0, prompt_rate_most},
    {"tokens_per_second", "tokens/s", 1, rate},
    {"tokens_per_second_least", NULL, 1, rate_least},
    {"tokens_per_second_most", NULL, 1, rate_most},
    {"ms_per_token", "ms/token", 2, latency},
    {"ms_per_token_least", NULL, 2, latency_least},
    {"ms_per_token_most", NULL, 2, latency_most},
    {"peak_bytes", "peak bytes", 0, peak},
    {"cache_bytes", NULL, 0, cache},
    {"first_difference", "first difference", 1, first_difference},
    {"same_texts", NULL, 3, same_texts},
    {"edit_distance", "edits/token", 3, edit_distance},
    {"bleu", "BLEU", 3, bleu},
    {"rouge_l", "ROUGE-L", 3, rouge_l},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

/* ---- the document ---- */

static void write_settings(bg_doc *d, const bg_evaluation *v, const bg_evaluation_options *o)
{
    bg_doc_section(d, "settings");
    bg_doc_row(d);
    bg_doc_string(d, "base_model", v->n ? v->rows[0].model : "-");
    bg_doc_integer(d, "context", o->context);
    bg_doc_integer(d, "stride", o->stride);
    bg_doc_integer(d, "windows", o->windows);
    if (v->n && v->rows[0].token_hash[0])
        bg_doc_string(d, "tokens_sha256", v->rows[0].token_hash);
    bg_doc_integer(d, "prompts", o->prompts);
    bg_doc_integer(d, "prompt_tokens", o->prompt_tokens);
    bg_doc_integer(d, "new_tokens", o->new_tokens);
    bg_doc_integer(d, "repeats", o->repeats);
    bg_doc_row_end(d);
}

static void write_kinds(bg_doc *d, const bg_evaluation *v)
{
    bg_doc_section(d, "qa");
    for (int i = 0; i < v->n; i++)
        for (int k = 0; k < v->rows[i].n_kinds; k++) {
            const bg_evaluation_kind *kind = &v->rows[i].kinds[k];
            bg_doc_row(d);
            bg_doc_string(d, "model", v->rows[i].model);
            bg_doc_string(d, "spec", v->rows[i].spec);
            bg_doc_string(d, "kind", kind->kind);
            bg_doc_integer(d, "items", kind->items);
            bg_doc_number(d, "accuracy", share(kind->choice_right, kind->choice_items));
            bg_doc_number(d, "greedy_accuracy", share(kind->greedy_right, kind->items));
            bg_doc_row_end(d);
        }
}

static void write_drift(bg_doc *d, const bg_evaluation *v)
{
    bg_doc_section(d, "drift");
    for (int i = 0; i < v->n; i++)
        for (int k = 0; k < v->rows[i].n_drift; k++) {
            const bg_evaluation_drift *drift = &v->rows[i].drift[k];
            bg_doc_row(d);
            bg_doc_string(d, "model", v->rows[i].model);
            bg_doc_string(d, "spec", v->rows[i].spec);
            bg_doc_integer(d, "prompt", k);
            bg_doc_integer(d, "tokens", drift->n);
            bg_doc_integer(d, "first_difference", (int64_t)drift->first_difference);
            bg_doc_integer(d, "edits", (int64_t)drift->edits);
            bg_doc_number(d, "rouge_l", drift->rouge_l);
            bg_doc_string(d, "text", drift->text);
            bg_doc_row_end(d);
        }
}

static void write_imports(bg_doc *d, const bg_evaluation *v)
{
    bg_doc_section(d, "imported");
    for (int i = 0; i < v->n_imports; i++) {
        const bg_evaluation_import *m = &v->imports[i];
        bg_doc_row(d);
        bg_doc_string(d, "model", m->model);
        bg_doc_string(d, "task", m->task);
        bg_doc_string(d, "metric", m->metric);
        bg_doc_number(d, "value", m->value);
        bg_doc_number(d, "value_se", m->se);
        bg_doc_row_end(d);
    }
}

int bg_evaluation_write(const bg_evaluation *v, const bg_evaluation_options *o, const char *path,
                        const bg_provenance *p, bg_err *e)
{
    bg_doc d;
    int status = bg_doc_begin(&d, "evaluation", path, p, e);
    if (status)
        return status;
    write_settings(&d, v, o);
    bg_doc_section(&d, "rows");
    for (int i = 0; i < v->n; i++) {
        bg_doc_row(&d);
        bg_doc_string(&d, "model", v->rows[i].model);
        bg_doc_string(&d, "spec", v->rows[i].spec);
        for (int c = 0; c < COLUMNS; c++) {
            double value = columns[c].of(&v->rows[i], &v->rows[0]);
            if (isfinite(value))
                bg_doc_number(&d, columns[c].field, value);
        }
        if (v->rows[i].note)
            bg_doc_string(&d, "note", v->rows[i].note);
        bg_doc_row_end(&d);
    }
    write_kinds(&d, v);
    write_drift(&d, v);
    write_imports(&d, v);
    return bg_doc_commit(&d, e);
}

/* ---- tables ---- */

/* Imported figures become further columns: the first row of each (task, metric) heads one. */
static int heads_column(const bg_evaluation *v, int i)
{
    for (int k = 0; k < i; k++)
        if (!strcmp(v->imports[k].task, v->imports[i].task) && !strcmp(v->imports[k].metric, v->imports[i].metric))
            return 0;
    return 1;
}

/* The imported figure of a model for the column that import `head` heads; NaN. */
static double imported(const bg_evaluation *v, int head, const char *model)
{
    for (int k = head; k < v->n_imports; k++)
        if (!strcmp(v->imports[k].task, v->imports[head].task) &&
            !strcmp(v->imports[k].metric, v->imports[head].metric) && !strcmp(v->imports[k].model, model))
            return v->imports[k].value;
    return NONE;
}

/* A field with a comma, a quote or a line end is quoted (RFC 4180). */
static void csv_text(FILE *f, const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, f);
        return;
    }
    putc('"', f);
    for (; *s; s++) {
        if (*s == '"')
            putc('"', f);
        putc(*s, f);
    }
    putc('"', f);
}

static void csv_number(FILE *f, double value)
{
    putc(',', f);
    if (isfinite(value))
        fprintf(f, "%.17g", value);
}

int bg_evaluation_write_csv(const bg_evaluation *v, const char *path, bg_err *e)
{
    bg_out out = {0};
    int status = bg_out_open(&out, path, e);
    if (status)
        return status;
    fputs("model,spec", out.file);
    for (int c = 0; c < COLUMNS; c++)
        fprintf(out.file, ",%s", columns[c].field);
    for (int k = 0; k < v->n_imports; k++)
        if (heads_column(v, k)) {
            char name[256];
            snprintf(name, sizeof name, "%.120s %.120s", v->imports[k].task, v->imports[k].metric);
            putc(',', out.file);
            csv_text(out.file, name);
        }
    for (int i = 0; i < v->n; i++) {
        putc('\n', out.file);
        csv_text(out.file, v->rows[i].model);
        putc(',', out.file);
        csv_text(out.file, v->rows[i].spec);
        for (int c = 0; c < COLUMNS; c++)
            csv_number(out.file, columns[c].of(&v->rows[i], &v->rows[0]));
        for (int k = 0; k < v->n_imports; k++)
            if (heads_column(v, k))
                csv_number(out.file, imported(v, k, v->rows[i].model));
    }
    putc('\n', out.file);
    return bg_out_commit(&out, e);
}

/* A name inside a Markdown table: as code, with what would end the cell or the code taken out. */
static void markdown_text(FILE *f, const char *s)
{
    putc('`', f);
    for (; *s; s++)
        putc(*s == '`' || *s == '\n' || *s == '\r' ? ' ' : *s == '|' ? '/' : *s, f);
    putc('`', f);
}

static void markdown_number(FILE *f, double value, int digits)
{
    if (isfinite(value))
        fprintf(f, " %.*f |", digits, value);
    else
        fputs(" |", f);
}

/* A column nobody measured is left out. */
static int is_shown(const bg_evaluation *v, int c)
{
    for (int i = 0; i < v->n; i++)
        if (columns[c].heading && isfinite(columns[c].of(&v->rows[i], &v->rows[0])))
            return 1;
    return 0;
}

static void markdown_head(FILE *f, const bg_evaluation *v)
{
    int n = 0;
    fputs("| model | spec |", f);
    for (int c = 0; c < COLUMNS; c++)
        if (is_shown(v, c)) {
            fprintf(f, " %s |", columns[c].heading);
            n++;
        }
    for (int k = 0; k < v->n_imports; k++)
        if (heads_column(v, k)) {
            putc(' ', f);
            markdown_text(f, v->imports[k].task);
            putc(' ', f);
            markdown_text(f, v->imports[k].metric);
            fputs(" |", f);
            n++;
        }
    fputs("\n|---|---|", f);
    while (n--)
        fputs("---:|", f);
    putc('\n', f);
}

int bg_evaluation_write_markdown(const bg_evaluation *v, const char *path, bg_err *e)
{
    bg_out out = {0};
    int status = bg_out_open(&out, path, e);
    if (status)
        return status;
    markdown_head(out.file, v);
    for (int i = 0; i < v->n; i++) {
        fputs("| ", out.file);
        markdown_text(out.file, v->rows[i].model);
        fputs(" | ", out.file);
        markdown_text(out.file, v->rows[i].spec);
        fputs(" |", out.file);
        for (int c = 0; c < COLUMNS; c++)
            if (is_shown(v, c))
                markdown_number(out.file, columns[c].of(&v->rows[i], &v->rows[0]), columns[c].digits);
        for (int k = 0; k < v->n_imports; k++)
            if (heads_column(v, k))
                markdown_number(out.file, imported(v, k, v->rows[i].model), 4);
        putc('\n', out.file);
    }
    return bg_out_commit(&out, e);
}
