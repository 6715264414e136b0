/* Owns the forward pass: the one loop over layers that every architecture shares. Tokens are worked on in blocks of
 * whole sequences, so that activations need memory for a block, not for the text. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/attention.h"
#include "analysis/model/rows.h"
#include "analysis/model/work.h"

enum {
    BLOCK_ROWS = 1024,      /* tokens in a block: products are efficient, activations fit the cache's next level */
    LOGIT_FLOATS = 6 << 20, /* of one block of logits */
};

/* ---- scratch ---- */

int bg_work_open(const bg_model *m, int64_t rows, int64_t context, bg_work **out, bg_err *e)
{
    const bg_model_config *c = &m->config;
    int64_t q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    int64_t wide = c->hidden > c->embed_width ? c->hidden : c->embed_width;
    *out = NULL;
    bg_work *w = calloc(1, sizeof *w);
    if (!w)
        return bg_no_memory(e, "scratch", sizeof *w);
    *w = (bg_work){.rows = rows, .context = context, .rope_key = -1, .threads = omp_get_max_threads()};
    struct {
        float **at;
        int64_t n;
    } rooms[] = {{&w->x, rows * wide},
                 {&w->y, rows * wide},
                 {&w->qkv, rows * (q + 2 * kv)},
                 {&w->heads, rows * q},
                 {&w->up, rows * c->inner},
                 {&w->gate, c->gated ? rows * c->inner : 0},
                 {&w->cosines, context * c->rope.dims / 2},
                 {&w->sines, context * c->rope.dims / 2},
                 {&w->scores, (int64_t)w->threads * BG_ATTENTION_TILE * context}};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        if (!(*rooms[i].at = bg_floats(rooms[i].n))) {
            bg_work_close(w);
            return bg_no_memory(e, "activations", (unsigned long long)rooms[i].n * sizeof(float));
        }
    *out = w;
    return BG_OK;
}

int bg_work_for(const bg_model *m, const bg_batch *b, bg_work **out, bg_err *e)
{
    int64_t longest = 1, rows, all = bg_batch_tokens(b);
    for (int i = 0; i < b->n; i++)
        longest = b->lengths[i] > longest ? b->lengths[i] : longest;
    rows = longest > BLOCK_ROWS ? longest : BLOCK_ROWS;
    rows = all < rows ? all : rows;
    return bg_work_open(m, rows > 0 ? rows : 1, longest, out, e);
}

void bg_work_close(bg_work *w)
{
    if (!w)
        return;
    float *rooms[] = {w->x, w->y, w->qkv, w->heads, w->up, w->gate, w->cosines, w->sines, w->scores, w->input};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++)
        free(rooms[i]);
    free(w);
}

int bg_work_sequences(const bg_work *w, int length)
{
    return w->rows > length ? (int)(w->rows / length) : 1;
}

/* ---- one layer of one block ---- */

static void norm_rows(const bg_model *m, const bg_norm *norm, const float *x, int64_t n, float *y)
{
    int64_t width = m->config.hidden;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++)
        bg_norm_row(m->config.norm, x + r * width, norm->w, norm->b, width, m->config.eps, y + r * width);
}

/* h += y and, with a norm, x = N(h) in the same walk. */
static void add_rows(const bg_model *m, float *h, const float *y, int64_t n, const bg_norm *norm, float *x)
{
    int64_t width = m->config.hidden;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++) {
        float *row = h + r * width;
        for (int64_t i = 0; i < width; i++)
            row[i] += y[r * width + i];
        if (norm)
            bg_norm_row(m->config.norm, row, norm->w, norm->b, width, m->config.eps, x + r * width);
    }
}

static int64_t qkv_width(const bg_model_config *c)
{
    return (int64_t)(c->heads + 2 * c->kv_heads) * c->head_dim;
}

