/* Where the bits go: gap against rate, its four parts, and the rate at which each curve reaches two distortions.
 *
 * The parts of a scalar code's gap, each a difference of document fields:
 *   space filling   0.2546 bit, ½·log2(2πe/12): cubes instead of spheres, paid by every scalar grid at high rate
 *   fixed rate      what the best scalar grid of as many levels (optimal k-means) loses beyond that
 *   overhead        all stored bits that are not indices
 *   range           what is left: a grid spread to the largest weight instead of fitted; below zero where scales follow
 *                   the local spread of the weights */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

static const double SPACE_FILLING = 0.25461433482006296; /* ½·log2(2πe/12) */

typedef struct parts {
    bg_num gap, space, fixed, overhead, range;
} parts;

/* The optimal scalar code with as many nominal bits; NULL when none was measured. */
static const bg_step *optimum(const bg_report *r, double bits)
{
    static const char *const names[] = {"kmeans", "lloyd"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (int i = 0; i < r->all.n; i++)
            for (int j = 0; j < r->all.curves[i].n; j++)
                if (!strcmp(r->all.curves[i].label, names[k]) && fabs(r->all.curves[i].steps[j].bits - bits) < 1e-9)
                    return &r->all.curves[i].steps[j];
    return NULL;
}

static bg_num without_overhead(const bg_report *r, const char *spec)
{
    return bg_num_operate(
        bg_mean(r, "gap_bits", NULL, spec), '-',
        bg_num_operate(bg_mean(r, "rate_bits", NULL, spec), '-', bg_mean(r, "index_bits", NULL, spec)));
}

static int split(const bg_report *r, const bg_curve *c, const bg_step *step, parts *p)
{
    const bg_step *best = optimum(r, step->bits);
    if (!best || (strcmp(c->family, "uniform") && strcmp(c->family, "non-uniform")))
        return 0;
    bg_num bare = without_overhead(r, best->spec);
    p->gap = bg_mean(r, "gap_bits", NULL, step->spec);
    p->space = bg_num_constant(SPACE_FILLING);
    p->fixed = bg_num_operate(bare, '-', p->space);
    p->overhead =
        bg_num_operate(bg_mean(r, "rate_bits", NULL, step->spec), '-', bg_mean(r, "index_bits", NULL, step->spec));
    p->range = bg_num_operate(without_overhead(r, step->spec), '-', bare);
    return isfinite(p->fixed.value) && isfinite(p->range.value);
}

/* The parts of a method's gap, as facts of its set. */
static void put_parts(bg_facts *set, const parts *p)
{
    const struct {
        const char *name;
        const bg_num *number;
    } all[] = {{"space", &p->space}, {"fixed", &p->fixed}, {"overhead", &p->overhead}, {"range", &p->range}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        bg_fact_number(set, all[i].name, *all[i].number, BG_SIG3);
}

static void put_reference(bg_report *r, bg_facts *facts)
{
    const bg_curve *c = bg_reference_curve(r);
    const bg_step *step = c ? bg_curve_near(c, r->rate, r->within) : NULL;
    const bg_num none = {.value = NAN};
    parts p = {none, none, none, none, none};
    int known = step && split(r, c, step, &p);
    bg_fact_method(r, facts, "reference", c, step);
    bg_fact_flag(facts, "parts_known", known);
    if (step)
        put_parts(bg_fact_set(facts, "reference"), &p);
}

/* ---- gap against rate ---- */

static void put_lines(bg_figure *f, const bg_summary *m)
{
    for (int picked = 0; picked < 2; picked++)
        for (int i = 0; i < m->n; i++) {
            const bg_curve *c = &m->curves[i];
            if (c->picked != picked)
                continue;
            int number = bg_figure_curve(f, c->label, c->family, c->within, !picked);
            bg_text_format(&f->data, "# curve %d: ", number);
            bg_text_column(&f->data, c->quantizer);
            bg_text_add(&f->data, "; rate (bits/weight), gap (bit), text of the point\n");
            for (int k = 0; k < c->n; k++) {
                int at;
                bg_facts *point = bg_figure_point(f, &at);
                bg_fact_text(point, "method", c->label);
                bg_fact_number(point, "rate", (bg_num){.value = c->steps[k].rate}, BG_SIG3);
                bg_fact_number(point, "gap", (bg_num){.value = c->steps[k].gap}, BG_SIG3);
                bg_text_format(&f->data, "%.6g %.6g %d\n", c->steps[k].rate, c->steps[k].gap, at);
            }
            bg_text_add(&f->data, "\n\n");
        }
}

/* The window holds the named curves; a faint one may leave it at the top. */
static void put_window(bg_figure *f, const bg_summary *m)
{
    double left = INFINITY, right = 0, bottom = 0, top = 0.8, y[64];
    int n = 0, far = 0;
    const bg_curve *named[64];
    bg_line_end ends[64];
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < m->curves[i].n; k++) {
            const bg_step *s = &m->curves[i].steps[k];
            left = fmin(left, s->rate);
            right = fmax(right, s->rate);
            if (m->curves[i].picked) {
                bottom = fmin(bottom, s->gap);
                top = fmax(top, s->gap);
            }
        }
    bottom = floor(bottom * 4 - 0.01) / 4;
    top = ceil(top * 4 + 0.2) / 4;
    /* Lines that run far are named at the edge, short ones beside their last point. */
    for (int i = 0; i < m->n && n < 64 && far < 64; i++) {
        const bg_curve *c = &m->curves[i];
        const bg_step *last = &c->steps[c->n - 1];
        if (c->picked && last->rate >= right - 1.5) {
            ends[far++] = (bg_line_end){c->label, c->family, last->rate, last->gap};
        } else if (c->picked) {
            named[n] = c;
            y[n++] = last->gap;
        }
    }
    bg_label_ends(f, ends, far, bottom, top, 400, 0);
    double space = (top - bottom) * 18 / 400;
    bg_spread_labels(y, n, space, bottom + space, top - space / 2);
    bg_text *labels = bg_slots_at(&f->slots, "labels");
    for (int i = 0; i < n; i++) {
        double end = named[i]->steps[named[i]->n - 1].rate;
        bg_text_add(labels, "set label ");
        bg_text_gnuplot(labels, named[i]->label);
        bg_text_format(labels, " at %.5g,%.5g left offset 0.8,0 tc rgb '%s' noenhanced front\n", end, y[i],
                       bg_family_text_colour(named[i]->family));
    }
    bg_text_format(bg_slots_at(&f->slots, "left"), "%g", fmax(0, floor(2 * left - 0.2) / 2));
    bg_text_format(bg_slots_at(&f->slots, "right"), "%g", ceil(2 * right) / 2);
    bg_text_format(bg_slots_at(&f->slots, "bottom"), "%g", bottom);
    bg_text_format(bg_slots_at(&f->slots, "top"), "%g", top);
}

static int draw_gap(bg_report *r, bg_facts *facts, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "gap-rate", NULL, e);
    if (status)
        return status;
    put_lines(&f, &r->all);
    put_window(&f, &r->all);
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", r->all.n);
    bg_fact_number(f.facts, "curves", (bg_num){.value = r->all.n}, BG_COUNT);
    return bg_figure_offer(&f, facts, "gap_rate", e);
}

