/* bitgap audit: what shipped checkpoints cost and what they lost against the weights they were made of. */
#include <math.h>
#include <stdlib.h>
#include "analysis/comparison/audit.h"
#include "io/base/options.h"
#include "quant/source/weights.h"

typedef struct audited {
    bg_ckpt *ckpt;
    const char *title; /* its own, or its path when another has the same */
    bg_audit_row *rows;
    int n;
} audited;

/* Sums over the tensors with codes. */
typedef struct totals {
    double weights, quantized, bytes, coded_bytes, entropy, saving, relative, relative_weights, gap, gap_weights;
    double error, clipping, scale, zero, choice; /* Σ (w − ŵ)² and what its parts are due to */
    int64_t n_quantized;
} totals;

/* Adds w·x to a sum that is unknown (NaN) until something is. */
static void add_known(double *sum, double w, double x)
{
    if (isfinite(x))
        *sum = (isnan(*sum) ? 0 : *sum) + w * x;
}

static totals add_up(const bg_ckpt *c, const bg_audit_row *rows, int n)
{
    const double none = (double)NAN;
    totals s = {.clipping = none, .scale = none, .zero = none, .choice = none};
    for (int i = 0; i < c->n_tensors; i++) {
        s.weights += (double)c->tensors[i].count;
        s.bytes += (double)bg_tensor_bytes(&c->tensors[i]);
    }
    for (int i = 0; i < n; i++) {
        const bg_audit_row *r = &rows[i];
        double w = (double)r->tensor->count, index = 8 * (double)r->tensor->bytes[BG_PART_INDICES] / w;
        if (!r->tensor->index_levels)
            continue;
        s.n_quantized++;
        s.quantized += w;
        s.coded_bytes += r->rate_bits * w / 8;
        if (isfinite(r->entropy_bits)) {
            s.entropy += w * r->entropy_bits;
            s.saving += fmax(0, index - r->entropy_bits) * w / 8;
        }
        if (isfinite(r->relative)) {
            s.error += w * r->loss.mse;
            add_known(&s.clipping, w, r->loss.mse_clipping);
            add_known(&s.scale, w, r->loss.mse_scale);
            add_known(&s.zero, w, r->loss.mse_zero);
            add_known(&s.choice, w, r->loss.mse_choice);
            s.relative += w * r->relative;
            s.relative_weights += w;
        }
        if (isfinite(r->gap_bits)) {
            s.gap += w * r->gap_bits;
            s.gap_weights += w;
        }
    }
    return s;
}

static void write_model(bg_doc *d, const audited *a, int is_base)
{
    const bg_ckpt *c = a->ckpt;
    totals s = add_up(c, a->rows, a->n);
    double relative = s.relative / s.relative_weights;
    bg_doc_row(d);
    bg_doc_string(d, "model", a->title);
    bg_doc_bool(d, "base", is_base);
    bg_doc_string(d, "container", c->container->name);
    bg_doc_integer(d, "file_bytes", (int64_t)c->file_bytes);
    bg_doc_integer(d, "tensor_bytes", (int64_t)(c->file_bytes - c->overhead_bytes));
    bg_doc_integer(d, "overhead_bytes", (int64_t)c->overhead_bytes);
    bg_doc_integer(d, "tensors", c->n_tensors);
    bg_doc_integer(d, "quantized", s.n_quantized);
    bg_doc_integer(d, "weights", (int64_t)s.weights);
    bg_doc_number(d, "rate_bits", s.weights > 0 ? 8 * (double)c->file_bytes / s.weights : 0);
    bg_doc_integer(d, "quantized_weights", (int64_t)s.quantized);
    if (s.quantized > 0) {
        bg_doc_number(d, "quantized_rate_bits", 8 * s.coded_bytes / s.quantized);
        bg_doc_number(d, "index_entropy_bits", s.entropy / s.quantized);
        bg_doc_number(d, "entropy_saving_bytes", s.saving);
    }
    bg_doc_number(d, "relative", relative);
    bg_doc_number(d, "sqnr_db", -10 * log10(relative));
    bg_doc_number(d, "share_clipping", s.clipping / s.error);
    bg_doc_number(d, "share_rounding", 1 - s.clipping / s.error);
    bg_doc_number(d, "share_scale", s.scale / s.error);
    bg_doc_number(d, "share_zero", s.zero / s.error);
    bg_doc_number(d, "share_choice", s.choice / s.error);
    bg_doc_number(d, "gap_bits", s.gap / s.gap_weights);
    if (s.gap_weights > 0)
        bg_doc_number(d, "wasted_bytes", s.gap / 8);
    bg_doc_row_end(d);
}

