/* Packed formats in safetensors against what their own packages decode, bit for bit; and how they refuse what cannot
 * be. */
#define _GNU_SOURCE
#include "tests/golden/golden.h"

#include <glob.h>
#include <string.h>
#include <unistd.h>
#include "io/base/file.h"
#include "io/checkpoints/formats/packed.h"
#include "io/checkpoints/formats/safetensors.h"
#include "io/checkpoints/writers/safetensors_writer.h"

static char scratch[] = "/tmp/bitgap-packed-XXXXXX";

/* A directory whose model.safetensors is `file` and whose config.json is `config` (NULL: none): a checkpoint of one
 * module. */
static bg_ckpt *open_beside(const char *file, const char *config, int *status, bg_err *e)
{
    char model[256], json[256], *real = realpath(file, NULL);
    assert_non_null(real);
    snprintf(model, sizeof model, "%s/model.safetensors", scratch);
    snprintf(json, sizeof json, "%s/config.json", scratch);
    unlink(model);
    unlink(json);
    assert_int_equal(symlink(real, model), 0);
    free(real);
    if (config && config[0] == '{') {
        FILE *f = fopen(json, "w");
        assert_non_null(f);
        fputs(config, f);
        fclose(f);
    } else if (config) {
        real = realpath(config, NULL);
        assert_non_null(real);
        assert_int_equal(symlink(real, json), 0);
        free(real);
    }
    bg_ckpt *c = NULL;
    *e = (bg_err){0};
    *status = bg_ckpt_open(scratch, &(bg_ckpt_options){0}, &c, e);
    return c;
}

/* What holds for every packed tensor: scales and codes have their ranges, bytes add up to the file. */
static void check_sides(const bg_ckpt *c, const bg_tensor *t)
{
    bg_err e = {0};
    uint16_t *codes = malloc((size_t)t->count * sizeof *codes);
    float *scales = malloc((size_t)t->count * sizeof *scales);
    assert_int_equal(t->format->indices(t, 0, t->rows, codes, &e), BG_OK);
    assert_int_equal(t->format->scales(t, 0, t->rows, scales, &e), BG_OK);
    for (uint64_t i = 0; i < t->count; i++)
        if (codes[i] >= t->index_levels || !isfinite(scales[i]))
            fail_msg("%s: code %d, scale %g", t->storage, codes[i], (double)scales[i]);
    uint64_t sum = c->overhead_bytes;
    for (int i = 0; i < c->n_tensors; i++)
        sum += bg_tensor_bytes(&c->tensors[i]);
    assert_int_equal(sum, c->file_bytes);
    assert_true(t->bytes[BG_PART_INDICES] > 0 && t->bytes[BG_PART_SCALES] > 0);
    free(codes);
    free(scales);
}

/* Every DIR/X.safetensors with X.json (or the given config) and X_expected.safetensors. */
static int check_folder(const char *folder, const char *config)
{
    glob_t found;
    char pattern[256], path[256], json[256];
    snprintf(pattern, sizeof pattern, GOLDEN "%s/*_expected.safetensors", folder);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        bg_err e;
        int status;
        int n = (int)(strlen(found.gl_pathv[i]) - strlen("_expected.safetensors"));
        snprintf(path, sizeof path, "%.*s.safetensors", n, found.gl_pathv[i]);
        snprintf(json, sizeof json, "%.*s.json", n, found.gl_pathv[i]);
        bg_ckpt *c = open_beside(path, config ? config : json, &status, &e);
        if (status)
            fail_msg("%s: %s", path, e.text);
        bg_ckpt *want = open_or_fail(found.gl_pathv[i]);
        const bg_tensor *t = tensor_or_fail(c, "l.weight");
        assert_string_not_equal(t->format->name, "safetensors");
        assert_tensors_equal(t, tensor_or_fail(want, "exact_f32"));
        check_sides(c, t);
        bg_ckpt_close(c);
        bg_ckpt_close(want);
    }
    int n = (int)found.gl_pathc;
    globfree(&found);
    return n;
}

static void test_gptq(void **state)
{
    (void)state;
    assert_int_equal(check_folder("gptq", NULL), 17);
}

static void test_auto_round(void **state)
{
    (void)state;
    assert_int_equal(check_folder("auto-round", NULL), 3);
}

static void test_awq(void **state)
{
    (void)state;
    assert_int_equal(check_folder("awq", NULL), 5);
}

