/* Owns attention as a block of a layer: its projections, norms and rotations of heads, the cache, the output matrix. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/rows.h"
#include "analysis/model/work.h"

static int64_t qkv_width(const bg_model *m, const bg_layer *y)
{
    const bg_layer_rules *r = &y->rules;
    int64_t q = (int64_t)m->config.heads * r->head_dim;
    return (m->arch->gates_attention ? 2 * q : q) + (int64_t)r->kv_heads * (r->head_dim + y->value_dim);
}

/* Where q, k and v of the block's first token stand in w->qkv. */
static void find_heads(const bg_model *m, const bg_layer *y, bg_workspace *w, bg_heads *q, bg_heads *k, bg_heads *v)
{
    const bg_model_config *c = &m->config;
    int64_t d = y->rules.head_dim, width = qkv_width(m, y), kv = y->rules.kv_heads, each = c->heads / kv;
    if (c->qkv == BG_QKV_HEADS) {
        *q = (bg_heads){w->qkv, width, 3 * d};
        *k = (bg_heads){w->qkv + d, width, 3 * d};
        *v = (bg_heads){w->qkv + 2 * d, width, 3 * d};
    } else if (c->qkv == BG_QKV_GROUPS) {
        *q = (bg_heads){w->qkv, width, d}; /* gathered by spread_groups */
        *k = (bg_heads){w->qkv + each * d, width, (each + 2) * d};
        *v = (bg_heads){w->qkv + (each + 1) * d, width, (each + 2) * d};
    } else {
        int64_t apart = m->arch->gates_attention ? 2 * d : d;
        *q = (bg_heads){w->qkv, width, apart};
        *k = (bg_heads){w->qkv + c->heads * apart, width, d};
        *v = (bg_heads){w->qkv + c->heads * apart + kv * d, width, d};
    }
}

/* [its q's | k | v] for each key head becomes [all q | all k | all v]. */
static int separate_groups(const bg_flow *f, bg_err *e)
{
    const bg_layer *y = &f->m->layers[f->layer];
    int64_t d = y->rules.head_dim, kv = y->rules.kv_heads, each = f->m->config.heads / kv, width = qkv_width(f->m, y);
    float *row = bg_floats(width);
    if (!row)
        return bg_no_memory(e, "heads", (unsigned long long)width * sizeof *row);
    for (int64_t t = 0; t < f->n; t++) {
        float *x = f->w->qkv + t * width;
        memcpy(row, x, (size_t)width * sizeof *row);
        for (int64_t g = 0; g < kv; g++) {
            const float *from = row + g * (each + 2) * d;
            memcpy(x + g * each * d, from, (size_t)(each * d) * sizeof *x);
            memcpy(x + (kv * each + g) * d, from + each * d, (size_t)d * sizeof *x);
            memcpy(x + (kv * each + kv + g) * d, from + (each + 1) * d, (size_t)d * sizeof *x);
        }
    }
    free(row);
    return BG_OK;
}

static int project_qkv(const bg_flow *f, const float *x, bg_err *e)
{
    const bg_model *m = f->m;
    const bg_layer *y = &m->layers[f->layer];
    int64_t width = qkv_width(m, y), at = 0;
    bg_output to[3];
    if (m->config.qkv != BG_QKV_SEPARATE) {
        int status = bg_linear_apply(m, y->linear[BG_QKV], f->p, x, f->n, f->w->qkv, width, f->w, e);
        return status || m->config.qkv != BG_QKV_GROUPS ? status : separate_groups(f, e);
    }
    static const bg_linear_role roles[] = {BG_Q, BG_K, BG_V};
    for (int i = 0; i < 3; i++) {
        to[i] = (bg_output){y->linear[roles[i]], f->w->qkv + at, width};
        at += y->linear[roles[i]]->out;
    }
    return bg_linears_apply(m, to, 3, f->p, x, f->n, f->w, e);
}

/* ---- norms and rotations ---- */

typedef struct turning {
    const bg_rope_config *rope; /* NULL: none */
    const bg_rope_cache *table;
    const bg_norm *norm;
    int whole, after;  /* the norm is of all heads together, after the rotation */
    int heads, offset; /* elements of a head before those that turn */
    float scale;       /* of the token; 1 */
} turning;

