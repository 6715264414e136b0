/* Owns a model's tensors: finding each under the names its architecture's row gives, checking shapes, reading them as
 * float32 a layer at a time. */
#include "analysis/model/work.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/gemm.h"

enum { NAME_TEXT = 256, WHOLE_NAME = NAME_TEXT + 8, READ_WEIGHTS = 1 << 18 /* weights one thread reads at a time */ };

/* ---- finding ---- */

static int find_root(const bg_ckpt *c, const bg_arch *a, const char **root, bg_err *e)
{
    char name[NAME_TEXT];
    for (int i = 0; i < 3 && a->roots[i]; i++) {
        snprintf(name, sizeof name, "%s%s.weight", a->roots[i], a->embed);
        if (bg_ckpt_find(c, name)) {
            *root = a->roots[i];
            return BG_OK;
        }
    }
    return bg_fail(e, BG_INPUT, "%s: tensor '%s%s.weight' is missing; config.json says %s", c->title, a->roots[0],
                   a->embed, a->name);
}

/* A missing tensor is an error; so is one that is not rows × cols (cols 0: a vector of `rows`). */
static int find_tensor(const bg_ckpt *c, const char *name, int64_t rows, int64_t cols, const bg_tensor **out, bg_err *e)
{
    const bg_tensor *t = bg_ckpt_find(c, name);
    if (!t)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' is missing; is the download complete?", c->title, name);
    int fits = cols ? t->rows == rows && t->cols == cols : t->rows == 1 && t->cols == rows;
    if (!fits && cols)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' is %lld × %lld; config.json needs %lld × %lld", c->title, name,
                       (long long)t->rows, (long long)t->cols, (long long)rows, (long long)cols);
    if (!fits)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' has %lld values; config.json needs %lld", c->title, name,
                       (long long)t->count, (long long)rows);
    *out = t;
    return BG_OK;
}

static int open_linear(bg_model *m, const char *stem, int has_bias, int64_t out, int64_t in, bg_linear *l, bg_err *e)
{
    char name[WHOLE_NAME];
    snprintf(name, sizeof name, "%s.weight", stem);
    int status = find_tensor(m->ckpt, name, out, in, &l->tensor, e);
    if (status)
        return status;
    l->name = l->tensor->name;
    l->out = out;
    l->in = in;
    m->parameters += (double)out * (double)in;
    if (has_bias) {
        snprintf(name, sizeof name, "%s.bias", stem);
        m->parameters += (double)out;
        status = find_tensor(m->ckpt, name, out, 0, &l->bias_tensor, e);
    }
    return status;
}

static int open_norm(bg_model *m, const char *stem, int width, bg_norm *n, bg_err *e)
{
    char name[WHOLE_NAME];
    snprintf(name, sizeof name, "%s.weight", stem);
    int status = find_tensor(m->ckpt, name, width, 0, &n->tensor, e);
    m->parameters += width;
    if (!status && m->config.norm == BG_LAYER_NORM) {
        snprintf(name, sizeof name, "%s.bias", stem);
        m->parameters += width;
        status = find_tensor(m->ckpt, name, width, 0, &n->bias_tensor, e);
    }
    return status;
}

