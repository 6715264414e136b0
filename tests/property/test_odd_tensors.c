/* Tensors with nothing to code, or with what cannot be coded: every code handles or refuses them, and none returns a
 * number that is wrong. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "quant/engine/quantize.h"
#include "quant/probability/random.h"

enum { ROWS = 16, COLS = 256, N = ROWS * COLS };
static float x[N], out[N];

static const char *const codes[] = {"uniform:bits=4,code=entropy",
                                    "uniform:bits=4,code=adaptive",
                                    "uniform:bits=4,code=huffman",
                                    "uniform:step=1sigma,code=entropy",
                                    "uniform:step=1sigma,code=entropy,round=rdo",
                                    "uniform:bits=4,scope=64,code=entropy,round=rdo",
                                    "lloyd:bits=3,code=entropy",
                                    "ecsq:rate=2",
                                    "ecsq:rate=0.5",
                                    "ecsq:rate=3,form=uniform",
                                    "tcq:bits=2,states=8",
                                    "tcq:bits=1,states=256",
                                    "tcq:rate=2,states=8,code=entropy",
                                    "tcq:rate=4,states=64,code=entropy",
                                    "bitshift:bits=2,L=8",
                                    "bitshift:bits=1,L=10,ends=biting,length=256",
                                    "bitshift:table=hybrid,L=16,length=256",
                                    "e8p",
                                    "lattice:kind=z,rate=2",
                                    "lattice:kind=e8,rate=2",
                                    "lattice:kind=leech,rate=2"};
enum { CODES = sizeof codes / sizeof *codes };

static int code(const char *text, int64_t rows, int64_t cols, bg_measure *r, bg_err *e)
{
    bg_spec s;
    bg_matrix m = bg_matrix_of(x, rows, cols);
    *e = (bg_err){0};
    *r = (bg_measure){0};
    if (bg_spec_parse(text, &s, e))
        fail_msg("%s", e->text);
    return bg_reconstruct(&m, &s, x, out, r, NULL, e);
}

/* Handled means: the error is that of what was reconstructed, and the rate is finite and more than nothing. */
static void check(const char *text, const char *what, int64_t rows, int64_t cols, double most)
{
    bg_measure r;
    bg_err e;
    int status = code(text, rows, cols, &r, &e);
    if (status || r.skipped) {
        if (status && (status != BG_INPUT && status != BG_USAGE))
            fail_msg("%s on %s: status %d, %s", text, what, status, e.text);
        if (status && !*e.text)
            fail_msg("%s on %s: refused without a word", text, what);
        return;
    }
    double squares = 0;
    for (int64_t i = 0; i < rows * cols; i++)
        squares += pow((double)x[i] - (double)out[i], 2);
    double mse = squares / (double)(rows * cols);
    if (!(isfinite(r.mse) && fabs(mse - r.mse) <= 1e-6 * mse + 1e-30 && isfinite(r.rate_bits) && r.rate_bits > 0))
        fail_msg("%s on %s: mse %g, of the reconstruction %g, rate %g", text, what, r.mse, mse, r.rate_bits);
    if (!(mse <= most))
        fail_msg("%s on %s: mse %g, at most %g", text, what, mse, most);
}

static void test_few_values(void **state)
{
    (void)state;
    for (int c = 0; c < CODES; c++) {
        for (int i = 0; i < N; i++)
            x[i] = 0;
        check(codes[c], "zeros", ROWS, COLS, 0);
        for (int i = 0; i < N; i++)
            x[i] = 0.375f;
        check(codes[c], "one value", ROWS, COLS,
              strstr(codes[c], "step=1sigma") ? 0.375 * 0.375 : 0.375 * 0.375 / 64); /* no step of 0 */
        for (int i = 0; i < N; i++)
            x[i] = bg_bits_at(3, (uint64_t)i) & 1 ? 0.5f : -0.25f;
        check(codes[c], "two values", ROWS, COLS, 0.1407); /* their variance: 0.140625 */
        for (int i = 0; i < N; i++)
            x[i] = i == N / 2 ? 1e4f : (float)(i % 7 - 3);
        check(codes[c], "an outlier", ROWS, COLS, 1e8 / N);
        for (int i = 0; i < N; i++)
            x[i] = ldexpf((float)(i % 5 - 2), -140); /* subnormal */
        check(codes[c], "subnormal numbers", ROWS, COLS, 1);
        for (int i = 0; i < N; i++)
            x[i] = (float)(i % 9 - 4) * 1e37f;
        check(codes[c], "enormous numbers", ROWS, COLS, 1e76);
        for (int i = 0; i < N; i++)
            x[i] = (float)bg_uniform_at(5, (uint64_t)i) - 0.5f;
        check(codes[c], "one weight", 1, 1, 0.25);
        check(codes[c], "five weights", 1, 5, 0.25);
        check(codes[c], "a column", 37, 1, 0.25);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    bg_measure r;
    bg_err e;
    for (int c = 0; c < CODES; c++)
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
            for (int i = 0; i < N; i++)
                x[i] = (float)bg_uniform_at(6, (uint64_t)i) - 0.5f;
            x[N / 3] = bad[b];
            if (!code(codes[c], ROWS, COLS, &r, &e) && !r.skipped && isfinite(r.mse))
                fail_msg("%s codes %g with an error of %g", codes[c], (double)bad[b], r.mse);
        }
}

static void test_empty(void **state)
{
    (void)state;
    bg_measure r;
    bg_err e;
    for (int c = 0; c < CODES; c++) {
        int status = code(codes[c], 0, COLS, &r, &e);
        if (!status && !r.skipped && r.count > 0)
            fail_msg("%s codes %g weights of none", codes[c], r.count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_few_values), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
