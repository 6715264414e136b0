/* Where bits should go: the best allocation within a budget, what it gains over one spec for all, and how far any could
 * still go. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

static void say_finding(bg_report *r, bg_text *t, const bg_row *s)
{
    bg_num loss = bg_num_cell(&r->docs, s, "loss"), uniform = bg_num_cell(&r->docs, s, "uniform_loss"),
           dual = bg_num_cell(&r->docs, s, "dual_bound");
    bg_text_add(t, "Within ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, s, "budget_bits"), BG_SIG3);
    bg_text_add(t, " bits per weight, ");
    bg_num gain = bg_num_operate(bg_num_operate(uniform, '-', loss), '/', uniform);
    if (!isfinite(gain.value)) {
        bg_text_add(t, "no single spec fits, so only an allocation can be had.");
    } else if (gain.value < 0.01) {
        bg_text_add(t, "giving tensors different widths gains next to nothing: ");
        bg_put_number(&r->page, t, gain, BG_PERCENT);
        bg_text_add(t, " % less loss than ");
        bg_text_code(t, bg_row_string(s, "uniform_spec"));
        bg_text_add(t, " everywhere.");
    } else {
        bg_text_add(t, "the best allocation loses ");
        bg_put_number(&r->page, t, gain, BG_PERCENT);
        bg_text_add(t, " % less than ");
        bg_text_code(t, bg_row_string(s, "uniform_spec"));
        bg_text_add(t, " everywhere, the best single spec that fits (it uses ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, s, "uniform_bits"), BG_SIG3);
        bg_text_add(t, " bits).");
    }
    bg_num left = bg_num_operate(bg_num_operate(loss, '-', dual), '/', loss);
    if (isfinite(left.value)) {
        bg_text_add(t, bg_row_bool(s, "exact") ? " It is the optimum over the measured points, within "
                                               : " It is within ");
        bg_put_number(&r->page, t, left, BG_PERCENT);
        bg_text_add(t, " % of what no allocation of these points can beat.");
    }
    bg_text_add(t, " Loss is ");
    bg_text_markdown(t, bg_row_string(s, "measure"));
    bg_text_add(t, ".");
}

static void put_budgets(bg_report *r, bg_text *t)
{
    bg_rows budgets = bg_docset_rows(&r->docs, "allocation", "budgets"),
            uniforms = bg_docset_rows(&r->docs, "allocation", "uniforms");
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Loss against budget",
                   "what|budget (bits/weight)>|used (bits/weight)>|loss>|dual bound>");
    for (int i = 0; i < budgets.n; i++) {
        bg_table_text(&b, "best allocation");
        bg_table_number(&b, bg_num_cell(&r->docs, &budgets.rows[i], "budget_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, &budgets.rows[i], "rate_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, &budgets.rows[i], "loss"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, &budgets.rows[i], "dual_bound"), BG_SIG3);
    }
    for (int i = 0; i < uniforms.n; i++) {
        bg_table_code(&b, bg_row_string(&uniforms.rows[i], "spec"));
        bg_table_dash(&b, "");
        bg_table_number(&b, bg_num_cell(&r->docs, &uniforms.rows[i], "rate_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, &uniforms.rows[i], "loss"), BG_SIG3);
        bg_table_dash(&b, "");
    }
    bg_table_end(&b);
}

static void put_layers(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "allocation", "layers");
    bg_table b;
    bg_table_begin(&b, &r->page, t, "What each tensor gets", "tensor|role|layer>|spec|bits/weight>|coefficient>|loss>");
    for (int i = 0; i < rows.n; i++) {
        bg_table_code(&b, bg_row_string(&rows.rows[i], "tensor"));
        bg_table_code(&b, bg_row_string(&rows.rows[i], "role"));
        if (bg_row_integer(&rows.rows[i], "layer", -1) >= 0)
            bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "layer"), BG_PLAIN);
        else
            bg_table_dash(&b, "");
        bg_table_code(&b, bg_row_string(&rows.rows[i], "spec"));
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "rate_bits"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "coefficient"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "loss"), BG_SIG3);
    }
    bg_table_end(&b);
}

/* One block of code an engine. A line is code wherever it came from: fences longer than any run of backticks in it. */
static void put_recipes(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "allocation", "recipes");
    if (!rows.n)
        return;
    bg_put_page_only(t);
    bg_put_fold(t, "The allocation as other engines read it");
    for (int i = 0; i < rows.n; i++) {
        const char *engine = bg_row_string(&rows.rows[i], "engine");
        int first = i == 0 || strcmp(engine, bg_row_string(&rows.rows[i - 1], "engine")) != 0;
        if (first) {
            bg_text_add(t, "\n\n**");
            bg_text_markdown(t, engine);
            bg_text_add(t, "**\n\n");
        }
        /* Four spaces make it a code block in which nothing is markup. */
        bg_text_add(t, "    ");
        for (const char *p = bg_row_string(&rows.rows[i], "line"); *p; p++)
            bg_text_add_n(t, (unsigned char)*p < 0x20 ? " " : p, 1);
        bg_text_add(t, "\n");
    }
    bg_put_fold_end(t);
    bg_put_page_only_end(t);
}

