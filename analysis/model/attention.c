/* Owns attention (Vaswani et al. 2017, with grouped key/value heads, Ainslie et al. 2023). A task is one head and one
 * tile of queries: scores by one product with the keys the tile can see, softmax in place, one product with the values.
 */
#include "analysis/model/attention.h"

#include <omp.h>
#include <string.h>
#include "analysis/model/rows.h"
#include "quant/kernel/gemm.h"
#include "quant/kernel/product.h"

typedef struct tile {
    int64_t first, rows; /* queries, counted in this call */
    int64_t key, keys;   /* keys that any of them sees */
    int head, kv;
} tile;

static int64_t first_key(const bg_attention *a, int64_t position)
{
    if (a->chunked)
        return position - position % a->window;
    return a->window && position >= a->window ? position - a->window + 1 : 0;
}

static tile tile_at(const bg_attention *a, int64_t i)
{
    tile t = {.head = (int)(i % a->heads), .first = i / a->heads * BG_ATTENTION_TILE};
    t.rows = a->n - t.first < BG_ATTENTION_TILE ? a->n - t.first : BG_ATTENTION_TILE;
    t.key = first_key(a, a->past + t.first);
    t.keys = a->past + t.first + t.rows - t.key;
    t.kv = t.head / (a->heads / a->kv_heads);
    return t;
}

static int64_t tile_count(const bg_attention *a)
{
    return (a->n + BG_ATTENTION_TILE - 1) / BG_ATTENTION_TILE * a->heads;
}

static float *at(const bg_heads *h, int64_t token, int head)
{
    return h->base + token * h->token + head * h->head;
}

/* ALiBi: the last key is the query's own. */
static void slope(float *x, int64_t n, float by)
{
    for (int64_t i = 0; i < n; i++)
        x[i] += by * (float)(i + 1 - n);
}

/* Scores become weights: rows of s, of which each sees its own part. */
static void weigh(const bg_attention *a, const tile *t, float *s)
{
    for (int64_t r = 0; r < t->rows; r++) {
        int64_t position = a->past + t->first + r, low = first_key(a, position) - t->key;
        int64_t high = position + 1 - t->key;
        float *row = s + r * t->keys;
        if (a->cap > 0)
            bg_soft_cap(row + low, high - low, a->cap);
        if (a->slopes)
            slope(row + low, high - low, a->slopes[t->head]);
        if (a->sinks)
            bg_softmax_sink_row(row + low, high - low, a->sinks[t->head]);
        else
            bg_softmax_row(row + low, high - low, 1);
        memset(row, 0, (size_t)low * sizeof *row);
        memset(row + high, 0, (size_t)(t->keys - high) * sizeof *row);
    }
}

static void attend_tile(const bg_attention *a, const tile *t, float *s)
{
    int d = a->head_dim;
    bg_sgemm((bg_product_shape){t->rows, t->keys, d}, a->scale,
             (bg_s_operand){at(&a->q, t->first, t->head), a->q.token, 1},
             (bg_s_operand){at(&a->k, t->key, t->kv), 1, a->k.token}, 0, s, t->keys);
    weigh(a, t, s);
    bg_sgemm((bg_product_shape){t->rows, a->value_dim, t->keys}, 1, (bg_s_operand){s, t->keys, 1},
             (bg_s_operand){at(&a->v, t->key, t->kv), a->v.token, 1}, 0, at(&a->out, t->first, t->head), a->out.token);
}

/* A single query, as generation has them: keys and values are read once, and packing them would cost more than the
 * products. */
static void attend_query(const bg_attention *a, const tile *t, float *s)
{
    enum { TOGETHER = 4 }; /* values for one pass over the output */
    int d = a->value_dim;
    const float *q = at(&a->q, t->first, t->head), *v = at(&a->v, t->key, t->kv);
    float *out = at(&a->out, t->first, t->head);
    bg_dots(t->keys, a->head_dim, q, at(&a->k, t->key, t->kv), a->k.token, s);
    for (int64_t r = 0; r < t->keys; r++)
        s[r] *= a->scale;
    weigh(a, t, s);
    memset(out, 0, (size_t)d * sizeof *out);
    int64_t r = 0, step = a->v.token;
    for (; r + TOGETHER <= t->keys; r += TOGETHER, v += TOGETHER * step)
        for (int j = 0; j < d; j++)
            out[j] +=
                (s[r] * v[j] + s[r + 1] * v[step + j]) + (s[r + 2] * v[2 * step + j] + s[r + 3] * v[3 * step + j]);
    for (; r < t->keys; r++, v += step)
        for (int j = 0; j < d; j++)
            out[j] += s[r] * v[j];
}

void bg_attend(const bg_attention *a, float *scratch)
{
    int64_t tiles = tile_count(a), room = BG_ATTENTION_TILE * (a->past + a->n);
#pragma omp parallel for schedule(dynamic) num_threads(a->threads)
    for (int64_t i = 0; i < tiles; i++) {
        tile t = tile_at(a, tiles - 1 - i); /* the longest first */
        (t.rows == 1 ? attend_query : attend_tile)(a, &t, scratch + omp_get_thread_num() * room);
    }
}

static void attend_one_ref(const bg_attention *a, int64_t query, int head, float *s)
{
    int64_t low = first_key(a, a->past + query), keys = a->past + query + 1 - low;
    int kv = head / (a->heads / a->kv_heads);
    const float *q = at(&a->q, query, head);
    float *out = at(&a->out, query, head);
    for (int64_t r = 0; r < keys; r++) {
        const float *k = at(&a->k, low + r, kv);
        double sum = 0;
        for (int j = 0; j < a->head_dim; j++)
            sum += (double)q[j] * (double)k[j];
        s[r] = (float)(sum * (double)a->scale);
    }
    if (a->cap > 0)
        bg_soft_cap(s, keys, a->cap);
    if (a->slopes)
        slope(s, keys, a->slopes[head]);
    if (a->sinks)
        bg_softmax_sink_row(s, keys, a->sinks[head]);
    else
        bg_softmax_row_ref(s, keys, 1);
    for (int j = 0; j < a->value_dim; j++) {
        double sum = 0;
        for (int64_t r = 0; r < keys; r++)
            sum += (double)s[r] * (double)at(&a->v, low + r, kv)[j];
        out[j] = (float)sum;
    }
}

void bg_attend_ref(const bg_attention *a, float *scratch)
{
    int64_t room = BG_ATTENTION_TILE * (a->past + a->n);
#pragma omp parallel for schedule(dynamic) num_threads(a->threads)
    for (int64_t i = 0; i < a->n * a->heads; i++)
        attend_one_ref(a, i / a->heads, (int)(i % a->heads), scratch + omp_get_thread_num() * room);
}
