/* Owns the choice of path: which specs of a sweep run on the histogram, which in the pass over tiles, which on the
 * whole matrix in memory.
 *
 * With a second moment every spec is reconstructed in memory, because the output error needs the weights that come out.
 * Plain specs then still take the fast path as well, for what reconstructing does not count: the share of clipped
 * weights, the entropy of the indices and the points of the mean scope. A sweep makes one pass over the tiles and one
 * histogram for both. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/failure.h"
#include "quant/engine/engine.h"
#include "quant/kernel/group.h"
#include "quant/spec/shared_factor.h"

static const char *const not_finite_reason = "the tensor holds NaN or infinite weights";
static const char *const empty_reason = "the tensor is empty";

int bg_spec_is_plain(const bg_spec *s)
{
    return s->grid->kind == BG_GRID_SCALAR && !s->rounding->run && !s->rounding->choose && !s->transform->forward;
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
    bg_failure failure = {0};
    if (!part)
        return bg_no_memory(e, "moments", (size_t)chunks * sizeof *part);
#pragma omp parallel for schedule(dynamic)
    for (int64_t c = 0; c < chunks; c++) {
        bg_err mine = {0};
        bg_scope_stats st = {0};
        int64_t first = c * rows, n = m->rows - first < rows ? m->rows - first : rows;
        float *x = malloc((size_t)(n * m->cols) * sizeof *x);
        int bad =
            x ? bg_matrix_read(m, first, n, x, &mine) : bg_no_memory(&mine, "rows", (size_t)(n * m->cols) * sizeof *x);
        if (!bad) {
            bg_scope_stats_of(&st, x, (size_t)(n * m->cols));
            part[c] = (chunk_moments){(double)st.n, st.mean, st.sigma * st.sigma * (double)st.n};
        } else {
            bg_failure_note(&failure, c, &mine);
        }
        free(x);
    }
    int status = bg_failure_status(&failure, e);
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
    bg_failure failure = {0};
#pragma omp parallel for schedule(dynamic)
    for (int64_t c = 0; c < chunks; c++) {
        bg_err mine = {0};
        int64_t first = c * rows, n = m->rows - first < rows ? m->rows - first : rows;
        if (bg_matrix_read(m, first, n, *own + first * m->cols, &mine))
            bg_failure_note(&failure, c, &mine);
    }
    return bg_failure_status(&failure, e);
}

/* ---- a sweep ---- */

typedef enum path { ON_HISTOGRAM, ON_TILES, IN_MEMORY } path;

/* The path of a matrix without a second moment; with one it is where the counts of a spec come from. */
static path path_of(const bg_matrix *m, const bg_spec *s)
{
    if (!bg_spec_is_plain(s) || s->scope.kind == BG_SCOPE_ROWS || s->fits_importance)
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
    if (!status && s->coding->bits && !m->second_moment)
        status = bg_measure_coded(m, s, &code, out, e);
    bg_code_room_free(&room);
    out->seconds = bg_now() - began;
    return status ? bg_context(e, "%s", s->text) : BG_OK;
}

static int all_on_histogram(const bg_matrix *m, const bg_hist *h, const bg_spec *specs, const path *paths, int n,
                            bg_measure *out, bg_err *e)
{
    bg_failure failure = {0};
    /* From the last to the first: sweeps rise in bits, and the long ones are not to be left for the end. */
#pragma omp parallel for schedule(dynamic, 1)
    for (int j = 0; j < n; j++) {
        int i = n - 1 - j;
        bg_err mine = {0};
        if (paths[i] == ON_HISTOGRAM && on_histogram(m, h, &specs[i], &out[i], &mine))
            bg_failure_note(&failure, i, &mine);
    }
    return bg_failure_status(&failure, e);
}

/* The specs of a call, the path of each, and where their results go. */
typedef struct batch {
    const bg_spec *specs;
    const path *paths;
    int n;
    bg_measure *out;
} batch;

static int on_tiles(const bg_matrix *m, const batch *b, uint64_t *counts, int *not_finite, bg_err *e)
{
    int n = b->n;
    const bg_spec **mine = calloc((size_t)n + 1, sizeof *mine);
    bg_measure **theirs = calloc((size_t)n + 1, sizeof *theirs);
    int many = 0, status = BG_OK;
    double began = bg_now();
    if (!mine || !theirs)
        status = bg_no_memory(e, "a sweep", (unsigned long long)n * sizeof *mine);
    for (int i = 0; i < n && !status; i++)
        if (b->paths[i] == ON_TILES) {
            mine[many] = &b->specs[i];
            theirs[many++] = &b->out[i];
        }
    if (!status && (many || counts))
        status = bg_measure_tiles(m, mine, many, theirs, counts, not_finite, e);
    for (int i = 0; i < many && !status; i++)
        theirs[i]->seconds = (bg_now() - began) / many;
    free(mine);
    free(theirs);
    return status;
}

/* What the fast path has counted, beside what was measured in memory. Grids that are fitted to the inputs have no fast
 * path, and with a calibration documents say 0 of them. */
static void keep_counts(const bg_spec *s, path from, const bg_measure *counted, bg_measure *out)
{
    if (from == IN_MEMORY && !s->fits_importance)
        return;
    out->clipped = counted->clipped;
    out->index_entropy = counted->index_entropy;
    out->points = counted->points;
    memcpy(out->levels, counted->levels, sizeof out->levels);
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
        bg_measure counted = out[i];
        if (paths[i] != IN_MEMORY && !m->second_moment)
            continue;
        status = bg_reconstruct(&here, &specs[i], w, hat, &out[i], NULL, e);
        if (m->second_moment && bg_spec_is_plain(&specs[i]))
            keep_counts(&specs[i], paths[i], &counted, &out[i]);
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
        status = on_tiles(m, &(batch){specs, paths, n, out}, counts, not_finite, e);
    if (!status && make && !*not_finite)
        status = make_hist(m, counts, &made, not_finite, e);
    if (!status && wanted[ON_HISTOGRAM] && !*not_finite)
        status = all_on_histogram(m, m->hist ? m->hist : &made, specs, paths, n, out, e);
    bg_matrix here = *m;
    if (!here.hist && (count || (make && !m->second_moment))) /* with a second moment one that costs nothing, or none */
        here.hist = &made;
    if (!status && (wanted[IN_MEMORY] || m->second_moment) && !*not_finite)
        status = in_memory(&here, specs, paths, n, out, e);
    double sigma2 = here.hist ? here.hist->sigma2 : 0, mean = here.hist ? here.hist->mean : 0;
    if (!status && !here.hist && !*not_finite)
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
