/* transform=awq: columns that meet large activations are scaled up before rounding and down after.
 *
 * Lin et al., arXiv 2306.00978. s_i = a_i^r with a_i = E|x_i|, r on a grid of 20 points in [0, 1), normalised by
 * √(max s·min s); with duo=true (AutoAWQ) s_i = a_i^r / v_i^(1−r), v_i the mean over rows of |W_oi| over its group's
 * maximum. reach: r = reach·k/points. protect: only that share of the columns is scaled, those of largest a_i; factor:
 * by one given scale (the paper's table 2). The r with the least true output error tr((W−Ŵ)Σ(W−Ŵ)ᵀ) wins. Then, with
 * clip search, each group's range is cut to (1 − k/20) of its largest weight, k = 0…9, by its own part of that error,
 * (ŵ−w)Σ_gg(ŵ−w)ᵀ. Σ stands for the sampled tokens of the published code: it is their exact second moment. The scales
 * are counted as 16 bits a column; where the layer before can absorb them they cost nothing, which is 16/R bits a
 * weight less.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/dtype.h"
#include "quant/engine/engine.h"
#include "quant/engine/measure.h"
#include "quant/transform/transform.h"

enum { CLIP_STEPS = 10, CLIP_PARTS = 20, SCALE_BITS = 16 };

typedef struct awq_params {
    int points, duo, clipsearch;
    double reach, protect, factor;
} awq_params;

static const bg_key keys[] = {
    {"points", BG_KEY_INTEGER, 1, 100, NULL, "20", "exponents tried", BG_PARAM(awq_params, points)},
    {"duo", BG_KEY_BOOL, 0, 1, NULL, "false", "scales look at the weights too (AutoAWQ)", BG_PARAM(awq_params, duo)},
    {"reach", BG_KEY_NUMBER, 0, 8, NULL, "1", "exponents from 0 up to here, in steps of reach/points",
     BG_PARAM(awq_params, reach)},
    {"protect", BG_KEY_NUMBER, 0, 1, NULL, "1",
     "share of the columns that are scaled, those of the largest activations", BG_PARAM(awq_params, protect)},
    {"factor", BG_KEY_NUMBER, 0, 1000, NULL, "0", "scale of the protected columns; 0: by the search",
     BG_PARAM(awq_params, factor)},
    {"clipsearch", BG_KEY_BOOL, 0, 1, NULL, "true", "search the range of every group",
     BG_PARAM(awq_params, clipsearch)},
    {0},
};

typedef struct search {
    const bg_spec *s;
    const bg_matrix *m;
    const float *w;
    int64_t R, C;
    double *weight_level; /* [C] mean over rows of |w| over its group's maximum (duo) */
    float *scale, *best;  /* [C] */
    double salient;       /* columns with E|x| of at least this are scaled */
    double factor;        /* their scale; 0: by the exponent */
    float *turned, *hat;  /* [R × C] */
} search;

static void levels_of_weights(search *a)
{
    int64_t G = bg_scope_size(a->s, a->R, a->C);
    G = G < a->C ? G : a->C;
    memset(a->weight_level, 0, (size_t)a->C * sizeof *a->weight_level);
    for (int64_t r = 0; r < a->R; r++)
        for (int64_t g = 0; g < a->C; g += G) {
            int64_t end = g + G < a->C ? g + G : a->C;
            const float *row = a->w + r * a->C;
            double largest = 0;
            for (int64_t i = g; i < end; i++)
                largest = fmax(largest, (double)fabsf(row[i]));
            for (int64_t i = g; i < end; i++)
                a->weight_level[i] += (double)fabsf(row[i]) / (largest + 1e-6) / (double)a->R;
        }
}

static void choose_scale(const search *a, double r, int duo)
{
    double least = HUGE_VAL, most = 0;
    for (int64_t i = 0; i < a->C; i++) {
        double s = pow(a->m->mean_abs[i], r);
        if (duo)
            s /= pow(a->weight_level[i], 1 - r) + 1e-4;
        if (a->factor > 0)
            s = a->factor;
        if (a->m->mean_abs[i] < a->salient)
            s = 1;
        s = fmax(isfinite(s) ? s : 1, 1e-4);
        a->scale[i] = (float)s;
        least = fmin(least, s);
        most = fmax(most, s);
    }
    double middle = sqrt(least * most);
    for (int64_t i = 0; i < a->C; i++) {
        float s = bg_f16_to_f32(bg_f32_to_f16((float)((double)a->scale[i] / middle)));
        a->scale[i] = s > 0 && isfinite(s) ? s : 1;
    }
}

