/* Owns how a model's tensors are found: under which names, with which shapes, in which layers. Every tensor of the
 * checkpoint must have a place in the forward pass, or a reason why not. */
#define _GNU_SOURCE
#include "analysis/model/work.h"
#include "io/base/json.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_TEXT = 256, WHOLE_NAME = NAME_TEXT + 8, ANY = 0 };

typedef struct binding {
    bg_model *m;
    unsigned char *used; /* [tensors of the checkpoint] */
    char root[64];
    int wrapped;      /* the text model is a part of another */
    char prefix[128]; /* of the names at hand */
} binding;

/* ---- names ---- */

/* Where the text model stands in a wrapper of several models. */
static const char *const wrappers[] = {"", "model.language_model.", "language_model.model.", "language_model."};

static int find_root(binding *b, bg_err *e)
{
    const bg_ckpt *c = b->m->ckpt;
    const bg_arch *a = b->m->arch;
    char name[NAME_TEXT];
    for (size_t k = 0; k < sizeof wrappers / sizeof *wrappers; k++)
        for (int i = 0; i < 3 && a->roots[i]; i++) {
            int inner = k && !strcmp(a->roots[i], "model.") && k < 3;
            snprintf(b->root, sizeof b->root, "%s%s", wrappers[k], inner ? "" : a->roots[i]);
            snprintf(name, sizeof name, "%s%s.weight", b->root, a->embed);
            b->wrapped = k != 0;
            if (bg_ckpt_find(c, name))
                return BG_OK;
        }
    snprintf(name, sizeof name, "%s.weight", a->embed); /* without "model." */
    b->root[0] = 0;
    b->wrapped = 0;
    return bg_ckpt_find(c, name) ? BG_OK
                                 : bg_fail(e, BG_INPUT, "%s: tensor '%s%s.weight' is missing; config.json says %s",
                                           c->title, a->roots[0], a->embed, a->name);
}

static const bg_tensor *take(binding *b, const char *name)
{
    const bg_ckpt *c = b->m->ckpt;
    const bg_tensor *t = bg_ckpt_find(c, name);
    if (t)
        b->used[t - c->tensors] = 1;
    return t;
}

/* The stem that a row's names mean here: the first alternative whose tensor, stem + ending, the file has. Empty when an
 * optional one has none; without any the first, for the error. */
static void choose(const binding *b, const char *names, const char *ending, char stem[NAME_TEXT])
{
    int optional = *names == '?';
    const char *first = names + optional;
    char name[WHOLE_NAME + 8];
    for (const char *p = first; *p; p += strcspn(p, "|"), p += *p == '|') {
        snprintf(stem, NAME_TEXT, "%s%.*s", b->prefix, (int)strcspn(p, "|"), p);
        snprintf(name, sizeof name, "%s%s", stem, ending);
        if (bg_ckpt_find(b->m->ckpt, name))
            return;
    }
    if (optional)
        stem[0] = 0;
    else
        snprintf(stem, NAME_TEXT, "%s%.*s", b->prefix, (int)strcspn(first, "|"), first);
}

/* ---- one tensor ---- */

/* A missing tensor is an error; so is one that is not rows × cols (cols 0: a vector of `rows`; rows ANY: whatever it
 * is). */
static int find_tensor(binding *b, const char *name, int64_t rows, int64_t cols, const bg_tensor **out, bg_err *e)
{
    const char *title = b->m->ckpt->title;
    const bg_tensor *t = take(b, name);
    if (!t)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' is missing; is the download complete?", title, name);
    int fits = cols ? (rows == ANY || t->rows == rows) && t->cols == cols : (int64_t)t->count == rows;
    if (!fits && cols)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' is %lld × %lld; config.json needs %lld × %lld", title, name,
                       (long long)t->rows, (long long)t->cols, (long long)rows, (long long)cols);
    if (!fits)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' has %lld values; config.json needs %lld", title, name,
                       (long long)t->count, (long long)rows);
    *out = t;
    return BG_OK;
}

static int is_gguf(const bg_ckpt *c)
{
    return c->container && !strcmp(c->container->name, "gguf");
}

