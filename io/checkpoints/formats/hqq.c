/* Owns HQQ: codes in halves, quarters, … of the first dimension of a reshaped matrix, floating zero points.
 *
 *     axis 1: W [O,I] as [O·I/gs, gs], one scale a row; axis 0: [gs, O·I/gs], one scale a column
 *     value = (code − zero)·scale
 *
 * Part k of the rows stands in the k-th bits from the top of each word: 4bit_u8, 2bit_u8, 1bit_u8, 3bit_32 (ten codes
 * in 30 bits). Source: mobiusml/hqq 0.2.8 hqq/core/{quantize,bitpack}.py.
 */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoints/formats/packed.h"

enum { PIECE = 4096 }; /* weights decoded at a time, on the stack */

typedef struct layout {
    const bg_raw *codes, *scale, *zero;
    int64_t part, width; /* weights of a part and of a line of the reshaped matrix */
    int axis, parts, bits;
} layout;

/* Part of the flattened tensor (whose elements are those of the reshaped matrix, in the same order): one part of the
 * words, and for axis 0 one line. */
typedef struct piece {
    int64_t first, n;
    uint8_t codes[PIECE];
    float scales[PIECE + 1], zeros[PIECE + 1]; /* of lines first / width…, or of the elements themselves */
} piece;

static int read_piece(const bg_tensor *t, piece *p, bg_err *e)
{
    const layout *l = t->layout;
    const bg_store *s = t->ckpt->impl;
    union {
        uint8_t bytes[PIECE];
        uint32_t words[PIECE];
    } raw;
    int64_t size = l->bits == 3 ? 4 : 1, at = p->first % l->part, k = p->first / l->width;
    int shift = l->bits * (l->parts - 1 - (int)(p->first / l->part));
    int status = bg_raw_read(s, l->codes, (uint64_t)(at * size), &raw, (uint64_t)(p->n * size), e);
    for (int64_t i = 0; !status && i < p->n; i++)
        p->codes[i] = (uint8_t)(((size == 4 ? raw.words[i] : raw.bytes[i]) >> shift) & ((1u << l->bits) - 1));
    int64_t from = l->axis ? k : p->first % l->width, n = l->axis ? (p->first + p->n - 1) / l->width - k + 1 : p->n;
    if (!status)
        status = bg_raw_some(s, l->scale, from, n, p->scales, e);
    return status ? status : bg_raw_some(s, l->zero, from, n, p->zeros, e);
}

typedef void piece_sink(const layout *l, const piece *p, void *out);

static int each_piece(const bg_tensor *t, int64_t first, int64_t n, piece_sink *sink, void *out, size_t width,
                      bg_err *e)
{
    const layout *l = t->layout;
    piece p;
    int status = BG_OK;
    for (int64_t at = first; !status && at < first + n; at += p.n) {
        int64_t left = l->part - at % l->part, line = l->axis ? PIECE : l->width - at % l->width;
        p.first = at;
        p.n = first + n - at < PIECE ? first + n - at : PIECE;
        p.n = p.n < left ? p.n : left;
        p.n = p.n < line ? p.n : line;
        status = read_piece(t, &p, e);
        if (!status)
            sink(l, &p, (char *)out + (size_t)(at - first) * width);
    }
    return status;
}

/* Place of element i's scale in the piece. */
static int64_t scale_of(const layout *l, const piece *p, int64_t i)
{
    return l->axis ? (p->first + i) / l->width - p->first / l->width : i;
}

static void sink_values(const layout *l, const piece *p, void *out)
{
    float *to = out;
    for (int64_t i = 0; i < p->n;) {
        int64_t k = scale_of(l, p, i), end = l->axis ? (p->first / l->width + k + 1) * l->width - p->first : i + 1;
        end = end < p->n ? end : p->n;
        for (; i < end; i++)
            to[i] = ((float)p->codes[i] - p->zeros[k]) * p->scales[k];
    }
}

static void sink_codes(const layout *l, const piece *p, void *out)
{
    (void)l;
    for (int64_t i = 0; i < p->n; i++)
        ((uint16_t *)out)[i] = p->codes[i];
}

