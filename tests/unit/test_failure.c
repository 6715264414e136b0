/* Of all iterations of a parallel loop that fail, the first in the order of the matrix is reported, although a later
 * one fails sooner. */
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "io/base/failure.h"
#include "quant/engine/quantize.h"
#include "quant/grid/codebook.h"

enum { ROWS = 16, COLS = 1 << 18, BROKEN = 3 };

/* Rows from BROKEN on cannot be read; the first of them takes longest to say so. */
static int read_rows(void *self, int64_t first, int64_t n, float *out, bg_err *e)
{
    (void)self;
    for (int64_t i = 0; i < n * COLS; i++)
        out[i] = (float)(i % 7);
    if (first + n <= BROKEN)
        return BG_OK;
    if (first <= BROKEN)
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return bg_fail(e, BG_INPUT, "row %d is broken", (int)first);
}

static const bg_matrix broken = {.rows = ROWS, .cols = COLS, .read = read_rows};

static int use_threads(void **state)
{
    (void)state;
    omp_set_num_threads(4);
    return 0;
}

static void training_vectors(void **state)
{
    (void)state;
    float *x;
    size_t n;
    bg_err e = {0};
    assert_int_equal(bg_vectors_read(&broken, 4, 1 << 16, &x, &n, &e), BG_INPUT);
    assert_string_equal(e.text, "row 3 is broken");
    assert_null(x);
}

static void sweeps(void **state)
{
    (void)state;
    static const char *const specs[] = {"uniform:bits=4,scope=64", "uniform:bits=4,scope=64,round=stochastic",
                                        "kmeans:bits=2"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        bg_spec s;
        bg_measure r;
        bg_err e = {0};
        assert_int_equal(bg_spec_parse(specs[i], &s, &e), BG_OK);
        assert_int_equal(bg_measure_specs(&broken, &s, 1, &r, &e), BG_INPUT);
        assert_non_null(strstr(e.text, "row 3 is broken"));
    }
}

/* An iteration after the first failure may be left out, one before it never. */
static void order(void **state)
{
    (void)state;
    bg_failure f = {0};
    bg_err late = {0}, early = {0}, told = {0};
    assert_false(bg_failure_before(&f, 100));
    bg_fail(&late, BG_INPUT, "late");
    bg_fail(&early, BG_USAGE, "early");
    bg_failure_note(&f, 7, &late);
    assert_true(bg_failure_before(&f, 8));
    assert_false(bg_failure_before(&f, 7));
    assert_false(bg_failure_before(&f, 3));
    bg_failure_note(&f, 3, &early);
    bg_failure_note(&f, 5, &late);
    assert_int_equal(bg_failure_status(&f, &told), BG_USAGE);
    assert_string_equal(told.text, "early");
    assert_int_equal(bg_failure_status(&f, NULL), BG_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(training_vectors), cmocka_unit_test(sweeps),
                                       cmocka_unit_test(order)};
    return cmocka_run_group_tests(tests, use_threads, NULL);
}