static int bind_linear(binding *b, const char *stem, const bg_bias_rule *bias, int64_t out, int64_t in, bg_linear *l,
                       bg_err *e)
{
    bg_model *m = b->m;
    char name[WHOLE_NAME];
    snprintf(name, sizeof name, "%s.weight", stem);
    int status = find_tensor(b, name, out, in, &l->tensor, e);
    if (status)
        return status;
    l->name = l->tensor->name;
    l->out = l->tensor->rows;
    l->in = in;
    m->widest = in > m->widest ? in : m->widest;
    m->parameters += (double)l->out * (double)in;
    snprintf(name, sizeof name, "%s.bias", stem);
    int asks = (bias && bias->key && *bias->key == '?') || is_gguf(m->ckpt);
    if (bias && (bg_arch_bias(m->settings, bias) || (asks && bg_ckpt_find(m->ckpt, name)))) {
        m->parameters += (double)l->out;
        status = find_tensor(b, name, l->out, 0, &l->bias_tensor, e);
    }
    return status;
}

/* Norms of a GGUF file hold the 1 already. */
static bg_norm_kind kind_in(const bg_ckpt *c, bg_norm_kind kind)
{
    if (!is_gguf(c))
        return kind;
    return kind == BG_RMS_PLUS_ONE ? BG_RMS : kind == BG_LAYER_NORM_PLUS_ONE ? BG_LAYER_NORM : kind;
}

static int has_bias(bg_norm_kind kind)
{
    return kind == BG_LAYER_NORM || kind == BG_LAYER_NORM_PLUS_ONE;
}

static int bind_norm(binding *b, const char *names, bg_norm_kind kind, int64_t width, bg_norm *n, bg_err *e)
{
    char stem[NAME_TEXT], name[WHOLE_NAME];
    *n = (bg_norm){.kind = kind_in(b->m->ckpt, kind), .on = 1, .width = width, .eps = b->m->config.eps};
    if (kind == BG_LAYER_NORM_PLAIN || !*names)
        return BG_OK;
    choose(b, names, ".weight", stem);
    if (!*stem) {
        n->on = 0;
        return BG_OK;
    }
    snprintf(name, sizeof name, "%s.weight", stem);
    int status = find_tensor(b, name, width, 0, &n->tensor, e);
    b->m->parameters += (double)width;
    if (!status && has_bias(n->kind)) {
        snprintf(name, sizeof name, "%s.bias", stem);
        b->m->parameters += (double)width;
        status = find_tensor(b, name, width, 0, &n->bias_tensor, e);
    }
    return status;
}

/* ---- one layer ---- */

static int is_mixer_role(int role)
{
    return role <= BG_MIX_OUT;
}

/* Does a layer with this mixer have the role? */
static int belongs(bg_mixer mixer, int role)
{
    if (role >= BG_MIX_IN && role <= BG_MIX_OUT && role != BG_O)
        return mixer != BG_MIXER_ATTENTION && mixer != BG_MIXER_LATENT;
    return mixer == BG_MIXER_ATTENTION || mixer == BG_MIXER_LATENT;
}

