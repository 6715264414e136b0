/* Owns the config of a GGUF model: Hugging Face keys from GGUF's, and from what the tensors say. */
#define _GNU_SOURCE
#include "io/base/json.h"
#include "io/checkpoints/formats/gguf_names.h"

#include <stdlib.h>
#include <string.h>

typedef struct setting {
    const char *gguf;  /* after "ARCHITECTURE." */
    const char *names; /* what Hugging Face's configs call it, all of them, separated by spaces */
} setting;

static const setting settings[] = {
    {"block_count", "num_hidden_layers n_layer"},
    {"context_length", "max_position_embeddings n_positions"},
    {"embedding_length", "hidden_size n_embd"},
    {"feed_forward_length", "intermediate_size n_inner"},
    {"attention.head_count", "num_attention_heads n_head"},
    {"attention.head_count_kv", "num_key_value_heads"},
    {"attention.key_length", "head_dim"},
    {"attention.layer_norm_epsilon", "layer_norm_epsilon layer_norm_eps norm_eps norm_epsilon"},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps norm_eps layer_norm_epsilon"},
    {"attention.sliding_window", "sliding_window"},
    {"attention.clamp_kqv", "clip_qkv"},
    {"attention.scale", "attention_multiplier"},
    {"attention.q_lora_rank", "q_lora_rank"},
    {"attention.kv_lora_rank", "kv_lora_rank"},
    {"attention.value_length_mla", "v_head_dim"},
    {"attention.temperature_scale", "attn_scale"},
    {"embedding_scale", "embedding_multiplier"},
    {"residual_scale", "residual_multiplier"},
    {"expert_count", "num_local_experts"},
    {"expert_used_count", "num_experts_per_tok"},
    {"expert_group_count", "n_group"},
    {"expert_group_used_count", "topk_group"},
    {"expert_weights_scale", "routed_scaling_factor"},
    {"nextn_predict_layers", "num_nextn_predict_layers"},
    {"rope.freq_base", "rope_theta"},
    {"attn_logit_softcapping", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
    {"ssm.conv_kernel", "conv_kernel"},
    {"ssm.state_size", "state_size"},
    {"ssm.group_count", "n_groups"},
    {"ssm.time_step_rank", "num_heads"},
    {"shortconv.l_cache", "conv_L_cache"},
    {"vocab_size", "vocab_size"},
    {NULL, NULL},
};

/* A file being described. */
typedef struct describing {
    const bg_load *l;
    const bg_gguf *g;
    const bg_gguf_family *family; /* NULL: unknown */
    const char *architecture;
    cJSON *config;
} describing;

/* A number under "ARCHITECTURE.rest"; of an array the first. Returns whether it is there. */
static int number_of(const describing *d, const char *rest, double *out)
{
    char *key = NULL;
    int64_t first = 0;
    int found = asprintf(&key, "%s.%s", d->architecture, rest) > 0 && bg_gguf_has(d->g, key);
    if (found && bg_gguf_number(d->g, key, out, NULL)) {
        found = !bg_gguf_integer_at(d->g, key, 0, &first, NULL);
        *out = (double)first;
    }
    free(key);
    return found;
}

static void add_number(cJSON *config, const char *names, double v)
{
    char name[64];
    for (const char *p = names; *p; p += strcspn(p, " "), p += *p == ' ') {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(p, " "), p);
        if (!cJSON_HasObjectItem(config, name))
            cJSON_AddNumberToObject(config, name, v);
    }
}

static const bg_raw *raw_named(const describing *d, const char *name)
{
    return bg_store_find(d->l->store, name);
}

/* ---- rope ---- */

/* The tensor's values as an array of the scaling. */
static int add_factors(const describing *d, cJSON *scaling, const char *tensor, const char *name, bg_err *e)
{
    const bg_raw *r = raw_named(d, tensor);
    float *x = NULL;
    if (!r)
        return BG_OK;
    if (r->count > 65536 || r->bytes != 4 * r->count)
        return bg_fail(e, BG_INPUT, "tensor '%s' is no list of factors", tensor);
    int status = bg_raw_floats(d->l->store, r, &x, e);
    if (!status)
        cJSON_AddItemToObject(scaling, name, cJSON_CreateFloatArray(x, (int)r->count));
    free(x);
    return status;
}

