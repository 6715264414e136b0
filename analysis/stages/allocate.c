/* bitgap allocate: which bits for which tensor under a budget, and how far any allocation could go. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/allocation/allocation.h"
#include "analysis/allocation/recipe_formats.h"
#include "analysis/allocation/recipe_trial.h"
#include "io/base/options.h"

typedef struct option_row {
    const char *spec;
    double bits, rate, relative;
} option_row;

/* A tensor with the points it may take. */
typedef struct candidate {
    const char *tensor, *role;
    int layer, n;
    double weights, sigma2, coefficient;
    option_row *options;
    bg_choice *choices;
} candidate;

typedef struct candidate_set {
    candidate *at;
    int n;
    double weights;
    const char *measure, *unit;
} candidate_set;

static void free_candidates(candidate_set *s)
{
    for (int i = 0; s->at && i < s->n; i++) {
        free(s->at[i].options);
        free(s->at[i].choices);
    }
    free(s->at);
}

static candidate *find(candidate_set *s, const char *tensor)
{
    for (int i = s->n - 1; i >= 0; i--)
        if (!strcmp(s->at[i].tensor, tensor))
            return &s->at[i];
    return NULL;
}

static int is_wanted(const bg_args *a, const char *quantizer)
{
    int given = bg_arg_count(a, "quantizer");
    for (int i = 0; i < given; i++)
        if (!strcmp(bg_arg_nth(a, "quantizer", i), quantizer))
            return 1;
    return !given && !strcmp(bg_arg(a, "quantizer"), quantizer);
}

static int add_point(candidate_set *s, const cJSON *row, size_t max, bg_err *e)
{
    const char *tensor = bg_json_string(row, "tensor", "");
    candidate *c = find(s, tensor);
    if (!c) {
        c = &s->at[s->n];
        *c = (candidate){.tensor = tensor,
                         .role = bg_json_string(row, "role", ""),
                         .layer = (int)bg_json_number(row, "layer", -1),
                         .weights = bg_json_number(row, "weights", 0),
                         .sigma2 = bg_json_number(row, "sigma2", 0),
                         .coefficient = NAN};
        c->options = malloc(max * sizeof *c->options);
        c->choices = malloc(max * sizeof *c->choices);
        s->n++;
        if (!c->options || !c->choices)
            return bg_no_memory(e, "choices", max * sizeof *c->options);
        s->weights += c->weights;
    }
    if (c->sigma2 > 0)
        c->options[c->n++] =
            (option_row){bg_json_string(row, "spec", ""), bg_json_number(row, "bits", NAN),
                         bg_json_number(row, "rate_bits", NAN), bg_json_number(row, "mse", NAN) / c->sigma2};
    return BG_OK;
}

static int read_curves(candidate_set *s, const bg_args *a, const cJSON *curves, bg_err *e)
{
    const cJSON *rows = bg_doc_rows(curves, "points"), *row;
    size_t max = (size_t)cJSON_GetArraySize(rows);
    s->at = calloc(max + 1, sizeof *s->at);
    if (!s->at)
        return bg_no_memory(e, "tensors", max * sizeof *s->at);
    size_t per_tensor = 0;
    const char *first = NULL;
    cJSON_ArrayForEach(row, rows) /* how many points one tensor has */
    {
        const char *tensor = bg_json_string(row, "tensor", "");
        first = first ? first : tensor;
        per_tensor += !strcmp(first, tensor);
    }
    int status = BG_OK;
    cJSON_ArrayForEach(row, rows) if (!status && is_wanted(a, bg_json_string(row, "quantizer", "")) &&
                                      bg_json_number(row, "weights", 0) > 0) status = add_point(s, row, per_tensor, e);
    if (!status && !s->n)
        status = bg_fail(e, BG_USAGE, "allocate: the curves hold no points of '%s'; choose another --quantizer",
                         bg_arg(a, "quantizer"));
    return status;
}

/* What a unit of ‖W−Ŵ‖²/‖W‖² of a tensor costs: measured coefficients, else its share of the squared error. Tensors the
 * measurement does not cover (embeddings) are left out. */
