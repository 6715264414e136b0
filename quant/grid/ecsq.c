/* Entropy-coded scalar quantization: levels and thresholds designed on the exact histogram for a rate, indices coded by
 * rANS with one static table. Levels (float16 with one exponent) and table are stored; thresholds are the encoder's
 * affair. Streams are written a tile at a time, read back and compared. Check: N(0,1) at 2 bits 0.08892 (0.2544 bit).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/failure.h"
#include "quant/grid/codebook.h"
#include "quant/grid/ecsq_design.h"
#include "quant/coding/index_stream.h"
#include "quant/kernel/cuts.h"

enum { TILE = 1 << 18 };

struct bg_trained {
    int K;
    float *levels, *cut; /* [K], [K−1] */
    bg_cuts cuts;
    bg_rans_table table;
    double table_bits;
};

typedef enum ecsq_form { FORM_OPTIMAL, FORM_UNIFORM, FORM_MIDPOINT } ecsq_form;

typedef struct ecsq_params {
    double rate, offset;
    int form; /* ecsq_form */
} ecsq_params;

static const bg_key keys[] = {
    {.name = "rate",
     .type = BG_KEY_NUMBER,
     .min = 0.01,
     .max = 12,
     .default_text = "2",
     .help = "bits a weight, as entropy",
     BG_PARAM(ecsq_params, rate)},
    {.name = "form",
     .type = BG_KEY_WORD,
     .words = "optimal|uniform|midpoint",
     .default_text = "optimal",
     .help = "optimal thresholds and levels; uniform thresholds with centroids; both uniform",
     BG_PARAM(ecsq_params, form)},
    {.name = "offset",
     .type = BG_KEY_NUMBER,
     .min = 0.01,
     .max = 0.99,
     .default_text = "0.5",
     .help = "rounding of uniform thresholds; less than a half widens the zero cell",
     BG_PARAM(ecsq_params, offset)},
    {0},
};

static double bits(const bg_spec *s)
{
    return ((const ecsq_params *)bg_grid_params(s))->rate;
}

static int design(const bg_spec *s, const bg_hist *h, bg_ecsq *q, bg_err *e)
{
    const ecsq_params *p = bg_grid_params(s);
    if (p->form == FORM_OPTIMAL)
        return bg_ecsq_optimal(h, p->rate, q, e);
    return bg_ecsq_uniform(h, p->rate, 0, p->offset, p->form == FORM_MIDPOINT, q, e);
}

static void release(bg_trained *t)
{
    if (!t)
        return;
    free(t->levels), free(t->cut);
    bg_rans_free(&t->table);
    free(t);
}

static int prepare(const bg_ecsq *q, bg_trained *t, bg_err *e)
{
    t->K = q->K;
    t->levels = malloc((size_t)q->K * sizeof(float));
    t->cut = malloc((size_t)q->K * sizeof(float));
    if (!t->levels || !t->cut)
        return bg_no_memory(e, "levels", (size_t)q->K * 8);
    for (int k = 0; k < q->K; k++) {
        t->levels[k] = (float)q->levels[k];
        if (k + 1 < q->K)
            t->cut[k] = (float)q->thresholds[k];
    }
    bg_words_round(t->levels, (size_t)t->K);
    bg_cuts_init(&t->cuts, t->cut, t->K - 1);
    int status = bg_rans_new(&t->table, t->K, e);
    if (!status)
        status = bg_rans_fit(&t->table, q->probability, 1, e);
    return status ? status : bg_rans_describe(&t->table, &t->table_bits, e);
}

/* ---- a histogram to design on ---- */

/* Weights that agree in sign, exponent and eleven bits of the mantissa share a bin: thresholds as fine as the levels'
 * own float16, in one pass. A bin stands at the middle of its extremes, so that values that are alone in theirs are
 * exact. */
enum { KEY_SHIFT = 12, KEYS = 1 << (32 - KEY_SHIFT) };

typedef struct bg_bins {
    uint32_t count[KEYS];
    float least[KEYS], most[KEYS];
} bg_bins;

static void count(bg_bins *b, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], sizeof u);
        u = (u ^ (u >> 31 ? UINT32_MAX : 1u << 31)) >> KEY_SHIFT; /* ascending with x */
        if (!b->count[u]++)
            b->least[u] = b->most[u] = x[i];
        b->least[u] = x[i] < b->least[u] ? x[i] : b->least[u];
        b->most[u] = x[i] > b->most[u] ? x[i] : b->most[u];
    }
}

static int counted(const bg_bins *b, bg_hist *h, bg_err *e)
{
    size_t n = 0;
    for (int k = 0; k < KEYS; k++)
        n += b->count[k] > 0;
    double *value = malloc((2 * n + 1) * sizeof *value), *weight = value + n;
    if (!value)
        return bg_no_memory(e, "histogram", 2 * n * sizeof *value);
    n = 0;
    for (int k = 0; k < KEYS; k++)
        if (b->count[k])
            value[n] = ((double)b->least[k] + (double)b->most[k]) / 2, weight[n++] = (double)b->count[k];
    int status = !n ? bg_fail(e, BG_USAGE, "there are no weights")
                 : !isfinite(value[0]) || !isfinite(value[n - 1])
                     ? bg_fail(e, BG_INPUT, "weights that are NaN or infinite cannot be coded")
                     : bg_hist_from_sorted(h, value, weight, n, e);
    free(value);
    return status;
}

