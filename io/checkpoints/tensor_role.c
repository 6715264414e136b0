/* Owns the roles: what a tensor does in its model, told from its Hugging Face name alone.
 *
 * A name is PREFIX.layers.N.MODULE.weight; MODULE is looked up by the end of its path. The rows stand in the order in
 * which a layer computes, which is also the order in which tensors are listed.
 */
#define _GNU_SOURCE
#include "io/checkpoints/loading.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ROUTER "mlp.router"

typedef struct role_pattern {
    const char *role;
    int is_linear;
    const char *modules; /* endings of the module path, separated by spaces */
} role_pattern;

static const role_pattern roles[] = {
    {"embed", 1, "embed_tokens token_embd wte word_embeddings embed_in tok_embeddings embeddings.tok_embeddings"},
    {"position", 0, "embed_positions wpe position_embd position_embeddings token_type_embeddings"},
    {"layer_input.proj", 1, "per_layer_model_projection"},
    {"mix.in_proj", 1, "mixer.in_proj conv.in_proj linear_attn.in_proj_qkvz linear_attn.in_proj_qkv ssm_in"},
    {"mix.z_proj", 1, "linear_attn.in_proj_z"},
    {"mix.ba_proj", 1, "linear_attn.in_proj_ba linear_attn.in_proj_a linear_attn.in_proj_b"},
    {"mix.out_proj", 1, "mixer.out_proj conv.out_proj linear_attn.out_proj ssm_out"},
    {"attn.q_a_proj", 1, "q_a_proj attn_q_a"},
    {"attn.q_b_proj", 1, "q_b_proj attn_q_b"},
    {"attn.kv_a_proj", 1, "kv_a_proj_with_mqa attn_kv_a_mqa"},
    {"attn.kv_b_proj", 1, "kv_b_proj attn_kv_b"},
    {"attn.qkv_proj", 1, "c_attn query_key_value qkv_proj Wqkv in_proj attn.qkv attn_qkv"},
    {"attn.q_proj", 1, "q_proj attn.wq attention.wq self.query q_lin attn_q"},
    {"attn.k_proj", 1, "k_proj attn.wk attention.wk self.key k_lin attn_k"},
    {"attn.v_proj", 1, "v_proj attn.wv attention.wv self.value v_lin attn_v"},
    {"attn.o_proj", 1,
     "o_proj attn.out_proj self_attn.out_proj attn.c_proj attention.dense self_attention.dense self_attn.dense "
     "attention.output.dense "
     "attn.wo attention.wo out_lin attn_output"},
    {ROUTER, 0,
     "mlp.gate block_sparse_moe.gate mlp.router router.layer feed_forward.router shared_expert_gate ffn_gate_inp "
     "ffn_gate_inp_shexp"}, /* small, and a wrong choice is worse than a wrong weight: not a matrix of the study */
    {"mlp.gate_up_proj", 1, "gate_up_proj"},
    {"mlp.gate_proj", 1, "gate_proj w1 ffn_gate"},
    {"mlp.up_proj", 1, "up_proj w3 c_fc fc1 fc_in dense_h_to_4h intermediate.dense ffn.lin1 Wi ffn_up"},
    {"mlp.down_proj", 1, "down_proj w2 mlp.c_proj fc2 fc_out dense_4h_to_h output.dense ffn.lin2 ffn_down"},
    {"mlp.shared.gate_proj", 1, ""},
    {"mlp.shared.up_proj", 1, ""},
    {"mlp.shared.down_proj", 1, ""},
    {"mlp.experts.gate_up_proj", 1, ""},
    {"mlp.experts.gate_proj", 1, "ffn_gate_exps"},
    {"mlp.experts.up_proj", 1, "ffn_up_exps"},
    {"mlp.experts.down_proj", 1, "ffn_down_exps"},
    {"layer_input.gate", 1, "per_layer_input_gate"},
    {"layer_input.out", 1, "per_layer_projection"},
    {"lm_head", 1, "lm_head embed_out output"},
    {"vision.attn", 1, ""}, /* towers beside the text model, whose layers are counted apart */
    {"vision.mlp", 1, ""},
    {"source", 1, "source"},
    {"linear", 1, ""}, /* a matrix of a role of its own: bg_ckpt_open decides by its shape */
    {"norm", 0, ""},
    {"bias", 0, ""},
    {"other", 0, ""},
};