/* Output error of nearest rounding under a->scale. */
static int try_scale(const search *a, double *error, const char **skipped, bg_err *e)
{
    bg_scaled z;
    bg_measure measure = {0};
    bg_scale_columns(a->w, a->turned, a->R, a->C, a->scale);
    int status = bg_scaled_init(&z, a->m, a->turned, a->scale, e);
    if (!status)
        status = bg_transform_nearest(a->s, &z.m, a->turned, a->hat, &measure, e);
    *error = measure.output_mse;
    *skipped = measure.skipped;
    bg_scaled_free(&z);
    return status;
}

static int falling(const void *a, const void *b)
{
    double p = *(const double *)a, q = *(const double *)b;
    return (p < q) - (p > q);
}

/* The share `protect` of the columns: those whose E|x| reaches the last of them. */
static int choose_salient(search *a, bg_err *e)
{
    const awq_params *p = bg_transform_params(a->s);
    double share = p->protect, *sorted;
    int64_t kept = (int64_t)ceil(share * (double)a->C);
    a->factor = p->factor;
    a->salient = kept > 0 ? 0 : HUGE_VAL;
    if (kept <= 0 || kept >= a->C)
        return BG_OK;
    sorted = malloc((size_t)a->C * sizeof *sorted);
    if (!sorted)
        return bg_no_memory(e, "salient columns", (size_t)a->C * sizeof *sorted);
    memcpy(sorted, a->m->mean_abs, (size_t)a->C * sizeof *sorted);
    qsort(sorted, (size_t)a->C, sizeof *sorted, falling);
    a->salient = sorted[kept - 1];
    free(sorted);
    return BG_OK;
}

static int search_scale(search *a, const char **skipped, bg_err *e)
{
    const awq_params *p = bg_transform_params(a->s);
    int points = p->points, duo = p->duo;
    double least = HUGE_VAL, reach = p->reach;
    int chosen = choose_salient(a, e);
    if (chosen)
        return chosen;
    if (a->factor > 0) /* nothing to search */
        points = 1;
    if (duo)
        levels_of_weights(a);
    for (int k = 0; k < points; k++) {
        double error;
        choose_scale(a, reach * (double)k / points, duo);
        int status = try_scale(a, &error, skipped, e);
        if (status || *skipped)
            return status;
        if (error < least) {
            least = error;
            memcpy(a->best, a->scale, (size_t)a->C * sizeof *a->best);
        }
    }
    return BG_OK;
}

