/* Owns the choice of path: which specs of a sweep run on the histogram, which in the pass over tiles, which on the
 * whole matrix in memory. */
#include "quant/engine/quantize.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/engine/engine.h"
#include "quant/kernel/group.h"
#include "quant/engine/measure.h"
#include "quant/engine/shared_factor.h"
#include "quant/probability/random.h"

static const char *const not_finite_reason = "the tensor holds NaN or infinite weights";
static const char *const empty_reason = "the tensor is empty";
static const char *const calibration_reason = "needs a calibration: give --calibration";
static const char *const shape_reason = "rows of this length do not suit the grid";
static const char *const large_reason = "the matrix has more than 2^31 weights, too many for this method";

int bg_spec_is_plain(const bg_spec *s)
{
    return s->grid->kind == BG_GRID_SCALAR && !s->rounding->run && !s->rounding->choose && !s->transform->run;
}

/* ---- matrices ---- */

bg_matrix bg_matrix_of(const float *w, int64_t rows, int64_t cols)
{
    return (bg_matrix){.rows = rows, .cols = cols, .memory = w, .seed = 1};
}

int bg_matrix_read(const bg_matrix *m, int64_t first, int64_t n, float *out, bg_err *e)
{
    if (!m->memory)
        return m->read(m->self, first, n, out, e);
    memcpy(out, m->memory + first * m->cols, (size_t)(n * m->cols) * sizeof *out);
    return BG_OK;
}

/* Chunks of rows, about 2^18 weights each. */
static int64_t rows_of_chunk(const bg_matrix *m)
{
    return m->cols > 0 && m->cols < (1 << 18) ? (1 << 18) / m->cols : 1;
}

typedef struct chunk_moments {
    double n, mean, squares;
} chunk_moments;

/* Sums about each chunk's own mean, joined in order. */
static int variance(const bg_matrix *m, double *mean, double *sigma2, bg_err *e)
{
    int64_t rows = rows_of_chunk(m), chunks = (m->rows + rows - 1) / rows;
    chunk_moments *part = calloc((size_t)chunks + 1, sizeof *part), all = {0};
    int status = part ? BG_OK : bg_no_memory(e, "moments", (size_t)chunks * sizeof *part);
#pragma omp parallel for schedule(dynamic) if (part)
    for (int64_t c = 0; c < chunks; c++) {
        bg_err mine = {0};
        bg_scope_stats st = {0};
        int64_t first = c * rows, n = m->rows - first < rows ? m->rows - first : rows;
        float *x = part ? malloc((size_t)(n * m->cols) * sizeof *x) : NULL;
        int bad =
            x ? bg_matrix_read(m, first, n, x, &mine) : bg_no_memory(&mine, "rows", (size_t)(n * m->cols) * sizeof *x);
        if (!bad) {
            bg_scope_stats_of(&st, x, (size_t)(n * m->cols));
            part[c] = (chunk_moments){(double)st.n, st.mean, st.sigma * st.sigma * (double)st.n};
        } else {
#pragma omp critical(bg_failure)
            {
                status = mine.code;
                *e = mine;
            }
        }
        free(x);
    }
    for (int64_t c = 0; c < chunks && !status; c++) {
        double n = all.n + part[c].n, d = part[c].mean - all.mean;
        all.squares += part[c].squares + d * d * all.n * part[c].n / n;
        all.mean += d * part[c].n / n;
        all.n = n;
    }
    *mean = all.mean;
    *sigma2 = all.n > 0 ? all.squares / all.n : 0;
    free(part);
    return status;
}

/* All of it in memory: *w is borrowed from m->memory or malloc'ed into *own. */
static int load(const bg_matrix *m, const float **w, float **own, bg_err *e)
{
    *own = NULL;
    *w = m->memory;
    if (*w)
        return BG_OK;
    size_t bytes = (size_t)m->rows * (size_t)m->cols * sizeof **own;
    *own = malloc(bytes ? bytes : 1);
    if (!*own)
        return bg_no_memory(e, "a matrix", bytes);
    *w = *own;
    int64_t rows = rows_of_chunk(m), chunks = (m->rows + rows - 1) / rows;
    int status = BG_OK;
#pragma omp parallel for schedule(dynamic)
    for (int64_t c = 0; c < chunks; c++) {
        bg_err mine = {0};
        int64_t first = c * rows, n = m->rows - first < rows ? m->rows - first : rows;
        if (bg_matrix_read(m, first, n, *own + first * m->cols, &mine)) {
#pragma omp critical(bg_failure)
            {
                status = mine.code;
                *e = mine;
            }
        }
    }
    return status;
}

