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
        const char *g = bg_row_string(&rows.rows[i], "group");
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

/* ---- sentences ---- */

static void put_gap(bg_report *r, bg_text *t, const char *spec)
{
    bg_put_number(&r->page, t, output_gap(r, "mean", NULL, spec), BG_SIG3);
    bg_text_add(t, " bit");
    bg_put_interval(r, t, output_gap(r, "low", NULL, spec), output_gap(r, "high", NULL, spec));
}

static const bg_curve *nearest_to_bound(const bg_report *r, const bg_curve *const *lines, int n, int from)
{
    const bg_curve *best = NULL;
    for (int i = from; i < n; i++)
        if (!best || output_gap(r, "mean", NULL, measured_near(r, lines[i])->spec).value <
                         output_gap(r, "mean", NULL, measured_near(r, best)->spec).value)
            best = lines[i];
    return best;
}

/* Of two methods, what one saves over the other, tensor by tensor, or that it cannot be told. */
static void say_difference(bg_report *r, bg_text *t, const bg_curve *plain, const bg_curve *best)
{
    const char *a = measured_near(r, plain)->spec, *b = measured_near(r, best)->spec;
    bg_num mean = bg_num_difference(&r->docs, "mean", "output_gap_bits", a, b),
           low = bg_num_difference(&r->docs, "low", "output_gap_bits", a, b),
           high = bg_num_difference(&r->docs, "high", "output_gap_bits", a, b);
    bg_text_add(t, "; ");
    bg_put_method(t, plain->label);
    bg_text_add(t, " pays ");
    put_gap(r, t, a);
    if (isfinite(low.value) && low.value <= 0 && high.value >= 0) {
        bg_text_add(t, ", which these layers cannot tell from it");
    } else {
        bg_text_add(t, ", ");
        bg_put_number(&r->page, t, mean.value < 0 ? bg_num_operate(bg_num_constant(0), '-', mean) : mean, BG_SIG3);
        bg_text_add(t, mean.value < 0 ? " less" : " more");
        if (mean.value >= 0)
            bg_put_interval(r, t, low, high);
    }
}

static void say_finding(bg_report *r, bg_text *t, const bg_curve *const *lines, int n)
{
    int plain = n > 0 && strcmp(lines[0]->family, "calibrated") != 0;
    const bg_curve *best = nearest_to_bound(r, lines, n, plain);
    if (!best) {
        bg_text_add(t, "The least output error of each layer at a rate; no calibrated method was measured beside it.");
        return;
    }
    bg_text_format(t, "Near %g bits per weight, ", r->rate);
    bg_put_method(t, best->label);
    bg_text_add(t, " is the nearest to the least rate at which its output error can be had, ");
    put_gap(r, t, measured_near(r, best)->spec);
    bg_text_add(t, " above it");
    if (plain)
        say_difference(r, t, lines[0], best);
    bg_text_add(t, ".");
    bg_num held = bg_num_rows(&r->docs, "mean", "bounds", "outputs", "held_out_bits", NULL);
    if (isfinite(held.value)) {
        bg_text_add(t, " On text that was held out the bound itself lies ");
        bg_put_number(&r->page, t, held, BG_SIG3);
        bg_text_add(t, " bit higher");
        bg_put_interval(r, t, bg_num_rows(&r->docs, "mean", "bounds", "outputs", "held_out_low_bits", NULL),
                        bg_num_rows(&r->docs, "mean", "bounds", "outputs", "held_out_high_bits", NULL));
        bg_text_add(t, "; by at most so much is the bound of a calibration text of this length too low.");
    }
}

/* ---- tables ---- */

static void put_inputs(bg_report *r, bg_text *t, const char *const *roles, int n_roles)
{
    static const struct {
        const char *field, *head;
    } columns[] = {{"effective_rank", "effective rank>"},     {"nearest_loss_bits", "rounding to nearest>"},
                   {"feedback_loss_bits", "error feedback>"}, {"shrinkage", "shrinkage ρ>"},
                   {"shrinkage_bits", "shrinkage (bit)>"},    {"held_out_bits", "held out (bit)>"},
                   {"held_out_low_bits", "2.5 %>"},           {"held_out_high_bits", "97.5 %>"}};
    enum { COLUMNS = sizeof columns / sizeof *columns };
    bg_text head = {0};
    bg_table b;
    bg_text_add(&head, "role|layers>");
    for (int k = 0; k < COLUMNS; k++)
        bg_text_format(&head, "|%s", columns[k].head);
    bg_text_add(t, "**What the inputs allow**, means over the layers of a role\n\n");
    bg_table_begin(&b, &r->page, t, "What the inputs allow", bg_text_string(&head));
    for (int i = 0; i < n_roles; i++) {
        bg_table_code(&b, roles[i]);
        bg_table_number(&b, bg_num_rows(&r->docs, "count", "bounds", "outputs", "mean_diagonal", roles[i]), BG_COUNT);
        for (int k = 0; k < COLUMNS; k++)
            bg_table_number_or(&b, bg_num_rows(&r->docs, "mean", "bounds", "outputs", columns[k].field, roles[i]),
                               BG_SIG3, k < 3 ? "singular" : "calibrated without folds");
    }
    bg_table_end(&b);
    bg_text_free(&head);
    bg_text_add(t, "\n\nRounding to nearest and error feedback: what each loses at high rate beside the loss of its "
                   "scalar code, in bits. Shrinkage "
                   "(Ledoit and Wolf 2004) and held-out text: what they add to the bound at 4 bits per weight; the "
                   "interval is a bootstrap over parts of the text.\n");
}