enum { ROLES = sizeof roles / sizeof *roles };

int bg_role_order(const char *role)
{
    int i = 0;
    while (i < ROLES - 1 && strcmp(roles[i].role, role))
        i++;
    return i;
}

int bg_role_is_linear(const char *role)
{
    return roles[bg_role_order(role)].is_linear;
}

/* Is `ending` all of text[0..n), or what follows a dot at its end? */
static int ends_with(const char *text, size_t n, const char *ending, size_t m)
{
    return n >= m && !memcmp(text + n - m, ending, m) && (n == m || text[n - m - 1] == '.');
}

/* The number behind a component that lists layers ("layers.12."); −1 when there is none. */
static int layer_of(const char *name)
{
    static const char *const lists[] = {"layers", "layer", "h", "blocks", "block", "blk"};
    for (const char *p = name; p; p = strchr(p, '.'), p += p != NULL) {
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
            size_t n = strlen(lists[i]);
            if (strncmp(p, lists[i], n) || p[n] != '.' || !isdigit((unsigned char)p[n + 1]))
                continue;
            char *end;
            long v = strtol(p + n + 1, &end, 10);
            if ((*end == '.' || !*end) && v < 1000000)
                return (int)v;
        }
    }
    return -1;
}

static int is_norm(const char *module, size_t n)
{
    static const char *const words[] = {"norm", "Norm", "ln_", "ln1", "ln2"};
    size_t last = n;
    while (last && module[last - 1] != '.')
        last--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (memmem(module + last, n - last, words[i], strlen(words[i])))
            return 1;
    return 0;
}

/* The row whose role is `start` + what follows "mlp." in `role`; `role` itself if there is none. */
static const char *role_among(const char *start, const char *role)
{
    for (int i = 0; i < ROLES; i++)
        if (!strncmp(role, "mlp.", 4) && !strncmp(roles[i].role, start, strlen(start)) &&
            !strcmp(roles[i].role + strlen(start), role + 4))
            return roles[i].role;
    return role;
}

/* What stands beside a text model: its layers are not the text model's. */
static int is_vision(const char *name)
{
    static const char *const towers[] = {"vision_tower.", "vision_model.", "visual.", "audio_tower."};
    for (size_t i = 0; i < sizeof towers / sizeof *towers; i++) {
        const char *at = strstr(name, towers[i]);
        if (at && (at == name || at[-1] == '.'))
            return 1;
    }
    return 0;
}

int bg_role_expert(const char *name)
{
    const char *at = strstr(name, ".experts.");
    if (!at || !isdigit((unsigned char)at[9]))
        return -1;
    long v = strtol(at + 9, NULL, 10);
    return v < 1000000 ? (int)v : -1;
}

static const char *role_named(const char *name, size_t n)
{
    for (int i = 0; i < ROLES; i++)
        for (const char *p = roles[i].modules; *p;) {
            size_t m = strcspn(p, " ");
            if (ends_with(name, n, p, m))
                return roles[i].role;
            p += m + (p[m] == ' ');
        }
    return "other";
}

const char *bg_role_of(const char *name, int *layer)
{
    int vision = is_vision(name);
    *layer = vision ? -1 : layer_of(name);
    size_t n = strlen(name);
    if (ends_with(name, n, "bias", 4))
        return "bias";
    if (ends_with(name, n, "weight", 6))
        n = n > 7 ? n - 7 : 0;
    if (!n)
        return "other";
    if (is_norm(name, n))
        return "norm";
    const char *role = role_named(name, n);
    if (vision)
        return !strncmp(role, "attn.", 5) ? "vision.attn" : !strncmp(role, "mlp.", 4) ? "vision.mlp" : "other";
    if (strstr(name, ".experts."))
        return role_among("mlp.experts.", role);
    return strstr(name, "shared_expert") || strstr(name, "_shexp") ? role_among("mlp.shared.", role) : role;
}
