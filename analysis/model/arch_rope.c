/* Owns the rotary positions of a config: base, share of a head, scaling, and the layers that turn otherwise. Two
 * generations of keys are read: rope_parameters (transformers 5), also by kind of layer, before rope_theta with
 * rope_scaling. */
#include "analysis/model/arch.h"

#include <math.h>
#include <string.h>
#include "io/base/json.h"

static const cJSON *member(const cJSON *o, const char *key)
{
    const cJSON *v = key && o ? cJSON_GetObjectItemCaseSensitive(o, key) : NULL;
    return v && !cJSON_IsNull(v) ? v : NULL;
}

static int scaling_named(const char *type)
{
    static const struct {
        const char *name;
        bg_rope_scaling kind;
    } names[] = {{"default", BG_ROPE_DEFAULT}, {"linear", BG_ROPE_LINEAR},
                 {"dynamic", BG_ROPE_DYNAMIC}, {"llama3", BG_ROPE_LLAMA3},
                 {"yarn", BG_ROPE_YARN},       {"longrope", BG_ROPE_LONG},
                 {"su", BG_ROPE_LONG},         {"proportional", BG_ROPE_PROPORTIONAL}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, type))
            return (int)names[i].kind;
    return -1;
}

/* m of yarn and longrope: given outright, or from the stretch of the context. */
static void read_attention_factor(const cJSON *s, bg_rope_config *r)
{
    double scale = bg_json_number(s, "mscale", 0), scale_all = bg_json_number(s, "mscale_all_dim", 0);
    double log_factor = r->factor > 1 ? 0.1 * log(r->factor) : 0;
    double stretch = r->original > 0 && r->positions > r->original ? r->positions / r->original : 1;
    if (member(s, "factor"))
        stretch = r->factor;
    r->attention_factor = 1;
    if (r->scaling == BG_ROPE_YARN)
        r->attention_factor =
            scale != 0 && scale_all != 0 ? (scale * log_factor + 1) / (scale_all * log_factor + 1) : log_factor + 1;
    if (r->scaling == BG_ROPE_LONG && stretch > 1)
        r->attention_factor = sqrt(1 + log(stretch) / log(r->original));
    if (r->scaling == BG_ROPE_YARN || r->scaling == BG_ROPE_LONG)
        r->attention_factor = bg_json_number(s, "attention_factor", r->attention_factor);
    r->score_scale = scale_all != 0 ? (scale_all * log_factor + 1) * (scale_all * log_factor + 1) : 1;
}

static int factors_are_bad(const bg_rope_config *r)
{
    int bad = 0;
    for (int i = 0; i < 2; i++) {
        const cJSON *f = i ? r->long_factors : r->short_factors;
        bad |= !cJSON_IsArray(f) || cJSON_GetArraySize(f) != r->dims / 2;
        for (const cJSON *v = cJSON_IsArray(f) ? f->child : NULL; v; v = v->next)
            bad |= !cJSON_IsNumber(v) || !(v->valuedouble > 0);
    }
    return bad;
}

