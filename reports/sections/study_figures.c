/* Owns what a study draws: bars of a metric, one metric against another, improvement tensor by tensor and as a
 * histogram. */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/sections/study.h"

enum { PLACES = 64, BINS = 16, DRAWN_METHODS = 8 };

/* A figure with the template `template` and a name of its own: several of a kind stand on one page. */
static int begin(bg_figure *f, bg_report *r, const char *template, int number, const char *title, bg_err *e)
{
    int status = bg_figure_begin(f, &r->page, template, title, e);
    if (status)
        return status;
    snprintf(f->shown->name, sizeof f->shown->name, "%sstudy-%d", r->page.prefix ? r->page.prefix : "", number);
    bg_text *name = bg_slots_at(&f->slots, "name");
    bg_text_clear(name);
    bg_text_add(name, f->shown->name);
    return BG_OK;
}

static int finish(bg_figure *f, bg_report *r, bg_text *where, bg_err *e)
{
    int status = bg_figure_finish(f, e);
    bg_put_figure(&r->page, where, f->index);
    return status;
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

static void bars_table(bg_report *r, bg_figure *f, const bg_measured *m, const bg_study_row *rows, int n)
{
    bg_table b;
    bg_text heads = {0};
    char name[160];
    bg_text_add(&heads, "method|");
    bg_text_markdown(&heads, m->heading);
    bg_text_add(&heads, ">");
    bg_table_begin(&b, &r->page, &f->shown->table, "Numbers of this figure", bg_text_string(&heads));
    for (int i = 0; i < n; i++) {
        bg_num v = bg_measured_value(r, m, rows[i].spec, rows[i].model);
        row_name(&rows[i], name, sizeof name);
        if (!isfinite(v.value))
            continue;
        bg_table_text(&b, name);
        bg_table_number(&b, v, m->style);
    }
    bg_table_end(&b);
    bg_text_free(&heads);
}

/* Bars start at 0 unless all values are alike; then the axis starts near them and the caption says so. */
static void bars_range(bg_figure *f, double least, double most)
{
    double left = 0;
    if (least > 0.6 * most && least > 0)
        left = least - 0.5 * (most - least) - 0.01 * most;
    if (least < 0)
        left = least - 0.1 * (most - least);
    double right = most + 0.14 * (most - left);
    bg_text_format(bg_slots_at(&f->slots, "xrange"), "[%.6g:%.6g]", left, right > left ? right : left + 1);
    bg_text_format(bg_slots_at(&f->slots, "start"), "%.6g", left > 0 ? left : 0);
    if (left > 0)
        bg_text_add(&f->shown->caption, " The axis does not start at 0.");
}

static int draw_bars(bg_report *r, bg_text *where, const bg_row *row, int number, const bg_study_row *rows, int n,
                     bg_err *e)
{
    bg_measured m = bg_measured_of(row, "y_");
    bg_figure f;
    char name[160], text[BG_NUMBER_TEXT];
    double least = INFINITY, most = -INFINITY;
    int drawn = 0, status = begin(&f, r, "study-bars", number, m.heading, e);
    bg_text *names = bg_slots_at(&f.slots, "names");
    for (int i = 0; i < n && !status; i++) {
        double v = bg_measured_value(r, &m, rows[i].spec, rows[i].model).value, at = on_axis(&m, v);
        if (!isfinite(v))
            continue;
        row_name(&rows[i], name, sizeof name);
        least = fmin(least, at);
        most = fmax(most, at);
        bg_text_add(names, drawn ? ", " : "");
        bg_text_gnuplot(names, name);
        bg_text_format(&f.data, "%d %.6g %s ", drawn, at, !strcmp(rows[i].spec, "none") ? "0x767676" : "0x0072B2");
        bg_text_column(&f.data, bg_number_text(text, v, m.style));
        bg_text_add(&f.data, "\n");
        drawn++;
    }
    if (status || !drawn) {
        bg_figure_abandon(&f);
        return status;
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", drawn);
    bg_text_gnuplot(bg_slots_at(&f.slots, "xlabel"), m.heading);
    bg_text_markdown(&f.shown->caption, m.heading);
    bg_text_add(&f.shown->caption, !strcmp(m.better, "less")   ? ": shorter is better."
                                   : !strcmp(m.better, "more") ? ": longer is better."
                                                               : ".");
    bars_range(&f, least, most);
    bg_text_format(&f.shown->alt, "%s of %d methods, from %.4g to %.4g.", m.heading, drawn, least, most);
    bars_table(r, &f, &m, rows, n);
    return finish(&f, r, where, e);
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
    char name[160], tip[320];
    for (int front = 0; front < 2; front++) {
        int some = 0;
        bg_text_add(&f->data, front ? "# what nothing beats in both\n" : "# beaten in both\n");
        for (int i = 0; i < n; i++) {
            if (s[i].front != front)
                continue;
            row_name(&rows[s[i].row], name, sizeof name);
            snprintf(tip, sizeof tip, "%s: %.4g, %.4g", name, s[i].x, s[i].y);
            bg_text_format(&f->data, "%.6g %.6g %d\n", s[i].x, s[i].y, bg_figure_tip(f, tip));
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

static void spots_table(bg_report *r, bg_figure *f, const bg_measured *x, const bg_measured *y,
                        const bg_study_row *rows, const spot *s, int n)
{
    bg_table b;
    bg_text heads = {0};
    char name[160];
    bg_text_add(&heads, "method|");
    bg_text_markdown(&heads, x->heading);
    bg_text_add(&heads, ">|");
    bg_text_markdown(&heads, y->heading);
    bg_text_add(&heads, ">|on the front");
    bg_table_begin(&b, &r->page, &f->shown->table, "Points of this figure", bg_text_string(&heads));
    for (int i = 0; i < n; i++) {
        const bg_study_row *row = &rows[s[i].row];
        row_name(row, name, sizeof name);
        bg_table_text(&b, name);
        bg_table_number(&b, bg_measured_value(r, x, row->spec, row->model), x->style);
        bg_table_number(&b, bg_measured_value(r, y, row->spec, row->model), y->style);
        bg_table_text(&b, s[i].front ? "yes" : "no");
    }
    bg_table_end(&b);
    bg_text_free(&heads);
}

static int draw_against(bg_report *r, bg_text *where, const bg_row *row, int number, const bg_study_row *rows, int n,
                        bg_err *e)
{
    bg_measured x = bg_measured_of(row, "x_"), y = bg_measured_of(row, "y_");
    spot s[BG_STUDY_ROWS];
    bg_figure f;
    bg_text title = {0};
    int drawn = 0;
    for (int i = 0; i < n; i++) {
        spot at = {on_axis(&x, bg_measured_value(r, &x, rows[i].spec, rows[i].model).value),
                   on_axis(&y, bg_measured_value(r, &y, rows[i].spec, rows[i].model).value), i, 0};
        if (isfinite(at.x) && isfinite(at.y))
            s[drawn++] = at;
    }
    if (drawn < 2)
        return BG_OK;
    qsort(s, (size_t)drawn, sizeof *s, by_x);
    mark_front(s, drawn, !strcmp(x.better, "more") ? -1 : 1, !strcmp(y.better, "more") ? -1 : 1);
    bg_text_format(&title, "%s against %s", y.heading, x.heading);
    int status = begin(&f, r, "study-against", number, bg_text_string(&title), e);
    bg_text_free(&title);
    if (status)
        return status;
    put_spots(&f, rows, s, drawn);
    name_spots(&f, rows, s, drawn);
    bg_text_gnuplot(bg_slots_at(&f.slots, "xlabel"), x.heading);
    bg_text_gnuplot(bg_slots_at(&f.slots, "ylabel"), y.heading);
    bg_text_format(
        &f.shown->caption, "%s and %s is better; the line joins what nothing else beats in both (the Pareto front).",
        !strcmp(y.better, "more") ? "Up" : "Down", !strcmp(x.better, "more") ? "to the right" : "to the left");
    bg_text_format(&f.shown->alt, "%s against %s for %d methods, with the Pareto front.", y.heading, x.heading, drawn);
    spots_table(r, &f, &x, &y, rows, s, drawn);
    return finish(&f, r, where, e);
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

/* Least, middle and largest ratio of every method. */
static void ratio_table(bg_report *r, bg_text *t, improvement v, const bg_study_row *rows, int n)
{
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Improvement over the tensors",
                   "method|least>|median>|most>|tensors|with less error than the reference");
    for (int i = 0; i < n; i++) {
        bg_num *x;
        char count[32], better[32];
        v.spec = rows[i].spec;
        if (!is_compared(&rows[i], rows, &v))
            continue;
        int k = ratios(r, &v, &x), above = 0;
        for (int j = 0; j < k; j++)
            above += x[j].value > 1;
        snprintf(count, sizeof count, "%d", k);
        snprintf(better, sizeof better, "%d", above);
        if (k) {
            bg_table_text(&b, rows[i].name);
            bg_table_number(&b, x[0], BG_SIG3);
            bg_table_number(&b, x[k / 2], BG_SIG3);
            bg_table_number(&b, x[k - 1], BG_SIG3);
            bg_table_text(&b, count);
            bg_table_text(&b, better);
        }
        free(x);
    }
    bg_table_end(&b);
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

static void places_table(bg_report *r, bg_figure *f, improvement v, const place *places, int n_places,
                         const bg_study_row *rows, int n)
{
    bg_table b;
    bg_text heads = {0};
    char name[96];
    bg_text_add(&heads, "place");
    for (int i = 0; i < n; i++)
        if (is_compared(&rows[i], rows, &v)) {
            bg_text_add(&heads, "|");
            bg_text_slug(&heads, rows[i].name);
            bg_text_add(&heads, ">");
        }
    bg_table_begin(&b, &r->page, &f->shown->table, "Ratios of this figure", bg_text_string(&heads));
    for (int k = 0; k < n_places; k++) {
        place_name(&places[k], name, sizeof name);
        bg_table_text(&b, name);
        for (int i = 0; i < n; i++) {
            v.spec = rows[i].spec;
            if (is_compared(&rows[i], rows, &v))
                bg_table_number(&b, ratio_of(r, &v, &places[k]), BG_SIG3);
        }
    }
    bg_table_end(&b);
    bg_text_free(&heads);
}

static void say_reference(bg_report *r, bg_text *t, const bg_row *settings)
{
    (void)r;
    bg_text_add(t, "How many times less error than ");
    bg_put_method(t, bg_row_string(settings, "reference"));
    bg_text_add(t, !strcmp(bg_row_string(settings, "measure"), "mse")
                       ? " makes in the weights: above 1 is better."
                       : " makes in what the layers compute: above 1 is better.");
}

/* A method's block of data, in the colour of its number: every method here may be of the same family. */
static void begin_method(bg_figure *f, const char *name, int number)
{
    bg_figure_curve(f, name, bg_family_in_turn(number), 0, 0);
    bg_text_column(&f->data, name);
    bg_text_add(&f->data, "\n");
}

static int draw_tensors(bg_report *r, bg_text *where, int number, const bg_study_row *rows, int n, bg_err *e)
{
    const bg_row *settings = bg_study_settings(r);
    improvement v = {bg_study_spec(r, bg_row_string(settings, "reference")), NULL, bg_row_string(settings, "measure")};
    place places[PLACES];
    bg_figure f;
    char name[96];
    int n_places = find_places(r, &v, places), drawn = 0;
    int status = begin(&f, r, "study-tensors", number, "Improvement, place by place", e);
    for (int k = 0; k < n_places && !status; k++) {
        place_name(&places[k], name, sizeof name);
        bg_text *ticks = bg_slots_at(&f.slots, "ticks");
        bg_text_add(ticks, k ? ", " : "");
        bg_text_gnuplot(ticks, name);
        bg_text_format(ticks, " %d", k);
    }
    for (int i = 0; i < n && !status && drawn < DRAWN_METHODS; i++) {
        v.spec = rows[i].spec;
        if (!is_compared(&rows[i], rows, &v))
            continue;
        begin_method(&f, rows[i].name, drawn);
        for (int k = 0; k < n_places; k++)
            if (isfinite(ratio_of(r, &v, &places[k]).value))
                bg_text_format(&f.data, "%d %.6g\n", k, ratio_of(r, &v, &places[k]).value);
        bg_text_add(&f.data, "\n\n");
        drawn++;
    }
    if (status || !drawn || !n_places) {
        bg_figure_abandon(&f);
        return status;
    }
    bg_text_format(bg_slots_at(&f.slots, "methods"), "%d", drawn);
    bg_text_format(bg_slots_at(&f.slots, "places"), "%d", n_places);
    say_reference(r, &f.shown->caption, settings);
    bg_text_format(&f.shown->alt, "Ratio of the error of %s to that of %d methods in %d places.",
                   bg_row_string(settings, "reference"), drawn, n_places);
    places_table(r, &f, v, places, n_places, rows, n);
    status = finish(&f, r, where, e);
    ratio_table(r, where, v, rows, n);
    return status;
}

/* Counts per bin of equal width in the logarithm. */
static int draw_histogram(bg_report *r, bg_text *where, int number, const bg_study_row *rows, int n, bg_err *e)
{
    const bg_row *settings = bg_study_settings(r);
    improvement v = {bg_study_spec(r, bg_row_string(settings, "reference")), NULL, bg_row_string(settings, "measure")};
    bg_figure f;
    bg_num *x;
    double least = INFINITY, most = -INFINITY;
    int drawn = 0, tensors = 0, status = begin(&f, r, "study-histogram", number, "Improvement, how often", e);
    for (int i = 0; i < n; i++) {
        v.spec = rows[i].spec;
        if (!is_compared(&rows[i], rows, &v))
            continue;
        int k = ratios(r, &v, &x);
        least = k ? fmin(least, log2(x[0].value)) : least;
        most = k ? fmax(most, log2(x[k - 1].value)) : most;
        free(x);
    }
    double width = most > least ? (most - least) / BINS : 1.0 / BINS;
    for (int i = 0; i < n && !status && drawn < DRAWN_METHODS; i++) {
        int count[BINS] = {0};
        v.spec = rows[i].spec;
        if (!is_compared(&rows[i], rows, &v))
            continue;
        int k = tensors = ratios(r, &v, &x);
        for (int j = 0; j < k; j++) {
            int bin = (int)((log2(x[j].value) - least) / width);
            count[bin < BINS ? bin : BINS - 1]++;
        }
        free(x);
        begin_method(&f, rows[i].name, drawn);
        for (int b = 0; b < BINS; b++)
            bg_text_format(&f.data, "%.6g %d\n", exp2(least + (b + 0.5) * width), count[b]);
        bg_text_add(&f.data, "\n\n");
        drawn++;
    }
    if (status || !drawn) {
        bg_figure_abandon(&f);
        return status;
    }
    bg_text_format(bg_slots_at(&f.slots, "methods"), "%d", drawn);
    bg_text_format(bg_slots_at(&f.slots, "step"), "%.6g", exp2(width));
    say_reference(r, &f.shown->caption, settings);
    bg_text_add(&f.shown->caption, " Counted in tensors.");
    bg_text_format(&f.shown->alt, "Histogram of the improvement over %s of %d methods over %d tensors.",
                   bg_row_string(settings, "reference"), drawn, tensors);
    ratio_table(r, &f.shown->table, v, rows, n);
    return finish(&f, r, where, e);
}

int bg_study_draw(bg_report *r, bg_text *where, const bg_study_row *rows, int n, bg_err *e)
{
    bg_rows figures = bg_docset_rows(&r->docs, "study", "figures");
    int status = BG_OK;
    for (int i = 0; i < figures.n && !status; i++) {
        const char *kind = bg_row_string(&figures.rows[i], "kind");
        if (!strcmp(kind, "bars"))
            status = draw_bars(r, where, &figures.rows[i], i + 1, rows, n, e);
        else if (!strcmp(kind, "against"))
            status = draw_against(r, where, &figures.rows[i], i + 1, rows, n, e);
        else if (!strcmp(kind, "tensors"))
            status = draw_tensors(r, where, i + 1, rows, n, e);
        else if (!strcmp(kind, "histogram"))
            status = draw_histogram(r, where, i + 1, rows, n, e);
    }
    return status;
}
