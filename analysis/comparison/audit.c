/* Owns the comparison of stored tensors with the weights they were made of. The work is cut into chunks of rows that do
 * not depend on the number of threads; their sums are added in order. */
#define _GNU_SOURCE
#include "analysis/comparison/audit.h"

#include <math.h>
#include <stdlib.h>
#include "analysis/bounds/blahut_arimoto.h"
#include "analysis/tensors/tensor_histogram.h"
#include "io/base/failure.h"

enum { CHUNK = 1 << 18, MAX_LEVELS = 256, MAX_ITERATIONS = 64 };
static const double NATS = 1e-3; /* how near the two curves of the bound must come */

/* ---- levels of a scale ---- */

/* Levels of a table format in units of the scale, ascending. */
typedef struct ladder {
    int n; /* 0: evenly spaced */
    double level[MAX_LEVELS];
} ladder;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void make_ladder(const bg_tensor *t, ladder *l)
{
    l->n = 0;
    for (int i = 0; t->levels && i < t->index_levels; i++)
        if (isfinite(t->levels[i]))
            l->level[l->n++] = (double)t->levels[i];
    qsort(l->level, (size_t)l->n, sizeof *l->level, by_value);
}

/* Error of the nearest level, and by how much w lies outside of all of them; `*step` is the last step before the
 * border. */
