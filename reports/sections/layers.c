/* Which layer hurts: heat map of the gap by layer and role, the worst eight, SQNR along the depth. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/pages/report.h"

enum { ROLES = 24, WORST = 8 };

typedef struct grid {
    const char *roles[ROLES];
    int n_roles;
    int layers[1024];
    int n_layers;
    const char *spec; /* at which layers are compared */
} grid;

static int role_index(grid *g, const char *role)
{
    for (int i = 0; i < g->n_roles; i++)
        if (!strcmp(g->roles[i], role))
            return i;
    if (g->n_roles == ROLES)
        return -1;
    g->roles[g->n_roles] = role;
    return g->n_roles++;
}

static int layer_index(grid *g, int layer)
{
    int at = 0;
    while (at < g->n_layers && g->layers[at] < layer)
        at++;
    if (at < g->n_layers && g->layers[at] == layer)
        return at;
    if (g->n_layers == (int)(sizeof g->layers / sizeof *g->layers))
        return -1;
    memmove(&g->layers[at + 1], &g->layers[at], (size_t)(g->n_layers - at) * sizeof *g->layers);
    g->layers[at] = layer;
    g->n_layers++;
    return at;
}

static void make_grid(const bg_report *r, bg_rows sensitivity, grid *g)
{
    *g = (grid){.spec = bg_row_string(&sensitivity.rows[0], "spec")};
    int n;
    const bg_point *p = bg_docset_spec(&r->docs, g->spec, &n);
    for (int i = 0; i < n; i++)
        if (role_index(g, p[i].group) >= 0)
            layer_index(g, p[i].layer);
}

static void say_finding(bg_report *r, bg_text *t, bg_rows rows)
{
    const bg_row *worst = &rows.rows[0], *best = &rows.rows[rows.n - 1], *middle = &rows.rows[rows.n / 2];
    bg_num last = bg_num_cell(&r->docs, worst, "sqnr_db"), first = bg_num_cell(&r->docs, best, "sqnr_db");
    bg_num spread = bg_num_operate(first, '-', last);
    if (rows.n == 1) {
        bg_text_add(t, "Only one tensor is reported, so there is nothing to rank.");
        return;
    }
    if (!bg_layers_differ(r, rows)) {
        bg_text_add(t, "No layer stands out: at ");
        bg_text_code(t, bg_row_string(worst, "spec"));
        bg_text_add(t, " the worst and the best tensor are only ");
        bg_put_number(&r->page, t, spread, BG_SIG3);
        bg_text_add(t, " dB apart.");
        return;
    }
    bg_text_add(t, "At ");
    bg_text_code(t, bg_row_string(worst, "spec"));
    bg_text_add(t, ", ");
    bg_say_place(t, worst);
    bg_text_add(t, " hurts most: ");
    bg_put_number(&r->page, t, last, BG_SIG3);
    bg_text_add(t, " dB, ");
    bg_put_number(&r->page, t, bg_num_operate(bg_num_cell(&r->docs, middle, "sqnr_db"), '-', last), BG_SIG3);
    bg_text_add(t, " dB below the tensor in the middle of the ranking and ");
    bg_put_number(&r->page, t, spread, BG_SIG3);
    bg_text_add(t, " dB below the best, ");
    bg_say_place(t, best);
    bg_text_add(t, ". To bring it to the best's SQNR would take ");
    bg_put_number(&r->page, t, bg_num_operate(spread, '/', bg_num_constant(6.020599913279624)), BG_SIG3);
    bg_text_add(t, " more bits per weight there.");
}

static void put_ranking(bg_report *r, bg_text *t, bg_rows rows, int from, int to)
{
    bg_table b;
    bg_table_begin(&b, &r->page, t, "Tensors by their loss, worst first",
                   "rank>|tensor|role|layer>|MSE (weight²)>|SQNR (dB)>|max error>|max error / max weight>");
    for (int i = from; i < to && i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        bg_table_number(&b, bg_num_cell(&r->docs, row, "rank"), BG_PLAIN);
        bg_table_code(&b, bg_row_string(row, "tensor"));
        bg_table_code(&b, bg_row_string(row, "group"));
        if (bg_row_integer(row, "layer", -1) >= 0)
            bg_table_number(&b, bg_num_cell(&r->docs, row, "layer"), BG_PLAIN);
        else
            bg_table_dash(&b, "");
        bg_table_number(&b, bg_num_cell(&r->docs, row, "mse"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "sqnr_db"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "max_error"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "max_relative_error"), BG_SIG3);
    }
    bg_table_end(&b);
}

/* ---- heat map ---- */

