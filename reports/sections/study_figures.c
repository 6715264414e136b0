/* Owns what a study draws: bars of a metric, one metric against another, improvement tensor by tensor and as a
 * histogram. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/sections/study.h"

enum { PLACES = 64, BINS = 16, DRAWN_METHODS = 8 };

/* The study's methods, and what is being drawn of them. */
typedef struct canvas {
    bg_report *r;
    const bg_study_row *rows;
    int n;
    bg_facts *drawing; /* the row of `drawings` that says its words */
    int number;        /* of the figure on the page, from 1 */
} canvas;

/* A figure with the template `template` and a name of its own: several of a kind stand on one page. */
static int begin_figure(bg_figure *f, const canvas *c, const char *template, bg_err *e)
{
    bg_page *page = &c->r->page;
    int status = bg_figure_begin(f, page, template, NULL, e);
    if (status)
        return status;
    snprintf(f->shown->name, sizeof f->shown->name, "%sstudy-%d", page->prefix ? page->prefix : "", c->number);
    bg_text *name = bg_slots_at(&f->slots, "name");
    bg_text_clear(name);
    bg_text_add(name, f->shown->name);
    return BG_OK;
}

static void row_name(const bg_study_row *row, char *out, size_t room)
{
    if (row->models > 1 && row->model)
        snprintf(out, room, "%s, %s", row->name, row->model);
    else
        snprintf(out, room, "%s", row->name);
}

/* A number as the axis counts it: percentages in per cent, bytes in millions. */
static double on_axis(const bg_measured *m, double v)
{
    return m->style == BG_PERCENT ? 100 * v : m->style == BG_MEGA ? v / 1e6 : v;
}

/* ---- bars ---- */

/* Bars start at 0 unless all values are alike; then the axis starts near them and the caption says so. */
static void put_bars_range(bg_figure *f, double min, double max)
{
    double left = 0;
    if (min > 0.6 * max && min > 0)
        left = min - 0.5 * (max - min) - 0.01 * max;
    if (min < 0)
        left = min - 0.1 * (max - min);
    double right = max + 0.14 * (max - left);
    bg_text_format(bg_slots_at(&f->slots, "xrange"), "[%.6g:%.6g]", left, right > left ? right : left + 1);
    bg_text_format(bg_slots_at(&f->slots, "start"), "%.6g", left > 0 ? left : 0);
    bg_fact_flag(f->facts, "axis_starts_late", left > 0);
    bg_fact_number(f->facts, "smallest", (bg_num){.value = min}, BG_SIG3);
    bg_fact_number(f->facts, "largest", (bg_num){.value = max}, BG_SIG3);
}

