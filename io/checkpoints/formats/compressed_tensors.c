/* Owns compressed-tensors' packed integers (llm-compressor, vLLM): a little-endian bit string along each row, stored
 * with an offset of 2^(b−1); zero points as bit strings down each column.
 *
 *     W[o][i] = (q − zp)·scale[o][i/gs]     (scale of the tensor, the row, or the group; with g_idx, group g_idx[i])
 *
 * Its int8, FP8 and FP4 layouts are scaled elements: fmt_fp8.c and fmt_mx.c.
 * Source: compressed-tensors 0.20 compressors/pack_quantized, quantization/lifecycle/forward.py.
 */
#include "io/checkpoints/formats/packed.h"

#include <stdlib.h>

typedef struct layout {
    bg_packed packed;
    const bg_raw *codes, *scales, *zeros;
    int per_word;     /* fields of a word in files of older versions, whose fields never straddle; 0: a bit string */
    int scale_stride; /* scales a row: groups, 1, or 0 for one of the tensor */
    int32_t groups_of_inputs[];
} layout;

/* Fields [first, first + n) of words that hold `per_word` whole fields each. */
static void unpack_fields(const uint32_t *words, int bits, int per_word, int64_t n, uint8_t *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (uint8_t)((words[i / per_word] >> (bits * (int)(i % per_word))) & ((1u << bits) - 1));
}

/* Zero points of rows [first, first + n): whole columns are small, but only the words that hold these rows are read. */
static int fill_zeros(const bg_tensor *t, const layout *l, int64_t first, bg_tile *tile, bg_err *e)
{
    int bits = l->packed.bits;
    int64_t G = tile->groups, n = tile->rows;
    int64_t w0 = l->per_word ? first / l->per_word : first * bits / 32;
    int64_t w1 = l->per_word ? (first + n - 1) / l->per_word : ((first + n) * bits - 1) / 32;
    size_t words = (size_t)((w1 - w0 + 1) * G);
    uint32_t *raw = malloc(words * sizeof *raw);
    if (!raw)
        return bg_no_memory(e, t->name, words * sizeof *raw);
    int status = bg_raw_read(t->ckpt->impl, l->zeros, (uint64_t)(w0 * G) * 4, raw, words * 4, e);
    for (int64_t r = 0; !status && r < n; r++)
        for (int64_t g = 0; g < G; g++) {
            int64_t o = first + r, at = l->per_word ? 32 * (o / l->per_word) + bits * (o % l->per_word) : o * bits;
            uint64_t pair = raw[(at / 32 - w0) * G + g];
            if (at % 32 + bits > 32)
                pair |= (uint64_t)raw[(at / 32 + 1 - w0) * G + g] << 32;
            tile->zeros[r * G + g] = (float)((pair >> (at % 32)) & ((1u << bits) - 1));
        }
    free(raw);
    return status;
}

static int fill_scales(const bg_tensor *t, const layout *l, int64_t first, bg_tile *tile, bg_err *e)
{
    int64_t n = tile->rows * tile->groups;
    if (l->scale_stride)
        return bg_raw_some(t->ckpt->impl, l->scales, first * tile->groups, n, tile->scales, e);
    int status = bg_raw_some(t->ckpt->impl, l->scales, 0, 1, tile->scales, e);
    for (int64_t i = 1; i < n; i++)
        tile->scales[i] = tile->scales[0];
    return status;
}

static int fill(const bg_tensor *t, int64_t first, bg_tile *tile, bg_err *e)
{
    const layout *l = t->layout;
    int bits = l->packed.bits;
    int64_t W = l->codes->shape[1], n = tile->rows;
    uint32_t *words = malloc((size_t)(n * W) * sizeof *words);
    if (!words)
        return bg_no_memory(e, t->name, (size_t)(n * W) * sizeof *words);
    int status = bg_raw_read(t->ckpt->impl, l->codes, (uint64_t)(first * W) * 4, words, (uint64_t)(n * W) * 4, e);
    for (int64_t r = 0; !status && r < n; r++) {
        uint8_t *codes = tile->codes + r * tile->cols;
        if (l->per_word)
            unpack_fields(words + r * W, bits, l->per_word, tile->cols, codes);
        else
            bg_unpack_bits((const uint8_t *)(words + r * W), bits, (size_t)tile->cols, codes);
    }
    free(words);
    if (!status)
        status = fill_scales(t, l, first, tile, e);
    for (int64_t i = 0; !l->zeros && i < n * tile->groups; i++)
        tile->zeros[i] = (float)(1 << (bits - 1));
    return status || !l->zeros ? status : fill_zeros(t, l, first, tile, e);
}