static int read_scaling(const cJSON *config, const cJSON *s, const char *path, bg_rope_config *r, bg_err *e)
{
    const char *type = bg_json_string(s, "rope_type", bg_json_string(s, "type", "default"));
    int kind = scaling_named(type);
    if (kind < 0)
        return bg_fail(e, BG_INPUT,
                       "%s: config.json: rope type '%.40s' is not one of default, linear, dynamic, llama3, "
                       "yarn, longrope, proportional",
                       path, type);
    r->scaling = (bg_rope_scaling)kind;
    r->factor = bg_json_number(s, "factor", 1);
    r->low = bg_json_number(s, "low_freq_factor", 1);
    r->high = bg_json_number(s, "high_freq_factor", 4);
    r->original = bg_json_number(s, "original_max_position_embeddings",
                                 bg_json_number(config, "original_max_position_embeddings", r->positions));
    r->beta_fast = bg_json_number(s, "beta_fast", 32);
    r->beta_slow = bg_json_number(s, "beta_slow", 1);
    r->temperature = bg_json_number(s, "llama_4_scaling_beta", 0);
    r->truncate = bg_json_bool(s, "truncate", 1);
    r->short_factors = member(s, "short_factor");
    r->long_factors = member(s, "long_factor");
    read_attention_factor(s, r);
    double alpha = bg_json_number(s, "alpha", 0);
    if (r->scaling == BG_ROPE_DYNAMIC && alpha > 0 && r->dims > 2) { /* Hunyuan: a base stretched once and for all */
        r->scaling = BG_ROPE_DEFAULT;
        r->base *= pow(alpha, (double)r->dims / (r->dims - 2));
    }
    int needs_original = r->scaling == BG_ROPE_LLAMA3 || r->scaling == BG_ROPE_YARN || r->scaling == BG_ROPE_LONG;
    int bad = !(r->factor > 0 && r->factor < 1e6) || (needs_original && !(r->original > 1 && r->original < 1e9)) ||
              (r->scaling == BG_ROPE_LLAMA3 && !(r->low > 0 && r->high > r->low)) ||
              (r->scaling == BG_ROPE_DYNAMIC && !r->positions) || (r->scaling == BG_ROPE_LONG && factors_are_bad(r));
    return bad ? bg_fail(e, BG_INPUT, "%s: config.json: the numbers of rope type '%.40s' make no sense", path, type)
               : BG_OK;
}

/* One rope; `keys` are its own, before those of the config. `width`: elements of a head. */
static int read_one(const bg_arch *a, const cJSON *config, const cJSON *keys, int width, bg_rope_config *r,
                    const char *path, bg_err *e)
{
    if (!(r->base > 0))
        r->base = bg_json_number(
            keys, "rope_theta", bg_json_number(config, "rope_theta", bg_json_number(config, "rotary_emb_base", 10000)));
    double part =
        bg_json_number(keys, "partial_rotary_factor", bg_json_number(config, a->partial, a->partial_otherwise));
    if (a->rope == BG_ROPE_PAIRS && cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(config, a->partial)))
        part = 1;
    double dims = part > 1 ? part : part * width;
    int proportional = scaling_named(bg_json_string(keys, "rope_type", "default")) == BG_ROPE_PROPORTIONAL;
    if (proportional) {
        r->turning = (int)dims / 2;
        dims = width;
    }
    if (!(dims >= 2 && dims <= width) || (int)dims % 2 || !(r->base > 0 && r->base < 1e12))
        return bg_fail(e, BG_INPUT, "%s: config.json: %g of the %d elements of a head cannot turn (base %g)", path,
                       dims, width, r->base);
    r->dims = (int)dims;
    return read_scaling(config, keys, path, r, e);
}

int bg_arch_rope(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    bg_rope_config *r = &c->rope;
    *r = (bg_rope_config){
        .kind = a->rope, .positions = c->positions, .factor = 1, .attention_factor = 1, .score_scale = 1};
    c->rope_local = *r;
    c->rope_local.kind = BG_ROPE_NONE;
    if (a->rope == BG_ROPE_NONE)
        return BG_OK;
    const cJSON *now = member(config, "rope_parameters"), *old = member(config, "rope_scaling");
    const cJSON *full = member(now, "full_attention"), *sliding = member(now, "sliding_attention");
    int width = c->turned_dim ? c->turned_dim : c->head_dim, nested = now && cJSON_IsObject(now->child);
    if (nested && (!full || !sliding || a->window != BG_WINDOW_TYPES))
        return bg_fail(e, BG_INPUT, "%s: config.json: 'rope_parameters' by kind of layer cannot be run here", path);
    const cJSON *keys = nested ? full : now ? now : old;
    int status = read_one(a, config, keys, c->full_head_dim ? c->full_head_dim : width, r, path, e);
    if (status || !(nested || a->rope_local))
        return status;
    c->rope_local.kind = a->rope;
    if (a->rope_local == BG_ROPE_LOCAL_BASE && !nested)
        c->rope_local.base = bg_json_number(config, "rope_local_base_freq", 10000);
    return read_one(a, config, sliding, width, &c->rope_local, path, e);
}