/* Where q, k and v of the block's first token stand in w->qkv. */
static void find_heads(const bg_model_config *c, bg_work *w, bg_heads *q, bg_heads *k, bg_heads *v)
{
    int64_t d = c->head_dim, width = qkv_width(c);
    if (c->qkv == BG_QKV_HEADS) {
        *q = (bg_heads){w->qkv, width, 3 * d};
        *k = (bg_heads){w->qkv + d, width, 3 * d};
        *v = (bg_heads){w->qkv + 2 * d, width, 3 * d};
    } else {
        *q = (bg_heads){w->qkv, width, d};
        *k = (bg_heads){w->qkv + c->heads * d, width, d};
        *v = (bg_heads){w->qkv + (c->heads + c->kv_heads) * d, width, d};
    }
}

static int project_qkv(const bg_model *m, const bg_layer *y, const bg_pass *p, const float *x, int64_t n, bg_work *w,
                       bg_err *e)
{
    const bg_model_config *c = &m->config;
    int64_t width = qkv_width(c), at = 0;
    bg_output to[3];
    if (c->qkv != BG_QKV_SEPARATE)
        return bg_linear_apply(m, y->linear[BG_QKV], p, x, n, w->qkv, width, w, e);
    for (int i = BG_Q; i <= BG_V; i++) {
        to[i - BG_Q] = (bg_output){y->linear[i], w->qkv + at, width};
        at += y->linear[i]->out;
    }
    return bg_linears_apply(m, to, 3, p, x, n, w, e);
}

/* Qwen3's norm of each head, then the rotation, of one token that stands at `position`. */
static void norm_and_turn(const bg_model *m, const bg_norm *norm, float *token, int64_t apart, int n_heads,
                          int64_t position, const bg_work *w)
{
    const bg_model_config *c = &m->config;
    int half = c->rope.dims / 2;
    for (int h = 0; h < n_heads; h++) {
        float *head = token + h * apart;
        if (norm->w)
            bg_norm_row(c->norm, head, norm->w, norm->b, c->head_dim, c->eps, head);
        if (c->rope.kind)
            bg_rope_turn(&c->rope, w->cosines + position * half, w->sines + position * half, head);
    }
}

static void turn_heads(const bg_model *m, const bg_layer *y, const bg_heads *q, const bg_heads *k, int64_t n,
                       int64_t past, const bg_work *w)
{
    const bg_model_config *c = &m->config;
    const bg_norm *norm = y->norm;
    if (!norm[BG_NORM_Q].w && !norm[BG_NORM_K].w && !c->rope.kind)
        return;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < n; t++) {
        norm_and_turn(m, &norm[BG_NORM_Q], q->base + t * q->token, q->head, c->heads, past + t, w);
        norm_and_turn(m, &norm[BG_NORM_K], k->base + t * k->token, k->head, c->kv_heads, past + t, w);
    }
}

static void keep_in_cache(const bg_model_config *c, const bg_heads *x, float *cache, int64_t past, int64_t n)
{
    int64_t d = c->head_dim, width = c->kv_heads * d;
    for (int64_t t = 0; t < n; t++)
        for (int h = 0; h < c->kv_heads; h++)
            memcpy(cache + (past + t) * width + h * d, x->base + t * x->token + h * x->head, (size_t)d * sizeof(float));
}

