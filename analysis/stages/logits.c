/* bitgap logits: what quantizers do to a model's predictions, all specs and checkpoints in one walk over the text. */
#include <stdlib.h>
#include <string.h>
#include "analysis/output/logits.h"
#include "io/base/options.h"
#include "quant/source/weights.h"

enum {
    WINDOWS = 16, /* of the text, unless --windows says otherwise */
    CONTEXT = 512,
    SHORT_TOKENS = 2048, /* of the text for the noise floor and the coefficients of linearity */
};
static const double linearity_step = 0.05, linearity_tolerance = 0.25;

/* ---- input ---- */

static int open_models(bg_logits *j, const bg_args *a, bg_provenance *p, bg_err *e)
{
    int words = bg_args_words(a), status = BG_OK;
    j->others = calloc((size_t)words, sizeof *j->others);
    j->candidates = calloc((size_t)words, sizeof *j->candidates);
    if (!j->others || !j->candidates)
        return bg_no_memory(e, "models", (unsigned long long)words * sizeof *j->others);
    for (int i = 0; !status && i < words; i++) {
        bg_ckpt **c = i ? &j->others[j->n_candidates] : &j->ckpt;
        bg_model **m = i ? &j->candidates[j->n_candidates] : &j->base;
        status = bg_weights_open(bg_args_word(a, i), &(bg_ckpt_options){0}, c, e);
        j->n_candidates += i > 0;
        if (!status)
            status = bg_ckpt_provenance(*c, p, e);
        if (!status)
            status = bg_model_open(*c, m, e);
    }
    return status;
}