/* Adds the bins of one thread to those of all: counts and extremes do not depend on the order. */
static void add_bins(bg_bins *to, const bg_bins *b)
{
    for (int k = 0; k < KEYS; k++) {
        if (!b->count[k])
            continue;
        int first = !to->count[k];
        to->least[k] = first || b->least[k] < to->least[k] ? b->least[k] : to->least[k];
        to->most[k] = first || b->most[k] > to->most[k] ? b->most[k] : to->most[k];
        to->count[k] += b->count[k];
    }
}

static int count_rows(const bg_matrix *m, bg_bins *all, bg_err *e)
{
    int64_t step = m->cols < TILE ? TILE / m->cols : 1, tiles = (m->rows + step - 1) / step;
    bg_failure failure = {0};
#pragma omp parallel
    {
        bg_err mine = {0};
        bg_bins *own = calloc(1, sizeof *own);
        float *x = m->memory ? NULL : malloc((size_t)(step * m->cols + 1) * sizeof *x);
        int failed = own && (x || m->memory) ? BG_OK : bg_no_memory(&mine, "histogram", sizeof *own);
#pragma omp for schedule(static)
        for (int64_t k = 0; k < tiles; k++) {
            int64_t first = k * step, n = m->rows - first < step ? m->rows - first : step;
            if (failed || (!m->memory && bg_matrix_read(m, first, n, x, &mine)))
                bg_failure_note(&failure, k, &mine);
            else
                count(own, m->memory ? m->memory + first * m->cols : x, (size_t)(n * m->cols));
        }
#pragma omp critical(bg_ecsq_bins)
        if (own)
            add_bins(all, own);
        free(own), free(x);
    }
    return bg_failure_status(&failure, e);
}

static int histogram(const bg_matrix *m, bg_hist *own, const bg_hist **h, bg_err *e)
{
    *h = m->hist;
    if (m->hist)
        return BG_OK;
    bg_bins *bins = calloc(1, sizeof *bins);
    int status = bins ? count_rows(m, bins, e) : bg_no_memory(e, "histogram", sizeof *bins);
    if (!status)
        status = counted(bins, own, e);
    free(bins);
    *h = own;
    return status;
}

static int train(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    bg_hist own = {0};
    const bg_hist *h = NULL;
    bg_ecsq q = {0};
    bg_trained *t = calloc(1, sizeof *t);
    int status = t ? histogram(m, &own, &h, e) : bg_no_memory(e, "quantizer", sizeof *t);
    if (!status)
        status = design(s, h, &q, e);
    if (!status)
        status = prepare(&q, t, e);
    bg_ecsq_free(&q), bg_hist_free(&own);
    if (status)
        release(t);
    else
        *out = t;
    return status;
}

static int code_tile(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e)
{
    (void)s;
    int64_t n = tile->rows, C = tile->cols;
    const float *w = tile->w;
    float *out = tile->out;
    size_t count = (size_t)(n * C);
    uint16_t *symbols = malloc((count + 1) * sizeof *symbols);
    double stream = 0;
    if (!symbols)
        return bg_no_memory(e, "indices", count * sizeof *symbols);
    for (size_t i = 0; i < count; i++) {
        symbols[i] = (uint16_t)bg_cuts_find(&t->cuts, w[i]);
        out[i] = t->levels[symbols[i]];
    }
    int status = bg_rans_stream(&t->table, symbols, count, &stream, e);
    free(symbols);
    rate->indices += stream;
    return status;
}

static void side(const bg_spec *s, const bg_trained *t, bg_rate *rate)
{
    (void)s;
    rate->codebook += 16.0 * t->K + 8;
    rate->table += t->table_bits;
}

static int on_distribution(const bg_spec *s, const bg_matrix *m, bg_on_density *out, bg_err *e)
{
    bg_hist own = {0};
    bg_ecsq q = {0};
    int status = m->hist ? BG_OK : bg_hist_from_distribution(&own, m->distribution, m->distribution_sigma, e);
    if (!status)
        status = design(s, m->hist ? m->hist : &own, &q, e);
    *out = (bg_on_density){.mse = q.mse, .index_entropy = q.entropy_bits, .rate = {.indices = q.entropy_bits}};
    bg_ecsq_free(&q), bg_hist_free(&own);
    return status;
}

const bg_grid bg_grid_ecsq = {
    .name = "ecsq",
    .title = "entropy-coded scalar quantization",
    .paper = "Chou, Lookabaugh and Gray 1989; Gish and Pierce 1968 for the 0.2546 bit",
    .family = "entropy-coded",
    .keys = keys,
    .refuses = "bits levels zero clip code scope",
    .default_scope = "tensor",
    .kind = BG_GRID_VECTOR,
    .bits = bits,
    .train = train,
    .tile = code_tile,
    .side = side,
    .release = release,
    .on_distribution = on_distribution,
};