/* Outputs and inputs of a linear layer; out ANY: the tensor says it. */
static void shape_of(const bg_model *m, const bg_layer *y, int role, int64_t *out, int64_t *in)
{
    const bg_model_config *c = &m->config;
    const bg_layer_rules *r = &y->rules;
    int64_t D = c->width, q = (int64_t)c->heads * r->head_dim, k = (int64_t)r->kv_heads * r->head_dim;
    int64_t v = (int64_t)r->kv_heads * y->value_dim, heads = (int64_t)c->heads * y->value_dim;
    int64_t kv_b = heads + (int64_t)c->heads * (r->head_dim - c->turned_dim);
    int64_t mixed = (int64_t)c->mix_heads * c->mix_head_dim;
    const int64_t shapes[BG_LINEARS][2] = {
        [BG_Q] = {m->arch->gates_attention ? 2 * q : q, D},
        [BG_Q_A] = {c->latent_q, D},
        [BG_Q_B] = {q, c->latent_q},
        [BG_K] = {k, D},
        [BG_KV_A] = {c->latent_kv + c->turned_dim, D},
        [BG_KV_B] = {kv_b, c->latent_kv},
        [BG_V] = {v, D},
        [BG_QKV] = {q + k + v, D},
        [BG_MIX_IN] = {bg_mixer_inputs(c, r->mixer), D},
        [BG_MIX_Z] = {mixed, D},
        [BG_MIX_A] = {c->mix_heads, D},
        [BG_MIX_B] = {m->arch->linears[BG_MIX_A] ? c->mix_heads : 2 * c->mix_heads, D},
        [BG_O] = {D, heads},
        [BG_MIX_OUT] = {D, r->mixer == BG_MIXER_CONV ? D : mixed},
        [BG_LAUREL_LEFT] = {ANY, D},
        [BG_LAUREL_RIGHT] = {D, y->linear[BG_LAUREL_LEFT] ? y->linear[BG_LAUREL_LEFT]->out : 0},
        [BG_ROUTER] = {c->experts, D},
        [BG_SHARED_SWITCH] = {1, D},
        [BG_SHARED_GATE] = {ANY, D},
        [BG_SHARED_UP] = {y->shared_inner, D},
        [BG_SHARED_DOWN] = {D, y->shared_inner},
        [BG_GATE_UP] = {2 * (int64_t)y->inner, D},
        [BG_GATE] = {m->arch->inner_from_file ? ANY : y->inner, D},
        [BG_UP] = {y->inner, D},
        [BG_DOWN] = {D, y->inner},
        [BG_LAYER_INPUT_GATE] = {c->layer_input, D},
        [BG_LAYER_INPUT_OUT] = {D, c->layer_input},
    };
    *out = shapes[role][0];
    *in = shapes[role][1];
}

/* The first role of those that read the same input. */
static int leader(const bg_layer *y, int role)
{
    int first = role;
    if (role <= BG_MIX_B && role != BG_Q_B && role != BG_KV_B)
        first = BG_Q;
    else if (role == BG_LAUREL_LEFT)
        first = BG_Q;
    else if (role >= BG_ROUTER && role <= BG_UP && role != BG_SHARED_DOWN)
        first = BG_ROUTER;
    while (first < role && (!y->linear[first] || first == BG_Q_B || first == BG_KV_B || first == BG_SHARED_DOWN))
        first++;
    return first;
}

static bg_linear *new_linear(bg_model *m, int layer)
{
    bg_linear *l = &m->linears[m->n_linears];
    *l = (bg_linear){.index = m->n_linears++, .layer = layer, .expert = -1};
    l->shares = l;
    return l;
}

static int open_role(binding *b, int layer, int role, bg_err *e)
{
    bg_model *m = b->m;
    bg_layer *y = &m->layers[layer];
    char stem[NAME_TEXT];
    int64_t out, in;
    choose(b, m->arch->linears[role], ".weight", stem);
    if (!*stem)
        return BG_OK;
    shape_of(m, y, role, &out, &in);
    if (!in)
        return bg_fail(e, BG_INPUT, "%s: config.json does not say how wide the input of '%s' is", m->ckpt->title, stem);
    bg_linear *l = new_linear(m, layer);
    int status = bind_linear(b, stem, &m->arch->bias[role], out, in, l, e);
    if (status)
        return status;
    y->linear[role] = l;
    l->shares = y->linear[leader(y, role)];
    if (role == BG_SHARED_GATE)
        y->shared_inner = (int)l->out;
    if (role == BG_GATE)
        y->inner = (int)l->out;
    return BG_OK;
}

