/* Whether the program can be trusted: values of published tables beside what it computes for the same case. */
#include <math.h>
#include <string.h>
#include "reports/pages/report.h"

static int is_skipped(const bg_row *row)
{
    return bg_row_string(row, "skipped") != NULL || !isfinite(bg_row_number(row, "ours"));
}

static void say_finding(bg_report *r, bg_text *t, bg_rows rows)
{
    int inside = 0, outside = 0, skipped = 0;
    const bg_row *worst = NULL;
    double most = -1;
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        double ratio = fabs(bg_row_number(row, "difference")) / bg_row_number(row, "tolerance");
        if (is_skipped(row)) {
            skipped++;
            continue;
        }
        inside += bg_row_bool(row, "inside");
        outside += !bg_row_bool(row, "inside");
        if (ratio > most) {
            most = ratio;
            worst = row;
        }
    }
    if (outside == 0)
        bg_text_format(t, "All %d published values that were run again come out within their tolerance", inside);
    else
        bg_text_format(t, "%d of %d published values that were run again come out outside their tolerance", outside,
                       inside + outside);
    if (worst) {
        bg_text_add(t, outside ? "; the farthest is " : "; the nearest to its edge is ");
        bg_text_code(t, bg_row_string(worst, "spec"));
        bg_text_add(t, " (");
        bg_text_markdown(t, bg_row_string(worst, "title"));
        bg_text_add(t, "), off by ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, worst, "difference"), BG_SIGNED);
        bg_text_add(t, " where ");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, worst, "tolerance"), BG_SIG3);
        bg_text_add(t, " is allowed");
    }
    bg_text_add(t, ".");
    if (skipped)
        bg_text_format(t, " %d could not be run.", skipped);
}

/* The value, or the two it must lie between. */
static void put_value(bg_report *r, bg_table *b, const bg_row *row)
{
    bg_num value = bg_num_cell(&r->docs, row, "value"), tolerance = bg_num_cell(&r->docs, row, "tolerance");
    if (strcmp(bg_row_string(row, "grade"), "B")) {
        bg_table_number(b, value, BG_SIG3);
        return;
    }
    bg_text *cell = bg_table_cell(b);
    bg_put_number(&r->page, cell, bg_num_operate(value, '-', tolerance), BG_SIG3);
    bg_text_add(cell, " to ");
    bg_put_number(&r->page, cell, bg_num_operate(value, '+', tolerance), BG_SIG3);
    bg_table_cell_end(b);
}

/* One table a file, in document order. */
static void put_tables(bg_report *r, bg_text *t, bg_rows rows)
{
    bg_table b = {0};
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        const char *skipped = bg_row_string(row, "skipped"), *note = bg_row_string(row, "note");
        if (i == 0 || strcmp(bg_row_string(row, "table"), bg_row_string(row - 1, "table"))) {
            if (i)
                bg_table_end(&b);
            bg_text_add(t, "\n\n**");
            bg_text_markdown(t, bg_row_string(row, "title"));
            bg_text_add(t, "** ");
            bg_text_markdown(t, bg_row_string(row, "citation"));
            bg_text_add(t, "\n\n");
            bg_table_begin(&b, &r->page, t, bg_row_string(row, "title"),
                           "source|spec|quantity|grade|value>|ours>|difference>|tolerance>|verdict|note");
        }
        bg_table_code(&b, bg_row_string(row, "source"));
        bg_table_code(&b, bg_row_string(row, "spec"));
        bg_table_text(&b, bg_row_string(row, "quantity"));
        bg_table_text(&b, bg_row_string(row, "grade"));
        put_value(r, &b, row);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "ours"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "difference"), BG_SIGNED);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "tolerance"), BG_SIG3);
        bg_table_text(&b, is_skipped(row) ? "not run" : bg_row_bool(row, "inside") ? "agrees" : "differs");
        bg_table_text(&b, skipped ? skipped : note ? note : "");
    }
    if (rows.n)
        bg_table_end(&b);
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "published", "rows");
    bg_text *finding = bg_slots_at(s, "finding"), *tables = bg_slots_at(s, "tables");
    (void)e;
    if (!rows.n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding, rows);
    bg_put_fold(tables, "The tables");
    put_tables(r, tables, rows);
    bg_put_fold_end(tables);
    return BG_OK;
}

const bg_report_section bg_section_published = {.id = "published", .title = "Published", .write = write};
