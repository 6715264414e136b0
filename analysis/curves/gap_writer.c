/* Owns the sections of a gaps document: what the joined points say of curves, layers, roles and pairs of curves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/curves/bd_rate.h"
#include "analysis/curves/gap.h"
#include "analysis/curves/gap_intervals.h"
#include "quant/probability/estimate.h"

enum { SPACED = 6 };
static const double targets[] = {0.01, 0.001}; /* D/σ² */

static void put_place(bg_doc *d, const bg_gap_point *p)
{
    bg_doc_string(d, "tensor", p->tensor);
    bg_doc_string(d, "role", p->role);
    bg_doc_integer(d, "layer", p->layer);
}

static void write_points(const bg_gaps *g, bg_doc *d)
{
    bg_doc_section(d, "points");
    for (int i = 0; i < g->n_points; i++) {
        const bg_gap_point *p = &g->points[i];
        if (!isfinite(p->gap_bits))
            continue;
        bg_doc_row(d);
        put_place(d, p);
        bg_doc_string(d, "quantizer", p->quantizer);
        bg_doc_string(d, "spec", p->spec);
        bg_doc_number(d, "rate_bits", p->rate_bits);
        bg_doc_number(d, "gap_bits", p->gap_bits);
        bg_doc_number(d, "gap_empirical_bits", bg_gap_empirical(g, p->tensor_at, p->mse, p->rate_bits));
        bg_doc_number(d, "gap_shannon_lower_bits", bg_gap_shannon_lower(g, p->tensor_at, p->mse, p->rate_bits));
        bg_doc_row_end(d);
    }
}

/* ---- curves: the points of one tensor under one quantizer ---- */

static int by_rate(const void *a, const void *b)
{
    const bg_gap_point *p = *(const bg_gap_point *const *)a, *q = *(const bg_gap_point *const *)b;
    return (p->rate_bits > q->rate_bits) - (p->rate_bits < q->rate_bits);
}

/* Points of every curve, by rising rate: at[first[c]] … at[first[c+1]−1], curve c = tensor·n_quantizers + quantizer. */
typedef struct curve_index {
    const bg_gap_point **at;
    int *first;
} curve_index;

static int index_curves(const bg_gaps *g, curve_index *x, bg_err *e)
{
    size_t curves = (size_t)g->n_tensors * (size_t)g->n_quantizers;
    x->at = malloc(((size_t)g->n_points + 1) * sizeof *x->at);
    x->first = calloc(curves + 2, sizeof *x->first);
    if (!x->at || !x->first) {
        free(x->at);
        free(x->first);
        return bg_no_memory(e, "curves", curves * sizeof *x->first);
    }
    for (int i = 0; i < g->n_points; i++)
        x->first[g->points[i].tensor_at * g->n_quantizers + g->points[i].quantizer_at + 2]++;
    for (size_t c = 2; c < curves + 2; c++)
        x->first[c] += x->first[c - 1];
    for (int i = 0; i < g->n_points; i++)
        x->at[x->first[g->points[i].tensor_at * g->n_quantizers + g->points[i].quantizer_at + 1]++] = &g->points[i];
    for (size_t c = 0; c < curves; c++)
        qsort(x->at + x->first[c], (size_t)(x->first[c + 1] - x->first[c]), sizeof *x->at, by_rate);
    return BG_OK;
}

/* Rate at which the curve falls to D, linear in log D between its points; NaN when it does not get there or starts
 * below. */
static double rate_at(const bg_gap_point *const *p, int n, double D)
{
    for (int i = 0; i + 1 < n; i++) {
        double a = p[i]->mse, b = p[i + 1]->mse;
        if (a >= D && D >= b && b > 0) {
            double t = a > b ? (log2(a) - log2(D)) / (log2(a) - log2(b)) : 0;
            return p[i]->rate_bits + t * (p[i + 1]->rate_bits - p[i]->rate_bits);
        }
    }
    return NAN;
}

