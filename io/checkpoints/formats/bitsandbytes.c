/* Owns bitsandbytes: NF4 and FP4 blocks over the flattened tensor (high nibble first), with absolute maxima as float32
 * or quantized once more, and LLM.int8() rows.
 *
 *     value = quant_map[code]·absmax,  absmax = nested_quant_map[byte]·nested_absmax + offset  (two roundings)
 *     value = (q·SCB[o])·(1/127)
 *
 * Source: bitsandbytes 0.50.2 functional.py (QuantState), backends/default/ops.py; QLoRA, arXiv 2305.14314; 2208.07339.
 */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoints/formats/packed.h"

#include <stdlib.h>
#include "io/checkpoints/formats/bitsandbytes_tables.h"

enum { PIECE = 16384 }; /* weights decoded at a time, on the stack */

typedef struct layout {
    const bg_raw *codes, *absmax;
    int64_t block;
    float map[16];
    int nested;
    float offset, nested_map[256];
    float nested_absmax[]; /* [⌈blocks / 256⌉] */
} layout;

/* ---- decoding ---- */

/* Scales of blocks [first, first + n). */
static int read_absmax(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    const layout *l = t->layout;
    if (!l->nested)
        return bg_raw_some(t->ckpt->impl, l->absmax, first, n, out, e);
    uint8_t *bytes = (uint8_t *)out + 3 * n;
    int status = bg_raw_read(t->ckpt->impl, l->absmax, (uint64_t)first, bytes, (uint64_t)n, e);
    for (int64_t i = 0; !status && i < n; i++)
        out[i] = bg_bnb_unnest(l->nested_map, bytes[i], l->nested_absmax[(first + i) / BG_BNB_NESTED], l->offset);
    return status;
}

/* A piece of the flattened tensor that begins at an even element. */
typedef struct piece {
    int64_t first, n;
    uint8_t codes[PIECE];
    float absmax[PIECE / 32 + 2];
} piece;

static int read_piece(const bg_tensor *t, piece *p, bg_err *e)
{
    const layout *l = t->layout;
    uint8_t *raw = p->codes + PIECE / 2;
    int64_t bytes = (p->n + 1) / 2, b0 = p->first / l->block, b1 = (p->first + p->n - 1) / l->block;
    int status = bg_raw_read(t->ckpt->impl, l->codes, (uint64_t)(p->first / 2), raw, (uint64_t)bytes, e);
    for (int64_t i = 0; !status && i < bytes; i++) { /* raw lies behind what is written */
        uint8_t byte = raw[i];
        p->codes[2 * i] = byte >> 4;
        p->codes[2 * i + 1] = byte & 15;
    }
    return status ? status : read_absmax(t, b0, b1 - b0 + 1, p->absmax, e);
}

typedef void piece_sink(const layout *l, const piece *p, int64_t skip, void *out);

/* Elements [first, first + n) in pieces that begin at even elements; `skip` leading codes of a piece are not wanted. */
static int each_piece(const bg_tensor *t, int64_t first, int64_t n, piece_sink *sink, void *out, size_t width,
                      bg_err *e)
{
    piece p;
    int64_t end = first + n;
    for (int64_t at = first; at < end;) {
        p.first = at & ~(int64_t)1;
        p.n = end - p.first < PIECE ? end - p.first : PIECE;
        int status = read_piece(t, &p, e);
        if (status)
            return status;
        sink(t->layout, &p, at - p.first, (char *)out + (size_t)(at - first) * width);
        at = p.first + p.n;
    }
    return BG_OK;
}

static void sink_values(const layout *l, const piece *p, int64_t skip, void *out)
{
    float *to = out;
    int64_t b0 = p->first / l->block;
    for (int64_t i = skip; i < p->n;) {
        int64_t b = (p->first + i) / l->block, end = (b + 1) * l->block - p->first;
        end = end < p->n ? end : p->n;
        float scaled[16], s = p->absmax[b - b0];
        for (int k = 0; k < 16; k++)
            scaled[k] = l->map[k] * s;
        for (; i < end; i++)
            *to++ = scaled[p->codes[i]];
    }
}

static void sink_codes(const layout *l, const piece *p, int64_t skip, void *out)
{
    (void)l;
    for (int64_t i = skip; i < p->n; i++)
        ((uint16_t *)out)[i - skip] = p->codes[i];
}

static void sink_scales(const layout *l, const piece *p, int64_t skip, void *out)
{
    for (int64_t i = skip; i < p->n; i++)
        ((float *)out)[i - skip] = p->absmax[(p->first + i) / l->block - p->first / l->block];
}

static int rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    return each_piece(t, first * t->cols, n * t->cols, sink_values, out, sizeof *out, e);
}

static int indices(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return each_piece(t, first * t->cols, n * t->cols, sink_codes, out, sizeof *out, e);
}

static int scales(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    return each_piece(t, first * t->cols, n * t->cols, sink_scales, out, sizeof *out, e);
}

const bg_format bg_format_bnb = {
    .name = "bitsandbytes",
    .help = "NF4 and FP4 blocks, plain and nested statistics",
    .rows = rows,
    .indices = indices,
    .scales = scales,
};

