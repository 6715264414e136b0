/* Owns one sequence token by token: the cache of keys and values, greedy choice. */
#include <stdlib.h>
#include <string.h>
#include "analysis/model/work.h"

enum { PROMPT_ROWS = 512 /* tokens of a prompt worked on together */ };

struct bg_decoder {
    const bg_model *m;
    const bg_pass *pass;
    int capacity, past;
    int fed;               /* tokens of the last block, whose outputs h holds */
    int recurs, again;     /* a layer's state cannot be rewound: that many tokens are fed again */
    int32_t *ids;          /* [capacity] all tokens so far, when it recurs */
    bg_cache_layer *cache; /* [layers], into one allocation */
    float *store, *h, *logits;
    bg_workspace *work;
};

static uint64_t cache_floats(const bg_decoder *d)
{
    uint64_t sum = 0;
    for (int l = 0; l < d->m->config.layers; l++) {
        int64_t k, v;
        bg_cache_size(d->m, l, d->capacity, &k, &v);
        sum += (uint64_t)k + (uint64_t)v;
    }
    return sum;
}

int bg_decoder_open(const bg_model *m, const bg_pass *p, int capacity, bg_decoder **out, bg_err *e)
{
    const bg_model_config *c = &m->config;
    *out = NULL;
    if (capacity < 1 || capacity > bg_model_context(m))
        return bg_fail(e, BG_INPUT, "%d tokens do not fit the model's context of %d", capacity, bg_model_context(m));
    bg_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return bg_no_memory(e, "a decoder", sizeof *d);
    *d = (bg_decoder){.m = m, .pass = p, .capacity = capacity};
    int rows = capacity < PROMPT_ROWS ? capacity : PROMPT_ROWS;
    int status = bg_workspace_open(m, rows, capacity, &d->work, e);
    if (!status) {
        d->cache = calloc((size_t)c->layers, sizeof *d->cache);
        d->store = bg_floats((int64_t)cache_floats(d));
        d->h = bg_floats((int64_t)rows * c->hidden);
        d->logits = bg_floats(c->vocab);
        d->ids = malloc((size_t)capacity * sizeof *d->ids);
        for (int l = 0; l < c->layers; l++)
            d->recurs |= bg_mixer_recurs(m->layers[l].rules.mixer);
        if (!d->ids || !d->cache || !d->store || !d->h || !d->logits)
            status = bg_no_memory(e, "keys and values", bg_decoder_cache_bytes(d));
    }
    if (status) {
        bg_decoder_close(d);
        return status;
    }
    float *at = d->store;
    for (int l = 0; l < c->layers; l++) {
        int64_t k, v;
        bg_cache_size(m, l, capacity, &k, &v);
        d->cache[l] = (bg_cache_layer){at, at + k};
        at += k + v;
    }
    *out = d;
    return BG_OK;
}

void bg_decoder_close(bg_decoder *d)
{
    if (!d)
        return;
    bg_workspace_close(d->work);
    free(d->cache);
    free(d->store);
    free(d->h);
    free(d->logits);
    free(d->ids);
    free(d);
}

/* ids may be the decoder's own. */
static int feed_block(bg_decoder *d, const int32_t *ids, int n, bg_err *e)
{
    bg_block block = {.ids = ids, .lengths = &n, .n = 1, .past = d->past, .cache = d->cache};
    int status = bg_block_embed(d->m, ids, n, d->past, d->pass, d->h, e);
    for (int l = 0; !status && l < d->m->config.layers; l++)
        status = bg_block_layer(d->m, l, &block, d->pass, d->h, d->work, e);
    if (!status)
        d->past += n;
    return status;
}

int bg_decoder_feed(bg_decoder *d, const int32_t *ids, int n, const float **logits, bg_err *e)
{
    if (n < 1 || n > d->capacity - (d->again ? d->again : d->past))
        return bg_fail(e, BG_INPUT, "%d more tokens after %d do not fit a context of %d", n, d->past, d->capacity);
    int status = bg_model_check(d->m, &(bg_batch){.ids = ids, .lengths = &n, .n = 1}, e), last = 0;
    for (int end = d->again; !status && d->past < end;)
        status =
            feed_block(d, d->ids + d->past, end - d->past < (int)d->work->rows ? end - d->past : (int)d->work->rows, e);
    d->again = 0;
    if (!status)
        memcpy(d->ids + d->past, ids, (size_t)n * sizeof *ids);
    for (int done = 0; !status && done < n; done += last) {
        last = n - done < (int)d->work->rows ? n - done : (int)d->work->rows;
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : feed_block(d, ids + done, last, e);
    }
    d->fed = last;
    if (!status)
        status =
            bg_model_logits(d->m, d->pass, d->h + (int64_t)(last - 1) * d->m->config.hidden, 1, d->logits, d->work, e);
    *logits = d->logits;
    return status;
}

int bg_decoder_logits(bg_decoder *d, int row, const float **logits, bg_err *e)
{
    *logits = d->logits;
    if (row < 0 || row >= d->fed)
        return bg_fail(e, BG_INPUT, "no logits of token %d: the last block had %d", row, d->fed);
    return bg_model_logits(d->m, d->pass, d->h + (int64_t)row * d->m->config.hidden, 1, d->logits, d->work, e);
}

void bg_decoder_rewind(bg_decoder *d, int n)
{
    int past = d->again ? d->again : d->past;
    if (n < 0 || n >= past)
        return;
    d->again = d->recurs ? n : 0;
    d->past = d->recurs ? 0 : n;
}

uint64_t bg_decoder_cache_bytes(const bg_decoder *d)
{
    return cache_floats(d) * sizeof(float);
}

int bg_argmax(const float *logits, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}
