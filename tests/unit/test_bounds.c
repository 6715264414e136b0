/* Blahut–Arimoto, water-filling, entropy estimators and closed forms against tests/reference, and bounds that bracket.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "analysis/bounds/blahut_arimoto.h"
#include "analysis/bounds/differential_entropy.h"
#include "analysis/bounds/conditional_bound.h"
#include "analysis/bounds/shannon.h"
#include "analysis/bounds/water_filling.h"
#include "tests/reference.h"
#include "quant/source/source.h"

static bg_hist density(const char *text)
{
    bg_source s;
    bg_hist h;
    assert_int_equal(bg_source_parse(text, &s, NULL), BG_OK);
    assert_int_equal(bg_hist_from_distribution(&h, &s.distribution, 1, NULL), BG_OK);
    return h;
}

/* Bins of width `step` about k·step, |k·step| ≤ lim, tails in the end bins: the alphabet of the references. */
static void binned(const cJSON *c)
{
    double step = bg_json_number(c, "step", 0), lim = bg_json_number(c, "lim", 0);
    int n = 2 * (int)(lim / step + 0.5) + 1;
    bg_hist h = density(bg_json_string(c, "source", ""));
    double *p = malloc((size_t)n * sizeof *p), low = 0;
    for (int k = 0; k < n; k++) {
        double high = k + 1 < n ? bg_hist_below(&h, step * (k - n / 2 + 0.5)).w : 1;
        p[k] = high - low;
        low = high;
    }
    bg_ba out;
    assert_int_equal(bg_blahut_arimoto_grid(p, n, step, bg_json_number(c, "slope_nats", 0), 1e-4, 100000, &out, NULL),
                     BG_OK);
    reference_check(c, "D", out.distortion);
    reference_check(c, "R_bits", out.upper_bits);
    assert_true(out.upper_bits - out.lower_bits < 2e-4 && out.lower_bits <= out.upper_bits);
    bg_source s;
    assert_int_equal(bg_source_parse(bg_json_string(c, "source", ""), &s, NULL), BG_OK);
    double d =
        bg_json_number(reference_expect(c, "D"), "value", 0); /* the closed forms, where the reference took them */
    reference_check(c, "shannon_lower_bound_bits",
                    bg_shannon_lower_bits(s.distribution.entropy_bits(&s.distribution), d));
    if (reference_expect(c, "R_continuous_closed_form"))
        reference_check(c, "R_continuous_closed_form", bg_gaussian_rate_bits(1, d));
    free(p);
    bg_hist_free(&h);
}

static void bernoulli(const cJSON *c)
{
    double q = bg_json_number(c, "p", 0), p[2] = {1 - q, q};
    const double d[4] = {0, 1, 1, 0};
    bg_ba out;
    assert_int_equal(bg_blahut_arimoto_ref(p, 2, d, 2, bg_json_number(c, "slope_nats", 0), 1e-9, 100000, &out, NULL),
                     BG_OK);
    reference_check(c, "D", out.distortion);
    reference_check(c, "R_bits", out.upper_bits);
}

/* |x − y| on a Laplacian: log2(E|X|/D) in closed form, by the plain iteration at slope −1/D in bins of D/8 . */
static void absolute(const cJSON *c)
{
    double D = bg_json_number(reference_expect(c, "D"), "value", 0), step = D / 8, low = 0;
    int n = 2 * (int)(8 / step) + 1;
    bg_hist h = density("laplace");
    double *p = malloc((size_t)n * sizeof *p), *d = malloc((size_t)n * (size_t)n * sizeof *d);
    assert_true(p && d);
    for (int k = 0; k < n; k++) {
        double high = k + 1 < n ? bg_hist_below(&h, step * (k - n / 2 + 0.5)).w : 1;
        p[k] = high - low;
        low = high;
        for (int y = 0; y < n; y++)
            d[k * n + y] = step * abs(k - y);
    }
    bg_ba out;
    assert_int_equal(bg_blahut_arimoto_ref(p, n, d, n, -1 / D, 1e-3, 15, &out, NULL), BG_OK);
    double moved = (out.distortion - D) / D / log(2); /* along the slope to the reference's D */
    assert_true(fabs(out.distortion / D - 1) < 0.02);
    reference_check(c, "R_bits", out.upper_bits + moved);
    free(p), free(d);
    bg_hist_free(&h);
}

static void test_blahut_arimoto(void **state)
{
    (void)state;
    cJSON *root = reference_open("blahut_arimoto");
    const cJSON *c;
    int seen = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        if (!strcmp(bg_json_string(c, "source", ""), "bernoulli"))
            bernoulli(c), seen++;
        else if (!strcmp(bg_json_string(c, "distortion", ""), "squared"))
            binned(c), seen++;
        else
            absolute(c), seen++;
    }
    assert_int_equal(seen, 14);
    cJSON_Delete(root);
}

