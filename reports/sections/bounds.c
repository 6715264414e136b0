/* How good any method could be: the bounds of the weights with and without known scales, the functional bound of each
 * role's layers with its band, and what rounding to nearest, error feedback and the rest pay above it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

enum { PANELS = 12, LINES = 5, RATES = 64 };

static int list_roles(bg_rows rows, const char *roles[PANELS])
{
    int n = 0;
    for (int i = 0; i < rows.n && n < PANELS; i++) {
        const char *g = bg_row_string(&rows.rows[i], "role");
        int known = 0;
        for (int k = 0; k < n; k++)
            known |= !strcmp(roles[k], g);
        if (!known)
            roles[n++] = g;
    }
    return n;
}

/* ---- which methods ---- */

static bg_num output_gap(const bg_report *r, const char *how, const char *where, const char *spec)
{
    return bg_num_over(&r->docs, how, "output_gap_bits", where, spec);
}

/* The step of a curve nearest the rate of comparison whose output error was measured; NULL when none is within a bit.
 */
static const bg_step *measured_near(const bg_report *r, const bg_curve *c)
{
    const bg_step *step = bg_curve_near(c, r->rate, 1);
    return step && isfinite(output_gap(r, "mean", NULL, step->spec).value) ? step : NULL;
}

/* Rounding to nearest on the same grid as GPTQ if it was measured, else the reference; then calibrated methods as they
 * come. */
static int choose(const bg_report *r, const bg_curve *lines[LINES])
{
    const bg_curve *plain = bg_reference_curve(r);
    int n = 0;
    for (int i = 0; i < r->all.n; i++)
        if (!strcmp(r->all.curves[i].quantizer, "uniform:scope=128,zero=asym") ||
            !strcmp(r->all.curves[i].quantizer, "rtn"))
            plain = &r->all.curves[i];
    if (plain && measured_near(r, plain))
        lines[n++] = plain;
    for (int i = 0; i < r->all.n && n < LINES; i++)
        if (!strcmp(r->all.curves[i].family, "calibrated") && measured_near(r, &r->all.curves[i]))
            lines[n++] = &r->all.curves[i];
    return n;
}

/* ---- facts ---- */

static const bg_curve *nearest_to_bound(const bg_report *r, const bg_curve *const *lines, int n, int from)
{
    const bg_curve *best = NULL;
    for (int i = from; i < n; i++)
        if (!best || output_gap(r, "mean", NULL, measured_near(r, lines[i])->spec).value <
                         output_gap(r, "mean", NULL, measured_near(r, best)->spec).value)
            best = lines[i];
    return best;
}

/* A method and what it pays above the bound; an absent set for NULL. */
static void put_method(const bg_report *r, bg_facts *facts, const char *name, const bg_curve *c)
{
    if (!c) {
        bg_fact_no_set(facts, name);
        return;
    }
    bg_facts *set = bg_fact_set(facts, name);
    const char *spec = measured_near(r, c)->spec;
    bg_fact_text(set, "label", c->label);
    bg_fact_text(set, "spec", spec);
    bg_fact_number(set, "gap", output_gap(r, "mean", NULL, spec), BG_SIG3);
    bg_interval interval = bg_interval_over(&r->docs, "output_gap_bits", spec, NULL);
    bg_fact_number(set, "gap_low", interval.low, BG_SIG3);
    bg_fact_number(set, "gap_high", interval.high, BG_SIG3);
}

/* The method nearest to the bound, the plain one, and what the plain one pays more, tensor by tensor. */
static void put_nearest(bg_report *r, bg_facts *facts, const bg_curve *const *lines, int n)
{
    const bg_curve *plain = n > 0 && strcmp(lines[0]->family, "calibrated") != 0 ? lines[0] : NULL;
    const bg_curve *best = nearest_to_bound(r, lines, n, plain != NULL);
    put_method(r, facts, "nearest", best);
    put_method(r, facts, "plain", plain);
    bg_num more = {.value = NAN};
    bg_interval ends = {more, more};
    if (plain && best) {
        const char *a = measured_near(r, plain)->spec, *b = measured_near(r, best)->spec;
        more = bg_num_difference(&r->docs, "mean", "output_gap_bits", a, b);
        ends = bg_interval_over(&r->docs, "output_gap_bits", a, b);
    }
    bg_fact_number(facts, "more", more, BG_SIG3);
    bg_fact_number(facts, "more_low", ends.low, BG_SIG3);
    bg_fact_number(facts, "more_high", ends.high, BG_SIG3);
}

