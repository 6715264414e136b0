/* bitgap logits: what quantizers do to a model's predictions, all specs and checkpoints in one walk over the text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/calibration.h"
#include "analysis/functional.h"
#include "analysis/linearity.h"
#include "io/opt.h"

enum {
    WINDOWS = 16,          /* of the text, unless --windows says otherwise */
    CONTEXT = 512,
    SHORT_TOKENS = 2048,   /* of the text for the noise floor and the coefficients of linearity */
};
static const double linearity_step = 0.05, linearity_tolerance = 0.25;

/* Everything a run holds. */
typedef struct job {
    const bg_args *a;
    bg_ckpt *ckpt, **others;
    bg_model *base, **candidates;
    int n_candidates;
    bg_corpus text, part; /* part: its first sequences, borrowed */
    bg_spec *specs;
    int n_specs;
    bg_trial *v; /* [n]: the specs' families, then the candidates */
    int n;
    bg_trial noise[2];
    bg_linearity linearity;
    bg_functional_options options;
    int64_t activation_bits;
    double activation_keep;
    bg_calibration *calibration;
} job;

/* ---- input ---- */

static int open_models(job *j, bg_provenance *p, bg_err *e)
{
    int words = bg_args_words(j->a), status = BG_OK;
    j->others = calloc((size_t)words, sizeof *j->others);
    j->candidates = calloc((size_t)words, sizeof *j->candidates);
    if (!j->others || !j->candidates)
        return bg_no_memory(e, "models", (unsigned long long)words * sizeof *j->others);
    for (int i = 0; !status && i < words; i++) {
        bg_ckpt **c = i ? &j->others[j->n_candidates] : &j->ckpt;
        bg_model **m = i ? &j->candidates[j->n_candidates] : &j->base;
        status = bg_ckpt_open(bg_args_word(j->a, i), &(bg_ckpt_options){0}, c, e);
        j->n_candidates += i > 0;
        if (!status)
            status = bg_ckpt_provenance(*c, p, e);
        if (!status)
            status = bg_model_open(*c, m, e);
    }
    return status;
}

static int read_text(job *j, bg_provenance *p, bg_err *e)
{
    int64_t context = CONTEXT, windows = WINDOWS;
    if (bg_model_context(j->base) < context)
        context = bg_model_context(j->base);
    int status = bg_arg_integer(j->a, "context", 2, INT32_MAX, &context, e);
    if (!status)
        status = bg_arg_integer(j->a, "windows", 0, INT32_MAX, &windows, e);
    if (status)
        return status;
    if (bg_arg(j->a, "text")) {
        status = bg_corpus_read(j->ckpt, bg_arg(j->a, "text"), 0, &j->text, p, e);
        if (!status)
            status = bg_corpus_cut(&j->text, (int)context, windows, e);
    } else {
        status = bg_corpus_sentences(j->ckpt, &j->text, e);
    }
    j->part = j->text;
    int64_t tokens = 0;
    for (j->part.sequences = 0; j->part.sequences < j->text.sequences; j->part.sequences++) {
        if (tokens && tokens + j->text.lengths[j->part.sequences] > SHORT_TOKENS)
            break;
        tokens += j->text.lengths[j->part.sequences];
    }
    j->part.n = tokens;
    return status;
}

/* ---- trials: each spec on all tensors, then, as asked, on one layer, role or tensor at a time ---- */

static int has_role(const bg_model *m, const char *group)
{
    for (int i = 0; i < m->n_linears; i++)
        if (!strcmp(m->linears[i].tensor->group, group))
            return 1;
    return 0;
}

/* The roles of layer 0 are those of all layers. */
static int roles_of(const bg_model *m, const char *roles[BG_LINEARS])
{
    int n = 0;
    for (int i = 0; i < BG_LINEARS; i++)
        if (m->layers[0].linear[i] && has_role(m, m->layers[0].linear[i]->tensor->group))
            roles[n++] = m->layers[0].linear[i]->tensor->group;
    return n;
}

static void add(job *j, const bg_spec *s, int layer, const char *group)
{
    j->v[j->n++] = (bg_trial){.spec = s, .layer = layer, .group = group, .activation_bits = (int)j->activation_bits,
                              .activation_keep = (float)j->activation_keep,
                              .embeddings = layer < 0 && !group && bg_arg_given(j->a, "embeddings")};
}

