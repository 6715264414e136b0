/* Owns quantized models as one GGUF file: block types of specs, metadata, names, tensors in order.
 *
 * llama.cpp knows an architecture by name; those that differ from Hugging Face's form only in names and in the order of
 * q and k rows are written (io/checkpoints/formats/gguf.c has both rules). Vectors are float32, matrices that stay
 * plain keep their type.
 */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/arch.h"
#include "analysis/model/rows.h"
#include "analysis/conversion/quantize_model.h"
#include "io/base/file.h"
#include "io/checkpoints/writers/gguf_writer.h"
#include "io/tokenizer/tokenizer_gguf_writer.h"
#include "quant/grid/codebook.h"
#include "io/base/failure.h"

enum { F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, BF16 = 30, BLOCK = 32, PAIRS = 64 };

/* ---- the layout ---- */

static const char *no_gguf(const bg_spec *s)
{
    if (s->grid->gguf_type)
        return s->transform && s->transform->forward ? "the weights stay in transformed coordinates" : NULL;
    if (!(s->grid->flags & BG_GRID_INTEGER) || s->step.word == BG_STEP_SIGNED)
        return "it is none of llama.cpp's types (gguf:type=…) and no uniform spec";
    if (s->transform && s->transform->forward)
        return "the weights stay in transformed coordinates";
    if (s->scope.kind != BG_SCOPE_GROUP || s->scope.size != BLOCK || s->scale != BG_SCALE_F16)
        return "GGUF's integers come in blocks of 32 with f16 scales (scope=32)";
    if (s->column_order == BG_COLUMNS_ACT)
        return "its columns have an order of their own";
    int bits = bg_index_bits(s->points), min = s->zero == BG_ZERO_MIN;
    if (!min && s->zero != BG_ZERO_SYM)
        return "GGUF has no integer zero points (zero=sym and zero=min are)";
    return bits == 4 || bits == 5 || (bits == 8 && !min) ? NULL
                                                         : "GGUF's blocks of 32 have 4, 5 or, without minima, 8 bits";
}

const bg_layout bg_layout_gguf = {
    .name = "gguf",
    .mixes = 1,
    .refusal = no_gguf,
};

uint32_t bg_gguf_type_for(const bg_spec *s)
{
    if (s->grid->gguf_type)
        return bg_gguf_type_of_spec(s);
    int bits = bg_index_bits(s->points), min = s->zero == BG_ZERO_MIN;
    return bits == 8 ? Q8_0 : bits == 5 ? (min ? Q5_1 : Q5_0) : min ? Q4_1 : Q4_0;
}

/* ---- one tensor ---- */

/* Rows of codes that the engine chose, as blocks. */
static int pack_codes(const bg_tensor *t, const bg_quantize_options *o, bg_stored *s, int64_t head, uint8_t *bytes,
                      bg_err *e)
{
    uint32_t id = bg_gguf_type_for(o->spec);
    const bg_gguf_type *type = bg_gguf_type_of(id);
    int64_t per_row = t->cols / BLOCK;
    int shift = s->lo < 0 ? s->lo + (1 << (bg_index_bits(s->K) - 1)) : 0, min = o->spec->zero == BG_ZERO_MIN;
    int status = s->codes && s->scales && !s->levels && (!min || s->zeros)
                     ? BG_OK
                     : bg_fail(e, BG_INPUT, "the quantizer gives no integer codes of this tensor; use --layout dense");
    for (uint64_t i = 0; i < t->count && shift && !status; i++)
        s->codes[i] = (uint16_t)(s->codes[i] + shift);
    for (int64_t r = 0; r < t->rows && !status; r++)
        status = bg_gguf_pack(id, s->codes + r * t->cols, s->scales + r * per_row, min ? s->zeros + r * per_row : NULL,
                              per_row, bytes + bg_gguf_stored_row(head, r) * per_row * type->bytes, e);
    return status;
}