static void write_target(const bg_gaps *g, bg_doc *d, const bg_gap_point *const *p, int n, double relative)
{
    double D = relative * p[0]->sigma2, R = rate_at(p, n, D);
    bg_doc_row(d);
    put_place(d, p[0]);
    bg_doc_string(d, "quantizer", p[0]->quantizer);
    bg_doc_number(d, "relative", relative);
    bg_doc_bool(d, "reached", isfinite(R));
    bg_doc_number(d, "rate_bits", R);
    bg_doc_number(d, "gap_bits", R + 0.5 * log2(relative));
    bg_doc_number(d, "gap_empirical_bits", bg_gap_empirical(g, p[0]->tensor_at, D, R));
    bg_doc_row_end(d);
}

static void write_targets(const bg_gaps *g, const curve_index *x, bg_doc *d)
{
    bg_doc_section(d, "targets");
    for (int c = 0; c < g->n_tensors * g->n_quantizers; c++) {
        int n = x->first[c + 1] - x->first[c];
        for (size_t k = 0; n > 1 && k < sizeof targets / sizeof *targets; k++)
            write_target(g, d, x->at + x->first[c], n, targets[k]);
    }
}

/* ---- sensitivity ---- */

static double sqnr(const bg_gap_point *p)
{
    return 10 * log10(p->sigma2 / p->mse);
}

/* Least SQNR first: the same error hurts a small layer more. */
static int worst_first(const void *a, const void *b)
{
    double p = sqnr(*(const bg_gap_point *const *)a), q = sqnr(*(const bg_gap_point *const *)b);
    return (p > q) - (p < q);
}

static int write_sensitivity(const bg_gaps *g, bg_doc *d, const char *spec, bg_err *e)
{
    const bg_gap_point **at = malloc(((size_t)g->n_points + 1) * sizeof *at);
    int n = 0;
    if (!at)
        return bg_no_memory(e, "sensitivity", (size_t)g->n_points * sizeof *at);
    for (int i = 0; i < g->n_points; i++)
        if (!strcmp(g->points[i].spec, spec) && g->points[i].mse > 0 && g->points[i].sigma2 > 0)
            at[n++] = &g->points[i];
    qsort(at, (size_t)n, sizeof *at, worst_first);
    bg_doc_section(d, "sensitivity");
    for (int i = 0; i < n; i++) {
        bg_doc_row(d);
        put_place(d, at[i]);
        bg_doc_integer(d, "rank", i + 1);
        bg_doc_string(d, "spec", spec);
        bg_doc_number(d, "mse", at[i]->mse);
        bg_doc_number(d, "sqnr_db", sqnr(at[i]));
        bg_doc_number(d, "max_error", at[i]->max_error);
        bg_doc_number(d, "max_relative_error", at[i]->max_relative);
        bg_doc_row_end(d);
    }
    free(at);
    return BG_OK;
}

/* ---- roles ---- */

/* Is `layer` one of at most SPACED evenly spaced ones of the layers present (rising)? */
static int is_spaced(const int *layers, int n, int layer)
{
    for (int i = 0; i < SPACED; i++)
        if (n <= SPACED || layers[(int)lround((double)i * (n - 1) / (SPACED - 1))] == layer)
            return 1;
    return n == 0;
}

typedef struct mean {
    double weights, rate, relative, gap, min, max;
    const bg_gap_point **points;
    int tensors;
} mean;

static void add(mean *m, const bg_gap_point *p)
{
    double w = p->weights;
    m->min = m->tensors ? fmin(m->min, p->gap_bits) : p->gap_bits;
    m->max = m->tensors ? fmax(m->max, p->gap_bits) : p->gap_bits;
    m->weights += w;
    m->rate += w * p->rate_bits;
    m->relative += w * p->mse / p->sigma2;
    m->gap += w * p->gap_bits;
    m->points[m->tensors++] = p;
}