static int make_trials(job *j, bg_err *e)
{
    const char *roles[BG_LINEARS];
    int n_roles = roles_of(j->base, roles), layers = j->base->config.layers;
    size_t most = (size_t)j->n_specs * (size_t)(1 + layers + n_roles + layers * n_roles) + (size_t)j->n_candidates;
    j->v = calloc(most ? most : 1, sizeof *j->v);
    if (!j->v)
        return bg_no_memory(e, "trials", most * sizeof *j->v);
    for (int s = 0; s < j->n_specs; s++) {
        add(j, &j->specs[s], -1, NULL);
        for (int l = 0; bg_arg_given(j->a, "per-layer") && l < layers; l++)
            add(j, &j->specs[s], l, NULL);
        for (int r = 0; bg_arg_given(j->a, "per-group") && r < n_roles; r++)
            add(j, &j->specs[s], -1, roles[r]);
        for (int i = 0; bg_arg_given(j->a, "per-tensor") && i < layers * n_roles; i++)
            add(j, &j->specs[s], i / n_roles, roles[i % n_roles]);
    }
    for (int i = 0; i < j->n_candidates; i++)
        j->v[j->n++] = (bg_trial){.candidate = j->candidates[i], .layer = -1};
    return BG_OK;
}

static int measure(job *j, bg_err *e)
{
    int status = bg_functional_run(j->base, &j->text, j->v, j->n, &j->options, e);
    if (!status && !bg_arg_given(j->a, "no-noise")) {
        j->noise[0] = (bg_trial){.precision = BG_FLOAT64, .layer = -1};
        j->noise[1] = (bg_trial){.precision = BG_BFLOAT16, .layer = -1};
        status = bg_functional_run(j->base, &j->part, j->noise, 2, &j->options, e);
    }
    if (!status && bg_arg_given(j->a, "linearity"))
        status = bg_linearity_measure(j->base, &j->part, linearity_step, &j->options, &j->linearity, e);
    return status;
}

/* ---- output ---- */

static const char *spec_name(const bg_trial *v)
{
    return v->candidate ? v->candidate->ckpt->title : v->spec->text;
}

static void write_text(bg_doc *d, const job *j)
{
    int longest = 0;
    int64_t scored = 0;
    for (int i = 0; i < j->text.sequences; i++) {
        longest = j->text.lengths[i] > longest ? j->text.lengths[i] : longest;
        scored += j->text.lengths[i] - 1;
    }
    bg_doc_section(d, "texts");
    bg_doc_row(d);
    bg_doc_string(d, "text", bg_arg(j->a, "text") ? bg_path_base(bg_arg(j->a, "text")) : "built-in sentences");
    bg_doc_integer(d, "tokens", j->text.n);
    bg_doc_integer(d, "scored", scored);
    bg_doc_integer(d, "sequences", j->text.sequences);
    bg_doc_integer(d, "context", longest);
    bg_doc_string(d, "token_sha256", bg_corpus_hash(&j->text).hex);
    bg_doc_integer(d, "replaced", (int64_t)j->text.replaced);
    for (int i = 0; i < j->n; i++) {
        if (j->v[i].skipped)
            continue;
        const bg_mean *nll = &j->v[i].info.nll_base;
        bg_doc_number(d, "perplexity", exp(nll->mean));
        bg_doc_number(d, "perplexity_se", exp(nll->mean) * nll->se);
        break;
    }
    bg_doc_row_end(d);
}

