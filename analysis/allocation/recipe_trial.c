/* Owns the trial of a recipe: both variants in one walk, their divergences paired. */
#include "analysis/allocation/recipe_trial.h"

#include <stdlib.h>
#include "quant/source/weights.h"

enum { CONTEXT = 512 };

static int compare_tokens(const bg_trial *v, const bg_corpus *text, bg_recipe_trial *out, bg_err *e)
{
    double *difference = malloc(((size_t)text->n + 1) * sizeof *difference);
    for (int i = 0; i < 2; i++)
        if (v[i].skipped) {
            free(difference);
            return bg_fail(e, BG_INPUT, "tensor '%s': %s", v[i].skipped_tensor, v[i].skipped);
        }
    if (!difference)
        return bg_no_memory(e, "differences", (unsigned long long)text->n * sizeof *difference);
    bg_sequences sequences = {text->lengths, text->sequences};
    for (int64_t t = 0; t < text->n; t++)
        difference[t] = v[0].tokens[t].kl - v[1].tokens[t].kl;
    *out = (bg_recipe_trial){.recipe_bits = v[0].bits / v[0].weights,
                             .uniform_bits = v[1].bits / v[1].weights,
                             .recipe = v[0].info.kl,
                             .uniform = v[1].info.kl,
                             .difference = bg_sample_mean_of(difference, text->n, &sequences),
                             .tokens = text->n};
    free(difference);
    return BG_OK;
}

int bg_recipe_measure(const bg_recipe_comparison *x, bg_provenance *p, bg_recipe_trial *out, bg_err *e)
{
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    bg_corpus corpus = {0};
    bg_recipe *recipes[2] = {NULL, NULL};
    bg_trial v[2] = {{.layer = -1}, {.layer = -1}};
    const char **same = malloc(((size_t)x->n + 1) * sizeof *same);
    int status =
        same ? bg_weights_open(x->model, &(bg_ckpt_options){0}, &c, e) : bg_no_memory(e, "a recipe", (size_t)x->n);
    for (int i = 0; i < x->n && same; i++)
        same[i] = x->uniform;
    if (!status)
        status = bg_ckpt_provenance(c, p, e);
    if (!status)
        status = bg_model_open(c, &m, e);
    if (!status)
        status = bg_corpus_read(c, x->text, 0, &corpus, p, e);
    if (!status)
        status = bg_corpus_cut(&corpus, bg_model_context(m) < CONTEXT ? bg_model_context(m) : CONTEXT, x->windows, e);
    if (!status)
        status = bg_recipe_make("recipe", x->tensors, x->specs, x->n, &recipes[0], e);
    if (!status)
        status = bg_recipe_make("uniform", x->tensors, same, x->n, &recipes[1], e);
    v[0].recipe = recipes[0];
    v[1].recipe = recipes[1];
    if (!status)
        status = bg_functional_run(m, &corpus, v, 2, &(bg_functional_options){.seed = p->seed}, e);
    if (!status)
        status = compare_tokens(v, &corpus, out, e);
    bg_trials_free(v, 2);
    free(same);
    bg_recipe_free(recipes[0]);
    bg_recipe_free(recipes[1]);
    bg_corpus_free(&corpus);
    bg_model_close(m);
    bg_ckpt_close(c);
    return status;
}