/* ---- stacked bars ---- */

static int draw_parts(bg_report *r, bg_facts *facts, bg_err *e)
{
    enum { BARS = 16 };
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order), drawn = 0;
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "gap-parts", NULL, e);
    bg_text *names = bg_slots_at(&f.slots, "names");
    for (int i = 0; i < n && drawn < BARS && !status; i++) {
        const bg_curve *c = &r->all.curves[order[i]];
        const bg_step *step = bg_curve_near(c, r->rate, r->within);
        parts p;
        if (!split(r, c, step, &p))
            continue;
        bg_text_format(&f.data, "%d %.6g %.6g %.6g %.6g\n", drawn, p.space.value, p.fixed.value, p.overhead.value,
                       p.range.value);
        bg_text_add(names, drawn ? ", " : "");
        bg_text_gnuplot(names, c->label);
        put_parts(bg_fact_add_method(r, f.facts, "bars", c, step), &p);
        drawn++;
    }
    free(order);
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", drawn);
    return status  ? status
           : drawn ? bg_figure_offer(&f, facts, "gap_parts", e)
                   : bg_figure_withhold(&f, facts, "gap_parts");
}

static void list_curves(const bg_report *r, bg_facts *facts)
{
    for (int i = 0; i < r->all.n; i++) {
        bg_facts *row = bg_fact_add_row(facts, "all_curves");
        bg_fact_text(row, "label", r->all.curves[i].label);
        bg_fact_text(row, "quantizer", r->all.curves[i].quantizer);
    }
}

static int collect(bg_report *r, bg_facts *facts, int *present, bg_err *e)
{
    if (!r->all.n)
        return BG_OK;
    *present = 1;
    put_reference(r, facts);
    list_curves(r, facts);
    bg_put_error_budget(r, facts);
    int status = draw_gap(r, facts, e);
    return status ? status : draw_parts(r, facts, e);
}

const bg_report_section bg_section_gap = {.id = "gap", .collect = collect};