static void norm_heads(const turning *t, float *token, int64_t apart)
{
    const bg_norm *n = t->norm;
    if (!n->on)
        return;
    for (int h = 0; h < (t->whole ? 1 : t->heads); h++)
        bg_norm_row(n->kind, token + h * apart, n->w, n->b, n->width, n->eps, token + h * apart);
}

/* The norm of each head (or of all), then the rotation, of one token that stands at `position`. */
static void norm_and_turn(const turning *t, float *token, int64_t apart, int64_t position)
{
    if (!t->after)
        norm_heads(t, token, apart);
    int half = t->rope ? t->rope->dims / 2 : 0;
    for (int h = 0; h < t->heads && half; h++)
        bg_rope_turn(t->rope, t->table->cosines + position * half, t->table->sines + position * half,
                     token + h * apart + t->offset);
    if (t->after)
        norm_heads(t, token, apart);
}

/* What multiplies the query at a position. */
static float temperature(const bg_model *m, int64_t position)
{
    const bg_model_config *c = &m->config;
    if (m->arch->temperature == BG_TEMPERATURE_FLOOR)
        return (float)(log1p(floor((double)(position + 1) / c->temperature_floor)) * c->temperature_scale + 1);
    return (float)(1 + c->rope.temperature * log(1 + floor((double)position / c->rope.original)));
}

static void turn_heads(const bg_flow *f, const bg_heads *q, const bg_heads *k, const bg_heads *v, int64_t n)
{
    const bg_model *m = f->m;
    const bg_layer *y = &m->layers[f->layer];
    const bg_norm *norm = y->norm;
    int turns = y->rules.turns, local = turns == 2;
    turning t = {.rope = !turns  ? NULL
                         : local ? &m->config.rope_local
                                 : &m->config.rope,
                 .table = &f->w->rope[local],
                 .whole = m->arch->norm_whole_heads,
                 .after = m->arch->norm_after_rope,
                 .offset = y->rules.mixer == BG_MIXER_LATENT ? y->rules.head_dim - m->config.turned_dim : 0};
    if (!norm[BG_NORM_Q].on && !norm[BG_NORM_K].on && !norm[BG_NORM_V].on && !turns && !y->rules.temperature)
        return;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        turning of_q = t, of_k = t;
        of_q.norm = &norm[BG_NORM_Q];
        of_q.heads = m->config.heads;
        of_k.norm = &norm[BG_NORM_K];
        of_k.heads = y->rules.kv_heads;
        norm_and_turn(&of_q, q->base + i * q->token, q->head, f->b->past + i);
        norm_and_turn(&of_k, k->base + i * k->token, k->head, f->b->past + i);
        turning of_v = {.norm = &norm[BG_NORM_V], .heads = y->rules.kv_heads};
        norm_heads(&of_v, v->base + i * v->token, v->head);
        float scale = y->rules.temperature ? temperature(m, f->b->past + i) : 1;
        for (int h = 0; scale != 1 && h < m->config.heads; h++)
            for (int j = 0; j < y->rules.head_dim; j++)
                q->base[i * q->token + h * q->head + j] *= scale;
    }
}

/* ---- attending ---- */

static void keep_in_cache(const bg_heads *x, int heads, int64_t d, float *cache, int64_t past, int64_t n)
{
    int64_t width = heads * d;
    for (int64_t t = 0; t < n; t++)
        for (int h = 0; h < heads; h++)
            memcpy(cache + (past + t) * width + h * d, x->base + t * x->token + h * x->head, (size_t)d * sizeof(float));
}

/* The table of the layer's rope, for a sequence that is `length` long in all. */
static void prepare_rope(const bg_flow *f, int64_t length)
{
    int turns = f->m->layers[f->layer].rules.turns, local = turns == 2;
    const bg_rope_config *r = local ? &f->m->config.rope_local : &f->m->config.rope;
    bg_rope_cache *table = &f->w->rope[local];
    if (!turns || table->key == bg_rope_key(r, length))
        return;
    bg_rope_table(r, local ? NULL : f->m->rope_divisors, length, 0, f->w->context, table->cosines, table->sines);
    table->key = bg_rope_key(r, length);
}

