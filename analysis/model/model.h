/* Models: a checkpoint's decoder-only transformer, run in float32.
 *
 *     bg_model *m;
 *     if (bg_model_open(ckpt, &m, &e) || bg_model_load(m, &e)) …
 *     bg_batch b = {.ids = ids, .lengths = &n, .n = 1};
 *     bg_model_forward(m, &b, NULL, take_logits, self, &e);   // take_logits(self, first, n, logits[n × vocab], e)
 *     bg_model_close(m);
 *
 * Which blocks a model is made of is one row of bg_archs (arch.h) plus its config; there is one loop for all of them.
 * Shape letters: T tokens of the batch, D width (hidden), F inner width of the MLP, V vocabulary, d head width.
 *
 * Stages that run many variants over the same text walk the layers themselves, so that one layer's weights are in
 * memory at a time, whatever the number of variants:
 *
 *     bg_model_embed(m, &b, NULL, h, &e);                     // h [T × D]
 *     for (int l = 0; l < m->config.layers; l++) {
 *         bg_model_load_layer(m, l, &e);
 *         bg_model_layer(m, l, &b, &pass, h, work, &e);       // in place; once for every variant's own h
 *         bg_model_drop_layer(m, l);
 *     }
 *     bg_model_logits(m, &pass, h + first * D, n, logits, work, &e);
 *
 * Same digits for any number of threads. Nothing here may be called from inside a parallel region.
 */
#ifndef BG_ANALYSIS_MODEL_MODEL_H
#define BG_ANALYSIS_MODEL_MODEL_H

#include "analysis/model/arch.h"
#include "io/checkpoints/checkpoint.h"

/* One linear layer: y = x·wᵀ + bias. */
typedef struct bg_linear {
    const char *name;        /* of its weight tensor, e.g. model.layers.0.mlp.down_proj.weight */
    const bg_tensor *tensor; /* of the checkpoint (group, layer, storage, …); NULL for a tied output matrix's own row */
    const bg_tensor *bias_tensor;
    int64_t out, in;
    int index; /* 0 … bg_model.n_linears − 1; the embedding is n_linears, the output matrix n_linears + 1 (the same as
                * the embedding's when tied) */
    int layer;                      /* −1 outside the layers */
    int expert;                     /* −1: none */
    const struct bg_linear *shares; /* the first linear layer of the same input in the layer: q for k and v, … */
    float *w;                       /* [out × in]; NULL while not loaded */
    float *bias;                    /* [out]; NULL: none */
} bg_linear;

typedef struct bg_norm {
    const bg_tensor *tensor, *bias_tensor;
    float *w, *b; /* as multiplied: Gemma's 1 is added */
    bg_norm_kind kind;
    int on; /* 0: there is no such norm */
    int64_t width;
    double eps;
} bg_norm;

typedef struct bg_vector {
    const bg_tensor *tensor; /* NULL: none */
    float *w;
} bg_vector;

typedef struct bg_layer {
    bg_linear *linear[BG_LINEARS]; /* NULL where the architecture has none */
    bg_linear *experts;            /* [experts × BG_EXPERT_LINEARS]; NULL: a dense MLP */
    int first, n_linears;          /* all of the above in bg_model.linears */
    bg_norm norm[BG_NORMS];
    bg_vector vector[BG_VECTORS];
    bg_layer_rules rules;
    float xielu[4]; /* in place of the tensors, from a GGUF file */
    int value_dim;
    int inner, expert_inner, shared_inner;
    float *store; /* where all its weights are; NULL: not loaded */
} bg_layer;

typedef struct bg_model {
    const bg_ckpt *ckpt;
    const bg_arch *arch;
    const cJSON *settings; /* the text model's part of the config */
    bg_model_config config;
    bg_layer *layers;
    bg_linear *linears; /* of the layers, in order of use */
    int n_linears;
    bg_linear embed, head, project_in, project_out; /* projections have a NULL tensor where there are none */
    const bg_tensor *positions_tensor;
    float *positions;     /* [rows × D] learned positions; NULL */
    float *rope_divisors; /* [rotary/2] from a GGUF file; NULL */
    float *alibi;         /* [heads] slopes; NULL */
    int64_t widest;       /* input of a linear layer */
    bg_norm final_norm, embed_norm;
    const bg_tensor *layer_input_table, *layer_input_projection; /* NULL without inputs of each layer */
    bg_norm layer_input_norm;
    bg_linear altup_in[BG_MOST_STREAMS], altup_out[BG_MOST_STREAMS]; /* streams − 1 of each */
    int tied_twice;    /* the config ties the output matrix, but the file has one */
    int resident;      /* bg_model_load was called: layers stay */
    double parameters; /* weights, biases, norms, embeddings; a tied matrix once */
} bg_model;

/* Checks the config and that every tensor is there with its shape; reads no weights. The checkpoint must outlive it.
 * BG_INPUT names the key or tensor. */
int bg_model_open(const bg_ckpt *c, bg_model **out, bg_err *e);
void bg_model_close(bg_model *m);

/* Reads all weights as float32 and keeps them. */
int bg_model_load(bg_model *m, bg_err *e);
/* Reads what lies outside the layers: embedding, output matrix, positions, last norm. */
int bg_model_load_outer(bg_model *m, bg_err *e);
/* Of that only what bg_model_embed and the layers need, without the embedding, whose rows are then read from the file
 * as tokens ask for them. */
