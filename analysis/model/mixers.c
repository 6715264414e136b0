/* Owns what the blocks in attention's place have in common: sizes, caches, causal convolutions over time. */
#include "analysis/model/work.h"

int64_t bg_mixer_inputs(const bg_model_config *c, bg_mixer mixer)
{
    int64_t mixed = (int64_t)c->mix_heads * c->mix_head_dim;
    switch (mixer) {
    case BG_MIXER_CONV:
        return 3 * (int64_t)c->width;
    default:
        return mixed * 0;
    }
}

int64_t bg_mixer_channels(const bg_model_config *c, bg_mixer mixer)
{
    return mixer == BG_MIXER_CONV ? c->width : 0;
}

void bg_cache_size(const bg_model *m, int layer, int64_t capacity, int64_t *k, int64_t *v)
{
    const bg_layer *y = &m->layers[layer];
    *k = capacity * y->rules.kv_heads * y->rules.head_dim;
    *v = capacity * y->rules.kv_heads * y->value_dim;
}

int bg_mix_conv(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    (void)f, (void)x, (void)y;
    return bg_fail(e, BG_INPUT, "not yet");
}
int bg_mix_mamba2(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    return bg_mix_conv(f, x, y, e);
}
int bg_mix_delta(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    return bg_mix_conv(f, x, y, e);
}
