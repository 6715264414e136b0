/* GGUF types as quantizers: the reference encoders' values to the bit where there is nothing to search, and no larger
 * error than the C library's search where there is. */
#include "tests/golden/golden.h"

#include <math.h>
#include <string.h>
#include "quant/engine/quantize.h"

static void reconstruct(const char *type, const float *x, int64_t rows, int64_t cols, float *out, bg_measure *r)
{
    char text[32];
    bg_spec s;
    bg_err e = {0};
    snprintf(text, sizeof text, "%s", type);
    for (char *c = text; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
    char spec[64];
    snprintf(spec, sizeof spec, "gguf:type=%s", text);
    bg_matrix m = bg_matrix_of(x, rows, cols);
    if (bg_spec_parse(spec, &s, &e) || bg_reconstruct(&m, &s, x, out, r, NULL, &e))
        fail_msg("%s", e.text);
    if (r->skipped)
        fail_msg("%s: %s", spec, r->skipped);
}

static double squared_error(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

static int searched(const char *type)
{
    return strstr(type, "_K") || strstr(type, "IQ4") || strstr(type, "NVFP4");
}

static void check(const char *stem, int *exact, int *better)
{
    char path[256];
    snprintf(path, sizeof path, GOLDEN "gguf/%s.safetensors", stem);
    bg_ckpt *in = open_or_fail(path);
    snprintf(path, sizeof path, GOLDEN "gguf/%s_expected.safetensors", stem);
    bg_ckpt *expected = open_or_fail(path);
    const bg_tensor *X = tensor_or_fail(in, "X");
    float *x = values_of(X), *out = malloc((size_t)X->count * sizeof *out);
    for (int i = 0; i < expected->n_tensors; i++) {
        const bg_tensor *want = &expected->tensors[i];
        bg_measure r;
        if (!strcmp(want->name, "BF16"))
            continue;
        float *values = values_of(want);
        reconstruct(want->name, x, X->rows, X->cols, out, &r);
        if (searched(want->name)) {
            double ours = squared_error(x, out, (size_t)X->count), theirs = squared_error(x, values, (size_t)X->count);
            if (!(ours <= theirs * (1 + 1e-6)))
                fail_msg("%s: squared error %.6g, the C library's %.6g", want->name, ours, theirs);
            ++*better;
        } else {
            assert_floats_equal(want->name, out, values, (size_t)X->count);
            ++*exact;
        }
        free(values);
    }
    free(x);
    free(out);
    bg_ckpt_close(in);
    bg_ckpt_close(expected);
}

static void test_encoders(void **state)
{
    (void)state;
    int exact = 0, better = 0;
    check("encoder", &exact, &better);
    check("encoder_k", &exact, &better);
    assert_int_equal(exact, 16);
    assert_int_equal(better, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_encoders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
