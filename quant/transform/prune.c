/* transform=prune: a share of the weights becomes zero, the rest is quantized.
 *
 * by=magnitude: the smallest |w| of the tensor. by=wanda (Sun et al. 2023, arXiv 2306.11695): the smallest |w_oi|·√Σ_ii
 * of each row. by=sparsegpt (Frantar & Alistarh 2023, arXiv 2301.00774): blocks of 128 columns are walked with error
 * feedback (quant/kernel/cholesky.h); of each block the weights with the least w²·M_ii² go, and what they cost is
 * pushed onward. pattern=2:4 (any N:M): the N least of every M neighbours in a row instead of a share of all. The mask
 * is counted: one bit a weight, or for N:M the ⌈log2 M⌉ bits that name each survivor; codes only of survivors.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/spec/shared_factor.h"
#include "quant/transform/transform.h"

enum { BLOCK = 128 };

typedef enum prune_by { BY_MAGNITUDE, BY_WANDA, BY_SPARSEGPT } prune_by;

typedef struct prune_params {
    int by; /* prune_by */
    double sparsity;
    char pattern[BG_VALUE_TEXT]; /* "none" or N:M */
} prune_params;

static const bg_key keys[] = {
    {"by", BG_KEY_WORD, 0, 0, "magnitude|wanda|sparsegpt", "magnitude", "what decides", BG_PARAM(prune_params, by)},
    {"sparsity", BG_KEY_NUMBER, 0, 0.99, NULL, "0.5", "share that becomes zero (without a pattern)",
     BG_PARAM(prune_params, sparsity)},
    {"pattern", BG_KEY_TEXT, 0, 0, NULL, "none", "N:M, e.g. 2:4: N zeros in every M neighbours",
     BG_PARAM(prune_params, pattern)},
    {0},
};

static const prune_params *params_of(const bg_spec *s)
{
    return bg_transform_params(s);
}

static int looks_at_inputs(const bg_spec *s)
{
    return params_of(s)->by != BY_MAGNITUDE;
}

typedef struct plan {
    const bg_matrix *m;
    int64_t R, C;
    double sparsity;
    int n, of;            /* N:M; 0: unstructured */
    const bg_factor *f;   /* by=sparsegpt */
    const double *weight; /* [C] factor of w² in the score; NULL: 1 */
} plan;

typedef struct scored {
    float score;
    int32_t at;
} scored;

static int rising(const void *a, const void *b)
{
    const scored *p = a, *q = b;
    if (p->score != q->score)
        return p->score < q->score ? -1 : 1;
    return (p->at > q->at) - (p->at < q->at);
}

/* Marks the `drop` least of s[0..n) in gone[s.at]. */
static void drop_least(scored *s, int64_t n, int64_t drop, unsigned char *gone)
{
    qsort(s, (size_t)n, sizeof *s, rising);
    for (int64_t i = 0; i < drop; i++)
        gone[s[i].at] = 1;
}

static float score(const plan *p, float w, int64_t column)
{
    double f = p->weight ? p->weight[column] : 1;
    return (float)((double)w * (double)w * f);
}

/* Marks columns [first, first+n) of one row by pattern or share; `gone` is the row's mask from `first` on. */
static void mark_run(const plan *p, const float *w, int64_t first, int64_t n, scored *s, unsigned char *gone)
{
    int64_t step = p->of ? p->of : n;
    for (int64_t g = 0; g < n; g += step) {
        int64_t m = g + step < n ? step : n - g;
        for (int64_t i = 0; i < m; i++)
            s[i] = (scored){score(p, w[g + i], first + g + i), (int32_t)(g + i)};
        drop_least(s, m, p->of ? (int64_t)p->n * m / p->of : (int64_t)(p->sparsity * (double)m), gone);
    }
}

static int mark_rows(const plan *p, const float *w, unsigned char *gone, bg_err *e)
{
    scored *s = malloc((size_t)p->C * sizeof *s);
    if (!s)
        return bg_no_memory(e, "scores", (unsigned long long)p->C * sizeof *s);
    for (int64_t r = 0; r < p->R; r++)
        mark_run(p, w + r * p->C, 0, p->C, s, gone + r * p->C);
    free(s);
    return BG_OK;
}