int bg_model_load_input(bg_model *m, bg_err *e);
/* One layer's weights; dropping does nothing in a resident model. Loading twice is no error. */
int bg_model_load_layer(bg_model *m, int layer, bg_err *e);
void bg_model_drop_layer(bg_model *m, int layer);

/* By tensor name, the embedding and the output matrix included; NULL. */
const bg_linear *bg_model_find(const bg_model *m, const char *name);
/* Most tokens a sequence may have: max_position_embeddings, stretched by the rope scaling; INT_MAX when unbounded. */
int bg_model_context(const bg_model *m);

/* ---- input ---- */

typedef struct bg_batch {
    const int32_t *ids; /* all sequences, one after the other */
    const int *lengths; /* [n] */
    int n;
} bg_batch;
int64_t bg_batch_tokens(const bg_batch *b);
/* BG_INPUT for an id outside the vocabulary, an empty sequence or one longer than the context. */
int bg_model_check(const bg_model *m, const bg_batch *b, bg_err *e);

/* ---- how a pass computes ---- */

typedef enum bg_precision {
    BG_FLOAT32, /* float32 products; double in norms, softmax sums and losses */
    BG_FLOAT64, /* every sum in double, float32 between the operations: the reference's own noise floor */
    BG_BFLOAT16 /* inputs and outputs of every linear layer rounded to bfloat16, float32 sums */
} bg_precision;

/* Sees the input x [n × in] of every linear layer inside the layers, in order. A status other than BG_OK ends the pass.
 */
typedef struct bg_tap {
    int (*see)(void *self, const bg_linear *l, const float *x, int64_t n, bg_err *e);
    void *self;
} bg_tap;

/* NULL or all zero: the model as it is. */
typedef struct bg_pass {
    bg_precision precision;
    const float *const *weights; /* by bg_linear.index, [n_linears + 2]: replaces w where not NULL; NULL: none */
    int activation_bits; /* > 0: the inputs of the layers' linear layers are rounded per token, absmax/(2^(b−1)−1) */
    const float *const
        *input_scales;     /* by bg_linear.index, [in]: it is x/scale that is rounded; NULL, also inside: 1 */
    float activation_keep; /* > 0: columns where any |x| of the block reaches this stay unrounded (LLM.int8's 6.0) */
    const bg_tap *tap;
} bg_pass;

/* ---- computing ---- */

/* Scratch for blocks of at most `rows` tokens and sequences of at most `context`; one per thread of control. */
typedef struct bg_workspace bg_workspace;
int bg_workspace_open(const bg_model *m, int64_t rows, int64_t context, bg_workspace **out, bg_err *e);
/* For a batch: blocks of whole sequences of about 1024 tokens. */
int bg_workspace_for(const bg_model *m, const bg_batch *b, bg_workspace **out, bg_err *e);
void bg_workspace_close(bg_workspace *w);
/* How many sequences of `length` tokens are worked on together. */
int bg_workspace_sequences(const bg_workspace *w, int length);

/* h [T × D] = embeddings, scaled and with learned positions. After bg_model_load_outer or bg_model_load_input. */
int bg_model_embed(const bg_model *m, const bg_batch *b, const bg_pass *p, float *h, bg_err *e);
/* One layer, in place. The layer's weights must be loaded. */
int bg_model_layer(const bg_model *m, int layer, const bg_batch *b, const bg_pass *p, float *h, bg_workspace *w,
                   bg_err *e);
/* Last norm (and OPT's projection) of n rows, at most the work's: out [n × E], E the embedding width. */
int bg_model_finish(const bg_model *m, const bg_pass *p, const float *h, int64_t n, float *out, bg_workspace *w,
                    bg_err *e);
/* logits [n × V] of n rows of the last layer's output; n at most the work's rows. */
int bg_model_logits(const bg_model *m, const bg_pass *p, const float *h, int64_t n, float *logits, bg_workspace *w,
                    bg_err *e);

/* How many rows of logits make one block: bounded memory, efficient products. */
int64_t bg_model_logit_rows(const bg_model *m, const bg_workspace *w);

/* Rows [first, first+n) of the batch's logits, [n × V], valid during the call. */
typedef int (*bg_logits_sink)(void *self, int64_t first, int64_t n, const float *logits, bg_err *e);
/* The whole pass; memory: weights, the batch's hidden states, one block of activations, one block of logits. */
int bg_model_forward(bg_model *m, const bg_batch *b, const bg_pass *p, bg_logits_sink sink, void *self, bg_err *e);

/* ---- one sequence, token by token, with a cache of keys and values ---- */

typedef struct bg_decoder bg_decoder;
/* For at most `capacity` tokens in all; the model must be loaded. `p` may be NULL and must outlive the decoder. */
int bg_decoder_open(const bg_model *m, const bg_pass *p, int capacity, bg_decoder **out, bg_err *e);
void bg_decoder_close(bg_decoder *d);
/* Appends n tokens; *logits [V] are those after the last of them, valid until the next call. */
int bg_decoder_feed(bg_decoder *d, const int32_t *ids, int n, const float **logits, bg_err *e);
/* Logits after token `row` of the last feed, when that was at most 512 tokens long: one pass scores a whole answer. */
int bg_decoder_logits(bg_decoder *d, int row, const float **logits, bg_err *e);
/* Forgets all tokens but the first n. */
void bg_decoder_rewind(bg_decoder *d, int n);
uint64_t bg_decoder_cache_bytes(const bg_decoder *d);
/* Index of the largest logit, the first of equals. */
int bg_argmax(const float *logits, int n);

#endif
