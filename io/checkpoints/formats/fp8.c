/* Owns matrices of 8-bit elements that are multiplied by scales: FP8 of a tensor, of rows, groups or blocks
 * (compressed-tensors float-quantized, DeepSeek's and Qwen's `weight_scale_inv`, which multiplies in spite of its
 * name), and signed int8.
 *
 *     W[o][i] = (w − zero)·scale[o/bh][i/bw]
 *
 * Source: compressed-tensors 0.20 naive_quantized; transformers integrations/finegrained_fp8.py.
 */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoints/formats/packed.h"

typedef struct layout {
    bg_packed packed;
    const bg_raw *codes, *scales, *zeros;
    int64_t block_rows; /* rows that share a row of scales; 0: one scale for all */
} layout;

static int fill_scales(const bg_tensor *t, const layout *l, int64_t first, bg_tile *tile, bg_err *e)
{
    int64_t G = tile->groups, had = -1;
    int status = BG_OK;
    for (int64_t r = 0; !status && r < tile->rows; r++) {
        int64_t from = l->block_rows ? (first + r) / l->block_rows : 0;
        float *to = tile->scales + r * G;
        if (from == had)
            memcpy(to, to - G, (size_t)G * sizeof *to);
        else if (l->block_rows == 1) { /* all rows in one read */
            status = bg_raw_some(t->ckpt->impl, l->scales, first * G, tile->rows * G, tile->scales, e);
            break;
        } else
            status = bg_raw_some(t->ckpt->impl, l->scales, from * G, G, to, e);
        had = from;
    }
    return status;
}

static int fill(const bg_tensor *t, int64_t first, bg_tile *tile, bg_err *e)
{
    const layout *l = t->layout;
    int64_t n = tile->rows * tile->cols;
    int status = bg_raw_read(t->ckpt->impl, l->codes, (uint64_t)(first * tile->cols), tile->codes, (uint64_t)n, e);
    if (!status && !l->packed.levels)
        for (int64_t i = 0; i < n; i++)
            tile->codes[i] ^= 128; /* two's complement to an offset of 128 */
    if (!status)
        status = fill_scales(t, l, first, tile, e);
    if (!status && l->zeros)
        status = bg_raw_some(t->ckpt->impl, l->zeros, first * tile->groups, tile->rows * tile->groups, tile->zeros, e);
    for (int64_t i = 0; !status && i < tile->rows * tile->groups; i++)
        tile->zeros[i] = l->zeros ? tile->zeros[i] + 128 : 128;
    return status;
}

const bg_format bg_format_fp8 = {
    .name = "scaled",
    .help = "FP8 (E4M3) and int8 elements with scales of the tensor, rows, groups or blocks",
    .rows = bg_packed_rows,
    .indices = bg_packed_indices,
    .scales = bg_packed_scales,
};

/* ---- claiming ---- */

/* A block shape [rows, columns] of the configuration that gives the scales there are. */
static int block_matches(const cJSON *block, int64_t O, int64_t I, const bg_raw *scales, int64_t *rows, int64_t *cols)
{
    double r = cJSON_GetArraySize(block) == 2 ? cJSON_GetArrayItem(block, 0)->valuedouble : 0;
    double c = cJSON_GetArraySize(block) == 2 ? cJSON_GetArrayItem(block, 1)->valuedouble : 0;
    if (!(r >= 1 && c >= 1 && r < 1e9 && c < 1e9) || (O + (int64_t)r - 1) / (int64_t)r != scales->shape[0] ||
        (I + (int64_t)c - 1) / (int64_t)c != scales->shape[1])
        return 0;
    *rows = (int64_t)r;
    *cols = (int64_t)c;
    return 1;
}

