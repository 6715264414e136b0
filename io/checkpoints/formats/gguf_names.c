/* Owns the table of GGUF's families. Names: ggml-org/llama.cpp gguf-py/gguf/tensor_mapping.py; the rest:
 * convert_hf_to_gguf.py, what each model class does beside renaming. */
#define _GNU_SOURCE
#include "io/checkpoints/formats/gguf_names.h"

#include <stdlib.h>
#include <string.h>

static const bg_gguf_renaming common[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_qkv", "self_attn.qkv_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"attn_q_a", "self_attn.q_a_proj"},
    {"attn_q_b", "self_attn.q_b_proj"},
    {"attn_q_a_norm", "self_attn.q_a_layernorm"},
    {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"},
    {"attn_kv_a_norm", "self_attn.kv_a_layernorm"},
    {"attn_kv_b", "self_attn.kv_b_proj"},
    {"attn_sinks.weight", "self_attn.sinks"},
    {"post_attention_norm", "post_attention_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts.gate_proj"},
    {"ffn_up_exps", "mlp.experts.up_proj"},
    {"ffn_down_exps", "mlp.experts.down_proj"},
    {"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_experts.up_proj"},
    {"ffn_down_shexp", "mlp.shared_experts.down_proj"},
    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"},
    {NULL, NULL},
};

static const bg_gguf_renaming gpt2[] = {
    {"token_embd", "transformer.wte"},
    {"position_embd", "transformer.wpe"},
    {"output_norm", "transformer.ln_f"},
    {"attn_norm", "ln_1"},
    {"attn_qkv", "attn.c_attn"},
    {"attn_output", "attn.c_proj"},
    {"ffn_norm", "ln_2"},
    {"ffn_up", "mlp.c_fc"},
    {"ffn_down", "mlp.c_proj"},
    {NULL, NULL},
};
static const bg_gguf_renaming bloom[] = {
    {"token_embd", "transformer.word_embeddings"},
    {"token_embd_norm", "transformer.word_embeddings_layernorm"},
    {"output_norm", "transformer.ln_f"},
    {"attn_qkv", "self_attention.query_key_value"},
    {"attn_output", "self_attention.dense"},
    {"ffn_up", "mlp.dense_h_to_4h"},
    {"ffn_down", "mlp.dense_4h_to_h"},
    {NULL, NULL},
};
static const bg_gguf_renaming gemma2[] = {{"ffn_norm", "pre_feedforward_layernorm"}, {NULL, NULL}};
static const bg_gguf_renaming apertus[] = {
    {"attn_norm", "attention_layernorm"}, {"ffn_norm", "feedforward_layernorm"}, {NULL, NULL}};
static const bg_gguf_renaming glm4[] = {{"post_attention_norm", "post_self_attn_layernorm"},
                                        {"post_ffw_norm", "post_mlp_layernorm"},
                                        {"ffn_up", "mlp.gate_up_proj"},
                                        {NULL, NULL}};
static const bg_gguf_renaming gpt_oss[] = {{"ffn_gate_inp", "mlp.router"}, {NULL, NULL}};
static const bg_gguf_renaming granitemoe[] = {{"ffn_gate_inp", "block_sparse_moe.router.layer"},
                                              {"ffn_gate_exps", "block_sparse_moe.experts.gate_proj"},
                                              {"ffn_up_exps", "block_sparse_moe.experts.up_proj"},
                                              {"ffn_down_exps", "block_sparse_moe.experts.down_proj"},
                                              {NULL, NULL}};
static const bg_gguf_renaming hunyuan[] = {
    {"attn_q_norm", "self_attn.query_layernorm"}, {"attn_k_norm", "self_attn.key_layernorm"}, {NULL, NULL}};
static const bg_gguf_renaming mixtral[] = {{"ffn_gate_inp", "block_sparse_moe.gate"},
                                           {"ffn_gate_exps", "block_sparse_moe.experts.w1"},
                                           {"ffn_up_exps", "block_sparse_moe.experts.w3"},
                                           {"ffn_down_exps", "block_sparse_moe.experts.w2"},
                                           {"exp_probs_b.bias", "block_sparse_moe.e_score_correction_bias"},
                                           {NULL, NULL}};
static const bg_gguf_renaming lfm2[] = {{"token_embd_norm", "model.embedding_norm"},
                                        {"attn_norm", "operator_norm"},
                                        {"attn_output", "self_attn.out_proj"},
                                        {"attn_q_norm", "self_attn.q_layernorm"},
                                        {"attn_k_norm", "self_attn.k_layernorm"},
                                        {"ffn_norm", "ffn_norm"},
                                        {"ffn_gate", "feed_forward.w1"},
                                        {"ffn_up", "feed_forward.w3"},
                                        {"ffn_down", "feed_forward.w2"},
                                        {"shortconv.in_proj", "conv.in_proj"},
                                        {"shortconv.out_proj", "conv.out_proj"},
                                        {"shortconv.conv", "conv.conv"},
                                        {NULL, NULL}};
