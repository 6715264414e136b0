/* round=rdo: nearest rounding where lengths are equal, a better trade where they are not, for any number of threads. */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "quant/engine/quantize.h"
#include "quant/source/source.h"

enum { N = 1 << 18 };
static float x[N], out[N];

static bg_measure measure(const char *text)
{
    bg_spec s;
    bg_err e = {0};
    bg_measure r;
    bg_matrix m = bg_matrix_of(x, N / 1024, 1024);
    if (bg_spec_parse(text, &s, &e) || bg_reconstruct(&m, &s, x, out, &r, NULL, &e))
        fail_msg("%s: %s", text, e.text);
    return r;
}

static double gap(const bg_measure *r)
{
    return r->rate_bits + log2(r->mse) / 2;
}

static void test_better_trade(void **state)
{
    (void)state;
    static const char *const steps[] = {"2.42", "1.0824", "0.5"};
    for (int i = 0; i < 3; i++) {
        char a[96], b[128];
        snprintf(a, sizeof a, "uniform:step=%ssigma,code=entropy", steps[i]);
        snprintf(b, sizeof b, "%s,round=rdo", a);
        bg_measure nearest = measure(a), rdo = measure(b);
        print_message("step %s: gap %.4f nearest, %.4f optimised\n", steps[i], gap(&nearest), gap(&rdo));
        assert_true(gap(&rdo) < gap(&nearest) - 0.005);
        assert_true(rdo.mse > nearest.mse && rdo.rate_bits < nearest.rate_bits);
    }
    bg_measure r = measure("uniform:step=0.5sigma,code=entropy,round=rdo,slope=0"),
               n = measure("uniform:step=0.5sigma,code=entropy");
    assert_true(r.mse == n.mse && r.rate_bits == n.rate_bits);
}

static void test_equal_lengths(void **state)
{
    (void)state;
    static const char *const specs[] = {"uniform:bits=3,scope=128", "nf4", "lloyd:bits=3"};
    for (int i = 0; i < 3; i++) {
        char text[96];
        bg_measure a = measure(specs[i]);
        snprintf(text, sizeof text, "%s%sround=rdo", specs[i], strchr(specs[i], ':') ? "," : ":");
        bg_measure b = measure(text);
        assert_true(a.mse == b.mse && a.rate_bits == b.rate_bits);
    }
}

static void test_threads_change_nothing(void **state)
{
    (void)state;
    int before = omp_get_max_threads();
    const char *spec = "uniform:bits=4,scope=128,code=entropy,round=rdo";
    omp_set_num_threads(1);
    bg_measure a = measure(spec);
    omp_set_num_threads(3);
    bg_measure b = measure(spec);
    omp_set_num_threads(before);
    assert_true(a.mse == b.mse && a.rate_bits == b.rate_bits && a.max_error == b.max_error);
}

static int make(void **state)
{
    (void)state;
    bg_source s;
    if (bg_source_parse("gaussian,n=262144,seed=3", &s, NULL))
        return -1;
    bg_source_samples(&s, 0, N, x);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_better_trade), cmocka_unit_test(test_equal_lengths),
                                       cmocka_unit_test(test_threads_change_nothing)};
    return cmocka_run_group_tests(tests, make, NULL);
}