/* ---- LLM.int8() ---- */

static int fill_int8(const bg_tensor *t, int64_t first, bg_tile *tile, bg_err *e)
{
    const bg_packed *p = t->layout;
    const bg_raw *const *raws = (const bg_raw *const *)(p + 1);
    int64_t n = tile->rows * tile->cols;
    int status = bg_raw_read(t->ckpt->impl, raws[0], (uint64_t)(first * tile->cols), tile->codes, (uint64_t)n, e);
    for (int64_t i = 0; !status && i < n; i++)
        tile->codes[i] ^= 128; /* two's complement to an offset of 128 */
    for (int64_t r = 0; r < tile->rows; r++)
        tile->zeros[r] = 128;
    return status ? status : bg_raw_some(t->ckpt->impl, raws[1], first, tile->rows, tile->scales, e);
}

static int int8_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    int status = bg_packed_rows(t, first, n, out, e);
    for (int64_t i = 0; !status && i < n * t->cols; i++)
        out[i] *= 0.007874015718698502f; /* 1/127 */
    return status;
}

static int int8_scales(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    int status = bg_packed_scales(t, first, n, out, e);
    for (int64_t i = 0; !status && i < n * t->cols; i++)
        out[i] *= 0.007874015718698502f;
    return status;
}

const bg_format bg_format_bnb_8bit = {
    .name = "bitsandbytes",
    .help = "LLM.int8() rows",
    .rows = int8_rows,
    .indices = bg_packed_indices,
    .scales = int8_scales,
};

int bg_claim_bnb_8bit(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    const bg_store *s = l->store;
    bg_raw *weight = bg_store_find2(s, prefix, ".weight"), *order = bg_store_find2(s, prefix, ".weight_format");
    if (!weight || weight->dtype != BG_I8)
        return BG_OK;
    int status = bg_raw_expect(s, weight, BG_I8, 2, -1, -1, e);
    if (!status)
        status = bg_raw_expect(s, anchor, BG_F32, 1, weight->shape[0], -1, e);
    float value = 0;
    if (!status && order)
        status = bg_raw_scalar(s, order, &value, e);
    if (!status && value != 0)
        status = bg_raw_wrong(s, order, e, "weight format %g; only 0, rows, is read", (double)value);
    if (status)
        return status;
    bg_tensor *t = bg_packed_add(l, prefix, ".weight", &bg_format_bnb_8bit, weight->shape, 2,
                                 sizeof(bg_packed) + 2 * sizeof(bg_raw *), e);
    if (!t)
        return e ? e->code : BG_INPUT;
    bg_packed *p = t->layout;
    *p = (bg_packed){.fill = fill_int8, .groups = 1, .group_size = t->cols ? t->cols : 1, .bits = 8};
    ((const bg_raw **)(p + 1))[0] = weight;
    ((const bg_raw **)(p + 1))[1] = anchor;
    bg_packed_take(t, BG_PART_INDICES, weight);
    bg_packed_take(t, BG_PART_SCALES, anchor);
    bg_packed_take(t, BG_PART_METADATA, order);
    t->index_levels = 256;
    t->group_size = -1;
    return bg_tensor_storage(t, e, "LLM.int8 rows");
}

/* ---- 4-bit claiming ---- */

typedef struct state {
    int64_t block, nested_block, shape[BG_MAX_RANK];
    int rank;
    char type[8], dtype[16];
    double offset;
} state;

static int read_state(const bg_store *s, const bg_raw *r, state *o, bg_err *e)
{
    void *text;
    cJSON *j = NULL;
    if (r->bytes > 65536)
        return bg_raw_wrong(s, r, e, "%llu bytes of description", (unsigned long long)r->bytes);
    int status = bg_raw_bytes(s, r, &text, e);
    if (status)
        return status;
    status = bg_json_parse(text, (size_t)r->bytes, r->name, &j, e);
    free(text);
    if (status)
        return bg_context(e, "%s", s->files[r->file].path);
    *o = (state){.block = 64, .nested_block = BG_BNB_NESTED, .offset = bg_json_number(j, "nested_offset", 0)};
    snprintf(o->type, sizeof o->type, "%s", bg_json_string(j, "quant_type", ""));
    snprintf(o->dtype, sizeof o->dtype, "%s", bg_json_string(j, "dtype", "float32"));
    status = bg_json_integer(j, "blocksize", &o->block, e);
    if (!status)
        status = bg_json_integer(j, "nested_blocksize", &o->nested_block, e);
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(j, "shape"), *d;
    cJSON_ArrayForEach(d, shape)
    {
        double v = cJSON_IsNumber(d) ? d->valuedouble : -1;
        if (o->rank == BG_MAX_RANK || !(v >= 0 && v <= 0x1p53) || v != (double)(int64_t)v) {
            o->rank = -1;
            break;
        }
        o->shape[o->rank++] = (int64_t)v;
    }
    if (!status && (o->rank < 1 || o->block < 32 || o->block > 65536 || o->nested_block != BG_BNB_NESTED ||
                    (strcmp(o->type, "nf4") && strcmp(o->type, "fp4"))))
        status = bg_raw_wrong(s, r, e, "its quant_type, blocksize or shape cannot be used");
    else if (status)
        bg_context(e, "%s", r->name);
    cJSON_Delete(j);
    return status;
}