static int read_text(bg_logits *j, const bg_args *a, bg_provenance *p, bg_err *e)
{
    int64_t context = CONTEXT, windows = WINDOWS;
    if (bg_model_context(j->base) < context)
        context = bg_model_context(j->base);
    int status = bg_arg_integer(a, "context", 2, INT32_MAX, &context, e);
    if (!status)
        status = bg_arg_integer(a, "windows", 0, INT32_MAX, &windows, e);
    if (status)
        return status;
    if (bg_arg(a, "text")) {
        j->text_name = bg_path_base(bg_arg(a, "text"));
        status = bg_corpus_read(j->ckpt, bg_arg(a, "text"), 0, &j->text, p, e);
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

enum { MAX_ROLES = 64 };

/* The roles of all layers, in the order in which they first come. */
static int roles_of(const bg_model *m, const char *roles[MAX_ROLES])
{
    int n = 0;
    for (int i = 0; i < m->n_linears; i++) {
        const char *role = m->linears[i].tensor->role;
        int k = 0;
        while (k < n && strcmp(roles[k], role))
            k++;
        if (k == n && n < MAX_ROLES)
            roles[n++] = role;
    }
    return n;
}

static void add(bg_logits *j, const bg_args *a, const bg_spec *s, int layer, const char *role)
{
    j->v[j->n++] = (bg_trial){.spec = s,
                              .layer = layer,
                              .role = role,
                              .activation_bits = (int)j->activation_bits,
                              .activation_keep = (float)j->activation_keep,
                              .embeddings = layer < 0 && !role && bg_arg_given(a, "embeddings")};
}

static int make_trials(bg_logits *j, const bg_args *a, bg_err *e)
{
    const char *roles[MAX_ROLES];
    int n_roles = roles_of(j->base, roles), layers = j->base->config.layers;
    size_t max = (size_t)j->n_specs * (size_t)(1 + layers + n_roles + layers * n_roles);
    max += (size_t)j->n_candidates + (size_t)j->n_recipes;
    j->v = calloc(max ? max : 1, sizeof *j->v);
    if (!j->v)
        return bg_no_memory(e, "trials", max * sizeof *j->v);
    for (int s = 0; s < j->n_specs; s++) {
        add(j, a, &j->specs[s], -1, NULL);
        for (int l = 0; bg_arg_given(a, "per-layer") && l < layers; l++)
            add(j, a, &j->specs[s], l, NULL);
        for (int r = 0; bg_arg_given(a, "per-role") && r < n_roles; r++)
            add(j, a, &j->specs[s], -1, roles[r]);
        for (int i = 0; bg_arg_given(a, "per-tensor") && i < layers * n_roles; i++)
            add(j, a, &j->specs[s], i / n_roles, roles[i % n_roles]);
    }
    for (int i = 0; i < j->n_recipes; i++)
        j->v[j->n++] = (bg_trial){.recipe = j->recipe[i],
                                  .layer = -1,
                                  .activation_bits = (int)j->activation_bits,
                                  .activation_keep = (float)j->activation_keep};
    for (int i = 0; i < j->n_candidates; i++)
        j->v[j->n++] = (bg_trial){.candidate = j->candidates[i], .layer = -1};
    return BG_OK;
}

static int measure(bg_logits *j, const bg_args *a, bg_err *e)
{
    int status = bg_functional_run(j->base, &j->text, j->v, j->n, &j->options, e);
    if (!status && !bg_arg_given(a, "no-noise")) {
        j->noise[0] = (bg_trial){.precision = BG_FLOAT64, .layer = -1};
        j->noise[1] = (bg_trial){.precision = BG_BFLOAT16, .layer = -1};
        status = bg_functional_run(j->base, &j->part, j->noise, 2, &j->options, e);
    }
    if (!status && bg_arg_given(a, "linearity"))
        status = bg_linearity_measure(j->base, &j->part, linearity_step, &j->options, &j->linearity, e);
    return status;
}

static void release(bg_logits *j)
{
    bg_trials_free(j->v, j->n);
    bg_trials_free(j->noise, 2);
    free(j->v);
    free(j->specs);
    for (int i = 0; i < j->n_recipes; i++)
        bg_recipe_free(j->recipe[i]);
    free(j->recipe);
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

static int open_calibration(bg_logits *j, const bg_args *a, bg_provenance *p, bg_err *e)
{
    const char *path = bg_arg(a, "calibration");
    if (!path)
        return BG_OK;
    int status = bg_calibration_open(path, j->ckpt, &j->calibration, p, e);
    j->options.calibration = dress;
    j->options.self = j->calibration;
    return status;
}

static int read_recipes(bg_logits *j, const bg_args *a, bg_provenance *p, bg_err *e)
{
    int n = bg_arg_count(a, "recipe"), status = BG_OK;
    j->recipe = calloc((size_t)n + 1, sizeof *j->recipe);
    if (!j->recipe)
        return bg_no_memory(e, "recipes", (unsigned)n * sizeof *j->recipe);
    for (int i = 0; i < n && !status; i++) {
        status = bg_recipe_read(bg_arg_nth(a, "recipe", i), &j->recipe[i], p, e);
        j->n_recipes += !status;
    }
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    bg_logits j = {
        .options = {.seed = p->seed}, .tolerance = linearity_tolerance, .per_token = bg_arg_given(a, "per-token")};
    int status = BG_OK;
    for (int i = 0; !status && i < bg_arg_count(a, "spec"); i++)
        status = bg_specs_parse(bg_arg_nth(a, "spec", i), &j.specs, &j.n_specs, e);
    if (!status)
        status = read_recipes(&j, a, p, e);
    if (!status && !j.n_specs && !j.n_recipes && bg_args_words(a) < 2)
        status = bg_fail(e, BG_USAGE, "logits needs -q SPEC…, --recipe FILE or a second checkpoint to compare");
    if (!status)
        status = bg_arg_integer(a, "activation-bits", 2, 16, &j.activation_bits, e);
    if (!status)
        status = bg_arg_number(a, "activation-keep", 0, 1e6, &j.activation_keep, e);
    if (!status)
        status = open_models(&j, a, p, e);
    if (!status)
        status = open_calibration(&j, a, p, e);
    if (!status)
        status = read_text(&j, a, p, e);
    if (!status)
        status = make_trials(&j, a, e);
    if (!status)
        status = measure(&j, a, e);
    if (!status)
        status = bg_logits_write(&j, bg_arg_output(a, "logits.json"), p, e);
    release(&j);
    return status;
}

static const bg_option options[] = {
    {.name = "spec",
     .old_name = "quantizer",
     .letter = 'q',
     .argument = "SPEC",
     .repeats = 2,
     .help = "quantizers to run, one result row per spec (bitgap list)"},
    {.name = "recipe",
     .argument = "FILE",
     .repeats = 2,
     .help = "a spec for each tensor: allocation.json, or lines PATTERN SPEC"},
    {.name = "text",
     .letter = 't',
     .argument = "FILE",
     .help = "text to run",
     .default_note = "ten built-in sentences"},
    {.name = "context",
     .argument = "N",
     .default_note = "512, or the model's context if that is less",
     .help = "tokens in a window"},
    {.name = "windows",
     .argument = "N",
     .default_note = "16",
     .help = "windows of the text, from its beginning; 0 takes all"},
    {.name = "calibration", .argument = "FILE", .help = "calibration.json of this model, for the specs that need one"},
    {.name = "activation-bits",
     .argument = "B",
     .help = "round the inputs of every layer per token, absmax/(2^(B-1)-1) (W8A8: 8)"},
    {.name = "activation-keep", .argument = "X", .help = "but leave columns with a value of at least X (LLM.int8: 6)"},
    {.name = "embeddings", .help = "quantize the embedding and the output matrix too"},
    {.name = "per-layer", .help = "also one layer at a time"},
    {.name = "per-role", .old_name = "per-group", .help = "also one role at a time"},
    {.name = "per-tensor", .help = "also one tensor at a time"},
    {.name = "linearity", .help = "measure what each tensor's error costs, and whether the costs add up"},
    {.name = "per-token", .help = "also write each token's logits error and divergence"},
    {.name = "no-noise", .help = "leave out the arithmetic's own noise floor"},
    {0},
};

const bg_stage bg_stage_logits = {
    .name = "logits",
    .arguments = "MODEL [CHECKPOINT…]",
    .min_words = 1,
    .max_words = -1,
    .summary = "what quantizers do to a model's predictions",
    .about =
        "Runs the model and, in the same walk over its layers, every quantized copy on the same text: logits MSE, "
        "Kullback-Leibler divergence with its quantiles, agreement of the top token, change of the next token's "
        "probability, perplexity with standard errors and the paired error of the difference. Further checkpoints of "
        "the same vocabulary are compared as they are.",
    .example =
        "bitgap logits data/austen-3.7m -q nf4 uniform:bits=4,scope=128 --text data/text/test.txt -o logits.json",
    .options = options,
    .run = run,
};
