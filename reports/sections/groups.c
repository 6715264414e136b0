/* Whether roles differ: gap against rate in each role, mean over evenly spaced layers with the band from least to most.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

enum { PANELS = 12, LINES = 3 };

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

/* The interval of a role's mean gap over its layers; absent where only some layers are shown. */
static bg_interval over_layers(const bg_report *r, const bg_row *row)
{
    return bg_interval_cells(&r->docs, r->docs.filter.n_layers ? NULL : row, "gap_bits");
}

static void say_finding(bg_report *r, bg_text *t, bg_rows rows, const char *const *roles, int n_roles,
                        const bg_curve *c)
{
    const bg_row *worst = NULL, *best = NULL;
    for (int i = 0; c && i < n_roles; i++) {
        const bg_row *row = row_near(r, rows, roles[i], c);
        if (row && (!worst || bg_row_number(row, "gap_bits") > bg_row_number(worst, "gap_bits")))
            worst = row;
        if (row && (!best || bg_row_number(row, "gap_bits") < bg_row_number(best, "gap_bits")))
            best = row;
    }
    if (!worst || worst == best) {
        bg_text_add(t, "Only one role can be compared here.");
        return;
    }
    bg_num high = bg_num_cell(&r->docs, worst, "gap_bits"), low = bg_num_cell(&r->docs, best, "gap_bits");
    bg_num spread = bg_num_operate(high, '-', low);
    bg_interval of_worst = over_layers(r, worst), of_best = over_layers(r, best);
    if (of_worst.low.value <= of_best.high.value)
        bg_text_add(t, "The layers of a role differ as much as the roles, which cannot be told apart: under ");
    else
        bg_text_add(t, spread.value < 0.05 ? "The roles hardly differ: under " : "The role matters: under ");
    bg_put_method(t, c->label);
    bg_text_add(t, " near the same rate, ");
    bg_text_code(t, bg_row_string(worst, "role"));
    bg_text_add(t, " wastes ");
    bg_put_number(&r->page, t, high, BG_SIG3);
    bg_text_add(t, " bit");
    bg_put_interval(r, t, &of_worst);
    bg_text_add(t, " and ");
    bg_text_code(t, bg_row_string(best, "role"));
    bg_text_add(t, " ");
    bg_put_number(&r->page, t, low, BG_SIG3);
    bg_put_interval(r, t, &of_best);
    bg_text_add(t, ".");
}

static int is_one_of(const char *quantizer, const bg_curve *const *curves, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(curves[i]->quantizer, quantizer))
            return 1;
    return 0;
}

static void put_table(bg_report *r, bg_text *t, bg_rows rows, const char *over, const bg_curve *const *curves, int n)
{
    bg_table b;
    char label[BG_LABEL];
    bg_table_begin(&b, &r->page, t, "Averages by role",
                   "role|method|spec|tensors>|bits/weight>|D/σ²>|gap (bit)>|least>|most>");
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        if (strcmp(bg_row_string(row, "over"), over) || !is_one_of(bg_row_string(row, "quantizer"), curves, n))
            continue;
        bg_method_label(bg_row_string(row, "quantizer"), label);
        bg_table_code(&b, bg_row_string(row, "role"));
        bg_table_text(&b, label);
        bg_table_code(&b, bg_row_string(row, "spec"));
        bg_table_number(&b, bg_num_cell(&r->docs, row, "tensors"), BG_COUNT);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "rate_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "relative"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "gap_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "gap_least_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "gap_most_bits"), BG_SIG3);
    }
    bg_table_end(&b);
}

/* Every method near the rate against every role, the best over all first. */
static void put_matrix(bg_report *r, bg_text *t, bg_rows rows, const char *const *roles, int n_roles)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order);
    char title[96];
    bg_text head = {0};
    bg_table b;
    snprintf(title, sizeof title, "Gap in bits by method and role near %g bits per weight", r->rate);
    bg_text_add(&head, "method|all>");
    for (int i = 0; i < n_roles; i++) {
        bg_text_add(&head, "|");
        bg_text_markdown(&head, roles[i]);
        bg_text_add(&head, ">");
    }
    bg_text_format(t, "**%s**, mean over all layers\n\n", title);
    bg_table_begin(&b, &r->page, t, title, bg_text_string(&head));
    for (int i = 0; i < n; i++) {
        const bg_curve *c = &r->all.curves[order[i]];
        bg_table_text(&b, c->label);
        bg_table_number(&b, bg_mean(r, "gap_bits", NULL, bg_curve_near(c, r->rate, r->within)->spec), BG_SIG3);
        for (int k = 0; k < n_roles; k++) {
            const bg_row *row = row_near(r, rows, roles[k], c);
            bg_table_number_or(&b, row ? bg_num_cell(&r->docs, row, "gap_bits") : (bg_num){.value = NAN}, BG_SIG3, "");
        }
    }
    bg_table_end(&b);
    bg_text_free(&head);
    free(order);
}