static void attend_sequence(const bg_model *m, int layer, const bg_block *b, int64_t first, int64_t n, const bg_pass *p,
                            bg_work *w)
{
    const bg_model_config *c = &m->config;
    const bg_layer *y = &m->layers[layer];
    bg_heads q, k, v;
    find_heads(c, w, &q, &k, &v);
    q.base += first * q.token;
    k.base += first * k.token;
    v.base += first * v.token;
    if (c->rope.kind && w->rope_key != bg_rope_key(&c->rope, b->past + n)) {
        bg_rope_table(&c->rope, m->rope_divisors, b->past + n, 0, w->context, w->cosines, w->sines);
        w->rope_key = bg_rope_key(&c->rope, b->past + n);
    }
    turn_heads(m, y, &q, &k, n, b->past, w);
    if (b->cache) {
        const bg_cache_layer *cache = &b->cache[layer];
        int64_t width = (int64_t)c->kv_heads * c->head_dim;
        keep_in_cache(c, &k, cache->k, b->past, n);
        keep_in_cache(c, &v, cache->v, b->past, n);
        k = (bg_heads){cache->k, width, c->head_dim};
        v = (bg_heads){cache->v, width, c->head_dim};
    }
    int64_t wide = (int64_t)c->heads * c->head_dim;
    bg_attention a = {.heads = c->heads,
                      .kv_heads = c->kv_heads,
                      .head_dim = c->head_dim,
                      .window = y->window,
                      .scale = (float)(c->attention_scale / (c->scale_by_layer ? layer + 1 : 1)),
                      .cap = c->attention_cap,
                      .threads = w->threads,
                      .n = n,
                      .past = b->past,
                      .q = q,
                      .k = k,
                      .v = v,
                      .out = {w->heads + first * wide, wide, c->head_dim}};
    if (p && p->precision == BG_FLOAT64)
        bg_attend_ref(&a, w->scores);
    else
        bg_attend(&a, w->scores);
}

/* y = A(x) */
static int attention(const bg_model *m, int layer, const bg_block *b, int64_t n, const bg_pass *p, const float *x,
                     float *y, bg_work *w, bg_err *e)
{
    const bg_layer *l = &m->layers[layer];
    int status = project_qkv(m, l, p, x, n, w, e);
    int64_t first = 0;
    for (int i = 0; !status && i < b->n; i++) {
        attend_sequence(m, layer, b, first, b->lengths[i], p, w);
        first += b->lengths[i];
    }
    return status ? status : bg_linear_apply(m, l->linear[BG_O], p, w->heads, n, y, m->config.hidden, w, e);
}

/* y = M(x) */
static int mlp(const bg_model *m, int layer, int64_t n, const bg_pass *p, const float *x, float *y, bg_work *w,
               bg_err *e)
{
    const bg_layer *l = &m->layers[layer];
    int64_t inner = m->config.inner;
    const bg_output to[2] = {{l->linear[BG_UP], w->up, inner}, {l->linear[BG_GATE], w->gate, inner}};
    int status = bg_linears_apply(m, to, m->config.gated ? 2 : 1, p, x, n, w, e);
    if (status)
        return status;
    float *inside = m->config.gated ? w->gate : w->up;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++)
        bg_activate(m->config.activation, inside + r * inner, m->config.gated ? w->up + r * inner : NULL, inner);
    return bg_linear_apply(m, l->linear[BG_DOWN], p, inside, n, y, m->config.hidden, w, e);
}

int bg_block_layer(const bg_model *m, int layer, const bg_block *b, const bg_pass *p, float *h, bg_work *w, bg_err *e)
{
    const bg_layer *l = &m->layers[layer];
    const bg_norm *norms = l->norm;
    bg_order order = m->config.order;
    int64_t n = 0;
    for (int i = 0; i < b->n; i++)
        n += b->lengths[i];
    if (order != BG_ORDER_POST)
        norm_rows(m, &norms[BG_NORM_ATTN], h, n, w->x);
    int status = attention(m, layer, b, n, p, order == BG_ORDER_POST ? h : w->x, w->y, w, e);
    if (status)
        return status;
    if (norms[BG_NORM_ATTN_OUT].w)
        norm_rows(m, &norms[BG_NORM_ATTN_OUT], w->y, n, w->y);
    if (order == BG_ORDER_PARALLEL) { /* the MLP reads h as it was: its norm comes before the sum */
        if (norms[BG_NORM_MLP].w)
            norm_rows(m, &norms[BG_NORM_MLP], h, n, w->x);
        add_rows(m, h, w->y, n, NULL, NULL);
    } else if (order == BG_ORDER_POST) {
        add_rows(m, h, w->y, n, &norms[BG_NORM_ATTN], h);
    } else {
        add_rows(m, h, w->y, n, &norms[BG_NORM_MLP], w->x);
    }
    status = mlp(m, layer, n, p, order == BG_ORDER_POST ? h : w->x, w->y, w, e);
    if (status)
        return status;
    if (norms[BG_NORM_MLP_OUT].w)
        norm_rows(m, &norms[BG_NORM_MLP_OUT], w->y, n, w->y);
    add_rows(m, h, w->y, n, order == BG_ORDER_POST ? &norms[BG_NORM_MLP] : NULL, h);
    return BG_OK;
}