/* KL beside its standard error. */
static void put_kl(bg_report *r, bg_text *t, const bg_row *row, const char *mean, const char *se)
{
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, row, mean), BG_SIG3);
    bg_text_add(t, " ± ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, row, se), BG_SIG3);
}

static void say_verdict(bg_report *r, bg_text *t, const bg_row *row)
{
    const char *verdict = bg_row_string(row, "verdict");
    bg_text_add(t, "Run on the model itself, with no more bytes than ");
    bg_text_code(t, bg_row_string(row, "uniform_spec"));
    bg_text_add(t, ", the allocation has a KL of ");
    put_kl(r, t, row, "kl", "kl_se");
    bg_text_add(t, " nats a token against ");
    put_kl(r, t, row, "uniform_kl", "uniform_kl_se");
    bg_text_add(t, ": a difference of ");
    put_kl(r, t, row, "difference", "difference_se");
    bg_text_add(t, ", paired over ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, row, "tokens"), BG_PLAIN);
    bg_text_add(t, " tokens. ");
    bg_text_add(t,
                !strcmp(verdict, "gain") ? "That is a gain beyond twice the paired error."
                : !strcmp(verdict, "loss")
                    ? "That is a loss beyond twice the paired error: the prediction that chose it does not hold here."
                    : "That is within twice the paired error: no gain is shown.");
    bg_text_add(t, "\n\n");
}

/* What was predicted beside what came of it. */
static void put_measured(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "allocation", "measured");
    for (int i = 0; i < rows.n; i++)
        say_verdict(r, t, &rows.rows[i]);
    if (!rows.n)
        return;
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Measured at equal bytes",
                   "what|bits/weight>|loss predicted>|KL (nats/token)>|± s.e.>");
    for (int i = 0; i < rows.n; i++)
        for (int k = 0; k < 2; k++) {
            static const char *const fields[2][4] = {
                {"rate_bits", "predicted", "kl", "kl_se"},
                {"uniform_bits", "uniform_predicted", "uniform_kl", "uniform_kl_se"}};
            if (k)
                bg_table_code(&b, bg_row_string(&rows.rows[i], "uniform_spec"));
            else
                bg_table_text(&b, "allocation");
            for (int f = 0; f < 4; f++)
                bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], fields[k][f]), BG_SIG3);
        }
    bg_table_end(&b);
}

