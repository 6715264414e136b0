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
#include "quant/engine/measure.h"
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

typedef struct turn {
    const bg_spec *s;
    const bg_matrix *m;
    const float *w;
    double *largest, *power; /* [C] */
    float *scale, *turned, *hat;
} turn;

static double activation_noise(const turn *t)
{
    double range = 0, gain = 0;
    for (int64_t i = 0; i < t->m->cols; i++) {
        double s = (double)t->scale[i];
        range = fmax(range, t->m->max_abs[i] / s);
        gain += t->power[i] * s * s;
    }
    int bits = t->s->activations;
    double step = range / (double)((1 << ((bits > 1 ? bits : 8) - 1)) - 1);
    return step * step / 12 * gain / (double)t->m->rows;
}

/* Runs the composition under t->scale and turns t->hat back. */
static int quantize(const turn *t, int final, bg_measure *measure, bg_err *e)
{
    bg_scaled z;
    int64_t R = t->m->rows, C = t->m->cols;
    bg_scale_columns(t->w, t->turned, R, C, t->scale);
    int status = bg_scaled_init(&z, t->m, t->turned, t->scale, e);
    if (!status)
        status = final ? bg_transform_inner(t->s, &z.m, t->turned, t->hat, measure, e)
                       : bg_transform_nearest(t->s, &z.m, t->turned, t->hat, measure, e);
    bg_scaled_free(&z);
    return status;
}

static int search_alpha(const turn *t, double *alpha, bg_err *e)
{
    double least = HUGE_VAL;
    *alpha = 0.5;
    for (int k = 0; k <= ALPHAS; k++) {
        bg_measure measure = {0};
        smooth_scales(t->m->max_abs, t->largest, t->m->cols, (double)k / ALPHAS, t->scale);
        int status = quantize(t, 0, &measure, e);
        if (status || measure.skipped)
            return status;
        double error = measure.output_mse + activation_noise(t);
        if (error < least) {
            least = error;
            *alpha = (double)k / ALPHAS;
        }
    }
    return BG_OK;
}

static int apply(const turn *t, float *out, bg_measure *measure, bg_err *e)
{
    int64_t R = t->m->rows, C = t->m->cols;
    const smooth_params *p = bg_transform_params(t->s);
    double alpha = p->alpha;
    column_ranges(t->w, R, C, t->largest, t->power);
    int status = p->search ? search_alpha(t, &alpha, e) : BG_OK;
    if (status)
        return status;
    smooth_scales(t->m->max_abs, t->largest, C, alpha, t->scale);
    status = quantize(t, 1, measure, e);
    if (status || measure->skipped)
        return status;
    bg_unscale_columns(t->hat, t->hat, R, C, t->scale);
    measure->rate.scales += (double)SCALE_BITS * (double)C;
    if (t->m->input_scale)
        memcpy(t->m->input_scale, t->scale, (size_t)C * sizeof *t->scale);
    status = bg_measure_difference(t->m, t->w, t->hat, R, C, measure, e);
    memcpy(out, t->hat, (size_t)(R * C) * sizeof *out);
    return status;
}

static int run(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_err *e)
{
    *measure = (bg_measure){0};
    if (!m->max_abs || !m->second_moment) {
        measure->skipped = "transform=smooth needs a calibration (bitgap calibrate)";
        return BG_OK;
    }
    size_t cells = (size_t)(m->rows * m->cols), C = (size_t)m->cols;
    turn t = {.s = s, .m = m, .w = w};
    t.largest = malloc(C * sizeof *t.largest);
    t.power = malloc(C * sizeof *t.power);
    t.scale = malloc(C * sizeof *t.scale);
    t.turned = malloc(cells * sizeof *t.turned);
    t.hat = malloc(cells * sizeof *t.hat);
    int status = t.largest && t.power && t.scale && t.turned && t.hat
                     ? apply(&t, out, measure, e)
                     : bg_no_memory(e, "smoothing", 2 * cells * sizeof *t.hat);
    free(t.largest);
    free(t.power);
    free(t.scale);
    free(t.turned);
    free(t.hat);
    return status;
}

const bg_transform bg_transform_smooth = {
    .name = "smooth",
    .title = "the range of the activations moved into the weights",
    .paper = "Xiao et al. 2022 (SmoothQuant), arXiv 2211.10438, equation 4",
    .keys = keys,
    .needs_calibration = 1,
    .run = run,
};
