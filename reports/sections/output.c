/* Whether weight error matters: logits, divergence and perplexity of changed models, and how far weight error foretells
 * them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

enum { NAMED = 8, BARS = 24 };

static const char *family_of(const bg_report *r, const char *quantizer)
{
    for (int i = 0; i < r->all.n; i++)
        if (!strcmp(r->all.curves[i].quantizer, quantizer))
            return r->all.curves[i].family;
    return "";
}

static int is_over(const bg_row *row, const char *over)
{
    const char *o = bg_row_string(row, "over");
    return o && !strcmp(o, over);
}

/* ---- the sentence ---- */

static const bg_row *verdict_row(bg_rows rows)
{
    const bg_row *best = NULL;
    for (int i = 0; i < rows.n; i++)
        if (is_over(&rows.rows[i], "all") && (!best || !strcmp(bg_row_string(&rows.rows[i], "measure"), "kl_mean")))
            best = &rows.rows[i];
    return best ? best : rows.n ? &rows.rows[0] : NULL;
}

static void say_correlation(bg_report *r, bg_text *t, const bg_row *row)
{
    const char *verdict = bg_row_string(row, "verdict");
    int logits = !strcmp(bg_row_string(row, "measure"), "logits_mse");
    const char *what = logits ? "the error of the logits" : "the divergence of the model's output";
    if (!strcmp(verdict, "validated"))
        bg_text_format(t, "Weight error foretells %s here", what);
    else if (!strcmp(verdict, "partly"))
        bg_text_format(t, "Weight error foretells %s only in part", what);
    else if (!strcmp(verdict, "too few"))
        bg_text_format(t, "Whether weight error foretells %s cannot be told from so few points", what);
    else
        bg_text_format(t, "Weight error does not foretell %s here", what);
    bg_text_add(t, ": over ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, row, "points"), BG_COUNT);
    bg_text_add(t, " points the rank correlation is ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, row, "spearman"), BG_SIG3);
    bg_num low = bg_num_cell(&r->docs, row, "spearman_low");
    if (isfinite(low.value)) {
        bg_text_add(t, " (95 %: ");
        bg_put_number(&r->page, t, low, BG_SIG3);
        bg_text_add(t, " to ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, row, "spearman_high"), BG_SIG3);
        bg_text_add(t, ")");
    }
    bg_num slope = bg_num_cell(&r->docs, row, "slope");
    if (isfinite(slope.value)) {
        bg_text_add(t, ", and one per cent more weight error brings ");
        bg_put_number(&r->page, t, slope, BG_SIG3);
        bg_text_add(t, " per cent more");
    }
    bg_text_add(t, ".");
}

static void say_linearity(bg_report *r, bg_text *t)
{
    bg_rows fits = bg_docset_rows(&r->docs, "logits", "linearity_fit");
    for (int i = 0; i < fits.n; i++) {
        const bg_row *row = &fits.rows[i];
        if (strcmp(bg_row_string(row, "measure"), "kl"))
            continue;
        bg_num from = bg_num_cell(&r->docs, row, "holds_from_bits");
        bg_text_add(t, "The sum of what each tensor costs alone foretells the whole within ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, row, "tolerance"), BG_PERCENT);
        if (isfinite(from.value)) {
            bg_text_add(t, " % from ");
            bg_put_number(&r->page, t, from, BG_SIG3);
            bg_text_add(t, " bits per weight up.");
        } else {
            bg_text_add(t, " % at none of the rates measured.");
        }
    }
}

static void say_best(bg_report *r, bg_text *t, bg_rows rows)
{
    const bg_row *best = NULL, *worst = NULL;
    for (int i = 0; i < rows.n; i++) {
        if (!is_over(&rows.rows[i], "all"))
            continue;
        if (!best || bg_row_number(&rows.rows[i], "kl_mean") < bg_row_number(best, "kl_mean"))
            best = &rows.rows[i];
        if (!worst || bg_row_number(&rows.rows[i], "kl_mean") > bg_row_number(worst, "kl_mean"))
            worst = &rows.rows[i];
    }
    if (!best)
        return;
    bg_text_code(t, bg_row_string(best, "spec"));
    bg_text_add(t, " keeps the model's top choice for ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, best, "same_top"), BG_PERCENT);
    bg_text_add(t, " % of the tokens");
    if (worst != best) {
        bg_text_add(t, ", ");
        bg_text_code(t, bg_row_string(worst, "spec"));
        bg_text_add(t, " for ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, worst, "same_top"), BG_PERCENT);
        bg_text_add(t, " %");
    }
    bg_text_add(t, ".");
}

/* ---- tables ---- */

static void put_table(bg_report *r, bg_text *t, bg_rows rows, const char *over)
{
    static const struct {
        const char *field;
        bg_style style;
    } columns[] = {{"rate_bits", BG_SIG3}, {"weight_mse", BG_SIG3},  {"logits_mse", BG_SIG3},  {"ratio", BG_SIG3},
                   {"kl_mean", BG_SIG3},   {"kl_99", BG_SIG3},       {"same_top", BG_PERCENT}, {"perplexity", BG_SIG3},
                   {"log_ratio", BG_SIG3}, {"log_ratio_se", BG_SIG3}};
    int places = strcmp(over, "all") != 0;
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Functional error",
                   places ? "spec|role|layer>|bits/weight>|weight MSE>|logits MSE>|ratio>|KL mean (nats)>|KL 99 "
                            "%>|same top (%)>|perplexity>|Δ ln PPL>|± s.e.>"
                          : "spec|bits/weight>|weight MSE>|logits MSE>|ratio>|KL mean (nats)>|KL 99 %>|same top "
                            "(%)>|perplexity>|Δ ln PPL>|± s.e.>");
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        if (is_over(row, "all") == places)
            continue;
        bg_table_code(&b, bg_row_string(row, "spec"));
        if (places) {
            bg_table_code(&b, bg_row_string(row, "role"));
            if (bg_row_integer(row, "layer", -1) >= 0)
                bg_table_number(&b, bg_num_cell(&r->docs, row, "layer"), BG_PLAIN);
            else
                bg_table_dash(&b, "");
        }
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            bg_table_number(&b, bg_num_cell(&r->docs, row, columns[c].field), columns[c].style);
    }
    bg_table_end(&b);
}

static void put_linearity_table(bg_report *r, bg_text *t, bg_rows rows)
{
    static const char *const fields[] = {
        "rate_bits",           "predicted_kl",       "measured_kl",           "residual_kl",
        "predicted_log_ratio", "measured_log_ratio", "measured_log_ratio_se", "residual_log_ratio"};
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Predicted and measured cost",
                   "spec|bits/weight>|KL predicted (nats)>|KL measured (nats)>|ln(measured/predicted)>|Δ ln PPL "
                   "predicted>|Δ ln PPL measured>|± s.e.>|measured − predicted>");
    for (int i = 0; i < rows.n; i++) {
        bg_table_code(&b, bg_row_string(&rows.rows[i], "spec"));
        for (size_t c = 0; c < sizeof fields / sizeof *fields; c++)
            bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], fields[c]), BG_SIG3);
    }
    bg_table_end(&b);
}

