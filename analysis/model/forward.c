/* Owns the forward pass: the one loop over layers that every architecture shares. Tokens are worked on in blocks of
 * whole sequences, so that activations need memory for a block, not for the text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/rows.h"
#include "analysis/model/work.h"

enum { LOGIT_FLOATS = 6 << 20 /* of one block of logits */ };

/* ---- one layer of one block ---- */

/* h += s·y and, with a norm, x = N(h) in the same walk. */
static void add_rows(const bg_model *m, float *h, const float *y, int64_t n, const bg_norm *norm, float *x)
{
    int64_t width = m->config.width;
    float s = m->config.residual_scale;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++) {
        float *row = h + r * width;
        for (int64_t i = 0; i < width; i++)
            row[i] += s * y[r * width + i];
        if (norm && norm->on)
            bg_norm_row(norm->kind, row, norm->w, norm->b, width, norm->eps, x + r * width);
    }
}

static int mix(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    switch (f->m->layers[f->layer].rules.mixer) {
    case BG_MIXER_LATENT:
        return bg_mix_latent(f, x, y, e);
    case BG_MIXER_CONV:
        return bg_mix_conv(f, x, y, e);
    case BG_MIXER_MAMBA2:
        return bg_mix_mamba2(f, x, y, e);
    case BG_MIXER_DELTA:
        return bg_mix_delta(f, x, y, e);
    default:
        return bg_mix_attention(f, x, y, e);
    }
}

static int transform(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    return f->m->layers[f->layer].experts ? bg_mlp_experts(f, x, y, e) : bg_mlp_dense(f, x, y, e);
}

/* Gemma 3n: h + y becomes (h + A + laurel(N1 h))/√2, as far as y can do it; N1 h is still in w->x. */
static int laurel(const bg_flow *f, float *h, bg_err *e)
{
    bg_workspace *w = f->w;
    int64_t all = f->n * f->m->config.width;
    if (!f->m->layers[f->layer].linear[BG_LAUREL_LEFT])
        return BG_OK;
    int status = bg_altup_laurel(f, w->x, w->routed, e);
    float half = sqrtf(0.5f);
    for (int64_t i = 0; i < all && !status; i++) {
        w->y[i] = (h[i] + w->y[i] + w->routed[i]) * half;
        h[i] = 0;
    }
    return status;
}

/* Attention (or what stands in its place) and the MLP with their norms; h [n × D] in place. */
static int layer_body(const bg_flow *f, float *h, bg_err *e)
{
    const bg_norm *norms = f->m->layers[f->layer].norm;
    const bg_model *m = f->m;
    bg_order order = m->config.order;
    bg_workspace *w = f->w;
    int64_t n = f->n;
    const float *x = h;
    if (order != BG_ORDER_POST && norms[BG_NORM_ATTN].on) {
        bg_norm_rows(&norms[BG_NORM_ATTN], h, n, w->x);
        x = w->x;
    }
    int status = mix(f, x, w->y, e);
    if (status)
        return status;
    if (norms[BG_NORM_ATTN_OUT].on)
        bg_norm_rows(&norms[BG_NORM_ATTN_OUT], w->y, n, w->y);
    if (order == BG_ORDER_PARALLEL) { /* the MLP reads h as it was: its norm comes before the sum */
        if (norms[BG_NORM_MLP].on)
            bg_norm_rows(&norms[BG_NORM_MLP], h, n, w->x);
        add_rows(m, h, w->y, n, NULL, NULL);
    } else if (order == BG_ORDER_POST) {
        add_rows(m, h, w->y, n, &norms[BG_NORM_ATTN], h);
    } else {
        status = laurel(f, h, e);
        if (status)
            return status;
        add_rows(m, h, w->y, n, &norms[BG_NORM_MLP], w->x);
        x = norms[BG_NORM_MLP].on ? w->x : h;
    }
    if (!m->arch->linears[BG_DOWN] && !m->layers[f->layer].experts)
        return BG_OK; /* a mixer alone */
    status = transform(f, order == BG_ORDER_POST ? h : x, w->y, e);
    if (status)
        return status;
    if (norms[BG_NORM_MLP_OUT].on)
        bg_norm_rows(&norms[BG_NORM_MLP_OUT], w->y, n, w->y);
    add_rows(m, h, w->y, n, order == BG_ORDER_POST ? &norms[BG_NORM_MLP] : NULL, h);
    return BG_OK;
}