static const bg_gguf_renaming llama4[] = {{"ffn_gate", "feed_forward.gate_proj"},
                                          {"ffn_up", "feed_forward.up_proj"},
                                          {"ffn_down", "feed_forward.down_proj"},
                                          {"ffn_gate_inp", "feed_forward.router"},
                                          {"ffn_gate_exps", "feed_forward.experts.gate_proj"},
                                          {"ffn_up_exps", "feed_forward.experts.up_proj"},
                                          {"ffn_down_exps", "feed_forward.experts.down_proj"},
                                          {"ffn_gate_shexp", "feed_forward.shared_expert.gate_proj"},
                                          {"ffn_up_shexp", "feed_forward.shared_expert.up_proj"},
                                          {"ffn_down_shexp", "feed_forward.shared_expert.down_proj"},
                                          {NULL, NULL}};
static const bg_gguf_renaming mamba2[] = {{"token_embd", "backbone.embeddings"},
                                          {"output_norm", "backbone.norm_f"},
                                          {"attn_norm", "norm"},
                                          {"ssm_in", "mixer.in_proj"},
                                          {"ssm_out", "mixer.out_proj"},
                                          {"ssm_conv1d", "mixer.conv1d"},
                                          {"ssm_norm", "mixer.norm"},
                                          {"ssm_a", "mixer.A_log"},
                                          {"ssm_d", "mixer.D"},
                                          {"ssm_dt.bias", "mixer.dt_bias"},
                                          {NULL, NULL}};
static const bg_gguf_renaming phi[] = {{"output_norm", "model.final_layernorm"},
                                       {"attn_output", "self_attn.dense"},
                                       {"ffn_up", "mlp.fc1"},
                                       {"ffn_down", "mlp.fc2"},
                                       {NULL, NULL}};
