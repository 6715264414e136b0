/* Golden models: hidden states and logits of small random models, as transformers computes them in float32.
 *
 * Tolerance: 1e-4 of the largest |value|. Both sides sum in float32, in different orders: the golden files' own
 * distance from float64 is up to 6e-5 at |logit| 15 (io.json), so half of the tolerance is theirs.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <unistd.h>

#include "analysis/model/model.h"

static const double tolerance = 1e-4;
enum { FAMILIES = 47, FILES = 6 };

typedef struct golden {
    bg_ckpt *ckpt, *io;
    bg_model *m;
    int32_t *ids;
    int n;
} golden;

static const char *const folder = "tests/golden/data/models/", *const families = "tests/golden/data/families";

static float *values(const bg_ckpt *c, const char *name, int64_t *count)
{
    bg_err e = {0};
    const bg_tensor *t = bg_ckpt_find(c, name);
    if (!t)
        return NULL;
    float *x = malloc((size_t)t->count * sizeof *x);
    assert_non_null(x);
    assert_int_equal(bg_tensor_rows(t, 0, t->rows, x, &e), BG_OK);
    *count = (int64_t)t->count;
    return x;
}

static void open_golden(const char *name, golden *g)
{
    bg_err e = {0};
    char path[512];
    *g = (golden){0};
    size_t n_name = strlen(name);
    int is_file = n_name > 5 && !strcmp(name + n_name - 5, ".gguf"); /* beside the directory's own weights */
    snprintf(path, sizeof path, "%s%s%s", folder, name, strncmp(name, "gguf_", 5) ? "" : "/model.gguf");
    if (bg_ckpt_open(path, &(bg_ckpt_options){0}, &g->ckpt, &e) || bg_model_open(g->ckpt, &g->m, &e))
        fail_msg("%s: %s", name, e.text);
    snprintf(path, sizeof path, "%s%.*s/io.safetensors", folder, (int)(n_name - (is_file ? strlen("/model.gguf") : 0)),
             name);
    if (bg_ckpt_open(path, &(bg_ckpt_options){0}, &g->io, &e))
        fail_msg("%s: %s", name, e.text);
    int64_t n = 0;
    float *ids = values(g->io, "input_ids", &n);
    assert_non_null(ids);
    g->n = (int)n;
    g->ids = malloc((size_t)n * sizeof *g->ids);
    assert_non_null(g->ids);
    for (int i = 0; i < g->n; i++)
        g->ids[i] = (int32_t)ids[i];
    free(ids);
}

static void close_golden(golden *g)
{
    bg_model_close(g->m);
    bg_ckpt_close(g->ckpt);
    bg_ckpt_close(g->io);
    free(g->ids);
}

static void compare(const char *model, const char *what, const float *got, const float *want, int64_t n)
{
    double top = 0, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        top = fmax(top, fabs((double)want[i]));
        worst = isfinite(got[i]) ? fmax(worst, fabs((double)got[i] - (double)want[i])) : (double)INFINITY;
    }
    if (!(worst <= tolerance * top))
        fail_msg("%s: %s differs by %g, of values up to %g", model, what, worst, top);
}

static void compare_with(const golden *g, const char *model, const char *what, const float *got)
{
    int64_t n = 0;
    float *want = values(g->io, what, &n);
    if (want)
        compare(model, what, got, want, n);
    free(want);
}

/* Rows of the embedding read from the file as tokens ask for them: the same as from memory, h. Before the model is
 * loaded. */
static void check_embedding(golden *g, const char *name, const bg_batch *b, float *h)
{
    bg_err e = {0};
    size_t bytes = (size_t)g->n * (size_t)g->m->config.hidden * sizeof *h;
    float *read = malloc(bytes);
    assert_non_null(read);
    if (bg_model_load_input(g->m, &e) || bg_model_embed(g->m, b, NULL, read, &e))
        fail_msg("%s: %s", name, e.text);
    assert_null(g->m->embed.w);
    if (bg_model_load(g->m, &e) || bg_model_embed(g->m, b, NULL, h, &e))
        fail_msg("%s: %s", name, e.text);
    assert_memory_equal(read, h, bytes);
    free(read);
}

