/* Token ids and decoded text of every golden case equal what tokenizers 0.23.3 gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "io/base/file.h"
#include "io/base/json.h"
#include "io/tokenizer/tokenizer.h"

/* JSON of the cases holds U+0000, which our reader refuses: it is read as U+E0F0, which no case uses, and put back. */
static const char stand_in[] = "\\ue0f0", stand_in_utf8[] = "\xEE\x83\xB0";

static int read_cases(const char *path, cJSON **root, bg_err *e)
{
    char *text;
    size_t length;
    int status = bg_file_read(path, 1 << 24, &text, &length, e);
    if (status)
        return status;
    assert_null(strstr(text, stand_in_utf8));
    for (char *at = text; (at = strstr(at, "\\u0000")); at += 6)
        memcpy(at, stand_in, 6);
    status = bg_json_parse(text, length, path, root, e);
    free(text);
    return status;
}

/* Puts NUL bytes back; returns a malloc'ed copy. */
static char *unmasked(const char *s, size_t *length)
{
    char *out = malloc(strlen(s) + 1);
    size_t n = 0;
    assert_non_null(out);
    while (*s)
        if (!strncmp(s, stand_in_utf8, 3)) {
            out[n++] = 0;
            s += 3;
        } else {
            out[n++] = *s++;
        }
    *length = n;
    return out;
}

static int same_ids(const bg_ids *ids, const cJSON *expected)
{
    size_t i = 0;
    const cJSON *id;
    cJSON_ArrayForEach(id, expected)
    {
        if (i >= ids->n || ids->id[i] != (int32_t)id->valuedouble)
            return 0;
        i++;
    }
    return i == ids->n;
}

static int check_ids(const bg_tokenizer *t, const char *text, const cJSON *expected, int with_special)
{
    bg_err e = {0};
    bg_ids ids;
    size_t length;
    char *raw = unmasked(text, &length);
    assert_int_equal(bg_tokenizer_encode(t, raw, length, with_special, &ids, &e), BG_OK);
    free(raw);
    int same = same_ids(&ids, expected);
    if (!same) {
        char *want = cJSON_PrintUnformatted(expected);
        print_error("text '%s' special %d: expected %s, got", text, with_special, want);
        for (size_t i = 0; i < ids.n; i++)
            print_error(" %d", ids.id[i]);
        print_error("\n");
        free(want);
    }
    bg_ids_free(&ids);
    return same;
}

static int check_decode(const bg_tokenizer *t, const cJSON *ids, const char *expected)
{
    bg_err e = {0};
    size_t n = (size_t)cJSON_GetArraySize(ids), i = 0, length;
    int32_t *id = malloc((n + 1) * sizeof *id);
    assert_non_null(id);
    const cJSON *node;
    cJSON_ArrayForEach(node, ids) id[i++] = (int32_t)node->valuedouble;
    char *text;
    assert_int_equal(bg_tokenizer_decode(t, id, n, 0, &text, &length, &e), BG_OK);
    size_t expected_length;
    char *raw = unmasked(expected, &expected_length);
    int same = length == expected_length && !memcmp(text, raw, length);
    free(raw);
    if (!same)
        print_error("decoded '%s', expected '%s'\n", text, expected);
    free(text);
    free(id);
    return same;
}

static void check_folder(const char *folder, const char *tokenizer, const char *cases)
{
    char path[256];
    bg_err e = {0};
    bg_tokenizer *t = NULL;
    cJSON *root;
    snprintf(path, sizeof path, "tests/golden/data/%s/%s", folder, tokenizer);
    if (bg_tokenizer_open(path, &t, &e))
        fail_msg("%s", e.text);
    snprintf(path, sizeof path, "tests/golden/data/%s/%s", folder, cases);
    if (read_cases(path, &root, &e))
        fail_msg("%s", e.text);
    int n = 0, wrong = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(root, "cases"))
    {
        const char *text = bg_json_string(c, "text", NULL), *decoded = bg_json_string(c, "decode", NULL);
        const cJSON *ids = cJSON_GetObjectItemCaseSensitive(c, "ids");
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(c, "ids_with_special");
        assert_non_null(text);
        wrong += !check_ids(t, text, ids, 0);
        if (special)
            wrong += !check_ids(t, text, special, 1);
        if (decoded)
            wrong += !check_decode(t, ids, decoded);
        n++;
    }
    assert_true(n >= 60);
    assert_int_equal(wrong, 0);
    cJSON_Delete(root);
    bg_tokenizer_close(t);
}

#define FOLDER(name)                                                                                                   \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check_folder("tokenizers/" #name, "tokenizer.json", "cases.json");                                             \
    }
FOLDER(gpt2)
FOLDER(gpt2_prefix_space)
FOLDER(opt_bos)
FOLDER(llama3)
FOLDER(qwen2)
FOLDER(llama2)
FOLDER(mistral_metaspace)
FOLDER(gemma)
FOLDER(spm_no_byte_fallback)

/* SentencePiece with scores, from GGUF metadata: ids and text equal those of sentencepiece 0.2.3. */
static void spm_gguf(void **state)
{
    (void)state;
    check_folder("tokenizers_gguf", "spm_llama.gguf", "spm_llama_cases.json");
}

/* The default model's own cases, from transformers. */
static void default_model(void **state)
{
    (void)state;
    static const char *const models[] = {"data/austen-3.7m", "data/austen-0.9m-qwen2"};
    for (int i = 0; i < 2; i++) {
        char path[256];
        bg_err e = {0};
        bg_tokenizer *t = NULL;
        cJSON *root;
        if (bg_tokenizer_open(models[i], &t, &e))
            fail_msg("%s", e.text);
        snprintf(path, sizeof path, "%s/expected.json", models[i]);
        assert_int_equal(bg_json_read(path, 1 << 24, &root, &e), BG_OK);
        const cJSON *c, *cases = cJSON_GetObjectItemCaseSensitive(root, "tokenizer_cases");
        assert_true(cJSON_GetArraySize(cases) >= 8);
        cJSON_ArrayForEach(c, cases)
            assert_true(check_ids(t, bg_json_string(c, "text", NULL), cJSON_GetObjectItemCaseSensitive(c, "ids"), 0));
        assert_int_equal(bg_tokenizer_bos(t), (int)bg_json_number(root, "bos", -2));
        assert_int_equal(bg_tokenizer_eos(t), (int)bg_json_number(root, "eos", -2));
        cJSON_Delete(root);
        bg_tokenizer_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2),
        cmocka_unit_test(gpt2_prefix_space),
        cmocka_unit_test(opt_bos),
        cmocka_unit_test(llama3),
        cmocka_unit_test(qwen2),
        cmocka_unit_test(llama2),
        cmocka_unit_test(gemma),
        cmocka_unit_test(mistral_metaspace),
        cmocka_unit_test(spm_no_byte_fallback),
        cmocka_unit_test(default_model),
        cmocka_unit_test(spm_gguf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
