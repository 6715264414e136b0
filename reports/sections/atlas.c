/* What formats pay on sources of known shape, and how far a tensor's fitted shape foretells what they pay on it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

enum { LINES = 8, AXES = 5, SPECS = 64 };
static const char *const axes[AXES] = {"student", "ggd", "ar1", "outliers", "block"};

typedef struct line {
    const char *spec, *block; /* quantizer of the block axis that continues it, or NULL */
    char label[BG_LABEL];
} line;

static const bg_row *point_of(bg_rows points, const char *axis, double parameter, const char *spec)
{
    for (int i = 0; i < points.n; i++) {
        const bg_row *row = &points.rows[i];
        if (!strcmp(bg_row_string(row, "axis"), axis) && !strcmp(bg_row_string(row, "spec"), spec) &&
            fabs(bg_row_number(row, "parameter") - parameter) < 1e-9)
            return row;
    }
    return NULL;
}

/* Specs of the shape axes, in document order. */
static int list_specs(bg_rows points, const char *specs[SPECS])
{
    int n = 0;
    for (int i = 0; i < points.n && n < SPECS; i++) {
        const char *spec = bg_row_string(&points.rows[i], "spec");
        int known = !strcmp(bg_row_string(&points.rows[i], "axis"), "block");
        for (int k = 0; k < n; k++)
            known |= !strcmp(specs[k], spec);
        if (!known)
            specs[n++] = spec;
    }
    return n;
}

static void label_of(bg_rows points, const char *spec, char out[BG_LABEL])
{
    out[0] = 0;
    for (int i = 0; i < points.n && !out[0]; i++)
        if (!strcmp(bg_row_string(&points.rows[i], "spec"), spec))
            bg_method_label(bg_row_string(&points.rows[i], "quantizer"), out);
}

/* The formats a reader asks for first, then as they come. */
static int choose(bg_rows points, const char *const *specs, int n_specs, line lines[LINES])
{
    static const char *const known[][2] = {{"uniform:bits=4,scope=128", "uniform:"},
                                           {"nf4", "nf:"},
                                           {"mxfp4", "fp:"},
                                           {"nvfp4", NULL},
                                           {"q4_k", NULL},
                                           {"lloyd:bits=4", NULL},
                                           {"ecsq:rate=4,form=uniform", NULL},
                                           {"tcq:bits=2,rate=4,code=entropy", NULL}};
    int n = 0;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        for (int i = 0; i < n_specs && n < LINES; i++)
            if (!strcmp(specs[i], known[k][0]))
                lines[n++] = (line){.spec = specs[i], .block = known[k][1]};
    for (int i = 0; i < n_specs && n < LINES; i++) {
        int taken = 0;
        for (int k = 0; k < n; k++)
            taken |= !strcmp(lines[k].spec, specs[i]);
        if (!taken)
            lines[n++] = (line){.spec = specs[i]};
    }
    for (int i = 0; i < n; i++)
        label_of(points, lines[i].spec, lines[i].label);
    return n;
}

/* ---- sentences ---- */

static bg_num cost_of_tails(const bg_report *r, bg_rows points, const char *spec)
{
    const bg_row *heavy = point_of(points, "ggd", 0.5, spec), *gauss = point_of(points, "ggd", 2, spec);
    return bg_num_operate(bg_num_cell(&r->docs, heavy, "gap_bits"), '-', bg_num_cell(&r->docs, gauss, "gap_bits"));
}

/* With the standard error at the heavy end where that had to be sampled; the Gaussian's is far smaller. */
static void put_cost(bg_report *r, bg_text *t, bg_rows points, const char *spec)
{
    bg_num error = bg_num_cell(&r->docs, point_of(points, "ggd", 0.5, spec), "error_bits");
    bg_put_number(&r->page, t, cost_of_tails(r, points, spec), BG_SIGNED);
    bg_text_add(t, " bit");
    if (!isfinite(error.value))
        return;
    bg_text_add(t, " (standard error ");
    bg_put_number(&r->page, t, error, BG_SIG3);
    bg_text_add(t, ")");
}

