/* A study's comparison: one row per method, one column per metric, as the document `study` asks; what is drawn of it is
 * in study_figures.c. */
#include <math.h>
#include <string.h>
#include "reports/sections/study.h"

/* ---- the finding ---- */

static int is_base(const bg_study_row *row)
{
    return !strcmp(row->spec, "none");
}

/* Of the methods of the first model, the one with the least (sign 1) or largest (−1) value; −1 when none has one. */
static int best_of(const bg_report *r, const bg_measured *m, const bg_study_row *rows, int n, double sign, int but)
{
    int best = -1;
    double least = INFINITY;
    for (int i = 0; i < n; i++) {
        double v = sign * bg_measured_value(r, m, rows[i].spec, rows[i].model).value;
        if (i == but || is_base(&rows[i]) || rows[i].model != rows[0].model || !(v < least))
            continue;
        least = v;
        best = i;
    }
    return best;
}

static const bg_measured perplexity = {.section = "evaluation.rows", .field = "perplexity", .relation = "none"},
                         change = {.section = "evaluation.rows", .field = "log_perplexity_change", .relation = "none"},
                         change_error = {
                             .section = "evaluation.rows", .field = "log_perplexity_change_se", .relation = "none"};

static bg_num value_of(const bg_report *r, const bg_measured *m, const bg_study_row *row)
{
    return bg_measured_value(r, m, row->spec, row->model);
}

/* Whether the next best differs from the best by less than twice the error of the difference. */
static int is_rival(const bg_report *r, const bg_study_row *best, const bg_study_row *next)
{
    double d = value_of(r, &change, next).value - value_of(r, &change, best).value,
           a = value_of(r, &change_error, next).value, b = value_of(r, &change_error, best).value;
    return fabs(d) < 2 * sqrt(a * a + b * b);
}

/* The method with the lowest perplexity of the first model, and the next where this text cannot distinguish them. */
static void put_best(bg_report *r, bg_facts *facts, const bg_study_row *rows, int n)
{
    int best = best_of(r, &perplexity, rows, n, 1, -1), next = best_of(r, &perplexity, rows, n, 1, best);
    if (best < 0) {
        bg_fact_no_set(facts, "best");
        return;
    }
    bg_facts *set = bg_fact_set(facts, "best");
    bg_fact_text(set, "name", rows[best].name);
    bg_fact_number(set, "perplexity", value_of(r, &perplexity, &rows[best]), BG_TWO);
    bg_fact_number(set, "base", bg_measured_value(r, &perplexity, "none", rows[best].model), BG_TWO);
    bg_fact_number(set, "change", value_of(r, &change, &rows[best]), BG_SIGNED);
    bg_fact_number(set, "error", value_of(r, &change_error, &rows[best]), BG_SIG3);
    bg_fact_text(set, "rival", next >= 0 && is_rival(r, &rows[best], &rows[next]) ? rows[next].name : NULL);
}

/* What a clock or the system measured differs from run to run: no best is named. */
static int is_measured_by_clock(const bg_measured *m)
{
    return strstr(m->field, "second") || strstr(m->field, "ms_per") || !strcmp(m->field, "peak_bytes");
}

/* The method that is alone at the first place of a column; -1 when none is, or the column names none. */
static int best_of_column(const bg_report *r, const bg_measured *m, const bg_study_row *rows, int n)
{
    double sign = !strcmp(m->better, "more") ? -1 : 1;
    if (!strcmp(m->better, "none") || is_measured_by_clock(m) || !strcmp(m->relation, "percent") ||
        !strcmp(m->field, "perplexity"))
        return -1;
    int best = best_of(r, m, rows, n, sign, -1), next = best < 0 ? -1 : best_of(r, m, rows, n, sign, best);
    return next >= 0 && value_of(r, m, &rows[next]).value == value_of(r, m, &rows[best]).value ? -1 : best;
}

static void list_best(bg_report *r, bg_facts *facts, const bg_study_row *rows, int n)
{
    bg_rows columns = bg_docset_rows(&r->docs, "study", "columns");
    bg_fact_rows(facts, "best_columns");
    bg_fact_text(facts, "first_model", n ? rows[0].model : NULL);
    for (int i = 0; i < columns.n; i++) {
        bg_measured m = bg_measured_of(&columns.rows[i], "");
        int best = best_of_column(r, &m, rows, n);
        if (best < 0)
            continue;
        bg_facts *row = bg_fact_add_row(facts, "best_columns");
        bg_fact_text(row, "heading", m.heading);
        bg_fact_text(row, "name", rows[best].name);
        bg_fact_number(row, "value", value_of(r, &m, &rows[best]), m.style);
    }
}

