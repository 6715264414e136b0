/* Owns the state space block of Mamba-2 (Dao & Gu 2024), token by token.
 *
 *     [z | xBC | δ] = Win·h,  [x | B | C] = silu(conv(xBC)),  Δ = softplus(δ + bias), a = exp(−Δ·e^A)
 *     S = a·S + Δ·x·Bᵀ,  y = S·C + D·x,  out = Wout·(N(y ⊙ silu(z)))
 *
 * for each head; heads share B and C by groups, and the norm is over each group. Sums over a state are in double. */
#include <math.h>
#include "analysis/model/mixers.h"
#include "analysis/model/rows.h"

static float softplus(float x)
{
    return x > 20 ? x : log1pf(expf(x));
}

/* One head of one token: state [head_dim × state], x and y [head_dim]. */
static void step(const bg_model_config *c, float decay, float dt, const float *b, const float *out_of, float skip,
                 const float *x, float *state, float *y)
{
    for (int p = 0; p < c->mix_head_dim; p++) {
        float *s = state + (int64_t)p * c->state, in = dt * x[p];
        double sum = 0;
        for (int j = 0; j < c->state; j++) {
            s[j] = decay * s[j] + in * b[j];
            sum += (double)s[j] * (double)out_of[j];
        }
        y[p] = (float)sum + skip * x[p];
    }
}

/* y = N(y·silu(z)) over each group of columns. */
static void norm_gated(const bg_model_config *c, const bg_norm *norm, const float *z, float *y)
{
    int64_t size = norm->width / c->state_groups;
    for (int64_t i = 0; i < norm->width; i++)
        y[i] *= z[i] / (1 + expf(-z[i]));
    for (int g = 0; g < c->state_groups; g++)
        bg_norm_row(BG_RMS, y + g * size, norm->w + g * size, NULL, size, norm->eps, y + g * size);
}

static void run(const bg_flow *f, void *self, const bg_conv *conv, int64_t first, int64_t n, float *history,
                float *state)
{
    const bg_model_config *c = &f->m->config;
    const bg_layer *l = &f->m->layers[f->layer];
    int64_t mixed = (int64_t)c->mix_heads * c->mix_head_dim, ld = mixed + conv->channels + c->mix_heads;
    float *in = (float *)self + first * ld, *xbc = (float *)self + f->n * ld + first * conv->channels;
    bg_conv_rows(conv, in + mixed, ld, n, history, xbc);
#pragma omp parallel for schedule(static)
    for (int h = 0; h < c->mix_heads; h++) {
        float rate = expf(l->vector[BG_A_LOG].w[h]);
        int64_t group = (int64_t)h / (c->mix_heads / c->state_groups) * c->state, at = (int64_t)h * c->mix_head_dim;
        for (int64_t t = 0; t < n; t++) {
            const float *x = xbc + t * conv->channels, *b = x + mixed + group,
                        *d = b + (int64_t)c->state_groups * c->state;
            float dt = softplus(in[t * ld + ld - c->mix_heads + h] + l->vector[BG_DT_BIAS].w[h]);
            dt = dt < (float)c->dt_min ? (float)c->dt_min : dt > (float)c->dt_max ? (float)c->dt_max : dt;
            step(c, expf(-dt * rate), dt, b, d, l->vector[BG_D].w[h], x + at, state + at * c->state,
                 f->w->heads + (first + t) * mixed + at);
        }
    }
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < n; t++)
        norm_gated(c, &l->norm[BG_NORM_MIX], in + t * ld, f->w->heads + (first + t) * mixed);
}

int bg_mix_mamba2(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    const bg_linear *in = l->linear[BG_MIX_IN];
    int status = bg_linear_apply(f->m, in, f->p, x, f->n, f->w->qkv, in->out, f->w, e);
    if (!status)
        status = bg_each_sequence(f, run, f->w->qkv, e);
    return status
               ? status
               : bg_linear_apply(f->m, l->linear[BG_MIX_OUT], f->p, f->w->heads, f->n, y, f->m->config.width, f->w, e);
}
