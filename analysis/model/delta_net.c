/* Owns the gated delta rule (Yang et al. 2024) as Qwen3-Next has it, token by token.
 *
 *     q, k, v = silu(conv(…)),  β = σ(b),  g = exp(−e^A·softplus(a + bias)),  q and k to unit length, q over √d
 *     S = g·S,  S += k·(β·(v − Sᵀk))ᵀ,  y = Sᵀq,  out = Wout·(N(y) ⊙ silu(z))
 *
 * for each value head; a key head serves several. One input matrix holds [q | k | v | z] key head by key head and
 * another [b | a], or each stands alone (Qwen3.5). Sums over a state are in double. */
#include <math.h>
#include <string.h>
#include "analysis/model/mixers.h"
#include "analysis/model/rows.h"

/* Rows of the block, in one scratch: what is convolved, what comes out, gates of heads, β and decay. */
typedef struct streams {
    float *mixed, *convolved, *z, *b, *a;
} streams;

static streams carve(const bg_flow *f)
{
    const bg_model_config *c = &f->m->config;
    int64_t n = f->n, channels = bg_mixer_channels(c, BG_MIXER_DELTA), value = (int64_t)c->mix_heads * c->mix_head_dim;
    streams s = {.mixed = f->w->qkv};
    s.convolved = s.mixed + n * channels;
    s.z = s.convolved + n * channels;
    s.b = s.z + n * value;
    s.a = s.b + n * c->mix_heads;
    return s;
}

/* [q | k | its v's | its z's] and [b | a] of each key head, spread over the streams; `all` and `ba` are dense. */
static void spread(const bg_flow *f, const streams *s, const float *all, const float *ba)
{
    const bg_model_config *c = &f->m->config;
    int64_t K = c->mix_key_heads, dk = c->mix_key_dim, each = c->mix_heads / K, dv = each * c->mix_head_dim;
    int64_t channels = bg_mixer_channels(c, BG_MIXER_DELTA), value = K * dv, wide = 2 * dk + 2 * dv;
    for (int64_t t = 0; t < f->n; t++)
        for (int64_t k = 0; k < K; k++) {
            const float *from = all + t * K * wide + k * wide, *gates = ba + t * 2 * c->mix_heads + k * 2 * each;
            float *to = s->mixed + t * channels;
            memcpy(to + k * dk, from, (size_t)dk * sizeof *to);
            memcpy(to + (K + k) * dk, from + dk, (size_t)dk * sizeof *to);
            memcpy(to + 2 * K * dk + k * dv, from + 2 * dk, (size_t)dv * sizeof *to);
            memcpy(s->z + t * value + k * dv, from + 2 * dk + dv, (size_t)dv * sizeof *to);
            memcpy(s->b + t * c->mix_heads + k * each, gates, (size_t)each * sizeof *to);
            memcpy(s->a + t * c->mix_heads + k * each, gates + each, (size_t)each * sizeof *to);
        }
}

static int project(const bg_flow *f, const streams *s, const float *x, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    const bg_linear *in = l->linear[BG_MIX_IN], *b = l->linear[BG_MIX_B], *a = l->linear[BG_MIX_A];
    int64_t heads = f->m->config.mix_heads;
    if (a) {
        const bg_output to[] = {{in, s->mixed, in->out},
                                {l->linear[BG_MIX_Z], s->z, l->linear[BG_MIX_Z]->out},
                                {a, s->a, heads},
                                {b, s->b, heads}};
        return bg_linears_apply(f->m, to, 4, f->p, x, f->n, f->w, e);
    }
    float *all = s->a + f->n * heads, *ba = all + f->n * in->out;
    const bg_output to[] = {{in, all, in->out}, {b, ba, b->out}};
    int status = bg_linears_apply(f->m, to, 2, f->p, x, f->n, f->w, e);
    if (!status)
        spread(f, s, all, ba);
    return status;
}

static double inverse_length(const float *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return 1 / sqrt(sum + 1e-6);
}

/* One head of one token: state [dv × dk], so that a value's keys are contiguous. */
static void step(const bg_model_config *c, float decay, float beta, const float *q, const float *k, const float *v,
                 float *state, float *y)
{
    int dk = c->mix_key_dim;
    float by_q = (float)(inverse_length(q, dk) / sqrt((double)dk)), by_k = (float)inverse_length(k, dk);
    for (int j = 0; j < c->mix_head_dim; j++) {
        float *s = state + (int64_t)j * dk;
        double held = 0, sum = 0;
        for (int i = 0; i < dk; i++) {
            s[i] *= decay;
            held += (double)s[i] * (double)(k[i] * by_k);
        }
        float delta = (v[j] - (float)held) * beta;
        for (int i = 0; i < dk; i++) {
            s[i] += k[i] * by_k * delta;
            sum += (double)s[i] * (double)(q[i] * by_q);
        }
        y[j] = (float)sum;
    }
}

static void run(const bg_flow *f, void *self, const bg_conv *conv, int64_t first, int64_t n, float *history,
                float *state)
{
    const bg_model_config *c = &f->m->config;
    const bg_layer *l = &f->m->layers[f->layer];
    const streams *s = self;
    const bg_norm *norm = &l->norm[BG_NORM_MIX];
    int64_t C = conv->channels, d = c->mix_head_dim, dk = c->mix_key_dim, keys = (int64_t)c->mix_key_heads * dk;
    int64_t value = (int64_t)c->mix_heads * d;
    bg_conv_rows(conv, s->mixed + first * C, C, n, history, s->convolved + first * C);
#pragma omp parallel for schedule(static)
    for (int h = 0; h < c->mix_heads; h++) {
        float rate = expf(l->vector[BG_A_LOG].w[h]), bias = l->vector[BG_DT_BIAS].w[h];
        int64_t key = h / (c->mix_heads / c->mix_key_heads) * dk;
        for (int64_t t = first; t < first + n; t++) {
            const float *row = s->convolved + t * C, *z = s->z + t * value + h * d;
            float a = s->a[t * c->mix_heads + h] + bias, *y = f->w->heads + t * value + h * d;
            float decay = expf(-rate * (a > 20 ? a : log1pf(expf(a))));
            float beta = 1 / (1 + expf(-s->b[t * c->mix_heads + h]));
            step(c, decay, beta, row + key, row + keys + key, row + 2 * keys + h * d, state + h * d * dk, y);
            bg_norm_row(norm->kind, y, norm->w, NULL, norm->width, norm->eps, y);
            for (int64_t j = 0; j < d; j++)
                y[j] *= z[j] / (1 + expf(-z[j]));
        }
    }
}

int bg_mix_delta(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    streams s = carve(f);
    int status = project(f, &s, x, e);
    if (!status)
        status = bg_each_sequence(f, run, &s, e);
    return status
               ? status
               : bg_linear_apply(f->m, l->linear[BG_MIX_OUT], f->p, f->w->heads, f->n, y, f->m->config.width, f->w, e);
}
