/* Laws against each other: F′ = p, M′ = x·p, S′ = x²·p, quantile∘F = identity, entropies of tests/reference; samples.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "quant/source/source.h"
#include "tests/reference.h"

static bg_distribution distribution_of(const char *text)
{
    bg_source s;
    bg_err e = {0};
    if (bg_source_parse(text, &s, &e))
        fail_msg("%s", e.text);
    return s.distribution;
}

static const char *const laws[] = {"gaussian",      "laplace",       "logistic",     "uniform",      "ggd,shape=0.7",
                                   "ggd,shape=1.5", "ggd,shape=0.4", "student,nu=5", "student,nu=3", "student,nu=30"};
enum { LAWS = sizeof laws / sizeof *laws };

static void close_to(const char *law, const char *what, double x, double got, double want, double room)
{
    if (!(fabs(got - want) <= room))
        fail_msg("%s %s at %g: %.15g, not %.15g", law, what, x, got, want);
}

static void test_derivatives(void **state)
{
    (void)state;
    for (int i = 0; i < LAWS; i++) {
        bg_distribution l = distribution_of(laws[i]);
        for (double x = -6.05; x < 6; x += 0.1) {
            if (fabs(fabs(x) - sqrt(3)) < 0.01 || fabs(x) < 0.01)
                continue; /* corners of the uniform law and cusps */
            double d = 1e-4, p = l.pdf(&l, x), room = 1e-6 * (p + 1e-3);
            close_to(laws[i], "F'", x, (l.cdf(&l, x + d) - l.cdf(&l, x - d)) / (2 * d), p, room);
            close_to(laws[i], "M'", x, (l.moment1(&l, x + d) - l.moment1(&l, x - d)) / (2 * d), x * p, 40 * room);
            close_to(laws[i], "S'", x, (l.moment2(&l, x + d) - l.moment2(&l, x - d)) / (2 * d), x * x * p, 40 * room);
        }
    }
}

static void test_totals(void **state)
{
    (void)state;
    for (int i = 0; i < LAWS; i++) {
        bg_distribution l = distribution_of(laws[i]);
        close_to(laws[i], "F", 0, l.cdf(&l, 0), 0.5, 1e-14);
        close_to(laws[i], "S", 0, l.moment2(&l, 0), 0.5, 1e-13);
        close_to(laws[i], "S", 1e7, l.moment2(&l, 1e7), 1, 1e-5); /* ν = 3 has lost 1e-7 there */
        close_to(laws[i], "F", -1e9, l.cdf(&l, -1e9), 0, 1e-15);
        close_to(laws[i], "M", 1e8, l.moment1(&l, 1e8), 0, 1e-13);
        for (double p = 0.001; p < 1; p += 0.037)
            close_to(laws[i], "F(quantile)", p, l.cdf(&l, l.quantile(&l, p)), p, 1e-11);
    }
    bg_distribution g = distribution_of("gaussian");
    close_to("gaussian", "S", -1, g.moment2(&g, -1), 0.40062597, 1e-7);
}

