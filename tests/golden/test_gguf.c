/* GGUF: every block type against the gguf package and ggml's C code, whole files, hostile files, names and row order.
 */
#include "tests/golden/golden.h"

#include <string.h>
#include "io/checkpoints/formats/gguf_container.h"

/* A tensor of raw block bytes (U8 [rows, bytes]) decoded by the tuned and by the plain decoder. */
static void check_blocks(const char *stem)
{
    char path[256];
    snprintf(path, sizeof path, GOLDEN "gguf/%s.safetensors", stem);
    bg_ckpt *in = open_or_fail(path);
    snprintf(path, sizeof path, GOLDEN "gguf/%s_expected.safetensors", stem);
    bg_ckpt *expected = open_or_fail(path);
    for (int i = 0; i < expected->n_tensors; i++) {
        const bg_tensor *want = &expected->tensors[i], *raw = tensor_or_fail(in, want->name);
        const bg_gguf_type *t = bg_gguf_type_named(want->name, NULL);
        assert_non_null(t);
        float *bytes = values_of(raw), *values = values_of(want), *out = malloc((size_t)want->count * sizeof *out);
        uint8_t *blocks = malloc((size_t)raw->count);
        for (uint64_t k = 0; k < raw->count; k++)
            blocks[k] = (uint8_t)bytes[k];
        size_t n = (size_t)raw->count / (size_t)t->bytes;
        assert_int_equal(n * (size_t)t->block, want->count);
        if (t->decode) {
            t->decode(blocks, out, n);
            assert_floats_equal(want->name, out, values, (size_t)want->count);
            bg_gguf_decode_ref(t, blocks, out, n);
        } else {
            bg_dtypes[t->dtype].decode(blocks, out, n);
        }
        assert_floats_equal(want->name, out, values, (size_t)want->count);
        free(bytes);
        free(values);
        free(out);
        free(blocks);
    }
    assert_true(expected->n_tensors >= 9);
    bg_ckpt_close(in);
    bg_ckpt_close(expected);
}

static void test_block_types(void **state)
{
    (void)state;
    check_blocks("blocks_random");
    check_blocks("encoder");
    check_blocks("encoder_k");
}

/* Random bytes, NaN and Inf scales among them: tuned equals plain to the bit, codes stay below `levels`. */
static void test_tuned_equals_plain(void **state)
{
    (void)state;
    enum { BLOCKS = 300 };
    static uint8_t raw[BLOCKS * 300];
    static float a[BLOCKS * 256], b[BLOCKS * 256];
    uint64_t x = 1;
    for (size_t i = 0; i < sizeof raw; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        raw[i] = (uint8_t)(x >> 56);
    }
    int tested = 0;
    for (uint32_t id = 0; id < 64; id++) {
        const bg_gguf_type *t = bg_gguf_type_of(id);
        if (!t || !t->decode)
            continue;
        t->decode(raw, a, BLOCKS);
        bg_gguf_decode_ref(t, raw, b, BLOCKS);
        assert_floats_equal(t->name, a, b, (size_t)(BLOCKS * t->block));
        static uint16_t codes[BLOCKS * 256];
        bg_gguf_codes(t, raw, codes, BLOCKS);
        bg_gguf_scales(t, raw, a, BLOCKS);
        for (int n = 0; n < BLOCKS * t->block; n++) {
            bg_gguf_element e;
            t->element(raw + n / t->block * t->bytes, n % t->block, &e);
            assert_true((int)e.code < t->levels && codes[n] == e.code);
            assert_floats_equal(t->name, &a[n], &e.scale, 1);
        }
        tested++;
    }
    assert_int_equal(tested, 16);
}

