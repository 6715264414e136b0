/* transform=smooth: moves the range of the activations into the weights.
 *
 * Xiao et al. 2022 (SmoothQuant), arXiv 2211.10438: s_i = A_i^α / B_i^(1−α), A_i = max|x_i| over the calibration,
 * B_i = max over outputs of |W_oi|; W·diag(s) is quantized, the input becomes x/s. On its own the turn changes nothing.
 * search=true takes the α of {0, 0.05, …, 1} with the least error when weights and activations (of `activations` bits,
 * else 8) are rounded: tr((W−Ŵ)Σ(W−Ŵ)ᵀ) plus the noise of a step of max_i(A_i/s_i)/(2^(b−1)−1) in every input,
 * step²/12·Σ_i ‖W_·i‖²·s_i². With activations=8 whoever runs the layer rounds x/s per token (W8A8). The scales are
 * counted as 16 bits a column; a normalisation before the layer absorbs them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/dtype.h"
#include "quant/transform/transform.h"

enum { SCALE_BITS = 16, ALPHAS = 20 };

typedef struct smooth_params {
    double alpha;
    int search;
} smooth_params;

static const bg_key keys[] = {
    {"alpha", BG_KEY_NUMBER, 0, 1, NULL, "0.5", "share of the activations' range that moves into the weights",
     BG_PARAM(smooth_params, alpha)},
    {"search", BG_KEY_BOOL, 0, 1, NULL, "false", "choose alpha by the error of rounded weights and activations",
     BG_PARAM(smooth_params, search)},
    {"activations", BG_KEY_INTEGER, 0, 16, NULL, "0",
     "bits to which a run of the model rounds the layer's inputs, per token; 0: not", BG_SPEC_PARAM(activations)},
    {0},
};

/* max over outputs of |W_oi|, and Σ_o W_oi². */
static void column_ranges(const float *w, int64_t R, int64_t C, double *largest, double *power)
{
    for (int64_t i = 0; i < C; i++)
        largest[i] = 1e-5, power[i] = 0;
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < C; i++) {
            double x = (double)fabsf(w[r * C + i]);
            largest[i] = fmax(largest[i], x);
            power[i] += x * x;
        }
}

static void smooth_scales(const double *max_abs, const double *largest, int64_t C, double alpha, float *scale)
{
    for (int64_t i = 0; i < C; i++) {
        double s = fmax(pow(fmax(max_abs[i], 1e-5), alpha) / pow(largest[i], 1 - alpha), 1e-5);
        float rounded = bg_f16_to_f32(bg_f32_to_f16((float)s));
        scale[i] = rounded > 0 && isfinite(rounded) ? rounded : 1;
    }
}

typedef struct search {
    const bg_spec *s;
    const bg_matrix *m;
    bg_try_nearest nearest;
    double *largest, *power; /* [C] */
    float *hat;              /* [R × C] what a try makes; NULL: no search */
} search;

static double activation_noise(const search *a, const float *scale)
{
    double range = 0, gain = 0;
    for (int64_t i = 0; i < a->m->cols; i++) {
        double s = (double)scale[i];
        range = fmax(range, a->m->max_abs[i] / s);
        gain += a->power[i] * s * s;
    }
    int bits = a->s->activations;
    double step = range / (double)((1 << ((bits > 1 ? bits : 8) - 1)) - 1);
    return step * step / 12 * gain / (double)a->m->rows;
}

/* The exponent of the least error of weights and activations; 0.5 where the composition cannot run. */
static int search_alpha(const search *a, bg_turned *t, double *alpha, bg_err *e)
{
    double min = HUGE_VAL;
    *alpha = 0.5;
    for (int k = 0; k <= ALPHAS; k++) {
        double error = 0;
        const char *skipped = NULL;
        smooth_scales(a->m->max_abs, a->largest, a->m->cols, (double)k / ALPHAS, t->scale);
        int status = bg_scale_matrix(a->m, t->scale, t, e);
        if (!status)
            status = a->nearest(a->s, &t->m, a->hat, &error, &skipped, e);
        if (status || skipped)
            return status;
        error += activation_noise(a, t->scale);
        if (error < min) {
            min = error;
            *alpha = (double)k / ALPHAS;
        }
    }
    return BG_OK;
}

static int choose_scales(const search *a, bg_turned *t, bg_err *e)
{
    int64_t R = a->m->rows, C = a->m->cols;
    const smooth_params *p = bg_transform_params(a->s);
    double alpha = p->alpha;
    column_ranges(a->m->memory, R, C, a->largest, a->power);
    int status = p->search ? search_alpha(a, t, &alpha, e) : BG_OK;
    if (status)
        return status;
    smooth_scales(a->m->max_abs, a->largest, C, alpha, t->scale);
    return bg_scale_matrix(a->m, t->scale, t, e);
}

static int forward(const bg_spec *s, const bg_matrix *m, bg_try_nearest nearest, bg_turned *t, bg_err *e)
{
    if (!m->max_abs || !m->second_moment) {
        t->skipped = "transform=smooth needs a calibration (bitgap calibrate)";
        return BG_OK;
    }
    size_t cells = (size_t)(m->rows * m->cols), C = (size_t)m->cols;
    int tries = ((const smooth_params *)bg_transform_params(s))->search;
    search a = {.s = s, .m = m, .nearest = nearest};
    a.largest = malloc(C * sizeof *a.largest);
    a.power = malloc(C * sizeof *a.power);
    a.hat = tries ? malloc(cells * sizeof *a.hat) : NULL;
    t->scale = malloc(C * sizeof *t->scale);
    int status = a.largest && a.power && t->scale && (a.hat || !tries)
                     ? choose_scales(&a, t, e)
                     : bg_no_memory(e, "smoothing", cells * sizeof *a.hat);
    free(a.largest);
    free(a.power);
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

const bg_transform bg_transform_smooth = {
    .name = "smooth",
    .title = "the range of the activations moved into the weights",
    .paper = "Xiao et al. 2022 (SmoothQuant), arXiv 2211.10438, equation 4",
    .keys = keys,
    .needs_calibration = 1,
    .forward = forward,
    .inverse = inverse,
};
