/* Coding by columns: lengths near the entropy where spreads or correlations are known, matrices with nothing in them,
 * and odd ones. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <omp.h>
#include "quant/source/source.h"
#include "quant/coding/column_coding.h"

enum { ROWS = 512, COLS = 384 };
static uint16_t symbols[ROWS * COLS];
static int step[COLS];

static double code(int64_t rows, int64_t cols, int zero, double *entropy)
{
    bg_columns c = {.rows = rows, .cols = cols, .symbols = symbols, .zero = zero, .step = step};
    double bits = 0;
    bg_err e = {0};
    if (bg_columns_code(&c, &bits, entropy, &e))
        fail_msg("%s", e.text);
    return bits;
}

/* Gaussian columns: an integer costs h − log2(step) bits as soon as its spread is more than one step. */
static void test_gaussian_columns(void **state)
{
    (void)state;
    bg_source s;
    float *x = malloc(ROWS * COLS * sizeof *x);
    double ideal = 0, entropy;
    assert_int_equal(bg_source_parse("gaussian,n=196608,seed=4", &s, NULL), BG_OK);
    bg_source_samples(&s, 0, ROWS * COLS, x);
    for (int j = 0; j < COLS; j++) {
        step[j] = j % 13 - 6;
        double spread = 4 * exp2(-step[j] / 4.0);
        for (int i = 0; i < ROWS; i++) { /* rows differ by their own factor */
            double own = spread * exp2(i % 5 / 4.0);
            symbols[i * COLS + j] = (uint16_t)(1000 + lrint(own * (double)x[i * COLS + j]));
            ideal += 2.047095585180641 + log2(own);
        }
    }
    double bits = code(ROWS, COLS, 1000, &entropy), n = ROWS * COLS;
    print_message("%.4f bits, entropy %.4f, ideal %.4f\n", bits / n, entropy, ideal / n);
    /* the steps take 0.007 of it; spreads of columns and rows are learned */
    assert_true(bits / n > ideal / n - 0.005 && bits / n < ideal / n + 0.04 && entropy < bits / n);
    free(x);
}

/* An autoregression: the rows tell it, and what is left to code is √(1 − 0.9²) as wide. Threads do not matter. */
static void test_correlated_columns(void **state)
{
    (void)state;
    bg_source s;
    float *x = malloc(ROWS * COLS * sizeof *x);
    double entropy, again, n = ROWS * COLS, ideal = 2.047095585180641 + 3;
    assert_int_equal(bg_source_parse("gaussian,n=196608,seed=5", &s, NULL), BG_OK);
    bg_source_samples(&s, 0, ROWS * COLS, x);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLS; j++) {
            if (j)
                x[i * COLS + j] = 0.9F * x[i * COLS + j - 1] + sqrtf(1 - 0.81F) * x[i * COLS + j];
            step[j] = 0;
            symbols[i * COLS + j] = (uint16_t)(1000 + lrintf(8 * x[i * COLS + j]));
        }
    omp_set_num_threads(3);
    double bits = code(ROWS, COLS, 1000, &entropy), learned = ideal + 0.5 * log2(1 - 0.81);
    omp_set_num_threads(1);
    assert_true(bits == code(ROWS, COLS, 1000, &again) && entropy == again);
    print_message("%.4f bits, %.4f if the correlation were known, %.4f without it\n", bits / n, learned, ideal);
    assert_true(bits / n > learned && bits / n < learned + 0.3);
    free(x);
}

static void test_odd_matrices(void **state)
{
    (void)state;
    double entropy;
    for (int i = 0; i < ROWS * COLS; i++)
        symbols[i] = 7;
    for (int j = 0; j < COLS; j++)
        step[j] = 0;
    double bits = code(ROWS, COLS, 7, &entropy);
    assert_true(entropy < 1e-9 && bits < 0.01 * ROWS * COLS);
    bits = code(1, 1, 7, &entropy);
    assert_true(bits > 0);
    for (int i = 0; i < ROWS; i++) /* columns without weights, of one value, and all others alike */
        for (int j = 0; j < COLS; j++)
            symbols[i * COLS + j] = (uint16_t)(1000 + (j % 3 == 0 ? 0 : j % 3 == 1 ? 5 : i * 37 % 101 - 50));
    bits = code(ROWS, COLS, 1000, &entropy);
    print_message("%.4f bits of a matrix of rank 2\n", bits / (ROWS * COLS));
    assert_true(bits < 0.75 * ROWS * COLS);
    assert_true(code(ROWS * COLS, 1, 1000, &entropy) > 0 && code(1, ROWS * COLS / 512, 1000, &entropy) > 0);
    symbols[0] = 65535, symbols[1] = 0; /* the whole range */
    step[0] = BG_COLUMNS_MAX_STEP, step[1] = -BG_COLUMNS_MAX_STEP;
    assert_true(code(2, 2, 32768, &entropy) > 0);
    bg_columns none = {.rows = 0, .cols = 2, .symbols = symbols, .step = step};
    assert_int_equal(bg_columns_code(&none, &bits, &entropy, NULL), BG_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gaussian_columns),
                                       cmocka_unit_test(test_correlated_columns), cmocka_unit_test(test_odd_matrices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