static void test_whole_files(void **state)
{
    (void)state;
    static const char *const files[][2] = {
        {"tiny_v3", "tiny_v3"}, {"tiny_v2", "tiny_v3"}, {"tiny_v3_align64", "tiny_v3_align64"}};
    static const char *const names[][2] = {{"model.embed_tokens.weight", "token_embd.weight"},
                                           {"lm_head.weight", "output.weight"},
                                           {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight"},
                                           {"model.layers.0.self_attn.k_proj.weight", "blk.0.attn_k.weight"},
                                           {"model.layers.1.self_attn.q_proj.weight", "blk.1.attn_q.weight"},
                                           {"model.layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight"},
                                           {"model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight"},
                                           {"model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight"},
                                           {"model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight"},
                                           {"model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight"}};
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        snprintf(path, sizeof path, GOLDEN "gguf/%s.gguf", files[i][0]);
        bg_ckpt *c = open_or_fail(path);
        snprintf(path, sizeof path, GOLDEN "gguf/%s_expected.safetensors", files[i][1]);
        bg_ckpt *expected = open_or_fail(path);
        int found = 0;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            const bg_tensor *want = bg_ckpt_find(expected, names[k][1]);
            if (!want)
                continue;
            assert_tensors_equal(tensor_or_fail(c, names[k][0]), want);
            found++;
        }
        assert_int_equal(found, expected->n_tensors);
        uint64_t sum = c->overhead_bytes;
        for (int k = 0; k < c->n_tensors; k++)
            sum += bg_tensor_bytes(&c->tensors[k]);
        assert_int_equal(sum, c->file_bytes);
        bg_ckpt_close(c);
        bg_ckpt_close(expected);
    }
}

static void test_metadata(void **state)
{
    (void)state;
    bg_gguf *g;
    bg_err e = {0};
    assert_int_equal(bg_gguf_open(GOLDEN "gguf/tiny_v3.gguf", &g, &e), BG_OK);
    int64_t v = 0;
    double d = 0;
    int flag = 0;
    assert_int_equal(bg_gguf_integer(g, "t.i16", &v, &e), BG_OK);
    assert_int_equal(v, -300);
    assert_int_equal(bg_gguf_integer(g, "t.u32", &v, &e), BG_OK);
    assert_int_equal(v, 4000000000);
    assert_int_equal(bg_gguf_number(g, "t.f32", &d, &e), BG_OK);
    assert_true(d == (double)0.1f);
    assert_int_equal(bg_gguf_bool(g, "t.bool", &flag, &e), BG_OK);
    assert_true(flag);
    assert_int_equal(bg_gguf_integer(g, "t.absent", &v, &e), BG_OK);
    assert_int_equal(bg_gguf_integer(g, "t.str", &v, &e), BG_INPUT);
    bg_gguf_close(g);
    assert_int_equal(bg_gguf_open(GOLDEN "tokenizers_gguf/spm_llama.gguf", &g, &e), BG_OK);
    bg_gguf_text *tokens;
    double *types;
    size_t n, m;
    assert_int_equal(bg_gguf_texts(g, "tokenizer.ggml.tokens", &tokens, &n, &e), BG_OK);
    assert_int_equal(bg_gguf_numbers(g, "tokenizer.ggml.token_type", &types, &m, &e), BG_OK);
    assert_true(n > 256 && n == m);
    free(tokens);
    free(types);
    bg_gguf_close(g);
}

static void test_verdicts(void **state)
{
    (void)state;
    cJSON *cases;
    bg_err e = {0};
    assert_int_equal(bg_json_read(GOLDEN "gguf_bad/cases.json", 1 << 20, &cases, &e), BG_OK);
    int n = 0;
    const cJSON *one;
    cJSON_ArrayForEach(one, cases)
    {
        char path[256];
        bg_ckpt *c = NULL;
        snprintf(path, sizeof path, GOLDEN "gguf_bad/%s.gguf", one->string);
        int accept = !strcmp(bg_json_string(one, "bitgap", ""), "accept");
        e = (bg_err){0};
        int status = bg_ckpt_open(path, &(bg_ckpt_options){0}, &c, &e);
        if (status != (accept ? BG_OK : BG_INPUT))
            fail_msg("%s: status %d (%s)", path, status, e.text);
        if (!accept && !strstr(e.text, path))
            fail_msg("%s: the error does not name the file: %s", path, e.text);
        bg_ckpt_close(c);
        n++;
    }
    assert_int_equal(n, 32);
    cJSON_Delete(cases);
}