/* The fast grid and the plain matrix, same problem, same interval. */
static void test_grid_is_plain(void **state)
{
    (void)state;
    enum { N = 41 };
    double p[N], d[N * N], total = 0;
    for (int i = 0; i < N; i++)
        total += p[i] = exp(-fabs(i - 20.0) / 6) * (1 + i % 3);
    for (int i = 0; i < N; i++) {
        p[i] /= total;
        for (int k = 0; k < N; k++)
            d[i * N + k] = 0.04 * (i - k) * (i - k);
    }
    bg_ba plain, fast;
    assert_int_equal(bg_blahut_arimoto_ref(p, N, d, N, -1.5, 1e-5, 200000, &plain, NULL), BG_OK);
    assert_int_equal(bg_blahut_arimoto_grid(p, N, 0.2, -1.5, 1e-5, 200000, &fast, NULL), BG_OK);
    /* Near the optimum D moves along the curve much more than R(D) leaves it: compare at one D by the slope. */
    double moved = -1.5 / log(2) * (plain.distortion - fast.distortion);
    assert_true(fabs(fast.upper_bits + moved - plain.upper_bits) < 5e-5);
    assert_true(fabs(fast.distortion - plain.distortion) < 1e-3);
}

/* The interval holds the truth: exactly ½·log2(1/D) for the Gaussian; above the Shannon bound and below the Gaussian's
 * for others. */
static void test_certificate(void **state)
{
    (void)state;
    const double relative[] = {0.9, 0.1, 0.001};
    bg_hist g = density("gaussian"), l = density("laplace");
    for (size_t i = 0; i < sizeof relative / sizeof *relative; i++) {
        double d = relative[i], truth = bg_gaussian_rate_bits(1, d);
        bg_ba out;
        assert_int_equal(bg_rate_distortion(&g, d, 1e-4, 64, &out, NULL), BG_OK);
        assert_true(out.lower_bits <= truth + 1e-6 && out.upper_bits >= truth - 1e-6);
        assert_true(d > 0.8 || out.upper_bits - out.lower_bits < 0.005);
        if (i != 1)
            continue;
        assert_int_equal(bg_rate_distortion(&l, d, 1e-4, 64, &out, NULL), BG_OK);
        assert_true(out.upper_bits >= bg_shannon_lower_bits(1.9426950408889636, d) - 1e-6 &&
                    out.upper_bits <= truth + 1e-12);
        assert_true(out.lower_bits <= out.upper_bits);
    }
    bg_ba none;
    assert_int_equal(bg_rate_distortion(&g, 1, 1e-4, 64, &none, NULL), BG_OK);
    assert_true(none.upper_bits <= 0 && none.lower_bits <= 0);
    bg_hist_free(&g), bg_hist_free(&l);
}

/* Two atoms ±1: R(D) by the plain iteration on a fine alphabet lies in the interval for every D. */
static void test_two_atoms(void **state)
{
    (void)state;
    const double value[] = {-1, 1}, weight[] = {1, 1};
    enum { M = 201 };
    double p[2] = {0.5, 0.5}, d[2 * M];
    for (int k = 0; k < M; k++) {
        double y = -1.5 + 3.0 * k / (M - 1);
        d[k] = (y + 1) * (y + 1), d[M + k] = (y - 1) * (y - 1);
    }
    bg_hist h;
    assert_int_equal(bg_hist_from_sorted(&h, value, weight, 2, NULL), BG_OK);
    const double slopes[] = {-0.8, -1.5, -3};
    for (int i = 0; i < 3; i++) {
        bg_ba plain, fast;
        assert_int_equal(bg_blahut_arimoto_ref(p, 2, d, M, slopes[i], 1e-5, 200000, &plain, NULL), BG_OK);
        assert_int_equal(bg_rate_distortion(&h, plain.distortion, 1e-5, 2000, &fast, NULL), BG_OK);
        if (!(fast.lower_bits <= plain.upper_bits + 1e-6 && fast.upper_bits >= plain.lower_bits - 1e-6))
            fail_msg("D %.4f: [%.6f, %.6f], plain [%.6f, %.6f]", plain.distortion, fast.lower_bits, fast.upper_bits,
                     plain.lower_bits, plain.upper_bits);
    }
    bg_hist_free(&h);
}

static int numbers(const cJSON *list, double *out)
{
    int n = 0;
    const cJSON *x;
    cJSON_ArrayForEach(x, list) out[n++] = x->valuedouble;
    return n;
}

static double average(const double *v, const double *w, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i] * (w ? w[i] : 1.0 / n);
    return sum;
}

