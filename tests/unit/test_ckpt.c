/* Opening models: roles, order, filters, Conv1D turning, 16-bit codes, the hub cache. */
#define _GNU_SOURCE
#include "tests/golden/golden.h"

#include <string.h>
#include <unistd.h>
#include "io/checkpoints/formats/safetensors.h"
#include "quant/source/weights.h"

static void test_default_model(void **state)
{
    (void)state;
    bg_ckpt *c = open_or_fail("data/austen-3.7m");
    assert_string_equal(c->title, "austen-3.7m");
    assert_string_equal(bg_json_string(c->config, "model_type", ""), "llama");
    assert_string_equal(c->tensors[0].role, "embed");
    int linear = 0, last = -1;
    for (int i = 0; i < c->n_tensors; i++) {
        linear += c->tensors[i].is_linear;
        assert_true(c->tensors[i].layer >= last);
        last = c->tensors[i].layer;
    }
    assert_int_equal(linear, 1 + 4 * 7);
    const bg_tensor *t = tensor_or_fail(c, "model.layers.3.mlp.down_proj.weight");
    assert_int_equal(t->rows, 256);
    assert_int_equal(t->cols, 768);
    assert_null(bg_ckpt_find(c, "lm_head.weight"));
    uint16_t *codes = malloc((size_t)t->count * 2);
    float *values = values_of(t);
    bg_err e = {0};
    assert_int_equal(bg_tensor_codes16(t, 0, t->rows, codes, &e), BG_OK);
    for (uint64_t i = 0; i < t->count; i++)
        assert_true(bg_bf16_to_f32(codes[i]) == values[i]);
    assert_int_equal(bg_tensor_rows(t, 250, 7, values, &e), BG_INPUT);
    free(codes);
    free(values);
    bg_ckpt_close(c);
}

static void test_filters(void **state)
{
    (void)state;
    bg_ckpt *c;
    bg_err e = {0};
    bg_ckpt_options o = {.include = "layers\\.[02]\\.", .exclude = "norm|bias"};
    assert_int_equal(bg_ckpt_open("data/austen-3.7m", &o, &c, &e), BG_OK);
    assert_int_equal(c->n_tensors, 14);
    assert_true(c->overhead_bytes < 10000);
    bg_ckpt_close(c);
    o.include = "(";
    assert_int_equal(bg_ckpt_open("data/austen-3.7m", &o, &c, &e), BG_USAGE);
    o.include = "nothing";
    assert_int_equal(bg_ckpt_open("data/austen-3.7m", &o, &c, &e), BG_USAGE);
}