const bg_format bg_format_ct = {
    .name = "compressed-tensors",
    .help = "compressed-tensors pack-quantized integers of 1 to 8 bits",
    .rows = bg_packed_rows,
    .indices = bg_packed_indices,
    .scales = bg_packed_scales,
};

/* ---- claiming ---- */

typedef struct parts {
    bg_raw *codes, *scales, *zeros, *shape, *g_idx;
    int64_t O, I, groups, group_size;
    int bits, per_word;
} parts;

/* Is a row of I weights of b bits as wide as the file's? As a bit string, or in whole fields. */
static int fits(const parts *p, int bits)
{
    int64_t W = p->codes->shape[1];
    if (bits < 1 || bits > 8)
        return 0;
    return W == (p->I * bits + 31) / 32 || W == (p->I + 32 / bits - 1) / (32 / bits);
}

/* Bits that some configuration group asks for and that fit the width, first as a bit string (whole fields of 7 bits are
 * as wide as 8 bits), else the only ones that fit. */
static int find_bits(const bg_load *l, parts *p, bg_err *e)
{
    const cJSON *group;
    int found = 0, many = 0;
    for (int whole = 0; whole < 2 && !found; whole++)
        cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(l->quantization, "config_groups"))
        {
            double bits = bg_json_number(cJSON_GetObjectItemCaseSensitive(group, "weights"), "num_bits", 0);
            if (bits >= 1 && bits <= 8 && !found && fits(p, (int)bits) &&
                (whole || p->codes->shape[1] == (p->I * (int)bits + 31) / 32))
                found = (int)bits;
        }
    for (int b = 1; !found && b <= 8; b++)
        if (fits(p, b))
            many++, p->bits = b;
    if (!found && many != 1)
        return bg_raw_wrong(l->store, p->codes, e,
                            "%lld words a row do not tell the bits of %lld weights; config.json must",
                            (long long)p->codes->shape[1], (long long)p->I);
    p->bits = found ? found : p->bits;
    p->per_word = p->codes->shape[1] == (p->I * p->bits + 31) / 32 ? 0 : 32 / p->bits;
    return BG_OK;
}

/* Group size: one the configuration names if it gives the groups that are there, else inputs ÷ groups. */
static int64_t size_of_groups(const bg_load *l, int64_t I, int64_t groups)
{
    const cJSON *group;
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(l->quantization, "config_groups"))
    {
        double size = bg_json_number(cJSON_GetObjectItemCaseSensitive(group, "weights"), "group_size", 0);
        if (size >= 1 && size <= (double)I && (I + (int64_t)size - 1) / (int64_t)size == groups)
            return (int64_t)size;
    }
    return I % groups ? 0 : I / groups;
}

static int find_groups(const bg_load *l, parts *p, bg_err *e)
{
    const bg_store *s = l->store;
    const bg_raw *r = p->scales;
    if (!bg_dtypes[r->dtype].is_float)
        return bg_raw_wrong(s, r, e, "is %s, not a floating type", bg_dtypes[r->dtype].name);
    p->groups = r->count == 1                         ? 1
                : r->rank == 2 && r->shape[0] == p->O ? r->shape[1]
                : r->count == (uint64_t)p->O          ? 1
                                                      : 0;
    p->group_size = p->groups >= 1 ? size_of_groups(l, p->I, p->groups) : 0;
    if (p->group_size < 1)
        return bg_raw_wrong(s, r, e, "its shape does not fit %lld × %lld weights", (long long)p->O, (long long)p->I);
    int64_t down = p->per_word ? (p->O + p->per_word - 1) / p->per_word : (p->O * p->bits + 31) / 32;
    return p->zeros ? bg_raw_expect(s, p->zeros, BG_I32, 2, down, p->groups, e) : BG_OK;
}