/* Error of one group of one row, clamped to ±limit, under the group's own block of Σ; clamped: 2n floats of room. */
static int group_error(const bg_spec *s, const bg_matrix *m, const float *x, int64_t first, int64_t n, float limit,
                       float *clamped, bg_code_room *room, double *error, bg_err *e)
{
    bg_scope_stats st;
    bg_code code;
    bg_hist hist;
    for (int64_t i = 0; i < n; i++)
        clamped[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
    int status = bg_scope_stats_for(s, clamped, NULL, (size_t)n, &st, &hist, e);
    if (!status)
        status = bg_code_fit(s, &st, room, &code, e);
    *error = 0;
    for (int64_t i = 0; !status && i < n; i++)
        clamped[i] = bg_code_value(&code, bg_code_index(&code, clamped[i])) - x[i];
    float *image = clamped + n; /* d·Σ_gg, all its columns at once */
    memset(image, 0, (size_t)n * sizeof *image);
    for (int64_t i = 0; !status && i < n; i++) {
        const double *sigma = m->second_moment + (first + i) * m->cols + first;
        for (int64_t j = 0; j < n; j++)
            image[j] += clamped[i] * (float)sigma[j];
    }
    for (int64_t i = 0; !status && i < n; i++)
        *error += (double)image[i] * (double)clamped[i];
    bg_hist_free(&hist);
    return status;
}

static int clip_row(const bg_spec *s, const bg_matrix *m, float *row, int64_t G, float *room_x, bg_code_room *room,
                    bg_err *e)
{
    for (int64_t first = 0; first < m->cols; first += G) {
        int64_t n = first + G < m->cols ? G : m->cols - first;
        float largest = 0, best = 0;
        double least = HUGE_VAL;
        for (int64_t i = 0; i < n; i++)
            largest = fmaxf(largest, fabsf(row[first + i]));
        for (int k = 0; k < CLIP_STEPS; k++) {
            float limit = largest * (1 - (float)k / CLIP_PARTS);
            double error;
            int status = group_error(s, m, row + first, first, n, limit, room_x, room, &error, e);
            if (status)
                return status;
            if (error < least) {
                least = error;
                best = limit;
            }
        }
        for (int64_t i = 0; i < n; i++)
            row[first + i] = fminf(fmaxf(row[first + i], -best), best);
    }
    return BG_OK;
}

/* Clamps the turned weights in place, group by group. */
static int search_clip(const bg_spec *s, const bg_matrix *m, float *turned, bg_err *e)
{
    int64_t G = bg_scope_size(s, m->rows, m->cols);
    G = G < m->cols ? G : m->cols;
    int status = BG_OK;
#pragma omp parallel
    {
        bg_err mine = {0};
        bg_code_room room = {0};
        float *x = malloc(2 * (size_t)G * sizeof *x);
        int bad = x ? bg_code_room_init(&room, s, &mine) : bg_no_memory(&mine, "clip search", (unsigned long long)G);
#pragma omp for schedule(static)
        for (int64_t r = 0; r < m->rows; r++)
            if (!bad)
                bad = clip_row(s, m, turned + r * m->cols, G, x, &room, &mine);
        free(x);
        bg_code_room_free(&room);
        if (bad) {
#pragma omp critical(bg_awq_error)
            {
                status = bad;
                if (e)
                    *e = mine;
            }
        }
    }
    return status;
}

static int apply(const search *a, float *out, bg_measure *measure, bg_err *e)
{
    bg_scaled z;
    bg_scale_columns(a->w, a->turned, a->R, a->C, a->best);
    int status = bg_scaled_init(&z, a->m, a->turned, a->best, e);
    int scoped = a->s->grid->kind == BG_GRID_SCALAR && a->s->scope.kind != BG_SCOPE_TENSOR;
    if (!status && scoped && ((const awq_params *)bg_transform_params(a->s))->clipsearch)
        status = search_clip(a->s, &z.m, a->turned, e);
    if (!status)
        status = bg_transform_inner(a->s, &z.m, a->turned, a->hat, measure, e);
    bg_scaled_free(&z);
    if (status || measure->skipped)
        return status;
    bg_unscale_columns(a->hat, a->hat, a->R, a->C, a->best);
    measure->rate.scales += (double)SCALE_BITS * (double)a->C;
    if (a->m->input_scale)
        memcpy(a->m->input_scale, a->best, (size_t)a->C * sizeof *a->best);
    status = bg_measure_difference(a->m, a->w, a->hat, a->R, a->C, measure, e);
    memcpy(out, a->hat, (size_t)(a->R * a->C) * sizeof *out);
    return status;
}

static int run(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_err *e)
{
    *measure = (bg_measure){0};
    if (!m->second_moment || !m->mean_abs) {
        measure->skipped = "transform=awq needs a calibration (bitgap calibrate)";
        return BG_OK;
    }
    size_t cells = (size_t)(m->rows * m->cols), C = (size_t)m->cols;
    search a = {.s = s, .m = m, .w = w, .R = m->rows, .C = m->cols};
    a.weight_level = malloc(C * sizeof *a.weight_level);
    a.scale = malloc(C * sizeof *a.scale);
    a.best = malloc(C * sizeof *a.best);
    a.turned = malloc(cells * sizeof *a.turned);
    a.hat = malloc(cells * sizeof *a.hat);
    int status = a.weight_level && a.scale && a.best && a.turned && a.hat
                     ? search_scale(&a, &measure->skipped, e)
                     : bg_no_memory(e, "scale search", 2 * cells * sizeof *a.hat);
    if (!status && !measure->skipped)
        status = apply(&a, out, measure, e);
    free(a.weight_level);
    free(a.scale);
    free(a.best);
    free(a.turned);
    free(a.hat);
    return status;
}

const bg_transform bg_transform_awq = {
    .name = "awq",
    .title = "salient columns scaled up before rounding",
    .paper = "Lin et al. 2023, arXiv 2306.00978, equations 4 and 5",
    .keys = keys,
    .needs_calibration = 1,
    .run = run,
};