/* A layer of Gemma 3n: h [n × S·D]. */
static int stream_layer(const bg_flow *f, float *h, bg_err *e)
{
    const bg_model_config *c = &f->m->config;
    const bg_layer *l = &f->m->layers[f->layer];
    bg_workspace *w = f->w;
    int64_t D = c->width, S = c->streams;
    bg_altup_predict(f, h, w->streams, w->answer);
    int status = layer_body(f, w->answer, e);
    if (status)
        return status;
    bg_altup_correct(f, w->streams, w->answer, h);
    if (!l->linear[BG_LAYER_INPUT_GATE])
        return BG_OK;
    for (int64_t t = 0; t < f->n; t++)
        for (int64_t i = 0; i < D; i++)
            w->answer[t * D + i] = h[t * S * D + i] * (c->corrects_scale ? l->vector[BG_ALTUP_SCALE].w[i] : 1);
    status = bg_layer_input(f, w->answer, w->y, e);
    for (int64_t t = 0; t < f->n && !status; t++)
        for (int64_t s = 1; s < S; s++)
            for (int64_t i = 0; i < D; i++)
                h[(t * S + s) * D + i] += w->y[t * D + i];
    return status;
}

int bg_block_layer(const bg_model *m, int layer, const bg_block *b, const bg_pass *p, float *h, bg_workspace *w,
                   bg_err *e)
{
    bg_flow f = {.m = m, .layer = layer, .b = b, .p = p, .w = w};
    for (int i = 0; i < b->n; i++)
        f.n += b->lengths[i];
    if (m->config.streams > 1)
        return stream_layer(&f, h, e);
    int status = layer_body(&f, h, e);
    if (!status && m->layers[layer].linear[BG_LAYER_INPUT_GATE]) {
        status = bg_layer_input(&f, h, w->y, e);
        if (!status)
            add_rows(m, h, w->y, f.n, NULL, NULL);
    }
    const float *scale = m->layers[layer].vector[BG_LAYER_SCALE].w;
    for (int64_t i = 0; scale && !status && i < f.n * m->config.width; i++)
        h[i] *= *scale;
    return status;
}

int bg_model_layer(const bg_model *m, int layer, const bg_batch *b, const bg_pass *p, float *h, bg_workspace *w,
                   bg_err *e)
{
    int status = BG_OK;
    int64_t at = 0;
    for (int i = 0; !status && i < b->n;) {
        int64_t rows = b->lengths[i];
        int n = 1;
        while (i + n < b->n && rows + b->lengths[i + n] <= w->rows)
            rows += b->lengths[i + n++];
        bg_block block = {.ids = b->ids ? b->ids + at : NULL, .lengths = b->lengths + i, .n = n};
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : bg_block_layer(m, layer, &block, p, h, w, e);
        h += rows * m->config.hidden;
        at += rows;
        i += n;
    }
    return status;
}

/* ---- both ends ---- */

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
    int64_t narrow = c->embed_width, width = c->width;
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
    if (m->embed_norm.on)
        bg_norm_rows(&m->embed_norm, h, n, h);
    return c->streams > 1 ? bg_altup_spread(m, p, h, n, e) : BG_OK;
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

int bg_model_finish(const bg_model *m, const bg_pass *p, const float *h, int64_t n, float *out, bg_workspace *w,
                    bg_err *e)
{
    if (m->config.streams > 1) {
        int status = bg_altup_join(m, p, h, n, w->answer, e);
        if (status)
            return status;
        h = w->answer;
    }
    if (!m->project_out.w && !m->final_norm.on) {
        memcpy(out, h, (size_t)(n * m->config.width) * sizeof *out);
        return BG_OK;
    }
    float *normed = m->project_out.w ? w->y : out;
    if (m->final_norm.on) {
        bg_norm_rows(&m->final_norm, h, n, normed);
        h = normed;
    }
    return m->project_out.w ? bg_linear_apply(m, &m->project_out, p, h, n, out, m->config.embed_width, w, e) : BG_OK;
}

int bg_model_logits(const bg_model *m, const bg_pass *p, const float *h, int64_t n, float *logits, bg_workspace *w,
                    bg_err *e)
{
    int64_t vocab = m->config.vocab;
    int status = bg_model_finish(m, p, h, n, w->x, w, e);
    if (!status)
        status = bg_linear_apply(m, &m->head, p, w->x, n, logits, vocab, w, e);
    float scale = m->config.logit_scale;
    if (status || (!(m->config.logit_cap > 0) && scale == 1))
        return status;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++) {
        for (int64_t i = 0; scale != 1 && i < vocab; i++)
            logits[r * vocab + i] *= scale;
        if (m->config.logit_cap > 0)
            bg_soft_cap(logits + r * vocab, vocab, m->config.logit_cap);
    }
    return BG_OK;
}

int64_t bg_model_logit_rows(const bg_model *m, const bg_workspace *w)
{
    int64_t rows = LOGIT_FLOATS / m->config.vocab;
    rows = rows < 16 ? 16 : rows > 512 ? 512 : rows;
    return rows < w->rows ? rows : w->rows;
}

static int stream_logits(const bg_model *m, const bg_pass *p, const float *h, int64_t tokens, bg_logits_sink sink,
                         void *self, bg_workspace *w, bg_err *e)
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
    bg_workspace *w = NULL;
    float *h = NULL;
    int status = bg_model_check(m, b, e);
    if (!status)
        status = bg_workspace_for(m, b, &w, e);
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
    bg_workspace_close(w);
    return status;
}