static void put_correlation(bg_report *r, bg_text *t, bg_rows rows)
{
    bg_table b;
    if (!rows.n)
        return;
    bg_put_fold(t, "Correlations");
    bg_table_begin(&b, &r->page, t, "Correlation of weight error with functional error",
                   "points over|role|measure|points>|Pearson (logs)>|95 % from>|to>|p>|Spearman>|from>|to>|p>|p "
                   "exact>|slope>|ratio spread>|verdict");
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        static const char *const fields[] = {"pearson",          "pearson_low",  "pearson_high",  "pearson_p",
                                             "spearman",         "spearman_low", "spearman_high", "spearman_p",
                                             "spearman_p_exact", "slope",        "ratio_spread"};
        bg_table_text(&b, bg_row_string(row, "over"));
        bg_table_code(&b, bg_row_string(row, "role"));
        bg_table_text(&b, bg_row_string(row, "measure"));
        bg_table_number(&b, bg_num_cell(&r->docs, row, "points"), BG_COUNT);
        for (size_t c = 0; c < sizeof fields / sizeof *fields; c++)
            bg_table_number(&b, bg_num_cell(&r->docs, row, fields[c]), BG_SIG3);
        bg_table_text(&b, bg_row_string(row, "verdict"));
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
}

/* ---- scatter of weight error and logits error ---- */

