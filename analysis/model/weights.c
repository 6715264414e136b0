/* Owns a model's weights: reading them as float32, a layer at a time. */
#include "analysis/model/work.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/gemm.h"

enum { READ_WEIGHTS = 1 << 18 /* weights one thread reads at a time */ };

int bg_model_open(const bg_ckpt *c, bg_model **out, bg_err *e)
{
    *out = NULL;
    const bg_arch *a = NULL;
    bg_model_config config;
    int status = bg_arch_find(c->config, c->title, &a, e);
    if (!status)
        status = bg_arch_config(a, c->config, c->title, &config, e);
    if (status)
        return status;
    bg_model *m = calloc(1, sizeof *m);
    if (!m)
        return bg_no_memory(e, "a model", sizeof *m);
    *m = (bg_model){.ckpt = c, .arch = a, .config = config, .settings = bg_arch_text(c->config)};
    m->layers = calloc((size_t)config.layers, sizeof *m->layers);
    m->linears = calloc((size_t)c->n_tensors + 2, sizeof *m->linears); /* each needs a tensor of its own */
    if (!m->layers || !m->linears)
        status = bg_no_memory(e, "the layers of a model", (unsigned long long)config.layers * sizeof *m->layers);
    if (!status)
        status = bg_bind(m, e);
    if (!status && a->alibi)
        status = bg_alibi_make(m, e);
    if (status)
        bg_model_close(m);
    else
        *out = m;
    return status;
}

/* ---- reading ---- */

/* A tensor and where its values go. */
typedef struct reading {
    const bg_tensor *tensor;
    float **at;
} reading;

static int64_t tile_rows(const bg_tensor *t)
{
    int64_t rows = READ_WEIGHTS / (t->cols ? t->cols : 1);
    return rows < 1 ? 1 : rows;
}

static int64_t tiles_of(const bg_tensor *t)
{
    return (t->rows + tile_rows(t) - 1) / tile_rows(t);
}

static int read_tile(const reading *r, int64_t tile, bg_err *e)
{
    const bg_tensor *t = r->tensor;
    int64_t first = tile * tile_rows(t), n = t->rows - first < tile_rows(t) ? t->rows - first : tile_rows(t);
    return bg_tensor_rows(t, first, n, *r->at + first * t->cols, e);
}

/* Tiles of all the tensors together, so that small tensors keep every thread busy too. */
static int read_tensors(const reading *r, int count, bg_err *e)
{
    int64_t tiles = 0;
    int status = BG_OK;
    for (int k = 0; k < count; k++)
        tiles += tiles_of(r[k].tensor);
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < tiles; i++) {
        bg_err mine = {0};
        int64_t tile = i;
        int k = 0;
        for (; tiles_of(r[k].tensor) <= tile; k++)
            tile -= tiles_of(r[k].tensor);
        int s = read_tile(&r[k], tile, &mine);
        if (s) {
#pragma omp critical(bg_model_read)
            if (!status) {
                status = s;
                *e = mine;
            }
        }
    }
    return status;
}

