/* Owns how a GGUF model becomes a checkpoint like any other: Hugging Face names, q and k rows back in half-rotation
 * order, and a config with Hugging Face keys.
 *
 * llama.cpp rotates neighbouring pairs, so its converter stores row j of a head's first half at 2j and row j of the
 * second half at 2j+1 (architecture llama only). Names: ggml-org/llama.cpp gguf-py/gguf/tensor_mapping.py.
 */
#define _GNU_SOURCE
#include "io/checkpoints/formats/gguf_container.h"
#include "io/checkpoints/loading.h"

#include <stdlib.h>

enum { RAW_BYTES = 32 * 1024 }; /* on the stack: what is read at a time stays in the first-level cache */

typedef struct layout {
    const bg_raw *raw;
    const bg_gguf_type *type;
    int64_t head; /* rows of a head whose order is undone; 0: as stored */
} layout;

/* ---- rows ---- */

int64_t bg_gguf_stored_row(int64_t head, int64_t r)
{
    if (!head)
        return r;
    int64_t half = head / 2, in = r % head;
    return r - in + (in < half ? 2 * in : 2 * (in - half) + 1);
}

typedef int piece_sink(const bg_gguf_type *t, const uint8_t *blocks, size_t n_blocks, void *out);

/* Reads n contiguous stored weights from `first` in pieces of whole blocks and hands them on; `width` is the size of
 * what the sink writes for a weight. */
static int each_piece(const bg_tensor *t, uint64_t first, uint64_t n, piece_sink *sink, void *out, size_t width,
                      bg_err *e)
{
    const layout *l = t->layout;
    uint8_t raw[RAW_BYTES];
    uint64_t block = (uint64_t)l->type->block, bytes = (uint64_t)l->type->bytes, step = RAW_BYTES / bytes;
    first /= block;
    n /= block;
    for (uint64_t i = 0; i < n; i += step) {
        uint64_t m = n - i < step ? n - i : step;
        int status = bg_raw_read(t->ckpt->impl, l->raw, (first + i) * bytes, raw, m * bytes, e);
        if (status)
            return status;
        sink(l->type, raw, (size_t)m, (char *)out + i * block * width);
    }
    return BG_OK;
}

/* Rows in logical order: together when the file has the same order, one by one (one head's length apart) when not. A
 * vector is one row whose elements stand for rows. */
static int each_row(const bg_tensor *t, int64_t first, int64_t n, piece_sink *sink, void *out, size_t width, bg_err *e)
{
    const layout *l = t->layout;
    int64_t cols = t->rank < 2 ? 1 : t->cols, rows = t->rank < 2 ? t->cols : n;
    if (t->rank < 2)
        first = 0;
    if (!l->head)
        return each_piece(t, (uint64_t)(first * cols), (uint64_t)(rows * cols), sink, out, width, e);
    int status = BG_OK;
    for (int64_t r = 0; !status && r < rows; r++)
        status = each_piece(t, (uint64_t)(bg_gguf_stored_row(l->head, first + r) * cols), (uint64_t)cols, sink,
                            (char *)out + (size_t)(r * cols) * width, width, e);
    return status;
}

static int sink_floats(const bg_gguf_type *t, const uint8_t *blocks, size_t n, void *out)
{
    if (t->decode)
        t->decode(blocks, out, n);
    else
        bg_dtypes[t->dtype].decode(blocks, out, n);
    return BG_OK;
}

static int sink_codes16(const bg_gguf_type *t, const uint8_t *blocks, size_t n, void *out)
{
    memcpy(out, blocks, n * (size_t)t->bytes);
    return BG_OK;
}

static int sink_indices(const bg_gguf_type *t, const uint8_t *blocks, size_t n, void *out)
{
    bg_gguf_codes(t, blocks, out, n);
    return BG_OK;
}

static int sink_scales(const bg_gguf_type *t, const uint8_t *blocks, size_t n, void *out)
{
    bg_gguf_scales(t, blocks, out, n);
    return BG_OK;
}

