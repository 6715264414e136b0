/* transform=outliers: a few weights stay in 16 bits, the rest are quantized without them.
 *
 * kind=columns (LLM.int8, Dettmers et al. 2022, arXiv 2208.07339): the inputs whose |x_i| ever reaches `threshold` keep
 * their whole column in f16; positions cost ⌈log2 C⌉ bits a column.
 * kind=entries (SpQR, Dettmers et al. 2023, arXiv 2306.03078, in one step): the share `keep` of single weights whose
 * rounding error costs most, (w−ŵ)²·Σ_ii (without calibration (w−ŵ)²), stored as f16 value and ⌈log2 C⌉ bits of column,
 * with a 32-bit row pointer. Grids are fitted with the kept weights at 0, so that they do not stretch any range.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/dtype.h"
#include "quant/transform/transform.h"

enum { VALUE_BITS = 16, POINTER_BITS = 32 };

typedef enum outliers_kind { KEEP_COLUMNS, KEEP_ENTRIES } outliers_kind;

typedef struct outliers_params {
    int kind; /* outliers_kind */
    double threshold, keep;
} outliers_params;

static const bg_key keys[] = {
    {"kind", BG_KEY_WORD, 0, 0, "columns|entries", "entries", "what is kept: whole input columns or single weights",
     BG_PARAM(outliers_params, kind)},
    {"threshold", BG_KEY_NUMBER, 0, 1e9, NULL, "6", "columns: smallest max|x| that makes an outlier",
     BG_PARAM(outliers_params, threshold)},
    {"keep", BG_KEY_NUMBER, 0, 0.5, NULL, "0.01", "entries: share of the weights kept",
     BG_PARAM(outliers_params, keep)},
    {"activations", BG_KEY_INTEGER, 0, 16, NULL, "0",
     "bits to which a run of the model rounds the layer's inputs, per token; 0: not", BG_SPEC_PARAM(activations)},
    {0},
};

static const outliers_params *params_of(const bg_spec *s)
{
    return bg_transform_params(s);
}

static int keeps_columns(const bg_spec *s)
{
    return params_of(s)->kind == KEEP_COLUMNS;
}

static float exact_inputs(const bg_spec *s)
{
    return keeps_columns(s) ? (float)params_of(s)->threshold : 0;
}

static double position_bits(int64_t C)
{
    int bits = 0;
    while ((int64_t)1 << bits < C)
        bits++;
    return bits;
}

static int64_t mark_columns(const bg_spec *s, const bg_matrix *m, unsigned char *kept)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->cols; i++) {
        if (m->max_abs[i] < params_of(s)->threshold)
            continue;
        n++;
        for (int64_t r = 0; r < m->rows; r++)
            kept[r * m->cols + i] = 1;
    }
    return n;
}

static int rising(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Marks the `keep` share with the largest cost. Equal costs at the border: the first ones in row order. */
static int mark_entries(const bg_spec *s, const bg_matrix *m, const float *hat, unsigned char *kept, int64_t *marked,
                        bg_err *e)
{
    const float *w = m->memory;
    int64_t n = m->rows * m->cols, want = (int64_t)floor(params_of(s)->keep * (double)n);
    float *cost = malloc(2 * (size_t)n * sizeof *cost), *sorted = cost + n;
    *marked = 0;
    if (!cost)
        return bg_no_memory(e, "outlier search", 2 * (unsigned long long)n * sizeof *cost);
    for (int64_t i = 0; i < n; i++) {
        double d = (double)w[i] - (double)hat[i], h = 1;
        if (m->second_moment)
            h = m->second_moment[(i % m->cols) * (m->cols + 1)];
        cost[i] = sorted[i] = (float)(d * d * h);
    }
    qsort(sorted, (size_t)n, sizeof *sorted, rising);
    float border = want ? sorted[n - want] : INFINITY;
    int64_t above = 0;
    for (int64_t i = n - 1; i >= 0 && sorted[i] > border; i--)
        above++;
    int64_t ties = want - above;
    for (int64_t i = 0; i < n; i++)
        if (cost[i] > border || (cost[i] == border && ties-- > 0)) {
            kept[i] = 1;
            ++*marked;
        }
    free(cost);
    return BG_OK;
}

/* Marks what is kept, in t->mask, and counts its bits. */
static int choose(const bg_spec *s, const bg_matrix *m, bg_try_nearest nearest, bg_turned *t, bg_err *e)
{
    double position = position_bits(m->cols);
    if (keeps_columns(s)) {
        int64_t n = mark_columns(s, m, t->mask);
        t->mask_bits = (double)n * (position + (double)VALUE_BITS * (double)m->rows);
        return BG_OK;
    }
    int64_t n = 0;
    int status = nearest(s, m, t->w, NULL, &t->skipped, e);
    if (!status && !t->skipped)
        status = mark_entries(s, m, t->w, t->mask, &n, e);
    t->mask_bits = (double)n * (position + VALUE_BITS) + (double)POINTER_BITS * (double)m->rows;
    return status;
}

static int forward(const bg_spec *s, const bg_matrix *m, bg_try_nearest nearest, bg_turned *t, bg_err *e)
{
    if (keeps_columns(s) && !m->max_abs) {
        t->skipped = "kind=columns needs a calibration (bitgap calibrate)";
        return BG_OK;
    }
    size_t n = (size_t)(m->rows * m->cols);
    t->mask = calloc(n, 1);
    t->w = malloc(n * sizeof *t->w);
    int status = t->mask && t->w ? choose(s, m, nearest, t, e) : bg_no_memory(e, "outliers", n * (1 + sizeof *t->w));
    for (size_t i = 0; !status && !t->skipped && i < n; i++)
        t->w[i] = t->mask[i] ? 0 : m->memory[i];
    t->m = *m;
    t->m.memory = t->w;
    t->m.codes16 = NULL;
    t->m.hist = NULL;
    return status;
}

/* Puts the kept weights back. Kept columns leave the index matrix; single entries leave an index behind that nothing
 * reads. */
static int inverse(const bg_spec *s, const bg_turned *t, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    (void)e;
    int64_t n = m->rows * m->cols, count = 0;
    for (int64_t i = 0; i < n; i++) {
        count += t->mask[i];
        if (t->mask[i])
            q->hat[i] = bg_f16_to_f32(bg_f32_to_f16(fminf(fmaxf(m->memory[i], -65504), 65504)));
    }
    if (keeps_columns(s))
        q->rate.indices *= 1 - (double)count / (double)n;
    q->rate.positions += t->mask_bits;
    return BG_OK;
}

const bg_transform bg_transform_outliers = {
    .name = "outliers",
    .title = "a few columns or weights kept in 16 bits",
    .paper = "Dettmers et al. 2022, arXiv 2208.07339 (columns); Dettmers et al. 2023, arXiv 2306.03078 (entries)",
    .keys = keys,
    .forward = forward,
    .inverse = inverse,
    .exact_inputs = exact_inputs,
};
