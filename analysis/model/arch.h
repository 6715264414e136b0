/* Architectures: which blocks a model is made of. One row says it; config.json fills in the sizes. To add an
 * architecture: a row in arch_dense.c, arch_experts.c or arch_special.c, and a golden model under tests/golden/data.
 *
 * Names of tensors: alternatives are separated by '|', the first that the file has is taken; a leading '?' says that
 * there may be none. A norm with an empty name has no tensor.
 */
#ifndef BG_ANALYSIS_MODEL_ARCH_H
#define BG_ANALYSIS_MODEL_ARCH_H

#include <cjson/cJSON.h>
#include "io/base/error.h"

typedef enum bg_norm_kind {
    BG_RMS,
    BG_RMS_PLUS_ONE,
    BG_LAYER_NORM,
    BG_LAYER_NORM_BARE,    /* without bias */
    BG_LAYER_NORM_PLAIN,   /* without bias and weight */
    BG_LAYER_NORM_PLUS_ONE /* 1 is added to the weight */
} bg_norm_kind;

/* Where norms and residuals stand: A attention, M the MLP, N1 and N2 their norms. A norm that the row does not name is
 * not there. */
typedef enum bg_order {
    BG_ORDER_PRE,      /* h += A(N1 h); h += M(N2 h); with output norms: h += N1'(A(N1 h)), … (Gemma 2, OLMo 2) */
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
    BG_QKV_GROUPS, /* one matrix, outputs [its q's | k | v] for each key head */
} bg_qkv_layout;

typedef enum bg_window_rule {
    BG_WINDOW_NONE,
    BG_WINDOW_ALL,   /* sliding_window holds for every layer, unless layer_types says otherwise */
    BG_WINDOW_ASKED, /* only with use_sliding_window, from max_window_layers on or where layer_types says so */
    BG_WINDOW_TYPES, /* where layer_types says so, else all layers but every window_every-th */
} bg_window_rule;

/* Layers whose heads do not turn. */
typedef enum bg_nope_rule {
    BG_NOPE_NONE,
    BG_NOPE_LISTED,  /* no_rope_layers, 1 turns; else every no_rope_layer_interval-th does not */
    BG_NOPE_FULL,    /* those without a window turn only when the config has no sliding_window */
    BG_NOPE_UNBOUND, /* those without a window */
} bg_nope_rule;

/* What multiplies a query by its position p. */
typedef enum bg_temperature {
    BG_TEMPERATURE_NONE,
    BG_TEMPERATURE_FLOOR, /* 1 + s·log(1 + ⌊(p + 1)/floor⌋), in layers that do not turn (Llama 4) */
    BG_TEMPERATURE_ROPE,  /* 1 + β·log(1 + ⌊p/original⌋) (Ministral 3) */
} bg_temperature;

/* How layers with a window turn when rope_parameters does not say it by kind of layer. */
typedef enum bg_rope_local {
    BG_ROPE_LOCAL_SAME,
    BG_ROPE_LOCAL_BASE,    /* by rope_local_base_freq, 10000 when the config is silent */
    BG_ROPE_LOCAL_UNSCALED /* without rope_scaling */
} bg_rope_local;

typedef enum bg_alibi { BG_ALIBI_NONE, BG_ALIBI_BLOOM, BG_ALIBI_MPT } bg_alibi;

/* How a token's experts are chosen and weighed; l the router's outputs. */
typedef enum bg_router {
    BG_ROUTER_NONE,
    BG_ROUTER_SOFTMAX,  /* the largest of softmax(l), divided by their sum when norm_topk_prob says so */
    BG_ROUTER_CHOSEN,   /* softmax of the largest l */
    BG_ROUTER_SIGMOID,  /* the largest of σ(l) + b, weighed by σ(l) */
    BG_ROUTER_INPUT,    /* the largest l; σ(l) multiplies the expert's input (Llama 4) */
    BG_ROUTER_SPARSEMIX /* two, each by a softmax over those near the largest (Phi-MoE) */
} bg_router;

/* What stands in the place of attention. */
typedef enum bg_mixer {
    BG_MIXER_ATTENTION,
    BG_MIXER_LATENT, /* multi-head latent attention (DeepSeek-V2) */
    BG_MIXER_CONV,   /* gated short convolution (LFM2) */
    BG_MIXER_MAMBA2,
    BG_MIXER_DELTA, /* gated delta rule (Qwen3-Next) */
} bg_mixer;

typedef enum bg_activation {
    BG_SILU,
    BG_GELU_TANH,
    BG_GELU_ERF,
    BG_RELU,
    BG_RELU2,
    BG_XIELU,   /* its four numbers are tensors of the layer */
    BG_CLAMPED, /* gpt-oss: (clamp(up) + 1)·g·σ(α·g), g = min(gate, limit) */
    BG_ACTIVATIONS
} bg_activation;