static void put_point(bg_figure *f, const bg_row *row, const char *label)
{
    char tip[320], w[BG_NUMBER_TEXT], l[BG_NUMBER_TEXT], k[BG_NUMBER_TEXT];
    snprintf(tip, sizeof tip, "%s: weight MSE %s, logits MSE %s, KL %s nats", label,
             bg_number_text(w, bg_row_number(row, "weight_mse"), BG_SIG3),
             bg_number_text(l, bg_row_number(row, "logits_mse"), BG_SIG3),
             bg_number_text(k, bg_row_number(row, "kl_mean"), BG_SIG3));
    bg_text_format(&f->data, "%.6g %.6g %d\n", bg_row_number(row, "weight_mse"), bg_row_number(row, "logits_mse"),
                   bg_figure_tip(f, tip));
}

/* Names beside the frame, which reaches over whole decades. */
static void name_points(bg_figure *f, const bg_line_end *named, int n, bg_rows rows)
{
    double least = INFINITY, most = -INFINITY;
    for (int i = 0; i < rows.n; i++) {
        double v = log10(bg_row_number(&rows.rows[i], "logits_mse"));
        least = is_over(&rows.rows[i], "all") && isfinite(v) ? fmin(least, v) : least;
        most = is_over(&rows.rows[i], "all") && isfinite(v) ? fmax(most, v) : most;
    }
    bg_label_ends(f, named, n, floor(least), ceil(most), 440, 1);
}

/* One curve a quantizer, in order of appearance; the first few are named beside their last point. */
static int put_scatter(bg_report *r, bg_figure *f, bg_rows rows)
{
    int curves = 0, n = 0;
    bg_line_end named[NAMED];
    char names[NAMED][BG_LABEL];
    for (int i = 0; i < rows.n; i++) {
        const char *quantizer = bg_row_string(&rows.rows[i], "quantizer");
        char label[BG_LABEL];
        int seen = 0, last = i, points = 0;
        for (int k = 0; k < i; k++)
            seen |= is_over(&rows.rows[k], "all") && !strcmp(bg_row_string(&rows.rows[k], "quantizer"), quantizer);
        if (seen || !is_over(&rows.rows[i], "all"))
            continue;
        bg_method_label(quantizer, label);
        const char *family = family_of(r, quantizer);
        bg_text_format(&f->data, "# curve %d: weight MSE, logits MSE, text of the point\n", curves);
        for (int k = i; k < rows.n; k++) {
            const bg_row *row = &rows.rows[k];
            if (!is_over(row, "all") || strcmp(bg_row_string(row, "quantizer"), quantizer) ||
                !(bg_row_number(row, "weight_mse") > 0) || !(bg_row_number(row, "logits_mse") > 0))
                continue;
            put_point(f, row, bg_row_string(row, "spec"));
            last = k;
            points++;
        }
        bg_text_add(&f->data, points ? "\n\n" : "NaN NaN 0\n\n\n");
        bg_figure_curve(f, label, family, curves, curves >= NAMED);
        if (points && curves < NAMED) {
            snprintf(names[n], sizeof names[n], "%s", label);
            named[n] = (bg_line_end){names[n], family, bg_row_number(&rows.rows[last], "weight_mse"),
                                     log10(bg_row_number(&rows.rows[last], "logits_mse"))};
            n++;
        }
        curves++;
    }
    name_points(f, named, n, rows);
    return curves;
}