static int write_mean(bg_doc *d, const char *over, const mean *m, bg_err *e)
{
    double low, high;
    int status = m->tensors ? bg_gap_interval(m->points, m->tensors, &low, &high, e) : BG_OK;
    if (!m->tensors || status)
        return status;
    const bg_gap_point *p = m->points[0];
    bg_doc_row(d);
    bg_doc_string(d, "role", p->role);
    bg_doc_string(d, "quantizer", p->quantizer);
    bg_doc_string(d, "spec", p->spec);
    bg_doc_string(d, "over", over);
    bg_doc_integer(d, "tensors", m->tensors);
    bg_doc_number(d, "rate_bits", m->rate / m->weights);
    bg_doc_number(d, "relative", m->relative / m->weights);
    bg_doc_number(d, "gap_bits", m->gap / m->weights);
    bg_doc_number(d, "gap_least_bits", m->min);
    bg_doc_number(d, "gap_most_bits", m->max);
    bg_doc_number(d, "gap_low_bits", low);
    bg_doc_number(d, "gap_high_bits", high);
    bg_doc_row_end(d);
    return BG_OK;
}

static int by_role(const void *a, const void *b)
{
    const bg_gap_point *p = *(const bg_gap_point *const *)a, *q = *(const bg_gap_point *const *)b;
    int c = strcmp(p->role, q->role);
    if (!c)
        c = strcmp(p->spec, q->spec);
    return c ? c : (p->layer > q->layer) - (p->layer < q->layer);
}

/* Workspace for one role: its layers, and the points of one mean. */
typedef struct role_workspace {
    int *layers;
    const bg_gap_point **points;
} role_workspace;

/* The rows of one role under one spec, points at[0..n) by rising layer: over spaced layers, then over all. */
static int write_role(bg_doc *d, const bg_gap_point *const *at, int n, const role_workspace *w, bg_err *e)
{
    int n_layers = 0, status = BG_OK;
    for (int i = 0; i < n; i++)
        if (!n_layers || w->layers[n_layers - 1] != at[i]->layer)
            w->layers[n_layers++] = at[i]->layer;
    for (int all = 0; !status && all < 2; all++) {
        mean m = {.points = w->points};
        for (int i = 0; i < n; i++)
            if (all || is_spaced(w->layers, n_layers, at[i]->layer))
                add(&m, at[i]);
        status = write_mean(d, all ? "all" : "spaced", &m, e);
    }
    return status;
}

static int write_roles(const bg_gaps *g, bg_doc *d, bg_err *e)
{
    size_t max = (size_t)g->n_points + 1;
    const bg_gap_point **at = malloc(max * sizeof *at);
    role_workspace w = {malloc(max * sizeof *w.layers), malloc(max * sizeof *w.points)};
    int n = 0, status = at && w.layers && w.points ? BG_OK : bg_no_memory(e, "roles", max * sizeof *at);
    for (int i = 0; !status && i < g->n_points; i++)
        if (isfinite(g->points[i].gap_bits))
            at[n++] = &g->points[i];
    if (n)
        qsort(at, (size_t)n, sizeof *at, by_role);
    bg_doc_section(d, "roles");
    for (int i = 0, end; !status && i < n; i = end) {
        for (end = i; end < n && !strcmp(at[end]->role, at[i]->role) && !strcmp(at[end]->spec, at[i]->spec);)
            end++;
        status = write_role(d, at + i, end - i, &w, e);
    }
    free(at);
    free(w.layers);
    free(w.points);
    return status;
}

/* ---- pairs of curves ---- */

/* A curve as (rate, SQNR). One that does not rise all the way is not mended: bg_bd_bits refuses it, and its tensor
 * takes no part in the pair. */
static bg_bd_curve bd_curve(const bg_gap_point *const *p, int n)
{
    bg_bd_curve c = {0};
    for (int i = 0; i < n && c.n < BG_BD_POINTS; i++) {
        c.rate[c.n] = p[i]->rate_bits;
        c.quality_db[c.n++] = sqnr(p[i]);
    }
    return c;
}

