/* What theory says a code can reach, reached on a long Gaussian tensor with every stored bit counted. Each line prints
 * the 95 % interval of its gap; a bar holds when the measured value is on its side. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "quant/engine/quantize.h"
#include "quant/source/source.h"

enum { N = 1 << 21, COLS = 4096 };
static float *x, *out;
static double sigma2;

typedef struct result {
    double relative, gap, error; /* D/σ²; bits, and its standard error */
    bg_measure m;
} result;

static result run(const char *text, int64_t n)
{
    result r;
    bg_spec s;
    bg_err e = {0};
    bg_matrix m = bg_matrix_of(x, n / COLS, COLS);
    if (bg_spec_parse(text, &s, &e) || bg_reconstruct(&m, &s, x, out, &r.m, NULL, &e))
        fail_msg("%s: %s", text, e.text);
    double squares = 0, fourth = 0, both = 0, power = 0, power2 = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = pow((double)x[i] - (double)out[i], 2), p = (double)x[i] * (double)x[i];
        squares += d, fourth += d * d, both += d * p, power += p, power2 += p * p;
    }
    double a = squares / (double)n, b = power / (double)n;
    /* of log2(D/σ²)/2, error and variance being of the same weights */
    double variance = fourth / (double)n / (a * a) + power2 / (double)n / (b * b) - 2 * both / (double)n / (a * b);
    r.error = sqrt(variance / (double)n) / (2 * log(2));
    r.relative = a / b;
    r.gap = r.m.rate_bits + log2(r.relative) / 2;
    print_message("%-42s %.4f bits, D/σ² %.5f, gap %.4f ± %.4f\n", text, r.m.rate_bits, r.relative, r.gap,
                  1.96 * r.error);
    return r;
}

static void test_at_two_bits(void **state)
{
    (void)state;
    result r = run("lloyd:bits=2", N);
    assert_true(fabs(r.relative - 0.11748) < 0.0003);
    r = run("ecsq:rate=2", N);
    assert_true(r.relative <= 0.0891 && r.m.rate_bits < 2.004);
    r = run("e8p", N);
    assert_true(fabs(r.relative - 0.0912) < 0.0006);
    r = run("tcq:bits=2,states=256", N);
    assert_true(-10 * log10(r.relative) >= 10.98);
    r = run("bitshift:bits=2,L=16", 1 << 17);
    assert_true(r.relative <= 0.0690);
}

static void test_entropy_coded_trellises(void **state)
{
    (void)state;
    for (int rate = 1; rate <= 4; rate++) {
        char text[64];
        snprintf(text, sizeof text, "tcq:rate=%d,states=8,code=entropy", rate);
        result r = run(text, N);
        assert_true(r.gap <= 0.08 && r.gap > 0.05);
        snprintf(text, sizeof text, "tcq:rate=%d,states=256,code=entropy", rate);
        r = run(text, N);
        assert_true(r.gap <= 0.045 && r.gap > 0.02);
    }
}

/* Streams are as long as the entropy of what they hold, to half a percent with their tables. */
static void test_coders(void **state)
{
    (void)state;
    static const char *const specs[] = {"uniform:step=2sigma,code=entropy", "uniform:step=1sigma,code=entropy",
                                        "uniform:step=0.25sigma,code=entropy", "uniform:step=1sigma,code=adaptive",
                                        "uniform:step=0.25sigma,code=adaptive"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        result r = run(specs[i], N);
        assert_true(r.m.rate_bits >= r.m.index_entropy && r.m.rate_bits < 1.005 * r.m.index_entropy);
    }
}

static int make(void **state)
{
    (void)state;
    bg_source s;
    x = malloc(N * sizeof *x), out = malloc(N * sizeof *out);
    if (!x || !out || bg_source_parse("gaussian,n=2097152,seed=12", &s, NULL))
        return -1;
    bg_source_samples(&s, 0, N, x);
    for (int i = 0; i < N; i++)
        sigma2 += (double)x[i] * (double)x[i] / N;
    return fabs(sigma2 - 1) < 0.01 ? 0 : -1;
}

static int release(void **state)
{
    (void)state;
    free(x), free(out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_two_bits),
                                       cmocka_unit_test(test_entropy_coded_trellises), cmocka_unit_test(test_coders)};
    return cmocka_run_group_tests(tests, make, release);
}
