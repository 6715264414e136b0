/* The error budget: parts add to the whole, and each part is there exactly when its cause is. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "analysis/curves/error_budget.h"
#include "quant/source/source.h"

enum { N = 1 << 16, COLS = 256 };
static float x[N];

static bg_budget budget(const char *text)
{
    bg_spec s;
    bg_err e = {0};
    bg_budget b;
    bg_matrix m = bg_matrix_of(x, N / COLS, COLS);
    if (bg_spec_parse(text, &s, &e) || bg_budget_of(&m, &s, &b, &e))
        fail_msg("%s: %s", text, e.text);
    double sum = b.granular + b.mismatch + b.clipping + b.scale_rounding + b.zero_point + b.rounding;
    print_message("%s: D %.3e = %.3e + mismatch %.1e + clip %.1e + scale %.1e + zero %.1e + rounding %.1e; R %.4f = "
                  "%.4f + %.4f + %.4f + %.4f\n",
                  text, b.mse, b.granular, b.mismatch, b.clipping, b.scale_rounding, b.zero_point, b.rounding,
                  b.rate_bits, b.entropy, b.slack, b.side, b.padding);
    assert_true(fabs(sum - b.mse) < 1e-9 * b.mse);
    assert_true(fabs(b.entropy + b.slack + b.side + b.padding - b.rate_bits) < 1e-12);
    assert_true(b.granular > 0 && b.mismatch > -0.2 * b.mse && b.clipping >= 0 && b.slack > -1e-9);
    return b;
}

static void test_each_cause(void **state)
{
    (void)state;
    bg_budget b = budget("uniform:bits=4,scope=128,scale=f32");
    assert_true(b.clipping == 0 && fabs(b.scale_rounding) < 1e-4 * b.mse && b.zero_point == 0 && b.rounding == 0);
    assert_true(b.mismatch > 0.1 * b.mse); /* a uniform grid on Gaussian weights */
    assert_true(fabs(b.side - 32.0 / 128) < 1e-12);
    bg_budget clipped = budget("uniform:bits=4,clip=2sigma");
    double beyond = 0, n = 0;
    for (int i = 0; i < N; i++)
        beyond += (double)x[i] * (double)x[i] / N;
    double edge = 2 * sqrt(beyond);
    beyond = 0;
    for (int i = 0; i < N; i++) {
        double over = (double)x[i] - edge; /* the grid has one more point below */
        if (over > 0.2 * edge)
            beyond += over * over, n++;
    }
    assert_true(n > 0 && clipped.clipping > beyond / N);
    b = budget("uniform:bits=4,scope=64,scale=e4m3,zero=asym");
    assert_true(b.scale_rounding > 1e-4 * b.mse);
    b = budget("kmeans:bits=3");
    assert_true(fabs(b.mismatch) < 0.01 * b.mse);
    b = budget("kmeans:bits=3,scope=channel"); /* levels of their own: nothing to mismatch */
    assert_true(b.mismatch == 0);
    b = budget("nf4:scope=64,double=true");
    assert_true(b.mismatch > 0 && b.scale_rounding > 0);
    b = budget("uniform:step=1sigma,code=entropy,round=rdo");
    assert_true(b.rounding > 0.02 * b.mse && b.slack < 0.01);
    b = budget("uniform:step=1sigma,code=huffman");
    assert_true(b.slack > 0.01);
    b = budget("vq:dim=3,bits=2"); /* 256 = 85·3 + 1: padding */
    assert_true(b.padding > 0 && b.granular == b.mse);
}

static void test_refusals(void **state)
{
    (void)state;
    bg_spec s;
    bg_err e = {0};
    bg_budget b;
    bg_matrix m = bg_matrix_of(x, N / COLS, COLS);
    assert_int_equal(bg_spec_parse("uniform:bits=4,transform=hadamard", &s, &e), BG_OK);
    assert_int_equal(bg_budget_of(&m, &s, &b, &e), BG_USAGE);
}

static int make(void **state)
{
    (void)state;
    bg_source s;
    if (bg_source_parse("gaussian,n=65536,seed=3,sigma=0.02", &s, NULL))
        return -1;
    bg_source_samples(&s, 0, N, x);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_cause), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make, NULL);
}
