/* Owns the MLP of a layer: gated or not, its gate apart or in one matrix with the rest. */
#include <math.h>
#include "analysis/model/rows.h"
#include "analysis/model/work.h"

/* x = f(x)·times; what xIELU and gpt-oss's gate need is the layer's. */
static void activate(const bg_flow *f, float *x, const float *times, int64_t n)
{
    const bg_model_config *c = &f->m->config;
    const bg_layer *l = &f->m->layers[f->layer];
    if (c->activation == BG_CLAMPED) {
        bg_clamped_gate(x, times, n, (float)c->clamp_limit, (float)c->clamp_alpha);
        return;
    }
    if (c->activation != BG_XIELU) {
        bg_activate(c->activation, x, times, n);
        return;
    }
    float k[4];
    for (int i = 0; i < 4; i++)
        k[i] = l->vector[BG_XIELU_P + i].w ? *l->vector[BG_XIELU_P + i].w : l->xielu[i];
    bg_xielu(x, n, k[0], k[1], k[2], k[3]);
    for (int64_t i = 0; times && i < n; i++)
        x[i] *= times[i];
}

/* Gemma 3n: what is not that many standard deviations above the row's mean becomes 0. */
static void cut_off(float *x, int64_t n, double deviations)
{
    double mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        mean += (double)x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    float low = (float)(mean + sqrt(square) * deviations);
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] > low ? x[i] - low : 0;
}

int bg_mlp_gated(const bg_flow *f, const bg_mlp *mlp, const float *x, int64_t n, float *y, bg_err *e)
{
    bg_workspace *w = f->w;
    int64_t inner = mlp->down->in;
    const bg_output to[2] = {{mlp->up, w->up, inner}, {mlp->gate, w->gate, inner}};
    int status = bg_linears_apply(f->m, to, mlp->gate ? 2 : 1, f->p, x, n, w, e);
    if (status)
        return status;
    float *inside = mlp->gate ? w->gate : w->up;
    double cutoff = f->m->layers[f->layer].rules.cutoff;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++) {
        if (isfinite(cutoff))
            cut_off(inside + r * inner, inner, cutoff);
        activate(f, inside + r * inner, mlp->gate ? w->up + r * inner : NULL, inner);
    }
    if (mlp->norm)
        bg_norm_rows(mlp->norm, inside, n, inside);
    return bg_linear_apply(f->m, mlp->down, f->p, inside, n, y, f->m->config.width, w, e);
}

/* One matrix with the outputs [gate | up]. */
static int mlp_fused(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    bg_workspace *w = f->w;
    int64_t inner = l->inner;
    int status = bg_linear_apply(f->m, l->linear[BG_GATE_UP], f->p, x, f->n, w->up, 2 * inner, w, e);
    if (status)
        return status;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < f->n; r++) {
        const float *both = w->up + r * 2 * inner;
        for (int64_t i = 0; i < inner; i++)
            w->gate[r * inner + i] = both[i];
        activate(f, w->gate + r * inner, both + inner, inner);
    }
    return bg_linear_apply(f->m, l->linear[BG_DOWN], f->p, w->gate, f->n, y, f->m->config.width, w, e);
}

int bg_mlp_dense(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    if (l->linear[BG_GATE_UP])
        return mlp_fused(f, x, y, e);
    const bg_norm *norm = l->norm[BG_NORM_DOWN].on ? &l->norm[BG_NORM_DOWN] : NULL;
    bg_mlp mlp = {l->linear[BG_GATE], l->linear[BG_UP], l->linear[BG_DOWN], norm};
    return bg_mlp_gated(f, &mlp, x, f->n, y, e);
}
