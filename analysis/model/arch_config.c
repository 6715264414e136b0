/* Owns config.json: the sizes and rules of one model, checked, in the row's terms. Rope: arch_rope.c; what differs from
 * layer to layer: arch_layer.c. */
#include "analysis/model/arch.h"

#include <math.h>
#include <string.h>
#include "io/base/json.h"

enum { MOST_LAYERS = 4096, MOST_WIDTH = 1 << 20, MOST_VOCABULARY = 1 << 26, MOST_POSITIONS = 1 << 28 };

static const cJSON *member(const cJSON *o, const char *key)
{
    const cJSON *v = key && o ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
    return v && !cJSON_IsNull(v) ? v : NULL;
}

/* A whole number of 1 … most under one of the keys (separated by '|'), the first of those present; `otherwise` where
 * all are absent or null, an error where that is 0. */
static int whole(const cJSON *config, const char *path, const char *keys, int64_t most, int otherwise, int *out,
                 bg_err *e)
{
    int64_t value = otherwise;
    char key[64] = "";
    for (const char *k = keys; k && *k && !member(config, key); k += strcspn(k, "|"), k += *k == '|')
        snprintf(key, sizeof key, "%.*s", (int)strcspn(k, "|"), k);
    if (member(config, key)) {
        value = -1;
        if (bg_json_integer(config, key, &value, e) || value < 1 || value > most)
            return bg_fail(e, BG_INPUT, "%s: config.json: '%s' is not a whole number of 1 to %lld", path, key,
                           (long long)most);
    } else if (!otherwise) {
        return bg_fail(e, BG_INPUT, "%s: config.json: '%s' is missing", path, keys);
    }
    *out = (int)value;
    return BG_OK;
}

/* Multi-head latent attention: a head is [what stays | what turns], its value has a width of its own. */
static int read_latent(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    int stays = 0;
    c->kv_heads = c->heads;
    int status = whole(config, path, "qk_nope_head_dim", 65536, 0, &stays, e);
    if (!status)
        status = whole(config, path, "qk_rope_head_dim", 65536, 0, &c->turned_dim, e);
    if (!status)
        status = whole(config, path, "v_head_dim", 65536, 0, &c->value_dim, e);
    if (!status)
        status = whole(config, path, "kv_lora_rank", MOST_WIDTH, 0, &c->latent_kv, e);
    if (!status && member(config, "q_lora_rank"))
        status = whole(config, path, "q_lora_rank", MOST_WIDTH, 0, &c->latent_q, e);
    c->head_dim = stays + c->turned_dim;
    return status;
}

static int read_heads(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    const bg_config_keys *k = a->keys;
    int status = whole(config, path, k->heads, 65536, 0, &c->heads, e);
    if (!status && a->mixer == BG_MIXER_LATENT)
        return read_latent(config, path, c, e);
    if (!status)
        status = whole(config, path, k->kv_heads, 65536, a->kv_heads ? a->kv_heads : c->heads, &c->kv_heads, e);
    if (!status && !a->head_dim && !member(config, k->head_dim) && c->hidden % c->heads)
        status = bg_fail(e, BG_INPUT, "%s: config.json: '%s' %d is no multiple of '%s' %d", path, k->hidden, c->hidden,
                         k->heads, c->heads);
    if (!status)
        status =
            whole(config, path, k->head_dim, 65536, a->head_dim ? a->head_dim : c->hidden / c->heads, &c->head_dim, e);
    c->value_dim = c->head_dim;
    return status;
}