/* The least `share` of a whole R × n rectangle, rows `stride` apart. */
static int mark_rectangle(const plan *p, const float *w, int64_t stride, int64_t first, int64_t n, unsigned char *gone,
                          bg_err *e)
{
    size_t cells = (size_t)(p->R * n);
    scored *s = malloc(cells * sizeof *s);
    unsigned char *mark = calloc(cells, 1);
    if (!s || !mark || cells > INT32_MAX) {
        free(s);
        free(mark);
        return bg_no_memory(e, "scores", cells * sizeof *s);
    }
    for (int64_t i = 0; i < p->R * n; i++)
        s[i] = (scored){score(p, w[i / n * stride + i % n], first + i % n), (int32_t)i};
    drop_least(s, (int64_t)cells, (int64_t)(p->sparsity * (double)cells), mark);
    for (int64_t i = 0; i < p->R * n; i++)
        gone[i / n * p->C + first + i % n] = mark[i];
    free(s);
    free(mark);
    return BG_OK;
}

/* The errors of columns before b brought to columns [b, b+n): t (R × n). */
static void bring(const plan *p, const bg_factor *f, const float *delta, int64_t b, int64_t n, float *t)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < p->R; r++) {
        memset(t + r * n, 0, (size_t)n * sizeof *t);
        for (int64_t i = 0; i < b; i++) {
            float d = delta[r * p->C + i];
            const float *M = f->M + i * p->C + b;
            for (int64_t j = 0; d != 0 && j < n; j++)
                t[r * n + j] += d * M[j];
        }
    }
}

/* What the weights of the block become if nothing in it is pruned: w + y, y·M_bb = t. */
static void current(const plan *p, const bg_factor *f, const float *w, const float *t, int64_t b, int64_t n, float *now)
{
    const float *M = f->M + b * p->C + b;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < p->R; r++) {
        float *y = now + r * n;
        memcpy(y, t + r * n, (size_t)n * sizeof *y);
        for (int64_t i = 0; i < n; i++) {
            y[i] /= M[i * p->C + i];
            for (int64_t j = i + 1; j < n; j++)
                y[j] -= y[i] * M[i * p->C + j];
        }
        for (int64_t i = 0; i < n; i++)
            y[i] += w[r * p->C + b + i];
    }
}

/* Walks one block: pruned weights go to 0, the others to what cancels the errors so far. */
static void walk_block(const plan *p, float *w, float *delta, const unsigned char *gone, float *t, int64_t b, int64_t n)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < p->R; r++)
        for (int64_t i = 0; i < n; i++) {
            int64_t at = r * p->C + b + i;
            const float *M = p->f->M + (b + i) * p->C + b;
            float *errors = t + r * n, x = p->f->dead[b + i] ? 0 : w[at];
            float hat = gone[at] ? 0 : x + errors[i] / M[i], d = x - hat;
            w[at] = hat;
            delta[at] = d;
            for (int64_t j = i + 1; j < n; j++)
                errors[j] += d * M[j];
        }
}

static int sparsegpt(plan *p, float *w, unsigned char *gone, bg_err *e)
{
    bg_factor own, damped = {0};
    const bg_factor *f = &damped;
    size_t cells = (size_t)(p->R * p->C);
    float *delta = calloc(cells, sizeof *delta), *t = malloc(2 * (size_t)p->R * BLOCK * sizeof *t);
    double *weight = malloc((size_t)p->C * sizeof *weight);
    scored s[BLOCK];
    int status = delta && t && weight ? bg_factor_shared(p->m, 0.01, 0, &own, &f, e)
                                      : bg_no_memory(e, "error feedback", 2 * cells * sizeof *delta);
    for (int64_t i = 0; !status && i < p->C; i++)
        weight[i] = pow((double)f->M[i * p->C + i], 2);
    p->weight = weight;
    p->f = f;
    for (int64_t b = 0; !status && b < p->C; b += BLOCK) {
        int64_t n = b + BLOCK < p->C ? BLOCK : p->C - b;
        float *now = t + p->R * BLOCK;
        bring(p, f, delta, b, n, t);
        current(p, f, w, t, b, n, now);
        if (!p->of)
            status = mark_rectangle(p, now, n, b, n, gone, e);
        for (int64_t r = 0; p->of && r < p->R; r++)
            mark_run(p, now + r * n, b, n, s, gone + r * p->C + b);
        if (!status)
            walk_block(p, w, delta, gone, t, b, n);
    }
    if (f == &own)
        bg_factor_free(&own);
    free(delta);
    free(t);
    free(weight);
    return status;
}