static int add_scaling(const describing *d, bg_err *e)
{
    static const char *const numbers[][2] = {
        {"rope.scaling.factor", "factor"},
        {"rope.scaling.original_context_length", "original_max_position_embeddings"},
        {"rope.scaling.attn_factor", "attention_factor"},
        {"rope.scaling.yarn_beta_fast", "beta_fast"},
        {"rope.scaling.yarn_beta_slow", "beta_slow"}};
    char *key = NULL, word[32];
    bg_gguf_text type = {"none", 4};
    if (asprintf(&key, "%s.rope.scaling.type", d->architecture) < 0)
        return bg_no_memory(e, "the configuration", 64);
    int status = bg_gguf_string(d->g, key, &type, e), long_factors = raw_named(d, "rope_factors_long.weight") != NULL;
    free(key);
    snprintf(word, sizeof word, "%.*s", (int)(type.length < 31 ? type.length : 31), type.text);
    if (long_factors)
        snprintf(word, sizeof word, "longrope");
    if (status || !strcmp(word, "none"))
        return status;
    cJSON *scaling = cJSON_GetObjectItemCaseSensitive(d->config, "rope_scaling");
    scaling = scaling ? scaling : cJSON_AddObjectToObject(d->config, "rope_scaling");
    cJSON_AddStringToObject(scaling, "rope_type", word);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double v = 0;
        if (number_of(d, numbers[i][0], &v))
            cJSON_AddNumberToObject(scaling, numbers[i][1], v);
    }
    double log_multiplier = 0; /* DeepSeek's: 0.1·mscale_all_dim, and mscale is the same */
    if (number_of(d, "rope.scaling.yarn_log_multiplier", &log_multiplier) && log_multiplier > 0) {
        cJSON_AddNumberToObject(scaling, "mscale_all_dim", 10 * log_multiplier);
        cJSON_AddNumberToObject(scaling, "mscale", 10 * log_multiplier);
    }
    status = add_factors(d, scaling, "rope_factors_short.weight", "short_factor", e);
    return status ? status : add_factors(d, scaling, "rope_factors_long.weight", "long_factor", e);
}

/* The share of a head that turns, and the parts of a head of latent attention. */
static void add_dimensions(const describing *d)
{
    double turned = 0, width = 0, heads = bg_json_number(d->config, "num_attention_heads", 0), key = 0;
    if (!number_of(d, "rope.dimension_count", &turned) || !(heads > 0) || !(turned > 0))
        return;
    width = bg_json_number(d->config, "head_dim", bg_json_number(d->config, "hidden_size", 0) / heads);
    if (number_of(d, "attention.key_length_mla", &key)) {
        cJSON_AddNumberToObject(d->config, "qk_rope_head_dim", turned);
        cJSON_AddNumberToObject(d->config, "qk_nope_head_dim", key - turned);
    } else if (width > 0) {
        cJSON_AddNumberToObject(d->config, "partial_rotary_factor", turned / width);
        cJSON_AddNumberToObject(d->config, "rotary_dim", turned);
    }
}

/* ---- what follows from tensors and from the architecture ---- */

static int add_windows(const describing *d, bg_err *e)
{
    char *key = NULL;
    const cJSON *width = cJSON_GetObjectItemCaseSensitive(d->config, "sliding_window");
    if (width && !(width->valuedouble > 0))
        cJSON_ReplaceItemInObjectCaseSensitive(d->config, "sliding_window", cJSON_CreateNull());
    if (asprintf(&key, "%s.attention.sliding_window_pattern", d->architecture) < 0)
        return bg_no_memory(e, "the configuration", 64);
    double *slides = NULL;
    size_t n = 0;
    int status = BG_OK;
    if (bg_gguf_has(d->g, key) && !bg_gguf_numbers(d->g, key, &slides, &n, NULL) && n) {
        cJSON *types = cJSON_AddArrayToObject(d->config, "layer_types");
        for (size_t i = 0; i < n && i < 65536; i++)
            cJSON_AddItemToArray(types, cJSON_CreateString(slides[i] != 0 ? "sliding_attention" : "full_attention"));
    }
    free(slides);
    free(key);
    return status;
}

static int add_xielu(const describing *d, bg_err *e)
{
    static const char *const names[] = {"alpha_p", "alpha_n", "beta", "eps"};
    if (!bg_gguf_has(d->g, "xielu.alpha_p"))
        return BG_OK;
    cJSON *all = cJSON_AddObjectToObject(d->config, "xielu");
    int status = BG_OK;
    for (int i = 0; i < 4 && !status; i++) {
        char key[32];
        double *v = NULL;
        size_t n = 0;
        snprintf(key, sizeof key, "xielu.%s", names[i]);
        status = bg_gguf_numbers(d->g, key, &v, &n, e);
        if (!status && n < 65536)
            cJSON_AddItemToObject(all, names[i], cJSON_CreateDoubleArray(v, (int)n));
        free(v);
    }
    return status;
}

