/* Owns what configs say in a way of their own: fused projections, biases of positions, convolutions, state spaces,
 * inputs of each layer. */
#include "analysis/model/arch.h"

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

int bg_arch_read_blocks(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    static const struct {
        const char *name;
        int (*read)(const cJSON *config, const char *path, bg_model_config *c, bg_err *e);
    } rows[] = {{"falcon", falcon}, {"mpt", mpt}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, a->name))
            return rows[i].read(config, path, c, e);
    return BG_OK;
}
