/* bitgap bound: the least rate at a distortion, by four bounds of growing knowledge of the weights. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/bounds/blahut_arimoto.h"
#include "analysis/bounds/differential_entropy.h"
#include "analysis/bounds/output_bound_rows.h"
#include "analysis/bounds/conditional_bound.h"
#include "analysis/bounds/shannon.h"
#include "analysis/tensors/tensor_selection.h"
#include "analysis/tensors/tensor_histogram.h"
#include "analysis/bounds/water_filling.h"
#include "quant/source/weights.h"
#include "io/base/failure.h"

enum { GROUP = 128, MAX_DISTORTIONS = 64, MAX_ITERATIONS = 64 };
static const double nats = 1e-4;
/* Stored numbers are spaced up to σ/32 apart where most weights lie; at less distortion than that squared they are no
 * density. */
static const double least_smooth = 1.0 / 1024;

typedef struct job {
    bg_selection selection;
    double relative[MAX_DISTORTIONS];
    int n, quick;
    uint64_t seed;
    bg_calibration *calibration; /* NULL: none */
} job;

/* Bounds with the scales of rows or groups known: Gaussian by reverse water-filling, and of the weights by
 * Blahut–Arimoto. */
typedef struct known_scales {
    double gaussian[MAX_DISTORTIONS], lower[MAX_DISTORTIONS], upper[MAX_DISTORTIONS];
} known_scales;
static const struct {
    int group;
    const char *gaussian, *lower, *upper;
} scopes[] = {{0, "channel_bits", "channel_lower_bits", "channel_upper_bits"},
              {GROUP, "group_bits", "group_lower_bits", "group_upper_bits"}};
enum { SCOPES = sizeof scopes / sizeof *scopes };

/* What one tensor contributes; computed by any thread, written in order. */
typedef struct tensor_bounds {
    double sigma2;
    bg_ba ba[MAX_DISTORTIONS];
    bg_entropies entropy;
    double shannon[MAX_DISTORTIONS];
    known_scales scope[SCOPES]; /* rows, groups */
} tensor_bounds;

static int side_information(const job *j, const bg_tensor *t, int group, double sigma2, known_scales *out, bg_err *e)
{
    bg_scales s;
    bg_scale_codes codes = {0};
    int status = bg_scales_of(t, group, &s, e);
    if (!status && !j->quick && s.standard.n)
        status = bg_scale_codes_of(&s.standard, nats, MAX_ITERATIONS, &codes, e);
    for (int k = 0; k < j->n && !status; k++) {
        double d = j->relative[k] * sigma2;
        out->gaussian[k] = bg_waterfill_distortion(s.variance, s.share, s.n, d).rate_bits;
        if (codes.n && j->relative[k] >= least_smooth)
            bg_conditional_rate(&s, &codes, d, &out->lower[k], &out->upper[k]);
        if (!isfinite(out->upper[k]))
            continue;
        out->upper[k] = fmin(out->upper[k], out->gaussian[k]); /* a Gaussian is the hardest law of its variance */
        out->lower[k] = fmin(out->lower[k], out->upper[k]);
    }
    if (!status)
        bg_scales_free(&s);
    return status;
}

static int bounds_of(const job *j, const bg_tensor *t, tensor_bounds *out, bg_err *e)
{
    bg_tensor_hist h;
    bg_statistics s;
    int status = bg_tensor_hist_read(t, &h, e);
    if (status)
        return status;
    bg_statistics_of(&h.hist, h.mantissa_bits, &s);
    out->sigma2 = s.sigma2;
    const bg_source *density = bg_weights_density(t->ckpt);
    double entropy = density ? density->distribution.entropy_bits(&density->distribution) + log2(density->sigma)
                             : s.differential_entropy_bits;
    for (int k = 0; k < j->n; k++) {
        double d = j->relative[k] * s.sigma2;
        for (int i = 0; i < SCOPES; i++)
            out->scope[i].gaussian[k] = out->scope[i].lower[k] = out->scope[i].upper[k] = (double)NAN;
        out->ba[k] = (bg_ba){d, (double)NAN, (double)NAN, 0, 0};
        out->shannon[k] =
            h.hist.is_density || j->relative[k] >= least_smooth ? bg_shannon_lower_bits(entropy, d) : (double)NAN;
        if (!status && !j->quick && s.sigma2 > 0)
            status = bg_rate_distortion(&h.hist, d, nats, MAX_ITERATIONS, &out->ba[k], e);
    }
    if (!status && s.sigma2 > 0 && !h.hist.is_density && !j->quick)
        status = bg_entropies_of(&h.hist, h.mantissa_bits, j->seed, &out->entropy, e);
    for (int i = 0; i < SCOPES && !status && s.sigma2 > 0 && t->count && !(h.nans + h.infs); i++)
        status = side_information(j, t, scopes[i].group, s.sigma2, &out->scope[i], e);
    bg_tensor_hist_free(&h);
    return status ? bg_context(e, "tensor '%s'", t->name) : BG_OK;
}

