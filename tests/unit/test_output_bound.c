/* The functional bound and the losses of rounding and error feedback against tests/reference/functional_bound.json. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "analysis/bounds/output_bound_interval.h"
#include "quant/source/source.h"
#include "quant/engine/quantize.h"
#include "tests/reference.h"

enum { MOST = 16 };

/* The matrices that the cases describe in words. */
static int matrix_of(const char *id, double *a)
{
    int n = !strncmp(id, "ar1", 3) ? 16 : !strncmp(id, "two", 3) ? 2 : 8;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            a[i * n + j] = !strncmp(id, "ar1", 3)    ? pow(0.9, abs(i - j))
                           : !strncmp(id, "two", 3)  ? (i == j ? 1 : 0.8)
                           : !strncmp(id, "diag", 4) ? (i == j ? pow(2, -i) : 0)
                                                     : (i == j) + (i < 4 && j < 4 ? 3 : 0);
    return n;
}

static void check_rates(const cJSON *c, const bg_output_bound *b)
{
    const cJSON *at;
    cJSON_ArrayForEach(at, cJSON_GetObjectItemCaseSensitive(c, "expect"))
    {
        const cJSON *theta = cJSON_GetObjectItemCaseSensitive(at, "theta"),
                    *d = cJSON_GetObjectItemCaseSensitive(at, "D_func_per_weight");
        const cJSON *active = cJSON_GetObjectItemCaseSensitive(at, "active_components");
        if (!theta)
            continue;
        double rate = atof(at->string + 1);
        bg_water w, back;
        assert_int_equal(bg_output_bound_at_rate(b, 1, rate, &w, NULL), BG_OK);
        reference_near(c, theta, "theta", bg_json_number(theta, "value", 0), w.level);
        reference_near(c, d, "D", bg_json_number(d, "value", 0), w.distortion);
        reference_near(c, active, "active", bg_json_number(active, "value", 0), (double)w.active);
        assert_int_equal(bg_output_bound_at_distortion(b, 9, 9 * w.distortion, &back, NULL), BG_OK);
        assert_true(fabs(back.rate_bits - rate) < 1e-9); /* scaling the weights changes nothing */
    }
}

/* Mean of the pivots with the columns in another order. */
static double mean_pivot(const double *a, int n, const int *order)
{
    double b[MOST * MOST] = {0}, pivots[MOST], mean = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            b[i * n + j] = a[order[i] * n + order[j]];
    assert_int_equal(bg_feedback_pivots(b, n, pivots, NULL, NULL), BG_OK);
    for (int i = 0; i < n; i++)
        mean += pivots[i] / n;
    return mean;
}

static void check_orders(const cJSON *c, const double *a, int n)
{
    int natural[MOST], reverse[MOST];
    for (int i = 0; i < n; i++)
        natural[i] = i, reverse[i] = n - 1 - i;
    reference_check(c, "gptq_pivots_mean", mean_pivot(a, n, natural));
    reference_check(c, "gptq_pivots_mean_reverse_order", mean_pivot(a, n, reverse));
    reference_check(c, "gptq_pivots_mean_act_order",
                    mean_pivot(a, n, natural)); /* every diagonal here falls, or is constant */
}

/* What the quantizers do to 200,000 rows: the gap of their entropy above the bound at the error they make. */
static void check_simulated(const cJSON *c, const double *a, int n, const bg_output_bound *b, const char *name,
                            const char *spec)
{
    enum { ROWS = 200000 };
    const cJSON *expect = reference_expect(c, name),
                *want = cJSON_GetObjectItemCaseSensitive(expect, "gap_to_bound_bits");
    if (!expect)
        return;
    char text[64];
    bg_source source;
    bg_spec s;
    bg_measure m;
    bg_water w;
    bg_err e = {0};
    float *x = malloc((size_t)(ROWS * n) * sizeof *x), *hat = malloc((size_t)(ROWS * n) * sizeof *hat);
    snprintf(text, sizeof text, "gaussian,n=%d,cols=%d", ROWS * n, n);
    assert_int_equal(bg_source_parse(text, &source, &e), BG_OK);
    bg_source_samples(&source, 0, ROWS * n, x);
    bg_matrix matrix = bg_matrix_of(x, ROWS, n);
    matrix.second_moment = a;
    if (bg_spec_parse(spec, &s, &e) || bg_reconstruct(&matrix, &s, x, hat, &m, NULL, &e) || m.skipped)
        fail_msg("%s: %s", spec, m.skipped ? m.skipped : e.text);
    assert_int_equal(bg_output_bound_at_distortion(b, 1, m.output_mse / n, &w, &e), BG_OK);
    reference_near(c, want, name, bg_json_number(want, "value", 0), m.index_entropy - w.rate_bits);
    free(x);
    free(hat);
}