static int read_shape(const bg_load *l, parts *p, bg_err *e)
{
    int64_t shape[2];
    int status = bg_raw_expect(l->store, p->shape, BG_I64, 1, 2, -1, e);
    if (!status)
        status = bg_raw_read(l->store, p->shape, 0, shape, sizeof shape, e);
    if (status)
        return status;
    p->O = shape[0];
    p->I = shape[1];
    if (p->O < 1 || p->I < 1 || p->I > 8 * (int64_t)4 * p->codes->shape[1] || p->O != p->codes->shape[0])
        return bg_raw_wrong(l->store, p->shape, e, "%lld × %lld weights are not what '%s' holds", (long long)p->O,
                            (long long)p->I, p->codes->name);
    return BG_OK;
}

static int add(bg_load *l, const char *prefix, const parts *p, bg_err *e)
{
    bg_tensor *t = bg_packed_add(l, prefix, ".weight", &bg_format_ct, (int64_t[]){p->O, p->I}, 2,
                                 sizeof(layout) + (p->g_idx ? (size_t)p->I * sizeof(int32_t) : 0), e);
    if (!t)
        return e ? e->code : BG_INPUT;
    layout *y = t->layout;
    y->packed = (bg_packed){.fill = fill, .groups = p->groups, .group_size = p->group_size, .bits = p->bits};
    y->codes = p->codes;
    y->scales = p->scales;
    y->zeros = p->zeros;
    y->per_word = p->per_word;
    y->scale_stride = p->scales->count > 1;
    int status = p->g_idx ? bg_raw_groups(l->store, p->g_idx, p->I, p->groups, y->groups_of_inputs, e) : BG_OK;
    if (status)
        return status;
    if (p->g_idx)
        y->packed.group_of = y->groups_of_inputs;
    bg_packed_take(t, BG_PART_INDICES, p->codes);
    bg_packed_take(t, BG_PART_SCALES, p->scales);
    bg_packed_take(t, BG_PART_ZEROS, p->zeros);
    bg_packed_take(t, BG_PART_METADATA, p->shape);
    bg_packed_take(t, BG_PART_ORDER, p->g_idx);
    uint64_t used = (uint64_t)p->O * (((uint64_t)p->I * (uint64_t)p->bits + 7) / 8);
    t->bytes[BG_PART_PADDING] = t->bytes[BG_PART_INDICES] > used ? t->bytes[BG_PART_INDICES] - used : 0;
    t->bytes[BG_PART_INDICES] -= t->bytes[BG_PART_PADDING];
    t->index_levels = 1 << p->bits;
    t->group_size = p->groups == 1 ? -1 : (int)p->group_size;
    const char *asym = p->zeros ? " asym" : "", *order = p->g_idx ? " act-order" : "";
    if (p->groups == 1)
        return bg_tensor_storage(t, e, "int%d %s%s", p->bits, p->scales->count > 1 ? "rows" : "tensor", asym);
    return bg_tensor_storage(t, e, "int%d g%lld%s%s", p->bits, (long long)p->group_size, asym, order);
}

int bg_claim_ct(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    const bg_store *s = l->store;
    parts p = {.codes = anchor,
               .scales = bg_store_find2(s, prefix, ".weight_scale"),
               .zeros = bg_store_find2(s, prefix, ".weight_zero_point"),
               .shape = bg_store_find2(s, prefix, ".weight_shape"),
               .g_idx = bg_store_find2(s, prefix, ".weight_g_idx")};
    if (anchor->dtype == BG_U8)
        return BG_OK; /* FP4: fmt_mx.c */
    if (!p.scales || !p.shape)
        return bg_raw_wrong(
            s, anchor, e, "there is no '%s.weight_scale' or no '%s.weight_shape' beside it; fetch the checkpoint again",
            prefix, prefix);
    int status = bg_raw_expect(s, anchor, BG_I32, 2, -1, -1, e);
    if (!status && (anchor->shape[0] > INT32_MAX || anchor->shape[1] > INT32_MAX))
        status = bg_raw_wrong(s, anchor, e, "is too large");
    if (!status)
        status = read_shape(l, &p, e);
    if (!status)
        status = find_bits(l, &p, e);
    if (!status)
        status = find_groups(l, &p, e);
    return status ? status : add(l, prefix, &p, e);
}
