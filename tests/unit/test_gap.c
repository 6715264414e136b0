/* The join of curves and bounds, on numbers small enough to do by hand. */
#define _DEFAULT_SOURCE /* mkstemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "analysis/curves/gap.h"

static cJSON *parse(const char *text)
{
    cJSON *root = NULL;
    bg_err e = {0};
    if (bg_json_parse(text, strlen(text), "test", &root, &e))
        fail_msg("%s", e.text);
    return root;
}

/* One tensor of σ² = 1 a layer, on a line D = 4^(1−R): every point lies exactly 1 bit above the Gaussian bound. */
static cJSON *line_of_layers(int layers)
{
    char *text = malloc(65536);
    size_t n = (size_t)sprintf(text, "{\"points\": [");
    for (int l = 0; l < layers; l++)
        for (int b = 2; b <= 5; b++)
            n += (size_t)sprintf(
                text + n,
                "%s{\"tensor\": \"t%d\", \"role\": \"g\", \"layer\": %d, \"spec\": \"u:bits=%d\", "
                "\"quantizer\": \"u\", \"weights\": 10, \"rate_bits\": %d, \"mse\": %.17g, \"sigma2\": 1, "
                "\"gap_bits\": 1}",
                l || b > 2 ? "," : "", l, l, b, b, pow(4, 1 - b));
    sprintf(text + n, "]}");
    cJSON *root = parse(text);
    free(text);
    return root;
}

static cJSON *document_of(cJSON *curves, cJSON *bounds)
{
    char path[] = "/tmp/bitgap-gap-XXXXXX";
    int fd = mkstemp(path);
    bg_gaps g;
    bg_doc d;
    bg_err e = {0};
    bg_provenance p = {0};
    cJSON *root = NULL;
    close(fd);
    if (bg_gaps_init(&g, curves, bounds, &e) || bg_doc_begin(&d, "gaps", path, &p, &e) ||
        bg_gaps_write(&g, &d, "u:bits=4", &e) || bg_doc_commit(&d, &e) || bg_doc_read(path, "gaps", &root, NULL, &e))
        fail_msg("%s", e.text);
    bg_gaps_free(&g);
    unlink(path);
    return root;
}

static void curves_cross_targets_where_they_must(void **state)
{
    (void)state;
    cJSON *curves = line_of_layers(1), *root = document_of(curves, NULL);
    const cJSON *row = bg_doc_rows(root, "targets")->child;
    /* D = 0.01 on D = 4^(1−R): R = 1 + ½·log2(100). */
    assert_true(bg_json_bool(row, "reached", 0));
    assert_true(fabs(bg_json_number(row, "rate_bits", 0) - (1 + 0.5 * log2(100))) < 1e-12);
    assert_true(fabs(bg_json_number(row, "gap_bits", 0) - 1) < 1e-12);
    /* 0.001 lies beyond the last point: not reached, and nothing is extrapolated. */
    assert_false(bg_json_bool(row->next, "reached", 1));
    assert_null(cJSON_GetObjectItem(row->next, "rate_bits"));
    cJSON_Delete(root);
    cJSON_Delete(curves);
}

static void own_bound_is_interpolated(void **state)
{
    (void)state;
    /* The weights save 0.1 bit at D = 2^-8 and 0.3 at 2^-4: 0.2 in the middle of the logarithms. */
    cJSON *curves = line_of_layers(1);
    cJSON *bounds = parse("{\"rows\": [{\"tensor\": \"t0\", \"distortion\": 0.0625, \"upper_bits\": 1.7},"
                          "{\"tensor\": \"t0\", \"distortion\": 0.00390625, \"upper_bits\": 3.9}]}");
    bg_gaps g;
    assert_int_equal(bg_gaps_init(&g, curves, bounds, NULL), 0);
    assert_true(fabs(bg_gap_empirical(&g, 0, 0x1p-6, 4) - 1.2) < 1e-12);
    assert_true(isnan(bg_gap_empirical(&g, 0, 0x1p-10, 6)));
    assert_true(isnan(bg_gap_shannon_lower(&g, 0, 0x1p-6, 4)));
    bg_gaps_free(&g);
    cJSON_Delete(bounds);
    cJSON_Delete(curves);
}

static void roles_average_over_spaced_and_all_layers(void **state)
{
    (void)state;
    cJSON *curves = line_of_layers(11), *root = document_of(curves, NULL);
    int spaced = 0, all = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, bg_doc_rows(root, "roles"))
    {
        int tensors = (int)bg_json_number(row, "tensors", 0);
        if (!strcmp(bg_json_string(row, "over", ""), "spaced"))
            spaced = tensors;
        else
            all = tensors;
        assert_true(fabs(bg_json_number(row, "gap_bits", 0) - 1) < 1e-12);
    }
    assert_int_equal(spaced, 6);
    assert_int_equal(all, 11);
    assert_int_equal(cJSON_GetArraySize(bg_doc_rows(root, "sensitivity")), 11);
    assert_int_equal(cJSON_GetArraySize(bg_doc_rows(root, "points")), 44);
    cJSON_Delete(root);
    cJSON_Delete(curves);
}

