/* The common walk of base and trials: the same numbers as separate passes, for any threads and any memory budget. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "analysis/output/linearity.h"

enum { TOKENS = 60, VOCAB = 256 };

typedef struct fixture {
    bg_ckpt *ckpt;
    bg_model *m;
    bg_corpus text;
    bg_spec specs[2];
} fixture;

static int32_t ids[TOKENS];
static int lengths[] = {25, 1, 34};

static void open_fixture(fixture *f, const char *model)
{
    bg_err e = {0};
    char path[128];
    snprintf(path, sizeof path, "%s%s", strchr(model, '/') ? "" : "tests/golden/data/models/", model);
    *f = (fixture){0};
    if (bg_ckpt_open(path, &(bg_ckpt_options){0}, &f->ckpt, &e) || bg_model_open(f->ckpt, &f->m, &e) ||
        bg_spec_parse("uniform:bits=4,scope=channel", &f->specs[0], &e) ||
        bg_spec_parse("uniform:bits=3,scope=channel", &f->specs[1], &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < TOKENS; i++)
        ids[i] = (i * 89 + i * i * 7) % VOCAB;
    f->text = (bg_corpus){.ids = ids, .n = TOKENS, .lengths = lengths, .sequences = 3};
}

static void close_fixture(fixture *f)
{
    bg_model_close(f->m);
    bg_ckpt_close(f->ckpt);
}

static void measure(fixture *f, bg_trial *v, int n, uint64_t budget)
{
    bg_err e = {0};
    bg_functional_options o = {.seed = 5, .hidden_bytes = budget};
    if (bg_functional_run(f->m, &f->text, v, n, &o, &e))
        fail_msg("%s", e.text);
}

static void nothing_changed_is_nothing_lost(void **state)
{
    (void)state;
    fixture f;
    open_fixture(&f, "qwen3");
    bg_trial v[2] = {{.layer = -1}, {.candidate = f.m, .layer = -1}};
    bg_model *again = NULL;
    bg_err e = {0};
    assert_int_equal(bg_model_open(f.ckpt, &again, &e), BG_OK);
    v[1].candidate = again;
    measure(&f, v, 2, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(v[i].info.squared.mean == 0 && v[i].info.kl.mean == 0 && v[i].info.same_top.mean == 1);
        assert_true(v[i].info.log_ratio.mean == 0 && v[i].squared == 0);
        assert_int_equal(v[i].info.scored, TOKENS - 3);
    }
    assert_int_equal(v[1].tensors, f.m->n_linears);
    bg_trials_free(v, 2);
    bg_model_close(again);
    close_fixture(&f);
}

typedef struct rows {
    float logits[TOKENS * VOCAB];
} rows;

static int collect(void *self, int64_t first, int64_t n, const float *logits, bg_err *e)
{
    (void)e;
    memcpy(((rows *)self)->logits + first * VOCAB, logits, (size_t)(n * VOCAB) * sizeof *logits);
    return BG_OK;
}

/* Layer 1 alone at 3 bits, by hand: its weights replaced in an ordinary pass. */
static void a_variant_is_a_pass_with_other_weights(void **state)
{
    (void)state;
    static rows base, other;
    fixture f;
    bg_err e = {0};
    open_fixture(&f, "gpt2");
    bg_trial v = {.spec = &f.specs[1], .layer = 1};
    measure(&f, &v, 1, 0);
    assert_int_equal(bg_model_load(f.m, &e), BG_OK);
    float *hat[64] = {0};
    double squared = 0;
    for (int i = 0; i < BG_LINEARS; i++) {
        const bg_linear *l = f.m->layers[1].linear[i];
        if (!l)
            continue;
        bg_matrix m = bg_matrix_of(l->w, l->out, l->in);
        bg_measure measured;
        hat[l->index] = malloc((size_t)(l->out * l->in) * sizeof(float));
        assert_int_equal(bg_reconstruct(&m, &f.specs[1], l->w, hat[l->index], &measured, NULL, &e), BG_OK);
        squared += measured.mse * (double)(l->out * l->in);
    }
    bg_batch b = {.ids = ids, .lengths = lengths, .n = 3};
    bg_pass pass = {.weights = (const float *const *)hat};
    assert_int_equal(bg_model_forward(f.m, &b, NULL, collect, &base, &e), BG_OK);
    assert_int_equal(bg_model_forward(f.m, &b, &pass, collect, &other, &e), BG_OK);
    double sum = 0;
    for (int i = 0; i < TOKENS * VOCAB; i++)
        sum += pow((double)base.logits[i] - (double)other.logits[i], 2);
    assert_true(v.info.squared.mean > 0 && fabs(sum / (TOKENS * VOCAB) / v.info.squared.mean - 1) < 1e-12);
    assert_true(fabs(squared / v.squared - 1) < 1e-6);
    assert_int_equal(v.tensors, 4);
    bg_trials_free(&v, 1);
    for (int i = 0; i < 64; i++)
        free(hat[i]);
    close_fixture(&f);
}

