/* Owns the logits document, section by section. */
#include <math.h>
#include <stdlib.h>
#include "analysis/output/logits.h"

static const char *spec_name(const bg_trial *v)
{
    return v->candidate ? v->candidate->ckpt->title : v->recipe ? bg_recipe_name(v->recipe) : v->spec->text;
}

static void write_text(bg_doc *d, const bg_logits *j)
{
    int longest = 0;
    int64_t scored = 0;
    for (int i = 0; i < j->text.sequences; i++) {
        longest = j->text.lengths[i] > longest ? j->text.lengths[i] : longest;
        scored += j->text.lengths[i] - 1;
    }
    bg_doc_section(d, "texts");
    bg_doc_row(d);
    bg_doc_string(d, "text", j->text_name ? j->text_name : "built-in sentences");
    bg_doc_integer(d, "tokens", j->text.n);
    bg_doc_integer(d, "scored", scored);
    bg_doc_integer(d, "sequences", j->text.sequences);
    bg_doc_integer(d, "context", longest);
    bg_doc_string(d, "token_sha256", bg_corpus_hash(&j->text).hex);
    bg_doc_integer(d, "replaced", (int64_t)j->text.replaced);
    for (int i = 0; i < j->n; i++) {
        if (j->v[i].skipped)
            continue;
        const bg_sample_mean *nll = &j->v[i].info.nll_base;
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
    bg_doc_string(d, "quantizer", v->spec ? bg_spec_quantizer(v->spec, quantizer) : spec_name(v));
    bg_doc_string(d, "source", v->candidate ? "checkpoint" : v->recipe ? "recipe" : "spec");
    bg_doc_string(d, "over", v->layer >= 0 ? (v->role ? "tensor" : "layer") : v->role ? "role" : "all");
    bg_doc_integer(d, "layer", v->layer);
    bg_doc_string(d, "role", v->role ? v->role : "all");
    bg_doc_integer(d, "tensors", v->tensors);
    bg_doc_integer(d, "weights", (int64_t)v->weights);
    bg_doc_number(d, "rate_bits", v->bits / v->weights);
    bg_doc_number(d, "weight_mse", mse);
    bg_doc_number(d, "weight_relative", v->energy > 0 ? v->squared / v->energy : 0);
    bg_doc_number(d, "ratio", v->info.squared.mean / mse);
    write_information(d, &v->info);
    bg_doc_row_end(d);
}

static void write_noise(bg_doc *d, const bg_logits *j)
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
                      int n, double tolerance)
{
    bg_linearity_fit f = bg_linearity_fit_of(rate, predicted, measured, n, tolerance);
    bg_doc_row(d);
    bg_doc_string(d, "measure", name);
    bg_doc_integer(d, "specs", f.n);
    bg_doc_number(d, "r2", f.r2);
    bg_doc_number(d, "worst", f.worst);
    bg_doc_number(d, "tolerance", tolerance);
    bg_doc_number(d, "holds_from_bits", f.holds_from_bits);
    bg_doc_row_end(d);
}

static void write_coefficients(bg_doc *d, const bg_logits *j)
{
    bg_doc_section(d, "coefficients");
    for (int i = 0; i < j->linearity.n; i++) {
        const bg_linear *l = &j->base->linears[i];
        bg_doc_row(d);
        bg_doc_string(d, "tensor", l->name);
        bg_doc_string(d, "role", l->tensor->role);
        bg_doc_integer(d, "layer", l->layer);
        bg_doc_number(d, "step", j->linearity.step);
        bg_doc_integer(d, "tokens", j->part.n);
        bg_doc_number(d, "kl", j->linearity.kl[i]);
        bg_doc_number(d, "log_ratio", j->linearity.log_ratio[i]);
        bg_doc_row_end(d);
    }
}

/* Error feedback and scaling by the inputs shape the error away from what the coefficients, measured with white noise,
 * see: such a spec is predicted too, but says nothing of where the sum breaks. */
static int is_shaped(const bg_trial *v)
{
    return v->spec && (v->spec->rounding->needs_calibration || v->spec->transform->needs_calibration);
}

static int write_linearity(bg_doc *d, const bg_logits *j, bg_err *e)
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
        if (v->skipped || v->layer >= 0 || v->role || v->embeddings)
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
        if (kl[n] > 0 && kl_seen[n] > 0)
            bg_doc_number(d, "residual_kl", log(kl_seen[n] / kl[n]));
        bg_doc_number(d, "predicted_log_ratio", log_ratio[n]);
        bg_doc_number(d, "measured_log_ratio", log_seen[n]);
        bg_doc_number(d, "measured_log_ratio_se", v->info.log_ratio.se);
        bg_doc_number(d, "residual_log_ratio", log_seen[n] - log_ratio[n]);
        bg_doc_integer(d, "shaped", is_shaped(v));
        bg_doc_row_end(d);
        n += !is_shaped(v);
    }
    bg_doc_section(d, "linearity_fit");
    write_fit(d, "kl", rate, kl, kl_seen, n, j->tolerance);
    write_fit(d, "log_ratio", rate, log_ratio, log_seen, n, j->tolerance);
    free(x);
    return BG_OK;
}

static int write_tokens(bg_doc *d, const bg_logits *j, bg_err *e)
{
    double *x = malloc((size_t)j->text.n * sizeof *x);
    if (!x)
        return bg_no_memory(e, "token rows", (unsigned long long)j->text.n * sizeof *x);
    bg_doc_section(d, "tokens");
    for (int i = 0; i < j->n; i++) {
        const bg_trial *v = &j->v[i];
        if (v->skipped || v->layer >= 0 || v->role)
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

static void write_skipped(bg_doc *d, const bg_logits *j)
{
    bg_doc_section(d, "skipped");
    for (int i = 0; i < j->n; i++) {
        const bg_trial *v = &j->v[i];
        if (!v->skipped || v->layer >= 0 || v->role)
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "spec", spec_name(v));
        bg_doc_string(d, "tensor", v->skipped_tensor);
        bg_doc_string(d, "reason", v->skipped);
        bg_doc_row_end(d);
    }
}

int bg_logits_write(const bg_logits *j, const char *path, const bg_provenance *p, bg_err *e)
{
    bg_doc d;
    int status = bg_doc_begin(&d, "logits", path, p, e);
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
    if (!status && j->per_token)
        status = write_tokens(&d, j, e);
    write_skipped(&d, j);
    if (status) {
        bg_doc_abandon(&d);
        return status;
    }
    return bg_doc_commit(&d, e);
}
