/* Which code is nearest the bound: methods ranked at equal rate, and average distances between curves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

static void say_finding(bg_report *r, bg_text *t)
{
    int *order, n = bg_summary_rank(&r->all, r->rate, r->within, &order);
    if (n == 0) {
        bg_text_format(t, "Nothing was measured near %g bits per weight.", r->rate);
    } else if (n == 1) {
        bg_say_waste(r, t, &r->all.curves[order[0]], bg_curve_near(&r->all.curves[order[0]], r->rate, r->within));
        bg_text_format(t, " near %g bits per weight; no other method was measured there.", r->rate);
    } else {
        const bg_curve *a = &r->all.curves[order[0]], *b = &r->all.curves[order[1]], *z = &r->all.curves[order[n - 1]];
        const bg_step *sa = bg_curve_near(a, r->rate, r->within), *sb = bg_curve_near(b, r->rate, r->within),
                      *sz = bg_curve_near(z, r->rate, r->within);
        bg_text_format(t, "Of %d methods near %g bits per weight, ", n, r->rate);
        bg_say_waste(r, t, a, sa);
        if (bg_indistinct(r, sa, sb)) {
            bg_text_add(t, " and cannot be told apart from ");
            bg_put_method(t, b->label);
        } else {
            bg_text_add(t, ", ");
            bg_put_number(&r->page, t, bg_num_difference(&r->docs, "mean", "gap_bits", sb->spec, sa->spec), BG_SIG3);
            bg_text_add(t, " bit less than the next, ");
            bg_put_method(t, b->label);
            bg_put_interval(r, t, bg_num_difference(&r->docs, "low", "gap_bits", sb->spec, sa->spec),
                            bg_num_difference(&r->docs, "high", "gap_bits", sb->spec, sa->spec));
        }
        bg_text_add(t, "; at the other end ");
        bg_say_waste(r, t, z, sz);
        bg_text_add(t, ".");
    }
    free(order);
}

static void put_rank(bg_report *r, bg_text *t, double rate)
{
    int *order, n = bg_summary_rank(&r->all, rate, 0.5, &order);
    bg_table b;
    char title[80];
    if (n) {
        snprintf(title, sizeof title, "Methods within half a bit of %g bits per weight", rate);
        bg_text_format(t, "\n\n**%s**, smallest gap first\n\n", title);
        bg_table_begin(&b, &r->page, t, title,
                       "method|family|spec|bits/weight>|SQNR (dB)>|gap to Gaussian (bit)>|2.5 %>|97.5 %>|gap to own "
                       "bound (bit)>|max error / max weight>");
        for (int i = 0; i < n; i++) {
            const bg_curve *c = &r->all.curves[order[i]];
            const char *spec = bg_curve_near(c, rate, 0.5)->spec;
            bg_table_text(&b, c->label);
            bg_table_text(&b, c->family);
            bg_table_code(&b, spec);
            bg_table_number(&b, bg_mean(r, "rate_bits", NULL, spec), BG_SIG3);
            bg_table_number(&b, bg_mean(r, "sqnr_db", NULL, spec), BG_SIG3);
            bg_table_number(&b, bg_mean(r, "gap_bits", NULL, spec), BG_SIG3);
            bg_table_number_or(&b, bg_num_over(&r->docs, "low", "gap_bits", NULL, spec), BG_SIG3, "one tensor");
            bg_table_number_or(&b, bg_num_over(&r->docs, "high", "gap_bits", NULL, spec), BG_SIG3, "one tensor");
            bg_table_number_or(&b, bg_mean(r, "gap_empirical_bits", NULL, spec), BG_SIG3, "no bound there");
            bg_table_number(&b, bg_num_over(&r->docs, "most", "max_relative_error", NULL, spec), BG_SIG3);
        }
        bg_table_end(&b);
    }
    free(order);
}

/* Why calibrated methods are not in the ranking, where some were measured beside others. */
static void say_elsewhere(bg_report *r, bg_text *t)
{
    int said = 0, others = 0;
    for (int i = 0; i < r->all.n; i++)
        others += !bg_curve_serves_output(&r->all.curves[i]);
    for (int i = 0; others && i < r->all.n; i++)
        if (bg_curve_serves_output(&r->all.curves[i])) {
            bg_text_add(t, said++ ? ", " : "\n\nNot ranked here: ");
            bg_put_method(t, r->all.curves[i].label);
        }
    if (said)
        bg_text_add(
            t, ". Calibrated methods give weight error away for output error, by which they are judged in *Bounds of "
               "the layers* and *Output*.");
}

static void put_bd(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "gaps", "bdrate");
    const bg_curve *reference = bg_reference_curve(r);
    bg_table b;
    char label[BG_LABEL];
    if (!rows.n)
        return;
    bg_put_fold(t, "Average distance between curves (BD-bits)");
    bg_text_add(
        t,
        "Mean horizontal distance over the distortions both curves reach; negative: the test needs fewer bits. The "
        "interval is a bootstrap over tensors; one that holds 0 means that these weights cannot tell the two apart.");
    if (reference) {
        bg_text_add(t, " Here the pairs with ");
        bg_put_method(t, reference->label);
        bg_text_format(t, "; gaps.json has all %d, in its section bdrate.", rows.n);
    }
    bg_text_add(t, "\n");
    bg_table_begin(&b, &r->page, t, "Average distance between curves",
                   "anchor|test|tensors>|BD-bits>|2.5 %>|97.5 %>|BD-rate (%)>");
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        if (reference && strcmp(bg_row_string(row, "anchor"), reference->quantizer) &&
            strcmp(bg_row_string(row, "test"), reference->quantizer))
            continue;
        bg_method_label(bg_row_string(&rows.rows[i], "anchor"), label);
        bg_table_text(&b, label);
        bg_method_label(bg_row_string(&rows.rows[i], "test"), label);
        bg_table_text(&b, label);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "tensors"), BG_COUNT);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "bd_bits"), BG_SIGNED);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "bd_bits_low"), BG_SIGNED);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "bd_bits_high"), BG_SIGNED);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "bd_rate_percent"), BG_SIGNED);
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
}

static void put_skipped(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "curves", "skipped");
    bg_table b;
    if (!rows.n)
        return;
    bg_put_fold(t, "What could not run, and why");
    bg_table_begin(&b, &r->page, t, "Skipped points", "tensor|spec|reason");
    for (int i = 0; i < rows.n; i++) {
        bg_table_code(&b, bg_row_string(&rows.rows[i], "tensor"));
        bg_table_code(&b, bg_row_string(&rows.rows[i], "spec"));
        bg_table_text(&b, bg_row_string(&rows.rows[i], "reason"));
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    static const double others[] = {2, 3, 4, 5, 6, 8};
    (void)e;
    bg_text *finding = bg_slots_at(s, "finding"), *ranking = bg_slots_at(s, "ranking"),
            *more = bg_slots_at(s, "other-rates");
    bg_text *bd = bg_slots_at(s, "distances"), *skipped = bg_slots_at(s, "skipped");
    if (!r->all.n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding);
    put_rank(r, ranking, r->rate);
    say_elsewhere(r, ranking);
    bg_put_fold(more, "The same at other rates");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i] < r->rate || others[i] > r->rate)
            put_rank(r, more, others[i]);
    bg_put_fold_end(more);
    put_bd(r, bd);
    put_skipped(r, skipped);
    return BG_OK;
}

const bg_report_section bg_section_rate_distortion = {
    .id = "rate-distortion", .title = "Rate and distortion", .write = write};