static void results_do_not_depend_on_threads_or_memory(void **state)
{
    (void)state;
    static bg_trial first[6], v[6];
    static const uint64_t budgets[] = {0, 0, 1, 40000};
    static const int threads[] = {1, 3, 2, 3};
    for (int round = 0; round < 4; round++) {
        fixture f;
        open_fixture(&f, "llama_plain_gqa");
        omp_set_num_threads(threads[round]);
        bg_trial asked[6] = {{.spec = &f.specs[0], .layer = -1},
                             {.spec = &f.specs[0], .layer = 1},
                             {.spec = &f.specs[0], .layer = -1, .role = "mlp.down_proj"},
                             {.spec = &f.specs[1], .layer = -1, .embeddings = 1},
                             {.noise = 0.1, .layer = 0},
                             {.precision = BG_FLOAT64, .layer = -1}};
        memcpy(v, asked, sizeof v);
        measure(&f, v, 6, budgets[round]);
        if (!round) {
            memcpy(first, v, sizeof v);
            assert_true(v[0].info.kl.mean > v[1].info.kl.mean && v[3].info.kl.mean > v[0].info.kl.mean);
            assert_true(v[5].info.kl.mean < 1e-9 && v[5].info.squared.mean > 0);
        } else {
            for (int i = 0; i < 6; i++) {
                for (int t = 0; t < TOKENS; t++)
                    assert_true(v[i].tokens[t].kl == first[i].tokens[t].kl);
                assert_memory_equal(&v[i].info, &first[i].info, sizeof v[i].info);
                assert_true(v[i].squared == first[i].squared);
            }
            bg_trials_free(v, 6);
        }
        close_fixture(&f);
    }
    bg_trials_free(first, 6);
}

/* Small noise on everything costs what the tensors' coefficients add up to. */
static void small_costs_add_up(void **state)
{
    (void)state;
    fixture f;
    bg_err e = {0};
    bg_linearity a;
    open_fixture(&f, "data/austen-0.9m-qwen2"); /* real text, wide enough for cross terms to average out */
    bg_corpus text = {0};
    assert_int_equal(bg_corpus_read(f.ckpt, "data/text/val.txt", 0, &text, NULL, &e), BG_OK);
    assert_int_equal(bg_corpus_cut(&text, 128, 3, &e), BG_OK);
    bg_functional_options o = {.seed = 5}, other = {.seed = 77};
    assert_int_equal(bg_linearity_measure(f.m, &text, 0.02, &o, &a, &e), BG_OK);
    bg_trial v[2] = {{.noise = 0.01, .layer = -1}, {.noise = -0.01, .layer = -1}};
    assert_int_equal(bg_functional_run(f.m, &text, v, 2, &other, &e), BG_OK);
    double kl, log_ratio, measured = (v[0].info.kl.mean + v[1].info.kl.mean) / 2;
    bg_linearity_predict(&a, &v[0], &kl, &log_ratio);
    if (!(fabs(kl / measured - 1) < 0.25))
        fail_msg("predicted %g, measured %g", kl, measured);
    bg_trials_free(v, 2);
    bg_linearity_free(&a);
    bg_corpus_free(&text);
    close_fixture(&f);
}

