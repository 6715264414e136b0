/* Architectures: which blocks a model is made of. One row says it; config.json fills in the sizes. To add an
 * architecture: a row in arch.c, a golden model under tests/golden/data/models.
 */
#ifndef BG_ANALYSIS_MODEL_ARCH_H
#define BG_ANALYSIS_MODEL_ARCH_H

#include <cjson/cJSON.h>
#include "io/base/error.h"

typedef enum bg_norm_kind { BG_RMS, BG_RMS_PLUS_ONE, BG_LAYER_NORM } bg_norm_kind;

/* Where norms and residuals stand: A attention, M the MLP, N1 and N2 their norms. */
typedef enum bg_order {
    BG_ORDER_PRE,      /* h += A(N1 h); h += M(N2 h); with output norms: h += N1'(A(N1 h)), … (Gemma 2) */
    BG_ORDER_POST,     /* h = N1(h + A h); h = N2(h + M h) */
    BG_ORDER_PARALLEL, /* h += A(N1 h) + M(N2 h); without N2 both read N1 h (GPT-J) */
} bg_order;

typedef enum bg_rope_kind {
    BG_ROPE_NONE,
    BG_ROPE_HALF,  /* element j turns with j + r/2 */
    BG_ROPE_PAIRS, /* element 2j turns with 2j + 1 */
} bg_rope_kind;

typedef enum bg_qkv_layout {
    BG_QKV_SEPARATE,
    BG_QKV_BLOCKS, /* one matrix, outputs [all q | all k | all v] */
    BG_QKV_HEADS,  /* one matrix, outputs [q k v] head by head */
} bg_qkv_layout;

typedef enum bg_window_rule {
    BG_WINDOW_NONE,
    BG_WINDOW_ALL,   /* sliding_window holds for every layer */
    BG_WINDOW_ASKED, /* only with use_sliding_window, from max_window_layers on or where layer_types says so */
    BG_WINDOW_EVEN,  /* layers 0, 2, …, unless layer_types says otherwise */
} bg_window_rule;

typedef enum bg_activation { BG_SILU, BG_GELU_TANH, BG_GELU_ERF, BG_RELU, BG_ACTIVATIONS } bg_activation;

typedef enum bg_linear_role { BG_Q, BG_K, BG_V, BG_QKV, BG_O, BG_GATE, BG_UP, BG_DOWN, BG_LINEARS } bg_linear_role;
typedef enum bg_norm_role {
    BG_NORM_ATTN,
    BG_NORM_ATTN_OUT,
    BG_NORM_MLP,
    BG_NORM_MLP_OUT,
    BG_NORM_Q,
    BG_NORM_K,
    BG_NORMS
} bg_norm_role;

/* Does a linear layer have a bias? By a boolean key of the config when there is one, else `otherwise`. */
typedef struct bg_bias_rule {
    const char *key;
    int otherwise;
} bg_bias_rule;

/* What config.json calls the sizes; NULL where the family has no such key. */
typedef struct bg_config_keys {
    const char *hidden, *layers, *heads, *kv_heads, *head_dim, *inner, *positions, *eps, *activation, *embed_width;
} bg_config_keys;

typedef struct bg_arch {
    const char *name; /* model_type */
    const bg_config_keys *keys;
    bg_norm_kind norm;
    bg_order order;
    bg_rope_kind rope;
    bg_qkv_layout qkv;
    bg_window_rule window;
    const char *activation; /* when the config is silent; a leading '!' overrules the config */
    double eps;             /* when the config is silent */
    int tied;               /* tie_word_embeddings when the config is silent */
    int kv_heads;           /* when the config is silent; 0: as many as heads */
    int head_dim;           /* when the config is silent; 0: hidden / heads */
    const char *partial;    /* key of the share (or number, if above 1) of a head that turns; NULL: all of it */
    double partial_otherwise;
    int learned;          /* > 0: positions are learned, position p is row p + learned − 1 */
    int scales_embedding; /* embeddings times √D */
    int inner_times;      /* inner width over D when the config is silent; 0: it must not be */
    double query_scalar; /* > 0: q·k times query_pre_attn_scalar^−½, this when the config is silent; 0: head_dim^−½ */
    double attention_cap, logit_cap; /* > 0: soft caps, these when the config is silent */
    const char *order_key;           /* boolean key; where it is `order_value`, the order is order_then */
    int order_value;
    bg_order order_then;
    bg_bias_rule bias[BG_LINEARS];
    bg_bias_rule head_bias;
    const char *roots[3];            /* what tensor names begin with, in order of preference; ends with NULL */
    const char *layer;               /* after the root: "layers.%d." */
    const char *linears[BG_LINEARS]; /* after the layer's prefix, without ".weight" */
    const char *norms[BG_NORMS];
    const char *embed, *positions, *final_norm, *project_in, *project_out; /* after the root */
    const char *head;                                                      /* whole name */
} bg_arch;

/* Ends with a NULL name. */
extern const bg_arch bg_archs[];

typedef enum bg_rope_scaling {
    BG_ROPE_DEFAULT,
    BG_ROPE_LINEAR,
    BG_ROPE_DYNAMIC,
    BG_ROPE_LLAMA3,
    BG_ROPE_YARN,
    BG_ROPE_LONG
} bg_rope_scaling;

typedef struct bg_rope_config {
    bg_rope_kind kind;
    bg_rope_scaling scaling;
    int dims;                                 /* of each head that turn, even */
    double base, factor, low, high, original; /* llama3: low_freq_factor, high_freq_factor; original positions */
    double beta_fast, beta_slow, attention_factor;
    int truncate;
    int positions;                             /* max_position_embeddings; 0 unknown */
    const cJSON *short_factors, *long_factors; /* longrope */
} bg_rope_config;

typedef struct bg_model_config {
    int layers, hidden, heads, kv_heads, head_dim, inner, vocab, embed_width, positions;
    bg_norm_kind norm;
    double eps;
    bg_order order;
    bg_activation activation;
    int gated, tied, final_norm;
    bg_qkv_layout qkv;
    bg_rope_config rope;
    int learned;                     /* as in bg_arch */
    double attention_scale;          /* of q·k */
    int scale_by_layer;              /* and over layer + 1 */
    double attention_cap, logit_cap; /* 0: none */
    float embedding_scale;           /* 1: none */
} bg_model_config;

/* The row for a config: by model_type, else by architectures[0]. BG_INPUT names the known ones. */
int bg_arch_find(const cJSON *config, const char *path, const bg_arch **out, bg_err *e);
/* Sizes and rules, checked. `path` is what errors call the file. */
int bg_arch_config(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *out, bg_err *e);
/* Window of a layer; 0: none. */
int bg_arch_window(const bg_arch *a, const cJSON *config, int layer, int *out, bg_err *e);
int bg_arch_bias(const cJSON *config, const bg_bias_rule *r);

#endif