/* The layers one by one: hidden states and logits. */
static void check_layers(golden *g, const char *name)
{
    bg_err e = {0};
    bg_batch b = {.ids = g->ids, .lengths = &g->n, .n = 1};
    const bg_model_config *c = &g->m->config;
    bg_workspace *w = NULL;
    float *h = malloc((size_t)g->n * (size_t)c->hidden * sizeof *h);
    float *last = malloc((size_t)g->n * (size_t)c->embed_width * sizeof *last);
    float *logits = malloc((size_t)g->n * (size_t)c->vocab * sizeof *logits);
    assert_true(h && last && logits);
    if (bg_model_check(g->m, &b, &e) || bg_workspace_for(g->m, &b, &w, &e))
        fail_msg("%s: %s", name, e.text);
    check_embedding(g, name, &b, h);
    compare_with(g, name, "hidden_0", h);
    for (int l = 0; l < c->layers; l++) {
        assert_int_equal(bg_model_layer(g->m, l, &b, NULL, h, w, &e), BG_OK);
        if (l == 0)
            compare_with(g, name, "hidden_1", h);
    }
    assert_int_equal(bg_model_finish(g->m, NULL, h, g->n, last, w, &e), BG_OK);
    compare_with(g, name, "hidden_last", last);
    assert_int_equal(bg_model_logits(g->m, NULL, h, g->n, logits, w, &e), BG_OK);
    compare_with(g, name, "logits", logits);
    bg_workspace_close(w);
    free(h);
    free(last);
    free(logits);
}

/* The decoder: prompt in two parts, then token by token, gives the same logits. Scalings that look at the length of the
 * whole sequence (dynamic, longrope) turn early keys otherwise, as every cache does, and are left out. */
static void check_decoder(golden *g, const char *name)
{
    if (g->m->config.rope.scaling == BG_ROPE_DYNAMIC || g->m->config.rope.scaling == BG_ROPE_LONG)
        return;
    bg_err e = {0};
    bg_decoder *d = NULL;
    int64_t n = 0;
    int vocab = g->m->config.vocab;
    float *want = values(g->io, "logits", &n);
    const float *logits = NULL;
    assert_int_equal(bg_decoder_open(g->m, NULL, g->n, &d, &e), BG_OK);
    int at = 0;
    while (at < g->n) {
        int take = at == 0 ? 5 : at == 5 ? 3 : 1;
        if (bg_decoder_feed(d, g->ids + at, take, &logits, &e))
            fail_msg("%s: %s", name, e.text);
        at += take;
        compare(name, "a decoded row", logits, want + (int64_t)(at - 1) * vocab, vocab);
    }
    assert_int_equal(bg_decoder_feed(d, g->ids, 1, &logits, &e), BG_INPUT);
    bg_decoder_rewind(d, 7); /* also where a state must be made again from the first token on */
    bg_decoder_rewind(d, 4);
    assert_int_equal(bg_decoder_feed(d, g->ids + 4, 2, &logits, &e), BG_OK);
    compare(name, "a row after rewinding", logits, want + 5 * (int64_t)vocab, vocab);
    bg_decoder_close(d);
    free(want);
}

static void check_model(void **state)
{
    golden g;
    const char *name = *state;
    open_golden(name, &g);
    check_layers(&g, name);
    check_decoder(&g, name);
    close_golden(&g);
}

typedef struct collected {
    float *logits;
    int64_t rows;
    int vocab;
} collected;

static int collect(void *self, int64_t first, int64_t n, const float *logits, bg_err *e)
{
    (void)e;
    collected *c = self;
    assert_int_equal(first, c->rows);
    memcpy(c->logits + first * c->vocab, logits, (size_t)(n * c->vocab) * sizeof *logits);
    c->rows += n;
    return BG_OK;
}

/* A batch of several sequences of different lengths gives each the logits it has alone; and so does a model whose
 * layers are not resident. */
static void batches_are_sequences(void **state)
{
    (void)state;
    golden g;
    bg_err e = {0};
    open_golden("qwen3", &g);
    int vocab = g.m->config.vocab, lengths[] = {3, 14, 1}, n = 18;
    int32_t ids[18];
    for (int i = 0; i < 14; i++)
        ids[3 + i] = g.ids[i];
    memcpy(ids, g.ids, 3 * sizeof *ids);
    ids[17] = g.ids[0];
    collected c = {.logits = malloc((size_t)n * (size_t)vocab * sizeof(float)), .vocab = vocab};
    bg_batch b = {.ids = ids, .lengths = lengths, .n = 3};
    assert_int_equal(bg_model_forward(g.m, &b, NULL, collect, &c, &e), BG_OK);
    assert_int_equal(c.rows, n);
    int64_t count = 0;
    float *want = values(g.io, "logits", &count);
    compare("qwen3", "second sequence", c.logits + 3 * vocab, want, count);
    compare("qwen3", "first sequence", c.logits, want, 3 * vocab);
    compare("qwen3", "third sequence", c.logits + 17 * vocab, want, vocab);
    assert_null(g.m->linears[0].w);
    free(want);
    free(c.logits);
    close_golden(&g);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    golden g;
    bg_err e = {0};
    open_golden("opt_preln", &g);
    int lengths[] = {1};
    int32_t ids[65] = {256};
    bg_batch b = {.ids = ids, .lengths = lengths, .n = 1};
    assert_int_equal(bg_model_check(g.m, &b, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "outside the model's vocabulary of 256"));
    ids[0] = -1;
    assert_int_equal(bg_model_check(g.m, &b, &e), BG_INPUT);
    ids[0] = 255;
    assert_int_equal(bg_model_check(g.m, &b, &e), BG_OK);
    lengths[0] = 65;
    assert_int_equal(bg_model_check(g.m, &b, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "context of 64"));
    lengths[0] = 0;
    assert_int_equal(bg_model_check(g.m, &b, &e), BG_INPUT);
    b.n = 0;
    assert_int_equal(bg_model_check(g.m, &b, &e), BG_INPUT);
    close_golden(&g);
}