static void test_bitsandbytes(void **state)
{
    (void)state;
    assert_int_equal(check_folder("bnb", "{}"), 10);
}

static void test_compressed_tensors(void **state)
{
    (void)state;
    assert_int_equal(check_folder("ct", NULL), 12);
}

static void test_gpt_oss(void **state)
{
    (void)state;
    bg_ckpt *c = open_or_fail(GOLDEN "mxfp4/gptoss.safetensors"),
            *want = open_or_fail(GOLDEN "mxfp4/gptoss_expected.safetensors");
    const bg_tensor *t = tensor_or_fail(c, "model.layers.0.mlp.experts.gate_up_proj");
    assert_int_equal(t->rank, 3);
    assert_string_equal(t->role, "mlp.experts.gate_up_proj");
    assert_tensors_equal(t, tensor_or_fail(want, "rows_f32"));
    check_sides(c, t);
    bg_ckpt_close(c);
    bg_ckpt_close(want);
}

/* The golden HQQ file holds codes, scales and zeros; the numbers that describe them stand beside them in real
 * checkpoints. */
static void test_hqq(void **state)
{
    (void)state;
    cJSON *manifest;
    bg_err e = {0};
    assert_int_equal(bg_json_read(GOLDEN "hqq/manifest.json", 1 << 20, &manifest, &e), BG_OK);
    bg_store in = {0};
    assert_int_equal(bg_safetensors_add(&in, GOLDEN "hqq/hqq.safetensors", &e), BG_OK);
    assert_int_equal(bg_store_sort(&in, &e), BG_OK);
    bg_ckpt *want = open_or_fail(GOLDEN "hqq/hqq_expected.safetensors");
    const cJSON *one;
    int n = 0;
    cJSON_ArrayForEach(one, manifest)
    {
        static const char *const keys[] = {"nbits", "group_size", "axis"};
        char names[7][80], path[256];
        bg_safetensors_entry entries[7] = {0};
        int64_t numbers[3];
        const cJSON *dims = cJSON_GetObjectItem(one, "shape");
        int64_t shape[2] = {(int64_t)cJSON_GetArrayItem(dims, 0)->valuedouble,
                            (int64_t)cJSON_GetArrayItem(dims, 1)->valuedouble};
        static const char *const parts[] = {"W_q", "scale", "zero"};
        const bg_raw *raws[3];
        for (int k = 0; k < 3; k++) {
            snprintf(names[k], sizeof names[k], "%s.%s", one->string, parts[k]);
            raws[k] = bg_store_find(&in, names[k]);
            assert_non_null(raws[k]);
            entries[k] = (bg_safetensors_entry){.name = names[k], .dtype = raws[k]->dtype, .rank = raws[k]->rank};
            memcpy(entries[k].shape, raws[k]->shape, sizeof entries[k].shape);
            snprintf(names[3 + k], sizeof names[3 + k], "%s.%s", one->string, keys[k]);
            numbers[k] = (int64_t)bg_json_number(one, keys[k], -1);
            entries[3 + k] = (bg_safetensors_entry){.name = names[3 + k], .dtype = BG_I64};
        }
        snprintf(names[6], sizeof names[6], "%s.shape", one->string);
        entries[6] = (bg_safetensors_entry){.name = names[6], .dtype = BG_I64, .rank = 1, .shape = {2}};
        bg_safetensors_writer w;
        snprintf(path, sizeof path, "%s/hqq.safetensors", scratch);
        assert_int_equal(bg_safetensors_begin(&w, path, entries, 7, NULL, &e), BG_OK);
        for (int k = 0; k < 3; k++) {
            void *data;
            assert_int_equal(bg_raw_bytes(&in, raws[k], &data, &e), BG_OK);
            assert_int_equal(bg_safetensors_put(&w, data, raws[k]->bytes, &e), BG_OK);
            free(data);
        }
        for (int k = 0; k < 3; k++)
            assert_int_equal(bg_safetensors_put(&w, &numbers[k], 8, &e), BG_OK);
        assert_int_equal(bg_safetensors_put(&w, shape, 16, &e), BG_OK);
        assert_int_equal(bg_safetensors_commit(&w, &e), BG_OK);
        bg_ckpt *c = open_or_fail(path);
        snprintf(names[0], sizeof names[0], "%s.weight", one->string);
        const bg_tensor *t = tensor_or_fail(c, names[0]);
        assert_tensors_equal(t, tensor_or_fail(want, one->string));
        check_sides(c, t);
        bg_ckpt_close(c);
        n++;
    }
    assert_int_equal(n, 6);
    cJSON_Delete(manifest);
    bg_store_free(&in);
    bg_ckpt_close(want);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"gptq/gptq_4b_sym_seq_g32_gptq",
         "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16}}", "disagree"},
        {"gptq/gptq_4b_sym_seq_g32_gptq",
         "{\"quantization_config\":{\"quant_method\":\"gptq\",\"checkpoint_format\":\"marlin\"}}", "Marlin"},
        {"gptq/gptq_4b_sym_seq_g32_gptq", "{\"quantization_config\":{\"quant_method\":\"torchao\"}}", "torchao"},
        {"auto-round/zp_5b_asym_g32",
         "{\"quantization_config\":{\"quant_method\":\"auto-round\",\"packing_format\":\"auto_round:fp8\"}}",
         "auto-round"},
        {"auto-round/zp_5b_asym_g32",
         "{\"quantization_config\":{\"quant_method\":\"auto-round\",\"packing_format\":\"auto_round\",\"group_size\":"
         "16}}",
         "disagree"},
        {"gptq/gptq_4b_sym_seq_g32_gptq",
         "{\"quantization_config\":{\"quant_method\":\"gptq\",\"pack_dtype\":\"int16\"}}", "int16"},
        {"awq/awq_gemm_32x64_g32", "{\"quantization_config\":{\"quant_method\":\"awq\",\"version\":\"gemv_fast\"}}",
         "gemv_fast"},
        {"awq/awq_gemm_32x64_g32", "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":8}}", "only 4"},
        {"ct/int4_group_sym",
         "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"marlin-24\"}}", "marlin-24"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        bg_err e;
        int status;
        snprintf(path, sizeof path, GOLDEN "%s.safetensors", cases[i][0]);
        bg_ckpt *c = open_beside(path, cases[i][1], &status, &e);
        if (status != BG_INPUT || !strstr(e.text, cases[i][2]))
            fail_msg("%s with %s: status %d, %s", cases[i][0], cases[i][1], status, e.text);
        assert_null(c);
    }
}