void bg_stored_free(bg_stored *s)
{
    free(s->codes);
    free(s->scales);
    free(s->zeros);
    free(s->levels);
    free(s->column_group);
    *s = (bg_stored){0};
}

/* ---- nearest points of a scalar grid, on a matrix in memory ---- */

typedef struct job {
    const bg_spec *s;
    const bg_matrix *m;
    const float *w;
    float *out;
    uint16_t *codes;               /* NULL: not wanted */
    float *scales, *zeros;         /* [scopes]; zeros NULL: not wanted */
    int64_t size, per_row, scopes; /* per_row 0: scopes run over the flattened matrix */
    int K, lo, affine;
    float *levels;
    float *importance; /* [C + size] E[x²] of each column and round again; NULL: all weights alike */
    double *clipped;   /* [scopes] */
} job;

/* First weight and length of a scope. */
static int64_t scope_at(const job *j, int64_t k, size_t *n)
{
    int64_t C = j->m->cols, all = j->m->rows * C;
    if (!j->per_row) {
        int64_t first = k * j->size;
        *n = (size_t)(all - first < j->size ? all - first : j->size);
        return first;
    }
    int64_t column = k % j->per_row * j->size;
    *n = (size_t)(C - column < j->size ? C - column : j->size);
    return k / j->per_row * C + column;
}

static int fit_scope(const job *j, int64_t k, bg_code_room *room, bg_code *c, bg_err *e)
{
    size_t n;
    bg_scope_stats st;
    bg_hist hist;
    int64_t first = scope_at(j, k, &n);
    const float *x = j->w + first;
    int status;
    if (j->size == j->m->rows * j->m->cols && j->m->hist && !j->importance) {
        st = (bg_scope_stats){0};
        bg_scope_stats_of(&st, x, n);
        st.hist = j->m->hist;
        return bg_code_fit(j->s, &st, room, c, e);
    }
    status = bg_scope_stats_for(j->s, x, j->importance ? j->importance + first % j->m->cols : NULL, n, &st, &hist, e);
    if (!status)
        status = bg_code_fit(j->s, &st, room, c, e);
    bg_hist_free(&hist);
    return status;
}

static void round_scope(const job *j, int64_t k, const bg_code *c)
{
    size_t n;
    int64_t first = scope_at(j, k, &n);
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
    j->importance = malloc((size_t)(C + j->size) * sizeof *j->importance);
    if (!j->importance)
        return bg_no_memory(e, "importance", (unsigned long long)(C + j->size) * sizeof *j->importance);
    for (int64_t i = 0; i < C + j->size; i++)
        j->importance[i] = (float)j->m->second_moment[i % C * (C + 1)];
    return BG_OK;
}

/* Two-level scales: all ideal scales first, then as they are stored. */
static int two_level_scales(job *j, bg_err *e)
{
    bg_code_room room;
    int status = bg_code_room_init(&room, j->s, e);
    for (int64_t k = 0; k < j->scopes && !status; k++) {
        size_t n;
        bg_code c;
        bg_scope_stats st = {0};
        const float *x = j->w + scope_at(j, k, &n);
        bg_scope_stats_of(&st, x, n);
        st.ideal = 1;
        status = bg_code_fit(j->s, &st, &room, &c, e);
        j->scales[k] = c.scale;
    }
    bg_code_room_free(&room);
    if (!status)
        bg_two_level_scales(j->s, j->scales, (size_t)j->scopes);
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
            c.scale = j->scales[k];
        else if (j->scales)
            j->scales[k] = c.scale;
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
    int64_t chunks = (j->scopes + CHUNK - 1) / CHUNK, failed_chunk = chunks;
    int status = BG_OK;
#pragma omp parallel
    {
        bg_code_room room = {0};
        bg_err mine = {0};
        int no_room = bg_code_room_init(&room, j->s, &mine);
#pragma omp for schedule(dynamic)
        for (int64_t c = 0; c < chunks; c++) {
            int64_t last = (c + 1) * CHUNK < j->scopes ? (c + 1) * CHUNK : j->scopes;
            if ((no_room || round_range(j, c * CHUNK, last, &room, &mine)) && c < failed_chunk) {
#pragma omp critical(bg_failure)
                if (c < failed_chunk) {
                    failed_chunk = c;
                    status = mine.code;
                    *e = mine;
                }
            }
        }
        bg_code_room_free(&room);
    }
    return status;
}