int bg_model_layer(const bg_model *m, int layer, const bg_batch *b, const bg_pass *p, float *h, bg_work *w, bg_err *e)
{
    int status = BG_OK;
    for (int i = 0; !status && i < b->n;) {
        int64_t rows = b->lengths[i];
        int n = 1;
        while (i + n < b->n && rows + b->lengths[i + n] <= w->rows)
            rows += b->lengths[i + n++];
        bg_block block = {.lengths = b->lengths + i, .n = n};
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : bg_block_layer(m, layer, &block, p, h, w, e);
        h += rows * m->config.hidden;
        i += n;
    }
    return status;
}

/* ---- both ends ---- */

int64_t bg_batch_tokens(const bg_batch *b)
{
    int64_t n = 0;
    for (int i = 0; i < b->n; i++)
        n += b->lengths[i];
    return n;
}

int bg_model_check(const bg_model *m, const bg_batch *b, bg_err *e)
{
    int most = bg_model_context(m);
    int64_t at = 0;
    for (int i = 0; i < b->n; i++) {
        if (b->lengths[i] < 1)
            return bg_fail(e, BG_INPUT, "sequence %d is empty: there is nothing to run", i);
        if (b->lengths[i] > most)
            return bg_fail(e, BG_INPUT,
                           "a sequence of %d tokens is longer than the model's context of %d; shorten the text "
                           "or cut it into windows",
                           b->lengths[i], most);
        for (int j = 0; j < b->lengths[i]; j++, at++)
            if (b->ids[at] < 0 || b->ids[at] >= m->config.vocab)
                return bg_fail(e, BG_INPUT, "token id %d is outside the model's vocabulary of %d", b->ids[at],
                               m->config.vocab);
    }
    return b->n ? BG_OK : bg_fail(e, BG_INPUT, "no tokens: there is nothing to run");
}

int bg_block_embed(const bg_model *m, const int32_t *ids, int64_t n, int64_t past, const bg_pass *p, float *h,
                   bg_err *e)
{
    const bg_model_config *c = &m->config;
    const float *table = p && p->weights && p->weights[m->embed.index] ? p->weights[m->embed.index] : m->embed.w;
    int64_t narrow = c->embed_width, width = c->hidden;
    float *rows = h;
    int status = BG_OK;
    if (m->project_in.w && !(rows = bg_floats(n * narrow)))
        return bg_no_memory(e, "embeddings", (unsigned long long)(n * narrow) * sizeof *rows);
    for (int64_t t = 0; t < n && !status; t++)
        if (table)
            memcpy(rows + t * narrow, table + ids[t] * narrow, (size_t)narrow * sizeof *rows);
        else
            status = bg_tensor_rows(m->embed.tensor, ids[t], 1, rows + t * narrow, e);
    if (rows != h && !status)
        status = bg_linear_apply(m, &m->project_in, p, rows, n, h, width, NULL, e);
    if (rows != h)
        free(rows);
    if (status)
        return status;
#pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < width; i++) {
            float *x = h + t * width + i;
            *x *= c->embedding_scale;
            if (m->positions)
                *x += m->positions[(past + t + c->learned - 1) * width + i];
        }
    return BG_OK;
}