static double nearest_on_table(const ladder *l, double scale, double w, double *outside, double *step)
{
    double x = w / scale;
    int low = 0, high = l->n - 1;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (l->level[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    double a = fabs(x - l->level[low]), b = fabs(x - l->level[high]), s = fabs(scale);
    *outside = s * fmax(0, fmax(l->level[0] - x, x - l->level[l->n - 1]));
    *step = s * (x < 0 ? l->level[1] - l->level[0] : l->level[l->n - 1] - l->level[l->n - 2]);
    return s * fmin(a, b);
}

/* Evenly spaced levels around the stored value `v` of code `c`: v + scale·(k − c), 0 ≤ k < K. */
static double nearest_on_grid(int K, double scale, double v, int c, double w, double *outside, double *step)
{
    double k = (w - v) / scale + c, inside = fmin(fmax(k, 0), K - 1);
    *outside = fabs(scale) * fabs(k - inside);
    *step = fabs(scale);
    return fabs(scale) * fabs(k - nearbyint(inside));
}

/* ---- one chunk ---- */

typedef struct sums {
    double n, w1, w2, w3, w4, error, largest, clipped, clipping, scale, zero, choice;
    uint64_t unfinite;
} sums;

typedef struct buffers {
    float *w, *v, *scale;
    uint16_t *code;
    struct group
        *table; /* of formats with an order of columns: [mask + 1], a power of two of at least twice the columns */
    uint32_t mask;
} buffers;

static void add_moments(const float *w, const float *v, int64_t n, sums *s)
{
    for (int64_t i = 0; i < n; i++) {
        double x = (double)w[i], d = x - (double)v[i];
        if (!isfinite(d)) {
            s->unfinite++;
            continue;
        }
        double x2 = x * x, d2 = d * d;
        s->n++;
        s->w1 += x;
        s->w2 += x2;
        s->w3 += x2 * x;
        s->w4 += x2 * x2;
        s->error += d2;
        s->largest = fmax(s->largest, fabs(d));
    }
}

static void add_causes(const bg_tensor *t, const ladder *l, const buffers *b, int64_t n, sums *s)
{
    for (int64_t i = 0; i < n; i++) {
        double w = (double)b->w[i], v = (double)b->v[i], scale = (double)b->scale[i], d = w - v, outside, step, best;
        if (!isfinite(d) || scale == 0)
            continue;
        best = l->n > 1 ? nearest_on_table(l, scale, w, &outside, &step)
                        : nearest_on_grid(t->index_levels, scale, v, b->code[i], w, &outside, &step);
        if (outside > step / 2) {
            s->clipped++;
            s->clipping += d * d;
        }
        s->choice += fmax(0, d * d - best * best);
    }
}

/* Moments of the weights of one row that share a scale. */
typedef struct group {
    uint32_t scale; /* its bits */
    double n, w, v, wv, vv, ww, error;
} group;

static inline void add_to_group(group *g, float w, float v)
{
    double x = (double)w, y = (double)v;
    g->n++;
    g->w += x;
    g->v += y;
    g->wv += x * y;
    g->vv += y * y;
    g->ww += x * x;
    g->error += (x - y) * (x - y);
}

/* What a least-squares scale saves in a group, and what an offset beside it saves further. */
static void conclude_group(const group *g, int offset, sums *s)
{
    double scaled = fmin(g->error, fmax(0, g->vv > 0 ? g->ww - g->wv * g->wv / g->vv : g->ww));
    if (!isfinite(scaled))
        return;
    s->scale += g->error - scaled;
    if (!offset)
        return;
    double wv = g->wv - g->w * g->v / g->n, vv = g->vv - g->v * g->v / g->n, ww = g->ww - g->w * g->w / g->n;
    double both = fmax(0, vv > 0 ? ww - wv * wv / vv : ww);
    s->zero += fmax(0, scaled - both);
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Groups of consecutive columns are runs of one scale. Where columns have an order of their own, the weights of a row
 * that have the same scale are one group (two groups that happen to share it count as one); table[mask + 1] finds it.
 */
static void add_scales(const bg_tensor *t, const buffers *b, int64_t n, sums *s)
{
    int offset = t->bytes[BG_PART_ZEROS] > 0;
    for (int64_t row = 0; row < n; row += t->cols) {
        if (!t->bytes[BG_PART_ORDER]) {
            for (int64_t i = row, j; i < row + t->cols; i = j) {
                group g = {0};
                for (j = i; j < row + t->cols && b->scale[j] == b->scale[i]; j++)
                    add_to_group(&g, b->w[j], b->v[j]);
                conclude_group(&g, offset, s);
                j = j == i ? i + 1 : j; /* a scale that is NaN */
            }
            continue;
        }
        memset(b->table, 0, ((size_t)b->mask + 1) * sizeof *b->table);
        for (int64_t i = row; i < row + t->cols; i++) {
            uint32_t scale = bits_of(b->scale[i]), at = (scale * 2654435761u >> 7) & b->mask;
            while (b->table[at].n > 0 && b->table[at].scale != scale)
                at = (at + 1) & b->mask;
            b->table[at].scale = scale;
            add_to_group(&b->table[at], b->w[i], b->v[i]);
        }
        for (uint32_t k = 0; k <= b->mask; k++)
            if (b->table[k].n > 0)
                conclude_group(&b->table[k], offset, s);
    }
}

/* Two tensors of one shape, and the levels of the second. */
typedef struct comparison {
    const bg_tensor *base, *t;
    ladder levels;
} comparison;

static int measure_chunk(const comparison *x, int64_t first, int64_t n, const buffers *b, sums *s, bg_err *e)
{
    const bg_tensor *t = x->t;
    int status = bg_tensor_rows(x->base, first, n, b->w, e);
    if (!status)
        status = bg_tensor_rows(t, first, n, b->v, e);
    if (!status && b->code)
        status = t->format->indices(t, first, n, b->code, e);
    if (!status && b->code)
        status = t->format->scales(t, first, n, b->scale, e);
    if (status)
        return status;
    add_moments(b->w, b->v, n * t->cols, s);
    if (b->code) {
        add_causes(t, &x->levels, b, n * t->cols, s);
        add_scales(t, b, n * t->cols, s);
    }
    return BG_OK;
}

/* ---- all chunks ---- */

static int open_buffers(buffers *b, size_t n, const bg_tensor *t, int coded)
{
    *b = (buffers){.w = malloc(n * sizeof *b->w), .v = malloc(n * sizeof *b->v)};
    if (coded) {
        b->scale = malloc(n * sizeof *b->scale);
        b->code = malloc(n * sizeof *b->code);
        for (b->mask = 1; (int64_t)b->mask + 1 < 2 * t->cols; b->mask = 2 * b->mask + 1)
            ;
        b->table = t->bytes[BG_PART_ORDER] ? malloc(((size_t)b->mask + 1) * sizeof *b->table) : NULL;
    }
    return b->w && b->v && (!coded || (b->scale && b->code && (b->table || !t->bytes[BG_PART_ORDER])));
}

static void close_buffers(buffers *b)
{
    free(b->w);
    free(b->v);
    free(b->scale);
    free(b->code);
    free(b->table);
}

static void conclude(const bg_tensor *t, const sums *part, int64_t chunks, int coded, bg_tensor_loss *out)
{
    sums s = {0};
    for (int64_t i = 0; i < chunks; i++) {
        const sums *p = &part[i];
        s.n += p->n, s.w1 += p->w1, s.w2 += p->w2, s.w3 += p->w3, s.w4 += p->w4, s.error += p->error;
        s.clipped += p->clipped, s.clipping += p->clipping, s.scale += p->scale, s.zero += p->zero,
            s.choice += p->choice;
        s.largest = fmax(s.largest, p->largest);
        s.unfinite += p->unfinite;
    }
    const double none = (double)NAN;
    double n = s.n, m = s.w1 / n, variance = fmax(0, s.w2 / n - m * m);
    double fourth = s.w4 / n - 4 * m * s.w3 / n + 6 * m * m * s.w2 / n - 3 * m * m * m * m;
    *out = (bg_tensor_loss){
        .count = n, .sigma2 = variance, .mse = s.error / n, .max_error = s.largest, .unfinite = s.unfinite};
    out->kurtosis_excess = variance > 0 ? fourth / (variance * variance) - 3 : none;
    out->clipped = coded ? s.clipped / n : none;
    out->mse_clipping = coded ? s.clipping / n : none;
    out->mse_rounding = coded ? (s.error - s.clipping) / n : none;
    out->mse_scale = coded ? s.scale / n : none;
    out->mse_zero = coded && t->bytes[BG_PART_ZEROS] > 0 ? s.zero / n : none;
    out->mse_choice = coded ? s.choice / n : none;
}

int bg_audit_compare(const bg_tensor *base, const bg_tensor *t, bg_tensor_loss *out, bg_err *e)
{
    if (base->rows != t->rows || base->cols != t->cols)
        return bg_fail(e, BG_INPUT, "tensor '%s': %lld × %lld and %lld × %lld weights cannot be compared", t->name,
                       (long long)base->rows, (long long)base->cols, (long long)t->rows, (long long)t->cols);
    int coded = t->format->indices && t->format->scales && t->index_levels > 1 && t->index_levels <= MAX_LEVELS;
    int64_t step = t->cols ? CHUNK / t->cols : 1;
    step = step < 1 ? 1 : step;
    int64_t chunks = (t->rows + step - 1) / step;
    sums *part = calloc((size_t)chunks + 1, sizeof *part);
    if (!part)
        return bg_no_memory(e, t->name, (size_t)chunks * sizeof *part);
    comparison x = {.base = base, .t = t};
    make_ladder(t, &x.levels);
    bg_failure failure = {0};
#pragma omp parallel
    {
        buffers b;
        int ok = open_buffers(&b, (size_t)((step < t->rows ? step : t->rows) * t->cols) + 1, t, coded);
#pragma omp for schedule(dynamic)
        for (int64_t k = 0; k < chunks; k++) {
            int64_t first = k * step, n = t->rows - first < step ? t->rows - first : step;
            bg_err mine = {0};
            if (ok ? measure_chunk(&x, first, n, &b, &part[k], &mine)
                   : bg_no_memory(&mine, t->name, (size_t)(step * t->cols) * 14))
                bg_failure_note(&failure, k, &mine);
        }
        close_buffers(&b);
    }
    int status = bg_failure_status(&failure, e);
    if (!status)
        conclude(t, part, chunks, coded, out);
    free(part);
    return status;
}

/* ---- entropy ---- */

int bg_audit_entropy(const bg_tensor *t, double *bits, bg_err *e)
{
    *bits = (double)NAN;
    if (!t->format->indices || t->index_levels < 2 || t->index_levels > MAX_LEVELS || !t->count)
        return BG_OK;
    uint64_t counts[MAX_LEVELS] = {0};
    int64_t step = CHUNK / t->cols;
    step = step < 1 ? 1 : step;
    bg_failure failure = {0};
#pragma omp parallel
    {
        uint64_t mine[MAX_LEVELS] = {0};
        uint16_t *codes = malloc((size_t)((step < t->rows ? step : t->rows) * t->cols) * sizeof *codes);
#pragma omp for schedule(dynamic)
        for (int64_t first = 0; first < t->rows; first += step) {
            int64_t n = t->rows - first < step ? t->rows - first : step;
            bg_err error = {0};
            int failed = codes ? t->format->indices(t, first, n, codes, &error)
                               : bg_no_memory(&error, t->name, (size_t)(step * t->cols) * sizeof *codes);
            if (failed)
                bg_failure_note(&failure, first, &error);
            for (int64_t i = 0; !failed && i < n * t->cols; i++)
                mine[codes[i] & (MAX_LEVELS - 1)]++;
        }
#pragma omp critical(bg_audit_counts)
        for (int i = 0; i < MAX_LEVELS; i++)
            counts[i] += mine[i];
        free(codes);
    }
    double h = 0;
    for (int i = 0; i < MAX_LEVELS; i++)
        if (counts[i]) {
            double p = (double)counts[i] / (double)t->count;
            h -= p * log2(p);
        }
    *bits = h;
    return bg_failure_status(&failure, e);
}

/* ---- matching ---- */

static int same_shape(const bg_tensor *a, const bg_tensor *b)
{
    return a->rows == b->rows && a->cols == b->cols;
}

const bg_tensor *bg_audit_match(const bg_ckpt *base, const bg_tensor *t, const char **how)
{
    static const char *const prefixes[] = {"model.", "transformer.", "language_model.", "model.language_model."};
    const bg_tensor *found = bg_ckpt_find(base, t->name);
    *how = "same";
    if (!found && !strcmp(t->role, "lm_head"))
        for (int i = 0; i < base->n_tensors && !found; i++)
            if (!strcmp(base->tensors[i].role, "embed")) {
                found = &base->tensors[i];
                *how = "tied";
            }
    for (size_t i = 0; !found && i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i]);
        char *longer;
        *how = "renamed";
        if (!strncmp(t->name, prefixes[i], n))
            found = bg_ckpt_find(base, t->name + n);
        if (!found && asprintf(&longer, "%s%s", prefixes[i], t->name) >= 0) {
            found = bg_ckpt_find(base, longer);
            free(longer);
        }
    }
    if (!found)
        *how = "missing";
    else if (!same_shape(found, t))
        *how = "shape";
    return found && same_shape(found, t) ? found : NULL;
}

/* ---- a whole checkpoint ---- */

/* Rate above the Shannon bound of a Gaussian of the same variance. */
static void fill_row(bg_audit_row *r)
{
    const double none = (double)NAN;
    r->rate_bits = 8 * (double)bg_tensor_bytes(r->tensor) / (double)r->tensor->count;
    r->relative = r->gap_bits = r->gap_empirical_bits = none;
    if (!r->base || !(r->loss.sigma2 > 0))
        return;
    r->relative = r->loss.mse / r->loss.sigma2;
    if (r->loss.mse > 0)
        r->gap_bits = r->rate_bits + 0.5 * log2(r->relative);
}

/* Rate above what these very weights need at this distortion: the upper curve of Blahut–Arimoto, so the gap is a lower
 * bound. */
static int fill_empirical(bg_audit_row *r, bg_err *e)
{
    bg_tensor_hist h;
    bg_ba ba;
    if (!isfinite(r->gap_bits) || !r->tensor->index_levels || !r->tensor->is_linear || r->loss.mse >= r->loss.sigma2)
        return BG_OK;
    int status = bg_tensor_hist_read(r->base, &h, e);
    if (status)
        return status;
    if (h.hist.n > 1 && !(status = bg_rate_distortion(&h.hist, r->loss.mse, NATS, MAX_ITERATIONS, &ba, e)))
        r->gap_empirical_bits = r->rate_bits - ba.upper_bits;
    bg_tensor_hist_free(&h);
    return status;
}

static int worst_first(const void *a, const void *b)
{
    const bg_audit_row *x = a, *y = b;
    double p = isnan(x->relative) ? -1 : x->relative, q = isnan(y->relative) ? -1 : y->relative;
    return p != q ? (p < q) - (p > q) : strcmp(x->tensor->name, y->tensor->name);
}

int bg_audit_all(const bg_ckpt *base, const bg_ckpt *c, bg_audit_row **rows, int *n, bg_err *e)
{
    *n = 0;
    *rows = calloc((size_t)c->n_tensors + 1, sizeof **rows);
    if (!*rows)
        return bg_no_memory(e, c->title, (size_t)c->n_tensors * sizeof **rows);
    bg_progress p;
    bg_progress_begin(&p, c->title, (unsigned long long)c->n_tensors);
    int status = BG_OK;
    for (int i = 0; !status && i < c->n_tensors; i++) {
        const bg_tensor *t = &c->tensors[i];
        bg_audit_row *r = &(*rows)[*n];
        bg_progress_step(&p, 1);
        if (!t->count || (t->dtype != BG_PACKED && !bg_dtypes[t->dtype].is_float))
            continue;
        if (bg_interrupted)
            status = bg_fail(e, BG_RESOURCE, "interrupted");
        *r = (bg_audit_row){.tensor = t, .match = "none"};
        r->base = base ? bg_audit_match(base, t, &r->match) : NULL;
        if (!status)
            status = bg_audit_entropy(t, &r->entropy_bits, e);
        if (!status && r->base)
            status = bg_audit_compare(r->base, t, &r->loss, e);
        fill_row(r);
        if (!status)
            status = fill_empirical(r, e);
        ++*n;
    }
    bg_progress_end(&p);
    if (!status)
        qsort(*rows, (size_t)*n, sizeof **rows, worst_first);
    return status;
}
