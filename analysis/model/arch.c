/* Owns the table of architectures. Each row is read off the family's published modelling code (transformers 5.23,
 * models/NAME/modeling_NAME.py) and pinned by a golden model of the same name. */
#include "analysis/model/arch.h"

#include <string.h>
#include "io/base/json.h"
#include "io/base/options.h"

static const bg_config_keys llama_keys = {
    .hidden = "hidden_size",
    .layers = "num_hidden_layers",
    .heads = "num_attention_heads",
    .kv_heads = "num_key_value_heads",
    .head_dim = "head_dim",
    .inner = "intermediate_size",
    .positions = "max_position_embeddings",
    .eps = "rms_norm_eps",
    .activation = "hidden_act",
};
static const bg_config_keys gemma_keys = {
    .hidden = "hidden_size",
    .layers = "num_hidden_layers",
    .heads = "num_attention_heads",
    .kv_heads = "num_key_value_heads",
    .head_dim = "head_dim",
    .inner = "intermediate_size",
    .positions = "max_position_embeddings",
    .eps = "rms_norm_eps",
    .activation = "hidden_activation",
};
static const bg_config_keys opt_keys = {
    .hidden = "hidden_size",
    .layers = "num_hidden_layers",
    .heads = "num_attention_heads",
    .inner = "ffn_dim",
    .positions = "max_position_embeddings",
    .activation = "activation_function",
    .embed_width = "word_embed_proj_dim",
};
static const bg_config_keys gpt2_keys = {
    .hidden = "n_embd",
    .layers = "n_layer",
    .heads = "n_head",
    .inner = "n_inner",
    .positions = "n_positions",
    .eps = "layer_norm_epsilon",
    .activation = "activation_function",
};
static const bg_config_keys neox_keys = {
    .hidden = "hidden_size",
    .layers = "num_hidden_layers",
    .heads = "num_attention_heads",
    .inner = "intermediate_size",
    .positions = "max_position_embeddings",
    .eps = "layer_norm_eps",
    .activation = "hidden_act",
};

/* Tensor names that llama, mistral, qwen and gemma share. */
#define LLAMA_NAMES                                                                                                    \
    .roots = {"model."}, .layer = "layers.%d.", .embed = "embed_tokens", .final_norm = "norm", .head = "lm_head",      \
    .linears = {[BG_Q] = "self_attn.q_proj", [BG_K] = "self_attn.k_proj", [BG_V] = "self_attn.v_proj",                 \
                [BG_O] = "self_attn.o_proj", [BG_GATE] = "mlp.gate_proj", [BG_UP] = "mlp.up_proj",                     \
                [BG_DOWN] = "mlp.down_proj"}
#define LLAMA_NORMS [BG_NORM_ATTN] = "input_layernorm", [BG_NORM_MLP] = "post_attention_layernorm"
#define LLAMA_BLOCKS                                                                                                   \
    .norm = BG_RMS, .order = BG_ORDER_PRE, .rope = BG_ROPE_HALF, .qkv = BG_QKV_SEPARATE, .activation = "silu",         \
    .eps = 1e-6, .partial = "partial_rotary_factor", .partial_otherwise = 1
#define GEMMA_BLOCKS                                                                                                   \
    .norm = BG_RMS_PLUS_ONE, .order = BG_ORDER_PRE, .rope = BG_ROPE_HALF, .qkv = BG_QKV_SEPARATE,                      \
    .activation = "!gelu_pytorch_tanh", .eps = 1e-6, .partial = "partial_rotary_factor", .partial_otherwise = 1,       \
    .tied = 1, .head_dim = 256, .scales_embedding = 1
#define EVERY_BIAS(k, o) [BG_Q] = {k, o}, [BG_K] = {k, o}, [BG_V] = {k, o}, [BG_O] = {k, o}
#define MLP_BIAS(k, o)   [BG_GATE] = {k, o}, [BG_UP] = {k, o}, [BG_DOWN] = {k, o}