static int choose(const bg_spec *s, plan *p, float *w, unsigned char *gone, bg_err *e)
{
    if (params_of(s)->by == BY_SPARSEGPT)
        return sparsegpt(p, w, gone, e);
    double *weight = NULL;
    if (params_of(s)->by == BY_WANDA) {
        weight = malloc((size_t)p->C * sizeof *weight);
        if (!weight)
            return bg_no_memory(e, "scores", (unsigned long long)p->C * sizeof *weight);
        for (int64_t i = 0; i < p->C; i++)
            weight[i] = p->m->second_moment[i * (p->C + 1)];
    }
    p->weight = weight;
    int whole = !weight && !p->of;
    int status = whole ? mark_rectangle(p, w, p->C, 0, p->C, gone, e) : mark_rows(p, w, gone, e);
    free(weight);
    p->weight = NULL;
    return status;
}

static double mask_bits(const plan *p, double survivors)
{
    if (!p->of)
        return (double)p->R * (double)p->C;
    int bits = 0;
    while (1 << bits < p->of)
        bits++;
    return survivors * bits;
}

static int read_pattern(const bg_spec *s, plan *p)
{
    const char *text = params_of(s)->pattern;
    if (!strcmp(text, "none"))
        return 1;
    char *end;
    long n = strtol(text, &end, 10), of = *end == ':' ? strtol(end + 1, &end, 10) : 0;
    p->n = (int)n;
    p->of = (int)of;
    return !*end && n >= 0 && of > n && of <= BLOCK && BLOCK % of == 0;
}

static int forward(const bg_spec *s, const bg_matrix *m, bg_try_nearest nearest, bg_turned *t, bg_err *e)
{
    (void)nearest;
    plan p = {.m = m, .R = m->rows, .C = m->cols, .sparsity = params_of(s)->sparsity};
    if (!read_pattern(s, &p))
        return bg_fail(e, BG_USAGE, "spec '%s': pattern wants N:M with N < M, M a power of two up to %d", s->text,
                       BLOCK);
    if (looks_at_inputs(s) && !m->second_moment) {
        t->skipped = "by=wanda and by=sparsegpt need a calibration (bitgap calibrate)";
        return BG_OK;
    }
    size_t n = (size_t)(p.R * p.C), zeros = 0;
    t->mask = calloc(n, 1);
    t->w = malloc(n * sizeof *t->w);
    int status = t->mask && t->w ? BG_OK : bg_no_memory(e, "pruning", n * (1 + sizeof *t->w));
    if (!status) {
        memcpy(t->w, m->memory, n * sizeof *t->w);
        status = choose(s, &p, t->w, t->mask, e);
    }
    for (size_t i = 0; !status && i < n; i++) {
        zeros += t->mask[i];
        t->w[i] = t->mask[i] ? 0 : t->w[i];
    }
    t->mask_bits = mask_bits(&p, (double)(n - zeros));
    t->m = bg_matrix_of(t->w, p.R, p.C);
    t->m.second_moment = m->second_moment;
    t->m.mean_abs = m->mean_abs;
    t->m.max_abs = m->max_abs;
    t->m.seed = m->seed;
    t->m.shared = m->shared;
    return status;
}

/* Puts the zeros back (to the grid a pruned weight was 0); only survivors have indices. */
static int inverse(const bg_spec *s, const bg_turned *t, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    (void)s, (void)e;
    int64_t n = m->rows * m->cols, zeros = 0;
    for (int64_t i = 0; i < n; i++) {
        zeros += t->mask[i];
        q->hat[i] = t->mask[i] ? 0 : q->hat[i];
    }
    q->rate.indices *= (double)(n - zeros) / (double)n;
    q->rate.positions += t->mask_bits;
    return BG_OK;
}

const bg_transform bg_transform_prune = {
    .name = "prune",
    .title = "a share of the weights set to zero, the mask counted",
    .paper = "Frantar & Alistarh 2023, arXiv 2301.00774; Sun et al. 2023, arXiv 2306.11695",
    .keys = keys,
    .forward = forward,
    .inverse = inverse,
    .looks_at_inputs = looks_at_inputs,
};