static void put_methods(bg_report *r, bg_text *t, const bg_curve *const *lines, int n)
{
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Bits above the functional bound",
                   "method|spec|tensors>|bits/weight>|above the bound (bit)>|2.5 %>|97.5 %>|least>|most>");
    for (int i = 0; i < n; i++)
        for (int k = 0; k < lines[i]->n; k++) {
            const char *spec = lines[i]->steps[k].spec;
            if (!isfinite(output_gap(r, "mean", NULL, spec).value))
                continue;
            bg_table_text(&b, lines[i]->label);
            bg_table_code(&b, spec);
            bg_table_number(&b, output_gap(r, "count", NULL, spec), BG_COUNT);
            bg_table_number(&b, bg_mean(r, "rate_bits", NULL, spec), BG_SIG3);
            static const char *const hows[] = {"mean", "low", "high", "least", "most"};
            for (int h = 0; h < 5; h++)
                bg_table_number_or(&b, output_gap(r, hows[h], NULL, spec), BG_SIG3, "one tensor");
        }
    bg_table_end(&b);
}

/* ---- the weights themselves: known scales, entropies ---- */

static const double GAUSSIAN_ENTROPY = 2.047095585180641; /* ½·log2(2πe) */
static const char at_one_percent[] = "rows[relative=0.01]";

static bg_num bound_of(const bg_report *r, const char *field, const char *where)
{
    return bg_num_rows(&r->docs, "mean", "bounds", at_one_percent, field, where);
}

/* What is saved between two certified intervals: at least the lower end of one less the upper of the other, at most the
 * reverse. */
static void put_saving(bg_report *r, bg_text *t, const char *from_lower, const char *from_upper, const char *to_lower,
                       const char *to_upper)
{
    bg_num least = bg_num_operate(bound_of(r, from_lower, NULL), '-', bound_of(r, to_upper, NULL));
    if (least.value < 0)
        least = bg_num_constant(0);
    bg_put_number(&r->page, t, least, BG_SIG3);
    bg_text_add(t, " to ");
    bg_put_number(&r->page, t, bg_num_operate(bound_of(r, from_upper, NULL), '-', bound_of(r, to_lower, NULL)),
                  BG_SIG3);
    bg_text_add(t, " bit");
}

