/* Lloyd–Max, the optimal uniform step and exact k-means against tests/reference and against each other. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "quant/kernel/kmeans1d.h"
#include "quant/kernel/lloyd.h"
#include "tests/reference.h"
#include "quant/source/source.h"

enum { MOST = 256 };

/* The density of a reference's source: gaussian, laplace, ggd_β, student_t_ν. */
static bg_hist density(const char *name)
{
    char text[64];
    if (!strncmp(name, "ggd_", 4))
        snprintf(text, sizeof text, "ggd,shape=%s", name + 4);
    else if (!strncmp(name, "student_t_", 10))
        snprintf(text, sizeof text, "student,nu=%s", name + 10);
    else
        snprintf(text, sizeof text, "%s", name);
    bg_source s;
    bg_err e = {0};
    bg_hist h = {0};
    if (bg_source_parse(text, &s, &e) || bg_hist_from_distribution(&h, &s.distribution, 1, &e))
        fail_msg("%s", e.text);
    return h;
}

static bg_hist sampled(const char *text, int n)
{
    bg_source s;
    bg_hist h;
    float *x = malloc((size_t)n * sizeof *x);
    assert_int_equal(bg_source_parse(text, &s, NULL), BG_OK);
    bg_source_samples(&s, 0, n, x);
    assert_int_equal(bg_hist_from_values(&h, x, NULL, (size_t)n, NULL), BG_OK);
    free(x);
    return h;
}

static double entropy(const double *p, int K)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum -= p[k] > 0 ? p[k] * log2(p[k]) : 0;
    return sum;
}

static void test_lloyd_max(void **state)
{
    (void)state;
    cJSON *root = reference_open("lloyd_max");
    const cJSON *c;
    int seen = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        if (!reference_expect(c, "mse"))
            continue; /* the peaked law, whose two stationary points are judged in test_kmeans_density */
        int K = (int)bg_json_number(c, "levels_count", 0);
        double y[MOST], cuts[MOST], p[MOST], work[16 * MOST];
        bg_hist h = density(bg_json_string(c, "source", ""));
        double mse = bg_lloyd_fit(&h, K, y, work);
        reference_check(c, "mse", mse);
        reference_check(c, "gap_bits", 0.5 * log2(mse) + log2(K));
        for (int k = 0; k + 1 < K; k++)
            cuts[k] = 0.5 * (y[k] + y[k + 1]);
        bg_hist_mse_cells(&h, y, cuts, K, p);
        reference_check(c, "entropy_bits", entropy(p, K));
        reference_check(c, "max_level", y[K - 1]);
        if (K % 2 == 0 && reference_expect(c, "positive_levels"))
            reference_check_list(c, "positive_levels", y + K / 2, K / 2);
        bg_hist_free(&h);
        seen++;
    }
    assert_true(seen >= 20);
    cJSON_Delete(root);
}

/* Mean squared error of the levels step·(q + shift), lo ≤ q ≤ hi. */
static double uniform_mse(const bg_hist *h, int lo, int hi, double shift, double step)
{
    double levels[MOST];
    for (int q = lo; q <= hi; q++)
        levels[q - lo] = step * (q + shift);
    return bg_hist_mse(h, levels, hi - lo + 1);
}

/* The optimal uniform quantizers of the literature have the error that is printed beside their step. */
static void test_uniform(void **state)
{
    (void)state;
    cJSON *root = reference_open("uniform_optimal");
    const cJSON *c;
    int seen = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        int bits = (int)bg_json_number(c, "bits", 0), half = 1 << (bits - 1);
        const char *grid = bg_json_string(c, "grid", "");
        int symmetric = !strcmp(grid, "midtread_sym");
        double step = bg_json_number(reference_expect(c, "step"), "value", (double)NAN);
        double shift = strcmp(grid, "midrise") ? 0 : 0.5;
        bg_hist h = density(bg_json_string(c, "source", ""));
        reference_check(c, "mse", uniform_mse(&h, symmetric ? 1 - half : -half, half - 1, shift, step));
        bg_hist_free(&h);
        seen++;
    }
    assert_true(seen >= 20);
    cJSON_Delete(root);
}