static int find_block(const bg_load *l, int64_t O, int64_t I, const bg_raw *scales, int64_t *rows, int64_t *cols)
{
    const cJSON *q = l->quantization, *group;
    if (block_matches(cJSON_GetObjectItemCaseSensitive(q, "weight_block_size"), O, I, scales, rows, cols))
        return 1;
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(q, "config_groups"))
    {
        const cJSON *w = cJSON_GetObjectItemCaseSensitive(group, "weights");
        if (block_matches(cJSON_GetObjectItemCaseSensitive(w, "block_structure"), O, I, scales, rows, cols))
            return 1;
    }
    if (scales->shape[0] == O && I % scales->shape[1] == 0) { /* rows, or groups of a row */
        *rows = 1;
        *cols = I / scales->shape[1];
        return 1;
    }
    *rows = *cols = 128; /* what all fine-grained FP8 files without a word about it use */
    return (O + 127) / 128 == scales->shape[0] && (I + 127) / 128 == scales->shape[1];
}

static int add(bg_load *l, const char *prefix, bg_raw *weight, bg_raw *scales, bg_raw *zeros, int64_t rows,
               int64_t cols, bg_err *e)
{
    bg_tensor *t = bg_packed_add(l, prefix, ".weight", &bg_format_fp8, weight->shape, 2, sizeof(layout), e);
    if (!t)
        return e ? e->code : BG_INPUT;
    layout *y = t->layout;
    int fp8 = weight->dtype == BG_F8_E4M3;
    int64_t groups = (t->cols + cols - 1) / cols;
    *y = (layout){.packed = {.fill = fill,
                             .groups = groups,
                             .group_size = cols,
                             .levels = fp8 ? bg_e4m3_levels() : NULL,
                             .bits = 8},
                  .codes = weight,
                  .scales = scales,
                  .zeros = zeros,
                  .block_rows = rows};
    bg_packed_take(t, BG_PART_INDICES, weight);
    bg_packed_take(t, BG_PART_SCALES, scales);
    bg_packed_take(t, BG_PART_ZEROS, zeros);
    t->index_levels = 256;
    t->levels = y->packed.levels;
    t->group_size = groups == 1 ? -1 : (int)cols;
    if (rows > 1)
        return bg_tensor_storage(t, e, "%s blocks %lldx%lld", bg_dtypes[weight->dtype].name, (long long)rows,
                                 (long long)cols);
    if (groups > 1)
        return bg_tensor_storage(t, e, "%s g%lld", bg_dtypes[weight->dtype].name, (long long)cols);
    return bg_tensor_storage(t, e, "%s %s", bg_dtypes[weight->dtype].name, rows ? "rows" : "tensor");
}

int bg_claim_scaled(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    const bg_store *s = l->store;
    bg_raw *weight = bg_store_find2(s, prefix, ".weight"), *zeros = bg_store_find2(s, prefix, ".weight_zero_point");
    if (weight && weight->dtype == BG_U8)
        return bg_claim_mx(l, prefix, weight, e);
    if (!weight || (weight->dtype != BG_F8_E4M3 && weight->dtype != BG_I8) || weight->rank != 2 || !weight->count)
        return BG_OK;
    int64_t O = weight->shape[0], I = weight->shape[1], rows = 0, cols = I;
    if (!bg_dtypes[anchor->dtype].is_float || !anchor->count)
        return bg_raw_wrong(s, anchor, e, "is %s, not a floating type with values", bg_dtypes[anchor->dtype].name);
    if (anchor->count > 1 && anchor->rank == 2) {
        if (!find_block(l, O, I, anchor, &rows, &cols))
            return bg_raw_wrong(s, anchor, e,
                                "%lld × %lld scales do not fit %lld × %lld weights; config.json must tell the blocks",
                                (long long)anchor->shape[0], (long long)anchor->shape[1], (long long)O, (long long)I);
    } else if (anchor->count > 1) {
        if (anchor->count != (uint64_t)O)
            return bg_raw_wrong(s, anchor, e, "%llu scales for %lld rows", (unsigned long long)anchor->count,
                                (long long)O);
        rows = 1;
    }
    if (zeros && (zeros->dtype != BG_I8 || zeros->count != anchor->count || rows != 1))
        return bg_raw_wrong(s, zeros, e, "is not one I8 for each scale of a row");
    return add(l, prefix, weight, anchor, zeros, rows, cols, e);
}