static int refuse(const bg_tensor *t, bg_err *e)
{
    return bg_fail(e, BG_INPUT, "tensor '%s' uses %s, which Bitgap cannot decode; leave it out with --exclude", t->name,
                   t->storage);
}

static int rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    const layout *l = t->layout;
    if (!l->type->decode && !bg_dtypes[l->type->dtype].decode)
        return refuse(t, e);
    return each_row(t, first, n, sink_floats, out, sizeof *out, e);
}

static int indices(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    const layout *l = t->layout;
    return l->type->element ? each_row(t, first, n, sink_indices, out, sizeof *out, e) : refuse(t, e);
}

static int scales(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    const layout *l = t->layout;
    return l->type->element ? each_row(t, first, n, sink_scales, out, sizeof *out, e) : refuse(t, e);
}

static int codes16(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return each_row(t, first, n, sink_codes16, out, sizeof *out, e);
}

const bg_format bg_format_gguf = {
    .name = "gguf",
    .help = "llama.cpp's container, versions 2 and 3: plain types, Q4_0 to Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS, TQ, "
            "MXFP4, NVFP4",
    .rows = rows,
    .indices = indices,
    .scales = scales,
    .codes16 = codes16,
};

/* ---- names ---- */

typedef struct renaming {
    const char *gguf, *llama, *gpt2; /* without ".weight"; NULL: unknown there */
} renaming;

static const renaming outside[] = {
    {"token_embd", "model.embed_tokens", "transformer.wte"},
    {"position_embd", NULL, "transformer.wpe"},
    {"output_norm", "model.norm", "transformer.ln_f"},
    {"output", "lm_head", "lm_head"},
    {NULL, NULL, NULL},
};

static const renaming inside[] = {
    {"attn_norm", "input_layernorm", "ln_1"},
    {"attn_q", "self_attn.q_proj", NULL},
    {"attn_k", "self_attn.k_proj", NULL},
    {"attn_v", "self_attn.v_proj", NULL},
    {"attn_qkv", NULL, "attn.c_attn"},
    {"attn_output", "self_attn.o_proj", "attn.c_proj"},
    {"attn_q_norm", "self_attn.q_norm", NULL},
    {"attn_k_norm", "self_attn.k_norm", NULL},
    {"post_attention_norm", "post_attention_layernorm", NULL},
    {"ffn_norm", "post_attention_layernorm", "ln_2"},
    {"ffn_gate", "mlp.gate_proj", NULL},
    {"ffn_up", "mlp.up_proj", "mlp.c_fc"},
    {"ffn_down", "mlp.down_proj", "mlp.c_proj"},
    {"post_ffw_norm", "post_feedforward_layernorm", NULL},
    {NULL, NULL, NULL},
};

static const char *renamed(const renaming *r, const char *module, size_t n, const char *architecture)
{
    int gpt2 = !strcmp(architecture, "gpt2");
    if (!strcmp(architecture, "gemma2") && n == 8 && !memcmp(module, "ffn_norm", 8))
        return "pre_feedforward_layernorm";
    for (; r->gguf; r++)
        if (strlen(r->gguf) == n && !memcmp(r->gguf, module, n))
            return gpt2 ? r->gpt2 : r->llama;
    return NULL;
}

/* "blk.3.attn_q.weight" → "model.layers.3.self_attn.q_proj.weight"; a name without counterpart stays. malloc'ed. */
static char *hugging_face_name(const char *name, const char *architecture)
{
    static const char *const known[] = {"llama", "qwen2", "qwen3", "gemma", "gemma2", "gpt2", NULL};
    const char *const *a = known;
    while (*a && strcmp(*a, architecture))
        a++;
    int layer = -1, used = 0;
    if (sscanf(name, "blk.%d.%n", &layer, &used) != 1 || !used)
        used = 0, layer = -1;
    const char *module = name + used, *dot = strchr(module, '.');
    const char *to =
        *a && dot ? renamed(layer < 0 ? outside : inside, module, (size_t)(dot - module), architecture) : NULL;
    char *out = NULL;
    if (!to)
        return strdup(name);
    int n = layer < 0 ? asprintf(&out, "%s%s", to, dot)
                      : asprintf(&out, "%s.%d.%s%s", !strcmp(architecture, "gpt2") ? "transformer.h" : "model.layers",
                                 layer, to, dot);
    return n < 0 ? NULL : out;
}

