/* Causal attention of one sequence, in tiles of queries: memory is one tile of scores a thread, linear in the context.
 *
 *     o_p,n = Σ_r softmax_r(cap(scale·q_p,n·k_r,g))·v_r,g    for r ≤ p, and r > p − window when there is one; g =
 * n/(H/K)
 */
#ifndef BG_ANALYSIS_MODEL_ATTENTION_H
#define BG_ANALYSIS_MODEL_ATTENTION_H

#include <stdint.h>

/* Element j of head h of token t stands at base[t·token + h·head + j]. */
typedef struct bg_heads {
    float *base;
    int64_t token, head;
} bg_heads;

typedef struct bg_attention {
    int heads, kv_heads, head_dim, value_dim;
    int window;          /* 0: none */
    int chunked;         /* the window is the query's own chunk of the sequence */
    const float *slopes; /* [heads] ALiBi: slope·(r − p) is added to the scores; NULL */
    const float *sinks;  /* [heads] a score that takes its share and gives nothing; NULL */
    float scale;
    double cap; /* 0: none */
    int threads;
    int64_t n, past; /* queries stand at positions past … past+n−1, keys at 0 … past+n−1 */
    bg_heads q, k, v, out;
} bg_attention;

enum { BG_ATTENTION_TILE = 64 }; /* queries */

/* scratch: BG_ATTENTION_TILE × (past + n) floats for each of a->threads threads, which is how many are used. */
void bg_attend(const bg_attention *a, float *scratch);
/* Plain loops with every sum in double. The same scratch. */
void bg_attend_ref(const bg_attention *a, float *scratch);

#endif
