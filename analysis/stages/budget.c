/* bitgap budget: where each quantizer's distortion and bits go, tensor by tensor and on average. */
#include <math.h>
#include <stdlib.h>
#include "analysis/curves/error_budget.h"
#include "analysis/output/calibration.h"
#include "analysis/tensors/tensor_selection.h"

enum { PARTS = 11 };
/* Parts of D first: they are set against the variance where tensors are averaged. */
enum { PARTS_OF_D = 7 };
static const char *const names[PARTS] = {"granular",   "mismatch",  "clipping",    "scale_rounding",
                                         "zero_point", "rounding",  "mse",         "entropy_bits",
                                         "slack_bits", "side_bits", "padding_bits"};

static void parts_of(const bg_budget *b, double part[PARTS])
{
    const double all[PARTS] = {b->granular, b->mismatch, b->clipping, b->scale_rounding, b->zero_point, b->rounding,
                               b->mse,      b->entropy,  b->slack,    b->side,           b->padding};
    for (int i = 0; i < PARTS; i++)
        part[i] = all[i];
}

typedef struct job {
    bg_selection selection;
    bg_spec *specs;
    int n;
    bg_calibration *calibration; /* NULL: none */
    uint64_t seed;
    double (*sum)[PARTS], (*rate)[2]; /* by spec: Σ weights·part; Σ weights·rate, Σ weights */
    const char **why;                 /* [selection.n × n] a literal where a spec has no budget; else NULL */
} job;

static void put_place(bg_doc *d, const bg_tensor *t, const bg_spec *s)
{
    bg_doc_row(d);
    bg_doc_string(d, "tensor", t->name);
    bg_doc_string(d, "role", t->role);
    bg_doc_integer(d, "layer", t->layer);
    bg_doc_string(d, "spec", s->text);
}

static void put_budget(job *j, bg_doc *d, const bg_tensor *t, int k, double sigma2, const bg_budget *b)
{
    double part[PARTS], n = (double)t->count;
    parts_of(b, part);
    put_place(d, t, &j->specs[k]);
    bg_doc_number(d, "sigma2", sigma2);
    for (int i = 0; i < PARTS; i++) {
        bg_doc_number(d, names[i], part[i]);
        j->sum[k][i] += n * (i < PARTS_OF_D ? part[i] / sigma2 : part[i]);
    }
    bg_doc_number(d, "rate_bits", b->rate_bits);
    bg_doc_row_end(d);
    j->rate[k][0] += n * b->rate_bits, j->rate[k][1] += n;
}

static double variance(const float *w, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)w[i];
    for (size_t i = 0; i < n; i++)
        squares += ((double)w[i] - sum / (double)n) * ((double)w[i] - sum / (double)n);
    return squares / (double)n;
}

static int one_tensor(job *j, bg_doc *d, int at, bg_err *e)
{
    const bg_tensor *t = j->selection.tensors[at];
    bg_matrix m = bg_selection_matrix(&j->selection, t, j->seed);
    if (m.distribution)
        return bg_fail(e, BG_USAGE, "an error budget is of weights; give the source a length: source:gaussian,n=65536");
    float *w = malloc((size_t)(t->count + 1) * sizeof *w);
    int status = w ? bg_matrix_read(&m, 0, m.rows, w, e) : bg_no_memory(e, t->name, t->count * sizeof *w);
    if (!status && j->calibration)
        status = bg_calibration_dress(j->calibration, t, &m, e);
    m.memory = w;
    double sigma2 = status || !t->count ? 0 : variance(w, (size_t)t->count);
    for (int k = 0; k < j->n && !status; k++) {
        const bg_spec *s = &j->specs[k];
        bg_budget b;
        const char **why = &j->why[at * j->n + k];
        *why = s->transform->forward                                ? "it turns the weights before it quantizes them"
               : s->rounding->needs_calibration && !m.second_moment ? "its rounding needs a calibration"
               : !(sigma2 > 0)                                      ? "the weights are all equal, or not finite"
                                                                    : NULL;
        if (!*why && !(status = bg_budget_of(&m, s, &b, e)))
            put_budget(j, d, t, k, sigma2, &b);
        if (!status && bg_interrupted)
            status = bg_fail(e, BG_RESOURCE, "interrupted");
    }
    free(w);
    return status ? bg_context(e, "tensor '%s'", t->name) : BG_OK;
}

