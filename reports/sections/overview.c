/* The first screen: one sentence, a few cards, distortion against rate. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

/* ---- the sentence ---- */

static void say_worst(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "gaps", "sensitivity");
    if (rows.n < 2)
        return;
    if (!bg_layers_differ(r, rows)) {
        bg_text_add(t, "; no layer stands out as a bad place to save");
        return;
    }
    bg_text_add(t, "; ");
    bg_say_place(t, &rows.rows[0]);
    bg_text_add(t, " is the worst place to save");
}

/* " (and cannot be told apart from …)", when the documents cannot. */
static void say_rivals(bg_report *r, bg_text *t, const int *order, int n)
{
    const bg_curve *best = &r->all.curves[order[0]];
    const bg_step *top = bg_curve_near(best, r->rate, r->within);
    int rivals = 0;
    for (int i = 1; i < n && rivals < 3; i++) {
        const bg_curve *c = &r->all.curves[order[i]];
        if (!bg_indistinct(r, top, bg_curve_near(c, r->rate, r->within)))
            continue;
        bg_text_add(t, rivals++ ? ", " : " (and cannot be told apart from ");
        bg_put_method(t, c->label);
    }
    bg_text_add(t, rivals ? ")" : "");
}

static void say_finding(bg_report *r, bg_text *t)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order);
    const bg_curve *reference = bg_reference_curve(r), *best = n ? &r->all.curves[order[0]] : NULL;
    const bg_step *top = best ? bg_curve_near(best, r->rate, r->within) : NULL;
    if (!best) {
        bg_text_format(t, "No quantizer was measured near %g bits per weight", r->rate);
    } else if (!reference || reference == best) {
        bg_text_format(t, "Near %g bits per weight the best code measured here, ", r->rate);
        bg_say_waste(r, t, best, top);
        bg_text_add(t, " against the Shannon bound");
    } else {
        bg_text_format(t, "Near %g bits per weight, ", r->rate);
        bg_say_waste(r, t, reference, bg_curve_near(reference, r->rate, r->within));
        bg_text_add(t, " against the Shannon bound; the best code measured here is ");
        bg_put_method(t, best->label);
        bg_say_kind(t, best);
        bg_text_add(t, ", which");
        bg_say_how_much(r, t, top);
    }
    if (best)
        say_rivals(r, t, order, n);
    say_worst(r, t);
    bg_text_add(t, ".");
    free(order);
}

static void say_subtitle(bg_report *r, bg_text *t)
{
    bg_rows models = bg_docset_rows(&r->docs, "groups", "models"),
            tensors = bg_docset_rows(&r->docs, "groups", "tensors");
    if (models.n) {
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, &models.rows[0], "parameters"), BG_COUNT);
        bg_text_add(t, " parameters, ");
        bg_text_markdown(t, bg_row_string(&models.rows[0], "architecture"));
        bg_text_format(t, "; %d weight matri%s measured; ", tensors.n, tensors.n == 1 ? "x" : "ces");
    }
    if (r->docs.filter.n_layers || r->docs.filter.n_groups) {
        bg_text_add(t, "this page shows only ");
        for (int i = 0; i < r->docs.filter.n_layers; i++)
            bg_text_format(t, "%s%d",
                           i                             ? ", "
                           : r->docs.filter.n_layers > 1 ? "layers "
                                                         : "layer ",
                           r->docs.filter.layers[i]);
        for (int i = 0; i < r->docs.filter.n_groups; i++) {
            bg_text_add(t, i ? ", " : r->docs.filter.n_layers ? " of " : "");
            bg_text_code(t, r->docs.filter.groups[i]);
        }
        bg_text_add(t, "; ");
    }
    bg_text_format(t, "Bitgap %s.", bg_version);
}

/* ---- cards ---- */

static void card(bg_text *t, const char *title)
{
    bg_text_format(t, "- **%s** ", title);
}

/* The change of ln perplexity that the evaluation measured for this spec, if it did. */
static void say_perplexity(bg_report *r, bg_text *t, const char *spec)
{
    bg_rows rows = bg_docset_rows(&r->docs, "evaluation", "rows");
    for (int i = 0; i < rows.n; i++) {
        bg_num change = bg_num_cell(&r->docs, &rows.rows[i], "log_perplexity_change"),
               se = bg_num_cell(&r->docs, &rows.rows[i], "log_perplexity_change_se");
        if (strcmp(bg_row_string(&rows.rows[i], "spec"), spec) || !isfinite(change.value) || !isfinite(se.value))
            continue;
        bg_text_add(t, "; ln perplexity ");
        bg_put_number(&r->page, t, change, BG_SIGNED);
        bg_text_add(t, " ± ");
        bg_put_number(&r->page, t, se, BG_SIG3);
        return;
    }
}

