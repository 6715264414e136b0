/* Owns what transforms share: scaling columns. */
#include "quant/transform/transform.h"

#include <math.h>
#include <stdlib.h>

static void divide(const double *x, const float *scale, int64_t C, double *out)
{
    for (int64_t i = 0; i < C; i++)
        out[i] = x[i] / (double)scale[i];
}

static int allocate(const bg_matrix *m, bg_turned *t, bg_err *e)
{
    size_t R = (size_t)m->rows, C = (size_t)m->cols;
    if (!t->w)
        t->w = malloc(R * C * sizeof *t->w);
    if (m->mean_abs && !t->mean_abs)
        t->mean_abs = malloc(C * sizeof *t->mean_abs);
    if (m->max_abs && !t->max_abs)
        t->max_abs = malloc(C * sizeof *t->max_abs);
    if (m->second_moment && !t->second_moment)
        t->second_moment = malloc(C * C * sizeof *t->second_moment);
    if (!t->w || (m->mean_abs && !t->mean_abs) || (m->max_abs && !t->max_abs) ||
        (m->second_moment && !t->second_moment))
        return bg_no_memory(e, "scaled weights and second moment", (unsigned long long)(R * C * sizeof *t->w));
    return BG_OK;
}

int bg_scale_matrix(const bg_matrix *m, const float *scale, bg_turned *t, bg_err *e)
{
    int64_t R = m->rows, C = m->cols;
    int status = allocate(m, t, e);
    if (status)
        return status;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < C; i++)
            t->w[r * C + i] = m->memory[r * C + i] * scale[i];
    t->m = bg_matrix_of(t->w, R, C);
    t->m.seed = m->seed;
    if (m->mean_abs)
        divide(m->mean_abs, scale, C, t->mean_abs);
    if (m->max_abs)
        divide(m->max_abs, scale, C, t->max_abs);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < (m->second_moment ? C : 0); i++)
        for (int64_t j = 0; j < C; j++)
            t->second_moment[i * C + j] = m->second_moment[i * C + j] / ((double)scale[i] * (double)scale[j]);
    t->m.second_moment = t->second_moment;
    t->m.mean_abs = t->mean_abs;
    t->m.max_abs = t->max_abs;
    return BG_OK;
}

void bg_unscale_columns(const float *w, float *out, int64_t R, int64_t C, const float *scale)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < R; r++)
        for (int64_t i = 0; i < C; i++)
            out[r * C + i] = w[r * C + i] / scale[i];
}
