/* Owns what transforms share: the inner composition and column scaling. */
#include "quant/transform/transform.h"

#include <math.h>
#include <stdlib.h>

extern const bg_transform bg_transform_none;
extern const bg_rounding bg_rounding_nearest;
extern const bg_coding bg_coding_fixed;

int bg_transform_inner(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_err *e)
{
    bg_spec inner = *s;
    inner.transform = &bg_transform_none;
    return bg_reconstruct(m, &inner, w, out, measure, NULL, e);
}

int bg_transform_nearest(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure,
                         bg_err *e)
{
    bg_spec inner = *s;
    inner.transform = &bg_transform_none;
    inner.rounding = &bg_rounding_nearest;
    inner.coding = &bg_coding_fixed;
    inner.open_ended = 0;
    return bg_reconstruct(m, &inner, w, out, measure, NULL, e);
}

static double *divided(const double *x, const float *scale, int64_t C)
{
    double *y = x ? malloc((size_t)C * sizeof *y) : NULL;
    for (int64_t i = 0; y && i < C; i++)
        y[i] = x[i] / (double)scale[i];
    return y;
}

int bg_scaled_init(bg_scaled *z, const bg_matrix *m, const float *w, const float *scale, bg_err *e)
{
    int64_t C = m->cols;
    *z = (bg_scaled){.m = bg_matrix_of(w, m->rows, C)};
    z->mean_abs = divided(m->mean_abs, scale, C);
    z->max_abs = divided(m->max_abs, scale, C);
    z->second_moment = m->second_moment ? malloc((size_t)(C * C) * sizeof(double)) : NULL;
    if ((m->mean_abs && !z->mean_abs) || (m->max_abs && !z->max_abs) || (m->second_moment && !z->second_moment)) {
        bg_scaled_free(z);
        return bg_no_memory(e, "scaled second moment", (unsigned long long)(C * C) * sizeof(double));
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < (m->second_moment ? C : 0); i++)
        for (int64_t j = 0; j < C; j++)
            z->second_moment[i * C + j] = m->second_moment[i * C + j] / ((double)scale[i] * (double)scale[j]);
    z->m.second_moment = z->second_moment;
    z->m.mean_abs = z->mean_abs;
    z->m.max_abs = z->max_abs;
    z->m.seed = m->seed;
    return BG_OK;
}

void bg_scaled_free(bg_scaled *z)
{
    free(z->second_moment);
    free(z->mean_abs);
    free(z->max_abs);
    *z = (bg_scaled){0};
}

int bg_spec_activations(const bg_spec *s, float *keep)
{
    *keep = s->transform->exact_inputs ? s->transform->exact_inputs(s) : 0;
    return s->activations;
}

void bg_scale_columns(const float *w, float *out, int64_t R, int64_t C, const float *scale)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < C; i++)
            out[r * C + i] = w[r * C + i] * scale[i];
}

void bg_unscale_columns(const float *w, float *out, int64_t R, int64_t C, const float *scale)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < C; i++)
            out[r * C + i] = w[r * C + i] / scale[i];
}