/* One block a role and line; an empty one when the role lacks the method. */
static void put_lines(bg_figure *f, bg_rows rows, const char *const *roles, int n_roles, const bg_curve *const *lines,
                      int n)
{
    double top = 0.8, bottom = 0, right = 0;
    for (int g = 0; g < n_roles; g++)
        for (int l = 0; l < n; l++) {
            int some = 0;
            for (int i = 0; i < rows.n; i++) {
                const bg_row *row = &rows.rows[i];
                if (!is_shown(row, roles[g], lines[l]->quantizer, "spaced"))
                    continue;
                double least = bg_row_number(row, "gap_least_bits"), most = bg_row_number(row, "gap_most_bits");
                bg_text_format(&f->data, "%.6g %.6g %.6g %.6g\n", bg_row_number(row, "rate_bits"),
                               bg_row_number(row, "gap_bits"), least, most);
                some = 1;
                top = fmax(top, most);
                bottom = fmin(bottom, least);
                right = fmax(right, bg_row_number(row, "rate_bits"));
            }
            bg_text_add(&f->data, some ? "\n\n" : "NaN NaN NaN NaN\n\n\n");
        }
    bg_text_format(bg_slots_at(&f->slots, "top"), "%g", ceil(top * 4 + 0.2) / 4);
    bg_text_format(bg_slots_at(&f->slots, "bottom"), "%g", floor(bottom * 4 - 0.01) / 4);
    bg_text_format(bg_slots_at(&f->slots, "right"), "%g", ceil(right));
}

static int draw(bg_report *r, bg_text *where, bg_rows rows, const char *const *roles, int n_roles,
                const bg_curve *const *lines, int n, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "groups", "Gap against rate by role", e);
    if (status)
        return status;
    put_lines(&f, rows, roles, n_roles, lines, n);
    bg_text *titles = bg_slots_at(&f.slots, "titles"), *names = bg_slots_at(&f.slots, "names");
    for (int i = 0; i < n_roles; i++) {
        bg_text_add(titles, i ? ", " : "");
        bg_text_gnuplot(titles, roles[i]);
    }
    for (int i = 0; i < n; i++) {
        bg_text_add(names, "set label ");
        bg_text_gnuplot(names, lines[i]->label);
        bg_text_format(names, " at screen %.3f, screen 0.975 left tc rgb '%s' noenhanced\n", 0.05 + 0.3 * i,
                       bg_family_text_colour(lines[i]->family));
        bg_figure_curve(&f, lines[i]->label, lines[i]->family, lines[i]->within, 0);
    }
    bg_figure_panels(&f, n_roles);
    bg_text_format(bg_slots_at(&f.slots, "lines"), "%d", n);
    bg_text_add(&f.shown->caption, "Lines are means over at most six evenly spaced layers, bands reach from the least "
                                   "to the largest of them: a wide "
                                   "band means that the layers of a role differ.");
    bg_text_format(&f.shown->alt, "Gap against rate in %d roles for %d methods, with bands over layers.", n_roles, n);
    put_table(r, &f.shown->table, rows, "spaced", lines, n);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "gaps", "roles");
    const char *roles[PANELS];
    const bg_curve *lines[LINES];
    bg_text *finding = bg_slots_at(s, "finding"), *figure = bg_slots_at(s, "figure"), *all = bg_slots_at(s, "all");
    int n_roles = list_roles(rows, roles);
    if (!n_roles || r->docs.filter.n_layers)
        return BG_OK;
    *present = 1;
    int n = choose(r, lines);
    say_finding(r, finding, rows, roles, n_roles, n ? lines[0] : NULL);
    put_matrix(r, all, rows, roles, n_roles);
    bg_put_fold(all, "The same at every rate");
    bg_text_add(all, "The methods of the figure; gaps.json has every method, in its section groups.\n");
    put_table(r, all, rows, "all", lines, n);
    bg_put_fold_end(all);
    return n ? draw(r, figure, rows, roles, n_roles, lines, n, e) : BG_OK;
}

const bg_report_section bg_section_groups = {.id = "groups", .title = "Roles", .write = write};