/* Rows through the grid's own encoder; hat is what they decode to. */
static int encode_rows(const bg_tensor *t, const bg_quantize_options *o, const float *w, float *hat, int64_t head,
                       uint8_t *bytes, bg_err *e)
{
    const bg_gguf_type *type = bg_gguf_type_of(bg_gguf_type_for(o->spec));
    int64_t size = t->cols / type->block * type->bytes;
    bg_failure failure = {0};
#pragma omp parallel for schedule(dynamic)
    for (int64_t r = 0; r < t->rows; r++) {
        uint8_t *row = bytes + bg_gguf_stored_row(head, r) * size;
        bg_err mine = {0};
        if (bg_gguf_blocks(o->spec, w + r * t->cols, t->cols, row, &mine))
            bg_failure_note(&failure, r, &mine);
        else
            type->decode(row, hat + r * t->cols, (size_t)(t->cols / type->block));
    }
    return bg_failure_status(&failure, e);
}

int bg_quantize_blocks(const bg_tensor *t, const bg_quantize_options *o, int64_t head, uint8_t **bytes, size_t *size,
                       bg_quantized_tensor *out, bg_err *e)
{
    bg_quantize_options mine = *o;
    mine.spec = bg_quantize_spec(o, t);
    o = &mine;
    const bg_gguf_type *type = bg_gguf_type_of(bg_gguf_type_for(o->spec));
    bg_stored stored = {0};
    *out = bg_quantized_begin(t, o->spec);
    *bytes = NULL;
    if (t->cols % type->block)
        return bg_fail(e, BG_INPUT,
                       "tensor '%s': rows of %lld weights are no whole blocks of %s (%d); use another spec or "
                       "--layout dense",
                       t->name, (long long)t->cols, type->name, type->block);
    *size = t->count / (uint64_t)type->block * (size_t)type->bytes;
    float *w = malloc(t->count * sizeof *w + 1), *hat = malloc(t->count * sizeof *hat + 1);
    *bytes = malloc(*size + 1);
    int status = w && hat && *bytes ? bg_tensor_rows(t, 0, t->rows, w, e)
                                    : bg_no_memory(e, t->name, 2 * t->count * sizeof *w + *size);
    if (!status && o->spec->grid->gguf_type)
        status =
            encode_rows(t, o, w, hat, head, *bytes, e) || bg_quantized_outputs(o, w, hat, out, e) ? e->code : BG_OK;
    else if (!status) {
        status = bg_quantize_values(t, o, w, hat, &stored, out, e);
        if (!status)
            status = pack_codes(t, o, &stored, head, *bytes, e);
    }
    if (!status)
        bg_quantized_judge(w, hat, out);
    out->bytes = (double)*size;
    out->rate_bits = 8 * out->bytes / (double)t->count;
    bg_stored_free(&stored);
    free(w);
    free(hat);
    return status ? bg_context(e, "tensor '%s'", t->name) : BG_OK;
}

/* ---- metadata ---- */

typedef struct header {
    const bg_ckpt *ckpt;
    const char *architecture; /* GGUF's name of it */
    bg_model_config config;
    bg_gguf_tokenizer tokenizer;
    bg_gguf_pair pairs[PAIRS];
    char keys[PAIRS][64];
    int n;
} header;

static void add_text(header *h, const char *key, const char *text)
{
    h->pairs[h->n++] = (bg_gguf_pair){.key = key, .kind = BG_GGUF_STRING, .text = text};
}

/* "llama.block_count" and the like. */
static bg_gguf_pair *add_key(header *h, const char *rest, bg_gguf_kind kind)
{
    snprintf(h->keys[h->n], sizeof h->keys[0], "%s.%s", h->architecture, rest);
    h->pairs[h->n] = (bg_gguf_pair){.key = h->keys[h->n], .kind = kind};
    return &h->pairs[h->n++];
}

static void add_integer(header *h, const char *rest, int value)
{
    add_key(h, rest, BG_GGUF_U32)->number = value;
}

static void add_real(header *h, const char *rest, double value)
{
    add_key(h, rest, BG_GGUF_F32)->number = value;
}

