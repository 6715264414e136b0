/* The computed sentences of the report, each both ways it may come out: the documents of tests/cli/report with numbers
 * changed. */
#define _GNU_SOURCE
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
#include "reports/pages/report.h"

static const char *const kinds[] = {"groups", "bounds", "curves", "gaps"};
static char directory[64];
static cJSON *documents[4];

static int setup(void **state)
{
    (void)state;
    bg_err e = {0};
    snprintf(directory, sizeof directory, "/tmp/bitgap-sentences-XXXXXX");
    assert_non_null(mkdtemp(directory));
    for (int i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, "tests/cli/report/%s.json", kinds[i]);
        assert_int_equal(bg_json_read(path, 1 << 24, &documents[i], &e), BG_OK);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    for (int i = 0; i < 4; i++)
        cJSON_Delete(documents[i]);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static cJSON *rows(int document, const char *section)
{
    return cJSON_GetObjectItem(documents[document], section);
}

static void set(cJSON *row, const char *field, double v)
{
    assert_non_null(cJSON_GetObjectItem(row, field));
    cJSON_SetNumberValue(cJSON_GetObjectItem(row, field), v);
}

static double get(const cJSON *row, const char *field)
{
    return cJSON_GetObjectItem(row, field)->valuedouble;
}

/* The Markdown of one section made from the documents as they are now; the caller frees. */
static char *section(const char *id)
{
    char paths[4][128];
    const char *list[4];
    bg_err e = {0};
    for (int i = 0; i < 4; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s.json", directory, kinds[i]);
        FILE *f = fopen(paths[i], "w");
        char *text = cJSON_PrintUnformatted(documents[i]);
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        free(text);
        list[i] = paths[i];
    }
    /* gnuplot is not what is tested: a path without it leaves the words. */
    char *path = strdup(getenv("PATH"));
    setenv("PATH", directory, 1);
    bg_set_quiet(1);
    bg_report r;
    bg_text stream = {0}, out = {0};
    bg_report_options o = {.directory = directory, .templates = "templates", .name = "report"};
    assert_int_equal(bg_report_open(&r, list, 4, &o, &e), BG_OK);
    assert_int_equal(bg_report_put_section(&r, id, &stream, &e), BG_OK);
    assert_int_equal(bg_page_markdown(&r.page, bg_text_string(&stream), &out, &e), BG_OK);
    setenv("PATH", path, 1);
    free(path);
    char *text = strdup(bg_text_string(&out));
    bg_text_free(&stream);
    bg_text_free(&out);
    bg_report_close(&r);
    return text;
}

static void says(const char *id, const char *phrase)
{
    char *text = section(id);
    if (!strstr(text, phrase))
        fail_msg("section %s does not say '%s':\n%.1500s", id, phrase, text);
    free(text);
}

static void never_says(const char *id, const char *phrase)
{
    char *text = section(id);
    if (strstr(text, phrase))
        fail_msg("section %s says '%s'", id, phrase);
    free(text);
}

/* Takes the intervals of the gaps anew from the curves as they are now. */
static void remake_intervals(void)
{
    static const char *const sections[] = {"specs", "pairs"};
    char path[128];
    bg_err e = {0};
    bg_gaps g;
    bg_doc d;
    bg_provenance p = {0};
    cJSON *root = NULL;
    snprintf(path, sizeof path, "%s/remade.json", directory);
    assert_int_equal(bg_gaps_init(&g, documents[2], NULL, &e), BG_OK);
    assert_int_equal(bg_doc_begin(&d, "gaps", path, &p, &e), BG_OK);
    assert_int_equal(bg_gaps_write(&g, &d, "", &e), BG_OK);
    assert_int_equal(bg_doc_commit(&d, &e), BG_OK);
    assert_int_equal(bg_json_read(path, 1 << 24, &root, &e), BG_OK);
    for (int i = 0; i < 2; i++)
        cJSON_ReplaceItemInObject(documents[3], sections[i], cJSON_DetachItemFromObject(root, sections[i]));
    cJSON_Delete(root);
    bg_gaps_free(&g);
}

static void shift_gap(const char *quantizer, double by)
{
    cJSON *p;
    cJSON_ArrayForEach(p, rows(2, "points"))
    {
        if (strcmp(cJSON_GetObjectItem(p, "quantizer")->valuestring, quantizer))
            continue;
        set(p, "gap_bits", get(p, "gap_bits") + by);
        set(p, "sqnr_db", get(p, "sqnr_db") - by * 6.020599913279624);
    }
    remake_intervals();
}

static void test_overview(void **state)
{
    (void)state;
    says("overview",
         "**uniform g128** wastes 0.963 bit (95 %: 0.917 to 1.01) against the Shannon bound; the best code measured "
         "here is **ecsq** (entropy-coded scalar code), which wastes 0.251 bit (95 %: 0.249 to 0.253)");
    says("overview", "; no layer stands out as a bad place to save.");
    set(rows(3, "sensitivity")->child, "sqnr_db", 10);
    says("overview", "is the worst place to save.");
    never_says("overview", "cannot be told apart");
    shift_gap("ecsq", -0.5);
    says("overview", "the best code measured here is **ecsq** (entropy-coded scalar code), which stays 0.249 bit (95 "
                     "%: 0.247 to 0.251) below the bound of a Gaussian");
    says("rate-distortion", "0.861 bit less than the next, **kmeans** (95 %: 0.840");
    cJSON *p, *one = NULL; /* one tensor on which the best is the worse of the two, and by more */
    cJSON_ArrayForEach(
        p, rows(2, "points")) if (!one && !strcmp(cJSON_GetObjectItem(p, "spec")->valuestring, "ecsq:rate=4")) one = p;
    set(one, "gap_bits", get(one, "gap_bits") + 2);
    remake_intervals();
    says("overview", "(and cannot be told apart from **kmeans**");
    says("rate-distortion", "cannot be told apart from **kmeans**");
    set(one, "gap_bits", get(one, "gap_bits") - 2);
    remake_intervals();
}

static void test_reference_is_best(void **state)
{
    (void)state;
    shift_gap("uniform:scope=128", -0.9);
    says("overview", "the best code measured here, **uniform g128** wastes 0.0633 bit (95 %: 0.0172 to 0.109) against "
                     "the Shannon bound");
}

static void test_weights(void **state)
{
    (void)state;
    says("weights", "The heaviest tails are in `mlp.down_proj` (excess kurtosis 0.750");
    cJSON *g;
    cJSON_ArrayForEach(g, rows(0, "roles")) set(g, "kurtosis_excess", -0.2);
    says("weights", "Every role is as light in its tails as a Gaussian or lighter");
}

static void test_gap_parts(void **state)
{
    (void)state;
    says("gap", "is range waste, a grid spread to the largest weight");
    shift_gap("uniform:scope=128", -0.5);
    says("gap", "is won back because the scales follow the local spread of the weights");
    cJSON *p;
    cJSON_ArrayForEach(p, rows(2, "points")) if (!strcmp(cJSON_GetObjectItem(p, "quantizer")->valuestring, "kmeans"))
        cJSON_SetValuestring(cJSON_GetObjectItem(p, "quantizer"), "kmeanz");
    says("gap", "its parts need an optimal scalar code");
}

static void test_layers(void **state)
{
    (void)state;
    cJSON *s = rows(3, "sensitivity"), *row;
    set(s->child, "sqnr_db", 10);
    says("layers", "hurts most: it has an SQNR of 10.0 dB");
    cJSON_ArrayForEach(row, s) set(row, "sqnr_db", 20);
    set(s->child, "sqnr_db", 19.5);
    says("layers", "No layer stands out");
    says("layers", "only 0.500 dB apart");
}

static void test_not_reached(void **state)
{
    (void)state;
    says("gap", "– not reached");
    cJSON *t;
    cJSON_ArrayForEach(t, rows(3, "targets"))
    {
        cJSON_ReplaceItemInObject(t, "reached", cJSON_CreateTrue());
        if (!cJSON_GetObjectItem(t, "rate_bits")) {
            cJSON_AddNumberToObject(t, "rate_bits", 5.5);
            cJSON_AddNumberToObject(t, "gap_bits", 0.52);
        }
    }
    never_says("gap", "not reached");
}

static void test_origins(void **state)
{
    (void)state;
    free(section("gap"));
    char path[128];
    const char *list[1] = {path};
    bg_docset s;
    bg_err e = {0};
    double v = 0;
    snprintf(path, sizeof path, "%s/curves.json", directory);
    assert_int_equal(bg_docset_open(&s, list, 1, NULL, &e), BG_OK);
    bg_num gap = bg_num_over(&s, "mean", "gap_bits", "mlp.down_proj", "kmeans:bits=4");
    assert_true(fabs(gap.value - 0.605) < 1e-9);
    bg_num twice = bg_num_operate(gap, '+', bg_num_operate(gap, '*', bg_num_constant(1)));
    assert_int_equal(bg_num_evaluate(&s, twice.from, &v, &e), BG_OK);
    assert_true(v == twice.value);
    static const char *const bad[] = {"",
                                      "+",
                                      "1 2",
                                      "curves/points/0/nothing",
                                      "curves/points/99999/mse",
                                      "curves/points/-1/mse",
                                      "curves/points/x/mse",
                                      "none/points/0/mse",
                                      "mean:gap_bits:nothing",
                                      "mean:gap_bits",
                                      "curves",
                                      "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 + + + + + + + + + + + + + + + + + + +"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (bg_num_evaluate(&s, bad[i], &v, &e) != BG_INPUT)
            fail_msg("the origin '%s' was taken", bad[i]);
    bg_docset_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_overview, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reference_is_best, setup, teardown),
        cmocka_unit_test_setup_teardown(test_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gap_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(test_origins, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
