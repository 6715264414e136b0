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
        if (role_index(g, p[i].role) >= 0)
            layer_index(g, p[i].layer);
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

/* The cells of the map and their range. */
static int put_cells(const bg_report *r, bg_figure *f, grid *g, double *min, double *max)
{
    int n, drawn = 0;
    const bg_point *p = bg_docset_spec(&r->docs, g->spec, &n);
    bg_text_add(&f->data, "# layer position, role, gap (bit), printed value, text of the cell\n");
    for (int i = 0; i < n; i++) {
        char gap[BG_NUMBER_TEXT];
        double v = bg_row_number(p[i].curve, "gap_bits");
        int role = role_index(g, p[i].role), layer = layer_index(g, p[i].layer), number;
        if (!isfinite(v) || role < 0 || layer < 0)
            continue;
        bg_figure_point(f, &number)->row = p[i].curve;
        bg_text_format(&f->data, "%d %d %.6g \"%s\" %d\n", layer, role, v, bg_number_text(gap, v, BG_TWO), number);
        *min = fmin(*min, v);
        *max = fmax(*max, v);
        drawn++;
    }
    return drawn;
}

static int draw_heat(bg_report *r, bg_facts *facts, grid *g, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "layers-heat", NULL, e);
    double min = INFINITY, max = -INFINITY;
    if (status)
        return status;
    if (!put_cells(r, &f, g, &min, &max))
        return bg_figure_withhold(&f, facts, "heat");
    put_ticks(&f, g);
    bg_text_format(bg_slots_at(&f.slots, "least"), "%.6g", min);
    bg_text_format(bg_slots_at(&f.slots, "most"), "%.6g", max > min ? max : min + 0.01);
    bg_text_format(bg_slots_at(&f.slots, "printed"), "%d", g->n_layers <= 20);
    bg_fact_number(f.facts, "layers", (bg_num){.value = g->n_layers}, BG_COUNT);
    bg_fact_number(f.facts, "roles", (bg_num){.value = g->n_roles}, BG_COUNT);
    bg_fact_number(f.facts, "min_gap", (bg_num){.value = min}, BG_SIG3);
    bg_fact_number(f.facts, "max_gap", (bg_num){.value = max}, BG_SIG3);
    return bg_figure_offer(&f, facts, "heat", e);
}

/* ---- SQNR along the depth ---- */

typedef struct range {
    double bottom, top;
} range;

/* The line of one role over the layers; its end in *end. Returns how many points it has. */
static int put_line(bg_report *r, bg_figure *f, const grid *g, int role, range *y, bg_line_end *end)
{
    int n, drawn = 0, number;
    const bg_point *p = bg_docset_spec(&r->docs, g->spec, &n);
    for (int k = 0; k < g->n_layers; k++)
        for (int i = 0; i < n; i++) {
            double v = bg_row_number(p[i].curve, "sqnr_db");
            if (p[i].layer < 0 || p[i].layer != g->layers[k] || strcmp(p[i].role, g->roles[role]) || !isfinite(v))
                continue;
            if (!drawn++)
                bg_figure_curve(f, g->roles[role], bg_family_in_turn(role), role, 0);
            bg_figure_point(f, &number)->row = p[i].curve;
            bg_text_format(&f->data, "%d %.6g %d\n", p[i].layer, v, number);
            *end = (bg_line_end){g->roles[role], bg_family_in_turn(role), p[i].layer, v};
            y->bottom = fmin(y->bottom, v);
            y->top = fmax(y->top, v);
        }
    bg_text_add(&f->data, drawn ? "\n\n" : "");
    return drawn;
}

