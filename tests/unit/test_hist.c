/* Histograms: exact atoms, densities whose cells agree with the law in closed form, sorting. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "io/base/dtype.h"
#include "quant/kernel/histogram.h"
#include "quant/kernel/sort.h"
#include "quant/source/source.h"

static void close_to(double x, double want, double room)
{
    if (!(fabs(x - want) <= room))
        fail_msg("%.15g, not %.15g", x, want);
}

static float *samples(const char *text, size_t n)
{
    bg_source s;
    float *x = malloc(n * sizeof *x);
    assert_int_equal(bg_source_parse(text, &s, NULL), BG_OK);
    assert_non_null(x);
    bg_source_samples(&s, 0, (int64_t)n, x);
    return x;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void test_sort(void **state)
{
    (void)state;
    const size_t sizes[] = {0, 1, 2, 63, 64, 1000, 32767, 32768, 200001};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s];
        float *x = samples("student,nu=3", n + 1), *y = malloc((n + 1) * sizeof *y), *z = malloc((n + 1) * sizeof *z);
        for (size_t i = 0; i < n; i += 7)
            x[i] = x[n / 2]; /* ties */
        if (n > 2)
            x[1] = -INFINITY, x[2] = INFINITY;
        memcpy(y, x, n * sizeof *x);
        qsort(y, n, sizeof *y, ascending);
        bg_sort_f32(x, z, n);
        assert_memory_equal(x, y, n * sizeof *x);
        free(x), free(y), free(z);
    }
}

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* bf16 codes, the same numbers as floats, and a sum by hand: one histogram. */
static void test_three_ways(void **state)
{
    (void)state;
    enum { N = 50000 };
    float *x = samples("laplace", N), *values = malloc(65536 * sizeof *values);
    uint64_t *counts = calloc(65536, sizeof *counts);
    double mean = 0, square = 0;
    for (uint32_t c = 0; c < 65536; c++)
        values[c] = bg_bf16_to_f32((uint16_t)c);
    for (int i = 0; i < N; i++) {
        float v = i % 100 ? 1 + 0.01f * x[i] : i % 200 ? 0.0f : -0.0f;
        uint16_t code = (uint16_t)(bits_of(v) >> 16);
        counts[code]++;
        x[i] = values[code];
        mean += (double)x[i] / N;
    }
    for (int i = 0; i < N; i++)
        square += ((double)x[i] - mean) * ((double)x[i] - mean) / N;
    bg_hist a, b, c;
    bg_err e;
    assert_int_equal(bg_hist_from_codes(&a, counts, values, &e), BG_OK);
    assert_int_equal(bg_hist_from_values(&b, x, NULL, N, &e), BG_OK);
    assert_int_equal(bg_hist_from_sorted(&c, a.value, a.weight, a.n, &e), BG_OK);
    assert_true(a.n == b.n && a.n == c.n && a.total == N && b.total == N);
    assert_memory_equal(a.value, b.value, a.n * sizeof *a.value);
    assert_memory_equal(a.weight, b.weight, a.n * sizeof *a.weight);
    assert_memory_equal(a.S, c.S, (a.n + 1) * sizeof *a.S);
    close_to(a.mean, mean, 1e-12); /* the sum by hand rounds at every step */
    close_to(a.sigma2, square, 1e-13);
    double zero_mass = bg_hist_below(&a, 0).w - bg_hist_below(&a, -1e-30).w;
    close_to(zero_mass, N / 100, 0); /* both zeros in one atom */
    bg_hist_free(&a), bg_hist_free(&b), bg_hist_free(&c);
    free(x), free(values), free(counts);
}