static int open_experts(binding *b, int layer, bg_err *e)
{
    bg_model *m = b->m;
    bg_layer *y = &m->layers[layer];
    const bg_arch *a = m->arch;
    int D = m->config.width, status = BG_OK;
    y->experts = &m->linears[m->n_linears];
    for (int i = 0; !status && i < m->config.experts * BG_EXPERT_LINEARS; i++) {
        int which = i % BG_EXPERT_LINEARS;
        const char *name = a->experts[which], *hole = strchr(name, '%');
        char stem[NAME_TEXT];
        snprintf(stem, sizeof stem, "%s%.*s%d%s", b->prefix, (int)(hole - name), name, i / BG_EXPERT_LINEARS, hole + 2);
        bg_linear *l = new_linear(m, layer);
        l->expert = i / BG_EXPERT_LINEARS;
        status = which == BG_EXPERT_DOWN ? bind_linear(b, stem, &a->expert_bias, D, y->expert_inner, l, e)
                                         : bind_linear(b, stem, &a->expert_bias, y->expert_inner, D, l, e);
        if (!status && which == BG_EXPERT_GATE)
            y->expert_inner = (int)l->out;
        if (which == BG_EXPERT_UP)
            l->shares = l - 1;
    }
    return status;
}

static int open_linears(binding *b, int layer, bg_err *e)
{
    bg_model *m = b->m;
    bg_layer *y = &m->layers[layer];
    int status = BG_OK;
    y->first = m->n_linears;
    y->inner = m->config.inner;
    for (int i = 0; !status && i < BG_LINEARS; i++) {
        int shared = i >= BG_SHARED_SWITCH && i <= BG_SHARED_DOWN, dense = i >= BG_GATE_UP && i <= BG_DOWN;
        if (!m->arch->linears[i] || (is_mixer_role(i) && !belongs(y->rules.mixer, i)) ||
            (shared && !y->linear[BG_ROUTER]) || (dense && y->linear[BG_ROUTER]))
            continue;
        status = open_role(b, layer, i, e);
        if (!status && i == BG_SHARED_DOWN && y->linear[BG_ROUTER])
            status = open_experts(b, layer, e);
        else if (!status && i == BG_ROUTER && y->linear[i] && !m->arch->linears[BG_SHARED_DOWN])
            status = open_experts(b, layer, e);
    }
    y->n_linears = m->n_linears - y->first;
    if (!status && !y->linear[BG_ROUTER] && !y->linear[BG_UP] && !y->linear[BG_GATE_UP] && m->arch->linears[BG_DOWN])
        return bg_fail(e, BG_INPUT, "%s: layer %d has neither a router nor an MLP; is the download complete?",
                       m->ckpt->title, layer);
    return status;
}

static int open_norms(binding *b, int layer, bg_err *e)
{
    bg_model *m = b->m;
    bg_layer *y = &m->layers[layer];
    const bg_model_config *c = &m->config;
    const bg_layer_rules *r = &y->rules;
    int whole = m->arch->norm_whole_heads, mixes = r->mixer != BG_MIXER_ATTENTION && r->mixer != BG_MIXER_LATENT;
    const int64_t width[BG_NORMS] = {
        [BG_NORM_ATTN] = c->width,
        [BG_NORM_ATTN_OUT] = c->width,
        [BG_NORM_MLP] = c->width,
        [BG_NORM_MLP_OUT] = c->width,
        [BG_NORM_Q] = (int64_t)r->head_dim * (whole ? c->heads : 1),
        [BG_NORM_K] = (int64_t)r->head_dim * (whole ? r->kv_heads : 1),
        [BG_NORM_V] = r->head_dim,
        [BG_NORM_Q_A] = c->latent_q,
        [BG_NORM_KV_A] = c->latent_kv,
        [BG_NORM_O] = (int64_t)c->heads * y->value_dim,
        [BG_NORM_DOWN] = y->inner,
        [BG_NORM_MIX] = r->mixer == BG_MIXER_DELTA ? c->mix_head_dim : (int64_t)c->mix_heads * c->mix_head_dim,
        [BG_NORM_LAUREL] = c->width,
        [BG_NORM_LAYER_INPUT] = c->width,
        [BG_NORM_ALTUP] = c->width};
    int status = BG_OK;
    for (int i = 0; !status && i < BG_NORMS; i++) {
        int of_heads = i >= BG_NORM_Q && i <= BG_NORM_O && i != BG_NORM_DOWN, of_mix = i == BG_NORM_MIX;
        if (!m->arch->norms[i] || (of_heads && mixes) || (of_mix && !mixes))
            continue;
        if (!*m->arch->norms[i] && i <= BG_NORM_K && (!r->turns || !bg_json_bool(m->settings, "use_qk_norm", 1)))
            continue;
        status = bind_norm(b, m->arch->norms[i], of_mix ? BG_RMS : c->norm, width[i], &y->norm[i], e);
        if (m->arch->latent_eps > 0 && (i == BG_NORM_Q_A || i == BG_NORM_KV_A))
            y->norm[i].eps = m->arch->latent_eps;
    }
    return status;
}

