/* Divergences, quantiles and correlations against tests/reference/information.json and correlation.json (scipy, and
 * llama.cpp's definitions). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/output/correlation.h"
#include "analysis/output/divergence.h"
#include "io/base/json.h"

static cJSON *read_cases(const char *path)
{
    cJSON *root = NULL;
    bg_err e = {0};
    if (bg_json_read(path, 1 << 20, &root, &e))
        fail_msg("%s", e.text);
    return root;
}

static int numbers(const cJSON *list, double *out)
{
    int n = 0;
    for (const cJSON *v = list->child; v; v = v->next)
        out[n++] = v->valuedouble;
    return n;
}

/* Does the case expect this quantity, and does it hold? */
static void expect(const cJSON *one, const char *key, double got)
{
    const cJSON *want = cJSON_GetObjectItem(cJSON_GetObjectItem(one, "expect"), key);
    if (!want)
        return;
    double v = bg_json_number(want, "value", NAN);
    if (!(fabs(got - v) <= bg_json_number(want, "rtol", 0) * fabs(v) + bg_json_number(want, "atol", 0)))
        fail_msg("%s: %s is %.17g, expected %.17g", bg_json_string(one, "id", "?"), key, got, v);
}

static void divergences_are_those_of_llama_cpp(void **state)
{
    (void)state;
    cJSON *root = read_cases("tests/reference/information.json");
    for (const cJSON *one = cJSON_GetObjectItem(root, "cases")->child; one; one = one->next) {
        bg_token tokens[16];
        bg_err e = {0};
        double next[16], row[16], p[16];
        int n = numbers(cJSON_GetObjectItem(one, "next_token"), next), i = 0;
        const cJSON *a = cJSON_GetObjectItem(one, "logits_base")->child;
        const cJSON *b = cJSON_GetObjectItem(one, "logits_quant")->child;
        for (; a; a = a->next, b = b->next, i++) {
            float base[16], other[16];
            int vocab = numbers(a, row);
            for (int j = 0; j < vocab; j++)
                base[j] = (float)row[j];
            numbers(b, row);
            for (int j = 0; j < vocab; j++)
                other[j] = (float)row[j];
            bg_prediction r;
            bg_prediction_read(base, vocab, p, &r);
            tokens[i] = bg_prediction_compare(base, p, &r, other, vocab, (int32_t)next[i]);
        }
        assert_int_equal(i, n);
        bg_information info;
        assert_int_equal(bg_information_of(tokens, n, NULL, &info, &e), BG_OK);
        /* float32 logits of the decimal numbers in the file: 1e-7 relative */
        assert_true(fabs(exp(info.nll_base.mean) - 1.6992988297283618) < 5e-7);
        assert_true(fabs(exp(info.nll.mean) - 1.8881604661240226) < 5e-7);
        assert_true(fabs(info.log_ratio.mean - 0.10538734388304327) < 2e-7);
        assert_true(fabs(info.log_ratio.se - 0.015110040734629387) < 1e-7);
        assert_true(fabs(info.kl.mean - 0.011479722660563785) < 2e-8);
        assert_true(fabs(info.kl_max - 0.0157532124197343) < 2e-8);
        assert_true(fabs(info.same_top.mean - 0.6) < 1e-12);
        assert_true(fabs(100 * info.delta_p.mean + 5.906647223629176) < 5e-6);
        assert_true(fabs(100 * info.delta_p_rms - 6.123580610411833) < 5e-6);
        assert_true(fabs(info.squared.mean - 0.027) < 1e-7);
        assert_int_equal(info.scored, n);
    }
    cJSON_Delete(root);
}

