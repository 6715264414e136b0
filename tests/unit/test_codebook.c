/* Codebook training against tests/reference/vq.json (k-means of N(0, I) by faiss, judged on fresh vectors), and the
 * properties k-means must have: threads change nothing, words are storable numbers, odd tensors do no harm. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "io/base/dtype.h"
#include "io/base/json.h"
#include "quant/grid/codebook.h"
#include "quant/source/source.h"

static float *gaussian(size_t n, const char *seed)
{
    char text[64];
    snprintf(text, sizeof text, "gaussian,n=%zu,seed=%s", n, seed);
    bg_source source;
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    assert_int_equal(bg_source_parse(text, &source, NULL), BG_OK);
    bg_source_samples(&source, 0, (int64_t)n, x);
    return x;
}

static double mse_of(const bg_codebook *c, const float *x, size_t vectors)
{
    uint16_t *index = malloc(vectors * sizeof *index);
    double sum = 0;
    bg_codebook_assign(c, x, vectors, (size_t)c->d, c->d, index);
    for (size_t v = 0; v < vectors; v++)
        for (int i = 0; i < c->d; i++) {
            double r = (double)x[v * (size_t)c->d + (size_t)i] - (double)c->words[index[v] * c->d + i];
            sum += r * r;
        }
    free(index);
    return sum / (double)vectors / c->d;
}

static void check(const cJSON *expect, const char *name, double value, double extra)
{
    const cJSON *row = cJSON_GetObjectItem(expect, name);
    double want = bg_json_number(row, "value", NAN), atol = bg_json_number(row, "atol", 0);
    print_message("  %s %.6f, reference %.6f\n", name, value, want);
    assert_true(value <= want + atol + extra); /* the reference is an upper bound: better is allowed */
    assert_true(value >= want - 2 * atol - extra);
}

static void test_reference(void **state)
{
    (void)state;
    cJSON *file = NULL;
    assert_int_equal(bg_json_read("tests/reference/vq.json", 1 << 20, &file, NULL), BG_OK);
    size_t fresh = 1 << 18;
    float *test = gaussian(fresh * 8, "77");
    int cases = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(file, "cases"))
    {
        const cJSON *expect = cJSON_GetObjectItem(c, "expect");
        int d = (int)bg_json_number(c, "dim", 0), K = (int)bg_json_number(c, "codewords", 0);
        if (!cJSON_GetObjectItem(c, "train_vectors") || (K > 16 && d * K != 1024 && d < 8) ||
            d * K > 1024) /* the slow ones stay out */
            continue;
        size_t n = (size_t)bg_json_number(c, "train_vectors", 0);
        float *x = gaussian(n * (size_t)d, "5");
        bg_codebook book;
        bg_codebook_options o = {.K = K, .d = d, .restarts = 1, .seed = 9};
        assert_int_equal(bg_codebook_train(&book, x, n, (size_t)d, &o, NULL), BG_OK);
        double mse = mse_of(&book, test, fresh), gap = log2(K) / d + log2(mse) / 2;
        /* our fresh vectors scatter as theirs do: four standard errors of a chi-square mean */
        print_message("%s: %d iterations\n", bg_json_string(c, "id", ""), book.iterations);
        check(expect, "mse_test", mse, 0.004 * mse);
        check(expect, "mse_train", book.mse, 0);
        check(expect, "gap_bits", gap, 0.003);
        bg_codebook_free(&book);
        free(x);
        cases++;
    }
    assert_int_equal(cases, 5);
    free(test);
    cJSON_Delete(file);
}

static void test_threads_change_nothing(void **state)
{
    (void)state;
    size_t n = 40000;
    float *x = gaussian(n * 2, "3");
    bg_codebook a, b;
    bg_codebook_options o = {.K = 100, .d = 2, .restarts = 2, .seed = 1};
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    assert_int_equal(bg_codebook_train(&a, x, n, 2, &o, NULL), BG_OK);
    omp_set_num_threads(3);
    assert_int_equal(bg_codebook_train(&b, x, n, 2, &o, NULL), BG_OK);
    omp_set_num_threads(before);
    assert_memory_equal(a.words, b.words, 200 * sizeof(float));
    assert_true(a.mse == b.mse);
    bg_codebook_free(&a), bg_codebook_free(&b), free(x);
}

