/* What the grids look like: the density of a role over the levels of each 4-bit grid. */
#include <math.h>
#include <string.h>
#include "reports/pages/report.h"

enum { GRIDS = 8 };

/* The largest role with grids. */
static const bg_row *largest_group(const bg_report *r)
{
    bg_rows groups = bg_docset_rows(&r->docs, "groups", "roles");
    const bg_row *best = NULL, *one;
    for (int i = 0; i < groups.n; i++)
        if (bg_pick_grids(r, bg_row_string(&groups.rows[i], "role"), &one, 1) &&
            (!best || bg_row_number(&groups.rows[i], "weights") > bg_row_number(best, "weights")))
            best = &groups.rows[i];
    return best;
}

static const cJSON *levels_of(const bg_row *row)
{
    return cJSON_GetObjectItemCaseSensitive(row->json, "levels");
}

static int beyond(const bg_row *row, double sigmas)
{
    int n = 0;
    const cJSON *v;
    cJSON_ArrayForEach(v, levels_of(row)) n += fabs(v->valuedouble) > sigmas;
    return n;
}

static void say_finding(bg_text *t, const char *role, const bg_row *const *grids, int n)
{
    const bg_row *most = grids[0], *least = grids[0];
    char a[BG_LABEL], b[BG_LABEL];
    for (int i = 1; i < n; i++) {
        most = beyond(grids[i], 3) > beyond(most, 3) ? grids[i] : most;
        least = beyond(grids[i], 3) < beyond(least, 3) ? grids[i] : least;
    }
    bg_method_label(bg_row_string(most, "quantizer"), a);
    bg_method_label(bg_row_string(least, "quantizer"), b);
    if (beyond(most, 3) == beyond(least, 3)) {
        bg_text_format(t, "All grids put %d of their levels beyond 3σ in ", beyond(most, 3));
        bg_text_code(t, role);
        bg_text_add(t, ".");
        return;
    }
    bg_text_add(t, "In ");
    bg_text_code(t, role);
    bg_text_add(t, ", ");
    bg_put_method(t, a);
    bg_text_format(t, " spends %d of its %d levels beyond 3σ, where few weights are; ", beyond(most, 3),
                   cJSON_GetArraySize(levels_of(most)));
    bg_put_method(t, b);
    if (beyond(least, 3))
        bg_text_format(t, " spends %d.", beyond(least, 3));
    else
        bg_text_add(t, " spends none.");
}

static void put_table(bg_report *r, bg_text *t, const bg_row *const *grids, int n)
{
    bg_table b;
    char label[BG_LABEL], number[BG_NUMBER_TEXT];
    bg_table_begin(&b, &r->page, t, "Levels of the grids in σ", "method|spec|levels (σ)");
    for (int i = 0; i < n; i++) {
        bg_method_label(bg_row_string(grids[i], "quantizer"), label);
        bg_table_text(&b, label);
        bg_table_code(&b, bg_row_string(grids[i], "spec"));
        bg_text *cell = bg_table_cell(&b);
        const cJSON *v;
        cJSON_ArrayForEach(v, levels_of(grids[i]))
            bg_text_format(cell, "%s%s", v->prev->next ? ", " : "", bg_number_text(number, v->valuedouble, BG_TWO));
        bg_table_cell_end(&b);
    }
    bg_table_end(&b);
}

static void put_density(bg_figure *f, const bg_report *r, const char *role)
{
    bg_rows histograms = bg_docset_rows(&r->docs, "groups", "histograms");
    int some = 0;
    for (int i = 0; i < histograms.n; i++) {
        const bg_row *h = &histograms.rows[i];
        double first = bg_row_number(h, "first"), width = bg_row_number(h, "width");
        int k = 0;
        const cJSON *v;
        if (strcmp(bg_row_string(h, "role"), role))
            continue;
        cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(h->json, "density"))
        {
            bg_text_format(&f->data, "%.6g %.6g\n", first + (k++ + 0.5) * width, v->valuedouble);
            some = 1;
        }
    }
    bg_text_add(&f->data, some ? "\n\n" : "NaN NaN\n\n\n");
}

static int draw(bg_report *r, bg_text *where, const char *role, const bg_row *const *grids, int n, bg_err *e)
{
    bg_figure f;
    char label[BG_LABEL];
    int status = bg_figure_begin(&f, &r->page, "codebooks", "Grids against the density of the weights", e);
    if (status)
        return status;
    put_density(&f, r, role);
    bg_text *names = bg_slots_at(&f.slots, "names");
    bg_text_format(&f.shown->alt, "Density of %s over the levels of %d grids:", role, n);
    for (int i = 0; i < n; i++) {
        const cJSON *v;
        cJSON_ArrayForEach(v, levels_of(grids[i])) bg_text_format(&f.data, "%.6g %d\n", v->valuedouble, i);
        bg_text_add(&f.data, "\n\n");
        bg_method_label(bg_row_string(grids[i], "quantizer"), label);
        bg_figure_curve(&f, label, !strncmp(label, "uniform", 7) ? "uniform" : "non-uniform", i, 0);
        bg_text_add(names, i ? ", " : "");
        bg_text_gnuplot(names, label);
        bg_text_format(&f.shown->alt, "%s %s", i ? "," : "", label);
    }
    bg_text_format(bg_slots_at(&f.slots, "grids"), "%d", n);
    bg_text_add(&f.shown->caption,
                "Every tick is a level. Levels far out serve few weights; levels crowded at the centre serve many.");
    put_table(r, &f.shown->table, grids, n);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    const bg_row *rows[GRIDS], *largest = largest_group(r);
    const char *role = largest ? bg_row_string(largest, "role") : "all";
    bg_text *finding = bg_slots_at(s, "finding"), *figure = bg_slots_at(s, "figure");
    int n = bg_pick_grids(r, role, rows, GRIDS);
    if (!n)
        return BG_OK;
    *present = 1;
    say_finding(finding, role, rows, n);
    return draw(r, figure, role, rows, n, e);
}

const bg_report_section bg_section_codebooks = {.id = "codebooks", .title = "Codebooks", .write = write};