static void put_names(bg_facts *facts, const char *list, const char *const *names, int n)
{
    bg_fact_rows(facts, list);
    for (int i = 0; i < n; i++)
        bg_fact_text(bg_fact_add_row(facts, list), "name", names[i]);
}

/* Every step of the methods drawn whose output error was measured. */
static void list_steps(const bg_report *r, bg_facts *facts, const bg_curve *const *lines, int n)
{
    bg_fact_rows(facts, "steps");
    for (int i = 0; i < n; i++)
        for (int k = 0; k < lines[i]->n; k++) {
            const char *spec = lines[i]->steps[k].spec;
            if (!isfinite(output_gap(r, "mean", NULL, spec).value))
                continue;
            bg_facts *row = bg_fact_add_row(facts, "steps");
            bg_fact_text(row, "label", lines[i]->label);
            bg_fact_text(row, "spec", spec);
        }
}

/* ---- the figure: geometric means over the layers of a role of the output error, as a share of the output's own power
 * ---- */

static const bg_row *outputs_of(bg_rows rows, const char *tensor)
{
    for (int i = 0; i < rows.n; i++)
        if (!strcmp(bg_row_string(&rows.rows[i], "tensor"), tensor))
            return &rows.rows[i];
    return NULL;
}

static double sigma2_of(const bg_report *r, const char *tensor, double *cols)
{
    bg_rows rows = bg_docset_rows(&r->docs, "groups", "tensors");
    const bg_row *row = outputs_of(rows, tensor);
    *cols = bg_row_number(row, "cols");
    return bg_row_number(row, "sigma2");
}

static int numbers(const bg_row *row, const char *field, double out[RATES])
{
    int n = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(row->json, field)) if (n < RATES) out[n++] = v->valuedouble;
    return n;
}

/* Rate, bound, low and high of a role; −1 for a band that is not there. */
static int put_bound(const bg_report *r, bg_text *data, bg_rows rows, const char *role)
{
    static const char *const fields[] = {"distortions", "low_distortions", "high_distortions"};
    double rates[RATES], sum[3][RATES] = {{0}};
    int layers = 0, n = 0, banded = 1;
    for (int i = 0; i < rows.n; i++) {
        double cols, sigma2 = sigma2_of(r, bg_row_string(&rows.rows[i], "tensor"), &cols),
                     power = sigma2 * bg_row_number(&rows.rows[i], "mean_diagonal");
        if (strcmp(bg_row_string(&rows.rows[i], "role"), role) || !(power > 0))
            continue;
        n = numbers(&rows.rows[i], "rates", rates);
        layers++;
        for (int f = 0; f < 3; f++) {
            double d[RATES];
            if (numbers(&rows.rows[i], fields[f], d) != n)
                banded = 0;
            else
                for (int k = 0; k < n; k++)
                    sum[f][k] += log(d[k] / power);
        }
    }
    for (int k = 0; k < n && layers; k++) {
        double bound = exp(sum[0][k] / layers);
        bg_text_format(data, "%.6g %.6g %.6g %.6g\n", rates[k], bound, banded ? exp(sum[1][k] / layers) : bound,
                       banded ? exp(sum[2][k] / layers) : bound);
    }
    bg_text_add(data, layers ? "\n\n" : "NaN NaN NaN NaN\n\n\n");
    return layers && banded;
}