static int draw_depth(bg_report *r, bg_facts *facts, grid *g, bg_err *e)
{
    bg_figure f;
    bg_line_end ends[8];
    range y = {INFINITY, -INFINITY};
    int lines = 0, status = bg_figure_begin(&f, &r->page, "layers-sqnr", NULL, e);
    if (status)
        return status;
    for (int role = 0; role < g->n_roles && role < 8; role++)
        lines += put_line(r, &f, g, role, &y, &ends[lines]) > 0;
    if (!lines || g->n_layers < 3)
        return bg_figure_withhold(&f, facts, "depth");
    bg_text_format(bg_slots_at(&f.slots, "curves"), "%d", lines);
    double pad = fmax(0.1, 0.06 * (y.top - y.bottom));
    bg_text_format(bg_slots_at(&f.slots, "yrange"), "[%.6g:%.6g]", y.bottom - pad, y.top + pad);
    bg_label_ends(&f, ends, lines, y.bottom - pad, y.top + pad, 360, 0);
    bg_fact_number(f.facts, "lines", (bg_num){.value = lines}, BG_COUNT);
    return bg_figure_offer(&f, facts, "depth", e);
}

/* ---- worst eight ---- */

static int draw_worst(bg_report *r, bg_facts *facts, bg_rows rows, bg_err *e)
{
    bg_figure f;
    int status = bg_figure_begin(&f, &r->page, "layers-worst", NULL, e), n = rows.n < WORST ? rows.n : WORST;
    if (status)
        return status;
    bg_text *names = bg_slots_at(&f.slots, "names");
    for (int i = 0; i < n; i++) {
        char name[160], value[BG_NUMBER_TEXT], labelled[sizeof name + sizeof value + 4];
        double v = bg_row_number(&rows.rows[i], "sqnr_db");
        int layer = bg_row_integer(&rows.rows[i], "layer", -1);
        if (layer >= 0)
            snprintf(name, sizeof name, "layer %d %.100s", layer, bg_row_string(&rows.rows[i], "role"));
        else
            snprintf(name, sizeof name, "%.100s", bg_row_string(&rows.rows[i], "role"));
        snprintf(labelled, sizeof labelled, "%s   %s", name, bg_number_text(value, v, BG_SIG3));
        bg_text_format(&f.data, "%d %.6g\n", i, v);
        bg_text_add(names, i ? ", " : "");
        bg_text_gnuplot(names, labelled);
    }
    bg_text_format(bg_slots_at(&f.slots, "bars"), "%d", n);
    double middle = bg_row_number(&rows.rows[rows.n / 2], "sqnr_db");
    bg_text_format(bg_slots_at(&f.slots, "middle"), "%.6g", middle);
    bg_text_format(bg_slots_at(&f.slots, "right"), "%.6g", fmax(1, 1.08 * middle));
    return bg_figure_offer(&f, facts, "worst", e);
}

static void list_pages(const bg_report *r, bg_facts *facts)
{
    int layers[1024], n = r->pages ? bg_docset_layers(&r->docs, layers, 1024) : 0;
    bg_fact_rows(facts, "pages");
    for (int i = 0; i < n; i++)
        bg_fact_number(bg_fact_add_row(facts, "pages"), "layer", (bg_num){.value = layers[i]}, BG_PLAIN);
}

static int collect(bg_report *r, bg_facts *facts, int *present, bg_err *e)
{
    bg_rows rows = bg_docset_rows(&r->docs, "gaps", "sensitivity");
    list_pages(r, facts);
    if (!rows.n)
        return BG_OK;
    *present = 1;
    grid *g = malloc(sizeof *g);
    if (!g)
        return bg_no_memory(e, "layers", sizeof *g);
    make_grid(r, rows, g);
    bg_fact_text(facts, "spec", g->spec);
    int status = draw_heat(r, facts, g, e);
    if (!status && rows.n > 1)
        status = draw_worst(r, facts, rows, e);
    else
        bg_fact_no_set(facts, "worst");
    if (!status)
        status = draw_depth(r, facts, g, e);
    free(g);
    return status;
}

const bg_report_section bg_section_layers = {.id = "layers", .collect = collect};
