/* round=nearest: every weight takes the point nearest to it (or, with a rounding that chooses weight by weight, the one
 * that it chooses).
 *
 * A scalar grid is fitted to one scope after the other; scopes are independent and are handed out to threads in fixed
 * chunks. Where scales are scales of scales, all ideal scales are found first and rounded together. Grids of vectors
 * and sequences train on the whole matrix and code tiles of rows; their rates are added in the order of the tiles. */
#include "quant/rounding/nearest.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/failure.h"
#include "quant/probability/random.h"

static const char *const shape_reason = "rows of this length do not suit the grid";

/* ---- scalar grids ---- */

typedef struct job {
    const bg_spec *s;
    const bg_matrix *m;
    const float *w;
    float *out;
    uint16_t *codes;      /* NULL: not wanted */
    float *scale, *zeros; /* [scopes]; zeros NULL: not wanted */
    bg_scopes scopes;
    int K, lo, affine;
    float *levels;
    float *importance; /* [C + size] E[x²] of each column and round again; NULL: all weights alike */
    double *clipped;   /* [scopes] */
} job;

static int fit_scope(const job *j, int64_t k, bg_code_room *room, bg_code *c, bg_err *e)
{
    size_t n;
    bg_scope_stats st;
    int64_t first = bg_scope_at(&j->scopes, k, &n);
    const float *x = j->w + first;
    if (j->scopes.size == j->m->rows * j->m->cols && j->m->hist && !j->importance) {
        st = (bg_scope_stats){0};
        bg_scope_stats_of(&st, x, n);
        st.hist = j->m->hist;
        return bg_code_fit(j->s, &st, room, c, e);
    }
    const float *importance = j->importance ? j->importance + first % j->m->cols : NULL;
    return bg_scope_fit(j->s, &(bg_scope_weights){.x = x, .importance = importance, .n = n}, room, c, e);
}

static void round_scope(const job *j, int64_t k, const bg_code *c)
{
    size_t n;
    int64_t first = bg_scope_at(&j->scopes, k, &n);
    int clips = bg_spec_needs(j->s) >= BG_NEEDS_MOMENTS;
    int (*choose)(const bg_code *, float, double) = j->s->rounding->choose;
    double clipped = 0;
    if (!choose)
        bg_code_round(c, j->w + first, n, j->out + first, j->codes ? j->codes + first : NULL);
    for (size_t i = 0; choose && i < n; i++) {
        int64_t at = first + (int64_t)i;
        int q = choose(c, j->w[at], bg_uniform_at(j->m->seed, (uint64_t)at));
        j->out[at] = bg_code_value(c, q);
        if (j->codes)
            j->codes[at] = (uint16_t)q;
    }
    bg_reach reach = bg_code_reach(c);
    for (size_t i = 0; clips && i < n; i++)
        clipped += bg_clips(reach, j->w[first + (int64_t)i]);
    j->clipped[k] = clipped;
}

static int set_importance(job *j, bg_err *e)
{
    int64_t C = j->m->cols;
    if (!j->s->fits_importance)
        return BG_OK;
    j->importance = malloc((size_t)(C + j->scopes.size) * sizeof *j->importance);
    if (!j->importance)
        return bg_no_memory(e, "importance", (unsigned long long)(C + j->scopes.size) * sizeof *j->importance);
    for (int64_t i = 0; i < C + j->scopes.size; i++)
        j->importance[i] = (float)j->m->second_moment[i % C * (C + 1)];
    return BG_OK;
}

/* Two-level scales: all ideal scales first, then as they are stored. */
static int two_level_scales(job *j, bg_err *e)
{
    bg_code_room room;
    int status = bg_code_room_init(&room, j->s, e);
    for (int64_t k = 0; k < j->scopes.count && !status; k++) {
        size_t n;
        bg_code c;
        const float *x = j->w + bg_scope_at(&j->scopes, k, &n);
        status = bg_scope_fit(j->s, &(bg_scope_weights){.x = x, .n = n, .ideal = 1}, &room, &c, e);
        j->scale[k] = c.scale;
    }
    bg_code_room_free(&room);
    if (!status)
        bg_two_level_scales(j->s, j->scale, (size_t)j->scopes.count);
    return status;
}

static int round_range(job *j, int64_t first, int64_t last, bg_code_room *room, bg_err *e)
{
    int two = j->s->two_level;
    for (int64_t k = first; k < last; k++) {
        bg_code c;
        int status = fit_scope(j, k, room, &c, e);
        if (status)
            return status;
        if (two)
            c.scale = j->scale[k];
        else if (j->scale)
            j->scale[k] = c.scale;
        if (j->zeros)
            j->zeros[k] = c.affine && c.zero != 0 ? c.zero : c.offset;
        round_scope(j, k, &c);
        if (k == 0) {
            j->K = c.K;
            j->affine = c.affine;
            j->lo = c.affine ? c.lo : 0;
            if (!c.affine && j->levels)
                memcpy(j->levels, c.levels, (size_t)c.K * sizeof *j->levels);
        }
    }
    return BG_OK;
}

enum { CHUNK = 256 /* scopes handed out at a time */ };