static void weigh(candidate_set *s, const cJSON *logits)
{
    const cJSON *rows = logits ? bg_doc_rows(logits, "coefficients") : NULL, *row;
    int measured = rows && rows->child, kept = 0;
    s->measure = measured ? "KL" : "squared error";
    s->unit = measured ? "nats/token" : "weight²";
    cJSON_ArrayForEach(row, rows)
    {
        candidate *c = find(s, bg_json_string(row, "tensor", ""));
        if (c)
            c->coefficient = fmax(bg_json_number(row, "kl", 0), 0);
    }
    for (int i = 0; i < s->n; i++) {
        candidate *c = &s->at[i];
        if (!measured)
            c->coefficient = c->weights * c->sigma2;
        if (!isfinite(c->coefficient)) {
            s->weights -= c->weights;
            free(c->options);
            free(c->choices);
            continue;
        }
        for (int k = 0; k < c->n; k++)
            c->choices[k] = (bg_choice){c->weights * c->options[k].rate, c->coefficient * c->options[k].relative};
        s->at[kept++] = *c;
    }
    s->n = kept;
}

/* ---- writing ---- */

static double loss_of_spec(const candidate_set *s, const char *spec, double *rate)
{
    double loss = 0, bits = 0;
    for (int i = 0; i < s->n; i++) {
        int k = 0;
        while (k < s->at[i].n && strcmp(s->at[i].options[k].spec, spec))
            k++;
        if (k == s->at[i].n)
            return NAN;
        loss += s->at[i].choices[k].loss;
        bits += s->at[i].choices[k].cost;
    }
    *rate = bits / s->weights;
    return loss;
}

/* The one spec for all tensors with the least loss within the budget. */
static const char *best_uniform(const candidate_set *s, double budget, double *loss, double *rate)
{
    const char *best = NULL;
    for (int k = 0; k < s->at[0].n; k++) {
        double r, l = loss_of_spec(s, s->at[0].options[k].spec, &r);
        if (isfinite(l) && r <= budget * (1 + 1e-12) && (!best || l < *loss)) {
            best = s->at[0].options[k].spec;
            *loss = l;
            *rate = r;
        }
    }
    return best;
}

static void write_summary(const candidate_set *s, const bg_allocation *x, double budget, bg_doc *d)
{
    double loss = NAN, rate = NAN;
    const char *uniform = best_uniform(s, budget, &loss, &rate);
    bg_doc_section(d, "summary");
    bg_doc_row(d);
    bg_doc_string(d, "measure", s->measure);
    bg_doc_string(d, "unit", s->unit);
    bg_doc_number(d, "budget_bits", budget);
    bg_doc_number(d, "rate_bits", x->cost / s->weights);
    bg_doc_number(d, "loss", x->loss);
    bg_doc_bool(d, "exact", x->exact);
    bg_doc_number(d, "lagrangian_bits", x->lagrangian_cost / s->weights);
    bg_doc_number(d, "lagrangian_loss", x->lagrangian_loss);
    bg_doc_number(d, "dual_bound", fmax(x->dual_bound, 0));
    if (uniform)
        bg_doc_string(d, "uniform_spec", uniform);
    bg_doc_number(d, "uniform_bits", rate);
    bg_doc_number(d, "uniform_loss", loss);
    bg_doc_integer(d, "weights", (int64_t)s->weights);
    bg_doc_row_end(d);
}

static void write_layers(const candidate_set *s, const bg_allocation *x, bg_doc *d)
{
    bg_doc_section(d, "layers");
    for (int i = 0; i < s->n; i++) {
        const candidate *c = &s->at[i];
        const option_row *o = &c->options[x->chosen[i]];
        bg_doc_row(d);
        bg_doc_string(d, "tensor", c->tensor);
        bg_doc_string(d, "role", c->role);
        bg_doc_integer(d, "layer", c->layer);
        bg_doc_string(d, "spec", o->spec);
        bg_doc_number(d, "bits", o->bits);
        bg_doc_number(d, "rate_bits", o->rate);
        bg_doc_integer(d, "weights", (int64_t)c->weights);
        bg_doc_number(d, "coefficient", c->coefficient);
        bg_doc_number(d, "loss", c->choices[x->chosen[i]].loss);
        bg_doc_row_end(d);
    }
}

