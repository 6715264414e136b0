/* Owns what configs say in a way of their own: fused projections, biases of positions, convolutions, state spaces,
 * inputs of each layer. */
#include "analysis/model/arch.h"

#include <math.h>
#include <string.h>
#include "io/base/json.h"

static int falcon(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    if (bg_json_bool(config, "new_decoder_architecture", 0))
        c->qkv = BG_QKV_GROUPS;
    else if (bg_json_bool(config, "multi_query", 1))
        c->kv_heads = 1;
    else {
        c->kv_heads = c->heads;
        c->qkv = BG_QKV_HEADS;
    }
    return c->heads % c->kv_heads ? bg_fail(e, BG_INPUT, "%s: config.json: 'num_kv_heads' is %d", path, c->kv_heads)
                                  : BG_OK;
}

static int mpt(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    const cJSON *attention = cJSON_GetObjectItemCaseSensitive(config, "attn_config");
    c->alibi_max = (int)bg_json_number(attention, "alibi_bias_max", 8);
    c->inner = (int)(bg_json_number(config, "expansion_ratio", 4) * c->hidden);
    const cJSON *scale = cJSON_GetObjectItemCaseSensitive(attention, "softmax_scale"),
                *clip = cJSON_GetObjectItemCaseSensitive(attention, "clip_qkv");
    if (!bg_json_bool(attention, "alibi", 1) || bg_json_bool(attention, "qk_ln", 0) ||
        bg_json_bool(attention, "prefix_lm", 0) || cJSON_IsNumber(scale) || (clip && !cJSON_IsNull(clip)) ||
        c->alibi_max < 1 || c->inner < 1)
        return bg_fail(e, BG_INPUT, "%s: config.json: this 'attn_config' is not understood", path);
    return BG_OK;
}

/* Whole numbers under the keys, each within 1 … 65536. */
typedef struct number {
    const char *key;
    int otherwise;
    int *out;
} number;

static int read_numbers(const cJSON *config, const char *path, const number *n, int count, bg_err *e)
{
    for (int i = 0; i < count; i++) {
        double v = bg_json_number(config, n[i].key, n[i].otherwise);
        if (!(v >= 1 && v <= 65536) || v != (int)v)
            return bg_fail(e, BG_INPUT, "%s: config.json: '%s' is not a whole number of 1 to 65536", path, n[i].key);
        *n[i].out = (int)v;
    }
    return BG_OK;
}

static int lfm2(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    return read_numbers(config, path, &(number){"conv_L_cache", 3, &c->conv_taps}, 1, e);
}

static int mamba2(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    const number numbers[] = {{"conv_kernel", 4, &c->conv_taps},
                              {"num_heads", 128, &c->mix_heads},
                              {"head_dim", 64, &c->mix_head_dim},
                              {"state_size", 128, &c->state},
                              {"n_groups", 8, &c->state_groups}};
    int status = read_numbers(config, path, numbers, sizeof numbers / sizeof *numbers, e);
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(config, "time_step_limit");
    const cJSON *low = cJSON_GetArrayItem(limits, 0), *high = cJSON_GetArrayItem(limits, 1);
    c->dt_min = cJSON_IsNumber(low) ? low->valuedouble : 0;
    c->dt_max = cJSON_IsNumber(high) ? high->valuedouble : (double)INFINITY;
    if (!status && (c->mix_heads % c->state_groups ||
                    (double)c->mix_heads * c->mix_head_dim != bg_json_number(config, "expand", 2) * c->hidden))
        status = bg_fail(e, BG_INPUT, "%s: config.json: %d heads of %d in %d groups are not 'expand' times %d", path,
                         c->mix_heads, c->mix_head_dim, c->state_groups, c->hidden);
    return status;
}

static int delta(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    const number numbers[] = {{"linear_conv_kernel_dim", 4, &c->conv_taps},
                              {"linear_num_value_heads", 32, &c->mix_heads},
                              {"linear_value_head_dim", 128, &c->mix_head_dim},
                              {"linear_num_key_heads", 16, &c->mix_key_heads},
                              {"linear_key_head_dim", 128, &c->mix_key_dim}};
    int status = read_numbers(config, path, numbers, sizeof numbers / sizeof *numbers, e);
    if (!status && (c->mix_heads % c->mix_key_heads || (int64_t)c->mix_heads * c->mix_head_dim > 1 << 20))
        status = bg_fail(e, BG_INPUT, "%s: config.json: %d key heads do not serve %d value heads", path,
                         c->mix_key_heads, c->mix_heads);
    return status;
}

static int delta_split(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    c->mix_split = 1;
    return delta(config, path, c, e);
}

static int layer_input(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    double p = bg_json_number(config, "hidden_size_per_layer_input", 256),
           rows = bg_json_number(config, "vocab_size_per_layer_input", c->vocab);
    if (!(p >= 0 && p <= 65536) || p != (int)p || (p > 0 && rows < c->vocab))
        return bg_fail(e, BG_INPUT, "%s: config.json: 'hidden_size_per_layer_input' is %g for %g of %d tokens", path, p,
                       rows, c->vocab);
    c->layer_input = (int)p;
    return BG_OK;
}

static int gemma3n(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    const number numbers[] = {{"altup_num_inputs", 4, &c->streams}};
    int status = read_numbers(config, path, numbers, 1, e);
    c->corrects_scale = bg_json_bool(config, "altup_correct_scale", 1);
    if (!status && (c->streams > BG_MOST_STREAMS || bg_json_number(config, "altup_active_idx", 0) != 0))
        status = bg_fail(e, BG_INPUT, "%s: config.json: %d streams, or another than the first active, cannot be run",
                         path, c->streams);
    if (status)
        return status;
    c->hidden = c->width * c->streams;
    return layer_input(config, path, c, e);
}

/* Layers without a window have heads of their own width. */
static int gemma4(const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(config, "per_layer_config"), *one;
    double dim = bg_json_number(config, "global_head_dim", c->head_dim),
           kv = bg_json_number(config, "num_global_key_value_heads", c->kv_heads);
    cJSON_ArrayForEach(one, layers)
    {
        dim = bg_json_number(one, "head_dim", dim);
        kv = bg_json_number(one, "num_key_value_heads", kv);
    }
    if (!(dim >= 1 && dim <= 65536) || !(kv >= 1 && kv <= c->heads) || c->heads % (int)kv)
        return bg_fail(e, BG_INPUT, "%s: config.json: heads of %g, %g of them with keys, cannot be run", path, dim, kv);
    c->full_head_dim = (int)dim;
    c->full_kv_heads = (int)kv;
    return layer_input(config, path, c, e);
}

int bg_arch_read_blocks(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    static const struct {
        const char *name;
        int (*read)(const cJSON *config, const char *path, bg_model_config *c, bg_err *e);
    } rows[] = {{"falcon", falcon},      {"mpt", mpt},       {"lfm2", lfm2},        {"gemma3n_text", gemma3n},
                {"gemma4_text", gemma4}, {"mamba2", mamba2}, {"qwen3_next", delta}, {"qwen3_5_text", delta_split}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, a->name))
            return rows[i].read(config, path, c, e);
    return BG_OK;
}
