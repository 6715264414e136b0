/* Whether roles differ: gap against rate in each role, mean over evenly spaced layers with the band from least to most.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

enum { PANELS = 12, LINES = 3 };

/* What the figure shows: roles in panels, methods as lines in each. */
typedef struct panels {
    const char *roles[PANELS];
    int n_roles;
    const bg_curve *lines[LINES];
    int n_lines;
} panels;

static int is_shown(const bg_row *row, const char *role, const char *quantizer, const char *over)
{
    return !strcmp(bg_row_string(row, "over"), over) && !strcmp(bg_row_string(row, "role"), role) &&
           !strcmp(bg_row_string(row, "quantizer"), quantizer);
}

/* Roles in document order; 'all' is not a role. */
static int list_roles(bg_rows rows, const char *roles[PANELS])
{
    int n = 0;
    for (int i = 0; i < rows.n && n < PANELS; i++) {
        const char *g = bg_row_string(&rows.rows[i], "role");
        int known = !strcmp(g, "all");
        for (int k = 0; k < n; k++)
            known |= !strcmp(roles[k], g);
        if (!known)
            roles[n++] = g;
    }
    return n;
}

/* The reference, the best fixed-rate scalar or vector code, and one more of another family. */
static int choose(const bg_report *r, const bg_curve *lines[LINES])
{
    int *order, ranked = bg_summary_rank(&r->all, r->rate, r->within, &order), n = 0;
    const bg_curve *reference = bg_reference_curve(r);
    if (reference)
        lines[n++] = reference;
    for (int i = 0; i < ranked && n < LINES; i++) {
        const bg_curve *c = &r->all.curves[order[i]];
        int known = c->n < 2;
        for (int k = 0; k < n; k++)
            known |= !strcmp(lines[k]->family, c->family);
        if (!known)
            lines[n++] = c;
    }
    free(order);
    return n;
}

static const bg_row *row_near(const bg_report *r, bg_rows rows, const char *role, const bg_curve *c)
{
    const bg_row *best = NULL;
    for (int i = 0; i < rows.n; i++) {
        double d = fabs(bg_row_number(&rows.rows[i], "rate_bits") - r->rate);
        if (is_shown(&rows.rows[i], role, c->quantizer, "all") &&
            d <= (best ? fabs(bg_row_number(best, "rate_bits") - r->rate) : r->within))
            best = &rows.rows[i];
    }
    return best;
}

/* The roles with the largest and the smallest gap under the first method. */
static void put_extremes(const bg_report *r, bg_facts *facts, bg_rows rows, const panels *p)
{
    const bg_row *worst = NULL, *best = NULL;
    for (int i = 0; p->n_lines && i < p->n_roles; i++) {
        const bg_row *row = row_near(r, rows, p->roles[i], p->lines[0]);
        if (row && (!worst || bg_row_number(row, "gap_bits") > bg_row_number(worst, "gap_bits")))
            worst = row;
        if (row && (!best || bg_row_number(row, "gap_bits") < bg_row_number(best, "gap_bits")))
            best = row;
    }
    bg_fact_row(facts, "worst", worst == best ? NULL : worst);
    bg_fact_row(facts, "best", worst == best ? NULL : best);
    bg_fact_text(facts, "method", p->n_lines ? p->lines[0]->label : NULL);
}

/* The averages of the methods drawn, over all layers or over those evenly spaced. */
static void list_averages(bg_facts *facts, const char *list, bg_rows rows, const char *over, const panels *p)
{
    bg_fact_rows(facts, list);
    for (int i = 0; i < rows.n; i++)
        for (int k = 0; k < p->n_lines; k++)
            if (!strcmp(bg_row_string(&rows.rows[i], "over"), over) &&
                !strcmp(bg_row_string(&rows.rows[i], "quantizer"), p->lines[k]->quantizer))
                bg_fact_add_row(facts, list)->row = &rows.rows[i];
}

