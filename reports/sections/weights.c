/* What is quantized: roles, their moments, their histograms against a Gaussian. */
#include <math.h>
#include <string.h>
#include "reports/pages/report.h"

enum { PANELS = 12, RUGS = 6 };

static void say_finding(bg_report *r, bg_text *t, bg_rows groups)
{
    const bg_row *heavy = NULL, *light = NULL;
    for (int i = 0; i < groups.n; i++) {
        double k = bg_row_number(&groups.rows[i], "kurtosis_excess");
        if (!isfinite(k))
            continue;
        if (!heavy || k > bg_row_number(heavy, "kurtosis_excess"))
            heavy = &groups.rows[i];
        if (!light || k < bg_row_number(light, "kurtosis_excess"))
            light = &groups.rows[i];
    }
    if (!heavy) {
        bg_text_add(t, "No role has enough spread for a shape to be told.");
        return;
    }
    bg_num most = bg_num_cell(&r->docs, heavy, "kurtosis_excess");
    if (most.value < 0.1)
        bg_text_add(t, "Every role is as light in its tails as a Gaussian or lighter: the heaviest, ");
    else
        bg_text_add(t, "The heaviest tails are in ");
    bg_text_code(t, bg_row_string(heavy, "group"));
    bg_text_add(t, most.value < 0.1 ? ", has an excess kurtosis of " : " (excess kurtosis ");
    bg_put_number(&r->page, t, most, BG_SIG3);
    bg_num reach = bg_num_cell(&r->docs, heavy, "max_over_sigma");
    if (isfinite(reach.value)) {
        bg_text_add(t, ", largest weight ");
        bg_put_number(&r->page, t, reach, BG_SIG3);
        bg_text_add(t, " σ");
    }
    bg_text_add(t, most.value < 0.1 ? "" : ")");
    if (light != heavy) {
        bg_text_add(t, "; nearest to a Gaussian or below it is ");
        bg_text_code(t, bg_row_string(light, "group"));
        bg_text_add(t, " (");
        bg_put_number(&r->page, t, bg_num_cell(&r->docs, light, "kurtosis_excess"), BG_SIG3);
        bg_text_add(t, ")");
    }
    bg_text_add(t, ". Heavy tails are what a grid spread to the largest weight pays for.");
    if (r->docs.filter.n_layers)
        bg_text_add(t, " These are statistics of whole roles; the tensors of this page are in the inventory.");
}

/* The tensor whose Blahut–Arimoto rate at 0.01σ² is farthest below the Gaussian one. */
static void say_source(bg_report *r, bg_text *t)
{
    bg_rows rows = bg_docset_rows(&r->docs, "bounds", "rows");
    bg_num most = {.value = NAN};
    const bg_row *which = NULL;
    for (int i = 0; i < rows.n; i++) {
        if (fabs(bg_row_number(&rows.rows[i], "relative") - 0.01) > 1e-9)
            continue;
        bg_num d = bg_num_operate(bg_num_cell(&r->docs, &rows.rows[i], "gaussian_bits"), '-',
                                  bg_num_cell(&r->docs, &rows.rows[i], "upper_bits"));
        if (isfinite(d.value) && !(d.value <= most.value)) {
            most = d;
            which = &rows.rows[i];
        }
    }
    if (!which || most.value <= 0)
        return;
    bg_text_add(
        t,
        most.value < 0.05
            ? " An ideal code gains little from them: at D = 0.01σ² the weights are easier than a Gaussian by at most "
            : " An ideal code gains from them: at D = 0.01σ² the weights are easier than a Gaussian by as much as ");
    bg_put_number(&r->page, t, most, BG_SIG3);
    bg_text_add(t, " bit, in ");
    bg_say_place(t, which);
    bg_text_add(t, " (Blahut–Arimoto).");
}

static void put_table(bg_report *r, bg_text *t, bg_rows groups)
{
    static const struct {
        const char *field;
        bg_style style;
    } columns[] = {{"tensors", BG_COUNT},        {"weights", BG_COUNT},       {"sigma2", BG_SIG3},
                   {"kurtosis_excess", BG_SIG3}, {"max_over_sigma", BG_SIG3}, {"ggd_shape", BG_SIG3},
                   {"entropy_bits", BG_SIG3},    {"zeros", BG_COUNT},         {"nans", BG_COUNT}};
    bg_table b;
    bg_table_begin(
        &b, &r->page, t, "Roles and their statistics",
        "role|matrices>|weights>|σ² (weight²)>|excess kurtosis>|max/σ>|GGD shape β>|entropy (bits)>|zeros>|NaN>");
    for (int i = 0; i < groups.n; i++) {
        bg_table_code(&b, bg_row_string(&groups.rows[i], "group"));
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            bg_table_number_or(&b, bg_num_cell(&r->docs, &groups.rows[i], columns[c].field), columns[c].style,
                               "not defined");
    }
    bg_table_end(&b);
}

static void put_inventory(bg_report *r, bg_text *t)
{
    bg_rows tensors = bg_docset_rows(&r->docs, "groups", "tensors");
    bg_table b;
    bg_put_fold(t, "Every tensor");
    bg_table_begin(&b, &r->page, t, "Inventory of tensors",
                   "tensor|role|layer>|rows>|columns>|stored as|σ²>|excess kurtosis>|max/σ>|entropy (bits)>|note");
    for (int i = 0; i < tensors.n; i++) {
        const bg_row *row = &tensors.rows[i];
        const char *note = bg_row_string(row, "note");
        bg_table_code(&b, bg_row_string(row, "tensor"));
        bg_table_code(&b, bg_row_string(row, "group"));
        if (bg_row_integer(row, "layer", -1) >= 0)
            bg_table_number(&b, bg_num_cell(&r->docs, row, "layer"), BG_PLAIN);
        else
            bg_table_dash(&b, "");
        bg_table_number(&b, bg_num_cell(&r->docs, row, "rows"), BG_COUNT);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "cols"), BG_COUNT);
        bg_table_text(&b, bg_row_string(row, "dtype"));
        bg_table_number(&b, bg_num_cell(&r->docs, row, "sigma2"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "kurtosis_excess"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "max_over_sigma"), BG_SIG3);
        bg_table_number(&b, bg_num_cell(&r->docs, row, "entropy_bits"), BG_SIG3);
        bg_table_text(&b, note ? note : "");
    }
    bg_table_end(&b);
    bg_put_fold_end(t);
}