static void test_clip3sigma(void **state)
{
    (void)state;
    cJSON *root = reference_open("clip3sigma");
    const cJSON *c;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        int bits = (int)bg_json_number(c, "bits", 0), K = 1 << bits;
        double clip = bg_json_number(c, "clip_sigma", 3);
        bg_hist h = density(bg_json_string(c, "source", ""));
        reference_check(c, "mse_midrise_2^b_levels_at_pm_clip",
                        uniform_mse(&h, -K / 2, K / 2 - 1, 0.5, 2 * clip / (K - 1)));
        if (reference_expect(c, "mse_int_sym_clip"))
            reference_check(c, "mse_int_sym_clip", uniform_mse(&h, 1 - K / 2, K / 2 - 1, 0, clip / (K / 2 - 1)));
        bg_hist_free(&h);
    }
    cJSON_Delete(root);
}

/* cases → expect → kN → {sse, centroids} */
static void check_kmeans(const cJSON *c, const cJSON *expect, const bg_hist *h)
{
    int K = atoi(expect->string + 1);
    double y[MOST], ref[MOST], sse, sse_ref;
    const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(expect, "sse");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(expect, "centroids"), *values;
    assert_int_equal(bg_kmeans1d(h, K, y, &sse, NULL), BG_OK);
    assert_int_equal(bg_kmeans1d_ref(h, K, ref, &sse_ref, NULL), BG_OK);
    reference_near(c, wanted, expect->string, bg_json_number(wanted, "value", (double)NAN), sse);
    reference_near(c, wanted, expect->string, sse_ref, sse);
    values = cJSON_GetObjectItemCaseSensitive(list, "value");
    for (int k = 0; k < cJSON_GetArraySize(values); k++)
        reference_near(c, list, expect->string, cJSON_GetArrayItem(values, k)->valuedouble, y[k]);
}

static void test_kmeans_reference(void **state)
{
    (void)state;
    cJSON *root = reference_open("kmeans1d_dp");
    const cJSON *c, *expect;
    int seen = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        const cJSON *x = cJSON_GetObjectItemCaseSensitive(c, "x"), *w = cJSON_GetObjectItemCaseSensitive(c, "weights");
        double value[64], weight[64];
        int n = cJSON_GetArraySize(x), k = 0;
        assert_true(n <= 64);
        for (int i = 0; i < n; i++) { /* the lists ascend, but for one which is sorted here */
            double v = cJSON_GetArrayItem(x, i)->valuedouble,
                   g = cJSON_IsArray(w) ? cJSON_GetArrayItem(w, i)->valuedouble : 1;
            int at = k++;
            for (; at > 0 && value[at - 1] > v; at--)
                value[at] = value[at - 1], weight[at] = weight[at - 1];
            value[at] = v, weight[at] = g;
        }
        bg_hist h;
        assert_int_equal(bg_hist_from_sorted(&h, value, weight, (size_t)n, NULL), BG_OK);
        cJSON_ArrayForEach(expect, cJSON_GetObjectItemCaseSensitive(c, "expect")) check_kmeans(c, expect, &h), seen++;
        bg_hist_free(&h);
    }
    assert_true(seen >= 15);
    cJSON_Delete(root);
}

/* The banded programme finds what the plain recursion finds, on laws where Lloyd–Max is far from it. */
static void test_kmeans_bands(void **state)
{
    (void)state;
    const char *const texts[] = {"gaussian", "student,nu=3", "ggd,shape=0.4", "uniform"};
    const int sizes[] = {300, 1500};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            bg_hist h = sampled(texts[t], sizes[s]);
            for (int K = 1; K <= 64; K = K < 3 ? K + 1 : 2 * K) {
                double y[MOST], ref[MOST], work[16 * MOST], sse, sse_ref;
                assert_int_equal(bg_kmeans1d(&h, K, y, &sse, NULL), BG_OK);
                assert_int_equal(bg_kmeans1d_ref(&h, K, ref, &sse_ref, NULL), BG_OK);
                if (!(fabs(sse - sse_ref) <= 1e-10 * sse_ref))
                    fail_msg("%s n=%d K=%d: %.12g, plain %.12g", texts[t], sizes[s], K, sse, sse_ref);
                assert_true(bg_lloyd_fit(&h, K, ref, work) * h.total >= sse * (1 - 1e-12));
            }
            bg_hist_free(&h);
        }
}