static void test_weights(void **state)
{
    (void)state;
    const float x[] = {3, 1, 2, 1, -4};
    const double w[] = {0.5, 1, 2, 3, 0.25};
    bg_hist h;
    assert_int_equal(bg_hist_from_values(&h, x, w, 5, NULL), BG_OK);
    assert_int_equal(h.n, 4);
    close_to(h.weight[1], 4, 0);
    close_to(h.total, 6.75, 1e-15);
    close_to(h.mean, (1.5 + 4 + 4 - 1) / 6.75, 1e-15);
    bg_hist_free(&h);
    const float bad[] = {1, NAN};
    assert_int_equal(bg_hist_from_values(&h, bad, NULL, 2, NULL), BG_INPUT);
    assert_int_equal(bg_hist_from_values(&h, x, NULL, 0, NULL), BG_OK);
    assert_int_equal(h.n, 0);
    bg_hist_free(&h);
}

static void check_law(const char *text, double sigma)
{
    bg_source s;
    bg_hist h;
    assert_int_equal(bg_source_parse(text, &s, NULL), BG_OK);
    const bg_distribution *l = &s.distribution;
    assert_int_equal(bg_hist_from_distribution(&h, l, sigma, NULL), BG_OK);
    close_to(h.sigma2, sigma * sigma, 0);
    double mass = 0, moment = 0;
    for (size_t i = 0; i < h.n; i++) {
        mass += h.weight[i], moment += h.weight[i] * h.value[i] / sigma;
        assert_true(h.edge[i] < h.edge[i + 1]);
    }
    close_to(mass, 1, 1e-12);
    close_to(moment, 0, 1e-12);
    for (double x = -7.0137; x < 7; x += 0.2371) {
        bg_moments m = bg_hist_below(&h, sigma * x);
        close_to(m.w, l->cdf(l, x), 1e-9);
        close_to(m.m / sigma, l->moment1(l, x), 1e-9);
        close_to(m.s / (sigma * sigma), l->moment2(l, x), 1e-8);
    }
    close_to(bg_hist_entropy_bits(&h), l->entropy_bits(l) + log2(sigma), 1e-6);
    double centroid, error = bg_hist_cell(&h, 0, 1e30, &centroid);
    double half = -l->moment1(l, 0) / 0.5;
    close_to(centroid, sigma * half, 1e-12 * sigma);
    close_to(error, sigma * sigma * (0.5 - 0.5 * half * half), 1e-12 * sigma * sigma);
    bg_hist_free(&h);
}

static void test_densities(void **state)
{
    (void)state;
    const char *const texts[] = {"gaussian",      "laplace",       "logistic",    "uniform",
                                 "ggd,shape=1.5", "ggd,shape=0.7", "student,nu=5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        check_law(texts[i], 1);
        check_law(texts[i], 0.02);
    }
}

/* Few cells go through the moments, many atom by atom; a loop over the samples is the judge of both. */
static void test_mse(void **state)
{
    (void)state;
    enum { N = 20000, MOST = 1000 };
    float *x = samples("gaussian", N);
    bg_hist h;
    assert_int_equal(bg_hist_from_values(&h, x, NULL, N, NULL), BG_OK);
    const int sizes[] = {1, 2, 7, 16, 255, 256, 257, 258, MOST};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int K = sizes[s];
        double levels[MOST], cuts[MOST], share[MOST], sum = 0, first = 0;
        for (int k = 0; k < K; k++)
            levels[k] = -3 + 6.0 * (k + 0.5) / K;
        for (int k = 0; k + 1 < K; k++)
            cuts[k] = 0.5 * (levels[k] + levels[k + 1]);
        for (int i = 0; i < N; i++) {
            double best = (double)INFINITY;
            for (int k = 0; k < K; k++)
                best = fmin(best, ((double)x[i] - levels[k]) * ((double)x[i] - levels[k]));
            sum += best / N;
            first += K == 1 || (double)x[i] <= cuts[0];
        }
        close_to(bg_hist_mse(&h, levels, K), sum, 1e-13);
        close_to(bg_hist_mse_cells(&h, levels, cuts, K, share), sum, 1e-13);
        close_to(share[0], first / N, 1e-15);
    }
    bg_hist_free(&h);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sort),      cmocka_unit_test(test_three_ways), cmocka_unit_test(test_weights),
        cmocka_unit_test(test_densities), cmocka_unit_test(test_mse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