/* Moves what a format writer wants out of the job. Fitted levels differ by scope, so a table is only given where all
 * share it. */
static void hand_over(job *j, bg_stored *stored)
{
    int fitted = (j->s->grid->flags & BG_GRID_STORES_LEVELS) != 0 && j->scopes > 1;
    *stored = (bg_stored){.codes = j->codes,
                          .scales = j->scales,
                          .zeros = j->zeros,
                          .levels = j->affine || fitted ? NULL : j->levels,
                          .K = j->K,
                          .lo = j->lo,
                          .groups_per_row = (int)(j->per_row ? j->per_row : 0)};
    if (!stored->levels)
        free(j->levels);
    j->codes = NULL;
    j->scales = j->zeros = j->levels = NULL;
}

static int nearest(const bg_matrix *m, const bg_spec *s, const float *w, float *out, bg_measure *measure,
                   bg_stored *stored, bg_err *e)
{
    int64_t all = m->rows * m->cols;
    int coded = s->coding->bits != NULL, flat = bg_scope_is_flat(s);
    job j = {.s = s, .m = m, .w = w, .out = out, .size = bg_scope_size(s, m->rows, m->cols), .K = s->points};
    j.per_row = flat ? 0 : (m->cols + j.size - 1) / j.size;
    j.scopes = bg_scope_count(s, m->rows, m->cols);
    size_t bytes = (size_t)j.scopes * sizeof(float);
    j.codes = coded || stored ? malloc((size_t)all * sizeof *j.codes) : NULL;
    j.scales = malloc(bytes);
    j.zeros = s->zero != BG_ZERO_SYM ? malloc(bytes) : NULL;
    j.levels = malloc((size_t)j.K * sizeof *j.levels);
    j.clipped = calloc((size_t)j.scopes, sizeof *j.clipped);
    int status = BG_OK;
    if (!j.scales || !j.levels || !j.clipped || ((coded || stored) && !j.codes))
        status = bg_no_memory(e, "a quantized matrix", (unsigned long long)all * sizeof *j.codes + bytes);
    if (!status)
        status = set_importance(&j, e);
    if (!status && s->two_level)
        status = two_level_scales(&j, e);
    if (!status)
        status = round_all(&j, e);
    measure->rate = bg_spec_rate(s, m->rows, m->cols);
    measure->index_entropy = NAN;
    if (!status && j.codes)
        status = bg_measure_symbols(s, j.codes, (size_t)all, j.K, measure, e);
    for (int64_t k = 0; k < j.scopes && !status; k++)
        measure->clipped += j.clipped[k] / (double)all;
    if (!status && stored)
        hand_over(&j, stored);
    free(j.codes);
    free(j.scales);
    free(j.zeros);
    free(j.levels);
    free(j.importance);
    free(j.clipped);
    return status;
}

/* ---- vectors and sequences ---- */