static void test_words_are_storable(void **state)
{
    (void)state;
    float *x = gaussian(4000, "4");
    for (int i = 0; i < 4000; i++)
        x[i] *= 1e-12f; /* far below float16's range */
    bg_codebook c;
    bg_codebook_options o = {.K = 16, .d = 4, .restarts = 1, .seed = 1};
    assert_int_equal(bg_codebook_train(&c, x, 1000, 4, &o, NULL), BG_OK);
    double sigma2 = 0;
    for (int i = 0; i < 4000; i++)
        sigma2 += (double)x[i] * (double)x[i] / 4000;
    assert_true(mse_of(&c, x, 1000) < 0.37 * sigma2);
    float top = 0;
    for (int i = 0; i < 64; i++)
        top = fmaxf(top, fabsf(c.words[i]));
    int exponent;
    (void)frexpf(top, &exponent);
    for (int i = 0; i < 64; i++) {
        float y = ldexpf(c.words[i], 15 - exponent);
        assert_true(bg_f16_to_f32(bg_f32_to_f16(y)) == y);
    }
    assert_true(bg_codebook_bits(&c) == 16 * 64 + 8);
    bg_codebook_free(&c), free(x);
}

static void test_odd_tensors(void **state)
{
    (void)state;
    float constant[64], two[64], few[8] = {1, 2, 3, 4, 5, 6, 7, 8}, bad[64] = {NAN};
    for (int i = 0; i < 64; i++)
        constant[i] = 0.5f, two[i] = i % 4 < 2 ? -1 : 3;
    bg_codebook c;
    bg_codebook_options o = {.K = 8, .d = 2, .restarts = 1, .seed = 1};
    assert_int_equal(bg_codebook_train(&c, constant, 32, 2, &o, NULL), BG_OK);
    assert_true(mse_of(&c, constant, 32) == 0);
    bg_codebook_free(&c);
    assert_int_equal(bg_codebook_train(&c, two, 32, 2, &o, NULL), BG_OK);
    assert_true(mse_of(&c, two, 32) == 0);
    bg_codebook_free(&c);
    assert_int_equal(bg_codebook_train(&c, few, 4, 2, &o, NULL), BG_OK); /* more words than vectors */
    assert_true(mse_of(&c, few, 4) == 0);
    bg_codebook_free(&c);
    bg_err e = {0};
    assert_int_equal(bg_codebook_train(&c, bad, 32, 2, &o, &e), BG_INPUT);
}

static int read_rows(void *self, int64_t first, int64_t n, float *out, bg_err *e)
{
    (void)e;
    memcpy(out, (const float *)self + first * 10, (size_t)n * 10 * sizeof *out);
    return BG_OK;
}

static void test_vectors_of_a_matrix(void **state)
{
    (void)state;
    enum { R = 40000 };
    float *w = malloc(R * 10 * sizeof *w), *x;
    size_t n;
    for (int i = 0; i < R * 10; i++)
        w[i] = (float)i;
    bg_matrix m = {.rows = R, .cols = 10, .read = read_rows, .self = w, .seed = 1};
    assert_int_equal(bg_vectors_read(&m, 4, 1 << 30, &x, &n, NULL), BG_OK);
    assert_int_equal(n, 2 * R); /* the last two weights of each row make no vector */
    for (size_t v = 0; v < n; v++)
        for (size_t i = 0; i < 4; i++)
            assert_true(x[v * 4 + i] == w[v / 2 * 10 + v % 2 * 4 + i]);
    free(x);
    assert_int_equal(bg_vectors_read(&m, 4, 4000, &x, &n, NULL), BG_OK);
    assert_int_equal(n, 1000);
    for (size_t v = 0; v < n; v++) { /* one of each eighty vectors */
        long row = (long)x[4 * v] / 10, column = (long)x[4 * v] % 10;
        assert_true(column == 0 || column == 4);
        assert_int_equal((row * 2 + column / 4) / 80, v);
        assert_true(x[4 * v + 3] == x[4 * v] + 3);
    }
    free(x);
    assert_int_equal(bg_vectors_read(&m, 16, 4000, &x, &n, NULL), BG_OK);
    assert_int_equal(n, 0);
    free(x), free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),           cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_words_are_storable),  cmocka_unit_test(test_odd_tensors),
        cmocka_unit_test(test_vectors_of_a_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
