/* Inside of the forward pass, shared by its files: scratch, one linear layer, one block of sequences. */
#ifndef BG_ANALYSIS_MODEL_WORK_H
#define BG_ANALYSIS_MODEL_WORK_H

#include "analysis/model/model.h"

struct bg_work {
    int64_t rows, context;
    int threads;            /* that attention may use: its scratch is made for so many */
    float *x, *y;           /* [rows × D] */
    float *qkv;             /* [rows × (H + 2K)·d] */
    float *heads;           /* [rows × H·d] */
    float *up, *gate;       /* [rows × F]; gate NULL without gating */
    float *cosines, *sines; /* [context × dims/2] */
    int64_t rope_key;       /* of the table; −1: none yet */
    float *scores;          /* attention's scratch */
    float *input;           /* [rows × widest input]: rounded inputs; made when first needed */
};

float *bg_floats(int64_t n); /* 64-byte aligned; free() it; NULL when memory is out */

/* y [n × out, ldy] = the layer applied to x [n × in], as the pass says. */
int bg_linear_apply(const bg_model *m, const bg_linear *l, const bg_pass *p, const float *x, int64_t n, float *y,
                    int64_t ldy, bg_work *w, bg_err *e);

/* Several linear layers of the same input, at most BG_LINEARS of them. */
typedef struct bg_output {
    const bg_linear *l;
    float *y;
    int64_t ldy;
} bg_output;
int bg_linears_apply(const bg_model *m, const bg_output *to, int count, const bg_pass *p, const float *x, int64_t n,
                     bg_work *w, bg_err *e);

/* Keys and values of one layer of one sequence, [capacity × K·d] each. */
typedef struct bg_cache_layer {
    float *k, *v;
} bg_cache_layer;

/* Whole sequences that fit the scratch; with a cache it is one sequence whose first `past` tokens are in it. */
typedef struct bg_block {
    const int *lengths;
    int n;
    int64_t past;
    const bg_cache_layer *cache;
} bg_block;

int bg_block_layer(const bg_model *m, int layer, const bg_block *b, const bg_pass *p, float *h, bg_work *w, bg_err *e);
/* One sequence's tokens from position `past` on. */
int bg_block_embed(const bg_model *m, const int32_t *ids, int64_t n, int64_t past, const bg_pass *p, float *h,
                   bg_err *e);

#endif
