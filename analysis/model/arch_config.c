/* Owns config.json: the sizes and rules of one model, checked, in the row's terms. Two generations of rope keys are
 * read: rope_parameters (transformers 5) before rope_theta with rope_scaling. */
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

/* A whole number of 1 … most; `otherwise` where the key is absent or null, an error where that is 0. */
static int whole(const cJSON *config, const char *path, const char *key, int64_t most, int otherwise, int *out,
                 bg_err *e)
{
    int64_t value = otherwise;
    if (member(config, key)) {
        value = -1;
        if (bg_json_integer(config, key, &value, e) || value < 1 || value > most)
            return bg_fail(e, BG_INPUT, "%s: config.json: '%s' is not a whole number of 1 to %lld", path, key,
                           (long long)most);
    } else if (!otherwise) {
        return bg_fail(e, BG_INPUT, "%s: config.json: '%s' is missing", path, key);
    }
    *out = (int)value;
    return BG_OK;
}

static int read_sizes(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    const bg_config_keys *k = a->keys;
    int status = whole(config, path, k->hidden, MOST_WIDTH, 0, &c->hidden, e);
    if (!status)
        status = whole(config, path, k->layers, MOST_LAYERS, 0, &c->layers, e);
    if (!status)
        status = whole(config, path, k->heads, 65536, 0, &c->heads, e);
    if (!status)
        status = whole(config, path, k->kv_heads, 65536, a->kv_heads ? a->kv_heads : c->heads, &c->kv_heads, e);
    if (!status && !a->head_dim && !member(config, k->head_dim) && c->hidden % c->heads)
        status = bg_fail(e, BG_INPUT, "%s: config.json: '%s' %d is no multiple of '%s' %d", path, k->hidden, c->hidden,
                         k->heads, c->heads);
    if (!status)
        status =
            whole(config, path, k->head_dim, 65536, a->head_dim ? a->head_dim : c->hidden / c->heads, &c->head_dim, e);
    if (!status)
        status = whole(config, path, k->inner, MOST_WIDTH, a->inner_times * c->hidden, &c->inner, e);
    if (!status)
        status = whole(config, path, "vocab_size", MOST_VOCABULARY, 0, &c->vocab, e);
    if (!status)
        status = whole(config, path, k->embed_width, MOST_WIDTH, c->hidden, &c->embed_width, e);
    const char *positions = member(config, k->positions) || !member(config, "n_ctx") ? k->positions : "n_ctx";
    if (!status && (member(config, positions) || a->learned))
        status = whole(config, path, positions, MOST_POSITIONS, 0, &c->positions, e);
    if (!status && c->heads % c->kv_heads)
        status = bg_fail(e, BG_INPUT, "%s: config.json: %d key/value heads do not divide %d heads", path, c->kv_heads,
                         c->heads);
    if (!status && (int64_t)c->heads * c->head_dim > MOST_WIDTH)
        status = bg_fail(e, BG_INPUT, "%s: config.json: %d heads of %d are too wide", path, c->heads, c->head_dim);
    return status;
}

static int read_activation(const bg_arch *a, const cJSON *config, const char *path, bg_activation *out, bg_err *e)
{
    static const struct {
        const char *name;
        bg_activation kind;
    } names[] = {{"silu", BG_SILU},
                 {"swish", BG_SILU},
                 {"gelu_new", BG_GELU_TANH},
                 {"gelu_pytorch_tanh", BG_GELU_TANH},
                 {"gelu_fast", BG_GELU_TANH},
                 {"gelu", BG_GELU_ERF},
                 {"relu", BG_RELU}};
    const char *name =
        *a->activation == '!' ? a->activation + 1 : bg_json_string(config, a->keys->activation, a->activation);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, name)) {
            *out = names[i].kind;
            return BG_OK;
        }
    return bg_fail(e, BG_INPUT,
                   "%s: config.json: activation '%.40s' is not one of silu, gelu, gelu_new, gelu_pytorch_tanh, "
                   "relu",
                   path, name);
}

