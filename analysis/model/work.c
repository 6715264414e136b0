/* Owns the scratch of a pass: as wide as the widest layer. */
#include <omp.h>
#include <stdlib.h>
#include "analysis/model/work.h"

enum { BLOCK_ROWS = 1024 /* tokens in a block: products are efficient, activations fit the cache's next level */ };

typedef struct widths {
    int64_t mixed, heads, up, gate, latent;
} widths;

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Columns that the layer's mixer needs beside its input. */
static int64_t mixer_width(const bg_model *m, const bg_layer *y)
{
    const bg_model_config *c = &m->config;
    const bg_layer_rules *r = &y->rules;
    int64_t q = (int64_t)c->heads * r->head_dim, k = (int64_t)r->kv_heads * r->head_dim;
    int64_t v = (int64_t)r->kv_heads * y->value_dim;
    switch (r->mixer) {
    case BG_MIXER_ATTENTION:
        return (m->arch->gates_attention ? 2 * q : q) + k + v;
    case BG_MIXER_LATENT:
        return 2 * q + (int64_t)c->heads * (r->head_dim - c->turned_dim) + v;
    default: { /* projections, what is convolved and comes out, gates of heads */
        int64_t more = (int64_t)c->mix_heads * c->mix_head_dim + 4 * (int64_t)c->mix_heads;
        return bg_mixer_inputs(c, r->mixer) + 2 * bg_mixer_channels(c, r->mixer) + more;
    }
    }
}

static widths widest(const bg_model *m)
{
    const bg_model_config *c = &m->config;
    widths w = {.latent = larger(c->latent_q, c->latent_kv + c->turned_dim)};
    for (int l = 0; l < c->layers; l++) {
        const bg_layer *y = &m->layers[l];
        w.mixed = larger(w.mixed, mixer_width(m, y));
        w.heads = larger(w.heads, larger((int64_t)c->heads * y->value_dim, (int64_t)c->mix_heads * c->mix_head_dim));
        w.heads = larger(w.heads, y->rules.mixer == BG_MIXER_CONV ? c->width : 0);
        w.gate = larger(w.gate, y->experts ? larger(y->expert_inner, y->shared_inner) : y->inner);
        if (y->linear[BG_LAUREL_LEFT])
            w.gate = larger(w.gate, y->linear[BG_LAUREL_LEFT]->out);
        w.up = larger(w.up, y->linear[BG_GATE_UP] ? 2 * (int64_t)y->inner : w.gate);
    }
    w.gate = larger(w.gate, c->layer_input);
    w.up = larger(w.up, w.gate);
    w.gate = c->gated || c->experts ? w.gate : 0;
    return w;
}

int bg_workspace_open(const bg_model *m, int64_t rows, int64_t context, bg_workspace **out, bg_err *e)
{
    const bg_model_config *c = &m->config;
    int64_t wide = larger(c->hidden, c->embed_width),
            routed = c->experts || c->layer_input || c->streams > 1 ? rows * c->width : 0;
    widths s = widest(m);
    *out = NULL;
    bg_workspace *w = calloc(1, sizeof *w);
    if (!w)
        return bg_no_memory(e, "scratch", sizeof *w);
    *w = (bg_workspace){.rows = rows, .context = context, .threads = omp_get_max_threads()};
    w->rope[0].key = w->rope[1].key = -1;
    struct {
        float **at;
        int64_t n;
    } rooms[] = {{&w->x, rows * wide},
                 {&w->y, rows * wide},
                 {&w->qkv, rows * s.mixed},
                 {&w->heads, rows * s.heads},
                 {&w->up, rows * s.up},
                 {&w->gate, rows * s.gate},
                 {&w->latent, rows * s.latent},
                 {&w->normed, rows * s.latent},
                 {&w->rope[0].cosines, context * c->rope.dims / 2},
                 {&w->rope[0].sines, context * c->rope.dims / 2},
                 {&w->rope[1].cosines, context * c->rope_local.dims / 2},
                 {&w->rope[1].sines, context * c->rope_local.dims / 2},
                 {&w->routing, rows * c->experts},
                 {&w->chosen_weight, rows * c->experts_used},
                 {&w->routed, routed},
                 {&w->answer, routed},
                 {&w->streams, c->streams > 1 ? rows * c->hidden : 0},
                 {&w->scores, (int64_t)w->threads * BG_ATTENTION_TILE * context}};
    w->chosen = malloc((size_t)(rows * c->experts_used + 1) * sizeof *w->chosen);
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        if (!w->chosen || !(*rooms[i].at = bg_floats(rooms[i].n))) {
            bg_workspace_close(w);
            return bg_no_memory(e, "activations", (unsigned long long)rooms[i].n * sizeof(float));
        }
    *out = w;
    return BG_OK;
}

int bg_workspace_for(const bg_model *m, const bg_batch *b, bg_workspace **out, bg_err *e)
{
    int64_t longest = 1, rows, all = bg_batch_tokens(b);
    for (int i = 0; i < b->n; i++)
        longest = b->lengths[i] > longest ? b->lengths[i] : longest;
    rows = longest > BLOCK_ROWS ? longest : BLOCK_ROWS;
    rows = all < rows ? all : rows;
    return bg_workspace_open(m, rows > 0 ? rows : 1, longest, out, e);
}

void bg_workspace_close(bg_workspace *w)
{
    if (!w)
        return;
    float *rooms[] = {w->x,
                      w->y,
                      w->qkv,
                      w->heads,
                      w->up,
                      w->gate,
                      w->latent,
                      w->normed,
                      w->rope[0].cosines,
                      w->rope[0].sines,
                      w->rope[1].cosines,
                      w->rope[1].sines,
                      w->routing,
                      w->chosen_weight,
                      w->routed,
                      w->answer,
                      w->streams,
                      w->scores,
                      w->input};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        free(rooms[i]);
    free(w->chosen);
    free(w);
}

int bg_workspace_sequences(const bg_workspace *w, int length)
{
    return w->rows > length ? (int)(w->rows / length) : 1;
}