static int read_sizes(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    const bg_config_keys *k = a->keys;
    int status = whole(config, path, k->hidden, MOST_WIDTH, 0, &c->hidden, e);
    if (!status)
        status = whole(config, path, k->layers, MOST_LAYERS, 0, &c->layers, e);
    if (!status && k->heads)
        status = read_heads(a, config, path, c, e);
    const cJSON *inner = member(config, k->inner); /* Gemma 3n lists it by layer; the tensors say it */
    if (!status && cJSON_IsArray(inner))
        c->inner =
            cJSON_IsNumber(inner->child) && inner->child->valuedouble >= 1 && inner->child->valuedouble <= MOST_WIDTH
                ? inner->child->valueint
                : c->hidden;
    else if (!status && (k->inner || a->inner_times))
        status = whole(config, path, k->inner, MOST_WIDTH, a->inner_times * c->hidden, &c->inner, e);
    if (!status)
        status = whole(config, path, "vocab_size", MOST_VOCABULARY, 0, &c->vocab, e);
    if (!status)
        status = whole(config, path, k->embed_width, MOST_WIDTH, c->hidden, &c->embed_width, e);
    const char *positions = member(config, k->positions) || !member(config, "n_ctx") ? k->positions : "n_ctx";
    if (!status && (member(config, positions) || a->learned))
        status = whole(config, path, positions, MOST_POSITIONS, 0, &c->positions, e);
    if (!status && c->kv_heads && c->heads % c->kv_heads)
        status = bg_fail(e, BG_INPUT, "%s: config.json: %d key/value heads do not divide %d heads", path, c->kv_heads,
                         c->heads);
    if (!status && (int64_t)c->heads * c->head_dim > MOST_WIDTH)
        status = bg_fail(e, BG_INPUT, "%s: config.json: %d heads of %d are too wide", path, c->heads, c->head_dim);
    c->width = c->hidden;
    c->streams = 1;
    return status;
}

static int read_activation(const bg_arch *a, const cJSON *config, const char *path, bg_activation *out, bg_err *e)
{
    static const struct {
        const char *name;
        bg_activation kind;
    } names[] = {{"silu", BG_SILU},           {"swish", BG_SILU},
                 {"gelu_new", BG_GELU_TANH},  {"gelu_pytorch_tanh", BG_GELU_TANH},
                 {"gelu_fast", BG_GELU_TANH}, {"gelu", BG_GELU_ERF},
                 {"relu", BG_RELU},           {"relu2", BG_RELU2},
                 {"xielu", BG_XIELU},         {"clamped", BG_CLAMPED}};
    const char *name =
        *a->activation == '!' ? a->activation + 1 : bg_json_string(config, a->keys->activation, a->activation);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, name)) {
            *out = names[i].kind;
            return (*out == BG_XIELU && !a->vectors[BG_XIELU_P]) || (*out == BG_CLAMPED && *a->activation != '!')
                       ? bg_fail(e, BG_INPUT, "%s: config.json: activation '%s' is not known in %s", path, name,
                                 a->name)
                       : BG_OK;
        }
    return bg_fail(e, BG_INPUT,
                   "%s: config.json: activation '%.40s' is not one of silu, gelu, gelu_new, gelu_pytorch_tanh, "
                   "relu, relu2",
                   path, name);
}

/* A soft cap: absent takes the family's, null and 0 switch it off. */
static double soft_cap(const bg_arch *a, const cJSON *config, const char *key, double otherwise)
{
    if (!a->capped)
        return 0;
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(config, key);
    return v && cJSON_IsNull(v) ? 0 : bg_json_number(config, key, otherwise);
}

static int read_experts(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    if (!a->router)
        return BG_OK;
    int status = whole(config, path, "num_local_experts|num_experts|n_routed_experts", 65536, 0, &c->experts, e);
    if (!status)
        status = whole(config, path, "num_experts_per_tok|moe_topk", 65536, 0, &c->experts_used, e);
    int groups = a->router == BG_ROUTER_SIGMOID ||
                 !strcmp(bg_json_string(config, "topk_method", "greedy"), "group_limited_greedy");
    if (!status)
        status = whole(config, path, groups ? "n_group" : NULL, 65536, 1, &c->expert_groups, e);
    if (!status)
        status = whole(config, path, groups ? "topk_group" : NULL, 65536, 1, &c->groups_used, e);
    if (status)
        return status;
    if (c->experts_used > c->experts || c->experts % c->expert_groups || c->groups_used > c->expert_groups ||
        (a->router == BG_ROUTER_SPARSEMIX && c->experts_used != 2) ||
        c->experts_used > c->experts / c->expert_groups * c->groups_used)
        return bg_fail(e, BG_INPUT, "%s: config.json: %d of %d experts in %d of %d groups cannot be chosen", path,
                       c->experts_used, c->experts, c->groups_used, c->expert_groups);
    c->norms_experts = a->norms_experts == 2    ? 1
                       : a->norms_experts == -1 ? 0
                                                : bg_json_bool(config, "norm_topk_prob", a->norms_experts);
    c->expert_scale = bg_json_number(config, "routed_scaling_factor", 1);
    c->expert_jitter = bg_json_number(config, "router_jitter_noise", 0.01);
    c->clamp_limit = bg_json_number(config, "swiglu_limit", 7);
    c->clamp_alpha = bg_json_number(config, "swiglu_alpha", 1.702);
    return BG_OK;
}

