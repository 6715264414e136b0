/* Every element type against torch's casts, and 41 good and bad files against the verdict of formats.md 2.2. */
#include "tests/golden/golden.h"

#include <string.h>
#include "io/checkpoints/formats/safetensors.h"

static void test_every_type_decodes_exactly(void **state)
{
    (void)state;
    bg_ckpt *in = open_or_fail(GOLDEN "dtypes/in.safetensors"),
            *out = open_or_fail(GOLDEN "dtypes/expected.safetensors");
    assert_int_equal(in->n_tensors, 17);
    for (int i = 0; i < out->n_tensors; i++)
        assert_tensors_equal(tensor_or_fail(in, out->tensors[i].name), &out->tensors[i]);
    const bg_tensor *empty = tensor_or_fail(in, "empty"), *scalar = tensor_or_fail(in, "scalar");
    assert_int_equal(empty->rows, 0);
    assert_int_equal(scalar->rows, 1);
    assert_int_equal(scalar->rank, 0);
    bg_ckpt_close(in);
    bg_ckpt_close(out);
}

static void test_verdicts(void **state)
{
    (void)state;
    cJSON *cases;
    bg_err e = {0};
    assert_int_equal(bg_json_read(GOLDEN "safetensors_bad/cases.json", 1 << 20, &cases, &e), BG_OK);
    int n = 0;
    const cJSON *one;
    cJSON_ArrayForEach(one, cases)
    {
        char path[256];
        bg_ckpt *c = NULL;
        snprintf(path, sizeof path, GOLDEN "safetensors_bad/%s.safetensors", one->string);
        int accept = !strcmp(bg_json_string(one, "bitgap", ""), "accept");
        e = (bg_err){0};
        int status = bg_ckpt_open(path, &(bg_ckpt_options){0}, &c, &e);
        if (status != (accept ? BG_OK : BG_INPUT))
            fail_msg("%s: status %d (%s)", path, status, e.text);
        if (!accept && !strstr(e.text, path))
            fail_msg("%s: the error does not name the file: %s", path, e.text);
        for (int i = 0; c && i < c->n_tensors; i++)
            if (bg_dtypes[c->tensors[i].dtype].decode)
                free(values_of(&c->tensors[i]));
        bg_ckpt_close(c);
        n++;
    }
    assert_int_equal(n, 41);
    cJSON_Delete(cases);
}

static int parse(const char *text, uint64_t bytes, bg_store *s, bg_err *e)
{
    *s = (bg_store){0};
    return bg_safetensors_parse(s, text, strlen(text), 0, bytes, 0, e);
}

static void test_names_resolve_escapes(void **state)
{
    (void)state;
    bg_store s;
    bg_err e = {0};
    assert_int_equal(
        parse("{\"\\u00e9\\ud83d\\ude42\\n\\\"/\\/\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, &s,
              &e),
        BG_OK);
    assert_string_equal(s.raws[0].name, "é🙂\n\"//");
    bg_store_free(&s);
}

static void test_hostile_headers(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"a\\u0000b\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"dtype\":\"U8\"}}",
        "{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[9223372036854775808],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[00],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},}",
        "{\"a\":{}}",
        "{\"\\ud800\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
        "{\"a\":",
        "{\"a\\",
        "{",
        "{\"__metadata__\":{\"a\":\"b\"},\"__metadata__\":{}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bg_store s;
        bg_err e = {0};
        if (parse(texts[i], 0, &s, &e) != BG_INPUT)
            fail_msg("accepted %s", texts[i]);
        assert_true(e.text[0]);
        bg_store_free(&s);
    }
}

static void test_shards_are_one_model(void **state)
{
    (void)state;
    bg_ckpt *c = open_or_fail(GOLDEN "models/llama_linear_bf16_sharded");
    const bg_tensor *t = tensor_or_fail(c, "model.layers.0.self_attn.q_proj.weight");
    assert_string_equal(t->role, "attn.q_proj");
    assert_int_equal(t->layer, 0);
    assert_int_equal(t->dtype, BG_BF16);
    uint64_t sum = c->overhead_bytes;
    for (int i = 0; i < c->n_tensors; i++) {
        sum += bg_tensor_bytes(&c->tensors[i]);
        free(values_of(&c->tensors[i]));
    }
    assert_int_equal(sum, c->file_bytes);
    bg_provenance p = {0};
    bg_err e = {0};
    assert_int_equal(bg_ckpt_provenance(c, &p, &e), BG_OK);
    assert_int_equal(p.n_inputs, 4);
    bg_provenance_free(&p);
    bg_ckpt_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_decodes_exactly), cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_names_resolve_escapes),      cmocka_unit_test(test_hostile_headers),
        cmocka_unit_test(test_shards_are_one_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
