/* Escaping and printed numbers of the report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/page/text.h"

typedef void escape(bg_text *, const char *);

static void check(escape *e, const char *in, const char *want)
{
    bg_text t = {0};
    e(&t, in);
    assert_string_equal(bg_text_string(&t), want);
    bg_text_free(&t);
}

static void test_escapes(void **state)
{
    (void)state;
    check(bg_text_html, "<a href=\"x\">&'", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    check(bg_text_html,
          "a\x02"
          "b\n",
          "a\xEF\xBF\xBD"
          "b\xEF\xBF\xBD");
    check(bg_text_markdown, "a|b_c*<i>", "a\\|b\\_c\\*\\<i\\>");
    check(bg_text_code, "a|b", "`a\\|b`");
    check(bg_text_code, "x``y", "``` x``y ```");
    check(bg_text_gnuplot, "it's `date` \"q\"", "'it''s `date` \"q\"'");
    check(bg_text_gnuplot, "a\nsystem 'x'", "'a\xEF\xBF\xBDsystem ''x'''");
    check(bg_text_column, "a\"b\\n", "\"a'b/n\"");
    check(bg_text_csv, "plain", "plain");
    check(bg_text_csv, "a,\"b\"", "\"a,\"\"b\"\"\"");
    check(bg_text_csv, "=SUM(A1)", "\"'=SUM(A1)\"");
    check(bg_text_slug, "MLP.down_proj (4)", "mlp-down-proj-4");
    check(bg_text_slug, "..//", "");
}

static void number(double v, bg_style s, const char *want)
{
    char buf[BG_NUMBER_TEXT];
    assert_string_equal(bg_number_text(buf, v, s), want);
}

static void test_numbers(void **state)
{
    (void)state;
    number(0.84, BG_SIG3, "0.840");
    number(0.99951, BG_SIG3, "1.00");
    number(0.99949, BG_SIG3, "0.999");
    number(12.345, BG_SIG3, "12.3");
    number(123456, BG_SIG3, "123456");
    number(1.234e-5, BG_SIG3, "1.23e-5");
    number(1.2e9, BG_SIG3, "1.20e9");
    number(0, BG_SIG3, "0");
    number(-0.5, BG_SIG3, "−0.500");
    number(0.5, BG_SIGNED, "+0.500");
    number(-0.001, BG_TWO, "0.00");
    number(3672320, BG_COUNT, "3,672,320");
    number(999, BG_COUNT, "999");
    number(4.25, BG_PLAIN, "4.25");
    number(0.0512, BG_PERCENT, "5.12");
    number(7344640, BG_MEGA, "7.34");
    number(NAN, BG_SIG3, "–");
    number(INFINITY, BG_COUNT, "–");
}

static void test_growth(void **state)
{
    (void)state;
    bg_text t = {0};
    assert_string_equal(bg_text_string(&t), "");
    for (int i = 0; i < 1000; i++)
        bg_text_format(&t, "%03d,", i);
    assert_int_equal(t.length, 4000);
    assert_string_equal(bg_text_string(&t) + 3996, "999,");
    bg_text_clear(&t);
    assert_string_equal(bg_text_string(&t), "");
    assert_false(t.failed);
    bg_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_escapes), cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_growth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
