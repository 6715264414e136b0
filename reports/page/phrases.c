/* Owns the phrases and choices that several sections share. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

bg_num bg_mean(const bg_report *r, const char *field, const char *where, const char *spec)
{
    return bg_num_over(&r->docs, "mean", field, where, spec);
}

void bg_put_interval(bg_report *r, bg_text *t, const bg_interval *interval)
{
    if (!isfinite(interval->low.value) || !isfinite(interval->high.value))
        return;
    bg_text_add(t, " (95 %: ");
    bg_put_number(&r->page, t, interval->low, BG_SIG3);
    bg_text_add(t, " to ");
    bg_put_number(&r->page, t, interval->high, BG_SIG3);
    bg_text_add(t, ")");
}

void bg_say_waste(bg_report *r, bg_text *t, const bg_curve *c, const bg_step *step)
{
    bg_put_method(t, c->label);
    bg_say_how_much(r, t, step);
}

void bg_say_how_much(bg_report *r, bg_text *t, const bg_step *step)
{
    bg_num gap = bg_mean(r, "gap_bits", r->all.where, step->spec), zero = bg_num_constant(0);
    bg_interval interval = bg_interval_over(&r->docs, "gap_bits", step->spec, NULL), negated;
    if (gap.value >= 0) {
        bg_text_add(t, " wastes ");
        bg_put_number(&r->page, t, gap, BG_SIG3);
        bg_text_add(t, " bit");
        bg_put_interval(r, t, &interval);
    } else {
        bg_text_add(t, " stays ");
        bg_put_number(&r->page, t, bg_num_operate(zero, '-', gap), BG_SIG3);
        bg_text_add(t, " bit");
        negated = bg_interval_negated(&interval);
        bg_put_interval(r, t, &negated);
        bg_text_add(t, " below the bound of a Gaussian");
    }
}

void bg_say_kind(bg_text *t, const bg_curve *c)
{
    static const char *const kinds[][2] = {
        {"tcq", "trellis code"}, {"bitshift", "trellis code"}, {"vq", "vector code"},   {"pq", "vector code"},
        {"rvq", "vector code"},  {"lattice", "lattice code"},  {"e8p", "lattice code"}, {"ecsq", "scalar code"}};
    const char *coded = strcmp(c->family, "entropy-coded") ? "" : "entropy-coded ";
    size_t name = strcspn(c->quantizer, ":");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i][0]) == name && !strncmp(kinds[i][0], c->quantizer, name))
            bg_text_format(t, " (%s%s)", coded, kinds[i][1]);
}

void bg_say_spec(const bg_report *r, bg_text *t, const char *spec)
{
    char label[BG_LABEL];
    int n;
    const bg_point *p = bg_docset_spec(&r->docs, spec, &n);
    double bits = n ? bg_row_number(p->curve, "bits") : (double)NAN;
    bg_method_label(n ? p->quantizer : spec, label);
    bg_text_markdown(t, label);
    if (isfinite(bits))
        bg_text_format(t, " at %g bits", bits);
}

int bg_layers_differ(const bg_report *r, bg_rows sensitivity)
{
    bg_num worst = bg_num_cell(&r->docs, &sensitivity.rows[0], "sqnr_db"),
           best = bg_num_cell(&r->docs, &sensitivity.rows[sensitivity.n - 1], "sqnr_db");
    return best.value - worst.value >= 1;
}

void bg_say_place(bg_text *t, const bg_row *row)
{
    int layer = bg_row_integer(row, "layer", -1);
    if (layer >= 0)
        bg_text_format(t, "layer %d's ", layer);
    bg_text_code(t, bg_row_string(row, "role"));
}

int bg_indistinct(const bg_report *r, const bg_step *a, const bg_step *b)
{
    bg_interval difference = bg_interval_over(&r->docs, "gap_bits", a->spec, b->spec);
    if (isfinite(difference.low.value) && isfinite(difference.high.value))
        return difference.low.value <= 0 && difference.high.value >= 0;
    return fabs(a->gap - b->gap) < 0.005;
}

const bg_curve *bg_reference_curve(const bg_report *r)
{
    const bg_curve *best = NULL;
    int best_grouped = 0;
    for (int i = 0; i < r->all.n; i++) {
        const bg_curve *c = &r->all.curves[i];
        const bg_step *step = bg_curve_near(c, r->rate, r->within);
        if (!step || strcmp(c->family, "uniform"))
            continue;
        int grouped = strstr(c->label, "g128") != NULL;
        double rival = best ? bg_curve_near(best, r->rate, r->within)->gap : (double)INFINITY;
        if (grouped > best_grouped || (grouped == best_grouped && step->gap < rival)) {
            best = c;
            best_grouped = grouped;
        }
    }
    return best;
}

/* Grids a reader knows come first, the rest in document order. */
static int grid_rank(const bg_row *row)
{
    static const char *const known[] = {"uniform", "uniform g128", "lloyd", "kmeans", "nf4", "fp4"};
    enum { KNOWN = sizeof known / sizeof *known };
    char label[BG_LABEL];
    bg_method_label(bg_row_string(row, "quantizer"), label);
    for (int i = 0; i < KNOWN; i++)
        if (!strcmp(known[i], label))
            return i;
    return KNOWN;
}

