/* Owns the intervals of mean gaps: sections `specs` and `pairs` of a gaps document.
 *
 * The points form a table of specs by tensors. A row of `specs` is the mean over the tensors of one row of the table;
 * a row of `pairs` is the mean of the difference between two rows, over the tensors that both have. A pair is written
 * when its two specs are points of different curves whose mean rates differ by at most PAIR_BITS: specs further apart
 * are never set beside each other.
 *
 * What an interval is about is other layers of the same roles, so that tensors are stratified by role: the difference
 * between roles is no error of the mean, and the few layers of a role give Student's quantile of so few (estimate.h).
 */
#include "analysis/curves/gap_intervals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/probability/estimate.h"

static const double PAIR_BITS = 1.5;

enum { GAP, OUTPUT_GAP, FIELDS };
static const char *const names[FIELDS][3] = {{"gap_bits", "gap_low_bits", "gap_high_bits"},
                                             {"output_gap_bits", "output_gap_low_bits", "output_gap_high_bits"}};

typedef struct gap_table {
    const bg_gap_point **at;    /* [specs × tensors]; NULL where a tensor has no such point */
    const bg_gap_point **first; /* [specs] any point of the spec */
    double *rate;               /* [specs] mean by weights */
    double *x, *w;              /* [tensors] workspace */
    int *role;                  /* [tensors] workspace: the stratum of each value */
    int specs, tensors;
} gap_table;

static double value_of(const bg_gap_point *p, int field)
{
    return field == GAP ? p->gap_bits : p->output_gap_bits;
}

static void fill_table(gap_table *t, const bg_gaps *g)
{
    for (int i = 0; i < g->n_points; i++) {
        const bg_gap_point *p = &g->points[i];
        t->first[p->spec_at] = p;
        if (isfinite(p->gap_bits))
            t->at[p->spec_at * t->tensors + p->tensor_at] = p;
    }
    for (int s = 0; s < t->specs; s++) {
        double sum = 0, weights = 0;
        for (int i = 0; i < t->tensors; i++) {
            const bg_gap_point *p = t->at[s * t->tensors + i];
            sum += p ? p->weights * p->rate_bits : 0;
            weights += p ? p->weights : 0;
        }
        t->rate[s] = sum / weights;
    }
}

static void free_table(gap_table *t)
{
    free(t->at);
    free(t->first);
    free(t->rate);
    free(t->x);
    free(t->w);
    free(t->role);
}

static int make_table(gap_table *t, const bg_gaps *g, bg_err *e)
{
    *t = (gap_table){.specs = g->n_specs, .tensors = g->n_tensors};
    size_t cells = (size_t)t->specs * (size_t)t->tensors;
    t->at = calloc(cells, sizeof *t->at);
    t->first = calloc((size_t)t->specs, sizeof *t->first);
    t->rate = calloc((size_t)t->specs, sizeof *t->rate);
    t->x = malloc((size_t)t->tensors * sizeof *t->x);
    t->w = malloc((size_t)t->tensors * sizeof *t->w);
    t->role = malloc((size_t)t->tensors * sizeof *t->role);
    if (!t->at || !t->first || !t->rate || !t->x || !t->w || !t->role) {
        free_table(t);
        return bg_no_memory(e, "intervals", cells * sizeof *t->at);
    }
    fill_table(t, g);
    return BG_OK;
}

/* Collects a field of spec a, less that of spec b unless b < 0, over the tensors; returns how many have it. */
static int collect(const gap_table *t, int a, int b, int field)
{
    int n = 0;
    for (int i = 0; i < t->tensors; i++) {
        const bg_gap_point *p = t->at[a * t->tensors + i], *q = b < 0 ? NULL : t->at[b * t->tensors + i];
        double v = !p || (b >= 0 && !q) ? (double)NAN : value_of(p, field) - (q ? value_of(q, field) : 0);
        if (!isfinite(v))
            continue;
        t->x[n] = v;
        t->role[n] = p->role_at;
        t->w[n++] = p->weights;
    }
    return n;
}

static void put_interval(bg_doc *d, const gap_table *t, int n, int field)
{
    double low, high;
    bg_estimate m = bg_stratified_mean(t->x, t->w, t->role, n);
    bg_estimate_interval(&m, &low, &high);
    bg_doc_number(d, names[field][0], m.mean);
    bg_doc_number(d, names[field][1], low);
    bg_doc_number(d, names[field][2], high);
}

static void write_spec(bg_doc *d, const gap_table *t, int s)
{
    int n = collect(t, s, -1, GAP);
    if (!n)
        return;
    bg_doc_row(d);
    bg_doc_string(d, "quantizer", t->first[s]->quantizer);
    bg_doc_string(d, "spec", t->first[s]->spec);
    bg_doc_integer(d, "tensors", n);
    bg_doc_number(d, "rate_bits", t->rate[s]);
    for (int f = 0; f < FIELDS; f++)
        put_interval(d, t, collect(t, s, -1, f), f);
    bg_doc_row_end(d);
}

static void write_pair(bg_doc *d, const gap_table *t, int a, int b)
{
    int n = collect(t, a, b, GAP);
    if (!n || t->first[a]->quantizer_at == t->first[b]->quantizer_at || !(fabs(t->rate[a] - t->rate[b]) <= PAIR_BITS))
        return;
    bg_doc_row(d);
    bg_doc_string(d, "spec", t->first[a]->spec);
    bg_doc_string(d, "rival", t->first[b]->spec);
    bg_doc_integer(d, "tensors", n);
    for (int f = 0; f < FIELDS; f++)
        put_interval(d, t, collect(t, a, b, f), f);
    bg_doc_row_end(d);
}

int bg_gap_interval(const bg_gap_point *const *points, int n, double *low, double *high, bg_err *e)
{
    double *x = malloc(2 * ((size_t)n + 1) * sizeof *x), *w = x ? x + n + 1 : NULL;
    if (!x)
        return bg_no_memory(e, "intervals", 2 * (size_t)n * sizeof *x);
    for (int i = 0; i < n; i++) {
        x[i] = points[i]->gap_bits;
        w[i] = points[i]->weights;
    }
    bg_estimate m = bg_stratified_mean(x, w, NULL, n);
    bg_estimate_interval(&m, low, high);
    free(x);
    return BG_OK;
}

int bg_gap_write_intervals(const bg_gaps *g, bg_doc *d, bg_err *e)
{
    gap_table t;
    int status = make_table(&t, g, e);
    if (status)
        return status;
    bg_doc_section(d, "specs");
    for (int s = 0; s < t.specs; s++)
        write_spec(d, &t, s);
    bg_doc_section(d, "pairs");
    for (int a = 0; a < t.specs; a++)
        for (int b = a + 1; b < t.specs; b++)
            write_pair(d, &t, a, b);
    free_table(&t);
    return BG_OK;
}
