/* Arithmetic on a model's shape: what a spec would make of its size, its memory and the time a token cannot beat.
 *
 *     weights of a layer   q, o: D·(heads·d) each; k, v: D·(kv heads·d) each; MLP: 3·D·F gated, else 2·D·F
 *     bytes                Σ matrices × the spec's rate / 8 + 2·(embedding, output matrix unless tied, norms)
 *     cache, a token       2·layers·(kv heads·d)·2 bytes (keys and values in 16 bits)
 *     tokens/s             at most bandwidth / (matrices + output matrix + cache read for a token)
 *
 * Biases are left out. Check: Llama-3.1-8B has 8,030,261,248 parameters.
 */
#ifndef BG_ANALYSIS_ALLOCATION_SIZE_ESTIMATE_H
#define BG_ANALYSIS_ALLOCATION_SIZE_ESTIMATE_H

#include "analysis/model/arch.h"
#include "quant/engine/quantize.h"

typedef struct bg_estimate {
    double parameters, matrices; /* of the whole; in the layers' matrices */
    double rate_bits, bytes;     /* of the matrices; of the whole */
    double cache_bytes;          /* at the context */
    double memory_bytes;         /* both */
    double token_bytes;          /* read for one token at the context */
    double tokens_per_second;    /* no more than this */
} bg_estimate;

/* spec NULL: matrices in 16 bits. bandwidth in bytes a second. */
bg_estimate bg_estimate_of(const bg_model_config *c, const bg_spec *spec, double context, double bandwidth);

#endif