const bg_arch bg_archs[] = {
    {.name = "llama",
     .keys = &llama_keys,
     LLAMA_BLOCKS,
     LLAMA_NAMES,
     .norms = {LLAMA_NORMS},
     .bias = {EVERY_BIAS("attention_bias", 0), MLP_BIAS("mlp_bias", 0)}},
    {.name = "mistral",
     .keys = &llama_keys,
     LLAMA_BLOCKS,
     LLAMA_NAMES,
     .norms = {LLAMA_NORMS},
     .kv_heads = 8,
     .window = BG_WINDOW_ALL},
    {.name = "qwen2",
     .keys = &llama_keys,
     LLAMA_BLOCKS,
     LLAMA_NAMES,
     .norms = {LLAMA_NORMS},
     .kv_heads = 32,
     .window = BG_WINDOW_ASKED,
     .bias = {[BG_Q] = {NULL, 1}, [BG_K] = {NULL, 1}, [BG_V] = {NULL, 1}}},
    {.name = "qwen3",
     .keys = &llama_keys,
     LLAMA_BLOCKS,
     LLAMA_NAMES,
     .kv_heads = 32,
     .head_dim = 128,
     .norms = {LLAMA_NORMS, [BG_NORM_Q] = "self_attn.q_norm", [BG_NORM_K] = "self_attn.k_norm"},
     .window = BG_WINDOW_ASKED,
     .bias = {EVERY_BIAS("attention_bias", 0)}},
    {.name = "gemma",
     .keys = &gemma_keys,
     GEMMA_BLOCKS,
     LLAMA_NAMES,
     .norms = {LLAMA_NORMS},
     .kv_heads = 16,
     .bias = {EVERY_BIAS("attention_bias", 0)}},
    {.name = "gemma2",
     .keys = &gemma_keys,
     GEMMA_BLOCKS,
     LLAMA_NAMES,
     .kv_heads = 4,
     .query_scalar = 256,
     .norms = {[BG_NORM_ATTN] = "input_layernorm",
               [BG_NORM_ATTN_OUT] = "post_attention_layernorm",
               [BG_NORM_MLP] = "pre_feedforward_layernorm",
               [BG_NORM_MLP_OUT] = "post_feedforward_layernorm"},
     .attention_cap = 50,
     .logit_cap = 30,
     .window = BG_WINDOW_EVEN,
     .bias = {EVERY_BIAS("attention_bias", 0)}},
    {.name = "opt",
     .keys = &opt_keys,
     .norm = BG_LAYER_NORM,
     .order = BG_ORDER_PRE,
     .rope = BG_ROPE_NONE,
     .activation = "relu",
     .eps = 1e-5,
     .tied = 1,
     .learned = 3,
     .order_key = "do_layer_norm_before",
     .order_value = 0,
     .order_then = BG_ORDER_POST,
     .bias = {EVERY_BIAS("enable_bias", 1), MLP_BIAS("enable_bias", 1)},
     .roots = {"model.decoder.", "decoder."},
     .layer = "layers.%d.",
     .linears = {[BG_Q] = "self_attn.q_proj",
                 [BG_K] = "self_attn.k_proj",
                 [BG_V] = "self_attn.v_proj",
                 [BG_O] = "self_attn.out_proj",
                 [BG_UP] = "fc1",
                 [BG_DOWN] = "fc2"},
     .norms = {[BG_NORM_ATTN] = "self_attn_layer_norm", [BG_NORM_MLP] = "final_layer_norm"},
     .embed = "embed_tokens",
     .positions = "embed_positions",
     .final_norm = "final_layer_norm",
     .project_in = "project_in",
     .project_out = "project_out",
     .head = "lm_head"},
    {.name = "gpt2",
     .keys = &gpt2_keys,
     .norm = BG_LAYER_NORM,
     .order = BG_ORDER_PRE,
     .rope = BG_ROPE_NONE,
     .qkv = BG_QKV_BLOCKS,
     .activation = "gelu_new",
     .eps = 1e-5,
     .tied = 1,
     .learned = 1,
     .inner_times = 4,
     .bias = {[BG_QKV] = {NULL, 1}, [BG_O] = {NULL, 1}, MLP_BIAS(NULL, 1)},
     .roots = {"transformer.", ""},
     .layer = "h.%d.",
     .linears = {[BG_QKV] = "attn.c_attn", [BG_O] = "attn.c_proj", [BG_UP] = "mlp.c_fc", [BG_DOWN] = "mlp.c_proj"},
     .norms = {[BG_NORM_ATTN] = "ln_1", [BG_NORM_MLP] = "ln_2"},
     .embed = "wte",
     .positions = "wpe",
     .final_norm = "ln_f",
     .head = "lm_head"},
    {.name = "gpt_neox",
     .keys = &neox_keys,
     .norm = BG_LAYER_NORM,
     .order = BG_ORDER_PARALLEL,
     .rope = BG_ROPE_HALF,
     .qkv = BG_QKV_HEADS,
     .activation = "gelu",
     .eps = 1e-5,
     .partial = "rotary_pct",
     .partial_otherwise = 0.25,
     .order_key = "use_parallel_residual",
     .order_value = 0,
     .order_then = BG_ORDER_PRE,
     .bias = {[BG_QKV] = {"attention_bias", 1}, [BG_O] = {"attention_bias", 1}, MLP_BIAS(NULL, 1)},
     .roots = {"gpt_neox."},
     .layer = "layers.%d.",
     .linears = {[BG_QKV] = "attention.query_key_value",
                 [BG_O] = "attention.dense",
                 [BG_UP] = "mlp.dense_h_to_4h",
                 [BG_DOWN] = "mlp.dense_4h_to_h"},
     .norms = {LLAMA_NORMS},
     .embed = "embed_in",
     .final_norm = "final_layer_norm",
     .head = "embed_out"},
    {.name = "gptj",
     .keys = &gpt2_keys,
     .norm = BG_LAYER_NORM,
     .order = BG_ORDER_PARALLEL,
     .rope = BG_ROPE_PAIRS,
     .activation = "gelu_new",
     .eps = 1e-5,
     .inner_times = 4,
     .partial = "rotary_dim",
     .partial_otherwise = 64,
     .bias = {MLP_BIAS(NULL, 1)},
     .head_bias = {NULL, 1},
     .roots = {"transformer."},
     .layer = "h.%d.",
     .linears = {[BG_Q] = "attn.q_proj",
                 [BG_K] = "attn.k_proj",
                 [BG_V] = "attn.v_proj",
                 [BG_O] = "attn.out_proj",
                 [BG_UP] = "mlp.fc_in",
                 [BG_DOWN] = "mlp.fc_out"},
     .norms = {[BG_NORM_ATTN] = "ln_1"},
     .embed = "wte",
     .final_norm = "ln_f",
     .head = "lm_head"},
    {0},
};