static void test_roles(void **state)
{
    (void)state;
    static const struct {
        const char *name, *role;
        int layer;
    } rows[] = {
        {"model.embed_tokens.weight", "embed", -1},
        {"model.layers.12.mlp.gate_proj.weight", "mlp.gate_proj", 12},
        {"model.layers.0.self_attn.q_norm.weight", "norm", 0},
        {"model.layers.0.self_attn.q_proj.bias", "bias", 0},
        {"model.norm.weight", "norm", -1},
        {"lm_head.weight", "lm_head", -1},
        {"h.3.attn.c_attn.weight", "attn.qkv_proj", 3},
        {"transformer.h.3.attn.c_proj.weight", "attn.o_proj", 3},
        {"transformer.h.3.mlp.c_proj.weight", "mlp.down_proj", 3},
        {"transformer.h.3.ln_1.weight", "norm", 3},
        {"transformer.wpe.weight", "position", -1},
        {"transformer.h.1.mlp.fc_in.weight", "mlp.up_proj", 1},
        {"gpt_neox.layers.5.attention.query_key_value.weight", "attn.qkv_proj", 5},
        {"gpt_neox.layers.5.attention.dense.weight", "attn.o_proj", 5},
        {"gpt_neox.layers.5.mlp.dense_4h_to_h.weight", "mlp.down_proj", 5},
        {"gpt_neox.embed_in.weight", "embed", -1},
        {"embed_out.weight", "lm_head", -1},
        {"model.decoder.layers.2.self_attn.out_proj.weight", "attn.o_proj", 2},
        {"model.decoder.layers.2.fc2.weight", "mlp.down_proj", 2},
        {"model.decoder.layers.2.final_layer_norm.weight", "norm", 2},
        {"encoder.layer.1.attention.self.query.weight", "attn.q_proj", 1},
        {"encoder.layer.1.attention.output.dense.weight", "attn.o_proj", 1},
        {"encoder.layer.1.output.dense.weight", "mlp.down_proj", 1},
        {"encoder.layer.1.output.LayerNorm.weight", "norm", 1},
        {"embeddings.word_embeddings.weight", "embed", -1},
        {"model.layers.7.block_sparse_moe.experts.3.w2.weight", "mlp.experts.down_proj", 7},
        {"model.layers.7.mlp.experts.13.gate_proj.weight", "mlp.experts.gate_proj", 7},
        {"model.layers.7.mlp.shared_expert.up_proj.weight", "mlp.shared.up_proj", 7},
        {"model.layers.7.mlp.gate.weight", "mlp.router", 7},
        {"model.layers.7.block_sparse_moe.router.layer.weight", "mlp.router", 7},
        {"model.layers.7.self_attn.kv_a_proj_with_mqa.weight", "attn.kv_a_proj", 7},
        {"model.layers.7.linear_attn.in_proj_qkvz.weight", "mix.in_proj", 7},
        {"model.vision_tower.encoder.layers.7.self_attn.q_proj.weight", "vision.attn", -1},
        {"l.weight", "other", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int layer;
        const char *role = bg_role_of(rows[i].name, &layer);
        if (strcmp(role, rows[i].role) || layer != rows[i].layer)
            fail_msg("%s: %s in layer %d", rows[i].name, role, layer);
    }
    assert_int_equal(bg_role_expert("model.layers.7.mlp.experts.13.gate_proj.weight"), 13);
    assert_int_equal(bg_role_expert("model.layers.7.mlp.gate_proj.weight"), -1);
}

/* A Conv1D weight read as rows equals the stored matrix turned, whatever the tile. */
static void test_conv1d_is_turned(void **state)
{
    (void)state;
    bg_ckpt *c = open_or_fail(GOLDEN "models/gpt2");
    const bg_tensor *t = tensor_or_fail(c, "transformer.h.1.mlp.c_fc.weight");
    bg_store s = {0};
    bg_err e = {0};
    assert_int_equal(bg_safetensors_add(&s, GOLDEN "models/gpt2/model.safetensors", &e), BG_OK);
    assert_int_equal(bg_store_sort(&s, &e), BG_OK);
    const bg_raw *r = bg_store_find(&s, t->name);
    assert_int_equal(t->rows, r->shape[1]);
    assert_int_equal(t->cols, r->shape[0]);
    float *tiles = values_of(t), *whole = malloc((size_t)t->count * sizeof *whole), *stored;
    assert_int_equal(bg_raw_floats(&s, r, &stored, &e), BG_OK);
    assert_int_equal(bg_tensor_rows(t, 0, t->rows, whole, &e), BG_OK);
    for (int64_t i = 0; i < t->rows; i++)
        for (int64_t j = 0; j < t->cols; j++) {
            assert_true(tiles[i * t->cols + j] == stored[j * t->rows + i]);
            assert_true(whole[i * t->cols + j] == stored[j * t->rows + i]);
        }
    free(tiles);
    free(whole);
    free(stored);
    bg_store_free(&s);
    bg_ckpt_close(c);
}

static void test_sources(void **state)
{
    (void)state;
    bg_ckpt *c = open_or_fail("source:gaussian");
    assert_non_null(bg_weights_density(c));
    assert_string_equal(c->title, "source:gaussian");
    assert_string_equal(c->tensors[0].role, "source");
    assert_int_equal(c->n_tensors, 1);
    assert_int_equal(c->tensors[0].count, 0);
    bg_ckpt_close(c);
    c = open_or_fail("source:laplace,n=3000,cols=100,seed=3");
    assert_null(bg_weights_density(c));
    const bg_tensor *t = tensor_or_fail(c, "weight");
    assert_true(t->is_linear && t->rows == 30 && t->cols == 100);
    float *tiles = values_of(t), whole[3000];
    bg_err e = {0};
    assert_int_equal(bg_tensor_rows(t, 0, 30, whole, &e), BG_OK);
    assert_floats_equal("samples", tiles, whole, 3000);
    free(tiles);
    bg_ckpt_close(c);
    assert_int_equal(bg_weights_open("source:gausian", &(bg_ckpt_options){0}, &c, &e), BG_USAGE);
}

static void put(const char *directory, const char *name, const char *text)
{
    bg_err e = {0};
    assert_int_equal(bg_make_directories(directory, &e), BG_OK);
    char *path = bg_path_join(directory, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(path);
}

static void test_hub_cache(void **state)
{
    (void)state;
    char root[] = "/tmp/bitgap-hub-XXXXXX", path[512], target[512], *here = realpath("data/austen-3.7m", NULL);
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/models--a--b.c/refs", root);
    put(path, "main", "0123abc\n");
    snprintf(path, sizeof path, "%s/models--a--b.c/snapshots/0123abc", root);
    put(path, "config.json", "{\"model_type\":\"llama\"}");
    snprintf(path, sizeof path, "%s/models--a--b.c/snapshots/0123abc/model.safetensors", root);
    snprintf(target, sizeof target, "%s/model.safetensors", here);
    assert_int_equal(symlink(target, path), 0);
    setenv("HF_HUB_CACHE", root, 1);
    bg_ckpt *c = open_or_fail("a/b.c");
    assert_string_equal(c->title, "b.c");
    assert_non_null(bg_ckpt_find(c, "model.norm.weight"));
    bg_ckpt_close(c);
    bg_err e = {0};
    assert_int_equal(bg_ckpt_open("a/missing", &(bg_ckpt_options){0}, &c, &e), BG_INPUT);
    assert_int_equal(bg_ckpt_open("../b.c", &(bg_ckpt_options){0}, &c, &e), BG_INPUT);
    snprintf(path, sizeof path, "rm -r %s", root);
    assert_int_equal(system(path), 0);
    free(here);
}

static void test_index_is_checked(void **state)
{
    (void)state;
    static const char *const maps[] = {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}",
                                       "{\"weight_map\":{\"a\":\"x.bin\"}}",
                                       "{\"weight_map\":{\"a\":\"missing.safetensors\"}}",
                                       "{\"weight_map\":{}}",
                                       "{}",
                                       "[",
                                       "{\"weight_map\":{\"a\":3}}"};
    char root[] = "/tmp/bitgap-index-XXXXXX", path[512];
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        bg_ckpt *c;
        bg_err e = {0};
        put(root, "model.safetensors.index.json", maps[i]);
        if (bg_ckpt_open(root, &(bg_ckpt_options){0}, &c, &e) != BG_INPUT)
            fail_msg("accepted %s", maps[i]);
    }
    snprintf(path, sizeof path, "rm -r %s", root);
    assert_int_equal(system(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_model), cmocka_unit_test(test_filters),
        cmocka_unit_test(test_roles),         cmocka_unit_test(test_conv1d_is_turned),
        cmocka_unit_test(test_hub_cache),     cmocka_unit_test(test_index_is_checked),
        cmocka_unit_test(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
