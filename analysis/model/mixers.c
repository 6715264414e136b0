/* Owns what the blocks in attention's place have in common: sizes, caches, causal convolutions over time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/mixers.h"

int64_t bg_mixer_channels(const bg_model_config *c, bg_mixer mixer)
{
    int64_t mixed = (int64_t)c->mix_heads * c->mix_head_dim;
    switch (mixer) {
    case BG_MIXER_CONV:
        return c->width;
    case BG_MIXER_MAMBA2:
        return mixed + 2 * (int64_t)c->state_groups * c->state;
    case BG_MIXER_DELTA:
        return mixed + 2 * (int64_t)c->mix_key_heads * c->mix_key_dim;
    default:
        return 0;
    }
}

int64_t bg_mixer_inputs(const bg_model_config *c, bg_mixer mixer)
{
    int64_t mixed = (int64_t)c->mix_heads * c->mix_head_dim, channels = bg_mixer_channels(c, mixer);
    switch (mixer) {
    case BG_MIXER_CONV:
        return 3 * channels;
    case BG_MIXER_MAMBA2: /* gate, what is convolved, the steps of time */
        return mixed + channels + c->mix_heads;
    case BG_MIXER_DELTA:
        return c->mix_split ? channels : channels + mixed;
    default:
        return 0;
    }
}

static int64_t state_size(const bg_model_config *c, bg_mixer mixer)
{
    int64_t mixed = (int64_t)c->mix_heads * c->mix_head_dim;
    return mixer == BG_MIXER_MAMBA2 ? mixed * c->state : mixer == BG_MIXER_DELTA ? mixed * c->mix_key_dim : 0;
}

int bg_mixer_recurs(bg_mixer mixer)
{
    return mixer == BG_MIXER_CONV || mixer == BG_MIXER_MAMBA2 || mixer == BG_MIXER_DELTA;
}

void bg_cache_size(const bg_model *m, int layer, int64_t capacity, int64_t *k, int64_t *v)
{
    const bg_layer *y = &m->layers[layer];
    const bg_model_config *c = &m->config;
    bg_mixer mixer = y->rules.mixer;
    if (bg_mixer_recurs(mixer)) {
        *k = bg_mixer_channels(c, mixer) * (c->conv_taps - 1);
        *v = state_size(c, mixer);
        return;
    }
    *k = capacity * y->rules.kv_heads * y->rules.head_dim;
    *v = capacity * y->rules.kv_heads * y->value_dim;
}

/* ---- convolution ---- */

static float silu(float x)
{
    return x / (1 + expf(-x));
}

void bg_conv_rows(const bg_conv *c, const float *x, int64_t ld, int64_t n, float *history, float *out)
{
    int before = c->taps - 1;
#pragma omp parallel for schedule(static)
    for (int64_t ch = 0; ch < c->channels; ch++)
        for (int64_t t = 0; t < n; t++) {
            double sum = c->bias ? (double)c->bias[ch] : 0;
            for (int j = 0; j < c->taps; j++) {
                int64_t at = t - before + j;
                float v = at >= 0 ? x[at * ld + ch] : history[(at + before) * c->channels + ch];
                sum += (double)c->w[ch * c->taps + j] * (double)v;
            }
            out[t * c->channels + ch] = c->activates ? silu((float)sum) : (float)sum;
        }
    for (int j = 0; j < before; j++) { /* in order: row j is not read again once it is written */
        int64_t at = n - before + j;
        float *to = history + j * c->channels;
        if (at >= 0)
            memcpy(to, x + at * ld, (size_t)c->channels * sizeof *to);
        else
            memmove(to, history + (j + n) * c->channels, (size_t)c->channels * sizeof *to);
    }
}

/* ---- the walk over sequences ---- */

int bg_each_sequence(const bg_flow *f, bg_sequence *run, void *self, bg_err *e)
{
    const bg_layer *y = &f->m->layers[f->layer];
    int64_t history = 0, state = 0, first = 0;
    bg_cache_size(f->m, f->layer, 0, &history, &state);
    const bg_cache_layer *cache = f->b->cache ? &f->b->cache[f->layer] : NULL;
    float *room = cache ? NULL : bg_floats(history + state);
    if (!cache && !room)
        return bg_no_memory(e, "the state of a layer", (unsigned long long)(history + state) * sizeof *room);
    const bg_model_config *c = &f->m->config;
    bg_conv conv = {.channels = bg_mixer_channels(c, y->rules.mixer),
                    .taps = c->conv_taps,
                    .w = y->vector[BG_CONV].w,
                    .bias = y->vector[BG_CONV_BIAS].w,
                    .activates = y->rules.mixer != BG_MIXER_CONV};
    for (int i = 0; i < f->b->n; i++) {
        float *k = cache ? cache->k : room, *v = cache ? cache->v : room + history;
        if (!f->b->past) {
            memset(k, 0, (size_t)history * sizeof *k);
            memset(v, 0, (size_t)state * sizeof *v);
        }
        run(f, self, &conv, first, f->b->lengths[i], k, v);
        first += f->b->lengths[i];
    }
    free(room);
    return BG_OK;
}