/* Close predictions: KL is ½ of the variance of the logit change under p, to second order; nothing of it is lost. */
static void tiny_divergences_are_resolved(void **state)
{
    (void)state;
    enum { V = 1000 };
    float base[V], other[V];
    double p[V], mean = 0, square = 0;
    for (int i = 0; i < V; i++) {
        base[i] = (float)((i * 37 % 101) - 50) / 16;
        other[i] = base[i] + (float)((i * 53 % 17) - 8) / 65536; /* exact in float32 */
    }
    bg_prediction r;
    bg_prediction_read(base, V, p, &r);
    for (int i = 0; i < V; i++) {
        double d = (double)other[i] - (double)base[i];
        mean += p[i] * d;
        square += p[i] * d * d;
    }
    bg_token t = bg_prediction_compare(base, p, &r, other, V, -1);
    assert_true(fabs(t.kl / (0.5 * (square - mean * mean)) - 1) < 1e-3);
    assert_true(isnan(t.nll) && isnan(t.delta_p));
    t = bg_prediction_compare(base, p, &r, base, V, 3);
    assert_true(t.kl == 0 && t.squared == 0 && t.delta_p == 0 && t.same_top);
    double direct = 0;
    for (int i = 0; i < V; i++)
        direct += exp((double)base[i]);
    assert_true(fabs(r.log_sum_exp - log(direct)) < 1e-13);
}

static void correlations_are_those_of_scipy(void **state)
{
    (void)state;
    cJSON *root = read_cases("tests/reference/correlation.json");
    int cases = 0;
    for (const cJSON *one = cJSON_GetObjectItem(root, "cases")->child; one; one = one->next, cases++) {
        double x[64], y[64], ranks[128];
        int n = numbers(cJSON_GetObjectItem(one, "x"), x);
        numbers(cJSON_GetObjectItem(one, "y"), y);
        bg_correlation p = bg_pearson(x, y, n), s = bg_spearman(x, y, n, ranks);
        expect(one, "pearson_r", p.r);
        expect(one, "pearson_t", p.t);
        expect(one, "pearson_p_two_sided", p.p);
        expect(one, "spearman_rho", s.r);
        expect(one, "spearman_t", s.t);
        expect(one, "spearman_p_two_sided_t", s.p);
        expect(one, "spearman_p_exact_permutation", s.p_exact);
        assert_true(p.low < p.r && p.r < p.high);
    }
    assert_true(cases >= 4);
    cJSON_Delete(root);
}

static void few_points_validate_nothing(void **state)
{
    (void)state;
    double x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, same[10] = {0}, ranks[20];
    bg_correlation four = bg_spearman(x, x, 4, ranks), ten = bg_spearman(x, x, 10, ranks);
    assert_true(four.r == 1 && fabs(four.p_exact - 2.0 / 24) < 1e-12);
    assert_string_equal(bg_correlation_verdict(&four), "too few");
    assert_string_equal(bg_correlation_verdict(&ten), "validated");
    bg_correlation none = bg_spearman(x, same, 10, ranks);
    assert_true(isnan(none.r));
    assert_string_equal(bg_correlation_verdict(&none), "too few");
    assert_true(isnan(bg_pearson(x, x, 1).r));
}

static void quantiles_interpolate(void **state)
{
    (void)state;
    double x[] = {1, 2, 4, 8};
    assert_true(bg_quantile(x, 4, 0.5) == 3 && bg_quantile(x, 4, 1) == 8 && bg_quantile(x, 1, 0.9) == 1);
    double with_gaps[] = {1, NAN, 3};
    bg_sample_mean m = bg_sample_mean_of(with_gaps, 3, NULL);
    assert_true(m.mean == 2 && fabs(m.se - 1) < 1e-15);
}

/* Two windows whose tokens agree: the six tokens are two draws. */
static void errors_are_taken_between_sequences(void **state)
{
    (void)state;
    const int lengths[] = {3, 3};
    const bg_sequences windows = {lengths, 2};
    bg_token tokens[6] = {{0}};
    bg_information info;
    for (int i = 0; i < 6; i++)
        tokens[i].kl = i < 3 ? 1 : 3;
    assert_int_equal(bg_information_of(tokens, 6, &windows, &info, NULL), BG_OK);
    assert_true(fabs(info.kl.mean - 2) < 1e-15 && fabs(info.kl.se - 1) < 1e-12);
    assert_int_equal(bg_information_of(tokens, 6, NULL, &info, NULL), BG_OK);
    assert_true(fabs(info.kl.se - sqrt(0.2)) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_taken_between_sequences), cmocka_unit_test(divergences_are_those_of_llama_cpp),
        cmocka_unit_test(tiny_divergences_are_resolved),      cmocka_unit_test(correlations_are_those_of_scipy),
        cmocka_unit_test(few_points_validate_nothing),        cmocka_unit_test(quantiles_interpolate),
    };
    return cmocka_run_group_tests_name("information and correlation", tests, NULL, NULL);
}