typedef struct pair_room {
    bg_bd_curve *curves; /* [tensors × quantizers] */
    double *x, *w;       /* [tensors] */
    int *role;           /* [tensors] */
} pair_room;

static void write_pair(const bg_gaps *g, bg_doc *d, const pair_room *workspace, int a, int t)
{
    int n = 0, Q = g->n_quantizers;
    double sum = 0, percent = 0, weights = 0, akima = 0, akima_weights = 0, low, high;
    for (int i = 0; i < g->n_tensors; i++) {
        double bits, rate, smooth;
        if (bg_bd_bits(BG_BD_PCHIP, &workspace->curves[i * Q + a], &workspace->curves[i * Q + t], &bits, NULL))
            continue;
        if (bg_bd_rate_percent(BG_BD_PCHIP, &workspace->curves[i * Q + a], &workspace->curves[i * Q + t], &rate, NULL))
            rate = NAN;
        if (!bg_bd_bits(BG_BD_AKIMA, &workspace->curves[i * Q + a], &workspace->curves[i * Q + t], &smooth, NULL)) {
            akima += g->first[i]->weights * smooth;
            akima_weights += g->first[i]->weights;
        }
        workspace->x[n] = bits;
        workspace->role[n] = g->first[i]->role_at;
        workspace->w[n] = g->first[i]->weights;
        sum += workspace->w[n] * bits;
        percent += workspace->w[n] * rate;
        weights += workspace->w[n++];
    }
    if (!n)
        return;
    bg_estimate m = bg_stratified_mean(workspace->x, workspace->w, workspace->role, n);
    bg_estimate_interval(&m, &low, &high);
    bg_doc_row(d);
    bg_doc_string(d, "anchor", g->quantizers[a]);
    bg_doc_string(d, "test", g->quantizers[t]);
    bg_doc_integer(d, "tensors", n);
    bg_doc_number(d, "bd_bits", sum / weights);
    bg_doc_number(d, "bd_bits_low", low);
    bg_doc_number(d, "bd_bits_high", high);
    bg_doc_number(d, "bd_rate_percent", percent / weights);
    bg_doc_number(d, "bd_bits_akima", akima / akima_weights);
    bg_doc_row_end(d);
}

static int write_bdrate(const bg_gaps *g, const curve_index *x, bg_doc *d, bg_err *e)
{
    size_t T = (size_t)g->n_tensors, Q = (size_t)g->n_quantizers;
    pair_room workspace = {malloc(T * Q * sizeof *workspace.curves), malloc(T * sizeof *workspace.x),
                           malloc(T * sizeof *workspace.w), malloc(T * sizeof *workspace.role)};
    int status = workspace.curves && workspace.x && workspace.w && workspace.role
                     ? BG_OK
                     : bg_no_memory(e, "curves", T * Q * sizeof *workspace.curves);
    for (size_t c = 0; !status && c < T * Q; c++)
        workspace.curves[c] = bd_curve(x->at + x->first[c], x->first[c + 1] - x->first[c]);
    bg_doc_section(d, "bdrate");
    for (int a = 0; !status && a < g->n_quantizers; a++)
        for (int t = 0; t < g->n_quantizers; t++)
            if (a != t)
                write_pair(g, d, &workspace, a, t);
    free(workspace.curves);
    free(workspace.x);
    free(workspace.w);
    free(workspace.role);
    return status;
}

int bg_gaps_write(const bg_gaps *g, bg_doc *d, const char *sensitivity, bg_err *e)
{
    curve_index x = {0};
    int status = index_curves(g, &x, e);
    if (status)
        return status;
    write_points(g, d);
    write_targets(g, &x, d);
    status = write_sensitivity(g, d, sensitivity, e);
    if (!status)
        status = write_roles(g, d, e);
    if (!status)
        status = write_bdrate(g, &x, d, e);
    if (!status)
        status = bg_gap_write_intervals(g, d, e);
    free(x.at);
    free(x.first);
    return status;
}