char *bg_gguf_name_of(const char *name, const char *architecture)
{
    int layer = -1, used = 0;
    if (sscanf(name, "model.layers.%d.%n", &layer, &used) != 1 || !used)
        used = 0, layer = -1;
    const char *module = name + used, *dot = strrchr(module, '.');
    const renaming *r = layer < 0 ? outside : inside, *found = NULL;
    if (dot && (!strcmp(dot, ".weight") || !strcmp(dot, ".bias")))
        for (; r->gguf; r++) /* of two the later: the earlier is Gemma's */
            if (r->llama && strlen(r->llama) == (size_t)(dot - module) &&
                !memcmp(r->llama, module, (size_t)(dot - module)))
                found = r;
    char *out = NULL, *back = NULL;
    if (found && (layer < 0 ? asprintf(&out, "%s%s", found->gguf, dot)
                            : asprintf(&out, "blk.%d.%s%s", layer, found->gguf, dot)) < 0)
        return NULL;
    back = out ? hugging_face_name(out, architecture) : NULL;
    if (!back || strcmp(back, name)) { /* a name that would not come back is none */
        free(out);
        out = NULL;
    }
    free(back);
    return out;
}

/* ---- config ---- */

typedef struct setting {
    const char *gguf; /* after "ARCHITECTURE." */
    const char *llama, *gpt2;
} setting;

static const setting settings[] = {
    {"block_count", "num_hidden_layers", "n_layer"},
    {"context_length", "max_position_embeddings", "n_positions"},
    {"embedding_length", "hidden_size", "n_embd"},
    {"feed_forward_length", "intermediate_size", "n_inner"},
    {"attention.head_count", "num_attention_heads", "n_head"},
    {"attention.head_count_kv", "num_key_value_heads", NULL},
    {"attention.key_length", "head_dim", NULL},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", NULL},
    {"attention.layer_norm_epsilon", NULL, "layer_norm_epsilon"},
    {"attention.sliding_window", "sliding_window", NULL},
    {"rope.freq_base", "rope_theta", NULL},
    {"attn_logit_softcapping", "attn_logit_softcapping", NULL},
    {"final_logit_softcapping", "final_logit_softcapping", NULL},
    {"vocab_size", "vocab_size", "vocab_size"},
    {NULL, NULL, NULL},
};

static char *key_of(const char *architecture, const char *rest)
{
    char *key;
    return asprintf(&key, "%s.%s", architecture, rest) < 0 ? NULL : key;
}

static int copy_settings(const bg_gguf *g, const char *architecture, cJSON *config, bg_err *e)
{
    int status = BG_OK, gpt2 = !strcmp(architecture, "gpt2");
    for (const setting *s = settings; !status && s->gguf; s++) {
        const char *to = gpt2 ? s->gpt2 : s->llama;
        char *key = key_of(architecture, s->gguf);
        double v = 0;
        int64_t first = 0;
        if (!key)
            return bg_no_memory(e, "the configuration", 64);
        if (to && bg_gguf_has(g, key)) {
            if (!bg_gguf_number(g, key, &v, NULL) || !(status = bg_gguf_integer_at(g, key, 0, &first, e)))
                cJSON_AddNumberToObject(config, to, first ? (double)first : v);
        }
        free(key);
    }
    return status;
}