/* ---- tables ---- */

static void list_rows(bg_report *r, bg_facts *facts, const bg_study_row *rows, int n)
{
    bg_rows columns = bg_docset_rows(&r->docs, "study", "columns");
    bg_fact_flag(facts, "several_models", n && rows[0].models > 1);
    bg_fact_rows(facts, "methods");
    for (int i = 0; i < n; i++) {
        bg_facts *row = bg_fact_add_row(facts, "methods");
        bg_fact_text(row, "model", rows[i].model);
        bg_fact_text(row, "name", rows[i].name);
        bg_fact_text(row, "spec", rows[i].spec);
        bg_fact_rows(row, "cells");
        for (int c = 0; c < columns.n; c++) {
            bg_measured m = bg_measured_of(&columns.rows[c], "");
            bg_fact_number(bg_fact_add_row(row, "cells"), "value", value_of(r, &m, &rows[i]), m.style);
        }
    }
}

/* What could not run, one row per spec: the first tensor says why. */
static void list_skipped(const bg_report *r, bg_facts *facts)
{
    bg_rows skipped = bg_docset_rows(&r->docs, "curves", "skipped");
    bg_fact_rows(facts, "skipped");
    for (int i = 0; i < skipped.n; i++)
        if (!i || strcmp(bg_row_string(&skipped.rows[i], "spec"), bg_row_string(&skipped.rows[i - 1], "spec")))
            bg_fact_add_row(facts, "skipped")->row = &skipped.rows[i];
}

static const bg_row *knob_of(bg_rows knobs, const char *name, const char *knob)
{
    for (int i = 0; i < knobs.n; i++)
        if (!strcmp(bg_row_string(&knobs.rows[i], "name"), name) &&
            !strcmp(bg_row_string(&knobs.rows[i], "knob"), knob))
            return &knobs.rows[i];
    return NULL;
}

static int is_first_of_knob(bg_rows knobs, int i)
{
    for (int k = 0; k < i; k++)
        if (!strcmp(bg_row_string(&knobs.rows[k], "knob"), bg_row_string(&knobs.rows[i], "knob")))
            return 0;
    return 1;
}

/* One row per knob with a cell per method; the text of a cell is absent where the method has no such knob. */
static void list_knobs(const bg_report *r, bg_facts *facts)
{
    bg_rows knobs = bg_docset_rows(&r->docs, "study", "knobs"), methods = bg_docset_rows(&r->docs, "study", "methods");
    bg_fact_rows(facts, "knobs");
    for (int i = 0; i < knobs.n; i++) {
        if (!is_first_of_knob(knobs, i))
            continue;
        bg_facts *row = bg_fact_add_row(facts, "knobs");
        bg_fact_text(row, "name", bg_row_string(&knobs.rows[i], "knob"));
        bg_fact_text(row, "help", bg_row_string(&knobs.rows[i], "help"));
        bg_fact_rows(row, "cells");
        for (int k = 0; k < methods.n; k++) {
            const char *method = bg_row_string(&methods.rows[k], "name");
            const bg_row *of = knob_of(knobs, method, bg_row_string(&knobs.rows[i], "knob"));
            if (strcmp(bg_row_string(&methods.rows[k], "spec"), "none"))
                bg_fact_text(bg_fact_add_row(row, "cells"), "value", of ? bg_row_string(of, "value") : NULL);
        }
    }
}

static int collect(bg_report *r, bg_facts *facts, int *present, bg_err *e)
{
    bg_study_row rows[BG_STUDY_ROWS];
    if (!bg_study_settings(r))
        return BG_OK;
    *present = 1;
    int n = bg_study_rows(r, rows, BG_STUDY_ROWS);
    put_best(r, facts, rows, n);
    list_best(r, facts, rows, n);
    list_rows(r, facts, rows, n);
    list_skipped(r, facts);
    list_knobs(r, facts);
    return bg_study_draw(r, facts, rows, n, e);
}

const bg_report_section bg_section_study = {.id = "study", .collect = collect};