static void test_reference(void **state)
{
    (void)state;
    cJSON *root = reference_open("functional_bound");
    const char *const ids[] = {"ar1_rho0.9_n16", "diag_geometric_n8", "spiked_n8", "two_rho0.8"};
    for (int i = 0; i < 4; i++) {
        const cJSON *c = reference_case(root, ids[i]);
        double a[MOST * MOST], pivots[MOST], factor;
        int n = matrix_of(ids[i], a);
        bg_output_bound b;
        assert_int_equal(bg_output_bound_init(&b, a, n, NULL), BG_OK);
        reference_check_list(c, "eigenvalues_desc", b.eigenvalues, n);
        reference_check(c, "geometric_mean_eig", exp2(b.log2_geometric_mean));
        reference_check(c, "mean_diag", b.mean_diagonal);
        assert_int_equal(bg_feedback_pivots(a, n, pivots, &factor, NULL), BG_OK);
        reference_check_list(c, "gptq_pivots_natural_order", pivots, n);
        reference_check(c, "rtn_loss_bits_high_rate", bg_nearest_loss_bits(&b));
        reference_check(c, "gptq_loss_bits_high_rate", bg_feedback_loss_bits(&b, pivots));
        reference_check(c, "gptq_weight_mse_over_rtn_weight_mse_high_rate", factor);
        reference_check(c, "rtn_minus_gptq_bits", bg_nearest_loss_bits(&b) - bg_feedback_loss_bits(&b, pivots));
        check_orders(c, a, n);
        check_simulated(c, a, n, &b, "simulated_rtn_step0.25", "uniform:step=0.25sigma,code=entropy,bits=6");
        check_simulated(c, a, n, &b, "simulated_gptq_step0.25",
                        "uniform:step=0.25sigma,code=entropy,bits=6,round=gptq,percdamp=0");
        check_rates(c, &b);
        bg_output_bound_free(&b);
    }
    cJSON_Delete(root);
}

