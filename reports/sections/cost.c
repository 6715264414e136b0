/* What it costs to run: size against perplexity, speed against accuracy, with what nothing beats. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

enum { NAMED = 8 };

/* A row no other row beats in both: smaller (or faster) and no worse. */
static int on_front(bg_rows rows, int i, const char *x, double x_sign, const char *y, double y_sign)
{
    double xi = x_sign * bg_row_number(&rows.rows[i], x), yi = y_sign * bg_row_number(&rows.rows[i], y);
    for (int k = 0; k < rows.n; k++) {
        double xk = x_sign * bg_row_number(&rows.rows[k], x), yk = y_sign * bg_row_number(&rows.rows[k], y);
        if (k != i && xk <= xi && yk <= yi && (xk < xi || yk < yi))
            return 0;
    }
    return isfinite(xi) && isfinite(yi);
}

static const char *name_of(const bg_row *row)
{
    const char *spec = bg_row_string(row, "spec");
    return strcmp(spec, "none") ? spec : bg_row_string(row, "model");
}

static void say_finding(bg_report *r, bg_text *t, bg_rows rows)
{
    const bg_row *base = &rows.rows[0], *best = NULL;
    double limit = 1.01 * bg_row_number(base, "perplexity");
    for (int i = 1; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        if (bg_row_number(row, "perplexity") <= limit &&
            !(best && bg_row_number(best, "bytes") <= bg_row_number(row, "bytes")))
            best = row;
    }
    if (!isfinite(limit)) {
        bg_text_format(t, "%d models were run; no text was given, so there is no perplexity to compare.", rows.n);
        return;
    }
    if (!best) {
        bg_text_add(t, "Nothing measured here stays within 1 % of the base perplexity of ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, base, "perplexity"), BG_SIG3);
        bg_text_add(t, ".");
        return;
    }
    bg_text_add(t, "The smallest model within 1 % of the base perplexity is ");
    bg_text_code(t, name_of(best));
    bg_text_add(t, ": ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, best, "bytes"), BG_MEGA);
    bg_text_add(t, " MB instead of ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, base, "bytes"), BG_MEGA);
    bg_text_add(t, ", perplexity ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, best, "perplexity"), BG_SIG3);
    bg_text_add(t, " instead of ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, base, "perplexity"), BG_SIG3);
    bg_num change = bg_num_cell(&r->docs, best, "log_perplexity_change"),
           se = bg_num_cell(&r->docs, best, "log_perplexity_change_se");
    if (isfinite(change.value) && isfinite(se.value)) {
        bg_text_add(t, fabs(change.value) < 2 * se.value ? "; the change of its logarithm, "
                                                         : "; its logarithm changes by ");
        bg_put_number(&r->page, t, change, BG_SIGNED);
        bg_text_add(t, " ± ");
        bg_put_number(&r->page, t, se, BG_SIG3);
        bg_text_add(t, fabs(change.value) < 2 * se.value ? ", is within the error" : "");
    }
    bg_text_add(t, ".");
}

static void put_table(bg_report *r, bg_text *t, bg_rows rows)
{
    static const struct {
        const char *field;
        bg_style style;
    } columns[] = {{"rate_bits", BG_SIG3},
                   {"model_bits", BG_SIG3},
                   {"bytes", BG_MEGA},
                   {"compression", BG_SIG3},
                   {"perplexity", BG_SIG3},
                   {"perplexity_se", BG_SIG3},
                   {"log_perplexity_change", BG_SIGNED},
                   {"log_perplexity_change_se", BG_SIG3},
                   {"qa_accuracy", BG_PERCENT},
                   {"qa_accuracy_se", BG_PERCENT},
                   {"tokens_per_second", BG_SIG3},
                   {"ms_per_token", BG_SIG3},
                   {"peak_bytes", BG_MEGA}};
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Models and formats",
                   "model|spec|bits/weight (layers)>|bits/weight (file)>|MB>|compression>|perplexity>|± s.e.>|Δ ln "
                   "PPL>|± s.e. paired>|QA (%)>|± s.e. QA>|tokens/s>|ms/token>|peak MB>");
    for (int i = 0; i < rows.n; i++) {
        bg_table_text(&b, bg_row_string(&rows.rows[i], "model"));
        bg_table_code(&b, bg_row_string(&rows.rows[i], "spec"));
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], columns[c].field), columns[c].style);
    }
    bg_table_end(&b);
}

typedef struct axes {
    const char *x, *y;       /* fields */
    double x_sign, y_sign;   /* −1 where more is better */
    double x_scale, y_scale; /* from the field's unit to the axis' */
    const char *y_error;     /* field of the standard error that is drawn; may be NULL */
} axes;

static double at_x(const axes *a, const bg_row *row)
{
    return bg_row_number(row, a->x) * a->x_scale;
}

static double at_y(const axes *a, const bg_row *row)
{
    return bg_row_number(row, a->y) * a->y_scale;
}

static int is_drawn(const axes *a, const bg_row *row)
{
    return isfinite(at_x(a, row)) && isfinite(at_y(a, row));
}

/* The row of the next larger x after `last` on (front 1) or off the front; −1 when there is none. */
static int next_row(bg_rows rows, const axes *a, int front, double last)
{
    int next = -1;
    for (int i = 0; i < rows.n; i++) {
        double v = at_x(a, &rows.rows[i]);
        if (is_drawn(a, &rows.rows[i]) && v > last && on_front(rows, i, a->x, a->x_sign, a->y, a->y_sign) == front &&
            (next < 0 || v < at_x(a, &rows.rows[next])))
            next = i;
    }
    return next;
}

/* Names of points right of them, apart from each other, joined to them by a thin line. */
static void name_points(bg_figure *f, bg_rows rows, const axes *a, const int *front, int n)
{
    double y[NAMED], left = INFINITY, right = -INFINITY, bottom = INFINITY, top = -INFINITY;
    for (int i = 0; i < rows.n; i++) {
        if (!is_drawn(a, &rows.rows[i]))
            continue;
        left = fmin(left, at_x(a, &rows.rows[i]));
        right = fmax(right, at_x(a, &rows.rows[i]));
        double se = a->y_error ? bg_row_number(&rows.rows[i], a->y_error) * a->y_scale : 0;
        bottom = fmin(bottom, at_y(a, &rows.rows[i]) - (isfinite(se) ? se : 0));
        top = fmax(top, at_y(a, &rows.rows[i]) + (isfinite(se) ? se : 0));
    }
    double pad = fmax(0.08 * (top - bottom), 1e-6 * fabs(top)), wide = fmax(right - left, 1e-6 * fabs(right));
    bg_text_format(bg_slots_at(&f->slots, "xrange"), "[%.6g:%.6g]", left - 0.04 * wide, right + 0.04 * wide);
    bg_text_format(bg_slots_at(&f->slots, "yrange"), "[%.6g:%.6g]", bottom - pad, top + pad);
    for (int i = 0; i < n; i++)
        y[i] = at_y(a, &rows.rows[front[i]]);
    bg_spread_labels(y, n, (top - bottom + 2 * pad) * 18 / 380, bottom, top);
    bg_text *labels = bg_slots_at(&f->slots, "labels");
    for (int i = 0; i < n; i++) {
        const bg_row *row = &rows.rows[front[i]];
        bg_text_add(labels, "set label ");
        bg_text_gnuplot(labels, name_of(row));
        bg_text_format(labels,
                       " at %.6g,%.6g left noenhanced front\nset arrow from %.6g,%.6g to %.6g,%.6g nohead lw 0.7 lc "
                       "rgb '#B0B0B0' back\n",
                       at_x(a, row) + 0.03 * wide, y[i], at_x(a, row), at_y(a, row), at_x(a, row) + 0.027 * wide, y[i]);
    }
}

/* Beaten points in a first block, the front in a second, each from left to right. Returns how many. */
static int put_points(bg_figure *f, bg_rows rows, const axes *a)
{
    int drawn = 0, front[NAMED], order[NAMED + 1], named = 0;
    for (int best = 0; best < 2; best++) {
        int some = 0;
        double last = -INFINITY;
        bg_text_add(&f->data, best ? "# what nothing beats in both\n" : "# beaten in both\n");
        for (int i; (i = next_row(rows, a, best, last)) >= 0; some++, drawn++) {
            const bg_row *row = &rows.rows[i];
            char tip[320], x[BG_NUMBER_TEXT], y[BG_NUMBER_TEXT];
            last = at_x(a, row);
            snprintf(tip, sizeof tip, "%s: %s, %s", name_of(row), bg_number_text(x, last, BG_SIG3),
                     bg_number_text(y, at_y(a, row), BG_SIG3));
            double se = a->y_error ? bg_row_number(row, a->y_error) * a->y_scale : 0;
            bg_text_format(&f->data, "%.6g %.6g %d %.6g\n", last, at_y(a, row), bg_figure_tip(f, tip),
                           isfinite(se) ? se : 0);
            order[drawn < NAMED + 1 ? drawn : NAMED] = i;
            if (best && named < NAMED)
                front[named++] = i;
        }
        bg_text_add(&f->data, some ? "\n\n" : "NaN NaN 0 0\n\n\n");
    }
    /* All are named when they are few, else those that nothing beats. */
    if (drawn)
        name_points(f, rows, a, drawn <= NAMED ? order : front, drawn <= NAMED ? drawn : named);
    return drawn;
}

static void put_drawn(bg_report *r, bg_text *t, bg_rows rows, const axes *a, const char *columns, bg_style x,
                      bg_style y)
{
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Points of this figure", columns);
    for (int i = 0; i < rows.n; i++) {
        if (!is_drawn(a, &rows.rows[i]))
            continue;
        bg_table_text(&b, bg_row_string(&rows.rows[i], "model"));
        bg_table_code(&b, bg_row_string(&rows.rows[i], "spec"));
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], a->x), x);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], a->y), y);
        bg_table_text(&b, on_front(rows, i, a->x, a->x_sign, a->y, a->y_sign) ? "yes" : "no");
    }
    bg_table_end(&b);
}

