/* The atlas at places whose answers are known, and what it foretells between them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "analysis/curves/atlas.h"

static const bg_atlas_point *at(const bg_atlas *a, const char *source, const char *spec)
{
    for (int i = 0; i < a->n; i++)
        if (!strcmp(a->points[i].source, source) && !strcmp(a->points[i].spec->text, spec))
            return &a->points[i];
    fail_msg("no point of %s on %s", spec, source);
    return NULL;
}

static void near(const bg_atlas *a, const char *source, const char *spec, double gap, double within)
{
    const bg_atlas_point *p = at(a, source, spec);
    if (!(fabs(p->gap_bits - gap) <= within))
        fail_msg("%s on %s: gap %.5f, not %.5f", spec, source, p->gap_bits, gap);
}

/* Gaps of theory: NF4 in blocks of 64 and Lloyd–Max, Panter and Dite's tables; the step of 128 of the block axis. */
static void test_known_places(void **state)
{
    (void)state;
    bg_spec *specs = NULL;
    bg_atlas a;
    bg_err e = {0};
    int n = 0;
    const char *const texts[] = {"nf4", "lloyd:bits=4", "tcq:bits=4,states=8", "uniform:bits=4,scope=128"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(bg_specs_parse(texts[i], &specs, &n, &e), BG_OK);
    if (bg_atlas_make(&a, specs, n, 1, &e))
        fail_msg("%s", e.text);
    near(&a, "ggd,shape=2", "nf4", 1.057, 5e-4);
    near(&a, "ggd,shape=2", "lloyd:bits=4", 0.6411, 1e-4);
    near(&a, "ggd,shape=1", "lloyd:bits=4", 0.988, 5e-4);
    near(&a, "student,nu=5", "lloyd:bits=4", 1.1735, 5e-4);
    near(&a, "gaussian", "uniform:bits=4,scope=128", 1.033, 5e-4);
    const bg_atlas_point *laplace = at(&a, "ggd,shape=1", "lloyd:bits=4"),
                         *sampled = at(&a, "ggd,shape=2", "tcq:bits=4,states=8");
    assert_true(laplace->exact && isnan(laplace->error_bits));
    assert_true(fabs(laplace->own_gap_bits - laplace->gap_bits - 0.1044) < 1e-4);
    assert_true(!sampled->exact && sampled->error_bits > 0 && sampled->error_bits < 0.02);
    /* a source with memory: the entropy rate, −½·log2(1 − ρ²) */
    const bg_atlas_point *ar1 = at(&a, "ar1,rho=0.8", "lloyd:bits=4");
    assert_true(!ar1->exact && fabs(ar1->own_gap_bits - ar1->gap_bits + 0.5 * log2(1 - 0.64)) < 1e-9);
    /* at a point, between two, beyond the last, of a stranger */
    double one = bg_atlas_predict(&a, "lloyd:bits=4", 1), between = bg_atlas_predict(&a, "lloyd:bits=4", 1.2),
           next = bg_atlas_predict(&a, "lloyd:bits=4", 1.4);
    assert_true(fabs(one - laplace->relative) < 1e-12 && one > between && between > next);
    assert_true(fabs(0.5 * log2(between / 0.0128)) < 0.05); /* 0.0154 at β = 1, 0.0115 at 1.5 */
    assert_true(isnan(bg_atlas_predict(&a, "lloyd:bits=4", 5)) && isnan(bg_atlas_predict(&a, "fp4", 1)));
    bg_atlas_free(&a);
    free(specs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_places)};
    return cmocka_run_group_tests_name("atlas", tests, NULL, NULL);
}