static void the_fit_knows_where_it_breaks(void **state)
{
    (void)state;
    double rate[] = {2, 3, 4, 5, 6}, predicted[] = {1, 1, 0.1, 0.02, 0.005}, measured[] = {9, 1.1, 0.2, 0.021, 0.005};
    bg_linearity_fit fit = bg_linearity_fit_of(rate, predicted, measured, 5, 0.25);
    assert_int_equal(fit.n, 5);
    assert_true(fit.holds_from_bits == 5 && fabs(fit.worst - 8.0 / 9) < 1e-12 && fit.r2 > 0.5 && fit.r2 < 1);
    fit = bg_linearity_fit_of(rate, measured, measured, 5, 0.25);
    assert_true(fit.holds_from_bits == 2 && fit.r2 == 1);
    measured[4] = 1;
    fit = bg_linearity_fit_of(rate, predicted, measured, 5, 0.25);
    assert_true(isnan(fit.holds_from_bits));
}

typedef struct seen {
    int calls;
    double largest;
} seen;

static int see(void *self, const bg_linear *l, const float *x, int64_t n, bg_err *e)
{
    seen *s = self;
    (void)e;
    for (int64_t i = 0; i < n * l->in; i++)
        s->largest = fmax(s->largest, fabs((double)x[i]));
    s->calls++;
    return BG_OK;
}

/* Inputs rounded to 16 bits change little, to 4 bits more; kept columns are not rounded; the tap sees every input. */
static void inputs_are_rounded_and_seen(void **state)
{
    (void)state;
    static rows base, other;
    fixture f;
    bg_err e = {0};
    seen s = {0, 0};
    bg_tap tap = {see, &s};
    open_fixture(&f, "mistral_sw");
    bg_batch b = {.ids = ids, .lengths = lengths, .n = 3};
    bg_pass watch = {.tap = &tap}, kept = {.activation_bits = 4, .activation_keep = 1e-30f};
    assert_int_equal(bg_model_forward(f.m, &b, &watch, collect, &base, &e), BG_OK);
    assert_int_equal(s.calls, f.m->n_linears);
    assert_true(s.largest > 0);
    assert_int_equal(bg_model_forward(f.m, &b, &kept, collect, &other, &e), BG_OK);
    for (int i = 0; i < TOKENS * VOCAB; i++)
        assert_true(fabsf(base.logits[i] - other.logits[i]) <= 1e-5f);
    bg_trial v[3] = {
        {.layer = -1, .activation_bits = 16}, {.layer = -1, .activation_bits = 8}, {.layer = -1, .activation_bits = 4}};
    measure(&f, v, 3, 0);
    assert_true(v[0].info.squared.mean > 0);
    /* the step is 257 and 18 times as wide: the squared error grows by that squared, within a factor of two */
    double first = v[1].info.squared.mean / v[0].info.squared.mean / (258.0 * 258.0);
    assert_true(first > 0.5 && first < 2 && v[2].info.squared.mean > 100 * v[1].info.squared.mean);
    bg_trials_free(v, 3);
    close_fixture(&f);
}

/* Second moments of independent inputs of unit power but for one of 50², as the planted model has them. */
typedef struct moments {
    double *sigma, *mean_abs, *max_abs;
} moments;

static int dress(void *self, const bg_linear *l, bg_matrix *m, bg_err *e)
{
    moments *k = self;
    (void)e;
    for (int64_t i = 0; i < l->in; i++) {
        double size = i == 3 && !strstr(l->name, "o_proj") && !strstr(l->name, "down_proj") ? 50 : 1;
        for (int64_t j = 0; j < l->in; j++)
            k->sigma[i * l->in + j] = i == j ? size * size : 0;
        k->mean_abs[i] = 0.8 * size;
        k->max_abs[i] = 3 * size;
    }
    m->second_moment = k->sigma;
    m->mean_abs = k->mean_abs;
    m->max_abs = k->max_abs;
    return BG_OK;
}

/* Input 3 of attention and MLP becomes 50 times as large and its weights as much smaller: the same model, with an
 * outlier. */
static void plant_outlier(bg_model *m)
{
    static const bg_linear_role readers[2][3] = {{BG_Q, BG_K, BG_V}, {BG_GATE, BG_UP, BG_UP}};
    static const int norms[2] = {BG_NORM_ATTN, BG_NORM_MLP};
    for (int l = 0; l < m->config.layers; l++)
        for (int n = 0; n < 2; n++) {
            m->layers[l].norm[norms[n]].w[3] *= 50;
            for (int k = 0; k < 3 - n; k++) {
                const bg_linear *reader = m->layers[l].linear[readers[n][k]];
                for (int64_t r = 0; r < reader->out; r++)
                    reader->w[r * reader->in + 3] /= 50;
            }
        }
}