/* xIELU's numbers, which GGUF keeps in its metadata. */
static int read_constant(binding *b, int layer, int role)
{
    static const char *const names[] = {"alpha_p", "alpha_n", "beta", "eps"};
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(b->m->settings, "xielu");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(all, names[role - BG_XIELU_P]);
    const cJSON *v = cJSON_GetArrayItem(list, layer);
    if (!cJSON_IsNumber(v))
        return 0;
    b->m->layers[layer].xielu[role - BG_XIELU_P] = (float)v->valuedouble;
    return 1;
}

static int open_vectors(binding *b, int layer, bg_err *e)
{
    bg_model *m = b->m;
    bg_layer *y = &m->layers[layer];
    const bg_model_config *c = &m->config;
    int mixes = y->rules.mixer != BG_MIXER_ATTENTION && y->rules.mixer != BG_MIXER_LATENT;
    int64_t channels = bg_mixer_channels(c, y->rules.mixer), s = c->streams;
    const int64_t count[BG_VECTORS] = {[BG_SINKS] = c->heads,
                                       [BG_ROUTER_BIAS] = c->experts,
                                       [BG_XIELU_P] = 1,
                                       [BG_XIELU_N] = 1,
                                       [BG_XIELU_BETA] = 1,
                                       [BG_XIELU_EPS] = 1,
                                       [BG_CONV] = channels * c->conv_taps,
                                       [BG_CONV_BIAS] = channels,
                                       [BG_A_LOG] = c->mix_heads,
                                       [BG_D] = c->mix_heads,
                                       [BG_DT_BIAS] = c->mix_heads,
                                       [BG_LAYER_SCALE] = 1,
                                       [BG_ALTUP_SCALE] = c->width,
                                       [BG_ALTUP_CORRECT] = s * s,
                                       [BG_ALTUP_PREDICT] = s * s * s,
                                       [BG_ALTUP_ROUTER] = s * c->width};
    int status = BG_OK;
    for (int i = 0; !status && i < BG_VECTORS; i++) {
        const char *names = m->arch->vectors[i];
        char name[NAME_TEXT];
        if (!names || (i >= BG_CONV && i <= BG_DT_BIAS && !mixes) || (i == BG_SINKS && mixes) ||
            (i == BG_ROUTER_BIAS && !y->linear[BG_ROUTER]))
            continue;
        choose(b, names, "", name);
        if (!*name || (i >= BG_XIELU_P && i <= BG_XIELU_EPS && read_constant(b, layer, i)))
            continue;
        status = find_tensor(b, name, count[i], 0, &y->vector[i].tensor, e);
        m->parameters += (double)count[i];
    }
    return status;
}

static int bind_layer(binding *b, int layer, bg_err *e)
{
    bg_model *m = b->m;
    bg_layer *y = &m->layers[layer];
    const char *form = m->arch->layer, *hole = strchr(form, '%');
    snprintf(b->prefix, sizeof b->prefix, "%s%.*s%d%s", b->root, (int)(hole - form), form, layer, hole + 2);
    int status = bg_arch_layer(m->arch, m->settings, &m->config, layer, &y->rules, e);
    if (status)
        return status;
    y->value_dim = m->arch->mixer == BG_MIXER_LATENT ? m->config.value_dim : y->rules.head_dim;
    status = open_linears(b, layer, e);
    if (!status)
        status = open_norms(b, layer, e);
    return status ? status : open_vectors(b, layer, e);
}