static void test_waterfill(void **state)
{
    (void)state;
    cJSON *root = reference_open("waterfilling");
    const cJSON *c, *at;
    int seen = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        double v[64], w[64];
        int n = numbers(cJSON_GetObjectItemCaseSensitive(c, "variances"), v);
        int weighted = numbers(cJSON_GetObjectItemCaseSensitive(c, "weights"), w) > 0;
        cJSON_ArrayForEach(at, cJSON_GetObjectItemCaseSensitive(c, "expect"))
        {
            if (at->string[0] != 'R')
                continue;
            const cJSON *theta = cJSON_GetObjectItemCaseSensitive(at, "theta"),
                        *d = cJSON_GetObjectItemCaseSensitive(at, "D");
            double rate = atof(at->string + 1);
            bg_water x = bg_waterfill_rate(v, weighted ? w : NULL, (size_t)n, rate);
            reference_near(c, theta, "theta", bg_json_number(theta, "value", 0), x.level);
            reference_near(c, d, "D", bg_json_number(d, "value", 0), x.distortion);
            double rates[64];
            for (int i = 0; i < n; i++)
                rates[i] = v[i] > x.level ? 0.5 * log2(v[i] / x.level) : 0;
            const cJSON *list = cJSON_GetObjectItemCaseSensitive(at, "component_rates"),
                        *wanted = cJSON_GetObjectItemCaseSensitive(list, "value"),
                        *active = cJSON_GetObjectItemCaseSensitive(at, "active"),
                        *gain = cJSON_GetObjectItemCaseSensitive(at, "side_information_gain_bits");
            for (int i = 0; i < n; i++)
                reference_near(c, list, "component rate", cJSON_GetArrayItem(wanted, i)->valuedouble, rates[i]);
            int above = 0; /* a level that is a variance may come out a rounding below it */
            for (int i = 0; i < n; i++)
                above += v[i] > x.level * (1 + 1e-12);
            reference_near(c, active, "active", bg_json_number(active, "value", 0), above);
            reference_near(c, gain, "gain", bg_json_number(gain, "value", 0),
                           bg_gaussian_rate_bits(average(v, weighted ? w : NULL, n), x.distortion) - rate);
            bg_water y = bg_waterfill_distortion(v, weighted ? w : NULL, (size_t)n, x.distortion);
            assert_true(fabs(y.rate_bits - rate) < 1e-9);
            seen++;
        }
    }
    assert_true(seen >= 10);
    cJSON_Delete(root);
}

static void test_estimators(void **state)
{
    (void)state;
    cJSON *root = reference_open("entropy_estimators");
    const cJSON *c, *x;
    int seen = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        double v[1024], discrete, corrected;
        int n = 0;
        cJSON_ArrayForEach(x, cJSON_GetObjectItemCaseSensitive(c, "x"))
        {
            int at = n++; /* sorted */
            for (; at > 0 && v[at - 1] > x->valuedouble; at--)
                v[at] = v[at - 1];
            v[at] = x->valuedouble;
        }
        cJSON_ArrayForEach(x, cJSON_GetObjectItemCaseSensitive(c, "expect"))
        {
            if (!strncmp(x->string, "vasicek_m", 9))
                reference_check(c, x->string, bg_entropy_vasicek(v, (size_t)n, (size_t)atoi(x->string + 9))), seen++;
            if (!strncmp(x->string, "kozachenko_leonenko_k", 21))
                reference_check(c, x->string,
                                bg_entropy_kozachenko_leonenko(v, (size_t)n, (size_t)atoi(x->string + 21))),
                    seen++;
        }
        reference_check(c, "histogram_w0.25_bits", bg_entropy_histogram(v, (size_t)n, 0.25, &discrete, &corrected));
        reference_check(c, "histogram_miller_madow_bits", corrected);
        cJSON_ArrayForEach(
            x, cJSON_GetObjectItemCaseSensitive(c, "expect")) if (!strncmp(x->string, "vasicek_m", 9) &&
                                                                  reference_expect(c, "slb_D0.01_from_vasicek"))
            reference_check(c, "slb_D0.01_from_vasicek",
                            bg_shannon_lower_bits(bg_entropy_vasicek(v, (size_t)n, (size_t)atoi(x->string + 9)), 0.01));
        if (reference_expect(c, "histogram_discrete_entropy_bits"))
            reference_check(c, "histogram_discrete_entropy_bits", discrete);
    }
    assert_true(seen >= 8);
    cJSON_Delete(root);
}

