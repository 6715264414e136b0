/* Specs on densities against tests/reference: groups, tensors of n weights, 3σ clipping, the best uniform grids. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "quant/engine/quantize.h"
#include "tests/reference.h"
#include "quant/source/source.h"

static bg_measure measure(const char *source, const char *text)
{
    bg_source src;
    bg_spec s;
    bg_measure r;
    bg_err e = {0};
    if (bg_source_parse(source, &src, &e) || bg_spec_parse(text, &s, &e))
        fail_msg("%s: %s", text, e.text);
    bg_matrix m = {.distribution = &src.distribution, .distribution_sigma = src.sigma};
    if (bg_measure_specs(&m, &s, 1, &r, &e))
        fail_msg("%s: %s", text, e.text);
    if (r.skipped)
        fail_msg("%s: %s", text, r.skipped);
    return r;
}

static double gap(const bg_measure *r)
{
    return r->rate_bits + 0.5 * log2(r->mse);
}

/* The spec of a scheme of absmax_groups.json; 0 when that scheme is sampled. */
static int spec_of(const cJSON *c, char *spec, size_t size)
{
    const char *scheme = bg_json_string(c, "scheme", "");
    int bits = (int)bg_json_number(c, "bits", 0), g = (int)bg_json_number(c, "group", 0);
    if (!strcmp(scheme, "int_sym"))
        snprintf(spec, size, "uniform:bits=%d,scope=%d", bits, g);
    else if (!strcmp(scheme, "notebook_absmax"))
        snprintf(spec, size, "uniform:bits=%d,scope=%d,step=range", bits, g);
    else if (!strcmp(scheme, "minmax"))
        snprintf(spec, size, "uniform:bits=%d,scope=%d,zero=min", bits, g);
    else if (!strcmp(scheme, "q4_0"))
        snprintf(spec, size, "uniform:bits=4,scope=%d,step=signed", g);
    else if (!strcmp(scheme, "nf4"))
        snprintf(spec, size, "nf4:scope=%d", g);
    else if (!strcmp(scheme, "fp4_bnb"))
        snprintf(spec, size, "fp4:scope=%d", g);
    else if (!strcmp(scheme, "e2m1"))
        snprintf(spec, size, "fp:kind=e2m1,scope=%d", g);
    else
        return 0;
    return 1;
}

static void groups(void **state)
{
    (void)state;
    cJSON *root = reference_open("absmax_groups");
    const cJSON *c;
    int done = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        char spec[96];
        if (!spec_of(c, spec, sizeof spec))
            continue;
        bg_measure r = measure("gaussian", spec);
        reference_check(c, "mse", r.mse);
        reference_check(c, "gap_bits_at_eff", gap(&r));
        done++;
    }
    assert_true(done >= 40);
    cJSON_Delete(root);
}

static void whole_tensors(void **state)
{
    (void)state;
    cJSON *root = reference_open("absmax_per_tensor");
    const cJSON *c;
    int done = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        const cJSON *expect;
        cJSON_ArrayForEach(expect, cJSON_GetObjectItemCaseSensitive(c, "expect"))
        {
            int bits, notebook = sscanf(expect->string, "mse_notebook_b%d", &bits) == 1;
            char spec[96];
            if (!notebook && sscanf(expect->string, "mse_int_sym_b%d", &bits) != 1)
                continue;
            snprintf(spec, sizeof spec, "uniform:bits=%d,step=%s,scope=%.0f", bits, notebook ? "range" : "int",
                     bg_json_number(c, "n", 0));
            bg_measure r = measure("gaussian,sigma=3", spec);
            reference_check(c, expect->string, r.mse / 9);
            done++;
        }
    }
    assert_true(done >= 40);
    cJSON_Delete(root);
}

static void best_uniform(void **state)
{
    (void)state;
    cJSON *root = reference_open("uniform_optimal");
    const cJSON *c;
    int done = 0;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        const char *grid = bg_json_string(c, "grid", "");
        int bits = (int)bg_json_number(c, "bits", 0);
        char spec[96];
        if (!strcmp(grid, "midrise"))
            snprintf(spec, sizeof spec, "uniform:bits=%d,offset=midrise,clip=mse", bits);
        else if (!strcmp(grid, "midtread_sym"))
            snprintf(spec, sizeof spec, "uniform:levels=%d,clip=mse", (1 << bits) - 1);
        else
            snprintf(spec, sizeof spec, "uniform:bits=%d,clip=mse", bits);
        bg_measure r = measure(bg_json_string(c, "source", ""), spec);
        reference_check(c, "mse", r.mse);
        reference_check(c, "entropy_bits", r.index_entropy);
        done++;
    }
    assert_true(done > 20);
    cJSON_Delete(root);
}

static void clipped_at_three_sigma(void **state)
{
    (void)state;
    cJSON *root = reference_open("clip3sigma");
    const cJSON *c;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        char spec[96];
        snprintf(spec, sizeof spec, "uniform:bits=%.0f,step=range,offset=midrise,clip=3sigma",
                 bg_json_number(c, "bits", 0));
        bg_measure r = measure("gaussian", spec);
        reference_check(c, "mse_midrise_2^b_levels_at_pm_clip", r.mse);
        snprintf(spec, sizeof spec, "uniform:levels=%d,clip=3sigma", (1 << (int)bg_json_number(c, "bits", 0)) - 1);
        r = measure("gaussian", spec);
        reference_check(c, "mse_int_sym_clip", r.mse);
    }
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups),
        cmocka_unit_test(whole_tensors),
        cmocka_unit_test(best_uniform),
        cmocka_unit_test(clipped_at_three_sigma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