/* ---- outside the layers ---- */

/* The output matrix: its own tensor when the file has one, else the embedding if the config ties them. */
static int open_head(binding *b, bg_err *e)
{
    bg_model *m = b->m;
    const bg_model_config *c = &m->config;
    char name[WHOLE_NAME], stem[NAME_TEXT];
    snprintf(b->prefix, sizeof b->prefix, "%s", "");
    snprintf(stem, sizeof stem, "%s%s", b->wrapped ? "language_model." : "", m->arch->head);
    snprintf(name, sizeof name, "%s.weight", stem);
    if (b->wrapped && !bg_ckpt_find(m->ckpt, name))
        snprintf(stem, sizeof stem, "%s", m->arch->head);
    snprintf(name, sizeof name, "%s.weight", stem);
    m->head.layer = m->head.expert = -1;
    if (!c->tied || bg_ckpt_find(m->ckpt, name)) {
        m->tied_twice = c->tied;
        m->config.tied = 0;
        m->head.index = m->n_linears + 1;
        return bind_linear(b, stem, &m->arch->head_bias, c->vocab, c->embed_width, &m->head, e);
    }
    m->head = m->embed;
    return BG_OK;
}

static int open_positions(binding *b, bg_err *e)
{
    bg_model *m = b->m;
    const bg_model_config *c = &m->config;
    char name[NAME_TEXT];
    if (!c->learned)
        return BG_OK;
    snprintf(name, sizeof name, "%s%s.weight", b->root, m->arch->positions);
    int64_t rows = c->positions + c->learned - 1;
    m->parameters += (double)rows * c->width;
    return find_tensor(b, name, rows, c->width, &m->positions_tensor, e);
}

static int open_projections(binding *b, bg_err *e)
{
    bg_model *m = b->m;
    const bg_arch *a = m->arch;
    const bg_model_config *c = &m->config;
    char stem[NAME_TEXT];
    if (c->embed_width == c->width)
        return BG_OK;
    if (!a->project_in)
        return bg_fail(e, BG_INPUT, "%s: config.json: embeddings of another width than the layers", m->ckpt->title);
    snprintf(stem, sizeof stem, "%s%s", b->root, a->project_in);
    int status = bind_linear(b, stem, NULL, c->width, c->embed_width, &m->project_in, e);
    snprintf(stem, sizeof stem, "%s%s", b->root, a->project_out);
    return status ? status : bind_linear(b, stem, NULL, c->embed_width, c->width, &m->project_out, e);
}

/* AltUp's projections and the tables of each layer's own input. */
static int open_streams(binding *b, bg_err *e)
{
    bg_model *m = b->m;
    const bg_model_config *c = &m->config;
    char name[NAME_TEXT];
    int status = BG_OK;
    for (int i = 0; i < 2 * (c->streams - 1) && !status; i++) {
        bg_linear *l = i % 2 ? &m->altup_out[i / 2] : &m->altup_in[i / 2];
        *l = (bg_linear){.index = -1, .layer = -1, .expert = -1};
        snprintf(name, sizeof name, "%saltup_%sprojections.%d", b->root, i % 2 ? "unembed_" : "", i / 2);
        status = bind_linear(b, name, NULL, c->width, c->width, l, e);
    }
    if (status || !c->layer_input)
        return status;
    int64_t all = (int64_t)c->layers * c->layer_input;
    snprintf(name, sizeof name, "%sembed_tokens_per_layer.weight", b->root);
    status = find_tensor(b, name, ANY, all, &m->layer_input_table, e);
    if (!status && m->layer_input_table->rows < c->vocab)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' has %lld rows for %d tokens", m->ckpt->title, name,
                       (long long)m->layer_input_table->rows, c->vocab);
    snprintf(name, sizeof name, "%sper_layer_model_projection.weight", b->root);
    if (!status)
        status = find_tensor(b, name, all, c->width, &m->layer_input_projection, e);
    if (!status)
        status = bind_norm(b, "per_layer_projection_norm", c->norm, c->layer_input, &m->layer_input_norm, e);
    if (!status)
        m->parameters += (double)m->layer_input_table->count + (double)m->layer_input_projection->count;
    return status;
}
static int bind_outer(binding *b, bg_err *e)
{
    bg_model *m = b->m;
    const bg_arch *a = m->arch;
    const bg_model_config *c = &m->config;
    char stem[NAME_TEXT];
    m->embed.layer = m->project_in.layer = m->project_out.layer = -1;
    m->embed.expert = m->project_in.expert = m->project_out.expert = -1;
    m->embed.index = m->n_linears;
    m->project_in.index = m->project_out.index = -1;
    snprintf(stem, sizeof stem, "%s%s", b->root, a->embed);
    int status = bind_linear(b, stem, NULL, c->vocab, c->embed_width, &m->embed, e);
    if (!status)
        status = open_head(b, e);
    if (!status)
        status = open_positions(b, e);
    snprintf(b->prefix, sizeof b->prefix, "%s", b->root);
    if (!status && c->final_norm)
        status = bind_norm(b, a->final_norm, c->norm, c->width, &m->final_norm, e);
    if (!status && a->embed_norm)
        status = bind_norm(b, a->embed_norm, c->norm, c->width, &m->embed_norm, e);
    if (!status)
        status = open_streams(b, e);
    return status ? status : open_projections(b, e);
}