static void put_means(const job *j, bg_doc *d)
{
    bg_doc_section(d, "means");
    for (int k = 0; k < j->n; k++) {
        double n = j->rate[k][1];
        if (!(n > 0))
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "spec", j->specs[k].text);
        bg_doc_integer(d, "weights", (int64_t)n);
        for (int i = 0; i < PARTS; i++)
            bg_doc_number(d, i == PARTS_OF_D - 1 ? "relative" : names[i], j->sum[k][i] / n);
        bg_doc_number(d, "rate_bits", j->rate[k][0] / n);
        bg_doc_row_end(d);
    }
    bg_doc_section(d, "skipped");
    for (int i = 0; i < j->selection.n; i++)
        for (int k = 0; k < j->n; k++) {
            if (!j->why[i * j->n + k])
                continue;
            put_place(d, j->selection.tensors[i], &j->specs[k]);
            bg_doc_string(d, "reason", j->why[i * j->n + k]);
            bg_doc_row_end(d);
        }
}

static int write(job *j, const char *path, const bg_provenance *p, bg_err *e)
{
    bg_doc d;
    size_t n = (size_t)j->n + 1;
    j->sum = calloc(n, sizeof *j->sum), j->rate = calloc(n, sizeof *j->rate);
    j->why = calloc((size_t)j->selection.n * n, sizeof *j->why);
    if (!j->sum || !j->rate || !j->why)
        return bg_no_memory(e, "error budgets", n * sizeof *j->sum);
    int status = bg_doc_begin(&d, "budget", path, p, e);
    if (status)
        return status;
    bg_progress bar;
    bg_progress_begin(&bar, "budget", (unsigned long long)j->selection.weights);
    bg_doc_section(&d, "rows");
    for (int i = 0; i < j->selection.n && !status; i++) {
        status = one_tensor(j, &d, i, e);
        bg_progress_step(&bar, j->selection.tensors[i]->count);
    }
    bg_progress_end(&bar);
    if (!status) {
        put_means(j, &d);
        return bg_doc_commit(&d, e);
    }
    bg_doc_abandon(&d);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    job j = {.seed = p->seed};
    int status = BG_OK, given = bg_arg_count(a, "spec");
    for (int i = 0; i < given && !status; i++)
        status = bg_specs_parse(bg_arg_nth(a, "spec", i), &j.specs, &j.n, e);
    if (!status && !given)
        status = bg_specs_parse("rtn", &j.specs, &j.n, e);
    if (!status)
        status = bg_selection_open(&j.selection, bg_args_word(a, 0), a, p, e);
    if (!status && bg_arg(a, "calibration"))
        status = bg_calibration_open(bg_arg(a, "calibration"), j.selection.ckpt, &j.calibration, p, e);
    if (!status)
        status = write(&j, bg_arg_output(a, "budget.json"), p, e);
    free(j.sum), free(j.rate), free(j.why);
    bg_calibration_close(j.calibration);
    bg_selection_close(&j.selection);
    free(j.specs);
    return status;
}

static const bg_option options[] = {
    {.name = "spec",
     .letter = 'q',
     .argument = "SPEC",
     .repeats = 2,
     .default_note = "rtn",
     .help = "quantizers, presets, aliases or sweeps (bitgap list)"},
    {.name = "calibration",
     .argument = "FILE",
     .help = "calibration.json of this model, for the roundings that need one"},
    BG_SELECTION_OPTIONS,
    {0},
};

const bg_stage bg_stage_budget = {
    .name = "budget",
    .arguments = "MODEL|groups.json",
    .min_words = 1,
    .max_words = 1,
    .summary = "where each quantizer's distortion and bits go",
    .about = "Splits the squared error of a quantizer into granular error, levels that are not the best ones, "
             "clipping, rounding of\n"
             "scales, rounding of zero points, and what the rounding chose beyond the nearest point; and its rate into "
             "entropy of\n"
             "the indices, slack of their coder, side information and padding. The parts add up to the whole.",
    .example = "bitgap budget data/austen-0.9m-qwen2 -q rtn nf4 -o -",
    .options = options,
    .run = run,
};
