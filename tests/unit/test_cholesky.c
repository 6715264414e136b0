/* The damped, ordered factor: it multiplies back to the matrix, whatever the threads, and refuses what it must. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/cholesky.h"

/* ρ^|i−j| with a rising diagonal, so that act-order has something to do. */
static double *ar1(int64_t n, double rho)
{
    double *H = malloc((size_t)(n * n) * sizeof *H);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            H[i * n + j] = pow(rho, fabs((double)(i - j))) * sqrt((1.0 + (double)(i % 7)) * (1.0 + (double)(j % 7)));
    return H;
}

static double worst_residual(const bg_factor *f, const double *H, double lambda)
{
    double worst = 0;
    for (int64_t i = 0; i < f->n; i++)
        for (int64_t j = i; j < f->n; j++) {
            int64_t p = f->order ? f->order[i] : i, q = f->order ? f->order[j] : j;
            double sum = 0;
            for (int64_t k = j; k < f->n; k++)
                sum += (double)f->M[i * f->n + k] * (double)f->M[j * f->n + k];
            worst = fmax(worst, fabs(sum - H[p * f->n + q] - (i == j ? lambda : 0)));
        }
    return worst;
}

static void multiplies_back(void **state)
{
    (void)state;
    for (int act = 0; act < 2; act++)
        for (int64_t n = 1; n <= 433; n += 108) {
            double *H = ar1(n, 0.9), trace = 0;
            for (int64_t i = 0; i < n; i++)
                trace += H[i * n + i];
            bg_factor f;
            assert_int_equal(bg_factor_init(&f, H, n, 0.01, act, NULL), 0);
            /* M is single precision: n products of size ≤ 7 with relative error 2^-23. */
            assert_true(worst_residual(&f, H, 0.01 * trace / (double)n) < 7.0 * 0x1p-22 * sqrt((double)n));
            for (int64_t k = 1; act && k < n; k++)
                assert_true(H[f.order[k - 1] * (n + 1)] >= H[f.order[k] * (n + 1)]);
            bg_factor_free(&f);
            free(H);
        }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    int64_t n = 500;
    double *H = ar1(n, 0.95);
    bg_factor one, three;
    omp_set_num_threads(1);
    assert_int_equal(bg_factor_init(&one, H, n, 0.01, 0, NULL), 0);
    omp_set_num_threads(3);
    assert_int_equal(bg_factor_init(&three, H, n, 0.01, 0, NULL), 0);
    assert_memory_equal(one.M, three.M, (size_t)(n * n) * sizeof *one.M);
    bg_factor_free(&one);
    bg_factor_free(&three);
    free(H);
}

static void singular_is_damped_more(void **state)
{
    (void)state;
    int64_t n = 40;
    double *H = malloc((size_t)(n * n) * sizeof *H);
    for (int64_t i = 0; i < n * n; i++)
        H[i] = 1;
    bg_factor f;
    assert_int_equal(bg_factor_init(&f, H, n, 0, 0, NULL), 0);
    assert_true(f.damp > 0);
    bg_factor_free(&f);
    H[3 * n + 3] = NAN;
    bg_err e = {0};
    assert_int_equal(bg_factor_init(&f, H, n, 0.01, 0, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "not finite"));
    free(H);
}

static void dead_columns_are_marked(void **state)
{
    (void)state;
    double H[9] = {2, 0, 1, 0, 0, 0, 1, 0, 2};
    bg_factor f;
    assert_int_equal(bg_factor_init(&f, H, 3, 0, 0, NULL), 0);
    assert_int_equal(f.dead[0], 0);
    assert_int_equal(f.dead[1], 1);
    assert_true(fabsf(f.M[4] - 1) < 1e-6F);
    bg_factor_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplies_back),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(singular_is_damped_more),
        cmocka_unit_test(dead_columns_are_marked),
    };
    return cmocka_run_group_tests_name("cholesky", tests, NULL, NULL);
}