static void test_entropies(void **state)
{
    (void)state;
    cJSON *root = reference_open("constants");
    const char *const names[][2] = {{"diff_entropy_gaussian", "gaussian"},
                                    {"diff_entropy_laplace", "laplace"},
                                    {"diff_entropy_ggd_1.5", "ggd,shape=1.5"},
                                    {"diff_entropy_ggd_0.7", "ggd,shape=0.7"},
                                    {"diff_entropy_student_t_5", "student,nu=5"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bg_distribution l = distribution_of(names[i][1]);
        reference_check(reference_case(root, names[i][0]), "h_bits_unit_variance", l.entropy_bits(&l));
    }
    cJSON_Delete(root);
    bg_distribution one = distribution_of("ggd,shape=1"), laplace = distribution_of("laplace");
    close_to("ggd 1", "h", 0, one.entropy_bits(&one), laplace.entropy_bits(&laplace), 1e-12);
    close_to("ggd 1", "kurtosis", 0, one.kurtosis_excess(&one), 3, 1e-9);
    bg_distribution t = distribution_of("student,nu=5"), heavy = distribution_of("student,nu=3.5");
    assert_true(fabs(t.kurtosis_excess(&t) - 6) < 1e-12 && isnan(heavy.kurtosis_excess(&heavy)));
}

/* The first two moments of 400,000 samples, within five standard errors. */
static void test_samples(void **state)
{
    (void)state;
    enum { N = 400000 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    const char *const sampled[] = {"gaussian",    "laplace",       "logistic",
                                   "uniform",     "ggd,shape=0.7", "ggd,shape=1.5",
                                   "ggd,shape=3", "student,nu=9",  "outliers,share=0.01",
                                   "ar1,rho=0.9"};
    for (size_t i = 0; i < sizeof sampled / sizeof *sampled; i++) {
        char text[64];
        bg_source s;
        bg_err e = {0};
        snprintf(text, sizeof text, "%s,n=%d,seed=3", sampled[i], N);
        assert_int_equal(bg_source_parse(text, &s, &e), BG_OK);
        bg_source_samples(&s, 0, N, x);
        double sum = 0, square = 0, quarter = 0, q = s.distribution.quantile(&s.distribution, 0.25);
        for (int j = 0; j < N; j++)
            sum += (double)x[j], square += (double)x[j] * (double)x[j], quarter += (double)x[j] < q;
        double independent = s.distribution.memoryless ? 1 : sqrt(19); /* (1+ρ)/(1−ρ) */
        close_to(text, "mean", 0, sum / N, 0, 5 * independent / sqrt(N));
        close_to(text, "variance", 0, square / N, 1,
                 5 * independent * sqrt((s.distribution.kurtosis_excess(&s.distribution) + 2) / N));
        close_to(text, "quartile", 0, quarter / N, 0.25, 5 * independent * sqrt(0.1875 / N));
    }
    free(x);
}

/* The weight at an index depends on seed and index only, however the samples are asked for. */
static void test_pieces(void **state)
{
    (void)state;
    const char *const texts[] = {"gaussian,n=4096,cols=64", "ggd,n=4096,shape=0.7", "student,n=4096", "outliers,n=4096",
                                 "ar1,n=4096,cols=64"};
    for (int i = 0; i < 5; i++) {
        float whole[4096], piece[100];
        bg_source s;
        bg_err e = {0};
        assert_int_equal(bg_source_parse(texts[i], &s, &e), BG_OK);
        bg_source_samples(&s, 0, 4096, whole);
        for (int first = 0; first + 100 <= 4096; first += 333) {
            bg_source_samples(&s, first, 100, piece);
            assert_memory_equal(piece, whole + first, sizeof piece);
        }
        s.seed++;
        bg_source_samples(&s, 0, 100, piece);
        assert_memory_not_equal(piece, whole, sizeof piece);
    }
}

static void test_ar1_correlation(void **state)
{
    (void)state;
    enum { N = 1 << 18 };
    float *x = malloc(N * sizeof *x);
    assert_non_null(x);
    bg_source s;
    bg_err e = {0};
    assert_int_equal(bg_source_parse("ar1,rho=-0.6,n=262144,cols=512", &s, &e), BG_OK);
    bg_source_samples(&s, 0, N, x);
    double neighbours = 0, across = 0;
    for (int i = 1; i < N; i++)
        *(i % 512 ? &neighbours : &across) += (double)x[i] * (double)x[i - 1];
    close_to("ar1", "correlation", 0, neighbours / (N - N / 512), -0.6, 5 / sqrt(N));
    close_to("ar1", "across rows", 0, across / (N / 512 - 1), 0, 5 / sqrt(N / 512));
    free(x);
}

/* The squares of a matrix-normal source over its eigenvalues: rows of W, rotated or not, have the energies that theory
 * says; the sum of squared row products tells the spread of Σ_r, that of columns the spread of Σ_c. */
static void test_matrix_normal(void **state)
{
    (void)state;
    enum { R = 48, C = 1024 };
    static float x[R * C];
    bg_source s;
    bg_err e = {0};
    assert_int_equal(bg_source_parse("matrixnormal,rows=48,cols=1024,row_spread=1,seed=3", &s, &e), BG_OK);
    assert_int_equal(bg_source_matrix(&s, x, &e), BG_OK);
    double mu[R], trace = 0, squares = 0, want = 0;
    bg_source_spectrum(R, 1, mu);
    for (int i = 0; i < R; i++)
        want += mu[i] * mu[i] / R;
    for (int i = 0; i < R; i++)
        for (int k = 0; k < R; k++) {
            double sum = 0;
            for (int j = 0; j < C; j++)
                sum += (double)x[i * C + j] * (double)x[k * C + j] / C;
            trace += i == k ? sum / R : 0;
            squares += sum * sum / R;
        }
    close_to("matrixnormal", "mean square", 0, trace, 1, 0.03);
    close_to("matrixnormal", "tr Σ_r²", 0, squares - trace * trace * R / C, want, 0.08 * want);
    assert_int_equal(bg_source_parse("matrixnormal,rows=1024,cols=48,col_spread=1,sigma=2,seed=3", &s, &e), BG_OK);
    assert_int_equal(bg_source_matrix(&s, x, &e), BG_OK);
    squares = 0;
    for (int i = 0; i < R; i++)
        for (int k = 0; k < R; k++) {
            double sum = 0;
            for (int j = 0; j < C; j++)
                sum += (double)x[j * R + i] * (double)x[j * R + k] / C / 4;
            squares += sum * sum / R;
        }
    close_to("matrixnormal", "tr Σ_c²", 0, squares - (double)R / C, want, 0.08 * want);
    float piece[100];
    s.matrix = x;
    bg_source_samples(&s, 333, 100, piece);
    assert_memory_equal(piece, x + 333, sizeof piece);
}

static void refused(const char *text, const char *says)
{
    bg_source s;
    bg_err e = {0};
    assert_int_equal(bg_source_parse(text, &s, &e), BG_USAGE);
    if (!strstr(e.text, says))
        fail_msg("%s: '%s' does not say '%s'", text, e.text, says);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("gausian", "did you mean gaussian");
    refused("", "no distribution");
    refused("gaussian,m=3", "no key 'm'");
    refused("gaussian,shape=3", "no key 'shape'");
    refused("gaussian,n", "key=value");
    refused("gaussian,n=0", "n=0");
    refused("gaussian,n=1e6", "n=1e6");
    refused("gaussian,n=100,cols=64", "does not divide");
    refused("student,nu=2", "nu=2");
    refused("ggd,shape=nan", "shape=nan");
    refused("ar1,rho=1", "rho=1");
    refused("ar1,rho=0.5", "n=");
    refused("matrixnormal,rows=8", "rows=…,cols=…");
    refused("matrixnormal,rows=8,cols=8,n=64", "no key 'n'");
    refused("matrixnormal,rows=8,cols=8,row_spred=1", "did you mean row_spread");
    refused("matrixnormal,rows=8,cols=8,row_spread=-1", "row_spread=-1");
    refused("gaussian,rows=8", "no key 'rows'");
    refused("gaussian,sigma=-1", "sigma=-1");
    bg_source s;
    assert_int_equal(bg_source_parse("laplace,n=1048576,sigma=0.02,seed=7", &s, NULL), BG_OK);
    assert_true(s.n == 1048576 && s.cols == 4096 && s.seed == 7);
    assert_int_equal(bg_source_parse("laplace,n=12", &s, NULL), BG_OK);
    assert_int_equal((int)s.cols, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derivatives), cmocka_unit_test(test_totals),
        cmocka_unit_test(test_entropies),   cmocka_unit_test(test_samples),
        cmocka_unit_test(test_pieces),      cmocka_unit_test(test_ar1_correlation),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_matrix_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