static int write_budgets(const candidate_set *s, const bg_item *items, bg_doc *d, bg_err *e)
{
    double low = 0, high = 0;
    for (int i = 0; i < s->n; i++) {
        double min = INFINITY, max = 0;
        for (int k = 0; k < s->at[i].n; k++) {
            min = fmin(min, s->at[i].choices[k].cost);
            max = fmax(max, s->at[i].choices[k].cost);
        }
        low += min / s->weights;
        high += max / s->weights;
    }
    enum { STEPS = 24 };
    bg_doc_section(d, "budgets");
    for (int k = 0; k <= STEPS; k++) {
        double budget = low + (high - low) * k / STEPS;
        bg_allocation x;
        int status = bg_allocate(items, s->n, budget * s->weights, 2000, &x, e);
        if (status)
            return status;
        bg_doc_row(d);
        bg_doc_number(d, "budget_bits", budget);
        bg_doc_number(d, "rate_bits", x.cost / s->weights);
        bg_doc_number(d, "loss", x.loss);
        bg_doc_number(d, "dual_bound", fmax(x.dual_bound, 0));
        bg_doc_row_end(d);
        bg_allocation_free(&x);
    }
    bg_doc_section(d, "uniforms");
    for (int k = 0; k < s->at[0].n; k++) {
        double rate = NAN, loss = loss_of_spec(s, s->at[0].options[k].spec, &rate);
        if (!isfinite(loss))
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "spec", s->at[0].options[k].spec);
        bg_doc_number(d, "rate_bits", rate);
        bg_doc_number(d, "loss", loss);
        bg_doc_row_end(d);
    }
    return BG_OK;
}

static int write_recipes(const candidate_set *s, const bg_allocation *x, bg_doc *d, bg_err *e)
{
    bg_recipe_row *rows = calloc((size_t)s->n, sizeof *rows);
    if (!rows)
        return bg_no_memory(e, "recipes", (size_t)s->n * sizeof *rows);
    int status = BG_OK;
    for (int i = 0; i < s->n; i++) {
        const option_row *o = &s->at[i].options[x->chosen[i]];
        bg_spec spec;
        if (!status)
            status = bg_spec_parse(o->spec, &spec, e);
        if (!status)
            rows[i] = (bg_recipe_row){.tensor = s->at[i].tensor,
                                      .role = s->at[i].role,
                                      .layer = s->at[i].layer,
                                      .bits = o->bits,
                                      .group_size = spec.scope.kind == BG_SCOPE_GROUP ? (int)spec.scope.size : 0,
                                      .symmetric = spec.zero == BG_ZERO_SYM};
    }
    if (!status)
        bg_recipes_write(rows, s->n, d);
    free(rows);
    return status;
}

/* What to run: the model, the text, how much of it; model NULL: nothing. */
typedef struct measuring {
    const char *model, *text;
    int64_t windows;
} measuring;

/* A gain is one that its paired standard error does not explain: twice it, about 95 %. */
static const char *verdict_of(const bg_sample_mean *difference)
{
    if (!(fabs(difference->mean) > 2 * difference->se))
        return "none";
    return difference->mean < 0 ? "gain" : "loss";
}

/* Runs the best allocation that spends no more than the uniform spec, and that spec. */
static int measure_recipe(const candidate_set *s, const bg_item *items, double budget, const measuring *run,
                          bg_provenance *p, bg_doc *d, bg_err *e)
{
    double loss = NAN, rate = NAN;
    const char *uniform = best_uniform(s, budget, &loss, &rate), **texts = calloc(2 * (size_t)s->n + 1, sizeof *texts);
    bg_allocation x = {0};
    bg_recipe_trial t;
    int status = !texts    ? bg_no_memory(e, "a recipe", (size_t)s->n * sizeof *texts)
                 : uniform ? bg_allocate(items, s->n, rate * s->weights, 0, &x, e)
                           : BG_OK;
    if (!status && !uniform) {
        bg_warn("allocate: no single spec fits --budget %g; there is nothing to measure beside", budget);
        free(texts);
        return BG_OK;
    }
    for (int i = 0; i < s->n && !status; i++) {
        texts[i] = s->at[i].tensor;
        texts[s->n + i] = s->at[i].options[x.chosen[i]].spec;
    }
    bg_recipe_comparison both = {run->model, run->text, run->windows, s->n, texts, texts + s->n, uniform};
    if (!status)
        status = bg_recipe_measure(&both, p, &t, e);
    if (!status) {
        bg_doc_section(d, "measured");
        bg_doc_row(d);
        bg_doc_string(d, "uniform_spec", uniform);
        bg_doc_integer(d, "tokens", t.tokens);
        bg_doc_number(d, "uniform_bits", t.uniform_bits);
        bg_doc_number(d, "rate_bits", t.recipe_bits);
        bg_doc_number(d, "uniform_predicted", loss);
        bg_doc_number(d, "predicted", x.loss);
        bg_doc_number(d, "uniform_kl", t.uniform.mean);
        bg_doc_number(d, "uniform_kl_se", t.uniform.se);
        bg_doc_number(d, "kl", t.recipe.mean);
        bg_doc_number(d, "kl_se", t.recipe.se);
        bg_doc_number(d, "difference", t.difference.mean);
        bg_doc_number(d, "difference_se", t.difference.se);
        bg_doc_string(d, "verdict", verdict_of(&t.difference));
        bg_doc_row_end(d);
    }
    bg_allocation_free(&x);
    free(texts);
    return status;
}

