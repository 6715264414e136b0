/* Second moments against plain loops; calibrations written, read back, and refused when damaged or foreign. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <math.h>
#include <omp.h>
#include <cmocka.h>
#include "analysis/output/calibrate.h"
#include "io/base/file.h"
#include "quant/probability/random.h"
#include "tests/scratch.h"

static float *noise(int64_t n, uint64_t seed)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(2 * bg_uniform_at(seed, (uint64_t)i) - 1);
    return x;
}

/* Widths around the block of 128, token counts around the chunk of 128. Float32 sums over 128 products of size ≤ 1:
 * error of a mean at most 128·2⁻²⁴ ≈ 8e-6, in practice far less. */
static void against_plain_loops(void **state)
{
    static const int64_t widths[] = {1, 7, 128, 129, 300}, tokens[] = {1, 127, 128, 385};
    (void)state;
    for (int w = 0; w < 5; w++)
        for (int t = 0; t < 4; t++) {
            int64_t C = widths[w], n = tokens[t];
            float *x = noise(n * C, 3);
            bg_activations fast, plain;
            bg_err e;
            assert_int_equal(bg_activations_init(&fast, C, &e), BG_OK);
            assert_int_equal(bg_activations_init(&plain, C, &e), BG_OK);
            bg_activations_add(&fast, x, n);
            bg_activations_add_ref(&plain, x, n);
            assert_int_equal(bg_activations_finish(&fast, "x", &e), BG_OK);
            assert_int_equal(bg_activations_finish(&plain, "x", &e), BG_OK);
            assert_int_equal(bg_activations_square(&fast, &e), BG_OK);
            assert_int_equal(bg_activations_square(&plain, &e), BG_OK);
            for (int64_t i = 0; i < C * C; i++)
                assert_float_equal(fast.second_moment[i], plain.second_moment[i], 2e-6);
            assert_memory_equal(fast.mean_abs, plain.mean_abs, (size_t)C * sizeof(double));
            assert_memory_equal(fast.max_abs, plain.max_abs, (size_t)C * sizeof(double));
            for (int64_t i = 0; i < C; i++)
                for (int64_t j = 0; j < C; j++)
                    assert_true(fast.second_moment[i * C + j] == fast.second_moment[j * C + i]);
            bg_activations_free(&fast);
            bg_activations_free(&plain);
            free(x);
        }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    enum { C = 300, N = 500 };
    float *x = noise(N * C, 5);
    bg_activations s[2];
    bg_err e;
    int before = omp_get_max_threads();
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i ? 3 : 1);
        assert_int_equal(bg_activations_init(&s[i], C, &e), BG_OK);
        bg_activations_add(&s[i], x, N);
        assert_int_equal(bg_activations_finish(&s[i], "x", &e), BG_OK);
    }
    omp_set_num_threads(before);
    assert_memory_equal(s[0].triangle, s[1].triangle, (size_t)C * (C + 1) / 2 * sizeof(double));
    bg_activations_free(&s[0]);
    bg_activations_free(&s[1]);
    free(x);
}

/* Folds change no sum, and each holds the moments of its own tokens. */
static void folds_are_parts(void **state)
{
    (void)state;
    enum { C = 37, N = 1300, FOLDS = 4 };
    float *x = noise(N * C, 9);
    bg_activations whole, split, part;
    bg_folds f;
    bg_err e;
    assert_int_equal(bg_folds_of(N, 99), 10);
    assert_int_equal(bg_folds_of(255, 8), 0);
    assert_int_equal(bg_activations_init(&whole, C, &e), BG_OK);
    assert_int_equal(bg_activations_init(&split, C, &e), BG_OK);
    assert_int_equal(bg_folds_init(&f, C, FOLDS, &e), BG_OK);
    bg_activations_add(&whole, x, N);
    for (int at = 0; at < N; at += 640)
        bg_folds_add(&f, &split, x + at * C, N - at < 640 ? N - at : 640, N);
    assert_memory_equal(whole.triangle, split.triangle, C * (C + 1) / 2 * sizeof(double));
    int64_t from = 0;
    for (int k = 0; k < FOLDS; k++) {
        int64_t end = bg_fold_end(N, FOLDS, k);
        assert_int_equal(f.tokens[k], end - from);
        assert_int_equal(bg_activations_init(&part, C, &e), BG_OK);
        bg_activations_add_ref(&part, x + from * C, end - from);
        assert_int_equal(bg_activations_finish(&part, "x", &e), BG_OK);
        for (int64_t i = 0, at = (int64_t)k * C * (C + 1) / 2; i < C; i++)
            for (int64_t j = 0; j <= i; j++, at++)
                assert_float_equal((double)f.triangle[at], part.triangle[i * (i + 1) / 2 + j], 2e-6);
        bg_activations_free(&part);
        from = end;
    }
    assert_int_equal(from, N);
    bg_activations_free(&whole);
    bg_activations_free(&split);
    bg_folds_free(&f);
    free(x);
}