/* Factors of embeddings, scores, residuals and logits. */
static int read_scales(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    double scalar =
        a->query_scalar > 0 ? bg_json_number(config, "query_pre_attn_scalar", a->query_scalar) : c->head_dim;
    if (c->heads && !(scalar > 0))
        return bg_fail(e, BG_INPUT, "%s: config.json: 'query_pre_attn_scalar' is %g", path, scalar);
    c->attention_scale = bg_json_bool(config, "scale_attn_weights", 1) ? 1 / sqrt(scalar) : 1;
    c->attention_scale = bg_json_number(config, "attention_multiplier", c->attention_scale);
    if (a->unit_scores)
        c->attention_scale = 1;
    if (a->mixer == BG_MIXER_LATENT)
        c->attention_scale *= c->rope.score_scale;
    c->scale_by_layer = bg_json_bool(config, "scale_attn_by_inverse_layer_idx", 0);
    c->attention_cap = soft_cap(a, config, "attn_logit_softcapping", a->attention_cap);
    c->logit_cap = soft_cap(a, config, "final_logit_softcapping", a->logit_cap);
    if (!(c->attention_cap >= 0) || !(c->logit_cap >= 0))
        return bg_fail(e, BG_INPUT, "%s: config.json: a soft cap is negative", path);
    if (a->scales_embedding)
        c->embedding_scale = sqrtf((float)c->width);
    c->embedding_scale = (float)bg_json_number(config, "embedding_multiplier", (double)c->embedding_scale);
    c->residual_scale = (float)bg_json_number(config, "residual_multiplier", 1);
    double divisor = bg_json_number(config, "logits_scaling", 1);
    c->logit_scale = (float)bg_json_number(config, "logit_scale", 1 / divisor);
    c->temperature_scale = bg_json_number(config, "attn_scale", 0.1);
    c->temperature_floor = bg_json_number(config, "floor_scale", 8192);
    return isfinite(c->logit_scale) && isfinite(c->embedding_scale) && c->temperature_floor >= 1
               ? BG_OK
               : bg_fail(e, BG_INPUT, "%s: config.json: a factor of the embedding or the logits is no number", path);
}

int bg_arch_config(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *out, bg_err *e)
{
    bg_model_config *c = out;
    *c = (bg_model_config){
        .norm = a->norm, .order = a->order, .qkv = a->qkv, .learned = a->learned, .embedding_scale = 1};
    const cJSON *outer = config;
    config = bg_arch_text(config);
    int status = bg_arch_refuse(a, config, path, e);
    if (!status)
        status = read_sizes(a, config, path, c, e);
    if (!status)
        status = read_activation(a, config, path, &c->activation, e);
    if (!status)
        status = bg_arch_read_blocks(a, config, path, c, e);
    if (!status)
        status = bg_arch_rope(a, config, path, c, e);
    if (!status)
        status = read_experts(a, config, path, c, e);
    if (!status)
        status = read_scales(a, config, path, c, e);
    if (status)
        return status;
    c->eps = a->keys->eps ? bg_json_number(config, a->keys->eps, a->eps) : a->eps;
    if (!(c->eps >= 0 && c->eps < 1))
        return bg_fail(e, BG_INPUT, "%s: config.json: '%s' is %g", path, a->keys->eps, c->eps);
    if (a->order_key && bg_json_bool(config, a->order_key, !a->order_value) == a->order_value)
        c->order = a->order_then;
    c->final_norm = c->order != BG_ORDER_POST && !bg_json_bool(config, "_remove_final_layer_norm", 0);
    c->gated = a->linears[BG_GATE] || a->linears[BG_GATE_UP];
    c->tied = bg_json_bool(outer, "tie_word_embeddings", bg_json_bool(config, "tie_word_embeddings", a->tied));
    return BG_OK;
}

int bg_arch_bias(const cJSON *config, const bg_bias_rule *r)
{
    return r->key ? bg_json_bool(config, r->key, r->otherwise) : r->otherwise;
}