static void check_family(const char *name)
{
    golden g;
    open_golden(name, &g);
    check_layers(&g, name);
    check_decoder(&g, name);
    close_golden(&g);
}

/* Every directory under families, and the GGUF file that llama.cpp's converter made of it where there is one: an
 * architecture each, random weights, windows short enough to matter. */
static void families_agree(void **state)
{
    (void)state;
    int n = 0, files = 0;
    DIR *d = opendir(families);
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        char name[300];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "../families/%s", entry->d_name);
        check_family(name);
        n++;
        char file[512];
        snprintf(file, sizeof file, "%s%s/model.gguf", folder, name);
        if (access(file, R_OK))
            continue;
        snprintf(file, sizeof file, "%s/model.gguf", name);
        check_family(file);
        files++;
    }
    closedir(d);
    assert_true(n >= FAMILIES && files >= FILES);
}

/* Opens `name` with one key of its config changed; the message of the refusal. */
static void refused(const char *name, const char *key, const char *value, const char *message)
{
    bg_err e = {0};
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    char path[512];
    snprintf(path, sizeof path, "%s%s", folder, name);
    assert_int_equal(bg_ckpt_open(path, &(bg_ckpt_options){0}, &c, &e), BG_OK);
    cJSON *json = cJSON_Parse(value);
    assert_non_null(json);
    cJSON_DeleteItemFromObjectCaseSensitive(c->config, key);
    cJSON_AddItemToObject(c->config, key, json);
    assert_int_equal(bg_model_open(c, &m, &e), BG_INPUT);
    if (!strstr(e.text, message))
        fail_msg("%s: %s", name, e.text);
    bg_ckpt_close(c);
}

/* What is not understood is refused: it would be computed wrong. */
static void unknown_is_refused(void **state)
{
    (void)state;
    refused("qwen3", "model_type", "\"llama\"", "self_attn.k_norm.weight' has no place");
    refused("qwen3", "num_hidden_layers", "1", "'model.layers.1.");
    refused("llama_plain_gqa", "residual_multiplier", "0.5", "'residual_multiplier' changes what llama computes");
    refused("llama_plain_gqa", "clip_qkv", "8", "'clip_qkv' changes");
    refused("llama_plain_gqa", "sliding_window", "8", "'sliding_window' is not understood");
    refused("mistral_sw", "layer_types", "[\"odd_attention\"]", "layers of type 'odd_attention'");
}

static void missing_tensor_is_named(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_ckpt *c = NULL;
    bg_model *m = NULL;
    char path[512];
    snprintf(path, sizeof path, "%sgemma2", folder);
    assert_int_equal(bg_ckpt_open(path, &(bg_ckpt_options){.exclude = "layers.1.mlp.up_proj"}, &c, &e), BG_OK);
    assert_int_equal(bg_model_open(c, &m, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "'model.layers.1.mlp.up_proj.weight' is missing"));
    assert_null(m);
    bg_ckpt_close(c);
}

#define MODEL(name)                                                                                                    \
    {                                                                                                                  \
        "model_" name, check_model, NULL, NULL, (void *)(uintptr_t)name                                                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL("llama_plain_gqa"),
        MODEL("llama_tied_hd_bias"),
        MODEL("llama3_gqa"),
        MODEL("llama_linear_bf16_sharded"),
        MODEL("llama_dynamic"),
        MODEL("mistral_sw"),
        MODEL("qwen2"),
        MODEL("qwen3"),
        MODEL("gemma"),
        MODEL("gemma2"),
        MODEL("opt_preln"),
        MODEL("opt_postln_proj"),
        MODEL("gpt2"),
        MODEL("gpt_neox"),
        MODEL("gpt_neox_sequential"),
        MODEL("gptj"),
        MODEL("gguf_llama_q8"),
        MODEL("gguf_llama3_f16"),
        MODEL("gguf_qwen2_f16"),
        cmocka_unit_test(batches_are_sequences),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(missing_tensor_is_named),
        cmocka_unit_test(families_agree),
        cmocka_unit_test(unknown_is_refused),
    };
    return cmocka_run_group_tests_name("models", tests, NULL, NULL);
}