static int read_exactly(const bg_store *s, const bg_raw *r, const char *what, const char *prefix, uint64_t n,
                        float *out, bg_err *e)
{
    if (!r)
        return bg_fail(e, BG_INPUT, "%s: there is no '%s.%s' beside '%s'; fetch the checkpoint again", s->files[0].path,
                       prefix, what, prefix);
    if (r->dtype != BG_F32 || r->count != n)
        return bg_raw_wrong(s, r, e, "must hold %llu float32", (unsigned long long)n);
    return bg_raw_some(s, r, 0, (int64_t)n, out, e);
}

typedef struct raws {
    bg_raw *weight, *state, *absmax, *map, *nested_absmax, *nested_map;
} raws;

static int fill_layout(const bg_store *s, const char *prefix, const state *o, const raws *r, uint64_t blocks, layout *y,
                       bg_err *e)
{
    y->codes = r->weight;
    y->absmax = r->absmax;
    y->block = o->block;
    y->nested = r->nested_absmax != NULL;
    y->offset = (float)o->offset;
    int status = read_exactly(s, r->map, "quant_map", prefix, 16, y->map, e);
    if (!status && memcmp(y->map, strcmp(o->type, "nf4") ? bg_fp4_levels : bg_nf4_levels, sizeof y->map))
        bg_warn("%s: its code book is not the usual one of %s; the stored one is used", r->weight->name, o->type);
    if (!status && y->nested)
        status = read_exactly(s, r->nested_map, "nested_quant_map", prefix, 256, y->nested_map, e);
    if (!status && y->nested)
        status = read_exactly(s, r->nested_absmax, "nested_absmax", prefix,
                              (blocks + BG_BNB_NESTED - 1) / BG_BNB_NESTED, y->nested_absmax, e);
    if (!status && (r->absmax->count != blocks || r->absmax->dtype != (y->nested ? BG_U8 : BG_F32)))
        status =
            bg_raw_wrong(s, r->absmax, e, "must hold %llu %s", (unsigned long long)blocks, y->nested ? "U8" : "F32");
    return status;
}

/* `anchor` is P.weight.quant_state.bitsandbytes__nf4 (or __fp4); prefix is P.weight. */
int bg_claim_bnb_4bit(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    const bg_store *s = l->store;
    raws r = {.weight = bg_store_find(s, prefix),
              .state = anchor,
              .absmax = bg_store_find2(s, prefix, ".absmax"),
              .map = bg_store_find2(s, prefix, ".quant_map"),
              .nested_absmax = bg_store_find2(s, prefix, ".nested_absmax"),
              .nested_map = bg_store_find2(s, prefix, ".nested_quant_map")};
    state o;
    if (!r.weight || !r.absmax)
        return bg_raw_wrong(s, anchor, e, "there is no '%s' or no '%s.absmax' beside it; fetch the checkpoint again",
                            prefix, prefix);
    int status = read_state(s, anchor, &o, e);
    uint64_t count = 0, bytes;
    if (!status && bg_shape_size(o.shape, o.rank, 8, &count, &bytes, e))
        status = bg_context(e, "tensor '%s'", prefix);
    if (!status && (count > INT64_MAX / 64 || r.weight->bytes != count / 2 + count % 2))
        status = bg_raw_wrong(s, r.weight, e, "%llu bytes do not hold its %llu weights of 4 bits",
                              (unsigned long long)r.weight->bytes, (unsigned long long)count);
    if (status)
        return status;
    uint64_t blocks = (count + (uint64_t)o.block - 1) / (uint64_t)o.block;
    bg_tensor *t =
        bg_packed_add(l, prefix, "", &bg_format_bnb, o.shape, o.rank,
                      sizeof(layout) + (size_t)((blocks + BG_BNB_NESTED - 1) / BG_BNB_NESTED) * sizeof(float), e);
    if (!t)
        return e ? e->code : BG_INPUT;
    status = fill_layout(s, prefix, &o, &r, blocks, t->layout, e);
    if (status)
        return status;
    bg_packed_take(t, BG_PART_INDICES, r.weight);
    bg_packed_take(t, BG_PART_SCALES, r.absmax);
    bg_packed_take(t, BG_PART_SCALES, r.nested_absmax);
    bg_packed_take(t, BG_PART_CODEBOOK, r.map);
    bg_packed_take(t, BG_PART_CODEBOOK, r.nested_map);
    bg_packed_take(t, BG_PART_METADATA, r.state);
    t->index_levels = 16;
    t->levels = ((layout *)t->layout)->map;
    t->group_size = (int)o.block;
    return bg_tensor_storage(t, e, "%s b%lld%s to %s", strcmp(o.type, "nf4") ? "FP4" : "NF4", (long long)o.block,
                             r.nested_absmax ? " nested" : "", o.dtype);
}
