/* The lossless floor on codes whose entropies are known to the digit, and coders that reach them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "analysis/curves/lossless.h"

enum { ROWS = 3000, COLS = 1024 };
static uint16_t codes[ROWS * COLS];

static int read_codes(void *self, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    (void)self, (void)e;
    memcpy(out, codes + first * COLS, (size_t)(n * COLS) * sizeof *out);
    return BG_OK;
}

static bg_lossless floor_of(bg_dtype type)
{
    bg_matrix m = {.rows = ROWS, .cols = COLS, .codes16 = read_codes, .code_dtype = type};
    bg_lossless l;
    bg_err e = {0};
    if (bg_lossless_of(&m, &l, &e))
        fail_msg("%s", e.text);
    return l;
}

static int near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

/* A row runs through 1024 numbers: 8 places of the exponent (shares ½, ¼, ⅛, ⅛ of four values in turn), 64 mantissas of
 * 7 bits, both signs. */
static void test_known_bits(void **state)
{
    (void)state;
    static const unsigned exponent[8] = {120, 121, 120, 122, 120, 121, 120, 123};
    for (unsigned i = 0; i < ROWS * COLS; i++)
        codes[i] = (uint16_t)((i >> 9 & 1) << 15 | exponent[i & 7] << 7 | (i >> 3 & 63));
    bg_lossless l = floor_of(BG_BF16);
    assert_true(l.exponent_bits == 8 && l.mantissa_bits == 7);
    assert_true(near(l.sign, 1) && near(l.exponent, 1.75) && near(l.mantissa, 6) && near(l.mantissa_given_exponent, 6));
    assert_true(near(l.code, 1 + 1.75 + 6));
    /* After 121, 122 and 123 comes 120; after 120 one of three with ½, ¼, ¼: 1.5 bits half of the time. A row's first
     * has a context of its own and leaves one out of the last place's. */
    double first = 1.0 / COLS;
    assert_true(fabs(l.exponent_given_left - 0.75) < 8 * first);
    /* The coders: exact streams but for states, lengths and tables. */
    print_message("fields %.4f, codes %.4f bits\n", l.fields_bits, l.codes_bits);
    assert_true(l.fields_bits > 8 + 1.75 && l.fields_bits < (8 + 1.75) * 1.001);
    assert_true(l.codes_bits > 8.75 && l.codes_bits < 8.75 * 1.005);
}

static void test_one_value_and_not_finite(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS * COLS; i++)
        codes[i] = 0x7fc0; /* NaN is a code like others */
    bg_lossless l = floor_of(BG_F16);
    assert_true(l.exponent_bits == 5 && l.mantissa_bits == 10);
    assert_true(near(l.code, 0) && near(l.exponent, 0) && near(l.exponent_given_left, 0) &&
                near(l.mantissa_given_exponent, 0));
    assert_true(l.codes_bits < 0.05 && l.fields_bits < 11.01);
    bg_matrix none = {.rows = 0, .cols = COLS, .codes16 = read_codes, .code_dtype = BG_F16},
              wide = {.rows = 1, .cols = 1};
    assert_int_equal(bg_lossless_of(&none, &l, NULL), BG_USAGE);
    assert_int_equal(bg_lossless_of(&wide, &l, NULL), BG_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_bits),
                                       cmocka_unit_test(test_one_value_and_not_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