static int find_architecture(header *h, bg_err *e)
{
    static const char *const known[][2] = {
        {"llama", "llama"}, {"mistral", "llama"}, {"qwen2", "qwen2"}, {"qwen3", "qwen3"}};
    const bg_arch *arch;
    if (!h->ckpt->config)
        return bg_fail(e, BG_INPUT, "%s: a GGUF file describes its model, and there is no config.json to say it",
                       h->ckpt->path);
    int status = bg_arch_find(h->ckpt->config, h->ckpt->path, &arch, e);
    for (size_t i = 0; !status && i < sizeof known / sizeof *known; i++)
        if (!strcmp(arch->name, known[i][0]))
            h->architecture = known[i][1];
    if (!status && !h->architecture)
        status = bg_fail(e, BG_INPUT,
                         "%s: models of type '%s' are not written as GGUF (llama, mistral, qwen2 and qwen3 are); use "
                         "another --layout",
                         h->ckpt->path, arch->name);
    if (!status)
        status = bg_arch_config(arch, h->ckpt->config, h->ckpt->path, &h->config, e);
    if (!status && h->config.rope.scaling != BG_ROPE_DEFAULT && h->config.rope.scaling != BG_ROPE_LINEAR &&
        h->config.rope.scaling != BG_ROPE_LLAMA3)
        status =
            bg_fail(e, BG_INPUT, "%s: this rope scaling is not written as GGUF; use another --layout", h->ckpt->path);
    return status;
}

static void add_sizes(header *h)
{
    const bg_model_config *c = &h->config;
    add_integer(h, "block_count", c->layers);
    add_integer(h, "context_length", c->positions);
    add_integer(h, "embedding_length", c->hidden);
    add_integer(h, "feed_forward_length", c->inner);
    add_integer(h, "attention.head_count", c->heads);
    add_integer(h, "attention.head_count_kv", c->kv_heads);
    add_integer(h, "attention.key_length", c->head_dim);
    add_integer(h, "attention.value_length", c->head_dim);
    add_real(h, "attention.layer_norm_rms_epsilon", c->eps);
    add_integer(h, "vocab_size", c->vocab);
    add_integer(h, "rope.dimension_count", c->rope.dims);
    add_real(h, "rope.freq_base", c->rope.base);
    if (c->rope.scaling == BG_ROPE_LINEAR) {
        add_key(h, "rope.scaling.type", BG_GGUF_STRING)->text = "linear";
        add_real(h, "rope.scaling.factor", c->rope.factor);
    }
}

static int make_header(header *h, bg_err *e)
{
    int status = find_architecture(h, e);
    if (status)
        return status;
    add_text(h, "general.architecture", h->architecture);
    add_text(h, "general.name", h->ckpt->title);
    h->pairs[h->n++] = (bg_gguf_pair){.key = "general.quantization_version", .kind = BG_GGUF_U32, .number = 2};
    add_sizes(h);
    char *path = bg_path_join(h->ckpt->path, "tokenizer.json");
    if (!path)
        return bg_no_memory(e, h->ckpt->path, strlen(h->ckpt->path));
    if (bg_is_file(path))
        status = bg_gguf_tokenizer_read(path, h->ckpt->config, h->config.vocab, &h->tokenizer, e);
    else
        bg_warn("%s: no tokenizer.json, so the GGUF file has no tokenizer", h->ckpt->path);
    free(path);
    for (int i = 0; !status && i < h->tokenizer.n; i++)
        h->pairs[h->n++] = h->tokenizer.pairs[i];
    return status;
}

/* ---- tensors ---- */

/* Rows of a head to be paired: q and k of architecture llama. */
static int64_t head_of(const header *h, const bg_tensor *t)
{
    int q = strstr(t->name, ".q_proj.") != NULL, k = strstr(t->name, ".k_proj.") != NULL;
    return !strcmp(h->architecture, "llama") && (q || k) ? h->config.head_dim : 0;
}

static uint32_t plain_type(const bg_tensor *t)
{
    return t->rank < 2 ? F32 : t->dtype == BG_F16 ? F16 : t->dtype == BG_BF16 ? BF16 : F32;
}

static int list_entries(const header *h, const bg_quantize_options *o, bg_gguf_entry *entries, int *n, bg_err *e)
{
    for (int i = 0; i < h->ckpt->n_tensors; i++) {
        const bg_tensor *t = &h->ckpt->tensors[i];
        char *name = bg_gguf_name_of(t->name, h->architecture);
        if (!name || t->rank > 2) {
            free(name);
            return bg_fail(e, BG_INPUT,
                           "tensor '%s' has no name in GGUF files of architecture %s; use another --layout", t->name,
                           h->architecture);
        }
        const bg_spec *spec = bg_quantize_spec(o, t);
        entries[*n] = (bg_gguf_entry){name, spec ? bg_gguf_type_for(spec) : plain_type(t), t->rank, {0}};
        memcpy(entries[(*n)++].shape, t->shape, (size_t)t->rank * sizeof *t->shape);
    }
    if (h->config.rope.scaling != BG_ROPE_LLAMA3)
        return BG_OK;
    char *name = strdup("rope_freqs.weight");
    entries[*n] = (bg_gguf_entry){name, F32, 1, {h->config.rope.dims / 2}};
    ++*n;
    return name ? BG_OK : bg_no_memory(e, "a name", 32);
}