static void write_information(bg_doc *d, const bg_information *x)
{
    bg_doc_number(d, "logits_mse", x->squared.mean);
    bg_doc_number(d, "logits_mse_se", x->squared.se);
    bg_doc_number(d, "kl_mean", x->kl.mean);
    bg_doc_number(d, "kl_se", x->kl.se);
    bg_doc_number(d, "kl_median", x->kl_median);
    bg_doc_number(d, "kl_90", x->kl_90);
    bg_doc_number(d, "kl_99", x->kl_99);
    bg_doc_number(d, "kl_999", x->kl_999);
    bg_doc_number(d, "kl_max", x->kl_max);
    bg_doc_number(d, "same_top", x->same_top.mean);
    bg_doc_number(d, "same_top_se", x->same_top.se);
    bg_doc_number(d, "delta_p_mean", x->delta_p.mean);
    bg_doc_number(d, "delta_p_rms", x->delta_p_rms);
    bg_doc_number(d, "perplexity", exp(x->nll.mean));
    bg_doc_number(d, "perplexity_se", exp(x->nll.mean) * x->nll.se);
    bg_doc_number(d, "log_ratio", x->log_ratio.mean);
    bg_doc_number(d, "log_ratio_se", x->log_ratio.se);
}

static void write_row(bg_doc *d, const bg_trial *v)
{
    char quantizer[BG_SPEC_TEXT];
    double mse = v->weights > 0 ? v->squared / v->weights : 0;
    bg_doc_row(d);
    bg_doc_string(d, "spec", spec_name(v));
    bg_doc_string(d, "quantizer", v->candidate ? spec_name(v) : bg_spec_quantizer(v->spec, quantizer));
    bg_doc_string(d, "source", v->candidate ? "checkpoint" : "spec");
    bg_doc_string(d, "over", v->layer >= 0 ? (v->group ? "tensor" : "layer") : v->group ? "group" : "all");
    bg_doc_integer(d, "layer", v->layer);
    bg_doc_string(d, "group", v->group ? v->group : "all");
    bg_doc_integer(d, "tensors", v->tensors);
    bg_doc_integer(d, "weights", (int64_t)v->weights);
    bg_doc_number(d, "rate_bits", v->bits / v->weights);
    bg_doc_number(d, "weight_mse", mse);
    bg_doc_number(d, "weight_relative", v->energy > 0 ? v->squared / v->energy : 0);
    bg_doc_number(d, "ratio", v->info.squared.mean / mse);
    write_information(d, &v->info);
    bg_doc_row_end(d);
}

static void write_noise(bg_doc *d, const job *j)
{
    static const char *const names[] = {"float64 sums", "bfloat16 activations"};
    bg_doc_section(d, "noise");
    for (int i = 0; i < 2; i++) {
        const bg_information *x = &j->noise[i].info;
        if (!j->noise[i].tokens)
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "arithmetic", names[i]);
        bg_doc_integer(d, "tokens", x->positions);
        bg_doc_number(d, "logits_mse", x->squared.mean);
        bg_doc_number(d, "kl_mean", x->kl.mean);
        bg_doc_number(d, "kl_max", x->kl_max);
        bg_doc_number(d, "same_top", x->same_top.mean);
        bg_doc_number(d, "log_ratio", x->log_ratio.mean);
        bg_doc_row_end(d);
    }
}

static void write_fit(bg_doc *d, const char *name, const double *rate, const double *predicted, const double *measured,
                      int n)
{
    bg_linearity_fit f = bg_linearity_fit_of(rate, predicted, measured, n, linearity_tolerance);
    bg_doc_row(d);
    bg_doc_string(d, "measure", name);
    bg_doc_integer(d, "specs", f.n);
    bg_doc_number(d, "r2", f.r2);
    bg_doc_number(d, "worst", f.worst);
    bg_doc_number(d, "tolerance", linearity_tolerance);
    bg_doc_number(d, "holds_from_bits", f.holds_from_bits);
    bg_doc_row_end(d);
}

static void write_coefficients(bg_doc *d, const job *j)
{
    bg_doc_section(d, "coefficients");
    for (int i = 0; i < j->linearity.n; i++) {
        const bg_linear *l = &j->base->linears[i];
        bg_doc_row(d);
        bg_doc_string(d, "tensor", l->name);
        bg_doc_string(d, "group", l->tensor->group);
        bg_doc_integer(d, "layer", l->layer);
        bg_doc_number(d, "step", j->linearity.step);
        bg_doc_integer(d, "tokens", j->part.n);
        bg_doc_number(d, "kl", j->linearity.kl[i]);
        bg_doc_number(d, "log_ratio", j->linearity.log_ratio[i]);
        bg_doc_row_end(d);
    }
}

