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
#include "io/base/failure.h"
#include "quant/scope/scope.h"
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
    bg_try_nearest nearest;
    const float *w;
    int64_t R, C;
    double *weight_level; /* [C] mean over rows of |w| over its group's maximum (duo) */
    float *scale;         /* [C] the one that is tried; the best is bg_turned.scale */
    double salient;       /* columns with E|x| of at least this are scaled */
    double factor;        /* their scale; 0: by the exponent */
    float *hat;           /* [R × C] */
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
static int try_scale(const search *a, bg_turned *t, double *error, bg_err *e)
{
    int status = bg_scale_matrix(a->m, a->scale, t, e);
    *error = 0;
    return status ? status : a->nearest(a->s, &t->m, a->hat, error, &t->skipped, e);
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

static int search_scale(search *a, bg_turned *t, bg_err *e)
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
        int status = try_scale(a, t, &error, e);
        if (status || t->skipped)
            return status;
        if (error < least) {
            least = error;
            memcpy(t->scale, a->scale, (size_t)a->C * sizeof *t->scale);
        }
    }
    return BG_OK;
}

/* What a thread needs to try ranges of a group. */
typedef struct clip_workspace {
    const bg_spec *s;
    const bg_matrix *m;
    float *clamped, *image; /* [G] each */
    bg_code_room room;
} clip_workspace;

/* Error of one group of one row, clamped to ±limit, under the group's own block of Σ. */
static int group_error(clip_workspace *c, const float *x, int64_t first, int64_t n, float limit, double *error,
                       bg_err *e)
{
    bg_code code;
    float *clamped = c->clamped, *image = c->image; /* d·Σ_gg, all its columns at once */
    for (int64_t i = 0; i < n; i++)
        clamped[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
    int status = bg_scope_fit(c->s, &(bg_scope_weights){.x = clamped, .n = (size_t)n}, &c->room, &code, e);
    *error = 0;
    if (status)
        return status;
    for (int64_t i = 0; i < n; i++)
        clamped[i] = bg_code_value(&code, bg_code_index(&code, clamped[i])) - x[i];
    memset(image, 0, (size_t)n * sizeof *image);
    for (int64_t i = 0; i < n; i++) {
        const double *sigma = c->m->second_moment + (first + i) * c->m->cols + first;
        for (int64_t j = 0; j < n; j++)
            image[j] += clamped[i] * (float)sigma[j];
    }
    for (int64_t i = 0; i < n; i++)
        *error += (double)image[i] * (double)clamped[i];
    return BG_OK;
}

static int clip_row(clip_workspace *c, float *row, int64_t G, bg_err *e)
{
    for (int64_t first = 0; first < c->m->cols; first += G) {
        int64_t n = first + G < c->m->cols ? G : c->m->cols - first;
        float largest = 0, best = 0;
        double min = HUGE_VAL;
        for (int64_t i = 0; i < n; i++)
            largest = fmaxf(largest, fabsf(row[first + i]));
        for (int k = 0; k < CLIP_STEPS; k++) {
            float limit = largest * (1 - (float)k / CLIP_PARTS);
            double error;
            int status = group_error(c, row + first, first, n, limit, &error, e);
            if (status)
                return status;
            if (error < min) {
                min = error;
                best = limit;
            }
        }
        for (int64_t i = 0; i < n; i++)
            row[first + i] = fminf(fmaxf(row[first + i], -best), best);
    }
    return BG_OK;
}

/* Clamps the turned weights in place, group by group. */
static int search_clip(const bg_spec *s, bg_turned *t, bg_err *e)
{
    int64_t G = bg_scope_size(s, t->m.rows, t->m.cols);
    G = G < t->m.cols ? G : t->m.cols;
    bg_failure failure = {0};
#pragma omp parallel
    {
        bg_err mine = {0};
        clip_workspace c = {.s = s, .m = &t->m, .clamped = malloc(2 * (size_t)G * sizeof(float))};
        c.image = c.clamped + G;
        int no_workspace =
            c.clamped ? bg_code_room_init(&c.room, s, &mine) : bg_no_memory(&mine, "clip search", (size_t)G * 8);
#pragma omp for schedule(static)
        for (int64_t r = 0; r < t->m.rows; r++)
            if (no_workspace || clip_row(&c, t->w + r * t->m.cols, G, &mine))
                bg_failure_note(&failure, r, &mine);
        free(c.clamped);
        bg_code_room_free(&c.room);
    }
    return bg_failure_status(&failure, e);
}

static int turn(search *a, bg_turned *t, bg_err *e)
{
    const awq_params *p = bg_transform_params(a->s);
    int scoped = a->s->grid->kind == BG_GRID_SCALAR && a->s->scope.kind != BG_SCOPE_TENSOR;
    int status = search_scale(a, t, e);
    if (!status && !t->skipped)
        status = bg_scale_matrix(a->m, t->scale, t, e);
    return !status && !t->skipped && scoped && p->clipsearch ? search_clip(a->s, t, e) : status;
}

static int forward(const bg_spec *s, const bg_matrix *m, bg_try_nearest nearest, bg_turned *t, bg_err *e)
{
    if (!m->second_moment || !m->mean_abs) {
        t->skipped = "transform=awq needs a calibration (bitgap calibrate)";
        return BG_OK;
    }
    size_t cells = (size_t)(m->rows * m->cols), C = (size_t)m->cols;
    search a = {.s = s, .m = m, .nearest = nearest, .w = m->memory, .R = m->rows, .C = m->cols};
    a.weight_level = malloc(C * sizeof *a.weight_level);
    a.scale = malloc(C * sizeof *a.scale);
    a.hat = malloc(cells * sizeof *a.hat);
    t->scale = malloc(C * sizeof *t->scale);
    int status = a.weight_level && a.scale && a.hat && t->scale
                     ? turn(&a, t, e)
                     : bg_no_memory(e, "scale search", 2 * cells * sizeof *a.hat);
    free(a.weight_level);
    free(a.scale);
    free(a.hat);
    return status;
}

static int inverse(const bg_spec *s, const bg_turned *t, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    (void)s, (void)e;
    bg_unscale_columns(q->hat, q->hat, m->rows, m->cols, t->scale);
    q->rate.scales += (double)SCALE_BITS * (double)m->cols;
    return BG_OK;
}

const bg_transform bg_transform_awq = {
    .name = "awq",
    .title = "salient columns scaled up before rounding",
    .paper = "Lin et al. 2023, arXiv 2306.00978, equations 4 and 5",
    .keys = keys,
    .needs_calibration = 1,
    .forward = forward,
    .inverse = inverse,
};