/* ---- what is left over ---- */

/* Tensors that a forward pass of the text model does not need, and why. */
static const struct {
    const char *part, *reason;
} idle[] = {
    {"rotary_emb.inv_freq", NULL}, /* computed */
    {"rope_freqs", NULL},
    {"rope_factors_", NULL},
    {"attn.masked_bias", NULL},
    {"attention.masked_bias", NULL},
    {"attn.bias", NULL}, /* GPT-2's mask */
    {"attention.bias", NULL},
    {"rotary_emb.", NULL},
    {"vision", "the vision tower"},
    {"visual", "the vision tower"},
    {"multi_modal_projector", "the projector of images"},
    {"image_newline", "the projector of images"},
    {"audio", "the audio tower"},
    {"mtp.", "the prediction of several tokens"},
};

static const char *reason_for(const bg_model *m, const bg_tensor *t, int *silent)
{
    *silent = 0;
    for (size_t i = 0; i < sizeof idle / sizeof *idle; i++)
        if (strstr(t->name, idle[i].part)) {
            *silent = !idle[i].reason;
            return idle[i].reason ? idle[i].reason : "";
        }
    if (t->layer >= m->config.layers && bg_json_number(m->settings, "num_nextn_predict_layers", 0) > 0)
        return "the prediction of several tokens";
    return NULL;
}

static int check_used(const binding *b, bg_err *e)
{
    const bg_ckpt *c = b->m->ckpt;
    int left = 0;
    const char *why = "";
    for (int i = 0; i < c->n_tensors; i++) {
        int silent;
        const char *reason = b->used[i] ? "" : reason_for(b->m, &c->tensors[i], &silent);
        if (!reason)
            return bg_fail(e, BG_INPUT,
                           "%s: tensor '%s' has no place in what %s computes, so the result would be wrong", c->title,
                           c->tensors[i].name, b->m->arch->name);
        if (*reason) {
            left++;
            why = reason;
        }
    }
    if (left)
        bg_warn("%s: %d of %d tensors are left out: %s", c->title, left, c->n_tensors, why);
    return BG_OK;
}

int bg_bind(bg_model *m, bg_err *e)
{
    binding b = {.m = m, .used = calloc((size_t)m->ckpt->n_tensors + 1, 1)};
    int status = b.used ? find_root(&b, e) : bg_no_memory(e, "a model", (size_t)m->ckpt->n_tensors);
    for (int l = 0; !status && l < m->config.layers; l++)
        status = bind_layer(&b, l, e);
    if (!status)
        status = bind_outer(&b, e);
    if (!status)
        status = check_used(&b, e);
    free(b.used);
    return status;
}
