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

typedef struct role_pattern {
    const char *role;
    int is_linear;
    const char *modules; /* endings of the module path, separated by spaces */
} role_pattern;

static const role_pattern roles[] = {
    {"embed", 1, "embed_tokens token_embd wte word_embeddings embed_in tok_embeddings embeddings.tok_embeddings"},
    {"position", 0, "embed_positions wpe position_embd position_embeddings token_type_embeddings"},
    {"attn.qkv_proj", 1, "c_attn query_key_value qkv_proj Wqkv in_proj attn.qkv attn_qkv"},
    {"attn.q_proj", 1, "q_proj attn.wq attention.wq self.query q_lin attn_q"},
    {"attn.k_proj", 1, "k_proj attn.wk attention.wk self.key k_lin attn_k"},
    {"attn.v_proj", 1, "v_proj attn.wv attention.wv self.value v_lin attn_v"},
    {"attn.o_proj", 1,
     "o_proj attn.out_proj self_attn.out_proj attn.c_proj attention.dense self_attention.dense attention.output.dense "
     "attn.wo attention.wo out_lin attn_output"},
    {"mlp.gate_up_proj", 1, "gate_up_proj"},
    {"mlp.gate_proj", 1, "gate_proj w1 ffn_gate ffn_gate_exps"},
    {"mlp.up_proj", 1, "up_proj w3 c_fc fc1 fc_in dense_h_to_4h intermediate.dense ffn.lin1 Wi ffn_up ffn_up_exps"},
    {"mlp.down_proj", 1,
     "down_proj w2 mlp.c_proj fc2 fc_out dense_4h_to_h output.dense ffn.lin2 ffn_down ffn_down_exps"},
    {"lm_head", 1, "lm_head embed_out output"},
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

const char *bg_role_of(const char *name, int *layer)
{
    *layer = layer_of(name);
    size_t n = strlen(name);
    if (ends_with(name, n, "bias", 4))
        return "bias";
    if (ends_with(name, n, "weight", 6))
        n = n > 7 ? n - 7 : 0;
    if (!n)
        return "other";
    if (is_norm(name, n))
        return "norm";
    for (int i = 0; i < ROLES; i++)
        for (const char *p = roles[i].modules; *p;) {
            size_t m = strcspn(p, " ");
            if (ends_with(name, n, p, m))
                return roles[i].role;
            p += m + (p[m] == ' ');
        }
    return "other";
}