static int open_layer(bg_model *m, const char *root, int l, bg_err *e)
{
    const bg_arch *a = m->arch;
    const bg_model_config *c = &m->config;
    int q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    const int out[BG_LINEARS] = {q, kv, kv, q + 2 * kv, c->hidden, c->inner, c->inner, c->hidden};
    const int in[BG_LINEARS] = {c->hidden, c->hidden, c->hidden, c->hidden, q, c->hidden, c->hidden, c->inner};
    const int width[BG_NORMS] = {c->hidden, c->hidden, c->hidden, c->hidden, c->head_dim, c->head_dim};
    char prefix[NAME_TEXT], number[16], stem[NAME_TEXT];
    const char *hole = strchr(a->layer, '%');
    snprintf(number, sizeof number, "%d", l);
    snprintf(prefix, sizeof prefix, "%s%.*s%s%s", root, (int)(hole - a->layer), a->layer, number, hole + 2);
    bg_layer *layer = &m->layers[l];
    int status = bg_arch_window(a, m->ckpt->config, l, &layer->window, e);
    for (int i = 0; !status && i < BG_LINEARS; i++) {
        if (!a->linears[i])
            continue;
        bg_linear *lin = layer->linear[i] = &m->linears[m->n_linears];
        lin->index = m->n_linears++;
        lin->layer = l;
        snprintf(stem, sizeof stem, "%.200s%.50s", prefix, a->linears[i]);
        status = open_linear(m, stem, bg_arch_bias(m->ckpt->config, &a->bias[i]), out[i], in[i], lin, e);
    }
    for (int i = 0; !status && i < BG_NORMS; i++) {
        if (!a->norms[i])
            continue;
        snprintf(stem, sizeof stem, "%.200s%.50s", prefix, a->norms[i]);
        status = open_norm(m, stem, width[i], &layer->norm[i], e);
    }
    return status;
}

/* The output matrix: its own tensor when the file has one, else the embedding if the config ties them. */
static int open_head(bg_model *m, bg_err *e)
{
    const bg_arch *a = m->arch;
    const bg_model_config *c = &m->config;
    char name[WHOLE_NAME];
    snprintf(name, sizeof name, "%s.weight", a->head);
    m->head.layer = -1;
    if (!c->tied || bg_ckpt_find(m->ckpt, name)) {
        m->tied_twice = c->tied;
        m->config.tied = 0;
        m->head.index = m->n_linears + 1;
        int has_bias = bg_arch_bias(m->ckpt->config, &a->head_bias);
        return open_linear(m, a->head, has_bias, c->vocab, c->embed_width, &m->head, e);
    }
    m->head = m->embed;
    return BG_OK;
}

static int open_outer(bg_model *m, const char *root, bg_err *e)
{
    const bg_arch *a = m->arch;
    const bg_model_config *c = &m->config;
    char stem[NAME_TEXT];
    m->embed.layer = m->project_in.layer = m->project_out.layer = -1;
    m->embed.index = m->n_linears;
    m->project_in.index = m->project_out.index = -1;
    snprintf(stem, sizeof stem, "%s%s", root, a->embed);
    int status = open_linear(m, stem, 0, c->vocab, c->embed_width, &m->embed, e);
    if (!status)
        status = open_head(m, e);
    if (!status && c->learned) {
        snprintf(stem, sizeof stem, "%s%s.weight", root, a->positions);
        int64_t rows = c->positions + c->learned - 1;
        m->parameters += (double)rows * c->hidden;
        status = find_tensor(m->ckpt, stem, rows, c->hidden, &m->positions_tensor, e);
    }
    if (!status && c->final_norm) {
        snprintf(stem, sizeof stem, "%s%s", root, a->final_norm);
        status = open_norm(m, stem, c->hidden, &m->final_norm, e);
    }
    if (status || c->embed_width == c->hidden)
        return status;
    if (!a->project_in)
        return bg_fail(e, BG_INPUT, "%s: config.json: embeddings of another width than the layers", m->ckpt->title);
    snprintf(stem, sizeof stem, "%s%s", root, a->project_in);
    status = open_linear(m, stem, 0, c->hidden, c->embed_width, &m->project_in, e);
    snprintf(stem, sizeof stem, "%s%s", root, a->project_out);
    return status ? status : open_linear(m, stem, 0, c->embed_width, c->hidden, &m->project_out, e);
}