static int draw_scatter(bg_report *r, bg_text *where, bg_rows rows, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "output-scatter", "Weight error and logits error", e);
    if (status)
        return status;
    int curves = put_scatter(r, &f, rows);
    if (!curves) {
        bg_figure_abandon(&f);
        return BG_OK;
    }
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", curves);
    bg_text_add(&f.shown->caption, "If weight error were all that mattered, the points would lie on one line of slope "
                                   "one; a method above the others "
                                   "costs more than its weight error says.");
    bg_text_format(&f.shown->alt, "Weight MSE against logits MSE on logarithmic axes for %d methods.", curves);
    put_table(r, &f.shown->table, rows, "all");
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

/* ---- divergence with its quantiles ---- */

static int by_divergence(const void *a, const void *b)
{
    double x = bg_row_number(*(const bg_row *const *)a, "kl_mean"),
           y = bg_row_number(*(const bg_row *const *)b, "kl_mean");
    return (x > y) - (x < y);
}

static int draw_divergence(bg_report *r, bg_text *where, bg_rows rows, bg_err *e)
{
    bg_figure f;
    const bg_row **sorted = malloc(((size_t)rows.n + 1) * sizeof *sorted);
    int n = 0, drawn = 0;
    if (!sorted)
        return bg_no_memory(e, "divergence", (size_t)rows.n * sizeof *sorted);
    for (int i = 0; i < rows.n; i++)
        if (is_over(&rows.rows[i], "all") && bg_row_number(&rows.rows[i], "kl_mean") > 0)
            sorted[n++] = &rows.rows[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_divergence);
    int status = n ? bg_figure_begin(&f, &r->page, "output-divergence", "Divergence of the model's output", e) : BG_OK;
    if (!n || status) {
        free(sorted);
        return status;
    }
    bg_text *names = bg_slots_at(&f.slots, "names");
    bg_text_add(&f.shown->alt, "KL divergence from the base in nats per token, smallest first:");
    for (; drawn < n && drawn < BARS; drawn++) {
        const bg_row *row = sorted[drawn];
        bg_text_format(&f.data, "%d %.6g %.6g %.6g\n", drawn, fmax(1e-12, bg_row_number(row, "kl_median")),
                       bg_row_number(row, "kl_mean"), bg_row_number(row, "kl_99"));
        bg_text_add(names, drawn ? ", " : "");
        bg_text_gnuplot(names, bg_row_string(row, "spec"));
        if (drawn < 6)
            bg_text_format(&f.shown->alt, "%s %s %.3g", drawn ? "," : "", bg_row_string(row, "spec"),
                           bg_row_number(row, "kl_mean"));
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", drawn);
    bg_text_add(&f.shown->caption, "The dot is the mean divergence a token; the line runs from the median to the 99 % "
                                   "quantile. A line reaching far "
                                   "right is a method that spoils a few tokens badly.");
    if (n > drawn)
        bg_text_format(&f.shown->caption, " The %d best of %d are drawn.", drawn, n);
    put_table(r, &f.shown->table, rows, "all");
    free(sorted);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

/* ---- predicted against measured divergence ---- */

static void put_costs(bg_figure *f, bg_rows rows, int shaped)
{
    bg_text_format(&f->data, "# %s: predicted KL, measured KL, text of the point\n",
                   shaped ? "errors that calibration shapes" : "the others");
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        double x = bg_row_number(row, "predicted_kl"), y = bg_row_number(row, "measured_kl");
        char tip[320], p[BG_NUMBER_TEXT], m[BG_NUMBER_TEXT];
        if (bg_row_integer(row, "shaped", 0) != shaped || !(x > 0) || !(y > 0))
            continue;
        snprintf(tip, sizeof tip, "%.200s: predicted %s, measured %s nats", bg_row_string(row, "spec"),
                 bg_number_text(p, x, BG_SIG3), bg_number_text(m, y, BG_SIG3));
        bg_text_format(&f->data, "%.6g %.6g %d\n", x, y, bg_figure_tip(f, tip));
    }
    bg_text_add(&f->data, "NaN NaN 0\n\n\n"); /* a block of its own even when empty */
    const char *family = shaped ? "calibrated" : "uniform",
               *name = shaped ? "shaped by calibration" : "not shaped by calibration";
    bg_text_format(bg_slots_at(&f->slots, "names"),
                   "set label '●' at graph 0.03,%.2f tc rgb '%s'\nset label '%s' at graph 0.045,%.2f tc rgb '%s'\n",
                   shaped ? 0.88 : 0.94, bg_family_colour(family), name, shaped ? 0.88 : 0.94,
                   bg_family_text_colour(family));
    bg_figure_curve(f, name, family, 0, 0);
}

static int draw_linearity(bg_report *r, bg_text *where, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "logits", "linearity"),
            fits = bg_docset_rows(&r->docs, "logits", "linearity_fit");
    bg_figure f;
    int drawn = 0, shaped = 0;
    for (int i = 0; i < rows.n; i++) {
        drawn += bg_row_number(&rows.rows[i], "predicted_kl") > 0 && bg_row_number(&rows.rows[i], "measured_kl") > 0;
        shaped += bg_row_integer(&rows.rows[i], "shaped", 0) > 0;
    }
    int status =
        drawn ? bg_figure_begin(&f, &r->page, "output-linearity", "Predicted and measured divergence", e) : BG_OK;
    if (!drawn || status)
        return status;
    put_costs(&f, rows, 0);
    put_costs(&f, rows, 1); /* without any, an empty block: the template draws both */
    bg_text_format(bg_slots_at(&f.slots, "tolerance"), "%.6g", fits.n ? bg_row_number(&fits.rows[0], "tolerance") : 0);
    say_linearity(r, &f.shown->caption);
    bg_text_add(&f.shown->caption, " The dotted lines are that far from equality; a spec above them costs more than "
                                   "the sum over its tensors says.");
    if (shaped)
        bg_text_add(
            &f.shown->caption,
            " The coefficients are measured with white noise: errors that calibration shapes are shown, not counted.");
    bg_text_format(
        &f.shown->alt,
        "Predicted against measured KL divergence of %d specs on logarithmic axes, about the line of equality.", drawn);
    put_linearity_table(r, &f.shown->table, rows);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "logits", "rows"),
            correlation = bg_docset_rows(&r->docs, "correlation", "rows");
    bg_text *finding = bg_slots_at(s, "finding"), *scatter = bg_slots_at(s, "scatter"),
            *divergence = bg_slots_at(s, "divergence"), *tables = bg_slots_at(s, "tables");
    if (!rows.n && !correlation.n)
        return BG_OK;
    *present = 1;
    const bg_row *verdict = verdict_row(correlation);
    if (verdict) {
        say_correlation(r, finding, verdict);
        bg_text_add(finding, " ");
    }
    say_best(r, finding, rows);
    put_correlation(r, tables, correlation);
    int places = 0;
    for (int i = 0; i < rows.n; i++)
        places += !is_over(&rows.rows[i], "all");
    if (places) {
        bg_put_fold(tables, "One layer, role or tensor changed at a time");
        put_table(r, tables, rows, "places");
        bg_put_fold_end(tables);
    }
    int status = draw_scatter(r, scatter, rows, e);
    if (!status)
        status = draw_divergence(r, divergence, rows, e);
    return status ? status : draw_linearity(r, bg_slots_at(s, "linearity"), e);
}

const bg_report_section bg_section_output = {.id = "output", .title = "Output", .write = write};