static int read_new(const bg_tensor *t, float **out, bg_err *e)
{
    if (!t || *out)
        return BG_OK;
    *out = bg_floats((int64_t)t->count);
    if (!*out)
        return bg_no_memory(e, t->name, t->count * sizeof **out);
    int status = read_tensors(&(reading){t, out}, 1, e);
    if (status) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static int read_linear(bg_linear *l, bg_err *e)
{
    int status = read_new(l->tensor, &l->w, e);
    return status ? status : read_new(l->bias_tensor, &l->bias, e);
}

/* Gemma's norms multiply by 1 + w. */
static void finish_norm(bg_norm *n)
{
    int adds = n->tensor && (n->kind == BG_RMS_PLUS_ONE || n->kind == BG_LAYER_NORM_PLUS_ONE);
    for (int64_t i = 0; adds && i < n->width; i++)
        n->w[i] += 1;
}

static int read_norm(bg_norm *n, bg_err *e)
{
    if (!n->tensor || n->w)
        return BG_OK;
    int status = read_new(n->tensor, &n->w, e);
    if (!status)
        finish_norm(n);
    return status ? status : read_new(n->bias_tensor, &n->b, e);
}

static void drop_linear(bg_linear *l)
{
    free(l->w);
    free(l->bias);
    l->w = l->bias = NULL;
}

static void drop_norm(bg_norm *n)
{
    free(n->w);
    free(n->b);
    n->w = n->b = NULL;
}

static void free_layer(bg_model *m, bg_layer *layer)
{
    for (int i = 0; i < layer->n_linears; i++)
        m->linears[layer->first + i].w = m->linears[layer->first + i].bias = NULL;
    for (int i = 0; i < BG_NORMS; i++)
        layer->norm[i].w = layer->norm[i].b = NULL;
    for (int i = 0; i < BG_VECTORS; i++)
        layer->vector[i].w = NULL;
    free(layer->store);
    layer->store = NULL;
}

static void want(reading *r, int *n, const bg_tensor *t, float **at)
{
    if (t)
        r[(*n)++] = (reading){t, at};
}

/* All the tensors of a layer and where they go; r has room for them. */
static int list_readings(bg_model *m, bg_layer *y, reading *r)
{
    int n = 0;
    for (int i = 0; i < y->n_linears; i++) {
        bg_linear *l = &m->linears[y->first + i];
        want(r, &n, l->tensor, &l->w);
        want(r, &n, l->bias_tensor, &l->bias);
    }
    for (int i = 0; i < BG_NORMS; i++) {
        want(r, &n, y->norm[i].tensor, &y->norm[i].w);
        want(r, &n, y->norm[i].bias_tensor, &y->norm[i].b);
    }
    for (int i = 0; i < BG_VECTORS; i++)
        want(r, &n, y->vector[i].tensor, &y->vector[i].w);
    return n;
}

/* A layer's weights are one allocation, read by all threads together. */
int bg_model_load_layer(bg_model *m, int layer, bg_err *e)
{
    bg_layer *y = &m->layers[layer];
    int64_t room = 0;
    if (y->store)
        return BG_OK;
    reading *r = malloc((size_t)(2 * (y->n_linears + BG_NORMS) + BG_VECTORS) * sizeof *r);
    if (!r)
        return bg_no_memory(e, "the weights of a layer", (size_t)y->n_linears * sizeof *r);
    int n = list_readings(m, y, r), status = BG_OK;
    for (int k = 0; k < n; k++)
        room += ((int64_t)r[k].tensor->count + 15) / 16 * 16;
    float *at = y->store = bg_floats(room);
    if (!at)
        status = bg_no_memory(e, "the weights of a layer", (unsigned long long)room * sizeof *y->store);
    for (int k = 0; at && k < n; k++) {
        *r[k].at = at;
        at += (r[k].tensor->count + 15) / 16 * 16;
    }
    if (!status)
        status = read_tensors(r, n, e);
    for (int i = 0; !status && i < BG_NORMS; i++)
        finish_norm(&y->norm[i]);
    if (status)
        free_layer(m, y);
    free(r);
    return status;
}

void bg_model_drop_layer(bg_model *m, int layer)
{
    if (!m->resident)
        free_layer(m, &m->layers[layer]);
}

int bg_model_load_input(bg_model *m, bg_err *e)
{
    int status = read_linear(&m->project_in, e);
    if (!status)
        status = read_norm(&m->embed_norm, e);
    if (!status)
        status = read_norm(&m->layer_input_norm, e);
    for (int i = 0; i < m->config.streams - 1 && !status; i++)
        status = read_linear(&m->altup_in[i], e);
    if (!status)
        status = read_new(m->positions_tensor, &m->positions, e);
    const bg_tensor *divisors = bg_ckpt_find(m->ckpt, "rope_freqs.weight");
    if (!status && divisors && m->config.rope.kind && !m->rope_divisors) {
        if (divisors->count != (uint64_t)m->config.rope.dims / 2)
            return bg_fail(e, BG_INPUT, "%s: tensor '%s' has %llu values; heads turn in %d pairs", m->ckpt->title,
                           divisors->name, (unsigned long long)divisors->count, m->config.rope.dims / 2);
        status = read_new(divisors, &m->rope_divisors, e);
    }
    return status;
}

int bg_model_load_outer(bg_model *m, bg_err *e)
{
    int status = read_linear(&m->embed, e);
    if (!status && m->config.tied)
        m->head.w = m->embed.w;
    else if (!status)
        status = read_linear(&m->head, e);
    if (!status && m->tied_twice) { /* what transformers 5 does: the file's matrix counts */
        if (memcmp(m->head.w, m->embed.w, m->embed.tensor->count * sizeof(float)))
            bg_warn(
                "%s: config.json ties the output matrix to the embedding, but '%s' differs from it; the file's is used",
                m->ckpt->title, m->head.name);
        m->tied_twice = 0;
    }
    if (!status)
        status = bg_model_load_input(m, e);
    if (!status)
        status = read_linear(&m->project_out, e);
    for (int i = 0; i < m->config.streams - 1 && !status; i++)
        status = read_linear(&m->altup_out[i], e);
    return status ? status : read_norm(&m->final_norm, e);
}

int bg_model_load(bg_model *m, bg_err *e)
{
    int status = bg_model_load_outer(m, e);
    for (int l = 0; !status && l < m->config.layers; l++)
        status = bg_model_load_layer(m, l, e);
    if (!status)
        m->resident = 1;
    return status;
}

void bg_model_close(bg_model *m)
{
    if (!m)
        return;
    for (int l = 0; m->layers && m->linears && l < m->config.layers; l++)
        free_layer(m, &m->layers[l]);
    if (m->config.tied)
        m->head = (bg_linear){0};
    drop_linear(&m->embed);
    drop_linear(&m->head);
    drop_linear(&m->project_in);
    drop_linear(&m->project_out);
    drop_norm(&m->final_norm);
    drop_norm(&m->embed_norm);
    drop_norm(&m->layer_input_norm);
    for (int i = 0; i < BG_MOST_STREAMS; i++) {
        drop_linear(&m->altup_in[i]);
        drop_linear(&m->altup_out[i]);
    }
    free(m->alibi);
    free(m->positions);
    free(m->rope_divisors);
    free(m->layers);
    free(m->linears);
    free(m);
}

/* ---- asking ---- */

const bg_linear *bg_model_find(const bg_model *m, const char *name)
{
    for (int i = 0; i < m->n_linears; i++)
        if (!strcmp(m->linears[i].name, name))
            return &m->linears[i];
    const bg_linear *outer[] = {&m->embed, &m->head, &m->project_in, &m->project_out};
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++)
        if (outer[i]->name && !strcmp(outer[i]->name, name))
            return outer[i];
    return NULL;
}

int bg_model_context(const bg_model *m)
{
    const bg_rope_config *r = &m->config.rope;
    if (!m->config.positions || (r->kind && r->scaling == BG_ROPE_DYNAMIC))
        return INT_MAX;
    double stretched = m->config.positions;
    if (r->kind && (r->scaling == BG_ROPE_LINEAR || r->scaling == BG_ROPE_YARN))
        stretched *= r->factor > 1 ? r->factor : 1;
    return stretched < INT_MAX ? (int)stretched : INT_MAX;
}