/* Row 2j of a head in the file is row j of the model, row 2j+1 is row j + half. */
static void test_rotary_order_is_undone(void **state)
{
    (void)state;
    bg_ckpt *c = open_or_fail(GOLDEN "models/gguf_llama_q8");
    bg_store s = {0};
    bg_err e = {0};
    assert_int_equal(bg_gguf_add(&s, GOLDEN "models/gguf_llama_q8/model.gguf", NULL, &e), BG_OK);
    assert_int_equal(bg_store_sort(&s, &e), BG_OK);
    const bg_tensor *t = tensor_or_fail(c, "model.layers.0.self_attn.k_proj.weight");
    const bg_raw *r = bg_store_find(&s, "blk.0.attn_k.weight");
    const bg_gguf_type *type = bg_gguf_type_of((uint32_t)r->kind);
    uint8_t *raw = malloc((size_t)r->bytes);
    float *stored = malloc((size_t)r->count * sizeof *stored), *values = values_of(t);
    assert_int_equal(bg_raw_read(&s, r, 0, raw, r->bytes, &e), BG_OK);
    bg_gguf_decode_ref(type, raw, stored, (size_t)(r->count / (uint64_t)type->block));
    int64_t heads = (int64_t)bg_json_number(c->config, "num_key_value_heads", 0), d = t->rows / heads;
    assert_true(heads > 1);
    for (int64_t h = 0; h < heads; h++)
        for (int64_t j = 0; j < d; j++) {
            int64_t from = h * d + (j < d / 2 ? 2 * j : 2 * (j - d / 2) + 1);
            assert_floats_equal("row", values + (h * d + j) * t->cols, stored + from * t->cols, (size_t)t->cols);
        }
    uint16_t *codes = malloc((size_t)t->count * 2);
    float *scales = malloc((size_t)t->count * sizeof *scales);
    assert_int_equal(t->format->indices(t, 0, t->rows, codes, &e), BG_OK);
    assert_int_equal(t->format->scales(t, 0, t->rows, scales, &e), BG_OK);
    for (uint64_t i = 0; i < t->count; i++)
        assert_true(scales[i] * (float)((int)codes[i] - 128) == values[i]);
    free(codes);
    free(scales);
    free(raw);
    free(stored);
    free(values);
    bg_store_free(&s);
    bg_ckpt_close(c);
}

static void test_models_have_names_and_config(void **state)
{
    (void)state;
    static const char *const models[] = {"gguf_llama3_f16", "gguf_llama_q8", "gguf_qwen2_f16"};
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        cJSON *names;
        bg_err e = {0};
        snprintf(path, sizeof path, GOLDEN "models/%s", models[i]);
        bg_ckpt *c = open_or_fail(path);
        assert_non_null(c->config);
        assert_true(bg_json_number(c->config, "hidden_size", 0) > 0);
        assert_true(bg_json_number(c->config, "rms_norm_eps", 0) > 0);
        snprintf(path, sizeof path, GOLDEN "models/%s/names.json", models[i]);
        assert_int_equal(bg_json_read(path, 1 << 20, &names, &e), BG_OK);
        const cJSON *one;
        cJSON_ArrayForEach(one, names)
        {
            if (one->string[0] != '(' && !bg_ckpt_find(c, one->string))
                fail_msg("%s: no %s", models[i], one->string);
        }
        cJSON_Delete(names);
        bg_ckpt_close(c);
    }
    bg_ckpt *c = open_or_fail(GOLDEN "models/gguf_llama3_f16");
    tensor_or_fail(c, "rope_freqs.weight");
    bg_ckpt_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_types),
        cmocka_unit_test(test_tuned_equals_plain),
        cmocka_unit_test(test_whole_files),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_rotary_order_is_undone),
        cmocka_unit_test(test_models_have_names_and_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