/* Smoothing alone leaves the logits as they were; with 8-bit inputs it takes most of an outlier's harm away, which
 * rounding the inputs unsmoothed would not. */
static void smoothing_changes_nothing_but_the_rounding(void **state)
{
    (void)state;
    fixture f;
    bg_err e = {0};
    open_fixture(&f, "qwen3");
    assert_int_equal(bg_model_load(f.m, &e), BG_OK);
    plant_outlier(f.m);
    moments k = {malloc(4096 * 4096 / 4 * sizeof(double)), malloc(2048 * sizeof(double)),
                 malloc(2048 * sizeof(double))};
    bg_functional_options o = {.seed = 5, .calibration = dress, .self = &k};
    static const char *const specs[] = {"uniform:bits=16,scope=channel,scale=f32",
                                        "uniform:bits=16,scope=channel,scale=f32,transform=smooth",
                                        "uniform:bits=16,scope=channel,scale=f32,transform=smooth,activations=8"};
    bg_spec s[3];
    bg_trial v[4] = {{.layer = -1, .activation_bits = 8}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bg_spec_parse(specs[i], &s[i], &e), BG_OK);
        v[i + 1] = (bg_trial){.spec = &s[i], .layer = -1};
    }
    if (bg_functional_run(f.m, &f.text, v, 4, &o, &e))
        fail_msg("%s", e.text);
    double scale = 0;
    for (int i = 0; i < 4; i++)
        assert_null(v[i].skipped);
    scale = v[0].info.squared.mean; /* of 8-bit inputs, unsmoothed */
    assert_true(v[1].info.squared.mean < 1e-5 * scale && v[2].info.squared.mean < 1e-5 * scale);
    if (!(v[3].info.squared.mean < 0.2 * scale && v[3].info.squared.mean > 1e-4 * scale))
        fail_msg("smoothed %g, unsmoothed %g", v[3].info.squared.mean, scale);
    bg_trials_free(v, 4);
    free(k.sigma), free(k.mean_abs), free(k.max_abs);
    close_fixture(&f);
}

/* A recipe is its specs, tensor by tensor; what it does not name stays. */
static void a_recipe_gives_each_tensor_its_own(void **state)
{
    (void)state;
    fixture f;
    bg_err e = {0};
    bg_recipe *all = NULL, *one = NULL;
    open_fixture(&f, "qwen3");
    const char *names[64], *specs[64];
    for (int i = 0; i < f.m->n_linears; i++) {
        names[i] = f.m->linears[i].name;
        specs[i] = f.specs[0].text;
    }
    assert_int_equal(bg_recipe_make("all", names, specs, f.m->n_linears, &all, &e), BG_OK);
    specs[0] = f.specs[1].text;
    assert_int_equal(bg_recipe_make("one", names, specs, 1, &one, &e), BG_OK);
    const char *role = f.m->linears[0].tensor->role;
    bg_trial v[4] = {{.spec = &f.specs[0], .layer = -1},
                     {.recipe = all, .layer = -1},
                     {.recipe = one, .layer = -1},
                     {.spec = &f.specs[1], .layer = 0, .role = role}};
    measure(&f, v, 4, 0);
    assert_true(v[0].info.kl.mean == v[1].info.kl.mean && v[0].bits == v[1].bits && v[0].tensors == v[1].tensors);
    assert_true(v[2].info.kl.mean == v[3].info.kl.mean && v[2].bits == v[3].bits && v[2].tensors == 1);
    assert_int_equal(bg_recipe_make("bad", names, (const char *[]){"no_such"}, 1, &one, &e), BG_USAGE);
    bg_trials_free(v, 4);
    bg_recipe_free(all);
    bg_recipe_free(one);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changed_is_nothing_lost),
        cmocka_unit_test(a_variant_is_a_pass_with_other_weights),
        cmocka_unit_test(results_do_not_depend_on_threads_or_memory),
        cmocka_unit_test(small_costs_add_up),
        cmocka_unit_test(the_fit_knows_where_it_breaks),
        cmocka_unit_test(inputs_are_rounded_and_seen),
        cmocka_unit_test(smoothing_changes_nothing_but_the_rounding),
        cmocka_unit_test(a_recipe_gives_each_tensor_its_own),
    };
    return cmocka_run_group_tests_name("functional", tests, NULL, NULL);
}