static void write_loss(bg_doc *d, const bg_audit_row *r)
{
    const bg_tensor_loss *l = &r->loss;
    bg_doc_number(d, "sigma2", l->sigma2);
    bg_doc_number(d, "kurtosis_excess", l->kurtosis_excess);
    bg_doc_number(d, "mse", l->mse);
    bg_doc_number(d, "relative", r->relative);
    bg_doc_number(d, "sqnr_db", -10 * log10(r->relative));
    bg_doc_number(d, "max_error", l->max_error);
    bg_doc_number(d, "gap_bits", r->gap_bits);
    bg_doc_number(d, "gap_empirical_bits", r->gap_empirical_bits);
    bg_doc_number(d, "wasted_bytes", r->gap_bits * (double)r->tensor->count / 8);
    bg_doc_number(d, "clipped", l->clipped);
    bg_doc_number(d, "mse_clipping", l->mse_clipping);
    bg_doc_number(d, "mse_rounding", l->mse_rounding);
    bg_doc_number(d, "mse_scale", l->mse_scale);
    bg_doc_number(d, "mse_zero", l->mse_zero);
    bg_doc_number(d, "mse_choice", l->mse_choice);
    if (l->unfinite)
        bg_doc_integer(d, "unfinite", (int64_t)l->unfinite);
}

static void write_tensor(bg_doc *d, const char *title, const bg_audit_row *r)
{
    static const char *const fields[BG_PARTS] = {"index_bits", "scale_bits",   "zero_bits",    "codebook_bits",
                                                 "order_bits", "padding_bits", "metadata_bits"};
    const bg_tensor *t = r->tensor;
    bg_doc_row(d);
    bg_doc_string(d, "model", title);
    bg_doc_string(d, "tensor", t->name);
    bg_doc_string(d, "role", t->role);
    bg_doc_integer(d, "layer", t->layer);
    bg_doc_string(d, "state", t->index_levels || t->dtype == BG_PACKED ? "quantized" : "plain");
    bg_doc_string(d, "storage", t->storage);
    bg_doc_string(d, "match", r->match);
    if (r->base && strcmp(r->base->name, t->name))
        bg_doc_string(d, "base_tensor", r->base->name);
    bg_doc_integer(d, "rows", t->rows);
    bg_doc_integer(d, "cols", t->cols);
    bg_doc_integer(d, "weights", (int64_t)t->count);
    bg_doc_integer(d, "bytes", (int64_t)bg_tensor_bytes(t));
    bg_doc_number(d, "rate_bits", r->rate_bits);
    for (int k = 0; k < BG_PARTS; k++)
        bg_doc_number(d, fields[k], 8 * (double)t->bytes[k] / (double)t->count);
    bg_doc_number(d, "index_entropy_bits", r->entropy_bits);
    if (r->base)
        write_loss(d, r);
    bg_doc_row_end(d);
}

/* Base tensors that no tensor of the checkpoint stores. */
static void write_unmatched(bg_doc *d, const bg_ckpt *base, const audited *a)
{
    for (int i = 0; i < base->n_tensors; i++) {
        const bg_tensor *t = &base->tensors[i];
        int used = !t->count || (!bg_dtypes[t->dtype].is_float && !t->index_levels);
        for (int k = 0; k < a->n && !used; k++)
            used = a->rows[k].base == t;
        if (used)
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "model", a->title);
        bg_doc_string(d, "tensor", t->name);
        bg_doc_string(d, "reason", strcmp(t->role, "lm_head") ? "missing" : "tied");
        bg_doc_row_end(d);
    }
}

static const bg_audit_row *row_of(const audited *a, const bg_tensor *base)
{
    for (int i = 0; i < a->n; i++)
        if (a->rows[i].base == base)
            return &a->rows[i];
    return NULL;
}