/* Two curves half a bit apart on two tensors; on the second one of them falls back: it is refused there, not mended. */
static void pairs_need_curves_that_rise(void **state)
{
    (void)state;
    char *text = malloc(65536);
    size_t n = (size_t)sprintf(text, "{\"points\": [");
    for (int t = 0; t < 2; t++)
        for (int q = 0; q < 2; q++)
            for (int b = 2; b <= 6; b++)
                n += (size_t)sprintf(
                    text + n,
                    "%s{\"tensor\": \"t%d\", \"role\": \"g\", \"layer\": %d, \"spec\": \"%c:bits=%d\", \"quantizer\": "
                    "\"%c\", "
                    "\"weights\": 10, \"rate_bits\": %g, \"mse\": %.17g, \"sigma2\": 1, \"gap_bits\": 1}",
                    t || q || b > 2 ? "," : "", t, t, "uv"[q], b, "uv"[q], b + 0.5 * q,
                    pow(4, t && q && b == 4 ? -1 : 1 - b));
    sprintf(text + n, "]}");
    cJSON *curves = parse(text), *root = document_of(curves, NULL);
    const cJSON *row = bg_doc_rows(root, "bdrate")->child;
    assert_int_equal(cJSON_GetArraySize(bg_doc_rows(root, "bdrate")), 2);
    assert_int_equal((int)bg_json_number(row, "tensors", 0), 1);
    assert_true(fabs(bg_json_number(row, "bd_bits", 0) - 0.5) < 1e-9 &&
                fabs(bg_json_number(row, "bd_bits_akima", 0) - 0.5) < 1e-9);
    assert_null(cJSON_GetObjectItem(row, "bd_bits_low")); /* one tensor has no interval */
    assert_true(fabs(bg_json_number(row->next, "bd_bits", 0) + 0.5) < 1e-9);
    cJSON_Delete(root);
    cJSON_Delete(curves);
    free(text);
}

/* Two curves at equal rates: gaps 1 + layer/10 and 1.5 + layer/10 in every layer, so that their difference is ½. */
static void intervals_are_of_specs_and_of_pairs(void **state)
{
    (void)state;
    char text[4096];
    size_t n = (size_t)sprintf(text, "{\"points\": [");
    for (int l = 0; l < 4; l++)
        for (int q = 0; q < 2; q++)
            n += (size_t)sprintf(text + n,
                                 "%s{\"tensor\": \"t%d\", \"role\": \"g\", \"layer\": %d, \"spec\": \"%c:bits=4\", "
                                 "\"quantizer\": \"%c\", \"weights\": 10, \"rate_bits\": 4, \"mse\": 0.01, "
                                 "\"sigma2\": 1, \"gap_bits\": %.17g}",
                                 l || q ? "," : "", l, l, "ab"[q], "ab"[q], 1 + 0.5 * q + 0.1 * l);
    sprintf(text + n, "]}");
    cJSON *curves = parse(text), *root = document_of(curves, NULL);
    const cJSON *spec = bg_doc_rows(root, "specs")->child, *pair = bg_doc_rows(root, "pairs")->child;
    assert_string_equal(bg_json_string(spec, "spec", ""), "a:bits=4");
    assert_int_equal((int)bg_json_number(spec, "tensors", 0), 4);
    assert_true(fabs(bg_json_number(spec, "gap_bits", 0) - 1.15) < 1e-12);
    /* Student with 3 degrees of freedom: s = 0.1·√(5/3), t = 3.182446. */
    double reach = 3.182446305284263 * 0.1 * sqrt(5.0 / 3) / 2;
    assert_true(fabs(bg_json_number(spec, "gap_low_bits", 9) - (1.15 - reach)) < 1e-9);
    assert_true(fabs(bg_json_number(spec, "gap_high_bits", 9) - (1.15 + reach)) < 1e-9);
    assert_string_equal(bg_json_string(pair, "rival", ""), "b:bits=4");
    assert_true(fabs(bg_json_number(pair, "gap_low_bits", 9) + 0.5) < 1e-12);
    assert_true(fabs(bg_json_number(pair, "gap_high_bits", 9) + 0.5) < 1e-12);
    assert_null(pair->next);
    cJSON_Delete(root);
    cJSON_Delete(curves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curves_cross_targets_where_they_must),
        cmocka_unit_test(own_bound_is_interpolated),
        cmocka_unit_test(intervals_are_of_specs_and_of_pairs),
        cmocka_unit_test(roles_average_over_spaced_and_all_layers),
        cmocka_unit_test(pairs_need_curves_that_rise),
    };
    return cmocka_run_group_tests_name("gap", tests, NULL, NULL);
}