static int write_linearity(bg_doc *d, const job *j, bg_err *e)
{
    double *x = calloc(5 * (size_t)j->n + 1, sizeof *x), *rate = x, *kl = x + j->n, *log_ratio = kl + j->n;
    double *kl_seen = log_ratio + j->n, *log_seen = kl_seen + j->n;
    int n = 0;
    if (!x)
        return bg_no_memory(e, "linearity", 5 * (unsigned long long)j->n * sizeof *x);
    write_coefficients(d, j);
    bg_doc_section(d, "linearity");
    for (int i = 0; i < j->n; i++) {
        const bg_trial *v = &j->v[i];
        if (v->skipped || v->layer >= 0 || v->group || v->embeddings)
            continue;
        rate[n] = v->bits / v->weights;
        bg_linearity_predict(&j->linearity, v, &kl[n], &log_ratio[n]);
        kl_seen[n] = v->info.kl.mean;
        log_seen[n] = v->info.log_ratio.mean;
        bg_doc_row(d);
        bg_doc_string(d, "spec", spec_name(v));
        bg_doc_number(d, "rate_bits", rate[n]);
        bg_doc_number(d, "predicted_kl", kl[n]);
        bg_doc_number(d, "measured_kl", kl_seen[n]);
        bg_doc_number(d, "predicted_log_ratio", log_ratio[n]);
        bg_doc_number(d, "measured_log_ratio", log_seen[n]);
        bg_doc_number(d, "measured_log_ratio_se", v->info.log_ratio.se);
        bg_doc_row_end(d);
        n++;
    }
    bg_doc_section(d, "linearity_fit");
    write_fit(d, "kl", rate, kl, kl_seen, n);
    write_fit(d, "log_ratio", rate, log_ratio, log_seen, n);
    free(x);
    return BG_OK;
}

static int write_tokens(bg_doc *d, const job *j, bg_err *e)
{
    double *x = malloc((size_t)j->text.n * sizeof *x);
    if (!x)
        return bg_no_memory(e, "token rows", (unsigned long long)j->text.n * sizeof *x);
    bg_doc_section(d, "tokens");
    for (int i = 0; i < j->n; i++) {
        const bg_trial *v = &j->v[i];
        if (v->skipped || v->layer >= 0 || v->group)
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "spec", spec_name(v));
        for (int64_t t = 0; t < j->text.n; t++)
            x[t] = v->tokens[t].squared;
        bg_doc_numbers(d, "squared", x, (size_t)j->text.n);
        for (int64_t t = 0; t < j->text.n; t++)
            x[t] = v->tokens[t].kl;
        bg_doc_numbers(d, "kl", x, (size_t)j->text.n);
        bg_doc_row_end(d);
    }
    free(x);
    return BG_OK;
}

static void write_skipped(bg_doc *d, const job *j)
{
    bg_doc_section(d, "skipped");
    for (int i = 0; i < j->n; i++) {
        const bg_trial *v = &j->v[i];
        if (!v->skipped || v->layer >= 0 || v->group)
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "spec", spec_name(v));
        bg_doc_string(d, "tensor", v->skipped_tensor);
        bg_doc_string(d, "reason", v->skipped);
        bg_doc_row_end(d);
    }
}

static int write_document(const job *j, const bg_provenance *p, bg_err *e)
{
    bg_doc d;
    int status = bg_doc_begin(&d, "logits", bg_arg_output(j->a, "logits.json"), p, e);
    if (status)
        return status;
    write_text(&d, j);
    bg_doc_section(&d, "rows");
    for (int i = 0; i < j->n; i++)
        if (!j->v[i].skipped)
            write_row(&d, &j->v[i]);
    write_noise(&d, j);
    if (j->linearity.n)
        status = write_linearity(&d, j, e);
    if (!status && bg_arg_given(j->a, "per-token"))
        status = write_tokens(&d, j, e);
    write_skipped(&d, j);
    if (status) {
        bg_doc_abandon(&d);
        return status;
    }
    return bg_doc_commit(&d, e);
}