static void write_comparison(bg_doc *d, const audited *a, const audited *b)
{
    double weights = 0, rate = 0, gap = 0, ratio = 0;
    int64_t n = 0, better = 0;
    for (int i = 0; i < a->n; i++) {
        const bg_audit_row *x = &a->rows[i], *y = x->base ? row_of(b, x->base) : NULL;
        if (!y || !x->tensor->index_levels || !y->tensor->index_levels || !isfinite(x->gap_bits) ||
            !isfinite(y->gap_bits))
            continue;
        double w = (double)x->tensor->count;
        n++;
        better += x->loss.mse < y->loss.mse;
        weights += w;
        rate += w * (x->rate_bits - y->rate_bits);
        gap += w * (x->gap_bits - y->gap_bits);
        ratio += log(x->loss.mse / y->loss.mse);
    }
    char verdict[256];
    double percent = 100 * (1 - exp(ratio / (double)n));
    if (!n)
        snprintf(verdict, sizeof verdict, "no tensor is quantized in both");
    else if (fabs(gap / weights) < 0.005)
        snprintf(verdict, sizeof verdict, "no difference in gap at %+.3f bits/weight of rate", rate / weights);
    else
        snprintf(verdict, sizeof verdict, "%s is nearer to the bound by %.3f bits/weight",
                 gap < 0 ? a->title : b->title, fabs(gap / weights));
    bg_doc_row(d);
    bg_doc_string(d, "model", a->title);
    bg_doc_string(d, "against", b->title);
    bg_doc_integer(d, "tensors", n);
    bg_doc_integer(d, "better", better);
    bg_doc_number(d, "rate_difference_bits", rate / weights);
    bg_doc_number(d, "gap_difference_bits", gap / weights);
    bg_doc_number(d, "improvement_percent", percent);
    bg_doc_string(d, "verdict", verdict);
    bg_doc_row_end(d);
}

/* models[0] is the base when has_base. */
static int write_all(const char *path, const audited *models, int n, int has_base, const bg_provenance *p, bg_err *e)
{
    bg_doc d;
    int status = bg_doc_begin(&d, "audit", path, p, e);
    if (status)
        return status;
    bg_doc_section(&d, "models");
    for (int i = 0; i < n; i++)
        write_model(&d, &models[i], has_base && i == 0);
    bg_doc_section(&d, "tensors");
    for (int i = has_base; i < n; i++)
        for (int k = 0; k < models[i].n; k++)
            write_tensor(&d, models[i].title, &models[i].rows[k]);
    bg_doc_section(&d, "unmatched");
    for (int i = has_base; has_base && i < n; i++)
        write_unmatched(&d, models[0].ckpt, &models[i]);
    bg_doc_section(&d, "comparisons");
    for (int i = has_base; has_base && i < n; i++)
        for (int k = i + 1; k < n; k++)
            write_comparison(&d, &models[i], &models[k]);
    return bg_doc_commit(&d, e);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    int n = bg_args_words(a), has_base = n > 1 && !bg_arg_given(a, "no-base"), status = BG_OK;
    bg_ckpt_options o = {.include = bg_arg(a, "include"), .exclude = bg_arg(a, "exclude")};
    audited *models = calloc((size_t)n, sizeof *models);
    if (!models)
        return bg_no_memory(e, "audit", (size_t)n * sizeof *models);
    for (int i = 0; !status && i < n; i++) {
        status = bg_weights_open(bg_args_word(a, i), &o, &models[i].ckpt, e);
        if (!status)
            status = bg_ckpt_provenance(models[i].ckpt, p, e);
        if (!status && bg_weights_density(models[i].ckpt))
            status = bg_fail(e, BG_USAGE, "audit: %s is a density; say how many samples, n=…", models[i].ckpt->title);
        if (!status && (i || !has_base))
            status = bg_audit_all(has_base ? models[0].ckpt : NULL, models[i].ckpt, &models[i].rows, &models[i].n, e);
    }
    for (int i = 0; !status && i < n; i++) {
        models[i].title = models[i].ckpt->title;
        for (int k = 0; k < n; k++)
            if (k != i && !strcmp(models[k].ckpt->title, models[i].ckpt->title))
                models[i].title = models[i].ckpt->path;
    }
    if (!status)
        status = write_all(bg_arg_output(a, "audit.json"), models, n, has_base, p, e);
    for (int i = 0; i < n; i++) {
        free(models[i].rows);
        bg_ckpt_close(models[i].ckpt);
    }
    free(models);
    return status;
}

static const bg_option options[] = {
    {.name = "include", .argument = "REGEX", .help = "only tensors whose name matches"},
    {.name = "exclude", .argument = "REGEX", .help = "no tensors whose name matches"},
    {.name = "no-base", .help = "the first model is audited like the others: structure, rates, entropies"},
    {0},
};

const bg_stage bg_stage_audit = {
    .name = "audit",
    .arguments = "BASE QUANTIZED…",
    .min_words = 1,
    .max_words = -1,
    .summary = "what shipped checkpoints cost and lost, tensor by tensor",
    .about = "BASE holds the original weights, each QUANTIZED a GPTQ, AWQ, bitsandbytes, compressed-tensors, MX, FP8, "
             "HQQ or GGUF\n"
             "checkpoint made from them. Rates are the true bytes, split by purpose; they add up to the files. With "
             "one model\n"
             "alone there is nothing to compare with: structure, rates and the entropy of the stored codes.",
    .example = "bitgap audit data/austen-3.7m data/austen-3.7m -o -",
    .options = options,
    .run = run,
};