static void say_tails(bg_report *r, bg_text *t, bg_rows points, const char *const *specs, int n)
{
    const char *least = NULL, *most = NULL;
    char label[BG_LABEL];
    for (int i = 0; i < n; i++) {
        double v = cost_of_tails(r, points, specs[i]).value;
        if (isfinite(v) && (!least || v < cost_of_tails(r, points, least).value))
            least = specs[i];
        if (isfinite(v) && (!most || v > cost_of_tails(r, points, most).value))
            most = specs[i];
    }
    if (!least || least == most)
        return;
    label_of(points, most, label);
    bg_text_add(t, "Tails cost ");
    bg_put_method(t, label);
    bg_text_add(t, " most: ");
    put_cost(r, t, points, most);
    bg_text_add(t, " from a Gaussian to β = 0.5; ");
    label_of(points, least, label);
    bg_put_method(t, label);
    bg_text_add(t, " pays ");
    put_cost(r, t, points, least);
    bg_text_add(t, ". ");
}

static void say_residuals(bg_report *r, bg_text *t, bg_rows points, bg_rows residuals)
{
    const bg_row *best = NULL, *worst = NULL;
    char label[BG_LABEL];
    for (int i = 0; i < residuals.n; i++) {
        double v = bg_row_number(&residuals.rows[i], "rms_bits");
        if (!best || v < bg_row_number(best, "rms_bits"))
            best = &residuals.rows[i];
        if (!worst || v > bg_row_number(worst, "rms_bits"))
            worst = &residuals.rows[i];
    }
    if (!best) {
        bg_text_add(t, "No tensor of this model was measured under a format of the atlas.");
        return;
    }
    bg_text_add(t, "On this model the fitted shape alone foretells the gap of ");
    label_of(points, bg_row_string(best, "spec"), label);
    bg_put_method(t, label);
    bg_text_add(t, " within ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, best, "rms_bits"), BG_SIG3);
    bg_text_add(t, " bit (root mean square over ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, best, "tensors"), BG_COUNT);
    bg_text_add(t, " tensors)");
    if (worst != best) {
        label_of(points, bg_row_string(worst, "spec"), label);
        bg_text_add(t, " and that of ");
        bg_put_method(t, label);
        bg_text_add(t, " within ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, worst, "rms_bits"), BG_SIG3);
        bg_text_add(t, " bit");
    }
    bg_text_add(t, ".");
}

/* ---- tables ---- */

static void put_summary(bg_report *r, bg_text *t, bg_rows points, const char *const *specs, int n)
{
    static const struct {
        const char *axis, *head;
        double at;
    } columns[] = {{"student", "ν = 3>", 3},
                   {"student", "ν = 10>", 10},
                   {"ggd", "β = 0.5>", 0.5},
                   {"ggd", "β = 1>", 1},
                   {"ggd", "Gaussian>", 2},
                   {"ggd", "β = 3>", 3},
                   {"ar1", "ρ = 0.95>", 0.95},
                   {"outliers", "outliers 0.1 %>", 1e-3},
                   {"outliers", "outliers 1 %>", 1e-2}};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    bg_text head = {0};
    bg_table b;
    bg_text_add(&head, "format|bits/weight>");
    for (int k = 0; k < COLUMNS; k++)
        bg_text_format(&head, "|%s", columns[k].head);
    bg_table_begin(&b, &r->page, t, "Gap in bits by format and source", bg_text_string(&head));
    for (int i = 0; i < n; i++) {
        bg_table_code(&b, specs[i]);
        bg_table_number(&b, bg_num_cell(&r->docs, point_of(points, "ggd", 2, specs[i]), "rate_bits"), BG_SIG3);
        for (int k = 0; k < COLUMNS; k++)
            bg_table_number(
                &b, bg_num_cell(&r->docs, point_of(points, columns[k].axis, columns[k].at, specs[i]), "gap_bits"),
                BG_SIG3);
    }
    bg_table_end(&b);
    bg_text_free(&head);
}

static void put_points(bg_report *r, bg_text *t, bg_rows points)
{
    bg_table b;
    bg_put_fold(t, "Every point of the atlas");
    bg_table_begin(&b, &r->page, t, "Every point of the atlas",
                   "source|format|bits/weight>|D/σ²>|gap (bit)>|± s.e.>|gap to the source's own bound (bit)>");
    for (int i = 0; i < points.n; i++) {
        const bg_row *row = &points.rows[i];
        bg_table_code(&b, bg_row_string(row, "source"));
        bg_table_code(&b, bg_row_string(row, "spec"));
        bg_table_number(&b, bg_num_cell(&r->docs, row, "rate_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "relative"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "gap_bits"), BG_SIG3);
        bg_table_number_or(&b, bg_num_cell(&r->docs, row, "error_bits"), BG_SIG3, "exact");
        bg_table_number(&b, bg_num_cell(&r->docs, row, "own_gap_bits"), BG_SIG3);
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
}

static void put_residuals(bg_report *r, bg_text *t, bg_rows residuals)
{
    static const char *const fields[] = {"mean_bits", "mean_low_bits", "mean_high_bits"};
    bg_table b;
    if (!residuals.n)
        return;
    bg_text_add(t, "**Measured less foretold, in bits**\n\n");
    bg_table_begin(&b, &r->page, t, "Measured less foretold, in bits",
                   "format|tensors>|mean>|2.5 %>|97.5 %>|root mean square>|largest>");
    for (int i = 0; i < residuals.n; i++) {
        const bg_row *row = &residuals.rows[i];
        bg_table_code(&b, bg_row_string(row, "spec"));
        bg_table_number(&b, bg_num_cell(&r->docs, row, "tensors"), BG_COUNT);
        for (int k = 0; k < 3; k++)
            bg_table_number_or(&b, bg_num_cell(&r->docs, row, fields[k]), BG_SIGNED, "one tensor");
        bg_table_number(&b, bg_num_cell(&r->docs, row, "rms_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "largest_bits"), BG_SIG3);
    }
    bg_table_end(&b);
}

/* ---- the figure ---- */

static int is_on(const bg_row *row, const char *axis, const line *l)
{
    if (strcmp(bg_row_string(row, "axis"), axis))
        return 0;
    return strcmp(axis, "block") ? !strcmp(bg_row_string(row, "spec"), l->spec)
                                 : l->block && !strncmp(bg_row_string(row, "spec"), l->block, strlen(l->block));
}

static void put_line(bg_figure *f, bg_rows points, const char *axis, const line *l, double *bottom, double *top)
{
    int some = 0;
    for (int i = 0; i < points.n; i++) {
        const bg_row *row = &points.rows[i];
        if (!is_on(row, axis, l))
            continue;
        double gap = bg_row_number(row, "gap_bits");
        char tip[256], text[BG_NUMBER_TEXT];
        snprintf(tip, sizeof tip, "%s on %s: gap %s bit", bg_row_string(row, "spec"), bg_row_string(row, "source"),
                 bg_number_text(text, gap, BG_SIG3));
        bg_text_format(&f->data, "%.6g %.6g %d\n", bg_row_number(row, "parameter"), gap, bg_figure_tip(f, tip));
        *bottom = fmin(*bottom, gap);
        *top = fmax(*top, gap);
        some = 1;
    }
    bg_text_add(&f->data, some ? "\n\n" : "NaN NaN 0\n\n\n");
}

static void put_tensors(bg_figure *f, bg_rows tensors, const line *l, double *least, double *most)
{
    int some = 0;
    for (int i = 0; i < tensors.n; i++) {
        const bg_row *row = &tensors.rows[i];
        if (strcmp(bg_row_string(row, "spec"), l->spec))
            continue;
        double x = bg_row_number(row, "predicted_bits"), y = bg_row_number(row, "measured_bits");
        char tip[256];
        snprintf(tip, sizeof tip, "%.120s: %s, β %.3g", bg_row_string(row, "tensor"), l->label,
                 bg_row_number(row, "shape"));
        bg_text_format(&f->data, "%.6g %.6g %d\n", x, y, bg_figure_tip(f, tip));
        *least = fmin(*least, fmin(x, y));
        *most = fmax(*most, fmax(x, y));
        some = 1;
    }
    bg_text_add(&f->data, some ? "\n\n" : "NaN NaN 0\n\n\n");
}

static const char *family_of(bg_rows points, const char *spec)
{
    for (int i = 0; i < points.n; i++)
        if (!strcmp(bg_row_string(&points.rows[i], "spec"), spec))
            return bg_row_string(&points.rows[i], "family");
    return "";
}

static void put_legend(bg_figure *f, bg_rows points, const line *lines, int n)
{
    bg_text *names = bg_slots_at(&f->slots, "names");
    for (int i = 0; i < n; i++) {
        const char *family = family_of(points, lines[i].spec);
        int within = 0;
        for (int k = 0; k < i; k++)
            within += !strcmp(family_of(points, lines[k].spec), family);
        bg_text_add(names, "set label ");
        bg_text_gnuplot(names, lines[i].label);
        bg_text_format(names,
                       " at screen %.3f, screen %.3f left tc rgb '%s' noenhanced point lt %d ps 0.7 offset 1,0\n",
                       0.05 + 0.24 * (i % 4), i < 4 ? 0.98 : 0.945, bg_family_text_colour(family), i + 1);
        bg_figure_curve(f, lines[i].label, family, within, 0);
    }
}

static int draw(bg_report *r, bg_text *where, bg_rows points, const char *const *specs, int n_specs, bg_err *e)
{
    bg_figure f;
    line lines[LINES];
    bg_rows tensors = bg_docset_rows(&r->docs, "atlas", "tensors");
    int n = choose(points, specs, n_specs, lines),
        status = bg_figure_begin(&f, &r->page, "atlas",
                                 "Gap of formats over shape, correlation, outliers and block size", e);
    double bottom = 0, top = 1, least = 10, most = 0;
    if (status)
        return status;
    for (int a = 0; a < AXES; a++)
        for (int i = 0; i < n; i++)
            put_line(&f, points, axes[a], &lines[i], &bottom, &top);
    for (int i = 0; i < n; i++)
        put_tensors(&f, tensors, &lines[i], &least, &most);
    put_legend(&f, points, lines, n);
    bg_text_format(bg_slots_at(&f.slots, "lines"), "%d", n);
    bg_text_format(bg_slots_at(&f.slots, "bottom"), "%g", floor(bottom * 4 - 0.01) / 4);
    bg_text_format(bg_slots_at(&f.slots, "top"), "%g", ceil(top * 4) / 4);
    bg_text_format(bg_slots_at(&f.slots, "least"), "%g", least < most ? floor(least * 4) / 4 : 0);
    bg_text_format(bg_slots_at(&f.slots, "most"), "%g", least < most ? ceil(most * 4) / 4 : 1);
    bg_text_add(&f.shown->caption, "A line that climbs to the left in the first two panels is a format that tails "
                                   "hurt; one that falls lives on them. In the last panel a point on the "
                                   "dashed line is a tensor whose shape says all.");
    bg_text_format(&f.shown->alt,
                   "Gap of %d formats over Student's ν, exponent β, correlation, share of outliers and block size; "
                   "foretold and measured gaps of %d points of this model.",
                   n, tensors.n);
    put_summary(r, &f.shown->table, points, specs, n_specs);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows points = bg_docset_rows(&r->docs, "atlas", "points"),
            residuals = bg_docset_rows(&r->docs, "atlas", "residuals");
    bg_text *finding = bg_slots_at(s, "finding"), *figure = bg_slots_at(s, "figure"),
            *table = bg_slots_at(s, "residuals"), *all = bg_slots_at(s, "points");
    const char *specs[SPECS];
    int n = list_specs(points, specs);
    if (!n || r->docs.filter.n_layers)
        return BG_OK;
    *present = 1;
    say_tails(r, finding, points, specs, n);
    say_residuals(r, finding, points, residuals);
    put_residuals(r, table, residuals);
    put_points(r, all, points);
    return draw(r, figure, points, specs, n, e);
}

const bg_report_section bg_section_atlas = {.id = "atlas", .title = "Atlas", .write = write};