int bg_model_open(const bg_ckpt *c, bg_model **out, bg_err *e)
{
    *out = NULL;
    const bg_arch *a = NULL;
    const char *root = NULL;
    bg_model_config config;
    int status = bg_arch_find(c->config, c->title, &a, e);
    if (!status)
        status = bg_arch_config(a, c->config, c->title, &config, e);
    if (!status)
        status = find_root(c, a, &root, e);
    if (status)
        return status;
    bg_model *m = calloc(1, sizeof *m);
    if (!m)
        return bg_no_memory(e, "a model", sizeof *m);
    *m = (bg_model){.ckpt = c, .arch = a, .config = config};
    m->layers = calloc((size_t)config.layers, sizeof *m->layers);
    m->linears = calloc((size_t)config.layers * BG_LINEARS, sizeof *m->linears);
    if (!m->layers || !m->linears)
        status = bg_no_memory(e, "the layers of a model", (unsigned long long)config.layers * sizeof *m->layers);
    for (int l = 0; !status && l < config.layers; l++)
        status = open_layer(m, root, l, e);
    if (!status)
        status = open_outer(m, root, e);
    /* Norms of a GGUF file hold Gemma's 1 already. */
    if (!status && c->container && !strcmp(c->container->name, "gguf") && config.norm == BG_RMS_PLUS_ONE)
        m->config.norm = BG_RMS;
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

enum { MOST_READINGS = 2 * (BG_LINEARS + BG_NORMS) }; /* of a layer, biases included */

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
static void finish_norm(const bg_model *m, bg_norm *n)
{
    for (uint64_t i = 0; m->config.norm == BG_RMS_PLUS_ONE && i < n->tensor->count; i++)
        n->w[i] += 1;
}

static int read_norm(const bg_model *m, bg_norm *n, bg_err *e)
{
    if (!n->tensor || n->w)
        return BG_OK;
    int status = read_new(n->tensor, &n->w, e);
    if (!status)
        finish_norm(m, n);
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

static void free_layer(bg_layer *layer)
{
    for (int i = 0; i < BG_LINEARS; i++)
        if (layer->linear[i])
            layer->linear[i]->w = layer->linear[i]->bias = NULL;
    for (int i = 0; i < BG_NORMS; i++)
        layer->norm[i].w = layer->norm[i].b = NULL;
    free(layer->store);
    layer->store = NULL;
}

static void want(reading *r, int *n, const bg_tensor *t, float **at)
{
    if (t)
        r[(*n)++] = (reading){t, at};
}

/* A layer's weights are one allocation, read by all threads together. */
int bg_model_load_layer(bg_model *m, int layer, bg_err *e)
{
    bg_layer *y = &m->layers[layer];
    reading r[MOST_READINGS];
    int n = 0;
    int64_t room = 0;
    if (y->store)
        return BG_OK;
    for (int i = 0; i < BG_LINEARS; i++)
        if (y->linear[i]) {
            want(r, &n, y->linear[i]->tensor, &y->linear[i]->w);
            want(r, &n, y->linear[i]->bias_tensor, &y->linear[i]->bias);
        }
    for (int i = 0; i < BG_NORMS; i++) {
        want(r, &n, y->norm[i].tensor, &y->norm[i].w);
        want(r, &n, y->norm[i].bias_tensor, &y->norm[i].b);
    }
    for (int k = 0; k < n; k++)
        room += ((int64_t)r[k].tensor->count + 15) / 16 * 16;
    y->store = bg_floats(room);
    if (!y->store)
        return bg_no_memory(e, "the weights of a layer", (unsigned long long)room * sizeof *y->store);
    float *at = y->store;
    for (int k = 0; k < n; k++) {
        *r[k].at = at;
        at += (r[k].tensor->count + 15) / 16 * 16;
    }
    int status = read_tensors(r, n, e);
    for (int i = 0; !status && i < BG_NORMS; i++)
        if (y->norm[i].tensor)
            finish_norm(m, &y->norm[i]);
    if (status)
        free_layer(y);
    return status;
}

void bg_model_drop_layer(bg_model *m, int layer)
{
    if (!m->resident)
        free_layer(&m->layers[layer]);
}

int bg_model_load_input(bg_model *m, bg_err *e)
{
    int status = read_linear(&m->project_in, e);
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
    return status ? status : read_norm(m, &m->final_norm, e);
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
    for (int l = 0; m->layers && l < m->config.layers; l++)
        free_layer(&m->layers[l]);
    if (m->config.tied)
        m->head = (bg_linear){0};
    drop_linear(&m->embed);
    drop_linear(&m->head);
    drop_linear(&m->project_in);
    drop_linear(&m->project_out);
    drop_norm(&m->final_norm);
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
