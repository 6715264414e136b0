/* What entropy coding alone buys: the entropies of the stored numbers' fields beside the bits a real coder writes. */
#include <string.h>
#include "reports/pages/report.h"

static void say_finding(bg_report *r, bg_text *t, const bg_row *total)
{
    bg_text_add(t, "Without changing a weight, entropy coding takes the matrices from ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, total, "bytes"), BG_MEGA);
    bg_text_add(t, " to ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, total, "coded_bytes"), BG_MEGA);
    bg_text_add(t, " MB, ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, total, "coded_bits"), BG_SIG3);
    bg_text_add(t, " bits a weight (");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, total, "saved"), BG_PERCENT);
    bg_text_add(t, " % less). An exponent holds ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, total, "exponent_bits"), BG_SIG3);
    bg_text_add(t, " bits of information, a mantissa ");
    bg_put_number(&r->page, t, bg_num_cell(&r->docs, total, "mantissa_given_exponent_bits"), BG_SIG3);
    bg_text_add(t, " once its exponent is known.");
}

static void put_table(bg_report *r, bg_text *t, bg_rows rows)
{
    static const char *const fields[] = {
        "sign_bits", "exponent_bits",     "exponent_given_left_bits", "mantissa_bits", "mantissa_given_exponent_bits",
        "code_bits", "fields_coded_bits", "codes_coded_bits"};
    bg_table b;
    bg_table_begin(
        &b, &r->page, t, "Entropies and coded sizes in bits per weight",
        "tensor|stored as|sign>|exponent>|exponent, left known>|mantissa>|mantissa, exponent known>|whole number>|"
        "coded: exponents>|coded: whole numbers>|saved (%)>");
    for (int i = 0; i < rows.n; i++) {
        bg_table_code(&b, bg_row_string(&rows.rows[i], "tensor"));
        bg_table_text(&b, bg_row_string(&rows.rows[i], "dtype"));
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], fields[k]), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, &rows.rows[i], "saved"), BG_PERCENT);
    }
    bg_table_end(&b);
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "lossless", "rows"),
            totals = bg_docset_rows(&r->docs, "lossless", "totals");
    (void)e;
    if (!rows.n || !totals.n)
        return BG_OK;
    *present = 1;
    bg_text *tables = bg_slots_at(s, "tables");
    say_finding(r, bg_slots_at(s, "finding"), &totals.rows[0]);
    bg_put_fold(tables, "Every tensor");
    put_table(r, tables, rows);
    bg_text_add(tables, "Entropies are of order 0. Coded sizes are rANS streams that were read back, with their "
                        "tables: of the exponents, "
                        "sign and mantissa stored as they are, or of whole numbers.\n");
    bg_put_fold_end(tables);
    return BG_OK;
}

const bg_report_section bg_section_lossless = {.id = "lossless", .title = "Lossless floor", .write = write};