/* ---- the figure ---- */

static const bg_row *group_row(bg_rows groups, const char *name)
{
    for (int i = 0; i < groups.n; i++)
        if (!strcmp(bg_row_string(&groups.rows[i], "group"), name))
            return &groups.rows[i];
    return NULL;
}

static void put_density(bg_text *data, const bg_row *h)
{
    double first = bg_row_number(h, "first"), width = bg_row_number(h, "width");
    int i = 0, some = 0;
    const cJSON *v;
    bg_text_add(data, "# ");
    bg_text_column(data, bg_row_string(h, "group"));
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
static int rug_names(const bg_report *r, const char *group, const char *names[RUGS])
{
    const bg_row *rows[RUGS];
    int n = bg_pick_grids(r, group, rows, RUGS);
    for (int i = 0; i < n; i++)
        names[i] = bg_row_string(rows[i], "quantizer");
    return n;
}

static const char *const rug_colours[RUGS] = {"0x0072B2", "0xD55E00", "0x009E73", "0xCC79A7", "0xE69F00", "0x56B4E9"};
static const char *const rug_text_colours[RUGS] = {"00598C", "A34700", "00664B", "93407A", "855B00", "1E6A97"};

/* One tick a level: x, foot, height, colour; the rugs lie below the least density drawn, half a decade each. */
static void put_rugs(bg_text *data, bg_rows grids, const char *group, const char *const names[RUGS], int n)
{
    int some = 0;
    bg_text_add(data, "# grids: level (σ), foot, height, colour\n");
    for (int i = 0; i < grids.n; i++) {
        const char *g = bg_row_string(&grids.rows[i], "group"), *q = bg_row_string(&grids.rows[i], "quantizer");
        if (strcmp(g, group) && strcmp(g, "all"))
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

static int draw(bg_report *r, bg_text *where, bg_rows groups, bg_rows histograms, bg_err *e)
{
    bg_figure f;
    const char *names[RUGS];
    bg_rows grids = bg_docset_rows(&r->docs, "curves", "grids");
    int rugs = rug_names(r, bg_row_string(&histograms.rows[0], "group"), names),
        panels = histograms.n < PANELS ? histograms.n : PANELS;
    int status = bg_figure_begin(&f, &r->page, "weights", "Histograms of the weights by role", e);
    if (status)
        return status;
    bg_text *titles = bg_slots_at(&f.slots, "titles"), *shapes = bg_slots_at(&f.slots, "shapes");
    bg_text_format(&f.shown->alt,
                   "Histograms of %d roles in units of their σ, with the Gaussian and a fitted generalised Gaussian.",
                   panels);
    for (int i = 0; i < panels; i++) {
        const char *name = bg_row_string(&histograms.rows[i], "group");
        double beta = bg_row_number(group_row(groups, name), "ggd_shape"),
               k = bg_row_number(group_row(groups, name), "kurtosis_excess");
        put_density(&f.data, &histograms.rows[i]);
        put_rugs(&f.data, grids, name, names, rugs);
        bg_text_add(titles, i ? ", " : "");
        bg_text_gnuplot(titles, name);
        bg_text_format(shapes, "%s%.6g", i ? ", " : "", isfinite(beta) ? beta : 0);
        if (isfinite(k))
            bg_text_format(&f.shown->alt, " %s: excess kurtosis %.3g.", name, k);
    }
    name_rugs(&f, names, rugs);
    bg_figure_panels(&f, panels);
    bg_text_format(bg_slots_at(&f.slots, "floor"), "%.4g", pow(10, rugs ? -5.4 - 0.5 * (rugs - 1) : -5));
    bg_text_add(&f.shown->caption, "A histogram that leaves the dashed Gaussian upwards at the sides has heavy tails; "
                                   "the thin line is the generalised "
                                   "Gaussian fitted to it.");
    if (rugs)
        bg_text_add(
            &f.shown->caption,
            " The ticks below are the levels of each 4-bit grid: levels where there are no weights are wasted.");
    put_table(r, &f.shown->table, groups);
    status = bg_figure_finish(&f, e);
    bg_put_figure(&r->page, where, f.index);
    return status;
}

static int write(bg_report *r, bg_slots *s, int *present, bg_err *e)
{
    bg_rows groups = bg_docset_rows(&r->docs, "groups", "groups"),
            histograms = bg_docset_rows(&r->docs, "groups", "histograms");
    bg_text *finding = bg_slots_at(s, "finding"), *figure = bg_slots_at(s, "figure"),
            *inventory = bg_slots_at(s, "inventory");
    if (!groups.n)
        return BG_OK;
    *present = 1;
    say_finding(r, finding, groups);
    say_source(r, finding);
    put_inventory(r, inventory);
    if (histograms.n)
        return draw(r, figure, groups, histograms, e);
    put_table(r, figure, groups);
    return BG_OK;
}

const bg_report_section bg_section_weights = {.id = "weights", .title = "Weights", .write = write};