static int read_scaling(const cJSON *s, const char *path, bg_rope_config *r, bg_err *e)
{
    static const char *const names[] = {"default", "linear", "dynamic", "llama3", "yarn", "longrope", "su", NULL};
    const char *type = bg_json_string(s, "rope_type", bg_json_string(s, "type", "default"));
    int kind = 0;
    while (names[kind] && strcmp(names[kind], type))
        kind++;
    if (!names[kind])
        return bg_fail(e, BG_INPUT,
                       "%s: config.json: rope type '%.40s' is not one of default, linear, dynamic, llama3, "
                       "yarn, longrope",
                       path, type);
    r->scaling = kind > BG_ROPE_LONG ? BG_ROPE_LONG : (bg_rope_scaling)kind;
    r->factor = bg_json_number(s, "factor", 1);
    r->low = bg_json_number(s, "low_freq_factor", 1);
    r->high = bg_json_number(s, "high_freq_factor", 4);
    r->original = bg_json_number(s, "original_max_position_embeddings", r->positions);
    r->beta_fast = bg_json_number(s, "beta_fast", 32);
    r->beta_slow = bg_json_number(s, "beta_slow", 1);
    r->truncate = bg_json_bool(s, "truncate", 1);
    r->short_factors = member(s, "short_factor");
    r->long_factors = member(s, "long_factor");
    /* m of yarn and longrope: given outright, or from the stretch of the context. */
    double scale = bg_json_number(s, "mscale", 0), scale_all = bg_json_number(s, "mscale_all_dim", 0);
    double log_factor = r->factor > 1 ? 0.1 * log(r->factor) : 0;
    double stretch = r->original > 0 && r->positions > r->original ? r->positions / r->original : 1;
    r->attention_factor = 1;
    if (r->scaling == BG_ROPE_YARN)
        r->attention_factor =
            scale != 0 && scale_all != 0 ? (scale * log_factor + 1) / (scale_all * log_factor + 1) : log_factor + 1;
    if (r->scaling == BG_ROPE_LONG && stretch > 1)
        r->attention_factor = sqrt(1 + log(stretch) / log(r->original));
    if (r->scaling == BG_ROPE_YARN || r->scaling == BG_ROPE_LONG)
        r->attention_factor = bg_json_number(s, "attention_factor", r->attention_factor);
    int needs_original = r->scaling == BG_ROPE_LLAMA3 || r->scaling == BG_ROPE_YARN || r->scaling == BG_ROPE_LONG;
    int bad = !(r->factor > 0 && r->factor < 1e6) || (needs_original && !(r->original > 1 && r->original < 1e9)) ||
              (r->scaling == BG_ROPE_LLAMA3 && !(r->low > 0 && r->high > r->low)) ||
              (r->scaling == BG_ROPE_DYNAMIC && !r->positions);
    if (r->scaling == BG_ROPE_LONG)
        for (int i = 0; i < 2; i++) {
            const cJSON *f = i ? r->long_factors : r->short_factors;
            bad |= !cJSON_IsArray(f) || cJSON_GetArraySize(f) != r->dims / 2;
            for (const cJSON *v = cJSON_IsArray(f) ? f->child : NULL; v; v = v->next)
                bad |= !cJSON_IsNumber(v) || !(v->valuedouble > 0);
        }
    return bad ? bg_fail(e, BG_INPUT, "%s: config.json: the numbers of rope type '%.40s' make no sense", path, type)
               : BG_OK;
}

static int read_rope(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *c, bg_err *e)
{
    bg_rope_config *r = &c->rope;
    *r = (bg_rope_config){.kind = a->rope, .positions = c->positions, .factor = 1, .attention_factor = 1};
    if (a->rope == BG_ROPE_NONE)
        return BG_OK;
    const cJSON *now = member(config, "rope_parameters"), *old = member(config, "rope_scaling");
    if (now && cJSON_IsObject(now->child))
        return bg_fail(e, BG_INPUT, "%s: config.json: 'rope_parameters' by kind of layer cannot be run", path);
    r->base = bg_json_number(now, "rope_theta",
                             bg_json_number(config, "rope_theta", bg_json_number(config, "rotary_emb_base", 10000)));
    double part =
        bg_json_number(now, "partial_rotary_factor", bg_json_number(config, a->partial, a->partial_otherwise));
    if (a->rope == BG_ROPE_PAIRS && cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(config, a->partial)))
        part = 1;
    double dims = part > 1 ? part : part * c->head_dim;
    if (!(dims >= 2 && dims <= c->head_dim) || (int)dims % 2 || !(r->base > 0 && r->base < 1e12))
        return bg_fail(e, BG_INPUT, "%s: config.json: %g of the %d elements of a head cannot turn (base %g)", path,
                       dims, c->head_dim, r->base);
    r->dims = (int)dims;
    return read_scaling(now ? now : old, path, r, e);
}

