/* The language of templates: values, conditions, lists, phrases, joined lines, and what its errors say. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "reports/page/facts.h"

static char directory[64];
static bg_docset docs;
static bg_facts *facts;

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    static const char *const paths[] = {"tests/cli/report/gaps.json", "tests/cli/report/curves.json"};
    bg_err e = {0};
    snprintf(directory, sizeof directory, "/tmp/bitgap-language-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(bg_docset_open(&docs, paths, 2, NULL, &e), BG_OK);
    write_file("phrases.md", "{{define twice(x)}}\n  {{x}} and {{x}}\n{{end}}");
    facts = bg_facts_new();
    bg_fact_number(facts, "half", (bg_num){.value = 0.5, .from = "0.5"}, BG_SIG3);
    bg_fact_number(facts, "absent", (bg_num){.value = 0.0 / 0.0}, BG_SIG3);
    bg_fact_text(facts, "name", "a_b|c");
    bg_fact_text(facts, "silent", NULL);
    bg_fact_flag(facts, "yes", 1);
    bg_fact_rows(facts, "none");
    bg_fact_no_set(facts, "nobody");
    for (int i = 0; i < 3; i++)
        bg_fact_number(bg_fact_add_row(facts, "some"), "n", (bg_num){.value = 3 - i}, BG_COUNT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    bg_facts_free(facts);
    bg_docset_close(&docs);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

/* The Markdown of a template, or its error. */
static void renders(const char *template, int status, const char *want)
{
    bg_page page = {.docs = &docs, .templates = directory, .directory = directory};
    bg_text stream = {0}, out = {0};
    bg_err e = {0};
    write_file("t.md", template);
    int got = bg_page_render(&page, "t.md", facts, &stream, &e);
    if (!got)
        got = bg_page_markdown(&page, bg_text_string(&stream), &out, &e);
    if (got != status)
        fail_msg("status %d of '%s': %s", got, template, e.text);
    if (status)
        assert_non_null(strstr(e.text, want));
    else
        assert_string_equal(bg_text_string(&out), want);
    bg_text_free(&stream);
    bg_text_free(&out);
    bg_page_free(&page);
}

static void test_values(void **state)
{
    (void)state;
    renders("{{half}} {{half as percent}} {{-half}} {{half * (half + 1) as two}}", BG_OK, "0.500 50.0 −0.500 0.75\n");
    renders("{{name}} {{name as code}} {{name as bold}}", BG_OK, "a\\_b\\|c `a_b\\|c` **a\\_b\\|c**\n");
    renders("{{absent}}; {{absent missing \"not reached\"}}; [{{silent}}]", BG_OK, "–; – not reached; []\n");
    renders("{{nobody.anything}}", BG_OK, "–\n");
    renders("{{plural(half + half, \"matrix\", \"matrices\")}} {{plural(2, \"x\", \"y\")}}", BG_OK, "matrix y\n");
}

static void test_lines(void **state)
{
    (void)state;
    renders("# Head\n  One\n  {{silent}}\n  two\n  , three.\n\n\n- item\n  goes on\n- next\n", BG_OK,
            "# Head\n\nOne two, three.\n\n- item goes on\n- next\n");
    renders("text\n| a |\n|---|\n{{for r in some}}\n  | {{r.n}} |\n{{end}}\nafter", BG_OK,
            "text\n\n| a |\n|---|\n| 3 |\n| 2 |\n| 1 |\n\nafter\n");
    renders("{{# a remark}}x{{twice(half)}}y", BG_OK, "x0.500 and 0.500y\n");
}

static void test_conditions(void **state)
{
    (void)state;
    renders("{{if half > 0.4 and not absent}}a{{else}}b{{end}}", BG_OK, "a\n");
    renders("{{if absent}}a{{else if none}}b{{else if some}}c{{end}}", BG_OK, "c\n");
    renders("{{if absent < 1}}a{{end}}{{if absent > 1}}b{{end}}{{if name = \"a_b|c\"}}c{{end}}", BG_OK, "c\n");
    renders("{{if yes or nobody}}a{{end}}{{if nobody}}b{{end}}", BG_OK, "a\n");
}

static void test_lists(void **state)
{
    (void)state;
    renders("{{for r in some by r.n first 2}}{{r.n}}{{if not loop.last}}, {{end}}{{end}}.", BG_OK, "1, 2.\n");
    renders("{{for r in some where r.n != 2 by r.n down}}{{r.n}}{{end}}", BG_OK, "31\n");
    renders("{{let m = middle of some}}{{let n = count of some}}{{m.n}} of {{n}}", BG_OK, "2 of 3\n");
    renders("{{let x = first of some where x.n < 2}}{{x.n}}{{let y = first of some where y.n > 9}}{{if y}}!{{end}}",
            BG_OK, "1\n");
    renders("{{let w = first of gaps.sensitivity}}{{w.rank}}{{for p in bounds.outputs}}never{{end}}", BG_OK, "1\n");
}

/* A difference of document fields keeps an origin that can be computed again. */
static void test_origins(void **state)
{
    (void)state;
    bg_page page = {.docs = &docs, .templates = directory, .directory = directory};
    bg_text stream = {0};
    bg_err e = {0};
    double again;
    write_file("t.md", "{{let a = first of gaps.sensitivity}}{{let z = last of gaps.sensitivity}}"
                       "{{z.sqnr_db - a.sqnr_db}}");
    assert_int_equal(bg_page_render(&page, "t.md", facts, &stream, &e), BG_OK);
    assert_int_equal(page.n_references, 1);
    assert_int_equal(bg_num_evaluate(&docs, page.references[0].from, &again, &e), BG_OK);
    assert_true(again > 0 && again <= page.references[0].value && again >= page.references[0].value);
    bg_text_free(&stream);
    bg_page_free(&page);
}

static void test_errors(void **state)
{
    (void)state;
    renders("a\nb {{hal}}", BG_INPUT, "t.md:2: unknown name 'hal', did you mean half?");
    renders("{{let w = first of gaps.sensitivity}}\n{{w.sqnr}}", BG_INPUT, "t.md:2: unknown name 'sqnr'");
    renders("{{let w = first of bounds.outputs}}{{w.nothing}}", BG_INPUT, "unknown name 'nothing'");
    renders("{{if half}}\nx", BG_INPUT, "t.md:1: this needs {{end}}");
    renders("x{{end}}", BG_INPUT, "nothing is open here");
    renders("{{half", BG_INPUT, "'{{' without '}}'");
    renders("{{half as fancy}}", BG_INPUT, "no style 'fancy'");
    renders("{{half +}}", BG_INPUT, "expected a value, found 'the end of the tag'");
    renders("{{name + 1}}", BG_INPUT, "'name' is no number");
    renders("{{some}}", BG_INPUT, "'some' is not a number or a text");
    renders("{{twice(half, half)}}", BG_INPUT, "phrase twice takes 1 arguments");
    renders("{{often(half)}}", BG_INPUT, "unknown function 'often'");
    renders("{{for r in gaps.nowhere}}{{end}}", BG_INPUT, "has no section 'nowhere'");
    renders("{{figure nobody}}\n{{caption}}x{{end}}{{figure half}}{{end}}", BG_INPUT, "'half' is no figure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_lines),   cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_lists),  cmocka_unit_test(test_origins), cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