static const bg_gguf_renaming phi3[] = {{"ffn_up", "mlp.gate_up_proj"}, {NULL, NULL}};
static const bg_gguf_renaming qwen2moe[] = {{"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
                                            {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
                                            {"ffn_down_shexp", "mlp.shared_expert.down_proj"},
                                            {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
                                            {NULL, NULL}};
static const bg_gguf_renaming starcoder2[] = {{"ffn_up", "mlp.c_fc"}, {"ffn_down", "mlp.c_proj"}, {NULL, NULL}};

static const bg_gguf_family families[] = {
    {.architecture = "llama", .when = "expert_count", .type = "mixtral", .pairs = 1, .own = mixtral},
    {.architecture = "llama", .type = "llama", .pairs = 1},
    {.architecture = "qwen2", .type = "qwen2"},
    {.architecture = "qwen3", .type = "qwen3"},
    {.architecture = "gemma", .type = "gemma"},
    {.architecture = "gemma2", .type = "gemma2", .own = gemma2},
    {.architecture = "gemma3", .type = "gemma3_text", .own = gemma2},
    {.architecture = "gpt2", .type = "gpt2", .layers = "transformer.h.", .own = gpt2},
    {.architecture = "apertus", .type = "apertus", .own = apertus},
    {.architecture = "arcee", .type = "arcee", .pairs = 1},
    {.architecture = "bloom", .type = "bloom", .splits_qkv = 1, .layers = "transformer.h.", .own = bloom},
    {.architecture = "command-r", .type = "cohere"},
    {.architecture = "cohere2", .type = "cohere2"},
    {.architecture = "deepseek2", .when = "#exp_probs_b.bias", .type = "deepseek_v3"},
    {.architecture = "deepseek2", .type = "deepseek_v2", .config = "{\"topk_method\": \"greedy\"}"},
    {.architecture = "ernie4_5", .type = "ernie4_5"},
    {.architecture = "exaone4", .type = "exaone4"},
    {.architecture = "glm4", .type = "glm4", .own = glm4},
    {.architecture = "glm4moe", .type = "glm4_moe"},
    {.architecture = "gpt-oss",
     .type = "gpt_oss",
     .own = gpt_oss,
     .config = "{\"rope_scaling\": {\"truncate\": false}}"},
    {.architecture = "granite", .type = "granite", .pairs = 1},
    {.architecture = "granitemoe", .type = "granitemoe", .pairs = 1, .own = granitemoe},
    {.architecture = "hunyuan-dense", .type = "hunyuan_v1_dense", .own = hunyuan},
    {.architecture = "lfm2", .type = "lfm2", .own = lfm2},
    {.architecture = "llama4", .type = "llama4_text", .own = llama4},
    {.architecture = "mamba2", .type = "mamba2", .layers = "backbone.layers.", .own = mamba2},
    {.architecture = "minimax-m2", .type = "minimax_m2", .own = mixtral},
    {.architecture = "nemotron", .type = "nemotron"},
    {.architecture = "olmo", .type = "olmo", .pairs = 1},
    {.architecture = "olmo2", .when = "attention.sliding_window", .type = "olmo3"},
    {.architecture = "olmo2", .type = "olmo2"},
    {.architecture = "olmoe", .type = "olmoe"},
    {.architecture = "phi2", .type = "phi", .own = phi},
    {.architecture = "phi3", .type = "phi3", .own = phi3},
    {.architecture = "qwen2moe", .type = "qwen2_moe", .own = qwen2moe},
    {.architecture = "qwen3moe", .type = "qwen3_moe", .config = "{\"norm_topk_prob\": true}"},
    {.architecture = "seed_oss", .type = "seed_oss"},
    {.architecture = "smollm3", .type = "smollm3", .pairs = 1},
    {.architecture = "stablelm", .type = "stablelm"},
    {.architecture = "starcoder2", .type = "starcoder2", .own = starcoder2},
};
enum { FAMILIES = sizeof families / sizeof *families };

static int ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

static int is_met(const bg_gguf_family *f, const bg_gguf *g, const bg_load *l)
{
    char *key = NULL;
    double value = 0;
    if (!f->when)
        return 1;
    if (!l || !g)
        return 0;
    if (*f->when == '#') {
        for (int i = 0; i < l->store->n_raws; i++)
            if (ends_with(l->store->raws[i].name, f->when + 1))
                return 1;
        return 0;
    }
    int found = asprintf(&key, "%s.%s", f->architecture, f->when) > 0 && bg_gguf_has(g, key) &&
                (bg_gguf_number(g, key, &value, NULL) || value > 0);
    free(key);
    return found;
}

const bg_gguf_family *bg_gguf_family_of(const char *architecture, const bg_gguf *g, const bg_load *l)
{
    for (int i = 0; i < FAMILIES; i++)
        if (!strcmp(families[i].architecture, architecture) && is_met(&families[i], g, l))
            return &families[i];
    return NULL;
}

/* The row for a module name of n bytes followed by `suffix`. */
static const bg_gguf_renaming *row_for(const bg_gguf_renaming *r, const char *rest, size_t n)
{
    for (; r && r->gguf; r++) {
        int whole = ends_with(r->gguf, ".weight") || ends_with(r->gguf, ".bias");
        size_t m = whole ? strlen(rest) : n;
        if (strlen(r->gguf) == m && !memcmp(r->gguf, rest, m))
            return r;
    }
    return NULL;
}

char *bg_gguf_to_name(const bg_gguf_family *f, const char *name)
{
    int layer = -1, used = 0;
    if (sscanf(name, "blk.%d.%n", &layer, &used) != 1 || !used)
        used = 0, layer = -1;
    const char *rest = name + used, *dot = strrchr(rest, '.');
    size_t n = dot ? (size_t)(dot - rest) : strlen(rest);
    const bg_gguf_renaming *r = f ? row_for(f->own, rest, n) : NULL;
    if (f && !r)
        r = row_for(common, rest, n);
    if (!r) { /* mamba's A and D have no suffix */
        r = f && !dot ? row_for(f->own, rest, n) : NULL;
    }
    if (!r)
        return strdup(name);
    int whole = ends_with(r->gguf, ".weight") || ends_with(r->gguf, ".bias");
    const char *suffix = whole || !dot ? "" : dot, *layers = f->layers ? f->layers : "model.layers.";
    char *out = NULL;
    int bytes = layer < 0 ? asprintf(&out, "%s%s", r->name, suffix)
                          : asprintf(&out, "%s%d.%s%s", layers, layer, r->name, suffix);
    return bytes < 0 ? NULL : out;
}

/* The row whose Hugging Face name is this one's, of two the first that leads back. */
static char *gguf_name(const bg_gguf_family *f, const bg_gguf_renaming *r, const char *name)
{
    const char *layers = f->layers ? f->layers : "model.layers.";
    size_t m = strlen(layers);
    int layer = -1, used = 0;
    if (strncmp(name, layers, m) || sscanf(name + m, "%d.%n", &layer, &used) != 1 || !used)
        used = 0, layer = -1, m = 0;
    const char *rest = name + m + used, *dot = strrchr(rest, '.');
    for (; r && r->gguf; r++) {
        int whole = ends_with(r->gguf, ".weight") || ends_with(r->gguf, ".bias");
        size_t n = whole || !dot ? strlen(rest) : (size_t)(dot - rest);
        const char *suffix = whole || !dot ? "" : dot;
        char *out = NULL, *back = NULL;
        if (strlen(r->name) != n || memcmp(r->name, rest, n))
            continue;
        if ((layer < 0 ? asprintf(&out, "%s%s", r->gguf, suffix)
                       : asprintf(&out, "blk.%d.%s%s", layer, r->gguf, suffix)) < 0)
            return NULL;
        back = bg_gguf_to_name(f, out);
        int same = back && !strcmp(back, name);
        free(back);
        if (same)
            return out;
        free(out);
    }
    return NULL;
}

char *bg_gguf_name_of(const char *name, const char *architecture)
{
    const bg_gguf_family *f = bg_gguf_family_of(architecture, NULL, NULL);
    char *out = f ? gguf_name(f, f->own, name) : NULL;
    if (out || !f)
        return out;
    /* Of two common rows the later: post_attention_layernorm is ffn_norm in most families. */
    static const bg_gguf_renaming norm[] = {{"ffn_norm", "post_attention_layernorm"}, {NULL, NULL}};
    out = gguf_name(f, norm, name);
    return out ? out : gguf_name(f, common, name);
}