static int put_plain(bg_gguf_writer *w, const bg_tensor *t, int64_t head, bg_err *e)
{
    int64_t rows = t->rank < 2 ? t->cols : t->rows, cols = t->rank < 2 ? 1 : t->cols;
    uint32_t type = plain_type(t);
    size_t width = type == F32 ? 4 : 2;
    float *x = malloc(t->count * sizeof *x + 1);
    uint8_t *out = malloc(t->count * width + 1);
    int status = x && out ? bg_tensor_rows(t, 0, t->rows, x, e) : bg_no_memory(e, t->name, t->count * (4 + width));
    for (int64_t r = 0; r < rows && !status; r++)
        status =
            bg_gguf_encode(type, x + r * cols, cols, out + (size_t)(bg_gguf_stored_row(head, r) * cols) * width, e);
    if (!status)
        status = bg_gguf_put(w, out, t->count * width, e);
    free(x);
    free(out);
    return status;
}

static int put_tensors(const header *h, const bg_quantize_options *o, bg_gguf_writer *w, bg_quantized_model *out,
                       bg_err *e)
{
    int status = BG_OK, at = 0;
    bg_progress bar;
    bg_progress_begin(&bar, "quantize", (unsigned)h->ckpt->n_tensors);
    for (int i = 0; i < h->ckpt->n_tensors && !status; i++) {
        const bg_tensor *t = &h->ckpt->tensors[i];
        int64_t head = head_of(h, t);
        uint8_t *bytes = NULL;
        size_t size = 0;
        if (bg_interrupted)
            status = bg_fail(e, BG_RESOURCE, "interrupted");
        else if (!bg_quantize_spec(o, t))
            status = put_plain(w, t, head, e);
        else {
            status = bg_quantize_blocks(t, o, head, &bytes, &size, &out->tensors[at++], e);
            if (!status)
                status = bg_gguf_put(w, bytes, size, e);
            free(bytes);
        }
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    for (int j = 0; h->config.rope.scaling == BG_ROPE_LLAMA3 && j < h->config.rope.dims / 2 && !status; j++) {
        float divisor = (float)bg_rope_divisor(&h->config.rope, j);
        status = bg_gguf_put(w, &divisor, sizeof divisor, e);
    }
    return status;
}

int bg_quantize_gguf(const bg_ckpt *c, const bg_quantize_options *o, const char *path, bg_quantized_model *out,
                     bg_err *e)
{
    header *h = calloc(1, sizeof *h);
    bg_gguf_entry *entries = calloc((size_t)c->n_tensors + 1, sizeof *entries);
    bg_gguf_writer w = {0};
    int n = 0, status = h && entries ? BG_OK : bg_no_memory(e, c->title, sizeof *h);
    if (!status) {
        h->ckpt = c;
        status = make_header(h, e);
    }
    if (!status)
        status = list_entries(h, o, entries, &n, e);
    if (!status)
        status = bg_gguf_begin(&w, path, h->pairs, h->n, entries, n, e);
    if (!status)
        status = put_tensors(h, o, &w, out, e);
    if (!status)
        status = bg_gguf_commit(&w, e);
    bg_gguf_abandon(&w);
    for (int i = 0; i < n; i++) {
        const bg_gguf_type *type = bg_gguf_type_of(entries[i].type);
        uint64_t count = 1;
        for (int k = 0; k < entries[i].rank; k++)
            count *= (uint64_t)entries[i].shape[k];
        out->bytes += (double)(count / (uint64_t)type->block * (uint64_t)type->bytes);
        free((char *)entries[i].name);
    }
    out->shards = 1;
    if (h)
        bg_gguf_tokenizer_free(&h->tokenizer);
    free(h);
    free(entries);
    return status;
}