static int draw(bg_report *r, bg_text *where, bg_rows rows, int speed, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, speed ? "cost-speed" : "cost-size",
                                 speed ? "Accuracy against speed" : "Perplexity against size", e);
    if (status)
        return status;
    static const axes by_size = {"bytes", "perplexity", 1, 1, 1e-6, 1, NULL},
                      by_speed = {"tokens_per_second", "qa_accuracy", -1, -1, 1, 100, "qa_accuracy_se"};
    const axes *a = speed ? &by_speed : &by_size;
    int drawn = put_points(&f, rows, a);
    if (drawn < 2) {
        bg_figure_abandon(&f);
        return BG_OK;
    }
    bg_text_add(&f.shown->caption,
                speed ? "Up and to the right is better; whiskers are ± one standard error. Speed is that of this "
                        "program's float32 arithmetic, not of a kernel for the format."
                      : "Down and to the left is better; the line joins what nothing else beats in both.");
    bg_text_format(&f.shown->alt, "%s for %d models, with the Pareto front.",
                   speed ? "Accuracy in per cent against tokens per second" : "Perplexity against megabytes", drawn);
    put_drawn(r, &f.shown->table, rows, a,
              speed ? "model|spec|tokens/s>|accuracy (%)>|on the front" : "model|spec|MB>|perplexity>|on the front",
              speed ? BG_SIG3 : BG_MEGA, speed ? BG_PERCENT : BG_SIG3);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "evaluation", "rows");
    bg_text *finding = bg_slots_at(s, "finding"), *size = bg_slots_at(s, "size"), *speed = bg_slots_at(s, "speed"),
            *table = bg_slots_at(s, "table");
    if (!rows.n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding, rows);
    put_table(r, table, rows);
    int status = draw(r, size, rows, 0, e);
    return status ? status : draw(r, speed, rows, 1, e);
}

const bg_report_section bg_section_cost = {.id = "cost", .title = "Cost", .write = write};