static void put_ticks(bg_figure *f, const grid *g)
{
    bg_text *x = bg_slots_at(&f->slots, "layer_ticks"), *y = bg_slots_at(&f->slots, "role_ticks");
    int step = (g->n_layers + 19) / 20;
    for (int i = 0, some = 0; i < g->n_layers; i++) {
        if (i % step && g->layers[i] >= 0)
            continue;
        if (g->layers[i] < 0)
            bg_text_format(x, "%s'none' %d", some++ ? ", " : "", i);
        else
            bg_text_format(x, "%s'%d' %d", some++ ? ", " : "", g->layers[i], i);
    }
    for (int i = 0; i < g->n_roles; i++) {
        bg_text_add(y, i ? ", " : "");
        bg_text_gnuplot(y, g->roles[i]);
        bg_text_format(y, " %d", i);
    }
    bg_text_format(bg_slots_at(&f->slots, "layers"), "%d", g->n_layers);
    bg_text_format(bg_slots_at(&f->slots, "roles"), "%d", g->n_roles);
}

static int draw_heat(bg_report *r, bg_text *where, grid *g, bg_rows rows, bg_err *e)
{
    bg_figure f;
    int n, drawn = 0, status = bg_figure_begin(&f, &r->page, "layers-heat", "Gap by layer and role", e);
    const bg_point *p = bg_docset_spec(&r->docs, g->spec, &n);
    double least = INFINITY, most = -INFINITY;
    if (status)
        return status;
    bg_text_add(&f.data, "# layer position, role, gap (bit), printed value, text of the cell\n");
    for (int i = 0; i < n; i++) {
        char tip[400], gap[BG_NUMBER_TEXT], db[BG_NUMBER_TEXT];
        double v = bg_row_number(p[i].curve, "gap_bits");
        int role = role_index(g, p[i].group), layer = layer_index(g, p[i].layer);
        if (!isfinite(v) || role < 0 || layer < 0)
            continue;
        snprintf(tip, sizeof tip, "%s: gap %s bit, SQNR %s dB", p[i].tensor, bg_number_text(gap, v, BG_SIG3),
                 bg_number_text(db, bg_row_number(p[i].curve, "sqnr_db"), BG_SIG3));
        bg_text_format(&f.data, "%d %d %.6g \"%s\" %d\n", layer, role, v, bg_number_text(gap, v, BG_TWO),
                       bg_figure_tip(&f, tip));
        least = fmin(least, v);
        most = fmax(most, v);
        drawn++;
    }
    if (!drawn) {
        bg_figure_abandon(&f);
        return BG_OK;
    }
    put_ticks(&f, g);
    bg_text_format(bg_slots_at(&f.slots, "least"), "%.6g", least);
    bg_text_format(bg_slots_at(&f.slots, "most"), "%.6g", most > least ? most : least + 0.01);
    bg_text_format(bg_slots_at(&f.slots, "printed"), "%d", g->n_layers <= 20);
    bg_text_add(&f.shown->caption, "Dark cells waste most at ");
    bg_text_code(&f.shown->caption, g->spec);
    bg_text_add(
        &f.shown->caption,
        "; a dark row is a role, a dark column a layer, to spend bits on. 'none' holds what lies outside the layers.");
    bg_text_format(&f.shown->alt, "Heat map of the gap at %s over %d layers and %d roles, from %.3g to %.3g bit.",
                   g->spec, g->n_layers, g->n_roles, least, most);
    put_ranking(r, &f.shown->table, rows, 0, rows.n);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

/* ---- SQNR along the depth ---- */

static int draw_depth(bg_report *r, bg_text *where, grid *g, bg_err *e)
{
    bg_figure f;
    bg_line_end ends[8];
    double bottom = INFINITY, top = -INFINITY;
    int n, lines = 0, status = bg_figure_begin(&f, &r->page, "layers-sqnr", "SQNR by layer", e);
    const bg_point *p = bg_docset_spec(&r->docs, g->spec, &n);
    bg_table b;
    if (status)
        return status;
    bg_table_begin(&b, &r->page, &f.shown->table, "SQNR by layer", "role|layer>|SQNR (dB)>|gap (bit)>");
    for (int role = 0; role < g->n_roles && role < 8; role++) {
        int drawn = 0;
        for (int k = 0; k < g->n_layers; k++)
            for (int i = 0; i < n; i++) {
                double v = bg_row_number(p[i].curve, "sqnr_db");
                if (p[i].layer < 0 || p[i].layer != g->layers[k] || strcmp(p[i].group, g->roles[role]) || !isfinite(v))
                    continue;
                if (!drawn++)
                    bg_figure_curve(&f, g->roles[role], bg_family_in_turn(role), role, 0);
                char tip[320], db[BG_NUMBER_TEXT], gap[BG_NUMBER_TEXT];
                snprintf(tip, sizeof tip, "%s: SQNR %s dB, gap %s bit", p[i].tensor, bg_number_text(db, v, BG_SIG3),
                         bg_number_text(gap, bg_row_number(p[i].curve, "gap_bits"), BG_SIG3));
                bg_text_format(&f.data, "%d %.6g %d\n", p[i].layer, v, bg_figure_tip(&f, tip));
                ends[lines] = (bg_line_end){g->roles[role], bg_family_in_turn(role), p[i].layer, v};
                bottom = fmin(bottom, v);
                top = fmax(top, v);
                bg_table_code(&b, p[i].group);
                bg_table_number(&b, bg_num_cell(&r->docs, p[i].curve, "layer"), BG_PLAIN);
                bg_table_number(&b, bg_num_cell(&r->docs, p[i].curve, "sqnr_db"), BG_SIG3);
                bg_table_number(&b, bg_num_cell(&r->docs, p[i].curve, "gap_bits"), BG_SIG3);
            }
        if (!drawn)
            continue;
        bg_text_add(&f.data, "\n\n");
        lines++;
    }
    bg_table_end(&b);
    if (!lines || g->n_layers < 3) {
        bg_figure_abandon(&f);
        return BG_OK;
    }
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", lines);
    double pad = fmax(0.1, 0.06 * (top - bottom));
    bg_text_format(bg_slots_at(&f.slots, "yrange"), "[%.6g:%.6g]", bottom - pad, top + pad);
    bg_label_ends(&f, ends, lines, bottom - pad, top + pad, 360, 0);
    bg_text_add(
        &f.shown->caption,
        "A line that falls with depth needs more bits in late layers; one that dips, in one layer. Measured at ");
    bg_text_code(&f.shown->caption, g->spec);
    bg_text_add(&f.shown->caption, ".");
    bg_text_format(&f.shown->alt, "SQNR in dB against layer for %d roles at %s.", lines, g->spec);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

/* ---- worst eight ---- */

static int draw_worst(bg_report *r, bg_text *where, bg_rows rows, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "layers-worst", "The worst tensors", e),
        n = rows.n < WORST ? rows.n : WORST;
    if (status)
        return status;
    bg_text *names = bg_slots_at(&f.slots, "names");
    bg_text_add(&f.shown->alt, "Lowest SQNR first:");
    for (int i = 0; i < n; i++) {
        char name[160];
        double v = bg_row_number(&rows.rows[i], "sqnr_db");
        int layer = bg_row_integer(&rows.rows[i], "layer", -1);
        if (layer >= 0)
            snprintf(name, sizeof name, "layer %d %.100s", layer, bg_row_string(&rows.rows[i], "group"));
        else
            snprintf(name, sizeof name, "%.100s", bg_row_string(&rows.rows[i], "group"));
        char value[BG_NUMBER_TEXT], labelled[sizeof name + sizeof value + 4];
        snprintf(labelled, sizeof labelled, "%s   %s", name, bg_number_text(value, v, BG_SIG3));
        bg_text_format(&f.data, "%d %.6g\n", i, v);
        bg_text_add(names, i ? ", " : "");
        bg_text_gnuplot(names, labelled);
        bg_text_format(&f.shown->alt, "%s %s %.3g dB", i ? "," : "", name, v);
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", n);
    double middle = bg_row_number(&rows.rows[rows.n / 2], "sqnr_db");
    bg_text_format(bg_slots_at(&f.slots, "middle"), "%.6g", middle);
    bg_text_format(bg_slots_at(&f.slots, "right"), "%.6g", fmax(1, 1.08 * middle));
    bg_text_add(
        &f.shown->caption,
        "Short bars are the tensors that lose most; the dashed line is the tensor in the middle of the ranking.");
    put_ranking(r, &f.shown->table, rows, 0, WORST);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static void put_pages(const bg_report *r, bg_text *t)
{
    int layers[1024], n = bg_report_layers(&r->docs, layers, 1024);
    if (!r->pages || !n)
        return;
    bg_text_add(t, "Pages of single layers:");
    for (int i = 0; i < n; i++)
        bg_text_format(t, "%s [%d](layer-%d.html)", i ? "," : "", layers[i], layers[i]);
    bg_text_add(t, ".");
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "gaps", "sensitivity");
    bg_text *finding = bg_slots_at(s, "finding"), *heat = bg_slots_at(s, "heat"), *worst = bg_slots_at(s, "worst"),
            *depth = bg_slots_at(s, "depth");
    put_pages(r, bg_slots_at(s, "pages"));
    if (!rows.n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding, rows);
    grid *g = malloc(sizeof *g);
    if (!g)
        return bg_no_memory(e, "layers", sizeof *g);
    make_grid(r, rows, g);
    int status = draw_heat(r, heat, g, rows, e);
    if (!status && rows.n > 1)
        status = draw_worst(r, worst, rows, e);
    if (!status)
        status = draw_depth(r, depth, g, e);
    free(g);
    return status;
}

const bg_report_section bg_section_layers = {"layers", "Layers", write};
