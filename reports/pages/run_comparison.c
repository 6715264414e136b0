/* Owns the index of several runs. */
#define _GNU_SOURCE
#include "reports/pages/run_comparison.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 26, NAMED = 8 };

typedef struct run {
    bg_report report;
    char *directory; /* from the page to the run */
    char letter[2];  /* its column: A, B, … */
    int has_page;    /* report.html is there, to be linked */
} run;

typedef struct comparison {
    run *runs;
    int n;
    bg_report page; /* holds no documents: the page that is written */
    double rate;
} comparison;

/* How one gets from directory `from` to `to`, both there: "../b" from x/a to x/b. NULL: memory gave out or one is not
 * there. */
static char *way(const char *from, const char *to)
{
    char *a = realpath(from, NULL), *b = realpath(to, NULL);
    size_t same = 0, i = 0;
    bg_text t = {0};
    if (a && b) {
        for (; a[i] && a[i] == b[i]; i++)
            same = a[i] == '/' ? i + 1 : same;
        if (!a[i] && (!b[i] || b[i] == '/'))
            same = i + (b[i] == '/');
        else if (!b[i] && a[i] == '/')
            same = i + 1;
        for (const char *p = a + (same < strlen(a) ? same : strlen(a)); *p; p += strcspn(p, "/"), p += *p == '/')
            bg_text_add(&t, "../");
        bg_text_add(&t, b + (same < strlen(b) ? same : strlen(b)));
        while (t.length && t.data[t.length - 1] == '/')
            t.data[--t.length] = 0;
    }
    char *out = a && b && !t.failed ? strdup(t.length ? bg_text_string(&t) : ".") : NULL;
    bg_text_free(&t);
    free(a);
    free(b);
    return out;
}

static int open_run(run *r, const char *directory, const char *home, int index, double rate, const char *templates,
                    bg_err *e)
{
    static const char *const kinds[] = {"groups.json", "bounds.json", "curves.json", "gaps.json"};
    char *paths[4];
    const char *found[4];
    int n = 0, status = BG_OK, has_curves = 0;
    char *page = bg_path_join(directory, "report.html");
    r->has_page = page && bg_is_file(page);
    free(page);
    r->letter[0] = (char)('A' + index);
    for (int i = 0; i < 4; i++) {
        paths[i] = bg_path_join(directory, kinds[i]);
        if (paths[i] && bg_is_file(paths[i])) {
            found[n++] = paths[i];
            has_curves |= i == 2;
        }
    }
    if (!has_curves)
        status =
            bg_fail(e, BG_INPUT, "%s: no curves.json here; run make report for this model, or bitgap curve", directory);
    bg_report_options o = {.directory = ".", .templates = templates, .rate = rate, .name = "report"};
    if (!status && !(r->directory = way(home, directory)))
        status = bg_no_memory(e, directory, PATH_MAX);
    if (!status)
        status = bg_report_open(&r->report, found, n, &o, e);
    if (!status && !strcmp(r->report.title, "weights"))
        r->report.title = bg_path_base(directory);
    for (int i = 0; i < 4; i++)
        free(paths[i]);
    return status;
}

/* The number of another page's document: printed here without an origin, which would name the wrong one. */
static bg_num plain(double v)
{
    return (bg_num){.value = v};
}

static const bg_curve *curve_named(const bg_summary *m, const char *label)
{
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->curves[i].label, label))
            return &m->curves[i];
    return NULL;
}

static const bg_curve *best_of(const run *r, double rate)
{
    int *order, n = bg_summary_rank(&r->report.all, rate, r->report.within, &order);
    const bg_curve *best = n ? &r->report.all.curves[order[0]] : NULL;
    free(order);
    return best;
}

/* The best among the methods that every run measured near the rate: runs of different sweeps must not seem to disagree.
 */
