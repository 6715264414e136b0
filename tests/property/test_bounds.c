/* No code is below its bound: on i.i.d. weights every composition's rate, all bits counted, is at least the Gaussian
 * R(D) of the error it makes, within the confidence interval of a finite sample. And none is far above what its kind
 * promises. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "quant/engine/quantize.h"
#include "quant/source/source.h"

enum { N = 1 << 17 };
static float x[N], out[N];

/* Each with the gap it must not exceed (its own, and what tables and codebooks of so small a tensor add). */
static const struct {
    const char *spec;
    double most;
} specs[] = {
    {"uniform:bits=4", 1.8},
    {"uniform:bits=4,scope=128", 1.1},
    {"uniform:bits=4,scope=128,code=entropy", 0.45},
    {"uniform:bits=4,scope=128,code=huffman", 0.5},
    {"uniform:step=1sigma,code=adaptive", 0.34},
    {"uniform:step=1sigma,code=entropy,round=rdo", 0.27},
    {"lloyd:bits=2", 0.46},
    {"kmeans:bits=3", 0.58},
    {"nf4", 1.1},
    {"vq:dim=2,bits=2", 0.41},
    {"vq:dim=4,bits=1", 0.25},
    {"vq:dim=3,bits=2", 0.42},
    {"pq:dim=8,parts=4,bits=2", 0.42},
    {"rvq:dim=4,stages=2,bits=2", 0.5},
    {"ecsq:rate=0.5", 0.16},
    {"ecsq:rate=1", 0.245},
    {"ecsq:rate=2", 0.262},
    {"ecsq:rate=4", 0.275},
    {"ecsq:rate=2,form=uniform", 0.262},
    {"e8p", 0.285},
    {"lattice:kind=z,rate=2", 0.27},
    {"lattice:kind=a2,rate=3", 0.25},
    {"lattice:kind=d4,rate=2", 0.22},
    {"lattice:kind=e8,rate=2", 0.18},
    {"lattice:kind=leech,rate=2", 0.13},
    {"tcq:bits=1,states=8", 0.15},
    {"tcq:bits=2,states=256", 0.18},
    {"tcq:rate=1,states=8,code=entropy", 0.085},
    {"tcq:rate=2,states=64,code=entropy", 0.06},
    {"tcq:rate=3,states=256,code=entropy", 0.06},
    {"bitshift:L=10", 0.18},
    {"bitshift:L=8,bits=1,ends=biting,length=256", 0.16},
};

static void measure(const char *text, double sigma2, double *gap, double *error)
{
    bg_spec s;
    bg_err e = {0};
    bg_measure r;
    bg_matrix m = bg_matrix_of(x, N / 512, 512);
    if (bg_spec_parse(text, &s, &e) || bg_reconstruct(&m, &s, x, out, &r, NULL, &e))
        fail_msg("%s: %s", text, e.text);
    assert_null(r.skipped);
    double squares = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        double d = pow((double)x[i] - (double)out[i], 2);
        squares += d, fourth += d * d;
    }
    assert_true(fabs(squares / N - r.mse) <= 1e-6 * r.mse); /* the measure is of what was reconstructed */
    /* relative standard error of the mean squared error, and of the variance it is set against, in bits */
    double kurtosis = fourth / N / pow(squares / N, 2);
    *error = (sqrt((kurtosis - 1) / N) + sqrt(2.0 / N)) / (2 * log(2));
    *gap = r.rate_bits + log2(r.mse / sigma2) / 2;
}

static void test_gaussian(void **state)
{
    (void)state;
    bg_source source;
    assert_int_equal(bg_source_parse("gaussian,n=131072,seed=8", &source, NULL), 0);
    bg_source_samples(&source, 0, N, x);
    double sigma2 = 0;
    for (int i = 0; i < N; i++)
        sigma2 += (double)x[i] * (double)x[i] / N;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        double gap, error;
        measure(specs[i].spec, sigma2, &gap, &error);
        print_message("%-45s gap %.4f ± %.4f\n", specs[i].spec, gap, 1.96 * error);
        assert_true(gap > -4 * error);
        assert_true(gap < specs[i].most + 4 * error);
    }
}

/* A Laplacian's R(D) lies below the Gaussian's by at most 0.1044 bit (Shannon's lower bound): codes may be below the
 * Gaussian line, never below that. */
static void test_laplace(void **state)
{
    (void)state;
    static const char *const few[] = {
        "ecsq:rate=1",     "ecsq:rate=3", "tcq:rate=2,states=64,code=entropy", "lattice:kind=e8,rate=3",
        "vq:dim=2,bits=2", "bitshift:L=8"};
    bg_source source;
    assert_int_equal(bg_source_parse("laplace,n=131072,seed=8", &source, NULL), 0);
    bg_source_samples(&source, 0, N, x);
    double sigma2 = 0;
    for (int i = 0; i < N; i++)
        sigma2 += (double)x[i] * (double)x[i] / N;
    for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
        double gap, error;
        measure(few[i], sigma2, &gap, &error);
        print_message("%-45s gap %.4f ± %.4f\n", few[i], gap, 1.96 * error);
        assert_true(gap + 0.1044 > -6 * error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gaussian), cmocka_unit_test(test_laplace)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