int bg_pick_grids(const bg_report *r, const char *role, const bg_row **out, int most)
{
    bg_rows grids = bg_docset_rows(&r->docs, "curves", "grids");
    int n = 0;
    for (int i = 0; i < grids.n; i++) {
        const char *g = bg_row_string(&grids.rows[i], "role");
        if (strcmp(g, role) && strcmp(g, "all"))
            continue;
        int at = n < most ? n++ : most;
        while (at > 0 && grid_rank(out[at - 1]) > grid_rank(&grids.rows[i])) {
            if (at < most)
                out[at] = out[at - 1];
            at--;
        }
        if (at < most)
            out[at] = &grids.rows[i];
    }
    return n;
}

void bg_spread_labels(double *y, int n, double space, double least, double most)
{
    int *order = malloc(((size_t)n + 1) * sizeof *order);
    if (!order)
        return;
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && y[order[at - 1]] > y[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (int pass = 0; pass < 64; pass++)
        for (int i = 1; i < n; i++) {
            double lack = space - (y[order[i]] - y[order[i - 1]]);
            if (lack > 0) {
                y[order[i]] += lack / 2;
                y[order[i - 1]] -= lack / 2;
            }
        }
    /* Up from the floor, then down from the ceiling: inside the frame whenever there is room at all. */
    for (int i = 0; i < n; i++) {
        double floor_here = i ? y[order[i - 1]] + space * 0.999 : least;
        y[order[i]] = y[order[i]] < floor_here ? floor_here : y[order[i]];
    }
    for (int i = n - 1; i >= 0; i--) {
        double roof = i < n - 1 ? y[order[i + 1]] - space * 0.999 : most;
        y[order[i]] = y[order[i]] > roof ? roof : y[order[i]];
    }
    free(order);
}

void bg_label_ends(bg_figure *f, const bg_line_end *ends, int n, double bottom, double top, double pixels,
                   int log_scale)
{
    double *y = malloc(((size_t)n + 1) * sizeof *y), space = (top - bottom) * 18 / pixels;
    bg_text *labels = bg_slots_at(&f->slots, "labels");
    for (int i = 0; y && i < n; i++)
        y[i] = ends[i].y;
    if (y)
        bg_spread_labels(y, n, space, bottom + space / 2, top - space / 2);
    for (int i = 0; y && i < n; i++) {
        double at = log_scale ? pow(10, y[i]) : y[i], end = log_scale ? pow(10, ends[i].y) : ends[i].y;
        bg_text_add(labels, "set label ");
        bg_text_gnuplot(labels, ends[i].name);
        bg_text_format(labels, " at graph 1, first %.6g left offset 1.2,0 tc rgb '%s' noenhanced front\n", at,
                       bg_family_text_colour(ends[i].family));
        bg_text_format(
            labels,
            "set arrow from first %.6g, first %.6g to graph 1.012, first %.6g nohead lw 0.7 lc rgb '#B0B0B0' back\n",
            ends[i].x, end, at);
    }
    labels->failed |= !y;
    free(y);
}