static const bg_curve *best_common(const comparison *c, const run *r)
{
    int *order, n = bg_summary_rank(&r->report.all, c->rate, r->report.within, &order);
    const bg_curve *best = NULL;
    for (int i = 0; i < n && !best; i++) {
        int everywhere = 1;
        for (int k = 0; k < c->n; k++) {
            const bg_curve *other = curve_named(&c->runs[k].report.all, r->report.all.curves[order[i]].label);
            everywhere &= other && bg_curve_near(other, c->rate, c->runs[k].report.within);
        }
        if (everywhere)
            best = &r->report.all.curves[order[i]];
    }
    free(order);
    return best;
}

static double gap_near(const run *r, const bg_curve *c, double rate)
{
    const bg_step *step = c ? bg_curve_near(c, rate, r->report.within) : NULL;
    return step ? step->gap : (double)NAN;
}

static void say_finding(comparison *c, bg_text *t)
{
    const bg_curve *reference = bg_reference_curve(&c->runs[0].report);
    const run *low = NULL, *high = NULL;
    int same = 1;
    for (int i = 0; reference && i < c->n; i++) {
        double gap = gap_near(&c->runs[i], curve_named(&c->runs[i].report.all, reference->label), c->rate);
        if (!isfinite(gap))
            continue;
        if (!low || gap < gap_near(low, curve_named(&low->report.all, reference->label), c->rate))
            low = &c->runs[i];
        if (!high || gap > gap_near(high, curve_named(&high->report.all, reference->label), c->rate))
            high = &c->runs[i];
    }
    char number[BG_NUMBER_TEXT];
    if (low && low != high) {
        bg_text_format(t, "Near %g bits per weight ", c->rate);
        bg_put_method(t, reference->label);
        bg_text_format(
            t, " has a gap from %s bit (",
            bg_number_text(number, gap_near(low, curve_named(&low->report.all, reference->label), c->rate), BG_SIG3));
        bg_text_markdown(t, low->report.title);
        bg_text_format(
            t, ") to %s (",
            bg_number_text(number, gap_near(high, curve_named(&high->report.all, reference->label), c->rate), BG_SIG3));
        bg_text_markdown(t, high->report.title);
        bg_text_add(t, "). ");
    }
    const bg_curve *first = best_common(c, &c->runs[0]);
    for (int i = 1; first && i < c->n; i++)
        same &= !strcmp(first->label, best_common(c, &c->runs[i])->label);
    if (!first) {
        bg_text_add(t, "The runs share no method near that rate.");
    } else if (same) {
        bg_text_add(t, "Of the methods measured in every run the best is the same in all: ");
        bg_put_method(t, first->label);
        bg_text_add(t, ".");
    } else {
        bg_text_add(t, "Of the methods measured in every run the best is not the same in all:");
        for (int i = 0; i < c->n; i++) {
            bg_text_add(t, i ? ", " : " ");
            bg_put_method(t, best_common(c, &c->runs[i])->label);
            bg_text_add(t, " for ");
            bg_text_markdown(t, c->runs[i].report.title);
        }
        bg_text_add(t, ".");
    }
}

static void put_runs(comparison *c, bg_text *t)
{
    bg_table b;
    bg_table_begin(&b, &c->page.page, t, "Runs",
                   "run|model|parameters>|methods>|reference|its gap (bit)>|best code|its gap (bit)>|report");
    for (int i = 0; i < c->n; i++) {
        const run *r = &c->runs[i];
        bg_rows models = bg_docset_rows(&r->report.docs, "groups", "models");
        const bg_curve *reference = bg_reference_curve(&r->report), *best = best_of(r, c->rate);
        bg_table_text(&b, r->letter);
        bg_table_text(&b, r->report.title);
        bg_table_number(&b, plain(models.n ? bg_row_number(&models.rows[0], "parameters") : (double)NAN), BG_COUNT);
        bg_table_number(&b, plain(r->report.all.n), BG_COUNT);
        bg_table_text(&b, reference ? reference->label : "–");
        bg_table_number(&b, plain(gap_near(r, reference, c->rate)), BG_SIG3);
        bg_table_text(&b, best ? best->label : "–");
        bg_table_number(&b, plain(gap_near(r, best, c->rate)), BG_SIG3);
        if (!r->has_page) {
            bg_table_dash(&b, "none made");
            continue;
        }
        bg_text *cell = bg_table_cell(&b);
        bg_text_add(cell, "[report](<");
        /* Inside <…> only these end or break a link. */
        for (const char *p = r->directory; *p; p++)
            bg_text_format(cell, strchr("<>\\|\n%", *p) ? "%%%02X" : "%c", (unsigned char)*p);
        bg_text_add(cell, "/report.html>)");
        bg_table_cell_end(&b);
    }
    bg_table_end(&b);
}

