/* Distances between curves, against SciPy's interpolants and by their own symmetries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "analysis/curves/bd_rate.h"
#include "tests/reference.h"

static bg_bd_curve curve_of(const cJSON *c, const char *which)
{
    bg_bd_curve out = {0};
    const cJSON *curve = cJSON_GetObjectItem(c, which), *v;
    cJSON_ArrayForEach(v, cJSON_GetObjectItem(curve, "rate")) out.rate[out.n++] = v->valuedouble;
    out.n = 0;
    cJSON_ArrayForEach(v, cJSON_GetObjectItem(curve, "quality_db")) out.quality_db[out.n++] = v->valuedouble;
    return out;
}

static void check_if_expected(const cJSON *c, const char *name, int status, double x)
{
    if (!reference_expect(c, name))
        return;
    assert_int_equal(status, 0);
    reference_check(c, name, x);
}

static void equals_the_reference(void **state)
{
    (void)state;
    static const char *const methods[] = {"poly3", "pchip", "akima"};
    cJSON *root = reference_open("bd_rate");
    const cJSON *c;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        bg_bd_curve a = curve_of(c, "anchor"), t = curve_of(c, "test");
        for (int how = 0; how < 3; how++) {
            char name[64];
            double x = 0;
            snprintf(name, sizeof name, "bd_rate_percent_%s", methods[how]);
            int status = bg_bd_rate_percent((bg_bd_method)how, &a, &t, &x, NULL);
            check_if_expected(c, name, status, x);
            snprintf(name, sizeof name, "bd_bits_%s", methods[how]);
            status = bg_bd_bits((bg_bd_method)how, &a, &t, &x, NULL);
            check_if_expected(c, name, status, x);
            for (int log_rate = 0; log_rate < 2; log_rate++) {
                snprintf(name, sizeof name, "bd_quality_db_%s_%srate", methods[how], log_rate ? "log" : "lin");
                status = bg_bd_quality_db((bg_bd_method)how, log_rate, &a, &t, &x, NULL);
                check_if_expected(c, name, status, x);
            }
        }
    }
    cJSON_Delete(root);
}

static void symmetric_and_strict(void **state)
{
    (void)state;
    bg_bd_curve a = {{2, 3, 4, 5}, {9, 15, 20, 26}, 4}, b = a, c = a;
    double there, back;
    for (int i = 0; i < 4; i++)
        b.rate[i] += 0.25;
    assert_int_equal(bg_bd_bits(BG_BD_PCHIP, &a, &b, &there, NULL), 0);
    assert_int_equal(bg_bd_bits(BG_BD_PCHIP, &b, &a, &back, NULL), 0);
    assert_true(fabs(there - 0.25) < 1e-12 && fabs(there + back) < 1e-12);
    bg_err e = {0};
    for (int i = 0; i < 4; i++)
        c.quality_db[i] += 100;
    assert_int_equal(bg_bd_bits(BG_BD_PCHIP, &a, &c, &there, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "overlap"));
    c = a;
    c.quality_db[2] = c.quality_db[1];
    assert_int_equal(bg_bd_bits(BG_BD_PCHIP, &a, &c, &there, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "rising"));
    assert_int_equal(bg_bd_bits(BG_BD_AKIMA, &a, &b, &there, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "too short"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_the_reference), cmocka_unit_test(symmetric_and_strict)};
    return cmocka_run_group_tests_name("bdrate", tests, NULL, NULL);
}