/* Bit strings of every width and length, and every way a tile can be combined, against the plain loops. */
static void test_tuned_equals_plain(void **state)
{
    (void)state;
    uint8_t raw[600], a[512], b[512];
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i * 157 + i * i / 3);
    for (int bits = 1; bits <= 8; bits++)
        for (size_t n = 0; n < 70; n++) {
            bg_unpack_bits(raw + n, bits, n, a);
            bg_unpack_bits_ref(raw + n, bits, n, b);
            assert_memory_equal(a, b, n);
        }
    enum { ROWS = 3, COLS = 150 };
    static const int64_t sizes[] = {1, 7, 16, 32, 64, 150};
    int32_t order[COLS];
    float scales[ROWS * COLS], zeros[ROWS * COLS], fast[ROWS * COLS], plain[ROWS * COLS];
    uint8_t codes[ROWS * COLS];
    for (int i = 0; i < ROWS * COLS; i++) {
        scales[i] = 0.01f * (float)(i + 1);
        zeros[i] = (float)(i % 16);
        codes[i] = raw[i % 600] & 15;
        order[i % COLS] = i * 7 % COLS;
    }
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int kind = 0; kind < 4; kind++) {
            bg_packed p = {.group_size = sizes[k],
                           .groups = (COLS + sizes[k] - 1) / sizes[k],
                           .bits = 4,
                           .levels = kind & 1 ? bg_e2m1_levels : NULL};
            if (kind & 2) {
                p.group_of = order;
                p.groups = COLS;
            }
            bg_tile t = {
                .rows = ROWS, .cols = COLS, .groups = p.groups, .codes = codes, .scales = scales, .zeros = zeros};
            bg_packed_combine(&p, &t, fast);
            bg_packed_combine_ref(&p, &t, plain);
            assert_floats_equal("combine", fast, plain, ROWS * COLS);
        }
}

static int make_scratch(void **state)
{
    (void)state;
    return !mkdtemp(scratch);
}

static int remove_scratch(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", scratch);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gptq),
        cmocka_unit_test(test_auto_round),
        cmocka_unit_test(test_awq),
        cmocka_unit_test(test_bitsandbytes),
        cmocka_unit_test(test_compressed_tensors),
        cmocka_unit_test(test_gpt_oss),
        cmocka_unit_test(test_hqq),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_tuned_equals_plain),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
