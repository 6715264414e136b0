/* The tables of rows, and what many rows share. Internal to the model. */
#ifndef BG_ANALYSIS_MODEL_ARCH_ROWS_H
#define BG_ANALYSIS_MODEL_ARCH_ROWS_H

#include "analysis/model/arch.h"

/* A row says after a macro of blocks what it has otherwise. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

/* Each ends with a row without name. */
extern const bg_arch bg_arch_dense[], bg_arch_experts[], bg_arch_special[];

extern const bg_config_keys bg_llama_keys, bg_gemma_keys, bg_gpt2_keys, bg_layer_norm_keys;

/* Tensor names that most families share. */
#define LLAMA_MIXER                                                                                                    \
    [BG_Q] = "self_attn.q_proj", [BG_K] = "self_attn.k_proj", [BG_V] = "self_attn.v_proj", [BG_O] = "self_attn.o_proj"
#define LLAMA_MLP   [BG_GATE] = "mlp.gate_proj", [BG_UP] = "mlp.up_proj", [BG_DOWN] = "mlp.down_proj"
#define LLAMA_OUTER .embed = "embed_tokens", .final_norm = "norm", .head = "lm_head"
#define LLAMA_PLACE .roots = {"model."}, .layer = "layers.%d."
#define LLAMA_NAMES LLAMA_PLACE, LLAMA_OUTER, .linears = {LLAMA_MIXER, LLAMA_MLP}
#define LLAMA_NORMS [BG_NORM_ATTN] = "input_layernorm", [BG_NORM_MLP] = "post_attention_layernorm"
#define HEAD_NORMS  [BG_NORM_Q] = "self_attn.q_norm", [BG_NORM_K] = "self_attn.k_norm"
/* Norms of what attention and the MLP give, and none before them. */
#define OUTPUT_NORMS [BG_NORM_ATTN_OUT] = "post_attention_layernorm", [BG_NORM_MLP_OUT] = "post_feedforward_layernorm"
#define GEMMA_NORMS                                                                                                    \
    [BG_NORM_ATTN] = "input_layernorm", [BG_NORM_ATTN_OUT] = "post_attention_layernorm",                               \
    [BG_NORM_MLP] = "pre_feedforward_layernorm", [BG_NORM_MLP_OUT] = "post_feedforward_layernorm"
#define LLAMA_BLOCKS                                                                                                   \
    .norm = BG_RMS, .order = BG_ORDER_PRE, .rope = BG_ROPE_HALF, .qkv = BG_QKV_SEPARATE, .activation = "silu",         \
    .eps = 1e-6, .partial = "partial_rotary_factor", .partial_otherwise = 1
#define GEMMA_BLOCKS                                                                                                   \
    .norm = BG_RMS_PLUS_ONE, .order = BG_ORDER_PRE, .rope = BG_ROPE_HALF, .qkv = BG_QKV_SEPARATE,                      \
    .activation = "!gelu_pytorch_tanh", .eps = 1e-6, .partial = "partial_rotary_factor", .partial_otherwise = 1,       \
    .tied = 1, .head_dim = 256, .scales_embedding = 1
#define QKV_BIAS(k, o)   [BG_Q] = {k, o}, [BG_K] = {k, o}, [BG_V] = {k, o}
#define EVERY_BIAS(k, o) QKV_BIAS(k, o), [BG_O] = {k, o}
#define MLP_BIAS(k, o)   [BG_GATE] = {k, o}, [BG_UP] = {k, o}, [BG_DOWN] = {k, o}
#define GRANITE_KEYS     "embedding_multiplier residual_multiplier attention_multiplier logits_scaling"

#endif