static void add_implied(const describing *d)
{
    cJSON *config = d->config;
    const char *a = d->architecture;
    const bg_raw *up = raw_named(d, "blk.0.ffn_up.weight");
    cJSON_AddBoolToObject(config, "tie_word_embeddings", !raw_named(d, "output.weight"));
    if (!cJSON_HasObjectItem(config, "vocab_size")) {
        const bg_raw *embedding = raw_named(d, "token_embd.weight");
        if (embedding && embedding->rank == 2)
            cJSON_AddNumberToObject(config, "vocab_size", (double)embedding->shape[0]);
    }
    if (!strcmp(a, "phi2") && up && up->rank == 2) /* its converter writes 4·D whatever the width is */
        cJSON_ReplaceItemInObjectCaseSensitive(config, "intermediate_size", cJSON_CreateNumber((double)up->shape[0]));
    if (raw_named(d, "blk.0.attn_q.bias") && !strcmp(a, "llama"))
        cJSON_AddBoolToObject(config, "attention_bias", raw_named(d, "blk.0.attn_output.bias") != NULL);
    if (!strcmp(a, "gemma2") || !strcmp(a, "gemma3")) {
        /* The 27B models divide by their width per head, the others by the head's length. */
        double width = bg_json_number(config, "hidden_size", 0),
               heads = bg_json_number(config, "num_attention_heads", 1),
               layers = bg_json_number(config, "num_hidden_layers", 0);
        double scalar = layers == 46 || layers == 62 ? width / heads : bg_json_number(config, "head_dim", 256);
        cJSON_AddNumberToObject(config, "query_pre_attn_scalar", scalar);
    }
}

/* What a family's own keys mean in another place. */
static void add_special(const describing *d)
{
    cJSON *config = d->config;
    const char *a = d->architecture;
    double v = 0;
    int flag = 0;
    if (number_of(d, "logit_scale", &v))
        cJSON_AddNumberToObject(config, strncmp(a, "granite", 7) ? "logit_scale" : "logits_scaling", v);
    char *key = NULL;
    if (asprintf(&key, "%s.use_parallel_residual", a) > 0 && bg_gguf_has(d->g, key) &&
        !bg_gguf_bool(d->g, key, &flag, NULL))
        cJSON_AddBoolToObject(config, "use_parallel_residual", flag);
    free(key);
    if (asprintf(&key, "%s.expert_weights_norm", a) > 0 && bg_gguf_has(d->g, key) &&
        !bg_gguf_bool(d->g, key, &flag, NULL))
        cJSON_AddBoolToObject(config, "norm_topk_prob", flag);
    free(key);
    if (!strcmp(a, "llama4")) {
        cJSON_AddNumberToObject(config, "intermediate_size_mlp", bg_json_number(config, "intermediate_size", 0));
        cJSON_AddBoolToObject(config, "use_qk_norm", bg_json_number(config, "num_local_experts", 0) < 128);
    }
    if (number_of(d, "ssm.inner_size", &v)) {
        double heads = bg_json_number(config, "num_heads", 1);
        cJSON_AddNumberToObject(config, "head_dim", v / heads);
        cJSON_AddNumberToObject(config, "expand", v / bg_json_number(config, "hidden_size", 1));
        cJSON_DeleteItemFromObjectCaseSensitive(config, "intermediate_size");
    }
    v = bg_json_number(config, "num_nextn_predict_layers", 0);
    if (v > 0) /* they are counted among the blocks */
        cJSON_ReplaceItemInObjectCaseSensitive(config, "num_hidden_layers",
                                               cJSON_CreateNumber(bg_json_number(config, "num_hidden_layers", 0) - v));
}

static int add_name(const describing *d, bg_err *e)
{
    bg_gguf_text name = {NULL, 0};
    (void)e;
    if (!bg_gguf_string(d->g, "general.name", &name, NULL) && name.length && name.length < 256 &&
        !bg_check_utf8(name.text, name.length, "name", NULL) && !memchr(name.text, 0, name.length)) {
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)name.length, name.text);
        cJSON_AddStringToObject(d->config, "_name_or_path", text);
    }
    return BG_OK;
}

int bg_gguf_config(bg_load *l, const bg_gguf *g, const bg_gguf_family *f, const char *architecture, bg_err *e)
{
    cJSON *config = f && f->config ? cJSON_Parse(f->config) : cJSON_CreateObject();
    if (!config)
        return bg_no_memory(e, "the configuration", 64);
    cJSON_Delete(l->ckpt->config);
    l->ckpt->config = config;
    describing d = {l, g, f, architecture, config};
    cJSON_AddStringToObject(config, "model_type", f ? f->type : architecture);
    add_name(&d, e);
    for (const setting *s = settings; s->gguf; s++) {
        double v = 0;
        if (number_of(&d, s->gguf, &v))
            add_number(config, s->names, v);
    }
    add_implied(&d);
    add_dimensions(&d);
    add_special(&d);
    int status = add_windows(&d, e);
    if (!status)
        status = add_xielu(&d, e);
    return status ? status : add_scaling(&d, e);
}
