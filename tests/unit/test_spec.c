/* The grammar of specs: points, sweeps, presets, aliases, canonical text, errors; and the rates of reference schemes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "quant/engine/quantize.h"

static void canonical(const char *text, const char *expected)
{
    bg_spec s;
    bg_err e = {0};
    if (bg_spec_parse(text, &s, &e))
        fail_msg("%s: %s", text, e.text);
    assert_string_equal(s.text, expected);
}

static void points_have_one_text(void **state)
{
    (void)state;
    canonical("uniform", "uniform:bits=4");
    canonical("uniform:scope=128,bits=4", "uniform:bits=4,scope=128");
    canonical("uniform:bits=3,zero=sym,clip=max,scope=tensor", "uniform:bits=3");
    canonical("uniform:clip=3sigma", "uniform:bits=4,clip=3sigma");
    canonical("uniform:levels=15", "uniform:levels=15");
    canonical("uniform:step=0.5sigma,code=entropy", "uniform:step=0.5sigma,code=entropy");
    canonical("uniform:step=0.5sigma,code=entropy,bits=4", "uniform:bits=4,step=0.5sigma,code=entropy");
    canonical("nf4:scope=64", "nf4");
    canonical("nf4:double=true", "nf4:double=true");
    canonical("rtn:bits=3", "rtn:bits=3");
    canonical("int8", "int8");
    canonical("int8:bits=8", "int8");
}

static void presets_are_their_expansion(void **state)
{
    (void)state;
    for (const bg_preset *p = bg_presets; p->name; p++) {
        bg_spec a, b;
        bg_err e = {0};
        if (bg_spec_parse(p->name, &a, &e) || bg_spec_parse(p->expansion, &b, &e))
            fail_msg("%s: %s", p->name, e.text);
        assert_ptr_equal(a.grid, b.grid);
        assert_int_equal(a.n_values, b.n_values);
        assert_int_equal(a.scope.size, b.scope.size);
        for (int i = 0; i < a.n_values; i++)
            assert_string_equal(a.values[i].text, b.values[i].text);
        assert_non_null(p->help);
    }
}

static void sweeps_expand_in_order(void **state)
{
    (void)state;
    bg_spec *s = NULL;
    int n = 0;
    bg_err e = {0};
    assert_int_equal(bg_specs_parse("uniform:bits=2..4,scope=32/tensor", &s, &n, &e), 0);
    assert_int_equal(n, 6);
    assert_string_equal(s[0].text, "uniform:bits=2,scope=32");
    assert_string_equal(s[1].text, "uniform:bits=2");
    assert_string_equal(s[5].text, "uniform:bits=4");
    assert_int_equal(bg_specs_parse("uniform:bits=4", &s, &n, &e), 0);
    assert_int_equal(n, 6); /* it was there already */
    free(s);
}

static void aliases_parse(void **state)
{
    (void)state;
    for (const bg_alias *a = bg_aliases; a->name; a++) {
        bg_spec *s = NULL;
        int n = 0;
        bg_err e = {0};
        if (bg_specs_parse(a->name, &s, &n, &e))
            fail_msg("%s: %s", a->name, e.text);
        assert_true(n > 1);
        for (int i = 0; i < n; i++) {
            bg_spec again;
            assert_int_equal(bg_spec_parse(s[i].text, &again, &e), 0);
            assert_string_equal(again.text, s[i].text);
        }
        free(s);
    }
}

static void wrong(const char *text, const char *part)
{
    bg_spec *s = NULL;
    int n = 0;
    bg_err e = {0};
    assert_int_equal(bg_specs_parse(text, &s, &n, &e), BG_USAGE);
    if (!strstr(e.text, part))
        fail_msg("%s: '%s' lacks '%s'", text, e.text, part);
    free(s);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    wrong("unifrom", "did you mean uniform?");
    wrong("uniform:bit=4", "did you mean bits?");
    wrong("uniform:bits=17", "from 1 to 16");
    wrong("uniform:bits=four", "bits=four");
    wrong("uniform:bits=2.5", "bits must be an integer from 1 to 16, got 2.5");
    wrong("uniform:bits", "not key=value");
    wrong("uniform:bits=4,", "comma");
    wrong("uniform:", "colon");
    wrong("", "no spec");
    wrong("uniform:bits=8..2", "range");
    wrong("uniform:bits=2//3", "list");
    wrong("uniform:scope=0", "scope");
    wrong("uniform:scope=-3", "scope");
    wrong("uniform:round=nearset", "did you mean nearest?");
    wrong("nf4:zero=asym", "takes no 'zero'");
    wrong("uniform:zero=asym,offset=midrise", "zero=sym");
    wrong("uniform:bits=nan", "bits=nan");
    char monster[4096];
    memset(monster, 'a', sizeof monster - 1);
    monster[sizeof monster - 1] = 0;
    wrong(monster, "no spec");
}

static void curves_drop_their_bits(void **state)
{
    (void)state;
    bg_spec s;
    bg_err e = {0};
    char buf[BG_SPEC_TEXT];
    assert_int_equal(bg_spec_parse("uniform:bits=3,scope=64", &s, &e), 0);
    assert_string_equal(bg_spec_quantizer(&s, buf), "uniform:scope=64");
    assert_int_equal(bg_spec_parse("nf4", &s, &e), 0);
    assert_string_equal(bg_spec_quantizer(&s, buf), "nf4");
}

/* tests/reference/effective_bits.json, on a tensor of 1024 × 4096 = 2^22 weights. */
static void rates_are_those_of_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        double bits;
    } cases[] = {
        {"uniform:bits=4,scope=32", 4.5},
        {"uniform:bits=4,scope=64", 4.25},
        {"uniform:bits=4,scope=128", 4.125},
        {"uniform:bits=4,scope=128,zero=asym", 4.15625},
        {"uniform:bits=3,scope=128,zero=min", 3.25},
        {"nf4", 4.5},
        {"nf4:double=true", 4 + 8.0 / 64 + 32.0 / (64 * 256) + 32.0 / (1 << 22)},
        {"nvfp4", 4.5 + 32.0 / (1 << 22)},
        {"mxfp4", 4.25},
        {"uniform:levels=15,scope=128", 4.125},
        {"uniform:bits=4", 4 + 16.0 / (1 << 22)},
        {"fp8", 8 + 32.0 / 4096},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bg_spec s;
        bg_err e = {0};
        if (bg_spec_parse(cases[i].spec, &s, &e))
            fail_msg("%s: %s", cases[i].spec, e.text);
        bg_rate r = bg_spec_rate(&s, 1024, 4096);
        assert_true(fabs(bg_rate_total(&r) / (1 << 22) - cases[i].bits) < 1e-12);
    }
}

static void short_groups_are_counted(void **state)
{
    (void)state;
    bg_spec s;
    bg_err e = {0};
    assert_int_equal(bg_spec_parse("uniform:bits=4,scope=32", &s, &e), 0);
    assert_int_equal(bg_scope_count(&s, 3, 70), 9); /* 32 + 32 + 6 in each row */
    assert_int_equal(bg_spec_parse("nf4", &s, &e), 0);
    assert_int_equal(bg_scope_count(&s, 3, 70), 4); /* blocks run across row ends */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_have_one_text),
        cmocka_unit_test(presets_are_their_expansion),
        cmocka_unit_test(sweeps_expand_in_order),
        cmocka_unit_test(aliases_parse),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(curves_drop_their_bits),
        cmocka_unit_test(rates_are_those_of_the_reference),
        cmocka_unit_test(short_groups_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
