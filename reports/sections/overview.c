/* The first screen: one sentence, a few cards, distortion against rate. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

/* The methods that the tensors cannot distinguish from the best one, three at most. */
static void list_rivals(bg_report *r, bg_facts *facts, const int *order, int n)
{
    const bg_step *top = n ? bg_curve_near(&r->all.curves[order[0]], r->rate, r->within) : NULL;
    int rivals = 0;
    bg_fact_rows(facts, "rivals");
    for (int i = 1; i < n && rivals < 3; i++) {
        const bg_curve *c = &r->all.curves[order[i]];
        const bg_step *step = bg_curve_near(c, r->rate, r->within);
        if (!bg_indistinct(r, top, step))
            continue;
        bg_fact_add_method(r, facts, "rivals", c, step);
        rivals++;
    }
}

/* The best method near the rate, the reference if it is another, and the best one of fixed rate. */
static void put_methods(bg_report *r, bg_facts *facts)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order), fixed = 0;
    const bg_curve *best = n ? &r->all.curves[order[0]] : NULL, *reference = bg_reference_curve(r);
    while (fixed < n && !bg_curve_is_fixed_rate(&r->all.curves[order[fixed]]))
        fixed++;
    const bg_curve *code = fixed < n ? &r->all.curves[order[fixed]] : NULL;
    reference = reference == best ? NULL : reference;
    bg_fact_method(r, facts, "best", best, best ? bg_curve_near(best, r->rate, r->within) : NULL);
    bg_fact_method(r, facts, "reference", reference, reference ? bg_curve_near(reference, r->rate, r->within) : NULL);
    bg_fact_method(r, facts, "fixed", code, code ? bg_curve_near(code, r->rate, r->within) : NULL);
    list_rivals(r, facts, order, n);
    free(order);
}

/* ---- the figure ---- */

typedef struct frame {
    double left, right, bottom, top; /* rates; log2 of D/σ² */
} frame;

static double log2_distortion(const bg_step *s)
{
    return -s->sqnr / 3.010299956639812;
}

static frame frame_of(const bg_summary *m)
{
    frame f = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (int i = 0; i < m->n; i++)
        for (int k = 0; k < m->curves[i].n; k++) {
            const bg_step *s = &m->curves[i].steps[k];
            double y = log2_distortion(s);
            f.left = fmin(f.left, s->rate);
            f.right = fmax(f.right, s->rate);
            f.bottom = fmin(f.bottom, y);
            f.top = fmax(f.top, y);
        }
    f.left = floor(2 * (f.left - 0.2)) / 2;
    f.left = f.left < 0 ? 0 : f.left;
    f.right = ceil(2 * (f.right + 0.1)) / 2;
    f.bottom = 2 * floor(f.bottom / 2 - 0.2);
    f.top = 2 * ceil(f.top / 2 + 0.1);
    return f;
}

static void put_point(bg_figure *f, const bg_curve *c, const bg_step *s, int *number)
{
    bg_facts *point = bg_figure_point(f, number);
    bg_fact_text(point, "method", c->label);
    bg_fact_number(point, "rate", (bg_num){.value = s->rate}, BG_SIG3);
    bg_fact_number(point, "relative", (bg_num){.value = exp2(log2_distortion(s))}, BG_SIG3);
    bg_fact_number(point, "sqnr", (bg_num){.value = s->sqnr}, BG_SIG3);
    bg_fact_number(point, "gap", (bg_num){.value = s->gap}, BG_SIG3);
}

/* Faint curves first, so that those with names lie on top. */
static void put_curves(bg_figure *f, const bg_summary *m)
{
    for (int picked = 0; picked < 2; picked++)
        for (int i = 0; i < m->n; i++) {
            const bg_curve *c = &m->curves[i];
            if (c->picked != picked)
                continue;
            int number = bg_figure_curve(f, c->label, c->family, c->within, !picked);
            bg_text_format(&f->data, "# curve %d: ", number);
            bg_text_column(&f->data, c->quantizer);
            bg_text_add(&f->data, "; rate (bits/weight), D/σ², text of the point\n");
            for (int k = 0; k < c->n; k++) {
                int at;
                put_point(f, c, &c->steps[k], &at);
                bg_text_format(&f->data, "%.6g %.6g %d\n", c->steps[k].rate, exp2(log2_distortion(&c->steps[k])), at);
            }
            bg_text_add(&f->data, "\n\n");
        }
}

/* Lines that run to the right edge are named there; shorter ones in the empty area left of the bound. */
static void put_labels(bg_figure *f, const bg_summary *m, frame at)
{
    double y[2][64], space = (at.top - at.bottom) * 18 / 470;
    const bg_curve *which[2][64];
    int n[2] = {0, 0};
    for (int i = 0; i < m->n; i++) {
        const bg_curve *c = &m->curves[i];
        const bg_step *last = &c->steps[c->n - 1];
        int left = last->rate < at.right - 1.5;
        if (!c->picked || n[left] == 64)
            continue;
        which[left][n[left]] = c;
        y[left][n[left]++] = log2_distortion(last);
    }
    bg_text *labels = bg_slots_at(&f->slots, "labels");
    for (int left = 0; left < 2; left++) {
        bg_spread_labels(y[left], n[left], space, at.bottom + space / 2, at.top - space / 2);
        for (int i = 0; i < n[left]; i++) {
            const bg_curve *c = which[left][i];
            double bound = fmax(at.left + 0.6, -y[left][i] / 2) - 0.12;
            bg_text_add(labels, "set label ");
            bg_text_gnuplot(labels, c->label);
            bg_text_format(labels, " at %s %.4g,%.6g %s tc rgb '%s' noenhanced front\n", "first",
                           left ? bound : at.right, exp2(y[left][i]), left ? "right" : "left offset 0.6,0",
                           bg_family_text_colour(c->family));
            const bg_step *last = &c->steps[c->n - 1];
            bg_text_format(labels, "set arrow from %.4g,%.6g to %.4g,%.6g nohead lw 0.7 lc rgb '#B0B0B0' back\n",
                           left ? bound + 0.06 : at.right, exp2(y[left][i]), last->rate, exp2(log2_distortion(last)));
        }
    }
}