static void attend_sequence(const bg_flow *f, bg_heads q, bg_heads k, bg_heads v, int64_t first, int64_t n)
{
    const bg_model_config *c = &f->m->config;
    const bg_layer *y = &f->m->layers[f->layer];
    const bg_layer_rules *r = &y->rules;
    bg_workspace *w = f->w;
    int64_t past = f->b->past;
    q.base += first * q.token;
    k.base += first * k.token;
    v.base += first * v.token;
    prepare_rope(f, past + n);
    turn_heads(f, &q, &k, &v, n);
    if (f->b->cache) {
        const bg_cache_layer *cache = &f->b->cache[f->layer];
        keep_in_cache(&k, r->kv_heads, r->head_dim, cache->k, past, n);
        keep_in_cache(&v, r->kv_heads, y->value_dim, cache->v, past, n);
        k = (bg_heads){cache->k, (int64_t)r->kv_heads * r->head_dim, r->head_dim};
        v = (bg_heads){cache->v, (int64_t)r->kv_heads * y->value_dim, y->value_dim};
    }
    int64_t wide = (int64_t)c->heads * y->value_dim;
    bg_attention a = {.heads = c->heads,
                      .kv_heads = r->kv_heads,
                      .head_dim = r->head_dim,
                      .value_dim = y->value_dim,
                      .window = r->window,
                      .chunked = r->chunked && r->window,
                      .slopes = f->m->alibi,
                      .sinks = y->vector[BG_SINKS].w,
                      .scale = (float)(c->attention_scale / (c->scale_by_layer ? f->layer + 1 : 1)),
                      .cap = c->attention_cap,
                      .threads = w->threads,
                      .n = n,
                      .past = past,
                      .q = q,
                      .k = k,
                      .v = v,
                      .out = {w->heads + first * wide, wide, y->value_dim}};
    if (f->p && f->p->precision == BG_FLOAT64)
        bg_attend_ref(&a, w->scores);
    else
        bg_attend(&a, w->scores);
}

void bg_attend_block(const bg_flow *f, bg_heads q, bg_heads k, bg_heads v)
{
    int64_t first = 0;
    for (int i = 0; i < f->b->n; i++) {
        attend_sequence(f, q, k, v, first, f->b->lengths[i]);
        first += f->b->lengths[i];
    }
}

/* out ·= σ(gate): the gate stands behind each head of q. */
static void gate_heads(const bg_flow *f, const bg_heads *q)
{
    int d = f->m->layers[f->layer].rules.head_dim, heads = f->m->config.heads;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < f->n; t++)
        for (int h = 0; h < heads; h++)
            for (int j = 0; j < d; j++) {
                float gate = q->base[t * q->token + h * q->head + d + j];
                f->w->heads[(t * heads + h) * d + j] *= 1 / (1 + expf(-gate));
            }
}

int bg_mix_attention(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    bg_heads q, k, v;
    int status = project_qkv(f, x, e);
    if (status)
        return status;
    find_heads(f->m, l, f->w, &q, &k, &v);
    bg_attend_block(f, q, k, v);
    if (f->m->arch->gates_attention)
        gate_heads(f, &q);
    if (l->norm[BG_NORM_O].on)
        bg_norm_rows(&l->norm[BG_NORM_O], f->w->heads, f->n, f->w->heads);
    return bg_linear_apply(f->m, l->linear[BG_O], f->p, f->w->heads, f->n, y, f->m->config.width, f->w, e);
}

/* ---- ALiBi ---- */

int bg_alibi_make(bg_model *m, bg_err *e)
{
    int heads = m->config.heads, near = 1;
    int mpt = m->arch->alibi == BG_ALIBI_MPT;
    while (near * 2 <= heads || (mpt && near < heads))
        near *= 2;
    double most = mpt ? m->config.alibi_max : 8;
    if (!(m->alibi = malloc((size_t)heads * sizeof *m->alibi)))
        return bg_no_memory(e, "slopes", (unsigned)heads * sizeof *m->alibi);
    for (int h = 0; h < heads; h++) {
        int i = h + 1; /* of `near` slopes 2^(−most·i/near) */
        double power = most * i / near;
        if (mpt && near != heads) /* every second, then the others */
            power = most * (h < near / 2 ? 2 * i : 2 * (i - near / 2) - 1) / near;
        if (!mpt && h >= near) /* between those there are */
            power = most * (2 * (h - near) + 1) / (2 * near);
        m->alibi[h] = (float)pow(2, -power);
    }
    return BG_OK;
}