/* Methods by runs: gaps near the rate; the runs are columns by letter. */
static void put_methods(comparison *c, bg_text *t)
{
    bg_table b;
    bg_text head = {0};
    bg_text_add(&head, "method");
    for (int i = 0; i < c->n; i++)
        bg_text_format(&head, "|%s>", c->runs[i].letter);
    bg_table_begin(&b, &c->page.page, t, "Gap in bits by method and run", bg_text_string(&head));
    for (int i = 0; i < c->n; i++) {
        const bg_summary *m = &c->runs[i].report.all;
        for (int k = 0; k < m->n; k++) {
            int before = !bg_curve_near(&m->curves[k], c->rate, c->runs[i].report.within);
            for (int j = 0; j < i; j++) {
                const bg_curve *other = curve_named(&c->runs[j].report.all, m->curves[k].label);
                before |= other && bg_curve_near(other, c->rate, c->runs[j].report.within);
            }
            if (before)
                continue;
            bg_table_text(&b, m->curves[k].label);
            for (int j = 0; j < c->n; j++)
                bg_table_number_or(
                    &b, plain(gap_near(&c->runs[j], curve_named(&c->runs[j].report.all, m->curves[k].label), c->rate)),
                    BG_SIG3, "not measured");
        }
    }
    bg_table_end(&b);
    bg_text_free(&head);
}

/* What the figure draws: the reference method's steps in each run. */
static void put_line_table(comparison *c, const bg_curve *reference, bg_text *t)
{
    bg_table b;
    bg_table_begin(&b, &c->page.page, t, "Points of this figure", "run|model|spec|bits/weight>|gap (bit)>");
    for (int i = 0; i < c->n; i++) {
        const run *r = &c->runs[i];
        const bg_curve *curve = curve_named(&r->report.all, reference->label);
        for (int k = 0; curve && k < curve->n; k++) {
            bg_table_text(&b, r->letter);
            bg_table_text(&b, r->report.title);
            bg_table_code(&b, curve->steps[k].spec);
            bg_table_number(&b, plain(curve->steps[k].rate), BG_SIG3);
            bg_table_number(&b, plain(curve->steps[k].gap), BG_SIG3);
        }
    }
    bg_table_end(&b);
}

static int draw(comparison *c, bg_text *where, bg_err *e)
{
    const bg_curve *reference = bg_reference_curve(&c->runs[0].report);
    bg_figure f;
    bg_line_end ends[RUNS];
    double bottom = 0, top = 0;
    int lines = 0, status = bg_figure_begin(&f, &c->page.page, "compare", "Gap against rate in each run", e);
    if (status)
        return status;
    for (int i = 0; i < c->n; i++) {
        const run *r = &c->runs[i];
        const bg_curve *curve = reference ? curve_named(&r->report.all, reference->label) : NULL;
        if (!curve)
            continue;
        bg_figure_curve(&f, r->report.title, bg_family_in_turn(i), i, lines >= NAMED);
        for (int k = 0; k < curve->n; k++) {
            char tip[256], gap[BG_NUMBER_TEXT];
            snprintf(tip, sizeof tip, "%.120s, %s: gap %s bit", r->report.title, curve->label,
                     bg_number_text(gap, curve->steps[k].gap, BG_SIG3));
            bg_text_format(&f.data, "%.6g %.6g %d\n", curve->steps[k].rate, curve->steps[k].gap,
                           bg_figure_tip(&f, tip));
            ends[lines] =
                (bg_line_end){r->report.title, bg_family_in_turn(i), curve->steps[k].rate, curve->steps[k].gap};
            bottom = fmin(bottom, curve->steps[k].gap);
            top = fmax(top, curve->steps[k].gap);
        }
        bg_text_add(&f.data, "\n\n");
        lines++;
    }
    if (!lines) {
        bg_figure_abandon(&f);
        return BG_OK;
    }
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", lines);
    bottom = floor(bottom * 4 - 0.01) / 4;
    top = ceil(top * 4 + 0.2) / 4;
    bg_text_format(bg_slots_at(&f.slots, "yrange"), "[%.6g:%.6g]", bottom, top);
    bg_label_ends(&f, ends, lines < NAMED ? lines : NAMED, bottom, top, 370, 0);
    bg_text_add(&f.shown->caption, "One line a run, all under ");
    bg_put_method(&f.shown->caption, reference->label);
    bg_text_add(&f.shown->caption, ": where the lines part, the models differ and not the method.");
    bg_text_format(&f.shown->alt, "Gap in bits against effective bits under %s for %d runs.", reference->label, lines);
    put_line_table(c, reference, &f.shown->table);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&c->page.page, where, f.index);
    return status;
}