static int draw_budget(bg_report *r, bg_text *where, const bg_row *summary, bg_err *e)
{
    bg_rows budgets = bg_docset_rows(&r->docs, "allocation", "budgets"),
            uniforms = bg_docset_rows(&r->docs, "allocation", "uniforms");
    bg_figure f;
    int some = 0,
        status = budgets.n > 1 ? bg_figure_begin(&f, &r->page, "allocation-budget", "Loss against budget", e) : BG_OK;
    if (status || budgets.n < 2)
        return status;
    bg_text_add(&f.data, "# best allocation: rate (bits/weight), loss, dual bound, text of the point\n");
    for (int i = 0; i < budgets.n; i++) {
        char tip[160], rate[BG_NUMBER_TEXT], loss[BG_NUMBER_TEXT];
        const bg_row *row = &budgets.rows[i];
        snprintf(tip, sizeof tip, "best allocation: %s bits/weight, loss %s",
                 bg_number_text(rate, bg_row_number(row, "rate_bits"), BG_SIG3),
                 bg_number_text(loss, bg_row_number(row, "loss"), BG_SIG3));
        bg_text_format(&f.data, "%.6g %.6g %.6g %d\n", bg_row_number(row, "rate_bits"), bg_row_number(row, "loss"),
                       bg_row_number(row, "dual_bound"), bg_figure_tip(&f, tip));
    }
    bg_text_add(&f.data, "\n\n# one spec for all: rate, loss, text of the point\n");
    for (int i = 0; i < uniforms.n; i++, some++) {
        char tip[320], loss[BG_NUMBER_TEXT];
        const bg_row *row = &uniforms.rows[i];
        snprintf(tip, sizeof tip, "%s everywhere: loss %s", bg_row_string(row, "spec"),
                 bg_number_text(loss, bg_row_number(row, "loss"), BG_SIG3));
        bg_text_format(&f.data, "%.6g %.6g %d\n", bg_row_number(row, "rate_bits"), bg_row_number(row, "loss"),
                       bg_figure_tip(&f, tip));
    }
    bg_text_add(&f.data, some ? "\n\n" : "NaN NaN 0\n\n\n");
    bg_text_gnuplot(bg_slots_at(&f.slots, "unit"), bg_row_string(summary, "unit"));
    bg_text_add(&f.shown->caption, "The line is the best allocation at each budget, crosses are one spec for all "
                                   "tensors; the dashed line is what no "
                                   "allocation of these points can pass.");
    bg_text_format(&f.shown->alt,
                   "Predicted loss against bits per weight for %d budgets, with the dual bound and %d uniform choices.",
                   budgets.n, uniforms.n);
    put_budgets(r, &f.shown->table);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int draw_layers(bg_report *r, bg_text *where, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "allocation", "layers");
    enum { MOST = 60 };
    bg_figure f;
    if (!rows.n || rows.n > MOST) {
        put_layers(r, where);
        return BG_OK;
    }
    int status = bg_figure_begin(&f, &r->page, "allocation-layers", "Bits of each tensor", e);
    if (status)
        return status;
    bg_text *names = bg_slots_at(&f.slots, "names");
    double least = INFINITY, most = 0;
    for (int i = 0; i < rows.n; i++) {
        char name[160];
        double bits = bg_row_number(&rows.rows[i], "rate_bits");
        int layer = bg_row_integer(&rows.rows[i], "layer", -1);
        if (layer >= 0)
            snprintf(name, sizeof name, "layer %d %s", layer, bg_row_string(&rows.rows[i], "role"));
        else
            snprintf(name, sizeof name, "%s", bg_row_string(&rows.rows[i], "role"));
        bg_text_format(&f.data, "%d %.6g\n", i, bits);
        bg_text_add(names, i ? ", " : "");
        bg_text_gnuplot(names, name);
        least = fmin(least, bits);
        most = fmax(most, bits);
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", rows.n);
    bg_text_add(&f.shown->caption, "Long bars are the tensors where a bit buys most.");
    bg_text_format(&f.shown->alt, "Bits per weight given to each of %d tensors, from %.3g to %.3g.", rows.n, least,
                   most);
    put_layers(r, &f.shown->table);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows summary = bg_docset_rows(&r->docs, "allocation", "summary");
    bg_text *finding = bg_slots_at(s, "finding"), *budget = bg_slots_at(s, "budget"),
            *layers = bg_slots_at(s, "layers"), *recipes = bg_slots_at(s, "recipes");
    if (!summary.n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding, &summary.rows[0]);
    put_measured(r, bg_slots_at(s, "measured"));
    put_recipes(r, recipes);
    int status = draw_budget(r, budget, &summary.rows[0], e);
    return status ? status : draw_layers(r, layers, e);
}

const bg_report_section bg_section_allocation = {.id = "allocation", .title = "Allocation", .write = write};