/* Tiles of rows through a trained code; rates added in the order of tiles. */
static int run_tiles(const bg_matrix *m, const bg_spec *s, const bg_trained *t, const float *w, float *out,
                     bg_rate *rate, bg_err *e)
{
    const bg_grid *g = s->grid;
    int64_t together = g->rows_together ? g->rows_together(s, m->cols) : 1, want = (1 << 18) / m->cols;
    int64_t rows = together <= 0 ? m->rows : want > together ? want / together * together : together;
    int64_t tiles = (m->rows + rows - 1) / rows, failed_tile = tiles;
    bg_rate *rates = calloc((size_t)tiles, sizeof *rates);
    int status = BG_OK;
    if (!rates)
        return bg_no_memory(e, "rates by tile", (unsigned long long)tiles * sizeof *rates);
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < tiles; i++) {
        bg_err mine = {0};
        int64_t first = i * rows, n = m->rows - first < rows ? m->rows - first : rows;
        if (g->tile(s, t, first, n, m->cols, w + first * m->cols, out + first * m->cols, &rates[i], &mine)) {
#pragma omp critical(bg_failure)
            if (i < failed_tile) {
                failed_tile = i;
                status = mine.code;
                *e = mine;
            }
        }
    }
    double *sum = (double *)rate;
    for (int64_t i = 0; i < tiles; i++)
        for (size_t part = 0; part < sizeof *rate / sizeof(double); part++)
            sum[part] += ((const double *)&rates[i])[part];
    free(rates);
    return status;
}

static int vectors(const bg_matrix *m, const bg_spec *s, const float *w, float *out, bg_measure *measure, bg_err *e)
{
    bg_trained *t = NULL;
    bg_matrix here = *m;
    here.memory = w;
    measure->index_entropy = NAN;
    measure->clipped = NAN;
    int status = s->grid->train ? s->grid->train(s, &here, &t, e) : BG_OK;
    if (status == BG_USAGE) { /* of this matrix, not of the sweep */
        measure->skipped = shape_reason;
        return BG_OK;
    }
    if (!status)
        status = run_tiles(m, s, t, w, out, &measure->rate, e);
    if (!status && s->grid->side)
        s->grid->side(s, t, &measure->rate);
    measure->skipped = status && s->grid->excuse ? s->grid->excuse(t) : NULL;
    if (measure->skipped)
        bg_warn("%s: %s", s->text, e->text);
    else if (status == BG_USAGE)
        measure->skipped = shape_reason;
    if (measure->skipped)
        status = BG_OK;
    if (s->grid->release)
        s->grid->release(t);
    return status;
}

/* ---- one spec on a matrix in memory ---- */

static const char *reason_not_to(const bg_matrix *m, const bg_spec *s, const float *w)
{
    if (m->rows <= 0 || m->cols <= 0)
        return empty_reason;
    if (m->rows > INT32_MAX / m->cols)
        return large_reason;
    if ((s->transform->needs_calibration || s->rounding->needs_calibration || s->fits_importance) && !m->second_moment)
        return calibration_reason;
    return bg_any_not_finite(w, (size_t)(m->rows * m->cols)) ? not_finite_reason : NULL;
}

int bg_reconstruct(const bg_matrix *m, const bg_spec *s, const float *w, float *out, bg_measure *measure,
                   bg_stored *stored, bg_err *e)
{
    bg_measure mine, *r = measure ? measure : &mine;
    double began = bg_now();
    *r = (bg_measure){.output_mse = NAN};
    if (stored)
        *stored = (bg_stored){0};
    if (s->step.word == BG_STEP_SIGNED)
        stored = NULL; /* the range of codes differs from scope to scope, which bg_stored cannot say */
    r->skipped = reason_not_to(m, s, w);
    if (r->skipped)
        return BG_OK;
    if (s->transform->run)
        return s->transform->run(s, m, w, out, r, e);
    if (s->rounding->run)
        return s->rounding->run(s, m, w, out, r, stored, e);
    float *copy = NULL;
    if (out == w) { /* the error needs the weights as they were */
        size_t bytes = (size_t)(m->rows * m->cols) * sizeof *copy;
        copy = malloc(bytes);
        if (!copy)
            return bg_no_memory(e, "a copy of the matrix", bytes);
        memcpy(copy, w, bytes);
        w = copy;
    }
    int status = s->grid->kind == BG_GRID_SCALAR ? nearest(m, s, w, out, r, stored, e) : vectors(m, s, w, out, r, e);
    if (!status && !r->skipped)
        status = bg_measure_difference(m, w, out, m->rows, m->cols, r, e);
    free(copy);
    r->seconds = bg_now() - began;
    return status ? bg_context(e, "%s", s->text) : BG_OK;
}

/* ---- a sweep ---- */

typedef enum path { ON_HISTOGRAM, ON_TILES, IN_MEMORY } path;