/* On a million continuous weights: not above Lloyd–Max, and no single level can be moved with gain. */
static void test_kmeans_large(void **state)
{
    (void)state;
    bg_hist h = sampled("laplace", 200000);
    double y[16], work[8 * 16], lloyd[16], sse, mse;
    assert_int_equal(bg_kmeans1d(&h, 16, y, &sse, NULL), BG_OK);
    mse = bg_hist_mse(&h, y, 16);
    assert_true(fabs(sse / h.total - mse) <= 1e-10 * mse);
    assert_true(bg_lloyd_fit(&h, 16, lloyd, work) >= mse * (1 - 1e-12));
    assert_true(fabs(mse - 0.0153725) < 0.01 * 0.0153725); /* the law's own */
    for (int k = 0; k < 16; k++)
        for (int side = -1; side <= 1; side += 2) {
            double at = y[k];
            y[k] += 1e-3 * side;
            assert_true(bg_hist_mse(&h, y, 16) > mse);
            y[k] = at;
        }
    bg_hist_free(&h);
}

/* For a peaked law the symmetric stationary point is not the optimum (theory: 1 bit of GGD 0.7, .58575 against .59753).
 */
static void test_kmeans_density(void **state)
{
    (void)state;
    bg_hist h = density("ggd_0.7");
    double y[4], sse;
    assert_int_equal(bg_kmeans1d(&h, 2, y, &sse, NULL), BG_OK);
    assert_true(fabs(sse - 0.58575) < 1e-5);
    assert_int_equal(bg_kmeans1d(&h, 4, y, &sse, NULL), BG_OK);
    assert_true(fabs(sse - 0.22026) < 1e-5);
    bg_hist_free(&h);
}

/* Twenty steps from percentiles on 10^6 draws of N(0,1): 1.20, 1.78, 2.80, 7.79 times the optimum at 4, 5, 6, 8 bits.
 */
static void test_twenty_iterations(void **state)
{
    (void)state;
    bg_hist h = sampled("gaussian", 1000000);
    const double optimum[] = {0.009501008, 0.002504668, 6.442397e-4}, ratio[] = {1.20, 1.78, 2.80};
    for (int b = 4; b <= 6; b++) {
        double y[64], mse = bg_lloyd_percentiles(&h, 1 << b, 20, y) / optimum[b - 4];
        if (fabs(mse - ratio[b - 4]) > 0.04 * ratio[b - 4])
            fail_msg("%d bits: %.4g times the optimum, not %.3g", b, mse, ratio[b - 4]);
    }
    bg_hist_free(&h);
}

static void test_degenerate(void **state)
{
    (void)state;
    double value[3] = {-1, 0.5, 2}, weight[3] = {1, 5, 2}, y[8], work[8 * 8], sse;
    bg_hist h;
    assert_int_equal(bg_hist_from_sorted(&h, value, weight, 3, NULL), BG_OK);
    assert_int_equal(bg_kmeans1d(&h, 8, y, &sse, NULL), BG_OK);
    assert_true(sse <= 0 && y[0] <= -1 && y[2] >= 2 && y[7] >= 2);
    assert_true(bg_lloyd_fit(&h, 4, y, work) <= 0);
    bg_hist_free(&h);
    assert_int_equal(bg_hist_from_sorted(&h, value + 1, weight, 1, NULL), BG_OK); /* a constant tensor */
    assert_true(bg_lloyd_fit(&h, 2, y, work) <= 0 && fabs(y[0] - 0.5) <= 0);
    bg_hist_free(&h);
    assert_int_equal(bg_hist_from_sorted(&h, value, weight, 0, NULL), BG_OK);
    assert_true(bg_lloyd_fit(&h, 2, y, work) <= 0);
    bg_hist_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lloyd_max),      cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_clip3sigma),     cmocka_unit_test(test_kmeans_reference),
        cmocka_unit_test(test_kmeans_bands),   cmocka_unit_test(test_kmeans_large),
        cmocka_unit_test(test_kmeans_density), cmocka_unit_test(test_twenty_iterations),
        cmocka_unit_test(test_degenerate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
