/* What is quantized: roles, their moments, their histograms against a Gaussian. */
#include <math.h>
#include <string.h>
#include "reports/pages/report.h"

enum { PANELS = 12, RUGS = 6 };

/* ---- the figure ---- */

static const bg_row *group_row(bg_rows groups, const char *name)
{
    for (int i = 0; i < groups.n; i++)
        if (!strcmp(bg_row_string(&groups.rows[i], "role"), name))
            return &groups.rows[i];
    return NULL;
}

static void put_density(bg_text *data, const bg_row *h)
{
    double first = bg_row_number(h, "first"), width = bg_row_number(h, "width");
    int i = 0, some = 0;
    const cJSON *v;
    bg_text_add(data, "# ");
    bg_text_column(data, bg_row_string(h, "role"));
    bg_text_add(data, ": weight (σ), density (1/σ)\n");
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(h->json, "density"))
    {
        if (v->valuedouble > 0) {
            bg_text_format(data, "%.6g %.6g\n", first + (i + 0.5) * width, v->valuedouble);
            some = 1;
        }
        i++;
    }
    bg_text_add(data, some ? "\n\n" : "NaN NaN\n\n\n");
}

/* The quantizers whose grids are drawn as rugs in every panel: those picked for the first role. */
static int rug_names(const bg_report *r, const char *role, const char *names[RUGS])
{
    const bg_row *rows[RUGS];
    int n = bg_pick_grids(r, role, rows, RUGS);
    for (int i = 0; i < n; i++)
        names[i] = bg_row_string(rows[i], "quantizer");
    return n;
}

static const char *const rug_colours[RUGS] = {"0x0072B2", "0xD55E00", "0x009E73", "0xCC79A7", "0xE69F00", "0x56B4E9"};
static const char *const rug_text_colours[RUGS] = {"00598C", "A34700", "00664B", "93407A", "855B00", "1E6A97"};

/* One tick a level: x, foot, height, colour; the rugs lie below the least density drawn, half a decade each. */
static void put_rugs(bg_text *data, bg_rows grids, const char *role, const char *const names[RUGS], int n)
{
    int some = 0;
    bg_text_add(data, "# grids: level (σ), foot, height, colour\n");
    for (int i = 0; i < grids.n; i++) {
        const char *g = bg_row_string(&grids.rows[i], "role"), *q = bg_row_string(&grids.rows[i], "quantizer");
        if (strcmp(g, role) && strcmp(g, "all"))
            continue;
        for (int k = 0; k < n; k++) {
            if (strcmp(names[k], q))
                continue;
            double foot = pow(10, -5.3 - 0.5 * k);
            const cJSON *v;
            cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(grids.rows[i].json, "levels"))
            {
                bg_text_format(data, "%.6g %.4g %.4g %s\n", v->valuedouble, foot, foot * 1.3, rug_colours[k]);
                some = 1;
            }
        }
    }
    bg_text_add(data, some ? "\n\n" : "NaN 1 1 0\n\n\n");
}

/* The rugs' names stand once, above the panels, from the top rug to the lowest. */
static void name_rugs(bg_figure *f, const char *const names[RUGS], int n)
{
    bg_text *t = bg_slots_at(&f->slots, "rugs");
    if (n)
        bg_text_add(t, "set label 'ticks, from above:' at screen 0.045, screen 0.985 left tc rgb '#595959'\n");
    for (int k = 0; k < n; k++) {
        char label[BG_LABEL];
        bg_method_label(names[k], label);
        bg_text_add(t, "set label ");
        bg_text_gnuplot(t, label);
        bg_text_format(t, " at screen %.3f, screen 0.985 left tc rgb '#%s' noenhanced\n", 0.19 + 0.12 * k,
                       rug_text_colours[k]);
    }
}

static int draw(bg_report *r, bg_facts *facts, bg_rows groups, bg_rows histograms, bg_err *e)
{
    bg_figure f;
    const char *names[RUGS];
    bg_rows grids = bg_docset_rows(&r->docs, "curves", "grids");
    int rugs = rug_names(r, bg_row_string(&histograms.rows[0], "role"), names),
        panels = histograms.n < PANELS ? histograms.n : PANELS;
    int status = bg_figure_begin(&f, &r->page, "weights", NULL, e);
    if (status)
        return status;
    bg_text *titles = bg_slots_at(&f.slots, "titles"), *shapes = bg_slots_at(&f.slots, "shapes");
    for (int i = 0; i < panels; i++) {
        const char *name = bg_row_string(&histograms.rows[i], "role");
        double beta = bg_row_number(group_row(groups, name), "ggd_shape");
        put_density(&f.data, &histograms.rows[i]);
        put_rugs(&f.data, grids, name, names, rugs);
        bg_text_add(titles, i ? ", " : "");
        bg_text_gnuplot(titles, name);
        bg_text_format(shapes, "%s%.6g", i ? ", " : "", isfinite(beta) ? beta : 0);
        bg_fact_row(bg_fact_add_row(f.facts, "panels"), "role", group_row(groups, name));
    }
    name_rugs(&f, names, rugs);
    bg_figure_panels(&f, panels);
    bg_text_format(bg_slots_at(&f.slots, "floor"), "%.4g", pow(10, rugs ? -5.4 - 0.5 * (rugs - 1) : -5));
    bg_fact_number(f.facts, "panel_count", (bg_num){.value = panels}, BG_COUNT);
    bg_fact_flag(f.facts, "rugs", rugs > 0);
    return bg_figure_offer(&f, facts, "histograms", e);
}

static int collect(bg_report *r, bg_facts *facts, int *present, bg_err *e)
{
    bg_rows groups = bg_docset_rows(&r->docs, "groups", "roles"),
            histograms = bg_docset_rows(&r->docs, "groups", "histograms");
    if (!groups.n)
        return BG_OK;
    *present = 1;
    bg_fact_no_set(facts, "histograms");
    return histograms.n ? draw(r, facts, groups, histograms, e) : BG_OK;
}

const bg_report_section bg_section_weights = {.id = "weights", .collect = collect};
