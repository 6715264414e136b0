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

/* ---- sentences ---- */

static void say_finding(bg_report *r, bg_text *t)
{
    const bg_curve *c = bg_reference_curve(r);
    const bg_step *step = c ? bg_curve_near(c, r->rate, r->within) : NULL;
    parts p;
    if (!step || !split(r, c, step, &p)) {
        bg_text_format(t, "The gap is the distance to the dashed bound, in bits that every weight pays%s",
                       step ? "; its parts need an optimal scalar code (k-means or Lloyd–Max) at the same width."
                            : ".");
        return;
    }
    bg_text_add(t, "Of the ");
    bg_put_number(&r->page, t, p.gap, BG_SIG3);
    bg_text_add(t, " bit");
    bg_put_interval(r, t, bg_num_over(&r->docs, "low", "gap_bits", NULL, step->spec),
                    bg_num_over(&r->docs, "high", "gap_bits", NULL, step->spec));
    bg_text_add(t, " between ");
    bg_put_method(t, c->label);
    bg_text_add(t, " and the bound, ");
    bg_put_number(&r->page, t, p.space, BG_SIG3);
    if (p.gap.value > 0) {
        bg_text_add(t, " (");
        bg_put_number(&r->page, t, bg_num_operate(p.space, '/', p.gap), BG_PERCENT);
        bg_text_add(t, " %)");
    }
    bg_text_add(t, " is space-filling loss, which no scalar grid avoids; ");
    bg_put_number(&r->page, t, p.fixed, BG_SIG3);
    bg_text_add(t, " is the price of indices of fixed length; ");
    bg_put_number(&r->page, t, p.overhead, BG_SIG3);
    bg_text_add(t, " is scales and other overhead; ");
    if (p.range.value >= 0) {
        bg_put_number(&r->page, t, p.range, BG_SIG3);
        bg_text_add(t, " is range waste, a grid spread to the largest weight.");
    } else {
        bg_text_add(t, "and ");
        bg_put_number(&r->page, t, bg_num_operate(bg_num_constant(0), '-', p.range), BG_SIG3);
        bg_text_add(t, " is won back because the scales follow the local spread of the weights.");
    }
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
                char tip[256], rate[BG_NUMBER_TEXT], gap[BG_NUMBER_TEXT];
                snprintf(tip, sizeof tip, "%s: %s bits/weight, gap %s bit", c->label,
                         bg_number_text(rate, c->steps[k].rate, BG_SIG3),
                         bg_number_text(gap, c->steps[k].gap, BG_SIG3));
                bg_text_format(&f->data, "%.6g %.6g %d\n", c->steps[k].rate, c->steps[k].gap, bg_figure_tip(f, tip));
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

static void put_targets(bg_report *r, bg_text *t)
{
    static const double relatives[] = {0.01, 0.001};
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Rate and gap where a curve reaches a distortion",
                   "method|bits at 0.01σ²>|gap at 0.01σ² (bit)>|bits at 0.001σ²>|gap at 0.001σ² (bit)>");
    for (int i = 0; i < r->all.n; i++) {
        const bg_curve *c = &r->all.curves[i];
        bg_table_text(&b, c->label);
        for (int k = 0; k < 2; k++) {
            bg_table_number_or(&b, bg_num_target(&r->docs, "rate_bits", relatives[k], c->quantizer), BG_SIG3,
                               "not reached");
            bg_table_number_or(&b, bg_num_target(&r->docs, "gap_bits", relatives[k], c->quantizer), BG_SIG3,
                               "not reached");
        }
    }
    bg_table_end(&b);
    bg_text_add(t, "Interpolated in log D within each tensor's curve, never extrapolated, then averaged by weights "
                   "over the tensors "
                   "whose curve reaches the distortion.\n");
}

static int draw_gap(bg_report *r, bg_text *where, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "gap-rate", "Gap to the Shannon bound against rate", e);
    if (status)
        return status;
    put_lines(&f, &r->all);
    put_window(&f, &r->all);
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", r->all.n);
    bg_text_add(
        &f.shown->caption,
        "A line that climbs wastes more with every bit it is given. The two horizontal rules are what scalar codes "
        "tend to at high rate for a Gaussian: 0.2546 bit with entropy coding, 0.7220 bit at fixed rate.");
    bg_text_format(&f.shown->alt,
                   "Gap in bits against effective bits for %d methods, with rules at 0.2546 and 0.7220 bit.", r->all.n);
    put_targets(r, &f.shown->table);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

/* ---- stacked bars ---- */

static int draw_parts(bg_report *r, bg_text *where, bg_err *e)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order), drawn = 0;
    bg_figure f;
    bg_table b;
    int status = bg_figure_begin(&f, &r->page, "gap-parts", "Where the bits go", e);
    if (status) {
        free(order);
        return status;
    }
    bg_table_begin(&b, &r->page, &f.shown->table, "Parts of the gap in bits",
                   "method|spec|gap>|space filling>|fixed rate>|overhead>|range>");
    bg_text *names = bg_slots_at(&f.slots, "names");
    bg_text_format(&f.shown->alt, "Parts of the gap near %g bits per weight:", r->rate);
    for (int i = 0; i < n && drawn < 16; i++) {
        const bg_curve *c = &r->all.curves[order[i]];
        const bg_step *step = bg_curve_near(c, r->rate, r->within);
        parts p;
        if (!split(r, c, step, &p))
            continue;
        bg_text_format(&f.data, "%d %.6g %.6g %.6g %.6g\n", drawn, p.space.value, p.fixed.value, p.overhead.value,
                       p.range.value);
        bg_text_add(names, drawn ? ", " : "");
        bg_text_gnuplot(names, c->label);
        bg_table_text(&b, c->label);
        bg_table_code(&b, step->spec);
        const bg_num *all[] = {&p.gap, &p.space, &p.fixed, &p.overhead, &p.range};
        for (int k = 0; k < 5; k++)
            bg_table_number(&b, *all[k], BG_SIG3);
        bg_text_format(&f.shown->alt, "%s %s %.3g bit", drawn ? "," : "", c->label, p.gap.value);
        drawn++;
    }
    bg_table_end(&b);
    free(order);
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", drawn);
    bg_text_add(
        &f.shown->caption,
        "Blue is paid by every scalar grid; what better scales, grids and entropy coding can save is to its right. "
        "A bar that begins left of zero wins bits because its scales follow the weights.");
    status = drawn ? bg_figure_finish(&f, e) : BG_OK;
    if (drawn)
        bg_put_figure(&r->page, where, f.index);
    else
        bg_figure_abandon(&f);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_text *finding = bg_slots_at(s, "finding"), *figure = bg_slots_at(s, "figure"), *bars = bg_slots_at(s, "parts");
    if (!r->all.n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding);
    int status = draw_gap(r, figure, e);
    bg_put_error_budget(r, bg_slots_at(s, "budget"));
    return status ? status : draw_parts(r, bars, e);
}

const bg_report_section bg_section_gap = {"gap", "Gap", write};