static void refuses_no_data(void **state)
{
    (void)state;
    bg_activations s;
    bg_err e = {0};
    float x[3] = {1, INFINITY, 2};
    assert_int_equal(bg_activations_init(&s, 3, &e), BG_OK);
    assert_int_equal(bg_activations_finish(&s, "layer", &e), BG_INPUT);
    bg_activations_add(&s, x, 1);
    assert_int_equal(bg_activations_finish(&s, "layer", &e), BG_INPUT);
    assert_non_null(strstr(e.text, "layer"));
    bg_activations_free(&s);
}

/* ---- a calibration of the default model, made by the program ---- */

static bg_ckpt *ckpt;

static void copy(const char *from, const char *to, long flip)
{
    char *data;
    size_t length;
    bg_err e;
    assert_int_equal(bg_file_read(from, 1 << 26, &data, &length, &e), BG_OK);
    if (flip >= 0)
        data[flip] ^= 1;
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, length, f), length);
    fclose(f);
    free(data);
}

static int make(void **state)
{
    (void)state;
    char command[600];
    const char *build = getenv("BUILD");
    bg_err e;
    if (!mkdtemp(scratch_directory))
        return 1;
    snprintf(command, sizeof command,
             "%s/bitgap calibrate data/austen-3.7m --text data/text/calib.txt --samples 3 --length 100 --folds 2 -o %s "
             "--quiet",
             build ? build : "build", scratch("k.json"));
    return system(command) || bg_ckpt_open("data/austen-3.7m", &(bg_ckpt_options){0}, &ckpt, &e);
}

static int clean(void **state)
{
    (void)state;
    static const char *const names[] = {"k.json", "k.bin", "d.json"};
    for (int i = 0; i < 3; i++)
        unlink(scratch(names[i]));
    bg_ckpt_close(ckpt);
    return rmdir(scratch_directory);
}

static void reads_back(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_calibration *k = NULL;
    if (bg_calibration_open(scratch("k.json"), ckpt, &k, NULL, &e))
        fail_msg("%s", e.text);
    bg_activations q, v, down;
    assert_int_equal(bg_calibration_load(k, "model.layers.1.self_attn.q_proj.weight", 256, &q, &e), BG_OK);
    assert_int_equal(bg_calibration_load(k, "model.layers.1.self_attn.v_proj.weight", 256, &v, &e), BG_OK);
    assert_int_equal(bg_calibration_load(k, "model.layers.3.mlp.down_proj.weight", 768, &down, &e), BG_OK);
    assert_int_equal(q.tokens, 300);
    assert_memory_equal(q.second_moment, v.second_moment, 256 * 256 * sizeof(double));
    bg_folds f;
    assert_int_equal(bg_calibration_load_folds(k, "model.layers.1.self_attn.v_proj.weight", 256, &f, &e), BG_OK);
    assert_true(f.n == 2 && f.tokens[0] == 128 && f.tokens[1] == 172);
    for (int i = 0, c = 0; i < 256; i++)
        for (int j = 0; j <= i; j++, c++) { /* their mean is the whole */
            double mean = (128.0 * (double)f.triangle[c] + 172.0 * (double)f.triangle[256 * 257 / 2 + c]) / 300.0;
            assert_true(fabs(mean - q.second_moment[i * 256 + j]) < 1e-5 * (1 + fabs(mean)));
        }
    bg_folds_free(&f);
    assert_int_equal(bg_calibration_place(k, "model.layers.1.self_attn.v_proj.weight"),
                     bg_calibration_place(k, "model.layers.1.self_attn.q_proj.weight"));
    assert_int_equal(bg_calibration_place(k, "model.embed_tokens.weight"), -1);
    double trace = 0;
    for (int i = 0; i < 768; i++) {
        trace += down.second_moment[i * 768 + i];
        assert_true(down.max_abs[i] >= down.mean_abs[i]);
        assert_true(down.second_moment[i * 768 + i] >= down.mean_abs[i] * down.mean_abs[i] * (1 - 1e-6)); /* Jensen */
    }
    assert_true(trace > 0);
    bg_activations_free(&v);
    assert_int_equal(bg_calibration_load(k, "model.layers.1.self_attn.q_proj.weight", 255, &v, &e), BG_INPUT);
    assert_int_equal(bg_calibration_load(k, "no.such.weight", 256, &v, &e), BG_INPUT);
    bg_matrix m = {0};
    assert_int_equal(bg_calibration_dress(k, bg_ckpt_find(ckpt, "model.layers.1.self_attn.q_proj.weight"), &m, &e),
                     BG_OK);
    assert_memory_equal(m.second_moment, q.second_moment, 256 * 256 * sizeof(double));
    m = (bg_matrix){0};
    assert_int_equal(bg_calibration_dress(k, bg_ckpt_find(ckpt, "model.embed_tokens.weight"), &m, &e), BG_OK);
    assert_null(m.second_moment);
    bg_activations_free(&q);
    bg_activations_free(&down);
    bg_calibration_close(k);
}