static void put_rows(const job *j, bg_doc *d, const bg_tensor *t, const tensor_bounds *b)
{
    for (int k = 0; k < j->n && b->sigma2 > 0; k++) {
        double distortion = j->relative[k] * b->sigma2;
        bg_doc_row(d);
        bg_doc_string(d, "tensor", t->name);
        bg_doc_string(d, "role", t->role);
        bg_doc_integer(d, "layer", t->layer);
        bg_doc_number(d, "distortion", distortion);
        bg_doc_number(d, "relative", j->relative[k]);
        bg_doc_number(d, "gaussian_bits", bg_gaussian_rate_bits(b->sigma2, distortion));
        bg_doc_number(d, "shannon_lower_bits", b->shannon[k]);
        bg_doc_number(d, "lower_bits", b->ba[k].lower_bits);
        bg_doc_number(d, "upper_bits", b->ba[k].upper_bits);
        for (int i = 0; i < SCOPES; i++) {
            bg_doc_number(d, scopes[i].gaussian, b->scope[i].gaussian[k]);
            bg_doc_number(d, scopes[i].lower, b->scope[i].lower[k]);
            bg_doc_number(d, scopes[i].upper, b->scope[i].upper[k]);
        }
        bg_doc_row_end(d);
    }
}

static void put_entropies(bg_doc *d, const bg_tensor *t, const tensor_bounds *b)
{
    if (!b->entropy.samples)
        return;
    bg_doc_row(d);
    bg_doc_string(d, "tensor", t->name);
    bg_doc_string(d, "role", t->role);
    bg_doc_integer(d, "layer", t->layer);
    bg_doc_integer(d, "samples", (int64_t)b->entropy.samples);
    /* in units of σ: h − log2 σ, which roles of different width can be averaged over */
    double unit = 0.5 * log2(b->sigma2);
    bg_doc_number(d, "codes_bits", b->entropy.codes - unit);
    bg_doc_number(d, "vasicek_bits", b->entropy.vasicek - unit);
    bg_doc_number(d, "kozachenko_leonenko_bits", b->entropy.kozachenko_leonenko - unit);
    bg_doc_number(d, "miller_madow_bits", b->entropy.miller_madow - unit);
    bg_doc_row_end(d);
}

static int put_outputs(const job *j, bg_doc *d, const tensor_bounds *all, bg_err *e)
{
    bg_output_rows *rows;
    int status = bg_output_rows_open(&rows, j->calibration, j->seed, e);
    for (int i = 0; i < j->selection.n && !status; i++)
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted")
                                : bg_output_rows_put(rows, d, j->selection.tensors[i], all[i].sigma2, e);
    bg_output_rows_close(rows);
    return status;
}

