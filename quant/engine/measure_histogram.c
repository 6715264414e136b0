/* Owns plain specs on a histogram: the exact error of any per-tensor scalar code costs the size of the histogram. */
#include <math.h>
#include <stdlib.h>
#include "quant/engine/engine.h"

/* A code as ascending levels and thresholds in original units. */
typedef struct ladder {
    double *level, *cut;
    int K;
} ladder;

static int ladder_init(ladder *l, const bg_code *c, bg_err *e)
{
    int K = c->K;
    *l = (ladder){malloc((size_t)K * sizeof(double)), malloc((size_t)K * sizeof(double)), K};
    if (!l->level || !l->cut) {
        free(l->level);
        free(l->cut);
        return bg_no_memory(e, "levels of a grid", 2ull * (size_t)K * sizeof(double));
    }
    for (int k = 0; k < K; k++)
        l->level[k] = (double)bg_code_value(c, k);
    for (int k = 0; k + 1 < K; k++)
        l->cut[k] = c->affine ? 0.5 * (l->level[k] + l->level[k + 1])
                              : (double)c->scale * (double)c->cuts[k] + (double)c->offset;
    return BG_OK;
}

static void ladder_free(ladder *l)
{
    free(l->level);
    free(l->cut);
}

static double entropy_of(const double *share, int K)
{
    double bits = 0;
    for (int k = 0; k < K; k++)
        if (share[k] > 0)
            bits -= share[k] * log2(share[k]);
    return bits;
}

/* One walk over atoms and thresholds together. share[K] receives the share of each level. */
static double walk_atoms(const bg_hist *h, const ladder *l, double *share, bg_measure *out)
{
    double sse = 0, most = 0, clipped = 0, low = -INFINITY, high = INFINITY;
    if (l->K > 1) {
        low = l->level[0] - 0.5 * (l->level[1] - l->level[0]);
        high = l->level[l->K - 1] + 0.5 * (l->level[l->K - 1] - l->level[l->K - 2]);
    }
    int k = 0;
    for (size_t i = 0; i < h->n; i++) {
        double x = h->value[i], weight = h->weight[i];
        while (k < l->K - 1 && x > l->cut[k])
            k++;
        double d = fabs(x - l->level[k]);
        sse += weight * d * d;
        share[k] += weight;
        most = d > most ? d : most;
        clipped += x < low || x > high ? weight : 0;
    }
    for (int j = 0; j < l->K; j++)
        share[j] /= h->total;
    double reach = fmax(fabs(h->min), fabs(h->max));
    out->max_error = most;
    out->max_relative = reach > 0 ? most / reach : 0;
    out->clipped = clipped / h->total;
    return sse / h->total;
}

static void fill_stats(bg_scope_stats *st, const bg_hist *h)
{
    *st = (bg_scope_stats){.n = h->is_density ? 0 : (size_t)h->total,
                           .hist = h,
                           .min = h->min,
                           .max = h->max,
                           .mean = h->mean,
                           .sigma = sqrt(h->sigma2),
                           .ideal = h->is_density};
}

/* Weights below the outermost points by more than half a step, of a density. */
static double clipped_share(const bg_hist *h, const ladder *l)
{
    if (l->K < 2)
        return 0;
    double low = l->level[0] - 0.5 * (l->level[1] - l->level[0]);
    double high = l->level[l->K - 1] + 0.5 * (l->level[l->K - 1] - l->level[l->K - 2]);
    return bg_hist_below(h, low).w + h->total - bg_hist_below(h, high).w;
}

int bg_measure_hist(const bg_hist *h, const bg_spec *s, bg_code_room *room, bg_code *code, bg_measure *out, bg_err *e)
{
    bg_scope_stats st;
    ladder l = {0};
    fill_stats(&st, h);
    int status = bg_code_fit(s, &st, room, code, e);
    if (!status)
        status = ladder_init(&l, code, e);
    if (status)
        return status;
    double *share = calloc((size_t)l.K, sizeof *share);
    if (!share) {
        ladder_free(&l);
        return bg_no_memory(e, "index counts", (unsigned long long)l.K * sizeof *share);
    }
    if (h->is_density) {
        out->mse = bg_hist_mse_cells(h, l.level, l.cut, l.K, share);
        out->max_error = out->max_relative = NAN;
        out->clipped = clipped_share(h, &l);
    } else {
        out->mse = walk_atoms(h, &l, share, out);
        if (bg_spec_needs(s) < BG_NEEDS_MOMENTS)
            out->clipped = 0; /* a range that holds all weights: what lies outside is the rounding of its scale */
    }
    out->index_entropy = entropy_of(share, l.K);
    for (int k = 0; l.K <= BG_SHOWN && k < l.K; k++)
        out->levels[out->points++] = (float)l.level[k];
    out->count = h->total;
    out->output_mse = NAN;
    out->rate = bg_rate_of(s, h->total, h->is_density ? 0 : 1);
    if (h->is_density && s->coding->bits) {
        out->rate.indices = out->index_entropy;
        out->rate.table = 0;
    }
    out->rate_bits = bg_rate_total(&out->rate) / h->total;
    free(share);
    ladder_free(&l);
    return BG_OK;
}

/* ---- entropy-coded indices of a whole tensor ---- */

enum { SLICE = 1 << 22 }; /* symbols coded together: each slice carries a table of its own */

int bg_measure_coded(const bg_matrix *m, const bg_spec *s, const bg_code *c, bg_measure *out, bg_err *e)
{
    int64_t rows = SLICE / m->cols > 0 ? SLICE / m->cols : 1;
    rows = rows < m->rows ? rows : m->rows;
    size_t n = (size_t)(rows * m->cols);
    float *x = malloc(n * sizeof *x);
    uint16_t *symbol = malloc(n * sizeof *symbol);
    int status = x && symbol ? BG_OK : bg_no_memory(e, "a slice of indices", n * 6ull);
    out->rate.indices = out->rate.table = 0;
    for (int64_t first = 0; first < m->rows && !status; first += rows) {
        int64_t many = m->rows - first < rows ? m->rows - first : rows;
        double bits = 0, table = 0;
        status = bg_matrix_read(m, first, many, x, e);
        if (status)
            break;
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < many * m->cols; i++)
            symbol[i] = (uint16_t)bg_code_index(c, x[i]);
        status = s->coding->bits(symbol, (size_t)(many * m->cols), c->K, &bits, &table, e);
        out->rate.indices += bits;
        out->rate.table += table;
    }
    free(x);
    free(symbol);
    out->rate_bits = bg_rate_total(&out->rate) / out->count;
    return status;
}
