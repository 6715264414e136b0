/* Entropy-coded scalar quantizers on densities against tests/reference/ecsq.json, and on odd histograms. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "io/base/json.h"
#include "quant/grid/ecsq_design.h"
#include "quant/source/source.h"

static int wrong, compared;

static void check(const char *id, const cJSON *expect, const char *name, double value)
{
    const cJSON *row = cJSON_GetObjectItem(expect, name);
    if (!row) /* not every case has every row */
        return;
    compared++;
    double want = bg_json_number(row, "value", NAN);
    double room = bg_json_number(row, "atol", 0) + bg_json_number(row, "rtol", 0) * fabs(want);
    if (!(fabs(value - want) <= room)) {
        print_message("%s %s: %.8g, reference %.8g\n", id, name, value, want);
        wrong++;
    }
}

static void one_case(const cJSON *c, const bg_hist *h)
{
    const cJSON *x = cJSON_GetObjectItem(c, "expect");
    const char *id = bg_json_string(c, "id", "");
    double rate = bg_json_number(c, "rate_bits", 0);
    bg_ecsq q;
    assert_int_equal(bg_ecsq_uniform(h, rate, 0, 0.5, 1, &q, NULL), BG_OK);
    check(id, x, "utq_midpoint_step", q.step), check(id, x, "utq_midpoint_mse", q.mse);
    check(id, x, "utq_midpoint_gap_bits_vs_gaussian", q.entropy_bits + log2(q.mse) / 2);
    bg_ecsq_free(&q);
    assert_int_equal(bg_ecsq_uniform(h, rate, 0, 0.5, 0, &q, NULL), BG_OK);
    check(id, x, "utq_centroid_step", q.step), check(id, x, "utq_centroid_mse", q.mse);
    bg_ecsq_free(&q);
    assert_int_equal(bg_ecsq_uniform(h, rate, 0, 1.0 / 3, 0, &q, NULL), BG_OK);
    check(id, x, "deadzone_offset0.333333_step", q.step), check(id, x, "deadzone_offset0.333333_centroid_mse", q.mse);
    bg_ecsq_free(&q);
    assert_int_equal(bg_ecsq_uniform(h, rate, 0, 1.0 / 6, 0, &q, NULL), BG_OK);
    check(id, x, "deadzone_offset0.166667_centroid_mse", q.mse);
    bg_ecsq_free(&q);
    double best = INFINITY, around = bg_json_number(c, "best_offset_informative", 0.5);
    for (double offset = around - 0.01; offset < around + 0.011; offset += 0.005) {
        assert_int_equal(bg_ecsq_uniform(h, rate, 0, offset, 0, &q, NULL), BG_OK);
        best = fmin(best, q.mse);
        bg_ecsq_free(&q);
    }
    check(id, x, "best_offset_mse", best);
    assert_int_equal(bg_ecsq_optimal(h, rate, &q, NULL), BG_OK);
    check(id, x, "ecsq_opt_mse", q.mse);
    check(id, x, "ecsq_opt_gap_bits_vs_gaussian", q.entropy_bits + log2(q.mse) / 2);
    for (int k = 0; k + 1 < q.K; k++)
        assert_true(q.levels[k] < q.thresholds[k] && q.thresholds[k] < q.levels[k + 1]);
    bg_ecsq_free(&q);
}

static void test_reference(void **state)
{
    (void)state;
    cJSON *file = NULL;
    assert_int_equal(bg_json_read("tests/reference/ecsq.json", 1 << 22, &file, NULL), BG_OK);
    int cases = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(file, "cases"))
    {
        bg_source source;
        bg_hist h;
        assert_int_equal(bg_source_parse(bg_json_string(c, "source", ""), &source, NULL), BG_OK);
        assert_int_equal(bg_hist_from_distribution(&h, &source.distribution, 1, NULL), BG_OK);
        one_case(c, &h);
        bg_hist_free(&h);
        cases++;
    }
    assert_int_equal(cases, 10);
    assert_int_equal(wrong, 0);
    assert_true(compared > 90);
    cJSON_Delete(file);
}

static void test_few_values(void **state)
{
    (void)state;
    float one[50], two[50];
    for (int i = 0; i < 50; i++)
        one[i] = -3, two[i] = i % 5 ? 1 : -2;
    bg_hist h;
    bg_ecsq q;
    assert_int_equal(bg_hist_from_values(&h, one, NULL, 50, NULL), BG_OK);
    assert_int_equal(bg_ecsq_optimal(&h, 2, &q, NULL), BG_OK);
    assert_true(q.K == 1 && q.levels[0] == -3 && q.mse == 0 && q.entropy_bits == 0);
    bg_ecsq_free(&q);
    assert_int_equal(bg_ecsq_uniform(&h, 2, 0, 0.5, 0, &q, NULL), BG_OK);
    assert_true(q.K == 1 && q.mse == 0);
    bg_ecsq_free(&q), bg_hist_free(&h);
    assert_int_equal(bg_hist_from_values(&h, two, NULL, 50, NULL), BG_OK);
    assert_int_equal(bg_ecsq_optimal(&h, 2, &q, NULL), BG_OK);
    assert_true(q.K == 2 && q.mse < 1e-12 && fabs(q.entropy_bits - 0.721928) < 1e-6);
    bg_ecsq_free(&q), bg_hist_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference), cmocka_unit_test(test_few_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