static int copy_scaling(const bg_gguf *g, const char *architecture, cJSON *config, bg_err *e)
{
    static const char *const numbers[][2] = {
        {"rope.scaling.factor", "factor"},
        {"rope.scaling.original_context_length", "original_max_position_embeddings"},
        {"rope.scaling.attn_factor", "attention_factor"}};
    char *key = key_of(architecture, "rope.scaling.type");
    bg_gguf_text type = {"none", 4};
    int status = key ? bg_gguf_string(g, key, &type, e) : bg_no_memory(e, "the configuration", 64);
    free(key);
    if (status || (type.length == 4 && !memcmp(type.text, "none", 4)))
        return status;
    char word[32];
    snprintf(word, sizeof word, "%.*s", (int)(type.length < 31 ? type.length : 31), type.text);
    cJSON *scaling = cJSON_AddObjectToObject(config, "rope_scaling");
    cJSON_AddStringToObject(scaling, "rope_type", word);
    for (size_t i = 0; !status && i < sizeof numbers / sizeof *numbers; i++) {
        double v = 0;
        key = key_of(architecture, numbers[i][0]);
        if (key && bg_gguf_has(g, key) && !(status = bg_gguf_number(g, key, &v, e)))
            cJSON_AddNumberToObject(scaling, numbers[i][1], v);
        free(key);
    }
    return status;
}

/* What GGUF leaves to the tensors or to the architecture. */
static int add_implied(const bg_load *l, const bg_gguf *g, const char *architecture, cJSON *config, bg_err *e)
{
    int gemma = !strncmp(architecture, "gemma", 5);
    cJSON_AddBoolToObject(config, "tie_word_embeddings", !bg_store_find(l->store, "output.weight"));
    if (!cJSON_HasObjectItem(config, "vocab_size")) {
        const bg_raw *embedding = bg_store_find(l->store, "token_embd.weight");
        if (embedding && embedding->rank == 2)
            cJSON_AddNumberToObject(config, "vocab_size", (double)embedding->shape[0]);
    }
    if (!strcmp(architecture, "llama") || !strcmp(architecture, "qwen3"))
        cJSON_AddBoolToObject(config, "attention_bias", bg_store_find(l->store, "blk.0.attn_q.bias") != NULL);
    if (gemma) /* 1 + w is what the file holds: the norm is a plain RMSNorm */
        cJSON_AddBoolToObject(config, "norm_has_one_added", 1);
    if (!strcmp(architecture, "gemma2")) {
        /* The 27B model divides by its model width per head, the others by the head's length. */
        double width = bg_json_number(config, "hidden_size", 0),
               heads = bg_json_number(config, "num_attention_heads", 1);
        double scalar = bg_json_number(config, "num_hidden_layers", 0) == 46 ? width / heads
                                                                             : bg_json_number(config, "head_dim", 256);
        cJSON_AddNumberToObject(config, "query_pre_attn_scalar", scalar);
    }
    return copy_scaling(g, architecture, config, e);
}

static int make_config(bg_load *l, const bg_gguf *g, const char *architecture, bg_err *e)
{
    cJSON *config = cJSON_CreateObject();
    if (!config)
        return bg_no_memory(e, "the configuration", 64);
    cJSON_Delete(l->ckpt->config);
    l->ckpt->config = config;
    cJSON_AddStringToObject(config, "model_type", architecture);
    bg_gguf_text name = {NULL, 0};
    int status = bg_gguf_string(g, "general.name", &name, NULL);
    if (!status && name.length && name.length < 256 && !bg_check_utf8(name.text, name.length, "name", NULL) &&
        !memchr(name.text, 0, name.length)) {
        char text[256];
        snprintf(text, sizeof text, "%.*s", (int)name.length, name.text);
        cJSON_AddStringToObject(config, "_name_or_path", text);
    }
    status = copy_settings(g, architecture, config, e);
    return status ? status : add_implied(l, g, architecture, config, e);
}

/* ---- tensors ---- */