static void put_points(const bg_report *r, bg_figure *f, bg_rows rows, const char *role, const bg_curve *c)
{
    int some = 0;
    for (int k = 0; k < c->n; k++) {
        int n, layers = 0;
        const bg_point *p = bg_docset_spec(&r->docs, c->steps[k].spec, &n);
        double rate = 0, logs = 0;
        for (int i = 0; i < n; i++) {
            const bg_row *row = outputs_of(rows, p[i].tensor);
            double cols, sigma2 = sigma2_of(r, p[i].tensor, &cols);
            double relative =
                bg_row_number(p[i].curve, "output_mse") / (cols * sigma2 * bg_row_number(row, "mean_diagonal"));
            if (!row || strcmp(p[i].role, role) || !(relative > 0))
                continue;
            rate += bg_row_number(p[i].curve, "rate_bits");
            logs += log(relative);
            layers++;
        }
        if (!layers)
            continue;
        int number;
        bg_facts *point = bg_figure_point(f, &number);
        bg_fact_text(point, "role", role);
        bg_fact_text(point, "method", c->label);
        bg_fact_number(point, "rate", (bg_num){.value = rate / layers}, BG_SIG3);
        bg_text_format(&f->data, "%.6g %.6g %d\n", rate / layers, exp(logs / layers), number);
        some = 1;
    }
    bg_text_add(&f->data, some ? "\n\n" : "NaN NaN 0\n\n\n");
}

static void put_legend(bg_figure *f, const bg_curve *const *lines, int n)
{
    bg_text *names = bg_slots_at(&f->slots, "names");
    for (int i = 0; i < n; i++) {
        bg_text_add(names, "set label ");
        bg_text_gnuplot(names, lines[i]->label);
        bg_text_format(names,
                       " at screen %.3f, screen 0.98 left tc rgb '%s' noenhanced point lt %d ps 0.7 offset 1,0\n",
                       0.03 + 0.19 * i, bg_family_text_colour(lines[i]->family), i + 1);
        bg_figure_curve(f, lines[i]->label, lines[i]->family, lines[i]->within, 0);
    }
}

/* What the figure shows: roles in panels, methods as lines in each. */
typedef struct panels {
    const char *roles[PANELS];
    int n_roles;
    const bg_curve *lines[LINES];
    int n_lines;
} panels;

static int draw(bg_report *r, bg_facts *facts, bg_rows rows, const panels *p, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "bounds", NULL, e), banded = 0;
    if (status)
        return status;
    bg_text *titles = bg_slots_at(&f.slots, "titles");
    for (int i = 0; i < p->n_roles; i++) {
        bg_text_add(titles, i ? ", " : "");
        bg_text_gnuplot(titles, p->roles[i]);
        banded |= put_bound(r, &f.data, rows, p->roles[i]);
        for (int k = 0; k < p->n_lines; k++)
            put_points(r, &f, rows, p->roles[i], p->lines[k]);
    }
    put_legend(&f, p->lines, p->n_lines);
    bg_figure_panels(&f, p->n_roles);
    bg_text_format(bg_slots_at(&f.slots, "lines"), "%d", p->n_lines);
    bg_fact_flag(f.facts, "banded", banded);
    bg_fact_number(f.facts, "panels", (bg_num){.value = p->n_roles}, BG_COUNT);
    bg_fact_number(f.facts, "lines", (bg_num){.value = p->n_lines}, BG_COUNT);
    list_steps(r, f.facts, p->lines, p->n_lines);
    return bg_figure_offer(&f, facts, "output_error", e);
}

static int collect(bg_report *r, bg_facts *facts, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "bounds", "outputs"), weights = bg_docset_rows(&r->docs, "bounds", "rows");
    const char *weight_roles[PANELS];
    panels p = {.n_roles = 0};
    p.n_roles = list_roles(rows, p.roles);
    int known =
        isfinite(bg_num_rows(&r->docs, "mean", "bounds", "rows[relative=0.01]", "channel_upper_bits", NULL).value);
    put_names(facts, "roles", p.roles, p.n_roles);
    put_names(facts, "weight_roles", weight_roles, list_roles(weights, weight_roles));
    bg_fact_flag(facts, "scales_known", known);
    bg_fact_no_set(facts, "output_error");
    *present = p.n_roles || known;
    p.n_lines = p.n_roles ? choose(r, p.lines) : 0;
    put_nearest(r, facts, p.lines, p.n_lines);
    return p.n_roles ? draw(r, facts, rows, &p, e) : BG_OK;
}

const bg_report_section bg_section_bounds = {.id = "bounds", .collect = collect};