static path path_of(const bg_matrix *m, const bg_spec *s)
{
    if (!bg_spec_is_plain(s) || s->scope.kind == BG_SCOPE_ROWS || m->second_moment || s->fits_importance)
        return IN_MEMORY;
    int exact = m->hist || (m->codes16 && !m->memory) || bg_spec_needs(s) >= BG_NEEDS_HIST;
    if (s->scope.kind == BG_SCOPE_TENSOR && !s->two_level && (exact || s->coding->bits))
        return ON_HISTOGRAM;
    return s->coding->bits ? IN_MEMORY : ON_TILES;
}

/* The histogram of the whole matrix when codes were counted on the way, or from all its values. */
static int make_hist(const bg_matrix *m, const uint64_t *counts, bg_hist *h, int *not_finite, bg_err *e)
{
    if (counts) {
        float *value = malloc(65536 * sizeof *value);
        if (!value)
            return bg_no_memory(e, "a histogram", 65536 * sizeof *value);
        uint16_t code = 0;
        for (int c = 0; c < 65536; c++, code++) {
            bg_dtypes[m->code_dtype].decode(&code, &value[c], 1);
            *not_finite |= counts[c] && !isfinite(value[c]);
        }
        int status = *not_finite ? BG_OK : bg_hist_from_codes(h, counts, value, e);
        free(value);
        return status;
    }
    const float *w;
    float *own;
    int status = load(m, &w, &own, e);
    size_t n = (size_t)(m->rows * m->cols);
    if (!status) {
        *not_finite |= bg_any_not_finite(w, n);
        status = *not_finite ? BG_OK : bg_hist_from_values(h, w, NULL, n, e);
    }
    free(own);
    return status;
}

static int on_histogram(const bg_matrix *m, const bg_hist *h, const bg_spec *s, bg_measure *out, bg_err *e)
{
    bg_code_room room;
    bg_code code;
    double began = bg_now();
    int status = bg_code_room_init(&room, s, e);
    if (!status)
        status = bg_measure_hist(h, s, &room, &code, out, e);
    if (!status && s->coding->bits)
        status = bg_measure_coded(m, s, &code, out, e);
    bg_code_room_free(&room);
    out->seconds = bg_now() - began;
    return status ? bg_context(e, "%s", s->text) : BG_OK;
}

static int all_on_histogram(const bg_matrix *m, const bg_hist *h, const bg_spec *specs, const path *paths, int n,
                            bg_measure *out, bg_err *e)
{
    int status = BG_OK, failed = n;
    /* From the last to the first: sweeps rise in bits, and the long ones are not to be left for the end. */
#pragma omp parallel for schedule(dynamic, 1)
    for (int j = 0; j < n; j++) {
        int i = n - 1 - j;
        bg_err mine = {0};
        if (paths[i] == ON_HISTOGRAM && on_histogram(m, h, &specs[i], &out[i], &mine)) {
#pragma omp critical(bg_failure)
            if (i < failed) {
                failed = i;
                status = mine.code;
                *e = mine;
            }
        }
    }
    return status;
}

static int on_tiles(const bg_matrix *m, const bg_spec *specs, const path *paths, int n, uint64_t *counts,
                    bg_measure *out, int *not_finite, bg_err *e)
{
    const bg_spec **mine = calloc((size_t)n + 1, sizeof *mine);
    bg_measure **theirs = calloc((size_t)n + 1, sizeof *theirs);
    int many = 0, status = BG_OK;
    double began = bg_now();
    if (!mine || !theirs)
        status = bg_no_memory(e, "a sweep", (unsigned long long)n * sizeof *mine);
    for (int i = 0; i < n && !status; i++)
        if (paths[i] == ON_TILES) {
            mine[many] = &specs[i];
            theirs[many++] = &out[i];
        }
    if (!status && (many || counts))
        status = bg_measure_tiles(m, mine, many, theirs, counts, not_finite, e);
    for (int i = 0; i < many && !status; i++)
        theirs[i]->seconds = (bg_now() - began) / many;
    free(mine);
    free(theirs);
    return status;
}