/* Length of a head whose rows must be re-ordered; 0 when the tensor is none of those. */
static int head_length(const bg_gguf *g, const char *architecture, const bg_raw *r, int64_t *out, bg_err *e)
{
    int layer = -1, used = 0;
    char which = 0;
    *out = 0;
    if (strcmp(architecture, "llama") || sscanf(r->name, "blk.%d.attn_%c.%n", &layer, &which, &used) != 2 || !used ||
        layer < 0 || (which != 'q' && which != 'k') || r->rank < 1 || r->rank > 2 || !r->count)
        return BG_OK;
    int64_t heads = 0, rows = r->shape[0];
    int status = bg_gguf_integer_at(g, "llama.attention.head_count", (size_t)layer, &heads, e);
    if (!status && which == 'k')
        status = bg_gguf_integer_at(g, "llama.attention.head_count_kv", (size_t)layer, &heads, e);
    if (status)
        return status;
    if (!bg_gguf_has(g, "llama.attention.head_count"))
        return BG_OK;
    if (heads <= 0 || rows % heads || rows / heads % 2)
        return bg_fail(e, BG_INPUT, "tensor '%s': %lld rows are not %lld heads of even length", r->name,
                       (long long)rows, (long long)heads);
    *out = rows / heads;
    return BG_OK;
}

static void count_bytes(bg_tensor *t, const bg_gguf_type *type, const bg_raw *r)
{
    uint64_t blocks = r->count / (uint64_t)type->block;
    t->bytes[BG_PART_SCALES] = blocks * (uint64_t)type->scale_bytes;
    t->bytes[BG_PART_ZEROS] = blocks * (uint64_t)type->zero_bytes;
    t->bytes[BG_PART_INDICES] = r->bytes - t->bytes[BG_PART_SCALES] - t->bytes[BG_PART_ZEROS];
}

static int add_tensor(bg_load *l, const bg_gguf *g, const char *architecture, bg_raw *r, bg_err *e)
{
    char *name = hugging_face_name(r->name, architecture);
    layout *place = calloc(1, sizeof *place);
    bg_tensor *t = name && place ? bg_load_add(l, name, &bg_format_gguf, e) : NULL;
    free(name);
    if (!t) {
        free(place);
        return bg_no_memory(e, "the list of tensors", sizeof *t);
    }
    t->layout = place;
    place->raw = r;
    place->type = bg_gguf_type_of((uint32_t)r->kind);
    t->dtype = place->type->dtype;
    t->index_levels = place->type->levels;
    t->group_size = place->type->group;
    t->levels = place->type->table;
    count_bytes(t, place->type, r);
    r->claimed = 1;
    int status = bg_tensor_shape(t, r->shape, r->rank, e);
    if (!status)
        status = bg_tensor_storage(t, e, "%s", place->type->name);
    return status ? status : head_length(g, architecture, r, &place->head, e);
}

int bg_gguf_load(bg_load *l, const bg_gguf *g, bg_err *e)
{
    bg_gguf_text a = {"", 0};
    char architecture[64];
    int status = bg_gguf_string(g, "general.architecture", &a, e);
    if (!status && (a.length >= sizeof architecture || memchr(a.text, 0, a.length)))
        status = bg_fail(e, BG_INPUT, "general.architecture is %zu bytes long", a.length);
    if (status)
        return status;
    memcpy(architecture, a.text, a.length);
    architecture[a.length] = 0;
    l->ckpt->container = &bg_format_gguf;
    if (!strcmp(architecture, "llama") && !bg_gguf_has(g, "llama.attention.head_count"))
        bg_warn("%s: no llama.attention.head_count; q and k rows stay in rotary order", l->ckpt->title);
    status = make_config(l, g, architecture, e);
    for (int i = 0; !status && i < l->store->n_raws; i++)
        status = add_tensor(l, g, architecture, &l->store->raws[i], e);
    return status;
}