/* In the order in which a layer computes them. */
typedef enum bg_linear_role {
    BG_Q,
    BG_Q_A,
    BG_Q_B,
    BG_K,
    BG_KV_A,
    BG_KV_B,
    BG_V,
    BG_QKV,
    BG_MIX_IN,
    BG_MIX_Z,
    BG_MIX_A,
    BG_MIX_B,
    BG_O,
    BG_MIX_OUT,
    BG_LAUREL_LEFT,
    BG_LAUREL_RIGHT,
    BG_ROUTER,
    BG_SHARED_SWITCH,
    BG_SHARED_GATE,
    BG_SHARED_UP,
    BG_SHARED_DOWN,
    BG_GATE_UP,
    BG_GATE,
    BG_UP,
    BG_DOWN,
    BG_LAYER_INPUT_GATE,
    BG_LAYER_INPUT_OUT,
    BG_LINEARS
} bg_linear_role;
enum { BG_EXPERT_GATE, BG_EXPERT_UP, BG_EXPERT_DOWN, BG_EXPERT_LINEARS };

typedef enum bg_norm_role {
    BG_NORM_ATTN,
    BG_NORM_ATTN_OUT,
    BG_NORM_MLP,
    BG_NORM_MLP_OUT,
    BG_NORM_Q,
    BG_NORM_K,
    BG_NORM_V,
    BG_NORM_Q_A,
    BG_NORM_KV_A,
    BG_NORM_O,    /* before the output matrix of attention */
    BG_NORM_DOWN, /* before the output matrix of the MLP */
    BG_NORM_MIX,
    BG_NORM_LAUREL,
    BG_NORM_LAYER_INPUT,
    BG_NORM_ALTUP,
    BG_NORMS
} bg_norm_role;

/* Tensors of a layer that are neither linear layers nor norms. */
typedef enum bg_vector_role {
    BG_SINKS,
    BG_ROUTER_BIAS,
    BG_XIELU_P,
    BG_XIELU_N,
    BG_XIELU_BETA,
    BG_XIELU_EPS,
    BG_CONV,
    BG_CONV_BIAS,
    BG_A_LOG,
    BG_D,
    BG_DT_BIAS,
    BG_LAYER_SCALE,
    BG_ALTUP_SCALE,
    BG_ALTUP_CORRECT,
    BG_ALTUP_PREDICT,
    BG_ALTUP_ROUTER,
    BG_VECTORS
} bg_vector_role;

/* Does a linear layer have a bias? By a boolean key of the config when there is one, else `otherwise`; a key "?" asks
 * the file. */
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
    int window_every; /* of BG_WINDOW_TYPES, when the config is silent */
    bg_nope_rule nope;
    bg_temperature temperature;
    bg_alibi alibi;
    bg_router router;
    bg_mixer mixer;         /* of layers that layer_types does not call otherwise */
    const char *activation; /* when the config is silent; a leading '!' overrules the config */
    double eps;             /* when the config is silent */
    int tied;               /* tie_word_embeddings when the config is silent */
    int kv_heads;           /* when the config is silent; 0: as many as heads */
    int head_dim;           /* when the config is silent; 0: hidden / heads */
    const char *partial;    /* key of the share (or number, if above 1) of a head that turns; NULL: all of it */
    double partial_otherwise;
    bg_rope_local rope_local;
    int norm_whole_heads; /* norms of q and k are over all heads together */
    int norm_after_rope;
    int gates_attention;  /* q_proj has a gate beside each head (Qwen3-Next) */
    int learned;          /* > 0: positions are learned, position p is row p + learned − 1 */
    int scales_embedding; /* embeddings times √D */
    int inner_times;      /* inner width over D when the config is silent; 0: it must not be */
    int inner_from_file;  /* the config's number is only the base of a rule; the tensors say the width */
    int norms_experts;    /* norm_topk_prob when the config is silent; 2: whatever it says */
    double latent_eps;    /* of the norms inside latent attention */
    int unit_scores;      /* q·k is not scaled */
    double query_scalar; /* > 0: q·k times query_pre_attn_scalar^−½, this when the config is silent; 0: head_dim^−½ */
    int capped;          /* there may be soft caps, */
    double attention_cap, logit_cap; /* these when the config is silent */
    const char *understands;         /* keys that change the arithmetic and are read (arch_refuse.c) */
    const char *order_key;           /* boolean key; where it is `order_value`, the order is order_then */
    int order_value;
    bg_order order_then;
    bg_bias_rule bias[BG_LINEARS];
    bg_bias_rule head_bias, expert_bias;
    const char *roots[3];                   /* what tensor names begin with, in order of preference; ends with NULL */
    const char *layer;                      /* after the root: "layers.%d." */
    const char *linears[BG_LINEARS];        /* after the layer's prefix, without ".weight" */
    const char *experts[BG_EXPERT_LINEARS]; /* with %d for the expert */
    const char *norms[BG_NORMS];
    const char *vectors[BG_VECTORS];                                                    /* whole, after the prefix */
    const char *embed, *positions, *embed_norm, *final_norm, *project_in, *project_out; /* after the root */
    const char *head;                                                                   /* whole name */
} bg_arch;