static int bound(const job *j, bg_doc *d, bg_err *e)
{
    int n = j->selection.n;
    bg_failure failure = {0};
    tensor_bounds *all = calloc((size_t)n + 1, sizeof *all);
    if (!all)
        return bg_no_memory(e, "bounds", (size_t)n * sizeof *all);
    bg_progress bar;
    bg_progress_begin(&bar, "bound", (unsigned long long)n);
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < n; i++) {
        const bg_tensor *t = j->selection.tensors[i];
        bg_err mine = {0};
        int failed = bg_interrupted ? bg_fail(&mine, BG_RESOURCE, "interrupted") : BG_OK;
        if (!failed)
            failed = bounds_of(j, t, &all[i], &mine);
        if (failed)
            bg_failure_note(&failure, i, &mine);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    int status = bg_failure_status(&failure, e);
    bg_doc_section(d, "rows");
    for (int i = 0; i < n && !status; i++)
        put_rows(j, d, j->selection.tensors[i], &all[i]);
    bg_doc_section(d, "entropies");
    for (int i = 0; i < n && !status; i++)
        put_entropies(d, j->selection.tensors[i], &all[i]);
    bg_doc_section(d, "outputs");
    if (!status && j->calibration)
        status = put_outputs(j, d, all, e);
    free(all);
    return status;
}

static int distortions(const bg_args *a, job *j, bg_err *e)
{
    static const double usual[] = {0.5, 0.25, 0.125, 0.0625, 0.03125, 0.01, 0.004, 0.001, 4e-4, 1e-4, 2.5e-5};
    j->n = bg_arg_count(a, "distortion");
    if (j->n > MAX_DISTORTIONS)
        return bg_fail(e, BG_USAGE, "bound: more than %d distortions", MAX_DISTORTIONS);
    for (int k = 0; k < j->n; k++) {
        char *end;
        const char *text = bg_arg_nth(a, "distortion", k);
        j->relative[k] = strtod(text, &end);
        if (end == text || *end || !(j->relative[k] >= 1e-7) || !(j->relative[k] <= 1))
            return bg_fail(e, BG_USAGE, "bound: --distortion %s: a share of the variance from 1e-7 to 1 is wanted",
                           text);
    }
    if (!j->n) {
        j->n = sizeof usual / sizeof *usual;
        memcpy(j->relative, usual, sizeof usual);
    }
    return BG_OK;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    job j = {.quick = bg_arg_given(a, "quick"), .seed = p->seed};
    bg_doc d = {0};
    int status = distortions(a, &j, e);
    if (!status)
        status = bg_selection_open(&j.selection, bg_args_word(a, 0), a, p, e);
    if (!status && bg_arg(a, "calibration"))
        status = bg_calibration_open(bg_arg(a, "calibration"), j.selection.ckpt, &j.calibration, p, e);
    if (!status)
        status = bg_doc_begin(&d, "bounds", bg_arg_output(a, "bounds.json"), p, e);
    if (!status)
        status = bound(&j, &d, e);
    if (!status)
        status = bg_doc_commit(&d, e);
    bg_doc_abandon(&d);
    bg_calibration_close(j.calibration);
    bg_selection_close(&j.selection);
    return status;
}

static const bg_option options[] = {
    {.name = "distortion",
     .letter = 'd',
     .argument = "D",
     .repeats = 2,
     .default_note = "eleven from 0.5 to 2.5e-5",
     .help = "distortions as shares of the variance"},
    BG_SELECTION_OPTIONS,
    {.name = "calibration",
     .argument = "FILE",
     .help = "calibration.json of this model: the functional bound of each layer"},
    {.name = "quick", .help = "leave out Blahut-Arimoto"},
    {0},
};

const bg_stage bg_stage_bound = {
    .name = "bound",
    .arguments = "MODEL|groups.json",
    .min_words = 1,
    .max_words = 1,
    .summary = "the least rate at a distortion: Gaussian, Shannon, Blahut-Arimoto, known scales",
    .about = "For each weight matrix and distortion D: the Gaussian bound; the Shannon lower bound from the "
             "differential entropy (from D = "
             "variance/1024 on: below, stored weights are too coarse to be a density); "
             "the interval that holds R(D) of the actual weights, by Blahut-Arimoto with its certificate from both "
             "sides; and the bounds of "
             "rows, and groups of 128, whose scales are known: Gaussian by reverse water-filling, and of the weights "
             "themselves by Blahut-Arimoto. With --calibration also the least "
             "output error of each layer at 0.5 to 8 bits, and what rounding to nearest and error feedback lose "
             "against it; if the calibration "
             "kept folds, also its Ledoit-Wolf shrinkage and the bound on held-out text with a bootstrap interval.",
    .example = "bitgap bound source:laplace -d 0.25 0.01 -o -",
    .options = options,
    .run = run,
};