static int write_document(const candidate_set *s, double budget, const measuring *run, const char *path,
                          bg_provenance *p, bg_err *e)
{
    bg_item *items = calloc((size_t)s->n, sizeof *items);
    bg_allocation x = {0};
    bg_doc d;
    int status = items ? BG_OK : bg_no_memory(e, "allocation", (size_t)s->n * sizeof *items);
    for (int i = 0; !status && i < s->n; i++)
        items[i] = (bg_item){s->at[i].choices, s->at[i].n};
    if (!status && bg_allocate(items, s->n, budget * s->weights, 0, &x, e))
        status = bg_context(e, "allocate: --budget %g bits per weight", budget);
    if (!status)
        status = bg_doc_begin(&d, "allocation", path, p, e);
    if (!status) {
        write_summary(s, &x, budget, &d);
        write_layers(s, &x, &d);
        status = write_budgets(s, items, &d, e);
        if (!status)
            status = write_recipes(s, &x, &d, e);
        if (!status && run->model)
            status = measure_recipe(s, items, budget, run, p, &d, e);
        if (status)
            bg_doc_abandon(&d);
        else
            status = bg_doc_commit(&d, e);
    }
    bg_allocation_free(&x);
    free(items);
    return status;
}

static int read_documents(const bg_args *a, cJSON **curves, cJSON **logits, bg_provenance *p, bg_err *e)
{
    int status = bg_doc_read(bg_args_word(a, 0), "curves", curves, p, e);
    if (!status && bg_args_words(a) > 1)
        status = bg_doc_read(bg_args_word(a, 1), "logits", logits, p, e);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    cJSON *curves = NULL, *logits = NULL;
    candidate_set s = {0};
    double budget = 4.5;
    measuring measured = {bg_arg(a, "model"), bg_arg(a, "text"), 16};
    int status = bg_arg_number(a, "budget", 0.01, 32, &budget, e);
    if (!status)
        status = bg_arg_integer(a, "windows", 0, INT32_MAX, &measured.windows, e);
    if (!status && !measured.model != !measured.text)
        status = bg_fail(e, BG_USAGE, "allocate: --model and --text belong together");
    if (!status)
        status = read_documents(a, &curves, &logits, p, e);
    if (!status)
        status = read_curves(&s, a, curves, e);
    if (!status) {
        weigh(&s, logits);
        status = s.n ? write_document(&s, budget, &measured, bg_arg_output(a, "allocation.json"), p, e)
                     : bg_fail(e, BG_INPUT, "allocate: curves and logits have no tensor in common");
    }
    free_candidates(&s);
    cJSON_Delete(curves);
    cJSON_Delete(logits);
    return status;
}

static const bg_option options[] = {
    {.name = "budget",
     .letter = 'b',
     .argument = "BITS",
     .default_value = "4.5",
     .help = "bits per weight over the allocated tensors, everything counted"},
    {.name = "quantizer",
     .argument = "NAME",
     .default_value = "uniform:scope=128,zero=asym",
     .repeats = 2,
     .help = "curves whose points may be chosen"},
    {.name = "model",
     .argument = "MODEL",
     .help = "run it: the KL of an allocation as large as the best single spec, beside that spec's"},
    {.name = "text", .letter = 't', .argument = "FILE", .help = "text for the run of --model"},
    {.name = "windows", .argument = "N", .default_note = "16", .help = "windows of 512 tokens; 0 takes all"},
    {0},
};

const bg_stage bg_stage_allocate = {
    .name = "allocate",
    .arguments = "curves.json [logits.json]",
    .min_words = 1,
    .max_words = 2,
    .summary = "bits for each tensor under a budget, and how far any allocation could go",
    .about =
        "Chooses one measured point for each tensor so that the total loss is least within the budget: exactly, by "
        "dynamic\n"
        "programming, beside the Lagrangian answer and the dual bound below which no allocation can go. The loss of a\n"
        "tensor is a·‖W−Ŵ‖²/‖W‖² with the coefficients of `logits --linearity`; without them its squared error.",
    .example = "bitgap allocate out/austen-3.7m/curves.json --budget 4.5 -o -",
    .options = options,
    .run = run,
};
