/* Owns the join of curves with bounds. */
#include "analysis/curves/gap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static int intern(const char **names, int *n, const char *name)
{
    for (int i = *n - 1; i >= 0; i--)
        if (!strcmp(names[i], name))
            return i;
    names[*n] = name;
    return (*n)++;
}

static bg_gap_point point_of(const cJSON *row)
{
    return (bg_gap_point){
        .tensor = bg_json_string(row, "tensor", ""),
        .role = bg_json_string(row, "role", ""),
        .quantizer = bg_json_string(row, "quantizer", ""),
        .spec = bg_json_string(row, "spec", ""),
        .layer = (int)bg_json_number(row, "layer", -1),
        .weights = fmax(bg_json_number(row, "weights", 0), 1), /* a density counts as one */
        .rate_bits = bg_json_number(row, "rate_bits", NAN),
        .mse = bg_json_number(row, "mse", NAN),
        .sigma2 = bg_json_number(row, "sigma2", NAN),
        .gap_bits = bg_json_number(row, "gap_bits", NAN),
        .output_gap_bits = bg_json_number(row, "output_gap_bits", NAN),
        .max_error = bg_json_number(row, "max_error", NAN),
        .max_relative = bg_json_number(row, "max_relative_error", NAN),
    };
}

static int read_points(bg_gaps *g, const cJSON *curves, bg_err *e)
{
    const cJSON *rows = bg_doc_rows(curves, "points"), *row;
    size_t n = (size_t)cJSON_GetArraySize(rows);
    g->points = malloc((n + 1) * sizeof *g->points);
    g->tensors = malloc((n + 1) * sizeof *g->tensors);
    g->quantizers = malloc((n + 1) * sizeof *g->quantizers);
    g->specs = malloc((n + 1) * sizeof *g->specs);
    g->roles = malloc((n + 1) * sizeof *g->roles);
    g->first = calloc(n + 1, sizeof *g->first);
    if (!g->points || !g->tensors || !g->quantizers || !g->specs || !g->roles || !g->first)
        return bg_no_memory(e, "points", n * sizeof *g->points);
    cJSON_ArrayForEach(row, rows)
    {
        bg_gap_point *p = &g->points[g->n_points++];
        *p = point_of(row);
        p->tensor_at = intern(g->tensors, &g->n_tensors, p->tensor);
        p->quantizer_at = intern(g->quantizers, &g->n_quantizers, p->quantizer);
        p->spec_at = intern(g->specs, &g->n_specs, p->spec);
        p->role_at = intern(g->roles, &g->n_roles, p->role);
        if (!g->first[p->tensor_at])
            g->first[p->tensor_at] = p;
    }
    if (!g->n_points)
        return bg_fail(e, BG_INPUT, "the curves document has no points; run bitgap curve again");
    return BG_OK;
}

static int by_distortion(const void *a, const void *b)
{
    const bg_bound_row *p = a, *q = b;
    return (p->log2_d > q->log2_d) - (p->log2_d < q->log2_d);
}

static int read_bounds(bg_gaps *g, const cJSON *bounds, bg_err *e)
{
    const cJSON *rows = bounds ? bg_doc_rows(bounds, "rows") : NULL, *row;
    size_t n = (size_t)g->n_tensors, total = (size_t)(rows ? cJSON_GetArraySize(rows) : 0);
    g->bounds = calloc(n, sizeof *g->bounds);
    g->n_bounds = calloc(n, sizeof *g->n_bounds);
    if (!g->bounds || !g->n_bounds)
        return bg_no_memory(e, "bounds", n * sizeof *g->bounds);
    cJSON_ArrayForEach(row, rows)
    {
        const char *name = bg_json_string(row, "tensor", "");
        int at = 0;
        while (at < g->n_tensors && strcmp(g->tensors[at], name))
            at++;
        double D = bg_json_number(row, "distortion", 0);
        if (at == g->n_tensors || !(D > 0))
            continue;
        if (!g->bounds[at] && !(g->bounds[at] = malloc(total * sizeof **g->bounds)))
            return bg_no_memory(e, "bounds", total * sizeof **g->bounds);
        g->bounds[at][g->n_bounds[at]++] =
            (bg_bound_row){log2(D), 0.5 * log2(g->first[at]->sigma2 / D),
                           bg_json_number(row, "shannon_lower_bits", NAN), bg_json_number(row, "upper_bits", NAN)};
    }
    for (size_t i = 0; i < n; i++)
        if (g->n_bounds[i])
            qsort(g->bounds[i], (size_t)g->n_bounds[i], sizeof **g->bounds, by_distortion);
    return BG_OK;
}

int bg_gaps_init(bg_gaps *g, const cJSON *curves, const cJSON *bounds, bg_err *e)
{
    *g = (bg_gaps){0};
    int status = read_points(g, curves, e);
    if (!status)
        status = read_bounds(g, bounds, e);
    if (status)
        bg_gaps_free(g);
    return status;
}

void bg_gaps_free(bg_gaps *g)
{
    for (int i = 0; g->bounds && i < g->n_tensors; i++)
        free(g->bounds[i]);
    free(g->bounds);
    free(g->n_bounds);
    free(g->points);
    free(g->tensors);
    free(g->quantizers);
    free(g->specs);
    free(g->roles);
    free(g->first);
    *g = (bg_gaps){0};
}

/* ---- gaps above the bound of the weights ---- */

static double bound_of(const bg_bound_row *r, int upper)
{
    return upper ? r->upper : r->lower_slb;
}

/* Saving over the Gaussian bound at log2 D, or NaN outside the rows. */
static double saving(const bg_gaps *g, int tensor, double log2_d, int upper)
{
    const bg_bound_row *rows = g->bounds[tensor];
    for (int i = 0; i + 1 < g->n_bounds[tensor]; i++) {
        const bg_bound_row *a = &rows[i], *b = &rows[i + 1];
        if (log2_d < a->log2_d || log2_d > b->log2_d)
            continue;
        double t = b->log2_d > a->log2_d ? (log2_d - a->log2_d) / (b->log2_d - a->log2_d) : 0;
        return (1 - t) * (a->gaussian - bound_of(a, upper)) + t * (b->gaussian - bound_of(b, upper));
    }
    return NAN;
}

static double gap_above(const bg_gaps *g, int tensor, double D, double R, int upper)
{
    if (!(D > 0))
        return NAN;
    double gaussian = 0.5 * log2(g->first[tensor]->sigma2 / D);
    return R - (gaussian - saving(g, tensor, log2(D), upper));
}

double bg_gap_empirical(const bg_gaps *g, int tensor, double D, double R)
{
    return gap_above(g, tensor, D, R, 1);
}

double bg_gap_shannon_lower(const bg_gaps *g, int tensor, double D, double R)
{
    return gap_above(g, tensor, D, R, 0);
}
