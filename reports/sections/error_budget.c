/* The error budget of each quantizer that has one: the parts of its error and of its rate, means over the tensors. */
#include <math.h>
#include "reports/pages/report.h"

static const struct {
    const char *field, *words;
} parts[] = {{"granular", "granular error of the best levels of these weights"},
             {"mismatch", "levels that are not the best ones"},
             {"clipping", "clipping"},
             {"scale_rounding", "the rounding of scales"},
             {"zero_point", "the rounding of zero points"},
             {"rounding", "rounding otherwise than to the nearest point"}};
enum { PARTS = sizeof parts / sizeof *parts };

/* "Of the error of `rtn`, 79 % is …; the next largest part, 21 %, is …" */
static void say_largest(bg_report *r, bg_text *t, const bg_row *row)
{
    bg_num whole = bg_num_cell(&r->docs, row, "relative");
    int first = -1, second = -1;
    for (int i = 0; i < PARTS; i++) {
        double v = bg_row_number(row, parts[i].field);
        if (first < 0 || v > bg_row_number(row, parts[first].field)) {
            second = first;
            first = i;
        } else if (second < 0 || v > bg_row_number(row, parts[second].field)) {
            second = i;
        }
    }
    bg_text_add(t, "Of the squared error of ");
    bg_text_code(t, bg_row_string(row, "spec"));
    bg_text_add(t, ", ");
    bg_put_number(&r->page, t, bg_num_operate(bg_num_cell(&r->docs, row, parts[first].field), '/', whole), BG_PERCENT);
    bg_text_format(t, " %% is %s", parts[first].words);
    if (bg_row_number(row, parts[second].field) > 0) {
        bg_text_add(t, " and ");
        bg_put_number(&r->page, t, bg_num_operate(bg_num_cell(&r->docs, row, parts[second].field), '/', whole),
                      BG_PERCENT);
        bg_text_format(t, " %% %s", parts[second].words);
    }
    bg_text_add(t, ".\n\n");
}

static void put_errors(bg_report *r, bg_text *t, bg_rows rows)
{
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Parts of the error in percent of it",
                   "spec|D/σ²>|granular>|levels>|clipping>|scales>|zero points>|rounding>");
    for (int i = 0; i < rows.n; i++) {
        bg_num whole = bg_num_cell(&r->docs, &rows.rows[i], "relative");
        bg_table_code(&b, bg_row_string(&rows.rows[i], "spec"));
        bg_table_number(&b, whole, BG_SIG3);
        for (int k = 0; k < PARTS; k++)
            bg_table_number(&b, bg_num_operate(bg_num_cell(&r->docs, &rows.rows[i], parts[k].field), '/', whole),
                            BG_PERCENT);
    }
    bg_table_end(&b);
}

static void put_rates(bg_report *r, bg_text *t, bg_rows rows)
{
    static const char *const fields[] = {"rate_bits", "entropy_bits", "slack_bits", "side_bits", "padding_bits"};
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Parts of the rate in bits per weight",
                   "spec|rate>|entropy of the indices>|slack of their coder>|side information>|padding>");
    for (int i = 0; i < rows.n; i++) {
        bg_table_code(&b, bg_row_string(&rows.rows[i], "spec"));
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], fields[k]), BG_SIG3);
    }
    bg_table_end(&b);
}

void bg_put_error_budget(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "budget", "means");
    if (!rows.n)
        return;
    say_largest(r, t, &rows.rows[0]);
    put_errors(r, t, rows);
    put_rates(r, t, rows);
    bg_text_add(t, "Errors are means of D/σ² by weights over the tensors. A part below zero is luck: what was rounded "
                   "suits better than "
                   "what was wanted. Slack is what a coder of the indices could still save.\n");
}