/* Every method near the rate against every role, the best over all first. */
static void list_methods(bg_report *r, bg_facts *facts, bg_rows rows, const panels *p)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order);
    bg_fact_rows(facts, "methods");
    for (int i = 0; i < n; i++) {
        const bg_curve *c = &r->all.curves[order[i]];
        bg_facts *method = bg_fact_add_method(r, facts, "methods", c, bg_curve_near(c, r->rate, r->within));
        for (int k = 0; k < p->n_roles; k++)
            bg_fact_row(bg_fact_add_row(method, "cells"), "row", row_near(r, rows, p->roles[k], c));
    }
    free(order);
}

/* One block a role and line; an empty one when the role lacks the method. */
static void put_lines(bg_figure *f, bg_rows rows, const panels *p)
{
    double top = 0.8, bottom = 0, right = 0;
    for (int g = 0; g < p->n_roles; g++)
        for (int l = 0; l < p->n_lines; l++) {
            int some = 0;
            for (int i = 0; i < rows.n; i++) {
                const bg_row *row = &rows.rows[i];
                if (!is_shown(row, p->roles[g], p->lines[l]->quantizer, "spaced"))
                    continue;
                double min = bg_row_number(row, "gap_least_bits"), max = bg_row_number(row, "gap_most_bits");
                bg_text_format(&f->data, "%.6g %.6g %.6g %.6g\n", bg_row_number(row, "rate_bits"),
                               bg_row_number(row, "gap_bits"), min, max);
                some = 1;
                top = fmax(top, max);
                bottom = fmin(bottom, min);
                right = fmax(right, bg_row_number(row, "rate_bits"));
            }
            bg_text_add(&f->data, some ? "\n\n" : "NaN NaN NaN NaN\n\n\n");
        }
    bg_text_format(bg_slots_at(&f->slots, "top"), "%g", ceil(top * 4 + 0.2) / 4);
    bg_text_format(bg_slots_at(&f->slots, "bottom"), "%g", floor(bottom * 4 - 0.01) / 4);
    bg_text_format(bg_slots_at(&f->slots, "right"), "%g", ceil(right));
}

static int draw(bg_report *r, bg_facts *facts, bg_rows rows, const panels *p, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "groups", NULL, e);
    if (status)
        return status;
    put_lines(&f, rows, p);
    bg_text *titles = bg_slots_at(&f.slots, "titles"), *names = bg_slots_at(&f.slots, "names");
    for (int i = 0; i < p->n_roles; i++) {
        bg_text_add(titles, i ? ", " : "");
        bg_text_gnuplot(titles, p->roles[i]);
    }
    for (int i = 0; i < p->n_lines; i++) {
        bg_text_add(names, "set label ");
        bg_text_gnuplot(names, p->lines[i]->label);
        bg_text_format(names, " at screen %.3f, screen 0.975 left tc rgb '%s' noenhanced\n", 0.05 + 0.3 * i,
                       bg_family_text_colour(p->lines[i]->family));
        bg_figure_curve(&f, p->lines[i]->label, p->lines[i]->family, p->lines[i]->within, 0);
    }
    bg_figure_panels(&f, p->n_roles);
    bg_text_format(bg_slots_at(&f.slots, "lines"), "%d", p->n_lines);
    bg_fact_number(f.facts, "panels", (bg_num){.value = p->n_roles}, BG_COUNT);
    bg_fact_number(f.facts, "lines", (bg_num){.value = p->n_lines}, BG_COUNT);
    list_averages(f.facts, "averages", rows, "spaced", p);
    return bg_figure_offer(&f, facts, "gap_by_role", e);
}

static int collect(bg_report *r, bg_facts *facts, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "gaps", "roles");
    panels p = {.n_roles = 0};
    p.n_roles = list_roles(rows, p.roles);
    if (!p.n_roles || r->docs.filter.n_layers)
        return BG_OK;
    *present = 1;
    p.n_lines = choose(r, p.lines);
    for (int i = 0; i < p.n_roles; i++)
        bg_fact_text(bg_fact_add_row(facts, "roles"), "name", p.roles[i]);
    put_extremes(r, facts, rows, &p);
    list_methods(r, facts, rows, &p);
    list_averages(facts, "averages", rows, "all", &p);
    bg_fact_no_set(facts, "gap_by_role");
    return p.n_lines ? draw(r, facts, rows, &p, e) : BG_OK;
}

const bg_report_section bg_section_groups = {.id = "groups", .collect = collect};