static int in_memory(const bg_matrix *m, const bg_spec *specs, const path *paths, int n, bg_measure *out, bg_err *e)
{
    const float *w;
    float *own, *hat = malloc((size_t)(m->rows * m->cols) * sizeof *hat + 1);
    struct bg_shared shared = {0};
    bg_matrix here = *m;
    int status = hat ? load(m, &w, &own, e) : bg_no_memory(e, "a matrix", (unsigned long long)(m->rows * m->cols) * 4);
    if (!hat)
        return status;
    here.shared = &shared;
    here.memory = w;
    for (int i = 0; i < n && !status && !bg_interrupted; i++) {
        double began = bg_now();
        if (paths[i] != IN_MEMORY)
            continue;
        status = bg_reconstruct(&here, &specs[i], w, hat, &out[i], NULL, e);
        out[i].seconds = bg_now() - began;
    }
    bg_shared_free(&shared);
    free(own);
    free(hat);
    return !status && bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : status;
}

static int sweep(const bg_matrix *m, const bg_spec *specs, const path *paths, int n, bg_measure *out, int *not_finite,
                 bg_err *e)
{
    int wanted[3] = {0};
    for (int i = 0; i < n; i++)
        wanted[paths[i]]++;
    bg_hist made = {0};
    int count = !m->hist && m->codes16 && !m->memory, make = count || (wanted[ON_HISTOGRAM] && !m->hist);
    uint64_t *counts = count ? calloc(65536, sizeof *counts) : NULL;
    int status = count && !counts ? bg_no_memory(e, "a histogram", 65536 * sizeof *counts) : BG_OK;
    if (!status && (wanted[ON_TILES] || counts))
        status = on_tiles(m, specs, paths, n, counts, out, not_finite, e);
    if (!status && make && !*not_finite)
        status = make_hist(m, counts, &made, not_finite, e);
    if (!status && wanted[ON_HISTOGRAM] && !*not_finite)
        status = all_on_histogram(m, m->hist ? m->hist : &made, specs, paths, n, out, e);
    if (!status && wanted[IN_MEMORY] && !*not_finite) {
        bg_matrix here = *m;
        if (!here.hist && make)
            here.hist = &made;
        status = in_memory(&here, specs, paths, n, out, e);
    }
    double sigma2 = m->hist ? m->hist->sigma2 : made.sigma2, mean = m->hist ? m->hist->mean : made.mean;
    if (!status && !m->hist && !make && !*not_finite)
        status = variance(m, &mean, &sigma2, e);
    for (int i = 0; i < n; i++) {
        out[i].sigma2 = sigma2;
        out[i].mean = mean;
    }
    bg_hist_free(&made);
    free(counts);
    return status;
}

static int on_density(const bg_matrix *m, const bg_spec *specs, int n, bg_measure *out, bg_err *e)
{
    bg_hist h;
    int status = bg_hist_from_distribution(&h, m->distribution, m->distribution_sigma, e);
    for (int i = 0; i < n && !status; i++) {
        double began = bg_now();
        status = bg_measure_distribution(m, &h, &specs[i], &out[i], e);
        out[i].seconds = bg_now() - began;
        out[i].sigma2 = h.sigma2;
        out[i].mean = h.mean;
        if (status)
            bg_context(e, "%s", specs[i].text);
    }
    bg_hist_free(&h);
    return status;
}

int bg_measure_specs(const bg_matrix *m, const bg_spec *specs, int n, bg_measure *out, bg_err *e)
{
    memset(out, 0, (size_t)n * sizeof *out);
    if (m->distribution && m->rows == 0)
        return on_density(m, specs, n, out, e);
    const char *reason = m->rows <= 0 || m->cols <= 0 ? empty_reason : NULL;
    path *paths = calloc((size_t)n + 1, sizeof *paths);
    if (!paths)
        return bg_no_memory(e, "a sweep", (unsigned long long)n * sizeof *paths);
    for (int i = 0; i < n; i++)
        paths[i] = path_of(m, &specs[i]);
    int not_finite = 0, status = reason ? BG_OK : sweep(m, specs, paths, n, out, &not_finite, e);
    if (not_finite)
        reason = not_finite_reason;
    for (int i = 0; i < n && reason; i++)
        out[i] = (bg_measure){.skipped = reason};
    free(paths);
    return status;
}
