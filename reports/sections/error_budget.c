/* The error budget of each quantizer that has one: which parts of its error are the largest. */
#include "reports/pages/report.h"

static const char *const parts[] = {"granular", "mismatch", "clipping", "scale_rounding", "zero_point", "rounding"};
enum { PARTS = sizeof parts / sizeof *parts };

static void put_part(bg_report *r, bg_facts *facts, const char *name, const bg_row *row, const char *part)
{
    bg_facts *set = bg_fact_set(facts, name);
    bg_num whole = bg_num_cell(&r->docs, row, "relative"), own = bg_num_cell(&r->docs, row, part);
    bg_fact_text(set, "name", part);
    bg_fact_number(set, "value", own, BG_SIG3);
    bg_fact_number(set, "share", bg_num_operate(own, '/', whole), BG_PERCENT);
}

void bg_put_error_budget(bg_report *r, bg_facts *facts)
{
    bg_rows rows = bg_docset_rows(&r->docs, "budget", "means");
    int first = 0, second = -1;
    bg_fact_no_set(facts, "largest_part");
    bg_fact_no_set(facts, "second_part");
    if (!rows.n)
        return;
    const bg_row *row = &rows.rows[0];
    for (int i = 1; i < PARTS; i++) {
        double v = bg_row_number(row, parts[i]);
        if (v > bg_row_number(row, parts[first])) {
            second = first;
            first = i;
        } else if (second < 0 || v > bg_row_number(row, parts[second])) {
            second = i;
        }
    }
    put_part(r, facts, "largest_part", row, parts[first]);
    put_part(r, facts, "second_part", row, parts[second]);
}