/* Mean over tensors, by weights, of Blahut–Arimoto's upper curve; only where every tensor has the distortion. */
static int put_empirical(bg_report *r, bg_figure *f)
{
    bg_rows rows = bg_docset_rows(&r->docs, "bounds", "rows"), tensors = bg_docset_rows(&r->docs, "groups", "tensors");
    int drawn = 0;
    bg_text_add(&f->data, "# Blahut-Arimoto of these weights: rate (bits/weight), D/σ²\n");
    for (int i = 0; i < rows.n && tensors.n; i++) {
        double relative = bg_row_number(&rows.rows[i], "relative"), sum = 0, weights = 0;
        int n = 0;
        if (strcmp(bg_row_string(&rows.rows[i], "tensor"), bg_row_string(&rows.rows[0], "tensor")))
            break;
        for (int k = 0; k < rows.n; k++) {
            double bits = bg_row_number(&rows.rows[k], "upper_bits");
            if (fabs(bg_row_number(&rows.rows[k], "relative") / relative - 1) > 1e-9 || !isfinite(bits))
                continue;
            for (int t = 0; t < tensors.n; t++) {
                if (strcmp(bg_row_string(&tensors.rows[t], "tensor"), bg_row_string(&rows.rows[k], "tensor")))
                    continue;
                double w = bg_row_number(&tensors.rows[t], "weights");
                sum += w * bits;
                weights += w;
                n++;
            }
        }
        if (n == tensors.n && weights > 0) {
            bg_text_format(&f->data, "%.6g %.6g\n", sum / weights, relative);
            drawn++;
        }
    }
    if (!drawn)
        bg_text_add(&f->data, "NaN NaN\n");
    bg_text_add(&f->data, "\n\n");
    return drawn > 1;
}

/* The rows of the figure's table, and the methods that its alternative text names. */
static void list_methods(bg_report *r, bg_facts *facts)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order), faint = 0;
    for (int i = 0; i < r->all.n; i++)
        for (int k = 0; k < r->all.curves[i].n; k++) {
            bg_facts *row = bg_fact_add_row(facts, "steps");
            bg_fact_text(row, "label", r->all.curves[i].label);
            bg_fact_text(row, "spec", r->all.curves[i].steps[k].spec);
        }
    bg_fact_rows(facts, "ranked");
    for (int i = 0; i < n; i++)
        bg_fact_add_method(r, facts, "ranked", &r->all.curves[order[i]],
                           bg_curve_near(&r->all.curves[order[i]], r->rate, r->within));
    for (int i = 0; i < r->all.n; i++)
        faint |= !r->all.curves[i].picked;
    bg_fact_flag(facts, "faint", faint);
    bg_fact_number(facts, "methods", (bg_num){.value = r->all.n}, BG_COUNT);
    free(order);
}

static int draw_curves(bg_report *r, bg_facts *facts, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "rate-distortion", NULL, e);
    if (status)
        return status;
    frame at = frame_of(&r->all);
    put_curves(&f, &r->all);
    int empirical = put_empirical(r, &f);
    put_labels(&f, &r->all, at);
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", r->all.n);
    bg_text_format(bg_slots_at(&f.slots, "empirical"), "%d", empirical);
    bg_text_format(bg_slots_at(&f.slots, "left"), "%g", at.left);
    bg_text_format(bg_slots_at(&f.slots, "right"), "%g", at.right);
    bg_text_format(bg_slots_at(&f.slots, "bottom"), "%g", at.bottom);
    bg_text_format(bg_slots_at(&f.slots, "top"), "%g", at.top);
    bg_fact_flag(f.facts, "empirical", empirical);
    list_methods(r, f.facts);
    return bg_figure_offer(&f, facts, "curves_figure", e);
}

int bg_report_draw_curves(bg_report *r, bg_text *where, bg_err *e)
{
    bg_facts *facts = bg_facts_new();
    if (!facts)
        return bg_no_memory(e, "figure", sizeof *facts);
    bg_fact_page(r, facts);
    int status = draw_curves(r, facts, e);
    if (!status)
        status = bg_page_render(&r->page, "sections/curves.md", facts, where, e);
    bg_facts_free(facts);
    return status;
}

static int collect(bg_report *r, bg_facts *facts, int *present, bg_err *e)
{
    bg_rows sensitivity = bg_docset_rows(&r->docs, "gaps", "sensitivity");
    *present = 1;
    bg_fact_flag(facts, "measured", r->docs.n_points > 0);
    put_methods(r, facts);
    bg_fact_spec(r, facts, "worst_spec", sensitivity.n ? bg_row_string(&sensitivity.rows[0], "spec") : NULL);
    bg_fact_no_set(facts, "curves_figure");
    return r->all.n ? draw_curves(r, facts, e) : BG_OK;
}

const bg_report_section bg_section_overview = {.id = "overview", .collect = collect};