static int compose(comparison *c, bg_text *stream, bg_text *contents, bg_err *e)
{
    bg_slots slots = {0};
    bg_text *finding = bg_slots_at(&slots, "finding"), *runs = bg_slots_at(&slots, "runs"),
            *figure = bg_slots_at(&slots, "figure"), *methods = bg_slots_at(&slots, "methods");
    say_finding(c, finding);
    put_runs(c, runs);
    put_methods(c, methods);
    int status = draw(c, figure, e);
    bg_put_section(stream, "overview");
    if (!status)
        status = bg_template_fill(c->page.templates, "sections/compare.md", &slots, stream, e);
    bg_put_section_end(stream);
    bg_text_add(contents,
                "<li><a href=\"#overview\">Comparison</a></li>\n<li><a href=\"#h-methods\">Methods</a></li>\n");
    bg_slots_free(&slots);
    return status;
}

int bg_compare_compose(const char *const *directories, int n, const bg_report_options *options, bg_page_use *use,
                       void *self, bg_err *e)
{
    if (n < 2 || n > RUNS)
        return bg_fail(e, BG_USAGE, "compare-runs: wants 2 to %d directories, not %d", RUNS, n);
    comparison c = {.n = n, .runs = calloc((size_t)n, sizeof *c.runs)};
    const char *ways[RUNS];
    bg_text stream = {0}, contents = {0};
    int status =
        c.runs ? bg_make_directories(options->directory, e) : bg_no_memory(e, "runs", (size_t)n * sizeof *c.runs);
    for (int i = 0; !status && i < n; i++) {
        status = open_run(&c.runs[i], directories[i], options->directory, i, options->rate, options->templates, e);
        ways[i] = c.runs[i].directory;
    }
    if (!status)
        status = bg_report_open(&c.page, NULL, 0, options, e);
    if (!status) {
        c.page.title = "Comparison of runs";
        c.page.runs = ways;
        c.page.n_runs = n;
        c.page.rate = c.rate = c.runs[0].report.rate;
        status = compose(&c, &stream, &contents, e);
    }
    if (!status)
        status = use(&c.page, &stream, &contents, self, e);
    for (int i = 0; c.runs && i < n; i++) {
        bg_report_close(&c.runs[i].report);
        free(c.runs[i].directory);
    }
    free(c.runs);
    bg_text_free(&stream);
    bg_text_free(&contents);
    bg_report_close(&c.page);
    return status;
}

static int write_pages(bg_report *page, const bg_text *stream, const bg_text *contents, void *self, bg_err *e)
{
    return bg_report_put_pages(page, self, stream, contents, e);
}

int bg_compare_runs(const char *const *directories, int n, const bg_report_options *options, bg_err *e)
{
    char name[64];
    snprintf(name, sizeof name, "%s", options->name);
    return bg_compare_compose(directories, n, options, write_pages, name, e);
}