static void put_weights(bg_report *r, bg_text *t)
{
    static const char *const fields[] = {"shannon_lower_bits", "upper_bits",         "lower_bits",
                                         "channel_bits",       "channel_upper_bits", "channel_lower_bits",
                                         "group_bits",         "group_upper_bits",   "group_lower_bits"};
    static const char *const entropies[] = {"codes_bits", "vasicek_bits", "kozachenko_leonenko_bits",
                                            "miller_madow_bits"};
    bg_rows rows = bg_docset_rows(&r->docs, "bounds", "rows");
    const char *roles[PANELS];
    int n = list_roles(rows, roles);
    bg_table b;
    if (!isfinite(bound_of(r, "channel_upper_bits", NULL).value))
        return;
    bg_text_add(t, "**The weights themselves.** At D = 0.01σ², knowing the scale of every row would save a code ");
    put_saving(r, t, "lower_bits", "upper_bits", "channel_lower_bits", "channel_upper_bits");
    bg_text_add(t, " per weight beyond the weights' own law, and that of every group of 128 ");
    put_saving(r, t, "lower_bits", "upper_bits", "group_lower_bits", "group_upper_bits");
    bg_text_add(t, ", where such scales in 16 bits cost ");
    bg_put_number(&r->page, t, bg_num_operate(bg_num_constant(16), '/', bg_num_constant(128)), BG_SIG3);
    bg_text_add(t, " bit and even weights of one scale would seem to gain ");
    bg_put_number(&r->page, t, bg_num_operate(bg_num_constant(1.4426950408889634), '/', bg_num_constant(128)), BG_SIG3);
    bg_text_add(t, " from means and scales fitted to so few.\n\n");
    bg_table_begin(&b, &r->page, t, "Bits below the Gaussian bound at D = 0.01σ²",
                   "role|Shannon, about>|own law, from>|to>|rows known, Gaussian>|own law, from>|to>|groups of 128 "
                   "known, Gaussian>|own law, from>|to>");
    for (int i = 0; i < n; i++) {
        bg_table_code(&b, roles[i]);
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            bg_table_number(
                &b, bg_num_operate(bound_of(r, "gaussian_bits", roles[i]), '-', bound_of(r, fields[k], roles[i])),
                BG_SIG3);
    }
    bg_table_end(&b);
    bg_text_add(
        t, "\n\nBits per weight below the Gaussian bound at D = 0.01σ², means over the layers of a role. Intervals are "
           "certified from both sides (Blahut–Arimoto); bounds with known scales do not count the scales.\n\n");
    bg_put_fold(t, "Differential entropy by four estimators");
    bg_text_add(t, "How far below a Gaussian's of the same σ (½·log2 2πeσ²), in bits. The Shannon bound uses the "
                   "first, of all stored codes; the others see at most 32,768 "
                   "draws, so that a few thousandths of a bit between them are chance.\n");
    bg_table_begin(&b, &r->page, t, "Bits of entropy below a Gaussian",
                   "role|all codes>|Vasicek>|Kozachenko–Leonenko>|histogram, Miller–Madow>");
    for (int i = 0; i < n; i++) {
        bg_table_code(&b, roles[i]);
        for (int k = 0; k < 4; k++)
            bg_table_number(
                &b,
                bg_num_operate(bg_num_constant(GAUSSIAN_ENTROPY), '-',
                               bg_num_rows(&r->docs, "mean", "bounds", "entropies", entropies[k], roles[i])),
                BG_SIG3);
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
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
        if (strcmp(bg_row_string(&rows.rows[i], "group"), role) || !(power > 0))
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
            if (!row || strcmp(p[i].group, role) || !(relative > 0))
                continue;
            rate += bg_row_number(p[i].curve, "rate_bits");
            logs += log(relative);
            layers++;
        }
        if (!layers)
            continue;
        char tip[256], text[BG_NUMBER_TEXT];
        snprintf(tip, sizeof tip, "%s, %s: %s bits/weight", role, c->label,
                 bg_number_text(text, rate / layers, BG_SIG3));
        bg_text_format(&f->data, "%.6g %.6g %d\n", rate / layers, exp(logs / layers), bg_figure_tip(f, tip));
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

static int draw(bg_report *r, bg_text *where, bg_rows rows, const char *const *roles, int n_roles,
                const bg_curve *const *lines, int n, bg_err *e)
{
    bg_figure f;
    int status =
            bg_figure_begin(&f, &r->page, "bounds", "Output error against rate by role, with the functional bound", e),
        banded = 0;
    if (status)
        return status;
    bg_text *titles = bg_slots_at(&f.slots, "titles");
    for (int i = 0; i < n_roles; i++) {
        bg_text_add(titles, i ? ", " : "");
        bg_text_gnuplot(titles, roles[i]);
        banded |= put_bound(r, &f.data, rows, roles[i]);
        for (int k = 0; k < n; k++)
            put_points(r, &f, rows, roles[i], lines[k]);
    }
    put_legend(&f, lines, n);
    bg_figure_panels(&f, n_roles);
    bg_text_format(bg_slots_at(&f.slots, "lines"), "%d", n);
    bg_text_add(&f.shown->caption, "The horizontal distance of a point from the dashed line is what it pays above the "
                                   "functional bound. Geometric means over the "
                                   "layers of a role; 1 is an output of zeros.");
    if (banded)
        bg_text_add(&f.shown->caption, " The grey band is the same bound on held-out text (95 %).");
    bg_text_format(&f.shown->alt, "Output error against rate in %d roles: the functional bound%s and %d methods.",
                   n_roles, banded ? " with its band" : "", n);
    put_methods(r, &f.shown->table, lines, n);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "bounds", "outputs");
    const char *roles[PANELS];
    const bg_curve *lines[LINES];
    bg_text *finding = bg_slots_at(s, "finding"), *figure = bg_slots_at(s, "figure"),
            *inputs = bg_slots_at(s, "inputs");
    bg_text *weights = bg_slots_at(s, "weights"), *what = bg_slots_at(s, "what");
    int n_roles = list_roles(rows, roles);
    put_weights(r, weights);
    *present = n_roles || weights->length;
    if (!n_roles)
        return BG_OK;
    bg_text_add(what, "Output error is tr((W − Ŵ)Σ(W − Ŵ)ᵀ), Σ the second moment of the layer's input on the "
                      "calibration text. The functional bound is the "
                      "least of it at a rate, for independent Gaussian weights, by reverse water-filling over the "
                      "eigenvalues of Σ. Trained weights "
                      "are not independent: a code that learns how they go together, as that of steps=water does, can "
                      "stay below it.");
    int n = choose(r, lines);
    say_finding(r, finding, lines, n);
    put_inputs(r, inputs, roles, n_roles);
    return draw(r, figure, rows, roles, n_roles, lines, n, e);
}

const bg_report_section bg_section_bounds = {.id = "bounds", .title = "Bounds", .write = write};