/* Σ = I is the Gaussian line; a dead input needs no bits and is no error. */
static void test_edges(void **state)
{
    (void)state;
    double one[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, dead[9] = {1, 0, 0, 0, 1, 0, 0, 0, 0}, pivots[3];
    bg_output_bound b;
    bg_water w;
    bg_err e;
    assert_int_equal(bg_output_bound_init(&b, one, 3, &e), BG_OK);
    assert_int_equal(bg_output_bound_at_distortion(&b, 0.04, 0.0025, &w, &e), BG_OK);
    assert_true(fabs(w.rate_bits - 2) < 1e-12);
    bg_output_bound_free(&b);
    assert_int_equal(bg_output_bound_init(&b, dead, 3, &e), BG_OK);
    assert_int_equal(bg_output_bound_at_rate(&b, 1, 1, &w, &e), BG_OK);
    assert_true(fabs(w.distortion - 2.0 / 3 * exp2(-3)) < 1e-12 && w.active == 2);
    assert_int_equal(bg_feedback_pivots(dead, 3, pivots, NULL, &e), BG_INPUT);
    assert_int_equal(bg_output_bound_at_rate(&b, 0, 1, &w, &e), BG_INPUT);
    bg_output_bound_free(&b);
    dead[4] = (double)NAN;
    assert_int_equal(bg_output_bound_init(&b, dead, 3, &e), BG_INPUT);
}

/* ---- what a finite sample knows ---- */

enum { COLS = 24, TOKENS = 8192, FOLDS = 8 };
static const double rates[] = {0.5, 1, 2, 4};

/* Gaussian tokens with Σ_ij = ρ^|i−j|: moments of all and of the folds. */
static void sample(double rho, bg_activations *all, bg_folds *folds)
{
    float *x = malloc(TOKENS * COLS * sizeof *x);
    bg_source s;
    bg_err e;
    assert_int_equal(bg_source_parse("gaussian,n=196608,seed=5", &s, &e), BG_OK);
    bg_source_samples(&s, 0, TOKENS * COLS, x);
    for (int t = 0; t < TOKENS; t++)
        for (int i = 1; i < COLS; i++)
            x[t * COLS + i] =
                (float)(rho * (double)x[t * COLS + i - 1] + sqrt(1 - rho * rho) * (double)x[t * COLS + i]);
    assert_int_equal(bg_activations_init(all, COLS, &e), BG_OK);
    assert_int_equal(bg_folds_init(folds, COLS, bg_folds_of(TOKENS, FOLDS), &e), BG_OK);
    for (int t = 0; t < TOKENS; t += 1152)
        bg_folds_add(folds, all, x + t * COLS, TOKENS - t < 1152 ? TOKENS - t : 1152, TOKENS);
    assert_int_equal(bg_activations_finish(all, "x", &e), BG_OK);
    assert_int_equal(bg_activations_square(all, &e), BG_OK);
    free(x);
}

/* The sample's own bound is too low, the held-out one is not: the truth lies between. */
static void test_band_holds_truth(void **state)
{
    (void)state;
    bg_activations all;
    bg_folds folds;
    bg_output_bound b, truth;
    bg_output_band band;
    double sigma[COLS * COLS];
    bg_err e = {0};
    sample(0.9, &all, &folds);
    for (int i = 0; i < COLS * COLS; i++)
        sigma[i] = pow(0.9, abs(i / COLS - i % COLS));
    assert_int_equal(bg_output_bound_init(&b, all.second_moment, COLS, &e), BG_OK);
    assert_int_equal(bg_output_bound_init(&truth, sigma, COLS, &e), BG_OK);
    assert_int_equal(bg_output_band_of(&folds, all.second_moment, &b, rates, 4, 1, &band, &e), BG_OK);
    assert_true(band.shrinkage > 0 && band.shrinkage < 0.1);
    for (int r = 0; r < 4; r++) {
        bg_water own, known;
        bg_output_bound_at_rate(&b, 1, rates[r], &own, &e);
        bg_output_bound_at_rate(&truth, 1, rates[r], &known, &e);
        assert_true(band.low[r] <= band.held_out[r] && band.held_out[r] <= band.high[r] && band.low[r] < band.high[r]);
        assert_true(own.distortion < band.held_out[r] && own.distortion <= band.shrunk[r]);
        assert_true(known.distortion < band.high[r]);
        assert_true(fabs(log2(band.held_out[r] / known.distortion)) < 0.1);
    }
    bg_output_bound_free(&b);
    bg_output_bound_free(&truth);
    bg_activations_free(&all);
    bg_folds_free(&folds);
}

/* White inputs: shrinkage finds that they are, and the bound collapses to the Gaussian line; the band holds it. */
static void test_white_is_the_gaussian_line(void **state)
{
    (void)state;
    bg_activations all;
    bg_folds folds;
    bg_output_bound b;
    bg_output_band band;
    bg_err e = {0};
    sample(0, &all, &folds);
    assert_int_equal(bg_output_bound_init(&b, all.second_moment, COLS, &e), BG_OK);
    assert_int_equal(bg_output_band_of(&folds, all.second_moment, &b, rates, 4, 1, &band, &e), BG_OK);
    assert_true(band.shrinkage > 0.8);
    for (int r = 0; r < 4; r++) {
        double line = b.mean_diagonal * exp2(-2 * rates[r]);
        assert_true(fabs(band.shrunk[r] / line - 1) < 1e-4 && fabs(band.held_out[r] / line - 1) < 1e-3);
        assert_true(band.low[r] < exp2(-2 * rates[r]) && band.high[r] > exp2(-2 * rates[r]));
    }
    folds.n = 1;
    assert_int_equal(bg_output_band_of(&folds, all.second_moment, &b, rates, 4, 1, &band, &e), BG_INPUT);
    bg_output_bound_free(&b);
    bg_activations_free(&all);
    bg_folds_free(&folds);
}

/* The pass over sorted variances and the bisection fill alike. */
static void test_sorted_fill(void **state)
{
    (void)state;
    const double v[] = {16, 4, 4, 1, 0.25, 0.0625, 0, 0}, many[] = {0, 0.11, 0.53, 1.07, 3.1, 12};
    bg_water w[6];
    bg_waterfill_sorted(v, 8, many, 6, w);
    for (int r = 0; r < 6; r++) {
        bg_water plain = bg_waterfill_rate(v, NULL, 8, many[r]);
        if (fabs(w[r].distortion / plain.distortion - 1) > 1e-9)
            fail_msg("rate %g: %.12g, by bisection %.12g", many[r], w[r].distortion, plain.distortion);
        assert_true(r == 0 || (w[r].active == plain.active && fabs(w[r].level / plain.level - 1) < 1e-9));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference), cmocka_unit_test(test_edges), cmocka_unit_test(test_band_holds_truth),
        cmocka_unit_test(test_white_is_the_gaussian_line), cmocka_unit_test(test_sorted_fill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