static int draw_bars(const canvas *c, const bg_row *row, bg_err *e)
{
    bg_measured m = bg_measured_of(row, "y_");
    bg_figure f;
    char name[160], text[BG_NUMBER_TEXT];
    double min = INFINITY, max = -INFINITY;
    int drawn = 0, status = begin_figure(&f, c, "study-bars", e);
    bg_text *names = bg_slots_at(&f.slots, "names");
    for (int i = 0; i < c->n && !status; i++) {
        bg_num v = bg_measured_value(c->r, &m, c->rows[i].spec, c->rows[i].model);
        double at = on_axis(&m, v.value);
        if (!isfinite(v.value))
            continue;
        row_name(&c->rows[i], name, sizeof name);
        min = fmin(min, at);
        max = fmax(max, at);
        bg_text_add(names, drawn ? ", " : "");
        bg_text_gnuplot(names, name);
        bg_text_format(&f.data, "%d %.6g %s ", drawn, at, !strcmp(c->rows[i].spec, "none") ? "0x767676" : "0x0072B2");
        bg_text_column(&f.data, bg_number_text(text, v.value, m.style));
        bg_text_add(&f.data, "\n");
        bg_facts *bar = bg_fact_add_row(f.facts, "bars");
        bg_fact_text(bar, "name", name);
        bg_fact_number(bar, "value", v, m.style);
        drawn++;
    }
    if (status || !drawn) {
        bg_figure_withhold(&f, c->drawing, "figure");
        return status;
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", drawn);
    bg_text_gnuplot(bg_slots_at(&f.slots, "xlabel"), m.heading);
    bg_fact_text(f.facts, "heading", m.heading);
    bg_fact_text(f.facts, "better", m.better);
    bg_fact_number(f.facts, "count", (bg_num){.value = drawn}, BG_COUNT);
    put_bars_range(&f, min, max);
    return bg_figure_offer(&f, c->drawing, "figure", e);
}

/* ---- one metric against another ---- */

typedef struct spot {
    double x, y; /* on their axes */
    int row, front;
} spot;

static int by_x(const void *a, const void *b)
{
    const spot *p = a, *q = b;
    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return (p->row > q->row) - (p->row < q->row);
}

/* A spot is on the front when no other is at least as good in both and better in one. */
static void mark_front(spot *s, int n, double x_sign, double y_sign)
{
    for (int i = 0; i < n; i++) {
        s[i].front = 1;
        for (int k = 0; k < n; k++) {
            double dx = x_sign * (s[k].x - s[i].x), dy = y_sign * (s[k].y - s[i].y);
            if (k != i && dx <= 0 && dy <= 0 && (dx < 0 || dy < 0))
                s[i].front = 0;
        }
    }
}

static void put_spots(bg_figure *f, const bg_study_row *rows, const spot *s, int n)
{
    char name[160];
    for (int front = 0; front < 2; front++) {
        int some = 0, number;
        bg_text_add(&f->data, front ? "# what nothing beats in both\n" : "# beaten in both\n");
        for (int i = 0; i < n; i++) {
            if (s[i].front != front)
                continue;
            row_name(&rows[s[i].row], name, sizeof name);
            bg_facts *point = bg_figure_point(f, &number);
            bg_fact_text(point, "name", name);
            bg_fact_number(point, "x", (bg_num){.value = s[i].x}, BG_SIG3);
            bg_fact_number(point, "y", (bg_num){.value = s[i].y}, BG_SIG3);
            bg_text_format(&f->data, "%.6g %.6g %d\n", s[i].x, s[i].y, number);
            some++;
        }
        bg_text_add(&f->data, some ? "\n\n" : "NaN NaN 0\n\n\n");
    }
}

/* Every spot named to its right, the names apart from each other and joined to their spots by thin lines. */
static void name_spots(bg_figure *f, const bg_study_row *rows, const spot *s, int n)
{
    double y[BG_STUDY_ROWS], left = s[0].x, right = s[n - 1].x, bottom = INFINITY, top = -INFINITY;
    char name[160];
    for (int i = 0; i < n; i++) {
        y[i] = s[i].y;
        bottom = fmin(bottom, y[i]);
        top = fmax(top, y[i]);
    }
    double pad = fmax(0.08 * (top - bottom), 1e-6 * fabs(top)), wide = fmax(right - left, 1e-6 * fabs(right));
    bg_text_format(bg_slots_at(&f->slots, "xrange"), "[%.6g:%.6g]", left - 0.04 * wide, right + 0.04 * wide);
    bg_text_format(bg_slots_at(&f->slots, "yrange"), "[%.6g:%.6g]", bottom - pad, top + pad);
    bg_spread_labels(y, n, (top - bottom + 2 * pad) * 18 / 380, bottom - 0.5 * pad, top + 0.5 * pad);
    bg_text *labels = bg_slots_at(&f->slots, "labels");
    for (int i = 0; i < n; i++) {
        row_name(&rows[s[i].row], name, sizeof name);
        bg_text_add(labels, "set label ");
        bg_text_gnuplot(labels, name);
        bg_text_format(labels,
                       " at %.6g,%.6g left noenhanced front tc rgb '%s'\nset arrow from %.6g,%.6g to %.6g,%.6g nohead "
                       "lw 0.7 lc rgb '#B0B0B0' back\n",
                       s[i].x + 0.03 * wide, y[i], s[i].front ? "#303030" : "#767676", s[i].x, s[i].y,
                       s[i].x + 0.027 * wide, y[i]);
    }
}

static void list_spots(bg_figure *f, const canvas *c, const bg_measured *x, const bg_measured *y, const spot *s, int n)
{
    char name[160];
    bg_fact_text(f->facts, "x_heading", x->heading);
    bg_fact_text(f->facts, "y_heading", y->heading);
    bg_fact_text(f->facts, "x_better", x->better);
    bg_fact_text(f->facts, "y_better", y->better);
    bg_fact_number(f->facts, "count", (bg_num){.value = n}, BG_COUNT);
    for (int i = 0; i < n; i++) {
        const bg_study_row *row = &c->rows[s[i].row];
        bg_facts *row_facts = bg_fact_add_row(f->facts, "spots");
        row_name(row, name, sizeof name);
        bg_fact_text(row_facts, "name", name);
        bg_fact_number(row_facts, "x", bg_measured_value(c->r, x, row->spec, row->model), x->style);
        bg_fact_number(row_facts, "y", bg_measured_value(c->r, y, row->spec, row->model), y->style);
        bg_fact_flag(row_facts, "front", s[i].front);
    }
}

static int draw_against(const canvas *c, const bg_row *row, bg_err *e)
{
    bg_measured x = bg_measured_of(row, "x_"), y = bg_measured_of(row, "y_");
    spot s[BG_STUDY_ROWS];
    bg_figure f;
    int drawn = 0;
    for (int i = 0; i < c->n; i++) {
        const bg_study_row *of = &c->rows[i];
        spot at = {on_axis(&x, bg_measured_value(c->r, &x, of->spec, of->model).value),
                   on_axis(&y, bg_measured_value(c->r, &y, of->spec, of->model).value), i, 0};
        if (isfinite(at.x) && isfinite(at.y))
            s[drawn++] = at;
    }
    if (drawn < 2)
        return BG_OK;
    qsort(s, (size_t)drawn, sizeof *s, by_x);
    mark_front(s, drawn, !strcmp(x.better, "more") ? -1 : 1, !strcmp(y.better, "more") ? -1 : 1);
    int status = begin_figure(&f, c, "study-against", e);
    if (status)
        return status;
    put_spots(&f, c->rows, s, drawn);
    name_spots(&f, c->rows, s, drawn);
    bg_text_gnuplot(bg_slots_at(&f.slots, "xlabel"), x.heading);
    bg_text_gnuplot(bg_slots_at(&f.slots, "ylabel"), y.heading);
    list_spots(&f, c, &x, &y, s, drawn);
    return bg_figure_offer(&f, c->drawing, "figure", e);
}

/* ---- improvement over the reference ---- */

typedef struct improvement {
    const char *reference, *spec, *measure;
} improvement;

/* Error of the reference over that of the method on the reference's point `at`: above 1 is better. */
static bg_num ratio_at(const bg_report *r, const improvement *v, const bg_point *at)
{
    const bg_num none = {.value = NAN};
    int n;
    const bg_point *p = bg_docset_spec(&r->docs, v->spec, &n);
    for (int i = 0; i < n; i++)
        if (!strcmp(p[i].tensor, at->tensor))
            return bg_num_operate(bg_num_cell(&r->docs, at->curve, v->measure), '/',
                                  bg_num_cell(&r->docs, p[i].curve, v->measure));
    return none;
}

static int compare_ratio(const void *a, const void *b)
{
    double p = ((const bg_num *)a)->value, q = ((const bg_num *)b)->value;
    return (p > q) - (p < q);
}

/* Ratios of a method over all tensors, ascending; malloc'ed. Returns how many. */
static int ratios(const bg_report *r, const improvement *v, bg_num **out)
{
    int n, k = 0;
    const bg_point *p = bg_docset_spec(&r->docs, v->reference, &n);
    *out = malloc(((size_t)n + 1) * sizeof **out);
    for (int i = 0; *out && i < n; i++) {
        bg_num x = ratio_at(r, v, &p[i]);
        if (isfinite(x.value) && x.value > 0)
            (*out)[k++] = x;
    }
    if (*out)
        qsort(*out, (size_t)k, sizeof **out, compare_ratio);
    return k;
}

static int is_compared(const bg_study_row *row, const bg_study_row *rows, const improvement *v)
{
    return strcmp(row->spec, "none") && strcmp(row->spec, v->reference) && row->model == rows[0].model;
}

/* Smallest, middle and largest ratio of every method, and on how many tensors it makes less error. */
static void list_ratios(const canvas *c, bg_facts *facts, improvement v)
{
    bg_fact_rows(facts, "ratios");
    for (int i = 0; i < c->n; i++) {
        bg_num *x;
        v.spec = c->rows[i].spec;
        if (!is_compared(&c->rows[i], c->rows, &v))
            continue;
        int k = ratios(c->r, &v, &x), above = 0;
        for (int j = 0; j < k; j++)
            above += x[j].value > 1;
        if (k) {
            bg_facts *row = bg_fact_add_row(facts, "ratios");
            bg_fact_text(row, "name", c->rows[i].name);
            bg_fact_number(row, "min", x[0], BG_SIG3);
            bg_fact_number(row, "median", x[k / 2], BG_SIG3);
            bg_fact_number(row, "max", x[k - 1], BG_SIG3);
            bg_fact_number(row, "tensors", (bg_num){.value = k}, BG_PLAIN);
            bg_fact_number(row, "better", (bg_num){.value = above}, BG_PLAIN);
        }
        free(x);
    }
}

/* Where ratios are drawn: each tensor, or each layer where there are too many. */
typedef struct place {
    const bg_point *point; /* NULL: the layer */
    int layer;
} place;

static int find_places(const bg_report *r, const improvement *v, place *out)
{
    int n, k = 0;
    const bg_point *p = bg_docset_spec(&r->docs, v->reference, &n);
    for (int i = 0; n <= PLACES && i < n; i++)
        if (isfinite(bg_row_number(p[i].curve, v->measure)))
            out[k++] = (place){&p[i], p[i].layer};
    for (int i = 0; n > PLACES && i < n && k < PLACES; i++) {
        int seen = p[i].layer < 0;
        for (int j = 0; j < k; j++)
            seen |= out[j].layer == p[i].layer;
        if (!seen)
            out[k++] = (place){NULL, p[i].layer};
    }
    return k;
}

static bg_num ratio_of(const bg_report *r, const improvement *v, const place *at)
{
    char where[16];
    if (at->point)
        return ratio_at(r, v, at->point);
    snprintf(where, sizeof where, "#%d", at->layer);
    return bg_num_operate(bg_num_over(&r->docs, "mean", v->measure, where, v->reference), '/',
                          bg_num_over(&r->docs, "mean", v->measure, where, v->spec));
}

static void place_name(const place *at, char *out, size_t room)
{
    if (!at->point)
        snprintf(out, room, "layer %d", at->layer);
    else if (at->layer < 0)
        snprintf(out, room, "%s", at->point->role);
    else
        snprintf(out, room, "%d %s", at->layer, at->point->role);
}

/* The methods compared, and a row per place with a cell per method. */
static void list_places(bg_figure *f, const canvas *c, improvement v, const place *places, int n)
{
    char name[96];
    for (int i = 0; i < c->n; i++)
        if (is_compared(&c->rows[i], c->rows, &v))
            bg_fact_text(bg_fact_add_row(f->facts, "compared"), "name", c->rows[i].name);
    for (int k = 0; k < n; k++) {
        bg_facts *row = bg_fact_add_row(f->facts, "places");
        place_name(&places[k], name, sizeof name);
        bg_fact_text(row, "name", name);
        for (int i = 0; i < c->n; i++) {
            v.spec = c->rows[i].spec;
            if (is_compared(&c->rows[i], c->rows, &v))
                bg_fact_number(bg_fact_add_row(row, "cells"), "ratio", ratio_of(c->r, &v, &places[k]), BG_SIG3);
        }
    }
}

static improvement improvement_of(const bg_report *r)
{
    const bg_row *settings = bg_study_settings(r);
    return (improvement){bg_study_spec(r, bg_row_string(settings, "reference")), NULL,
                         bg_row_string(settings, "measure")};
}

static void put_counts(bg_figure *f, int methods, const char *of, int n)
{
    bg_text_format(bg_slots_at(&f->slots, "methods"), "%d", methods);
    bg_fact_number(f->facts, "count", (bg_num){.value = methods}, BG_COUNT);
    bg_fact_number(f->facts, of, (bg_num){.value = n}, BG_COUNT);
}

/* A method's block of data, in the colour of its number: every method here may be of the same family. */
static void begin_method(bg_figure *f, const char *name, int number)
{
    bg_figure_curve(f, name, bg_family_in_turn(number), 0, 0);
    bg_text_column(&f->data, name);
    bg_text_add(&f->data, "\n");
}

static void put_ticks(bg_figure *f, const place *places, int n)
{
    bg_text *ticks = bg_slots_at(&f->slots, "ticks");
    char name[96];
    for (int k = 0; k < n; k++) {
        place_name(&places[k], name, sizeof name);
        bg_text_add(ticks, k ? ", " : "");
        bg_text_gnuplot(ticks, name);
        bg_text_format(ticks, " %d", k);
    }
    bg_text_format(bg_slots_at(&f->slots, "places"), "%d", n);
}

static int draw_tensors(const canvas *c, bg_err *e)
{
    improvement v = improvement_of(c->r);
    place places[PLACES];
    bg_figure f;
    int n = find_places(c->r, &v, places), drawn = 0, status = begin_figure(&f, c, "study-tensors", e);
    for (int i = 0; i < c->n && !status && drawn < DRAWN_METHODS; i++) {
        v.spec = c->rows[i].spec;
        if (!is_compared(&c->rows[i], c->rows, &v))
            continue;
        begin_method(&f, c->rows[i].name, drawn);
        for (int k = 0; k < n; k++)
            if (isfinite(ratio_of(c->r, &v, &places[k]).value))
                bg_text_format(&f.data, "%d %.6g\n", k, ratio_of(c->r, &v, &places[k]).value);
        bg_text_add(&f.data, "\n\n");
        drawn++;
    }
    if (status || !drawn || !n) {
        bg_figure_withhold(&f, c->drawing, "figure");
        return status;
    }
    put_ticks(&f, places, n);
    put_counts(&f, drawn, "place_count", n);
    list_places(&f, c, v, places, n);
    list_ratios(c, c->drawing, v);
    return bg_figure_offer(&f, c->drawing, "figure", e);
}

/* The range of the logarithms of all ratios. */
static void find_range(const canvas *c, improvement v, double *min, double *max)
{
    bg_num *x;
    *min = INFINITY;
    *max = -INFINITY;
    for (int i = 0; i < c->n; i++) {
        v.spec = c->rows[i].spec;
        if (!is_compared(&c->rows[i], c->rows, &v))
            continue;
        int k = ratios(c->r, &v, &x);
        *min = k ? fmin(*min, log2(x[0].value)) : *min;
        *max = k ? fmax(*max, log2(x[k - 1].value)) : *max;
        free(x);
    }
}

/* Counts per bin of equal width in the logarithm. Returns how many tensors were counted. */
static int put_bins(bg_figure *f, const canvas *c, const improvement *v, double min, double width)
{
    int count[BINS] = {0};
    bg_num *x;
    int k = ratios(c->r, v, &x);
    for (int j = 0; j < k; j++) {
        int bin = (int)((log2(x[j].value) - min) / width);
        count[bin < BINS ? bin : BINS - 1]++;
    }
    free(x);
    for (int b = 0; b < BINS; b++)
        bg_text_format(&f->data, "%.6g %d\n", exp2(min + (b + 0.5) * width), count[b]);
    bg_text_add(&f->data, "\n\n");
    return k;
}

static int draw_histogram(const canvas *c, bg_err *e)
{
    improvement v = improvement_of(c->r);
    bg_figure f;
    double min, max;
    int drawn = 0, tensors = 0, status = begin_figure(&f, c, "study-histogram", e);
    find_range(c, v, &min, &max);
    double width = max > min ? (max - min) / BINS : 1.0 / BINS;
    for (int i = 0; i < c->n && !status && drawn < DRAWN_METHODS; i++) {
        v.spec = c->rows[i].spec;
        if (!is_compared(&c->rows[i], c->rows, &v))
            continue;
        begin_method(&f, c->rows[i].name, drawn++);
        tensors = put_bins(&f, c, &v, min, width);
    }
    if (status || !drawn || max < min) {
        bg_figure_withhold(&f, c->drawing, "figure");
        return status;
    }
    bg_text_format(bg_slots_at(&f.slots, "step"), "%.6g", exp2(width));
    put_counts(&f, drawn, "tensors", tensors);
    list_ratios(c, f.facts, v);
    return bg_figure_offer(&f, c->drawing, "figure", e);
}

int bg_study_draw(bg_report *r, bg_facts *facts, const bg_study_row *rows, int n, bg_err *e)
{
    bg_rows figures = bg_docset_rows(&r->docs, "study", "figures");
    int status = BG_OK;
    bg_fact_rows(facts, "drawings");
    for (int i = 0; i < figures.n && !status; i++) {
        const char *kind = bg_row_string(&figures.rows[i], "kind");
        canvas c = {r, rows, n, bg_fact_add_row(facts, "drawings"), i + 1};
        bg_fact_text(c.drawing, "kind", kind);
        bg_fact_rows(c.drawing, "ratios");
        bg_fact_no_set(c.drawing, "figure");
        if (!strcmp(kind, "bars"))
            status = draw_bars(&c, &figures.rows[i], e);
        else if (!strcmp(kind, "against"))
            status = draw_against(&c, &figures.rows[i], e);
        else if (!strcmp(kind, "tensors"))
            status = draw_tensors(&c, e);
        else if (!strcmp(kind, "histogram"))
            status = draw_histogram(&c, e);
    }
    return status;
}