static void card_best(bg_report *r, bg_text *t)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order);
    for (int i = 0; i < n; i++) {
        const bg_curve *c = &r->all.curves[order[i]];
        const bg_step *step = bg_curve_near(c, r->rate, r->within);
        if (!bg_curve_is_fixed_rate(c))
            continue;
        char title[64];
        snprintf(title, sizeof title, "Best fixed-rate code near %g bits", r->rate);
        card(t, title);
        bg_text_markdown(t, c->label);
        bg_text_add(t, ": gap ");
        bg_put_number(&r->page, t, bg_mean(r, "gap_bits", NULL, step->spec), BG_SIG3);
        bg_text_add(t, " bit at ");
        bg_put_number(&r->page, t, bg_mean(r, "rate_bits", NULL, step->spec), BG_SIG3);
        bg_text_add(t, " bits per weight");
        say_perplexity(r, t, step->spec);
        bg_text_add(t, "\n");
        break;
    }
    free(order);
}

static void card_worst(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "gaps", "sensitivity");
    if (rows.n < 2)
        return;
    card(t, "Worst layer");
    bg_say_place(t, &rows.rows[0]);
    bg_text_add(t, ": ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, &rows.rows[0], "sqnr_db"), BG_SIG3);
    bg_text_add(t, " dB where the best has ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, &rows.rows[rows.n - 1], "sqnr_db"), BG_SIG3);
    bg_text_add(t, " dB, under ");
    bg_say_spec(r, t, bg_row_string(&rows.rows[0], "spec"));
    bg_text_add(t, "\n");
}

/* Models and formats whose perplexity is within 1 % of the weights as they are; the one of least bytes. */
static void card_cheapest(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "evaluation", "rows");
    const bg_row *base = NULL, *best = NULL;
    for (int i = 0; i < rows.n; i++)
        if (!base && !strcmp(bg_row_string(&rows.rows[i], "spec"), "none"))
            base = &rows.rows[i];
    double limit = bg_row_number(base, "perplexity") * 1.01;
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        if (row != base && bg_row_number(row, "perplexity") <= limit && isfinite(bg_row_number(row, "rate_bits")) &&
            !(best && bg_row_number(best, "rate_bits") <= bg_row_number(row, "rate_bits")))
            best = row;
    }
    if (!best)
        return;
    card(t, "Cheapest inside 1 % of the base perplexity");
    bg_text_code(t, bg_row_string(best, "spec"));
    bg_text_add(t, ": ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, best, "rate_bits"), BG_SIG3);
    bg_text_add(t, " bits per weight, perplexity ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, best, "perplexity"), BG_SIG3);
    bg_text_add(t, " against ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, base, "perplexity"), BG_SIG3);
    bg_text_add(t, "\n");
}

static void card_allocation(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "allocation", "summary");
    if (!rows.n)
        return;
    bg_num loss = bg_num_cell(&r->docs, &rows.rows[0], "loss"),
           uniform = bg_num_cell(&r->docs, &rows.rows[0], "uniform_loss"),
           dual = bg_num_cell(&r->docs, &rows.rows[0], "dual_bound");
    bg_num gain = bg_num_operate(bg_num_operate(uniform, '-', loss), '/', uniform),
           left = bg_num_operate(bg_num_operate(loss, '-', dual), '/', loss);
    if (!isfinite(gain.value) || !isfinite(left.value))
        return;
    card(t, "How far an allocation could go");
    bg_put_number(&r->page, t, gain, BG_PERCENT);
    bg_text_add(t, " % less loss than one spec for all at ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, &rows.rows[0], "budget_bits"), BG_SIG3);
    bg_text_add(t, " bits per weight; at most ");
    bg_put_number(&r->page, t, left, BG_PERCENT);
    bg_text_add(t, " % more beyond that\n");
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

static void tip_text(char *out, size_t room, const bg_curve *c, const bg_step *s)
{
    char rate[BG_NUMBER_TEXT], gap[BG_NUMBER_TEXT], d[BG_NUMBER_TEXT], db[BG_NUMBER_TEXT];
    snprintf(out, room, "%s: %s bits/weight, D/σ² %s (%s dB), gap %s bit", c->label,
             bg_number_text(rate, s->rate, BG_SIG3), bg_number_text(d, exp2(log2_distortion(s)), BG_SIG3),
             bg_number_text(db, s->sqnr, BG_SIG3), bg_number_text(gap, s->gap, BG_SIG3));
}

/* Faint curves first, so that those with names lie on top. */
static void put_curves(bg_figure *f, const bg_summary *m)
{
    char tip[512];
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
                tip_text(tip, sizeof tip, c, &c->steps[k]);
                bg_text_format(&f->data, "%.6g %.6g %d\n", c->steps[k].rate, exp2(log2_distortion(&c->steps[k])),
                               bg_figure_tip(f, tip));
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

static void put_table(bg_report *r, bg_figure *f)
{
    bg_table b;
    bg_table_begin(&b, &r->page, &f->shown->table, "Distortion against rate, mean over the tensors by weights",
                   "method|spec|tensors>|bits/weight>|SQNR (dB)>|gap (bit)>");
    for (int i = 0; i < r->all.n; i++)
        for (int k = 0; k < r->all.curves[i].n; k++) {
            const char *spec = r->all.curves[i].steps[k].spec;
            bg_table_text(&b, r->all.curves[i].label);
            bg_table_code(&b, spec);
            bg_table_number(&b, bg_num_over(&r->docs, "count", "rate_bits", NULL, spec), BG_COUNT);
            bg_table_number(&b, bg_mean(r, "rate_bits", NULL, spec), BG_SIG3);
            bg_table_number(&b, bg_mean(r, "sqnr_db", NULL, spec), BG_SIG3);
            bg_table_number(&b, bg_mean(r, "gap_bits", NULL, spec), BG_SIG3);
        }
    bg_table_end(&b);
}

static void say_caption(bg_report *r, bg_text *caption, bg_text *alt, int empirical)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order);
    bg_text_add(
        caption,
        "Every line lies to the right of the dashed Shannon bound by its gap; the nearer, the better the code. ");
    if (empirical)
        bg_text_add(caption, "The dotted line is the bound of these very weights (Blahut–Arimoto). ");
    for (int i = 0, faint = 0; i < r->all.n; i++)
        if (!r->all.curves[i].picked && !faint++)
            bg_text_add(caption, "Grey lines are the other methods of the table below.");
    bg_text_format(
        alt,
        "Distortion against rate for %d methods and the Shannon bound. Near %g bits per weight, from the smallest gap:",
        r->all.n, r->rate);
    for (int i = 0; i < n && i < 5; i++) {
        char gap[BG_NUMBER_TEXT];
        const bg_curve *c = &r->all.curves[order[i]];
        bg_text_format(alt, "%s %s %s bit", i ? "," : "", c->label,
                       bg_number_text(gap, bg_curve_near(c, r->rate, r->within)->gap, BG_SIG3));
    }
    bg_text_add(alt, ".");
    free(order);
}

int bg_report_draw_curves(bg_report *r, bg_text *where, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "rate-distortion", "Distortion against rate", e);
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
    put_table(r, &f);
    say_caption(r, &f.shown->caption, &f.shown->alt, empirical);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    *present = 1;
    bg_text_markdown(bg_slots_at(s, "title"), r->title);
    if (r->docs.filter.n_layers == 1)
        bg_text_format(bg_slots_at(s, "title"), ", layer %d", r->docs.filter.layers[0]);
    say_subtitle(r, bg_slots_at(s, "subtitle"));
    bg_text *finding = bg_slots_at(s, "finding"), *cards = bg_slots_at(s, "cards"), *figure = bg_slots_at(s, "figure");
    if (r->docs.n_points)
        say_finding(r, finding);
    else
        bg_text_add(finding,
                    bg_docset_rows(&r->docs, "audit", "models").n && !bg_docset_rows(&r->docs, "groups", "models").n
                        ? "What the checkpoints cost and what they lost."
                        : "No curves were given to this report, so it can only describe the weights.");
    bg_put_class(cards, "cards");
    card_best(r, cards);
    card_cheapest(r, cards);
    card_worst(r, cards);
    card_allocation(r, cards);
    bg_put_class_end(cards);
    return r->all.n ? bg_report_draw_curves(r, figure, e) : BG_OK;
}

const bg_report_section bg_section_overview = {.id = "overview", .title = "Overview", .write = write};
