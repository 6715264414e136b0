/* Inside of the forward pass, shared by its files: scratch, one linear layer, one block of sequences. */
#ifndef BG_ANALYSIS_MODEL_WORK_H
#define BG_ANALYSIS_MODEL_WORK_H

#include "analysis/model/attention.h"
#include "analysis/model/model.h"

typedef struct bg_rope_cache {
    float *cosines, *sines; /* [context × dims/2] */
    int64_t key;            /* of the table; −1: none yet */
} bg_rope_cache;

struct bg_workspace {
    int64_t rows, context;
    int threads;            /* that attention may use: its scratch is made for so many */
    float *x, *y;           /* [rows × D] */
    float *qkv;             /* [rows × widest projection of a mixer] */
    float *heads;           /* [rows × widest input of its output matrix] */
    float *up, *gate;       /* [rows × F]; gate NULL without gating; up twice as wide where both are one matrix */
    float *latent, *normed; /* [rows × widest latent]; NULL without */
    bg_rope_cache rope[2];  /* the main one, the local one */
    float *routing;         /* [rows × experts]; NULL without */
    int *chosen;            /* [rows × experts used] */
    float *chosen_weight;   /* the same */
    float *routed, *answer; /* [rows × D] what an expert reads and gives */
    float *streams;         /* [rows × hidden] AltUp's predictions; NULL without */
    float *scores;          /* attention's scratch */
    float *input;           /* [rows × widest input]: rounded inputs; made when first needed */
};

/* Finds the tensors of all layers and of what lies outside. */
int bg_bind(bg_model *m, bg_err *e);
/* Outputs of a mixer's input matrix, and how many channels its convolution has; 0: it is none of those. */
int64_t bg_mixer_inputs(const bg_model_config *c, bg_mixer mixer);
int64_t bg_mixer_channels(const bg_model_config *c, bg_mixer mixer);
/* Does it carry a state from token to token? */
int bg_mixer_recurs(bg_mixer mixer);
/* Slopes of ALiBi (Press et al. 2022) as BLOOM or MPT computes them. */
int bg_alibi_make(bg_model *m, bg_err *e);

float *bg_floats(int64_t n); /* 64-byte aligned; free() it; NULL when memory is out */

/* y [n × out, ldy] = the layer applied to x [n × in], as the pass says. */
int bg_linear_apply(const bg_model *m, const bg_linear *l, const bg_pass *p, const float *x, int64_t n, float *y,
                    int64_t ldy, bg_workspace *w, bg_err *e);

/* Several linear layers of the same input, at most BG_LINEARS of them. */
typedef struct bg_output {
    const bg_linear *l;
    float *y;
    int64_t ldy;
} bg_output;
int bg_linears_apply(const bg_model *m, const bg_output *to, int count, const bg_pass *p, const float *x, int64_t n,
                     bg_workspace *w, bg_err *e);

/* Keys and values of one layer of one sequence, [capacity × K·d] each; of a recurrent layer the last inputs of its
 * convolution and its state. */
typedef struct bg_cache_layer {
    float *k, *v;
} bg_cache_layer;
/* How many floats each of the two has. */
void bg_cache_size(const bg_model *m, int layer, int64_t capacity, int64_t *k, int64_t *v);

/* Whole sequences that fit the scratch; with a cache it is one sequence whose first `past` tokens are in it. */
typedef struct bg_block {
    const int32_t *ids;
    const int *lengths;
    int n;
    int64_t past;
    const bg_cache_layer *cache;
} bg_block;

/* One layer's input x [n × D] and where its answer y [n × D] goes. */
typedef struct bg_flow {
    const bg_model *m;
    int layer;
    const bg_block *b;
    int64_t n;
    const bg_pass *p;
    bg_workspace *w;
} bg_flow;

void bg_norm_rows(const bg_norm *norm, const float *x, int64_t n, float *y);
/* y = A(x), whatever stands in attention's place: attention_block.c, latent.c, … */
int bg_mix_attention(const bg_flow *f, const float *x, float *y, bg_err *e);
int bg_mix_latent(const bg_flow *f, const float *x, float *y, bg_err *e);
int bg_mix_conv(const bg_flow *f, const float *x, float *y, bg_err *e);
int bg_mix_mamba2(const bg_flow *f, const float *x, float *y, bg_err *e);
int bg_mix_delta(const bg_flow *f, const float *x, float *y, bg_err *e);
/* All sequences of a block: turns q and k, keeps them, attends; the answer is in w->heads. */
void bg_attend_block(const bg_flow *f, bg_heads q, bg_heads k, bg_heads v);
/* One MLP; gate and norm may be NULL. */
typedef struct bg_mlp {
    const bg_linear *gate, *up, *down;
    const bg_norm *norm; /* before `down` */
} bg_mlp;
/* y [n × D] of x [n × D]; uses w->up and w->gate. */
int bg_mlp_gated(const bg_flow *f, const bg_mlp *mlp, const float *x, int64_t n, float *y, bg_err *e);
/* y = M(x), one MLP or a mixture of them. */
int bg_mlp_dense(const bg_flow *f, const float *x, float *y, bg_err *e);
int bg_mlp_experts(const bg_flow *f, const float *x, float *y, bg_err *e);

/* y [n × D] = what the layer's own input adds to x. */
int bg_layer_input(const bg_flow *f, const float *x, float *y, bg_err *e);

/* AltUp: h and predicted are [n × S·D], active [n × D] the stream that the layer computes with. */
void bg_altup_predict(const bg_flow *f, const float *h, float *predicted, float *active);
void bg_altup_correct(const bg_flow *f, const float *predicted, const float *active, float *h);
/* y = the low-rank branch beside attention, of its normed input. */
int bg_altup_laurel(const bg_flow *f, const float *x, float *y, bg_err *e);
/* One stream becomes S, in place ([n × D] at the head of [n × S·D]); and S one. */
int bg_altup_spread(const bg_model *m, const bg_pass *p, float *h, int64_t n, bg_err *e);
int bg_altup_join(const bg_model *m, const bg_pass *p, const float *h, int64_t n, float *out, bg_err *e);

int bg_block_layer(const bg_model *m, int layer, const bg_block *b, const bg_pass *p, float *h, bg_workspace *w,
                   bg_err *e);
/* One sequence's tokens from position `past` on. */
int bg_block_embed(const bg_model *m, const int32_t *ids, int64_t n, int64_t past, const bg_pass *p, float *h,
                   bg_err *e);

#endif