int bg_model_embed(const bg_model *m, const bg_batch *b, const bg_pass *p, float *h, bg_err *e)
{
    int64_t at = 0;
    int status = BG_OK;
    for (int i = 0; !status && i < b->n; i++) {
        status = bg_block_embed(m, b->ids + at, b->lengths[i], 0, p, h + at * m->config.hidden, e);
        at += b->lengths[i];
    }
    return status;
}

int bg_model_finish(const bg_model *m, const bg_pass *p, const float *h, int64_t n, float *out, bg_work *w, bg_err *e)
{
    if (!m->project_out.w && !m->final_norm.w) {
        memcpy(out, h, (size_t)(n * m->config.hidden) * sizeof *out);
        return BG_OK;
    }
    float *normed = m->project_out.w ? w->y : out;
    if (m->final_norm.w) {
        norm_rows(m, &m->final_norm, h, n, normed);
        h = normed;
    }
    return m->project_out.w ? bg_linear_apply(m, &m->project_out, p, h, n, out, m->config.embed_width, w, e) : BG_OK;
}

int bg_model_logits(const bg_model *m, const bg_pass *p, const float *h, int64_t n, float *logits, bg_work *w,
                    bg_err *e)
{
    int64_t vocab = m->config.vocab;
    int status = bg_model_finish(m, p, h, n, w->x, w, e);
    if (!status)
        status = bg_linear_apply(m, &m->head, p, w->x, n, logits, vocab, w, e);
    if (status || !(m->config.logit_cap > 0))
        return status;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++)
        bg_soft_cap(logits + r * vocab, vocab, m->config.logit_cap);
    return BG_OK;
}

int64_t bg_model_logit_rows(const bg_model *m, const bg_work *w)
{
    int64_t rows = LOGIT_FLOATS / m->config.vocab;
    rows = rows < 16 ? 16 : rows > 512 ? 512 : rows;
    return rows < w->rows ? rows : w->rows;
}

static int stream_logits(const bg_model *m, const bg_pass *p, const float *h, int64_t tokens, bg_logits_sink sink,
                         void *self, bg_work *w, bg_err *e)
{
    int64_t rows = bg_model_logit_rows(m, w);
    float *logits = bg_floats(rows * m->config.vocab);
    if (!logits)
        return bg_no_memory(e, "logits", (unsigned long long)(rows * m->config.vocab) * sizeof *logits);
    int status = BG_OK;
    for (int64_t first = 0; !status && first < tokens; first += rows) {
        int64_t n = tokens - first < rows ? tokens - first : rows;
        status = bg_model_logits(m, p, h + first * m->config.hidden, n, logits, w, e);
        if (!status)
            status = sink(self, first, n, logits, e);
    }
    free(logits);
    return status;
}

int bg_model_forward(bg_model *m, const bg_batch *b, const bg_pass *p, bg_logits_sink sink, void *self, bg_err *e)
{
    int64_t tokens = bg_batch_tokens(b);
    bg_work *w = NULL;
    float *h = NULL;
    int status = bg_model_check(m, b, e);
    if (!status)
        status = bg_work_for(m, b, &w, e);
    if (!status)
        status = bg_model_load_outer(m, e);
    if (!status && !(h = bg_floats(tokens * m->config.hidden)))
        status = bg_no_memory(e, "hidden states", (unsigned long long)(tokens * m->config.hidden) * sizeof *h);
    if (!status)
        status = bg_model_embed(m, b, p, h, e);
    for (int l = 0; !status && l < m->config.layers; l++) {
        status = bg_model_load_layer(m, l, e);
        if (!status)
            status = bg_model_layer(m, l, b, p, h, w, e);
        bg_model_drop_layer(m, l);
    }
    if (!status)
        status = stream_logits(m, p, h, tokens, sink, self, w, e);
    free(h);
    bg_work_close(w);
    return status;
}