static void release(job *j)
{
    bg_trials_free(j->v, j->n);
    bg_trials_free(j->noise, 2);
    free(j->v);
    free(j->specs);
    bg_linearity_free(&j->linearity);
    bg_corpus_free(&j->text);
    bg_calibration_close(j->calibration);
    for (int i = 0; i < j->n_candidates; i++) {
        bg_model_close(j->candidates[i]);
        bg_ckpt_close(j->others[i]);
    }
    free(j->candidates);
    free(j->others);
    bg_model_close(j->base);
    bg_ckpt_close(j->ckpt);
}

static int dress(void *self, const bg_linear *l, bg_matrix *m, bg_err *e)
{
    return l->tensor ? bg_calibration_dress(self, l->tensor, m, e) : BG_OK;
}

static int open_calibration(job *j, bg_provenance *p, bg_err *e)
{
    const char *path = bg_arg(j->a, "calibration");
    if (!path)
        return BG_OK;
    int status = bg_calibration_open(path, j->ckpt, &j->calibration, p, e);
    j->options.calibration = dress;
    j->options.self = j->calibration;
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    job j = {.a = a, .options = {.seed = p->seed}};
    int status = BG_OK;
    for (int i = 0; !status && i < bg_arg_count(a, "quantizer"); i++)
        status = bg_specs_parse(bg_arg_nth(a, "quantizer", i), &j.specs, &j.n_specs, e);
    if (!status && !j.n_specs && bg_args_words(a) < 2)
        status = bg_fail(e, BG_USAGE, "logits needs -q SPEC… or a second checkpoint to compare");
    if (!status)
        status = bg_arg_integer(a, "activation-bits", 2, 16, &j.activation_bits, e);
    if (!status)
        status = bg_arg_number(a, "activation-keep", 0, 1e6, &j.activation_keep, e);
    if (!status)
        status = open_models(&j, p, e);
    if (!status)
        status = open_calibration(&j, p, e);
    if (!status)
        status = read_text(&j, p, e);
    if (!status)
        status = make_trials(&j, e);
    if (!status)
        status = measure(&j, e);
    if (!status)
        status = write_document(&j, p, e);
    release(&j);
    return status;
}

static const bg_option options[] = {
    {.name = "quantizer", .letter = 'q', .argument = "SPEC…", .many = 2, .help = "quantizers; see bitgap list"},
    {.name = "text", .letter = 't', .argument = "FILE", .help = "text to run; without it ten built-in sentences"},
    {.name = "context", .argument = "N", .help = "tokens in a window (512, or the model's context if that is less)"},
    {.name = "windows", .argument = "N", .help = "windows of the text, from its beginning; 0: all (16)"},
    {.name = "calibration", .argument = "FILE", .help = "calibration.json of this model, for the specs that need one"},
    {.name = "activation-bits", .argument = "B", .help = "round the inputs of every layer per token, absmax/(2^(B-1)-1) (W8A8: 8)"},
    {.name = "activation-keep", .argument = "X", .help = "but leave columns with a value of at least X (LLM.int8: 6)"},
    {.name = "embeddings", .help = "quantize the embedding and the output matrix too"},
    {.name = "per-layer", .help = "also one layer at a time"},
    {.name = "per-group", .help = "also one role at a time"},
    {.name = "per-tensor", .help = "also one tensor at a time"},
    {.name = "linearity", .help = "measure what each tensor's error costs, and whether the costs add up"},
    {.name = "per-token", .help = "also write each token's logits error and divergence"},
    {.name = "no-noise", .help = "leave out the arithmetic's own noise floor"},
    {0},
};

const bg_stage bg_stage_logits = {
    .name = "logits",
    .arguments = "MODEL [CHECKPOINT…]",
    .least = 1,
    .most = -1,
    .summary = "what quantizers do to a model's predictions",
    .about = "Runs the model and, in the same walk over its layers, every quantized copy on the same text: logits MSE, "
             "Kullback-Leibler divergence with its quantiles, agreement of the top token, change of the next token's "
             "probability, perplexity with standard errors and the paired error of the difference. Further checkpoints of "
             "the same vocabulary are compared as they are.",
    .example = "bitgap logits data/austen-3.7m -q nf4 uniform:bits=4,scope=128 --text data/text/test.txt -o logits.json",
    .options = options,
    .run = run,
};