static int round_all(job *j, bg_err *e)
{
    int64_t chunks = (j->scopes.count + CHUNK - 1) / CHUNK;
    bg_failure failure = {0};
#pragma omp parallel
    {
        bg_code_room room = {0};
        bg_err mine = {0};
        int no_room = bg_code_room_init(&room, j->s, &mine);
#pragma omp for schedule(dynamic)
        for (int64_t c = 0; c < chunks; c++) {
            int64_t last = (c + 1) * CHUNK < j->scopes.count ? (c + 1) * CHUNK : j->scopes.count;
            if (no_room || round_range(j, c * CHUNK, last, &room, &mine))
                bg_failure_note(&failure, c, &mine);
        }
        bg_code_room_free(&room);
    }
    return bg_failure_status(&failure, e);
}

/* Fitted levels differ by scope, so a table is only given where all share it. */
static void hand_over(job *j, bg_quantized *q)
{
    int fitted = (j->s->grid->flags & BG_GRID_STORES_LEVELS) != 0 && j->scopes.count > 1;
    q->stored = (bg_stored){.codes = j->codes,
                            .scales = j->scale,
                            .zeros = j->zeros,
                            .levels = j->affine || fitted ? NULL : j->levels,
                            .K = j->K,
                            .lo = j->lo,
                            .groups_per_row = (int)j->scopes.per_row};
    if (!q->stored.levels)
        free(j->levels);
    j->codes = NULL;
    j->scale = j->zeros = j->levels = NULL;
}

static int allocate(job *j, int indices, bg_err *e)
{
    size_t all = (size_t)(j->m->rows * j->m->cols), bytes = (size_t)j->scopes.count * sizeof(float);
    j->codes = indices ? malloc(all * sizeof *j->codes) : NULL;
    j->scale = malloc(bytes);
    j->zeros = j->s->zero != BG_ZERO_SYM ? malloc(bytes) : NULL;
    j->levels = malloc((size_t)j->K * sizeof *j->levels);
    j->clipped = calloc((size_t)j->scopes.count, sizeof *j->clipped);
    if (!j->scale || !j->levels || !j->clipped || (indices && !j->codes) || (j->s->zero != BG_ZERO_SYM && !j->zeros))
        return bg_no_memory(e, "a quantized matrix", (unsigned long long)all * sizeof *j->codes + bytes);
    return set_importance(j, e);
}

static int round_scalar(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    job j = {.s = s, .m = m, .w = m->memory, .out = q->hat, .K = s->points};
    j.scopes = bg_scopes_of(s, m->rows, m->cols);
    int status = allocate(&j, s->coding->bits || q->want_indices, e);
    if (!status && s->two_level)
        status = two_level_scales(&j, e);
    if (!status)
        status = round_all(&j, e);
    q->rate = bg_spec_rate(s, m->rows, m->cols);
    for (int64_t k = 0; k < j.scopes.count && !status; k++)
        q->clipped += j.clipped[k] / ((double)m->rows * (double)m->cols);
    if (!status)
        hand_over(&j, q);
    free(j.codes);
    free(j.scale);
    free(j.zeros);
    free(j.levels);
    free(j.importance);
    free(j.clipped);
    return status;
}

/* ---- vectors and sequences ---- */

/* Tiles of rows through a trained code; rates added in the order of tiles. */
static int round_tiles(const bg_spec *s, const bg_matrix *m, const bg_trained *t, bg_quantized *q, bg_err *e)
{
    const bg_grid *g = s->grid;
    int64_t together = g->rows_together ? g->rows_together(s, m->cols) : 1, want = (1 << 18) / m->cols;
    int64_t rows = together <= 0 ? m->rows : want > together ? want / together * together : together;
    int64_t tiles = (m->rows + rows - 1) / rows;
    bg_rate *rates = calloc((size_t)tiles, sizeof *rates);
    bg_failure failure = {0};
    if (!rates)
        return bg_no_memory(e, "rates by tile", (unsigned long long)tiles * sizeof *rates);
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < tiles; i++) {
        bg_err mine = {0};
        int64_t first = i * rows, n = m->rows - first < rows ? m->rows - first : rows, at = first * m->cols;
        bg_targets tile = {.rows = n, .cols = m->cols, .w = m->memory + at, .out = q->hat + at};
        if (g->tile(s, t, &tile, &rates[i], &mine))
            bg_failure_note(&failure, i, &mine);
    }
    for (int64_t i = 0; i < tiles; i++)
        bg_rate_add(&q->rate, &rates[i]);
    free(rates);
    return bg_failure_status(&failure, e);
}

static int round_vectors(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    bg_trained *t = NULL;
    q->clipped = (double)NAN;
    int status = s->grid->train ? s->grid->train(s, m, &t, e) : BG_OK;
    if (status == BG_USAGE) { /* of this matrix, not of the sweep */
        q->skipped = shape_reason;
        return BG_OK;
    }
    if (!status)
        status = round_tiles(s, m, t, q, e);
    if (!status && s->grid->side)
        s->grid->side(s, t, &q->rate);
    q->skipped = status && s->grid->excuse ? s->grid->excuse(t) : NULL;
    if (q->skipped)
        bg_warn("%s: %s", s->text, e->text);
    else if (status == BG_USAGE)
        q->skipped = shape_reason;
    if (q->skipped)
        status = BG_OK;
    if (s->grid->release)
        s->grid->release(t);
    return status;
}

int bg_round_nearest(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    return s->grid->kind == BG_GRID_SCALAR ? round_scalar(s, m, q, e) : round_vectors(s, m, q, e);
}

const bg_rounding bg_rounding_nearest = {.name = "nearest", .title = "the nearest point"};