/* Half a million weights rounded to bfloat16: the entropy of their law within 0.01 bit, whatever the scale. */
static void test_entropy_of_codes(void **state)
{
    (void)state;
    enum { N = 500000 };
    const char *const texts[] = {"gaussian", "laplace,sigma=0.02", "ggd,shape=1.5,sigma=37"};
    for (int i = 0; i < 3; i++) {
        bg_source s;
        bg_hist h;
        float *x = malloc(N * sizeof *x);
        assert_int_equal(bg_source_parse(texts[i], &s, NULL), BG_OK);
        bg_source_samples(&s, 0, N, x);
        for (int k = 0; k < N; k++) {
            uint32_t u;
            memcpy(&u, &x[k], sizeof u);
            u = (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000u;
            memcpy(&x[k], &u, sizeof u);
        }
        assert_int_equal(bg_hist_from_values(&h, x, NULL, N, NULL), BG_OK);
        double truth = s.distribution.entropy_bits(&s.distribution) + log2(s.sigma), got = bg_entropy_of_codes(&h, 7);
        if (fabs(got - truth) > 0.01)
            fail_msg("%s: %.5f bits, not %.5f", texts[i], got, truth);
        /* and so say the estimators for samples, of draws spread over their codes */
        bg_entropies all;
        assert_int_equal(bg_entropies_of(&h, 7, 3, &all, NULL), BG_OK);
        assert_int_equal(all.samples, BG_ENTROPY_SAMPLES);
        const double others[] = {all.vasicek, all.kozachenko_leonenko, all.miller_madow};
        for (int k = 0; k < 3; k++)
            if (fabs(others[k] - truth) > 0.02)
                fail_msg("%s, estimator %d: %.5f bits, not %.5f", texts[i], k, others[k], truth);
        bg_hist_free(&h);
        free(x);
    }
}

/* Known scales: reverse water-filling lies between the two ends for a Gaussian, whose weights a Laplacian's stay below.
 */
static void test_known_scales(void **state)
{
    (void)state;
    double variance[] = {16, 4, 1, 0.25, 0}, share[] = {0.1, 0.2, 0.3, 0.3, 0.1};
    bg_scales s = {.n = 5, .variance = variance, .share = share};
    bg_hist gaussian = density("gaussian"), laplace = density("laplace");
    const double distortions[] = {1, 0.2, 0.02};
    bg_scale_codes g, l;
    assert_int_equal(bg_scale_codes_of(&gaussian, 1e-4, 64, &g, NULL), BG_OK);
    assert_int_equal(bg_scale_codes_of(&laplace, 1e-4, 64, &l, NULL), BG_OK);
    for (int i = 0; i < 3; i++) {
        double d = distortions[i], low, high, lower, upper,
               filled = bg_waterfill_distortion(variance, share, 5, d).rate_bits;
        bg_conditional_rate(&s, &g, d, &low, &high);
        if (!(low <= filled && filled <= high && high - low < 0.03))
            fail_msg("D %g: [%.5f, %.5f], water-filling %.5f", d, low, high, filled);
        bg_conditional_rate(&s, &l, d, &lower, &upper);
        assert_true(lower <= upper && upper < filled && lower > filled - 0.2);
    }
    /* one scope: the bound without side information */
    double one = 1, all = 1, low, high;
    bg_ba plain;
    bg_scales alone = {.n = 1, .variance = &one, .share = &all};
    assert_int_equal(bg_rate_distortion(&laplace, 0.01, 1e-4, 64, &plain, NULL), BG_OK);
    bg_conditional_rate(&alone, &l, 0.01, &low, &high);
    assert_true(low <= plain.upper_bits + 1e-9 && high >= plain.lower_bits - 1e-9 && high - low < 0.03);
    bg_conditional_rate(&alone, &l, 1e-9, &low, &high);
    assert_true(isnan(low) && isnan(high));
    bg_conditional_rate(&alone, &l, 2, &low, &high);
    assert_true(low <= 0 && high <= 0);
    bg_hist_free(&gaussian), bg_hist_free(&laplace);
}

static void test_closed_forms(void **state)
{
    (void)state;
    assert_true(fabs(bg_gaussian_rate_bits(4, 1) - 1) < 1e-15 && bg_gaussian_rate_bits(1, 2) <= 0);
    assert_true(fabs(bg_gaussian_distortion(4, 1) - 1) < 1e-15);
    assert_true(fabs(bg_shannon_lower_bits(2.047095585180641, 0.25) - 1) < 1e-12);
    assert_true(fabs(bg_gap_bits(4, 1, 0.009501008) - 0.6411) < 1e-4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blahut_arimoto),   cmocka_unit_test(test_grid_is_plain),
        cmocka_unit_test(test_certificate),      cmocka_unit_test(test_two_atoms),
        cmocka_unit_test(test_waterfill),        cmocka_unit_test(test_estimators),
        cmocka_unit_test(test_entropy_of_codes), cmocka_unit_test(test_known_scales),
        cmocka_unit_test(test_closed_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
