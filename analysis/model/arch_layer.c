/* Owns what a config says layer by layer: windows, ropes, kinds of blocks. */
#include "analysis/model/arch.h"

#include <math.h>
#include <string.h>
#include "io/base/json.h"

enum { MOST_POSITIONS = 1 << 28 };

static const cJSON *member(const cJSON *o, const char *key)
{
    const cJSON *v = key && o ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
    return v && !cJSON_IsNull(v) ? v : NULL;
}

/* What layer_types calls the layer; NULL: nothing. */
static const char *type_of(const cJSON *config, int layer)
{
    const cJSON *types = member(config, "layer_types");
    return cJSON_IsArray(types) ? cJSON_GetStringValue(cJSON_GetArrayItem(types, layer)) : NULL;
}

static int check_type(const bg_arch *a, const char *type, bg_err *e)
{
    static const char *const known[] = {"sliding_attention", "full_attention", "chunked_attention",
                                        "linear_attention",  "conv",           "attention"};
    int i = 0, n = sizeof known / sizeof *known;
    while (type && i < n && strcmp(known[i], type))
        i++;
    if (i == n || (type && !strcmp(type, known[0]) && a->window == BG_WINDOW_NONE))
        return bg_fail(e, BG_INPUT, "config.json: layers of type '%.40s' cannot be run in %s", type, a->name);
    return BG_OK;
}

static int slides(const bg_arch *a, const cJSON *config, const char *type, int layer)
{
    int said = type ? !strcmp(type, "sliding_attention") : -1;
    switch (a->window) {
    case BG_WINDOW_ALL:
        return said < 0 || said;
    case BG_WINDOW_TYPES: {
        double every = bg_json_number(config, "sliding_window_pattern",
                                      bg_json_number(config, "_sliding_window_pattern", a->window_every));
        return said < 0 ? every < 1 || (layer + 1) % (every < 1 << 16 ? (int)every : 1 << 16) != 0 : said;
    }
    case BG_WINDOW_ASKED:
        if (!bg_json_bool(config, "use_sliding_window", 0))
            return 0;
        return said < 0 ? layer >= bg_json_number(config, "max_window_layers", 28) : said;
    default:
        return 0;
    }
}

static int read_window(const bg_arch *a, const cJSON *config, const char *type, int layer, bg_layer_rules *out,
                       bg_err *e)
{
    const char *key = type && !strcmp(type, "chunked_attention") ? "attention_chunk_size" : "sliding_window";
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(config, key);
    double width = v && cJSON_IsNull(v) ? 0 : bg_json_number(config, key, 4096);
    out->chunked = *key == 'a';
    if ((!out->chunked && !slides(a, config, type, layer)) || width <= 0)
        return BG_OK;
    if (!(width >= 1 && width <= MOST_POSITIONS))
        return bg_fail(e, BG_INPUT, "config.json: '%s' is %g", key, width);
    out->window = (int)width;
    return BG_OK;
}

static int turns(const bg_arch *a, const cJSON *config, const bg_model_config *c, const bg_layer_rules *r, int layer)
{
    const cJSON *list = member(config, "no_rope_layers"), *flag = cJSON_GetArrayItem(list, layer);
    double every = bg_json_number(config, "no_rope_layer_interval", 4);
    if (!c->rope.kind)
        return 0;
    if (a->nope == BG_NOPE_LISTED &&
        (flag ? !flag->valueint : every >= 1 && (layer + 1) % (every < 1 << 16 ? (int)every : 1 << 16) == 0))
        return 0;
    if (a->nope == BG_NOPE_FULL && member(config, "sliding_window") && !r->window)
        return 0;
    if (a->nope == BG_NOPE_UNBOUND && !r->window)
        return 0;
    return r->window && !r->chunked && c->rope_local.kind ? 2 : 1;
}

/* Rows that name another mixer than attention have it where layer_types does not say attention. */
static bg_mixer mixer_of(const bg_arch *a, const cJSON *config, const char *type, int layer)
{
    if (a->mixer != BG_MIXER_CONV && a->mixer != BG_MIXER_DELTA)
        return a->mixer;
    if (type)
        return strcmp(type, "full_attention") ? a->mixer : BG_MIXER_ATTENTION;
    const cJSON *list = member(config, "full_attn_idxs"), *i;
    cJSON_ArrayForEach(i, list) if (i->valueint == layer) return BG_MIXER_ATTENTION;
    double every = bg_json_number(config, "full_attention_interval", 4);
    return !list && every >= 1 && every < 1 << 16 && (layer + 1) % (int)every == 0 ? BG_MIXER_ATTENTION : a->mixer;
}

/* x with Φ(x) = p, by halving. */
static double normal_quantile(double p)
{
    double low = -40, high = 40;
    for (int i = 0; i < 100; i++) {
        double x = (low + high) / 2;
        if (0.5 * erfc(-x / sqrt(2)) < p)
            low = x;
        else
            high = x;
    }
    return (low + high) / 2;
}

int bg_arch_layer(const bg_arch *a, const cJSON *config, const bg_model_config *c, int layer, bg_layer_rules *out,
                  bg_err *e)
{
    config = bg_arch_text(config);
    const char *type = type_of(config, layer);
    *out = (bg_layer_rules){.head_dim = c->head_dim, .kv_heads = c->kv_heads};
    int status = check_type(a, type, e);
    if (!status)
        status = read_window(a, config, type, layer, out, e);
    if (status)
        return status;
    out->mixer = mixer_of(a, config, type, layer);
    out->turns = turns(a, config, c, out, layer);
    out->temperature = a->temperature == BG_TEMPERATURE_ROPE ? c->rope.temperature > 0
                                                             : a->temperature == BG_TEMPERATURE_FLOOR && !out->turns &&
                                                                   bg_json_bool(config, "attn_temperature_tuning", 1);
    if (c->full_head_dim && !out->window) {
        out->head_dim = c->full_head_dim;
        out->kv_heads = c->full_kv_heads;
    }
    double sparse = cJSON_GetNumberValue(cJSON_GetArrayItem(member(config, "activation_sparsity_pattern"), layer));
    out->cutoff = sparse > 0 && sparse < 1 ? normal_quantile(sparse) : -(double)INFINITY;
    return BG_OK;
}