/* The layer's inputs again, by a tap on the whole model, with every sum in double. */
static int see(void *self, const bg_linear *l, const float *x, int64_t n, bg_err *e)
{
    (void)e;
    if (!strcmp(l->name, "model.layers.2.mlp.gate_proj.weight"))
        bg_activations_add_ref(self, x, n);
    return BG_OK;
}

static int ignore(void *self, int64_t first, int64_t n, const float *logits, bg_err *e)
{
    (void)self, (void)first, (void)n, (void)logits, (void)e;
    return BG_OK;
}

static void equals_a_direct_pass(void **state)
{
    (void)state;
    bg_err e = {0};
    bg_model *m = NULL;
    bg_calibrate_result r;
    bg_out side = {0};
    bg_activations direct, stored;
    int32_t ids[200];
    int lengths[] = {100, 100};
    double at_offset;
    for (int i = 0; i < 200; i++)
        ids[i] = (int32_t)(bg_bits_at(11, (uint64_t)i) % 2000);
    assert_int_equal(bg_model_open(ckpt, &m, &e), BG_OK);
    assert_int_equal(bg_out_open(&side, scratch("d.json"), &e), BG_OK);
    const bg_calibrate_options o = {.length = 100, .seed = 1};
    assert_int_equal(bg_calibrate(m, ids, 200, &o, &side, &r, &e), BG_OK);
    assert_int_equal(bg_out_commit(&side, &e), BG_OK);
    assert_int_equal(r.tokens, 200);
    const bg_linear *gate = bg_model_find(m, "model.layers.2.mlp.gate_proj.weight");
    assert_int_equal(bg_activations_init(&direct, gate->in, &e), BG_OK);
    assert_int_equal(bg_model_load(m, &e), BG_OK);
    bg_tap tap = {see, &direct};
    bg_batch batch = {ids, lengths, 2};
    assert_int_equal(bg_model_forward(m, &batch, &(bg_pass){.tap = &tap}, ignore, NULL, &e), BG_OK);
    assert_int_equal(bg_activations_finish(&direct, "gate", &e), BG_OK);
    FILE *f = fopen(scratch("d.json"), "rb");
    assert_non_null(f);
    assert_int_equal(bg_activations_init(&stored, gate->in, &e), BG_OK);
    assert_int_equal(fseek(f, (long)r.layers[gate->index].offset + 2 * 256 * 8, SEEK_SET), 0);
    for (int i = 0; i < 256; i++)
        for (int j = 0; j <= i; j++) {
            assert_int_equal(fread(&at_offset, 8, 1, f), 1);
            double want = direct.triangle[i * (i + 1) / 2 + j];
            double scale = sqrt(direct.triangle[i * (i + 3) / 2] * direct.triangle[j * (j + 3) / 2]);
            assert_true(fabs(at_offset - want) <= 1e-5 * scale);
        }
    fclose(f);
    bg_activations_free(&direct);
    bg_activations_free(&stored);
    free(r.layers);
    bg_model_close(m);
}

static void refused(const char *path, const bg_ckpt *c, const char *says)
{
    bg_err e = {0};
    bg_calibration *k = NULL;
    assert_int_equal(bg_calibration_open(path, c, &k, NULL, &e), BG_INPUT);
    assert_null(k);
    if (!strstr(e.text, says))
        fail_msg("'%s' does not say '%s'", e.text, says);
}

static void refuses_damage(void **state)
{
    (void)state;
    bg_err e;
    bg_ckpt *other;
    assert_int_equal(bg_ckpt_open("data/austen-0.9m-qwen2", &(bg_ckpt_options){0}, &other, &e), BG_OK);
    refused(scratch("k.json"), other, "another model");
    bg_ckpt_close(other);
    copy(scratch("k.bin"), scratch("d.json"), -1);
    copy(scratch("d.json"), scratch("k.bin"), 5000); /* one bit of the side file */
    refused(scratch("k.json"), ckpt, "sha256");
    assert_int_equal(truncate(scratch("k.bin"), 4096), 0);
    refused(scratch("k.json"), ckpt, "size");
    copy(scratch("d.json"), scratch("k.bin"), -1);
    refused("data/austen-3.7m/config.json", ckpt, "");
    bg_calibration *k;
    assert_int_equal(bg_calibration_open(scratch("k.json"), ckpt, &k, NULL, &e), BG_OK);
    bg_calibration_close(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_plain_loops), cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(folds_are_parts),     cmocka_unit_test(refuses_no_data),
        cmocka_unit_test(reads_back),          cmocka_unit_test(equals_a_direct_pass),
        cmocka_unit_test(refuses_damage),
    };
    return cmocka_run_group_tests(tests, make, clean);
}