/* Row i of all, NULL after the last. */
const bg_arch *bg_arch_at(int i);

typedef enum bg_rope_scaling {
    BG_ROPE_DEFAULT,
    BG_ROPE_LINEAR,
    BG_ROPE_DYNAMIC,
    BG_ROPE_LLAMA3,
    BG_ROPE_YARN,
    BG_ROPE_LONG,
    BG_ROPE_PROPORTIONAL /* all of the head, of which only the first `turning` pairs move */
} bg_rope_scaling;

typedef struct bg_rope_config {
    bg_rope_kind kind;
    bg_rope_scaling scaling;
    int dims;                                 /* of each head that turn, even */
    int turning;                              /* proportional: pairs */
    double base, factor, low, high, original; /* llama3: low_freq_factor, high_freq_factor; original positions */
    double beta_fast, beta_slow, attention_factor;
    double score_scale; /* DeepSeek's yarn multiplies the scores too; 1 */
    double temperature; /* BG_TEMPERATURE_ROPE's β */
    int truncate;
    int positions;                             /* max_position_embeddings; 0 unknown */
    const cJSON *short_factors, *long_factors; /* longrope */
} bg_rope_config;

enum { BG_MOST_STREAMS = 8 };

typedef struct bg_model_config {
    int layers, hidden, heads, kv_heads, head_dim, inner, vocab, embed_width, positions;
    int width;                        /* of a layer's input: hidden over `streams` */
    int full_head_dim, full_kv_heads; /* of layers without a window, when they differ; 0 */
    int streams;
    bg_norm_kind norm;
    double eps;
    bg_order order;
    bg_activation activation;
    int gated, tied, final_norm;
    bg_qkv_layout qkv;
    bg_rope_config rope, rope_local; /* local: kind BG_ROPE_NONE where there is none */
    int learned;                     /* as in bg_arch */
    double attention_scale;          /* of q·k */
    int scale_by_layer;              /* and over layer + 1 */
    double attention_cap, logit_cap; /* 0: none */
    float embedding_scale;           /* 1: none */
    float residual_scale, logit_scale;
    double temperature_scale, temperature_floor;
    int alibi_max; /* MPT's alibi_bias_max */
    int experts, experts_used, expert_groups, groups_used, norms_experts;
    double expert_scale, expert_jitter, clamp_limit, clamp_alpha;
    int latent_q, latent_kv, turned_dim, value_dim;              /* latent attention */
    int conv_taps, state, state_groups, mix_heads, mix_head_dim; /* convolutions, state spaces */
    int mix_key_heads, mix_key_dim;
    int mix_split; /* the gated delta rule's projections stand alone */
    double dt_min, dt_max;
    int corrects_scale; /* AltUp: the first stream times a vector before the layer's own input */
    int layer_input;    /* width of the inputs of each layer (Gemma 3n); 0: none */
} bg_model_config;

/* What one layer does differently. */
typedef struct bg_layer_rules {
    bg_mixer mixer;
    int window;  /* keys a query sees, itself included; 0: all before it */
    int chunked; /* the window is the query's own chunk */
    int turns;   /* 0: no rope, 1: the main one, 2: the local one */
    int head_dim, kv_heads;
    double cutoff;   /* of the MLP's gate, in standard deviations above its mean; −INFINITY: none */
    int temperature; /* queries are multiplied by their position's factor */
} bg_layer_rules;

/* The part of a config that describes the text model: itself, or its text_config. */
const cJSON *bg_arch_text(const cJSON *config);
/* The row for a config: by model_type, else by architectures[0]. BG_INPUT names the known ones. */
int bg_arch_find(const cJSON *config, const char *path, const bg_arch **out, bg_err *e);
/* Sizes and rules, checked. `path` is what errors call the file. */
int bg_arch_config(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *out, bg_err *e);
int bg_arch_layer(const bg_arch *a, const cJSON *config, const bg_model_config *c, int layer, bg_layer_rules *out,
                  bg_err *e);
int bg_arch_bias(const cJSON *config, const bg_bias_rule *r);
/* Sizes of the blocks that only some families have, and what their configs say in a way of their own. */
int bg_arch_read_blocks(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e);
/* Refuses a config with keys that change the arithmetic and that the row does not read. */
int bg_arch_refuse(const bg_arch *a, const cJSON *config, const char *path, bg_err *e);
/* The rope of a config: the main one, or that of layers with a window. */
int bg_arch_rope(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e);

#endif
