/* Owns multi-head latent attention (DeepSeek-V2, 2024): keys and values come from one narrow vector c of a token, and
 * the elements of a key that turn are shared by all heads.
 *
 *     q = Wqb·N(Wqa·x) or Wq·x,  [c | r] = Wa·x,  [k_h | v_h] = Wb·N(c),  key_h = [k_h | turned r]
 */
#include <string.h>
#include "analysis/model/work.h"

/* Columns [0, width) of rows of y, dense. */
static void pack_columns(const float *y, int64_t n, int64_t ld, int64_t width, float *out)
{
    for (int64_t t = 0; t < n; t++)
        memcpy(out + t * width, y + t * ld, (size_t)width * sizeof *out);
}

/* q [n × H·d] into w->qkv, rows `ld` apart. */
static int project_q(const bg_flow *f, const float *x, int64_t ld, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    bg_workspace *w = f->w;
    if (l->linear[BG_Q])
        return bg_linear_apply(f->m, l->linear[BG_Q], f->p, x, f->n, w->qkv, ld, w, e);
    int status = bg_linear_apply(f->m, l->linear[BG_Q_A], f->p, x, f->n, w->latent, f->m->config.latent_q, w, e);
    if (status)
        return status;
    bg_norm_rows(&l->norm[BG_NORM_Q_A], w->latent, f->n, w->latent);
    return bg_linear_apply(f->m, l->linear[BG_Q_B], f->p, w->latent, f->n, w->qkv, ld, w, e);
}

int bg_mix_latent(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_model_config *c = &f->m->config;
    const bg_layer *l = &f->m->layers[f->layer];
    bg_workspace *w = f->w;
    int64_t d = l->rules.head_dim, turned = c->turned_dim, stays = d - turned, v = l->value_dim, H = c->heads;
    int64_t ld = 2 * H * d + H * (stays + v), narrow = c->latent_kv + turned;
    float *keys = w->qkv + H * d, *both = w->qkv + 2 * H * d;
    int status = project_q(f, x, ld, e);
    if (!status)
        status = bg_linear_apply(f->m, l->linear[BG_KV_A], f->p, x, f->n, w->latent, narrow, w, e);
    if (status)
        return status;
    pack_columns(w->latent, f->n, narrow, c->latent_kv, w->normed);
    bg_norm_rows(&l->norm[BG_NORM_KV_A], w->normed, f->n, w->normed);
    status = bg_linear_apply(f->m, l->linear[BG_KV_B], f->p, w->normed, f->n, both, ld, w, e);
    if (status)
        return status;
    for (int64_t t = 0; t < f->n; t++)
        for (int64_t h = 0; h < H; h++) {
            float *key = keys + t * ld + h * d;
            memcpy(key, both + t * ld + h * (stays + v), (size_t)stays * sizeof *key);
            memcpy(key + stays, w->latent + t * narrow + c->latent_kv, (size_t)turned * sizeof *key);
        }
    bg_attend_block(f, (bg_heads){w->qkv, ld, d}, (bg_heads){keys, ld, d}, (bg_heads){both + stays, ld, stays + v});
    return bg_linear_apply(f->m, l->linear[BG_O], f->p, w->heads, f->n, y, c->width, w, e);
}