/* "LlamaForCausalLM" names the row "llama": letters and digits compared without case and underscores. */
static int class_matches(const char *class_name, const char *row)
{
    for (; *row; row++) {
        if (*row == '_')
            continue;
        if ((*class_name | 0x20) != *row && *class_name != *row)
            return 0;
        class_name++;
    }
    return !strncmp(class_name, "For", 3) || !strncmp(class_name, "LMHead", 6);
}

int bg_arch_find(const cJSON *config, const char *path, const bg_arch **out, bg_err *e)
{
    if (!config)
        return bg_fail(e, BG_INPUT, "%s: no config.json beside the weights; the model's architecture is unknown", path);
    const char *type = bg_json_string(config, "model_type", NULL);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, "architectures");
    const char *class_name = cJSON_IsArray(list) && list->child ? cJSON_GetStringValue(list->child) : NULL;
    for (const bg_arch *a = bg_archs; a->name; a++)
        if (type ? !strcmp(a->name, type) : class_name && class_matches(class_name, a->name)) {
            *out = a;
            return BG_OK;
        }
    char known[256] = "";
    for (const bg_arch *a = bg_archs; a->name; a++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", a->name);
    }
    return bg_fail(e, BG_INPUT, "%s: config.json: architecture '%.80s' cannot be run; those that can: %s", path,
                   type         ? type
                   : class_name ? class_name
                                : "(none named)",
                   known);
}