static void sink_scales(const layout *l, const piece *p, void *out)
{
    for (int64_t i = 0; i < p->n; i++)
        ((float *)out)[i] = p->scales[scale_of(l, p, i)];
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

const bg_format bg_format_hqq = {
    .name = "hqq",
    .help = "HQQ of 1, 2, 3, 4 and 8 bits along either axis",
    .rows = rows,
    .indices = indices,
    .scales = scales,
};

/* ---- claiming ---- */

typedef struct parts {
    bg_raw *codes, *scale, *zero, *shape, *meta[8];
    int n_meta;
    int64_t dims[2], bits, group, axis;
} parts;

/* A number that stands beside the codes as a tensor of one element, else in the configuration. */
static int setting(const bg_load *l, const char *prefix, const char *key, int64_t *out, parts *p, bg_err *e)
{
    char suffix[32];
    float v;
    snprintf(suffix, sizeof suffix, ".%s", key);
    bg_raw *r = bg_store_find2(l->store, prefix, suffix);
    const cJSON *q = cJSON_GetObjectItemCaseSensitive(l->quantization, "quant_config");
    q = cJSON_GetObjectItemCaseSensitive(q ? q : l->quantization, "weight_quant_params");
    if (!r)
        return bg_json_integer(q ? q : l->quantization, key, out, e);
    int64_t wide;
    int status = r->dtype == BG_I64 && r->count == 1 ? bg_raw_read(l->store, r, 0, &wide, 8, e)
                                                     : bg_raw_scalar(l->store, r, &v, e);
    if (status)
        return status;
    if (r->dtype != BG_I64 && !(v >= 0 && v < 0x1p24f))
        return bg_raw_wrong(l->store, r, e, "%g is no %s", (double)v, key);
    *out = r->dtype == BG_I64 ? wide : (int64_t)v;
    p->meta[p->n_meta++] = r;
    return BG_OK;
}

/* [rows, columns] where a file of one module has it: in the configuration. */
static int configured_shape(const bg_load *l, int64_t dims[2])
{
    const cJSON *places[] = {l->quantization, l->ckpt->config};
    for (int k = 0; k < 2; k++) {
        const cJSON *shape = cJSON_GetObjectItemCaseSensitive(places[k], "shape");
        double o = cJSON_GetArraySize(shape) == 2 ? cJSON_GetArrayItem(shape, 0)->valuedouble : 0;
        double i = cJSON_GetArraySize(shape) == 2 ? cJSON_GetArrayItem(shape, 1)->valuedouble : 0;
        if (o >= 1 && i >= 1 && o < 0x1p31 && i < 0x1p31) {
            dims[0] = (int64_t)o;
            dims[1] = (int64_t)i;
            return 1;
        }
    }
    return 0;
}

static int read_settings(const bg_load *l, const char *prefix, parts *p, bg_err *e)
{
    p->bits = 4;
    p->group = 64;
    p->axis = 1;
    int status = setting(l, prefix, "nbits", &p->bits, p, e);
    if (!status)
        status = setting(l, prefix, "group_size", &p->group, p, e);
    if (!status)
        status = setting(l, prefix, "axis", &p->axis, p, e);
    if (status)
        return status;
    if (!p->shape && configured_shape(l, p->dims))
        return BG_OK;
    if (!p->shape || p->shape->count != 2 || (p->shape->dtype != BG_I64 && p->shape->dtype != BG_I32))
        return bg_raw_wrong(l->store, p->codes, e, "HQQ codes without '%s.shape' [rows, columns] beside them", prefix);
    int32_t narrow[2];
    status = bg_raw_read(l->store, p->shape, 0, p->shape->dtype == BG_I64 ? (void *)p->dims : (void *)narrow,
                         p->shape->bytes, e);
    for (int i = 0; i < 2 && p->shape->dtype == BG_I32; i++)
        p->dims[i] = narrow[i];
    return status;
}

static int check(const bg_load *l, const parts *p, int64_t *lines, int64_t *width, int *per, bg_err *e)
{
    static const int in_word[9] = {0, 8, 4, 10, 2, 1, 1, 0, 1}; /* 5 and 6 bits are stored as bytes */
    const bg_store *s = l->store;
    int64_t count;
    if (p->bits < 1 || p->bits > 8 || !in_word[p->bits] || p->axis > 1 || p->group < 1 || p->dims[0] < 1 ||
        p->dims[1] < 1 || __builtin_mul_overflow(p->dims[0], p->dims[1], &count) || count % p->group ||
        count > INT64_MAX / 64)
        return bg_raw_wrong(
            s, p->codes, e, "%lld bits, groups of %lld along axis %lld of %lld × %lld weights cannot be HQQ",
            (long long)p->bits, (long long)p->group, (long long)p->axis, (long long)p->dims[0], (long long)p->dims[1]);
    *per = in_word[p->bits];
    *lines = p->axis ? count / p->group : p->group;
    *width = p->axis ? p->group : count / p->group;
    int status = bg_raw_expect(s, p->codes, p->bits == 3 ? BG_I32 : BG_U8, 2, (*lines + *per - 1) / *per, *width, e);
    for (int i = 0; !status && i < 2; i++) {
        const bg_raw *r = i ? p->zero : p->scale;
        if (!bg_dtypes[r->dtype].is_float || r->count != (uint64_t)(count / p->group))
            status = bg_raw_wrong(s, r, e, "must hold %lld floats", (long long)(count / p->group));
    }
    return status;
}

int bg_claim_hqq(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    const bg_store *s = l->store;
    parts p = {.codes = anchor,
               .scale = bg_store_find2(s, prefix, ".scale"),
               .zero = bg_store_find2(s, prefix, ".zero"),
               .shape = bg_store_find2(s, prefix, ".shape")};
    int64_t lines = 0, width = 0;
    int per = 1;
    if (!p.scale || !p.zero)
        return bg_raw_wrong(s, anchor, e,
                            "there is no '%s.scale' or no '%s.zero' beside it; fetch the checkpoint again", prefix,
                            prefix);
    int status = read_settings(l, prefix, &p, e);
    if (!status)
        status = check(l, &p, &lines, &width, &per, e);
    if (status)
        return status;
    bg_tensor *t = bg_packed_add(l, prefix, ".weight", &bg_format_hqq, p.dims, 2, sizeof(layout), e);
    if (!t)
        return e ? e->code : BG_INPUT;
    layout *y = t->layout;
    *y = (layout){.codes = anchor,
                  .scale = p.scale,
                  .zero = p.zero,
                  .part = anchor->shape[0] * width,
                  .width = width,
                  .axis = (int)p.axis,
                  .parts = per,
                  .bits = p.bits == 5 || p.bits == 6 ? 8 : (int)p.bits};
    bg_packed_take(t, BG_PART_INDICES, anchor);
    bg_packed_take(t, BG_PART_SCALES, p.scale);
    bg_packed_take(t, BG_PART_ZEROS, p.zero);
    bg_packed_take(t, BG_PART_METADATA, p.shape);
    for (int i = 0; i < p.n_meta; i++)
        bg_packed_take(t, BG_PART_METADATA, p.meta[i]);
    t->index_levels = 1 << p.bits;
    t->group_size = (int)p.group;
    return bg_tensor_storage(t, e, "HQQ %lld-bit g%lld axis %lld", (long long)p.bits, (long long)p.group,
                             (long long)p.axis);
}
