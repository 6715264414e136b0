/* Owns how a GGUF model becomes a checkpoint like any other: Hugging Face names, q and k rows back in half-rotation
 * order, and a config with Hugging Face keys.
 *
 * llama.cpp rotates neighbouring pairs, so its converter stores row j of a head's first half at 2j and row j of the
 * second half at 2j+1 (architecture llama only). Names: ggml-org/llama.cpp gguf-py/gguf/tensor_mapping.py.
 */
#define _GNU_SOURCE
#include "io/checkpoints/formats/gguf_names.h"

#include <math.h>
#include <stdlib.h>

enum { RAW_BYTES = 32 * 1024 }; /* on the stack: what is read at a time stays in the first-level cache */

typedef struct layout {
    const bg_raw *raw;
    const bg_gguf_type *type;
    int64_t head;     /* rows of a head whose order is undone; 0: as stored */
    int64_t heads;    /* of a projection stored [all q | all k | all v]: [q k v] of each head; 0: as stored */
    int is_minus_exp; /* Mamba's A = −e^A_log */
} layout;

/* ---- rows ---- */

int64_t bg_gguf_stored_row(int64_t head, int64_t r)
{
    if (!head)
        return r;
    int64_t half = head / 2, in = r % head;
    return r - in + (in < half ? 2 * in : 2 * (in - half) + 1);
}

/* The stored row of a tensor's logical row r. */
static int64_t stored_row(const bg_tensor *t, int64_t r)
{
    const layout *l = t->layout;
    if (!l->heads)
        return bg_gguf_stored_row(l->head, r);
    int64_t d = (t->rank < 2 ? t->cols : t->rows) / (3 * l->heads), h = r / (3 * d), which = r / d % 3;
    return (which * l->heads + h) * d + r % d;
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
    if (!l->head && !l->heads)
        return each_piece(t, (uint64_t)(first * cols), (uint64_t)(rows * cols), sink, out, width, e);
    int status = BG_OK;
    for (int64_t r = 0; !status && r < rows; r++)
        status = each_piece(t, (uint64_t)(stored_row(t, first + r) * cols), (uint64_t)cols, sink,
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
    int status = each_row(t, first, n, sink_floats, out, sizeof *out, e);
    for (int64_t i = 0; l->is_minus_exp && !status && i < n * t->cols; i++)
        out[i] = logf(-out[i]);
    return status;
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

/* ---- tensors ---- */

/* Length of a head whose rows must be re-ordered; 0 when the tensor is none of those. */
static int head_length(const bg_gguf *g, const bg_gguf_family *f, const bg_raw *r, int64_t *out, bg_err *e)
{
    int layer = -1, used = 0;
    char which = 0;
    *out = 0;
    if (!f || !f->pairs || sscanf(r->name, "blk.%d.attn_%c.%n", &layer, &which, &used) != 2 || !used || layer < 0 ||
        (which != 'q' && which != 'k') || r->rank < 1 || r->rank > 2 || !r->count)
        return BG_OK;
    int64_t heads = 0, rows = r->shape[0];
    char all[96], keys[96];
    snprintf(all, sizeof all, "%s.attention.head_count", f->architecture);
    snprintf(keys, sizeof keys, "%s.attention.head_count_kv", f->architecture);
    int status = bg_gguf_integer_at(g, all, (size_t)layer, &heads, e);
    if (!status && which == 'k')
        status = bg_gguf_integer_at(g, keys, (size_t)layer, &heads, e);
    if (status)
        return status;
    if (!bg_gguf_has(g, all))
        return BG_OK;
    if (heads <= 0 || rows % heads || rows / heads % 2)
        return bg_fail(e, BG_INPUT, "tensor '%s': %lld rows are not %lld heads of even length", r->name,
                       (long long)rows, (long long)heads);
    *out = rows / heads;
    return BG_OK;
}

static int64_t count_of_heads(const bg_gguf *g, const bg_gguf_family *f)
{
    char key[96];
    int64_t heads = 0;
    snprintf(key, sizeof key, "%s.attention.head_count", f->architecture);
    return bg_gguf_integer_at(g, key, 0, &heads, NULL) || heads < 1 ? 0 : heads;
}

static void count_bytes(bg_tensor *t, const bg_gguf_type *type, const bg_raw *r)
{
    uint64_t blocks = r->count / (uint64_t)type->block;
    t->bytes[BG_PART_SCALES] = blocks * (uint64_t)type->scale_bytes;
    t->bytes[BG_PART_ZEROS] = blocks * (uint64_t)type->zero_bytes;
    t->bytes[BG_PART_INDICES] = r->bytes - t->bytes[BG_PART_SCALES] - t->bytes[BG_PART_ZEROS];
}

static int add_tensor(bg_load *l, const bg_gguf *g, const bg_gguf_family *f, bg_raw *r, bg_err *e)
{
    char *name = bg_gguf_to_name(f, r->name);
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
    if (!status && f && f->splits_qkv && strstr(r->name, ".attn_qkv."))
        place->heads = count_of_heads(g, f);
    if (!status && f && !strcmp(f->type, "mamba2") && strstr(r->name, ".ssm_a"))
        place->is_minus_exp = 1;
    return status ? status : head_length(g, f, r, &place->head, e);
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
    const bg_gguf_family *f = bg_gguf_family_of(architecture, g, l);
    status = bg_gguf_config(l, g, f, architecture, e);
    for (int i = 0; !status && i < l->store->n_raws; i++)
        status = add_tensor(l, g, f, &l->store->raws[i], e);
    return status;
}