/* A soft cap: absent takes the family's, null and 0 switch it off. */
static double soft_cap(const cJSON *config, const char *key, double otherwise)
{
    if (!(otherwise > 0))
        return 0;
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(config, key);
    return v && cJSON_IsNull(v) ? 0 : bg_json_number(config, key, otherwise);
}

int bg_arch_config(const bg_arch *a, const cJSON *config, const char *path, bg_model_config *out, bg_err *e)
{
    bg_model_config *c = out;
    *c = (bg_model_config){
        .norm = a->norm, .order = a->order, .qkv = a->qkv, .learned = a->learned, .embedding_scale = 1};
    int status = read_sizes(a, config, path, c, e);
    if (!status)
        status = read_activation(a, config, path, &c->activation, e);
    if (!status)
        status = read_rope(a, config, path, c, e);
    if (status)
        return status;
    if (!bg_json_bool(config, "layer_norm_elementwise_affine", 1))
        return bg_fail(e, BG_INPUT, "%s: config.json: norms without weights cannot be run", path);
    c->eps = a->keys->eps ? bg_json_number(config, a->keys->eps, a->eps) : a->eps;
    if (!(c->eps >= 0 && c->eps < 1))
        return bg_fail(e, BG_INPUT, "%s: config.json: '%s' is %g", path, a->keys->eps, c->eps);
    if (a->order_key && bg_json_bool(config, a->order_key, !a->order_value) == a->order_value)
        c->order = a->order_then;
    c->final_norm = c->order != BG_ORDER_POST && !bg_json_bool(config, "_remove_final_layer_norm", 0);
    c->gated = a->linears[BG_GATE] != NULL;
    c->tied = bg_json_bool(config, "tie_word_embeddings", a->tied);
    double scalar =
        a->query_scalar > 0 ? bg_json_number(config, "query_pre_attn_scalar", a->query_scalar) : c->head_dim;
    if (!(scalar > 0))
        return bg_fail(e, BG_INPUT, "%s: config.json: 'query_pre_attn_scalar' is %g", path, scalar);
    c->attention_scale = bg_json_bool(config, "scale_attn_weights", 1) ? 1 / sqrt(scalar) : 1;
    c->scale_by_layer = bg_json_bool(config, "scale_attn_by_inverse_layer_idx", 0);
    c->attention_cap = soft_cap(config, "attn_logit_softcapping", a->attention_cap);
    c->logit_cap = soft_cap(config, "final_logit_softcapping", a->logit_cap);
    if (!(c->attention_cap >= 0) || !(c->logit_cap >= 0))
        return bg_fail(e, BG_INPUT, "%s: config.json: a soft cap is negative", path);
    if (a->scales_embedding)
        c->embedding_scale = sqrtf((float)c->hidden);
    return BG_OK;
}

/* −1: layer_types says nothing of this layer. */
static int layer_type_slides(const cJSON *config, int layer)
{
    const cJSON *types = member(config, "layer_types");
    const char *type = cJSON_IsArray(types) ? cJSON_GetStringValue(cJSON_GetArrayItem(types, layer)) : NULL;
    return type ? !strcmp(type, "sliding_attention") : -1;
}

int bg_arch_window(const bg_arch *a, const cJSON *config, int layer, int *out, bg_err *e)
{
    *out = 0;
    if (a->window == BG_WINDOW_NONE)
        return BG_OK;
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(config, "sliding_window");
    double width = v && cJSON_IsNull(v) ? 0 : bg_json_number(config, "sliding_window", 4096);
    int slides = layer_type_slides(config, layer);
    if (a->window == BG_WINDOW_ALL && slides < 0)
        slides = 1;
    if (a->window == BG_WINDOW_EVEN && slides < 0)
        slides = layer % 2 == 0;
    if (a->window == BG_WINDOW_ASKED) {
        if (!bg_json_bool(config, "use_sliding_window", 0))
            slides = 0;
        else if (slides < 0)
            slides = layer >= bg_json_number(config, "max_window_layers", 28);
    }
    if (!slides || width <= 0)
        return BG_OK;
    if (!(width >= 1 && width <= MOST_POSITIONS))
        return bg_fail(e, BG_INPUT, "config.json: 'sliding_window' is %g", width);
    *out = (int)width;
    return BG_OK;
}

int bg_arch_bias(const cJSON *config, const bg_bias_rule *r)
{
    return r->key ? bg_json_bool(config, r->key, r->otherwise) : r->otherwise;
}
