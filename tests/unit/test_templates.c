/* Every branch of every template of a section, rendered: what the documents of the fixtures do not lead to is forced.
 * A placeholder that nobody declares, a branch that cannot be rendered, and one that no fixture reaches fail. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "reports/page/template_tree.h"
#include "reports/pages/report.h"

enum { FILES = 32, BODIES = 512 };

/* Which bodies of a file were rendered. */
typedef struct coverage {
    char name[64]; /* "sections/gap.md" */
    int bodies, lines[BODIES + 1];
    char seen[BODIES + 1];
} coverage;

static coverage files[FILES];
static int n_files;
static char directory[64];

/* The body that a rendering is to reach. */
static const coverage *wanted;
static int target, also; /* `also`: where a phrase with the target is called; 0: nowhere in particular */

static const coverage *file_of(const char *path)
{
    for (int i = 0; i < n_files; i++) {
        size_t n = strlen(path), m = strlen(files[i].name);
        if (n >= m && !strcmp(path + n - m, files[i].name))
            return &files[i];
    }
    return NULL;
}

static int last_in_nodes(const bg_node *node);

/* The largest number of a body inside this one, or its own. */
static int last_in_body(const bg_body *body)
{
    int inside = last_in_nodes(body->first);
    return inside > body->number ? inside : body->number;
}

static int last_in_nodes(const bg_node *node)
{
    int last = 0;
    for (; node; node = node->next)
        for (const bg_body *body = node->bodies; body; body = body->next)
            last = last_in_body(body) > last ? last_in_body(body) : last;
    return last;
}

static int choose(void *self, const char *path, const bg_body *arms, int natural)
{
    (void)self;
    int i = 0;
    if (file_of(path) == wanted && wanted)
        for (const bg_body *arm = arms; arm; arm = arm->next, i++)
            if ((target >= arm->number && target <= last_in_body(arm)) ||
                (also >= arm->number && also <= last_in_body(arm)))
                return i;
    return natural;
}

static void visit(void *self, const char *path, int body)
{
    (void)self;
    coverage *c = (coverage *)file_of(path);
    if (c && body <= BODIES)
        c->seen[body] = 1;
}

static void note_lines(coverage *c, const bg_body *body);

static void note_nodes(coverage *c, const bg_node *node)
{
    for (; node; node = node->next)
        note_lines(c, node->bodies);
}

static void note_lines(coverage *c, const bg_body *body)
{
    for (; body; body = body->next) {
        c->lines[body->number] = body->line;
        note_nodes(c, body->first);
    }
}

/* Parses a template of this language and remembers its bodies. */
static void add_file(const char *name)
{
    bg_tree tree;
    bg_err e = {0};
    coverage *c = &files[n_files];
    snprintf(c->name, sizeof c->name, "%s", name);
    if (bg_tree_read(&tree, "templates", name, &e))
        fail_msg("%s", e.text);
    assert_in_range(tree.bodies, 0, BODIES);
    assert_in_range(n_files++, 0, FILES - 1);
    c->bodies = tree.bodies;
    note_nodes(c, tree.first);
    for (const bg_definition *d = tree.definitions; d; d = d->next)
        note_lines(c, d->body);
    bg_tree_free(&tree);
}

static int setup(void **state)
{
    (void)state;
    char name[320];
    DIR *d = opendir("templates/sections");
    assert_non_null(d);
    for (const struct dirent *f; (f = readdir(d)) != NULL;) {
        snprintf(name, sizeof name, "templates/sections/%s", f->d_name);
        FILE *file = strstr(f->d_name, ".md") ? fopen(name, "r") : NULL;
        char start[16] = "";
        int ours = file && fread(start, 1, 11, file) == 11 && !strcmp(start, "{{contents ");
        if (file)
            fclose(file);
        if (ours)
            add_file(name + strlen("templates/"));
    }
    closedir(d);
    add_file("phrases.md");
    snprintf(directory, sizeof directory, "/tmp/bitgap-templates-XXXXXX");
    assert_non_null(mkdtemp(directory));
    setenv("PATH", "/nowhere", 1); /* no gnuplot: the words are tested */
    bg_set_quiet(1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    setenv("PATH", "/usr/bin:/bin", 1);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static const char *const fixtures[][6] = {
    {"tests/cli/report/groups.json", "tests/cli/report/bounds.json", "tests/cli/report/curves.json",
     "tests/cli/report/gaps.json"},
    {"tests/cli/report/study/groups.json", "tests/cli/report/study/bounds.json", "tests/cli/report/study/curves.json",
     "tests/cli/report/study/gaps.json", "tests/cli/report/study/evaluation.json", "tests/cli/report/study/study.json"},
    {"tests/cli/report/layers/curves.json", "tests/cli/report/layers/gaps.json"},
};
enum { FIXTURES = sizeof fixtures / sizeof *fixtures };

/* Renders one section from a fixture; a section that its documents do not have is none. */
static void render(const coverage *section, int fixture)
{
    static const bg_watch watch = {choose, visit, NULL};
    bg_report r;
    bg_text stream = {0}, html = {0};
    bg_err e = {0};
    char id[64];
    int n = 0;
    while (n < 6 && fixtures[fixture][n])
        n++;
    snprintf(id, sizeof id, "%.*s", (int)strcspn(section->name + 9, "."), section->name + 9);
    bg_report_options o = {.directory = directory, .templates = "templates", .name = "report", .pages = 1};
    assert_int_equal(bg_report_open(&r, fixtures[fixture], n, &o, &e), BG_OK);
    r.page.watch = &watch;
    if (bg_report_put_section(&r, id, &stream, &e) && !strstr(e.text, "are not among those given"))
        fail_msg("%s (to reach %s:%d)", e.text, wanted ? wanted->name : "", wanted ? wanted->lines[target] : 0);
    if (!stream.failed)
        assert_int_equal(bg_page_html(&r.page, bg_text_string(&stream), &html, &e), BG_OK);
    bg_text_free(&stream);
    bg_text_free(&html);
    bg_report_close(&r);
}

static int is_section(const coverage *c)
{
    return !strncmp(c->name, "sections/", 9);
}

/* The section itself, or for a phrase that all share every section. */
static void reach(int i, int body)
{
    for (int f = 0; f < FIXTURES && !files[i].seen[body]; f++)
        for (int k = 0; k < n_files && !files[i].seen[body]; k++)
            if (is_section(&files[k]) && (k == i || !is_section(&files[i])))
                render(&files[k], f);
}

/* First what the documents lead to, then every body that is left, forced. */
static void test_branches(void **state)
{
    (void)state;
    int missed = 0;
    for (int f = 0; f < FIXTURES; f++)
        for (int i = 0; i < n_files; i++)
            if (is_section(&files[i]))
                render(&files[i], f);
    for (int i = 0; i < n_files; i++)
        for (int body = 1; body <= files[i].bodies; body++) {
            wanted = &files[i];
            target = body;
            for (also = 0; also <= files[i].bodies && !files[i].seen[body]; also++)
                reach(i, body);
            if (!files[i].seen[body]) {
                print_error("templates/%s:%d: this branch was never rendered\n", files[i].name, files[i].lines[body]);
                missed++;
            }
        }
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_branches)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
