/* Owns the gated short convolution of LFM2 (Liquid AI 2025): [B | C | x] = Win·h, y = Wout·(C ⊙ conv(B ⊙ x)). */
#include "analysis/model/mixers.h"

static void run(const bg_flow *f, void *self, const bg_conv *conv, int64_t first, int64_t n, float *history,
                float *state)
{
    int64_t D = conv->channels;
    float *in = (float *)self + first * 3 * D, *out = f->w->heads + first * D;
    (void)state;
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < D; i++)
            in[t * 3 * D + i] *= in[t * 3 * D + 2 * D + i];
    bg_conv_rows(conv, in, 3 * D, n, history, out);
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < D; i++)
            out[t * D + i] *= in[t * 3 * D + D + i];
}

int bg_mix_conv(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    int64_t D = f->m->config.width;
    int status = bg_linear_apply(f->m, l->linear[BG_MIX_IN], f->p, x, f->n, f->w->qkv, 3 * D, f->w, e);
    if (!status)
        status = bg_each_sequence(f, run, f->w->qkv, e);
    return status ? status : bg_linear_apply(f->m, l->linear[BG_MIX_OUT], f->p, f->w->heads, f->n, y, D, f->w, e);
}
