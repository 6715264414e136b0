/* Owns the arithmetic of estimate.h. */
#include "analysis/allocation/size_estimate.h"

#include <math.h>

enum { PLAIN_BITS = 16 };

/* Adds a matrix of rows × cols, `times` of them. */
static void add(bg_estimate *v, const bg_spec *s, double rows, double cols, double times)
{
    bg_rate r = {.indices = PLAIN_BITS * rows * cols};
    if (s)
        r = bg_spec_rate(s, (int64_t)rows, (int64_t)cols);
    v->matrices += rows * cols * times;
    v->rate_bits += bg_rate_total(&r) * times; /* bits, until the end */
}

bg_estimate bg_estimate_of(const bg_model_config *c, const bg_spec *spec, double context, double bandwidth)
{
    bg_estimate v = {0};
    double D = c->hidden, layers = c->layers, attention = (double)c->heads * c->head_dim,
           kv = (double)c->kv_heads * c->head_dim;
    double table = (double)c->vocab * D, norms = (2 * layers + 1) * D;
    add(&v, spec, attention, D, layers);
    add(&v, spec, D, attention, layers);
    add(&v, spec, kv, D, 2 * layers);
    add(&v, spec, c->inner, D, (c->gated ? 2 : 1) * layers);
    add(&v, spec, D, c->inner, layers);
    double bits = v.rate_bits;
    v.rate_bits = bits / v.matrices;
    v.parameters = v.matrices + table * (c->tied ? 1 : 2) + norms;
    v.bytes = ceil(bits / 8) + PLAIN_BITS / 8 * (v.parameters - v.matrices);
    v.cache_bytes = 2 * layers * kv * PLAIN_BITS / 8 * context;
    v.memory_bytes = v.bytes + v.cache_bytes;
    v.token_bytes = bits / 8 + PLAIN_BITS / 8 * (table + norms) + v.cache_bytes;
    v.tokens_per_second = bandwidth / v.token_bytes;
    return v;
}
