/* Owns the keys of a config that change a model's arithmetic. A row that does not list such a key among those it
 * understands runs only models where it has the value that changes nothing: a model computed wrong is worse than none.
 */
#include "analysis/model/arch.h"

#include <math.h>
#include <string.h>
#include "io/base/json.h"

/* A number or truth value that changes nothing; NAN: only null does. */
static const struct {
    const char *key;
    double neutral;
} changing[] = {
    {"embedding_multiplier", 1},
    {"residual_multiplier", 1},
    {"attention_multiplier", NAN},
    {"logits_scaling", 1},
    {"logit_scale", 1},
    {"scale_emb", 1},
    {"scale_depth", NAN},
    {"dim_model_base", NAN},
    {"mup_denominator", NAN},
    {"lm_head_multiplier", 1},
    {"key_multiplier", 1},
    {"clip_qkv", NAN},
    {"qk_layernorm", 0},
    {"use_qk_norm", 0},
    {"alibi", 0},
    {"new_decoder_architecture", 0},
    {"multi_query", 0},
    {"apply_residual_connection_post_layernorm", 0},
    {"layer_norm_elementwise_affine", 1},
    {"use_bidirectional_attention", 0},
    {"is_encoder_decoder", 0},
    {"add_cross_attention", 0},
    {"routed_scaling_factor", 1},
    {"topk_method", NAN},
    {"swiglu_limit", NAN},
    {"swiglu_alpha", NAN},
    {"attention_chunk_size", NAN},
    {"attn_temperature_tuning", 0},
    {"enable_moe_block", 0},
    {"attention_k_eq_v", 0},
    {"use_double_wide_mlp", 0},
    {"num_kv_shared_layers", 0},
    {"zero_expert_num", 0},
};

/* Is `key` one of the words of `list`? */
static int lists(const char *list, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = list; p && *p; p += strcspn(p, " "), p += *p == ' ')
        if (strcspn(p, " ") == n && !memcmp(p, key, n))
            return 1;
    return 0;
}

static int is_neutral(const cJSON *v, double neutral)
{
    if (!v || cJSON_IsNull(v))
        return 1;
    if (cJSON_IsBool(v))
        return cJSON_IsTrue(v) == (neutral > 0);
    return cJSON_IsNumber(v) && v->valuedouble == neutral;
}

int bg_arch_refuse(const bg_arch *a, const cJSON *config, const char *path, bg_err *e)
{
    for (size_t i = 0; i < sizeof changing / sizeof *changing; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(config, changing[i].key);
        if (!lists(a->understands, changing[i].key) && !is_neutral(v, changing[i].neutral))
            return bg_fail(e, BG_INPUT, "%s: config.json: '%s' changes what %s computes and is not understood", path,
                           changing[i].key, a->name);
    }
    const cJSON *window = cJSON_GetObjectItemCaseSensitive(config, "sliding_window");
    if (a->window == BG_WINDOW_NONE && cJSON_IsNumber(window) && window->valuedouble > 0 &&
        bg_json_bool(config, "use_sliding_window", 1))
        return bg_fail(e, BG_INPUT, "%s: config.json: 'sliding_window' is not understood in %s", path, a->name);
    return BG_OK;
}
