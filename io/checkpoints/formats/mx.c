/* Owns microscaling: E2M1 codes, low nibble first, whose scales are powers of two for 32 weights (MXFP4) or E4M3 for 16
 * times one float32 of the tensor (NVFP4).
 *
 *     gpt-oss              value = E2M1·2^(scale−127)
 *     compressed-tensors   the same, and value = E2M1·(scale / global)     (divide: global = 448·6/amax)
 *     ModelOpt             value = E2M1·(scale·scale_2)                    (multiply)
 *
 * Source: OCP Microscaling v1.0; transformers integrations/mxfp4.py; compressed-tensors 0.20; TensorRT-Model-Optimizer.
 */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoints/formats/packed.h"

#include <stdlib.h>

typedef enum kind { POWER, DIVIDE, MULTIPLY } kind;

typedef struct layout {
    bg_packed packed;
    const bg_raw *codes, *scales;
    kind kind;
    float global;
} layout;

static int fill(const bg_tensor *t, int64_t first, bg_tile *tile, bg_err *e)
{
    const layout *l = t->layout;
    int64_t bytes = tile->cols / 2, n = tile->rows, scales = n * tile->groups;
    uint8_t *raw = malloc((size_t)(n * bytes) + 1);
    if (!raw)
        return bg_no_memory(e, t->name, (size_t)(n * bytes));
    int status = bg_raw_read(t->ckpt->impl, l->codes, (uint64_t)(first * bytes), raw, (uint64_t)(n * bytes), e);
    if (!status)
        bg_unpack_bits(raw, 4, (size_t)(n * tile->cols), tile->codes);
    free(raw);
    uint8_t *coded = (uint8_t *)tile->scales + 3 * scales; /* decoded in place */
    if (!status)
        status = bg_raw_read(t->ckpt->impl, l->scales, (uint64_t)(first * tile->groups), coded, (uint64_t)scales, e);
    for (int64_t i = 0; !status && i < scales; i++) {
        uint8_t byte = coded[i];
        tile->scales[i] = l->kind == POWER    ? bg_e8m0_to_f32(byte)
                          : l->kind == DIVIDE ? bg_e4m3_to_f32(byte) / l->global
                                              : bg_e4m3_to_f32(byte) * l->global;
    }
    return status;
}

const bg_format bg_format_mx = {
    .name = "mx",
    .help = "MXFP4 (gpt-oss, compressed-tensors) and NVFP4 (ModelOpt, compressed-tensors)",
    .rows = bg_packed_rows,
    .indices = bg_packed_indices,
    .scales = bg_packed_scales,
};

static int add(bg_load *l, const char *prefix, const char *suffix, bg_raw *codes, bg_raw *scales, bg_raw *global,
               kind k, const int64_t *shape, int rank, bg_err *e)
{
    int64_t block = k == POWER ? 32 : 16;
    float value = 1;
    int status = global ? bg_raw_scalar(l->store, global, &value, e) : BG_OK;
    bg_tensor *t = status ? NULL : bg_packed_add(l, prefix, suffix, &bg_format_mx, shape, rank, sizeof(layout), e);
    if (!t)
        return status ? status : e ? e->code : BG_INPUT;
    layout *y = t->layout;
    int64_t groups = shape[rank - 1] / block;
    *y = (layout){.packed = {.fill = fill, .groups = groups, .group_size = block, .levels = bg_e2m1_levels, .bits = 4},
                  .codes = codes,
                  .scales = scales,
                  .kind = k,
                  .global = value};
    bg_packed_take(t, BG_PART_INDICES, codes);
    bg_packed_take(t, BG_PART_SCALES, scales);
    bg_packed_take(t, BG_PART_SCALES, global);
    t->index_levels = 16;
    t->levels = bg_e2m1_levels;
    t->group_size = (int)block;
    return bg_tensor_storage(t, e, k == POWER ? "MXFP4" : "NVFP4");
}

/* Codes [O, I/2] with scales [O, I/block]. */
static int add_matrix(bg_load *l, const char *prefix, bg_raw *codes, bg_raw *scales, bg_raw *global, kind k, bg_err *e)
{
    int64_t block = k == POWER ? 32 : 16, O = codes->shape[0], I;
    if (codes->rank != 2 || !codes->count || __builtin_mul_overflow(codes->shape[1], (int64_t)2, &I) || I % block)
        return bg_raw_wrong(l->store, codes, e, "its rows are not whole blocks of %lld weights", (long long)block);
    int status = bg_raw_expect(l->store, scales, k == POWER ? scales->dtype : BG_F8_E4M3, 2, O, I / block, e);
    return status ? status : add(l, prefix, ".weight", codes, scales, global, k, (int64_t[]){O, I}, 2, e);
}

/* gpt-oss: P_blocks [experts, rows, groups, 16] and P_scales [experts, rows, groups]. */
static int claim_blocks(bg_load *l, const char *prefix, bg_raw *codes, bg_err *e)
{
    const bg_store *s = l->store;
    bg_raw *scales = bg_store_find2(s, prefix, "_scales");
    int rank = codes->rank;
    int64_t shape[BG_MAX_RANK];
    if (!scales || codes->dtype != BG_U8 || rank < 3 || codes->shape[rank - 1] != 16)
        return BG_OK;
    if (scales->dtype != BG_U8 || scales->rank != rank - 1 ||
        memcmp(scales->shape, codes->shape, (size_t)(rank - 1) * sizeof *shape))
        return bg_raw_wrong(s, scales, e, "does not hold one U8 for each block of '%s'", codes->name);
    memcpy(shape, codes->shape, sizeof shape);
    if (__builtin_mul_overflow(shape[rank - 2], (int64_t)32, &shape[rank - 2]) || !codes->count)
        return bg_raw_wrong(s, codes, e, "is empty or too large");
    return add(l, prefix, "", codes, scales, NULL, POWER, shape, rank - 1, e);
}

int bg_claim_mx(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e)
{
    const bg_store *s = l->store;
    size_t n = strlen(anchor->name);
    if (n > 7 && !strcmp(anchor->name + n - 7, "_blocks"))
        return claim_blocks(l, prefix, anchor, e);
    bg_raw *scales = bg_store_find2(s, prefix, ".weight_scale"),
           *global = bg_store_find2(s, prefix, ".weight_global_scale"),
           *second = bg_store_find2(s, prefix, ".weight_scale_2");
    if (!scales || anchor->dtype != BG_U8)
        return BG_OK;
    if (scales->dtype == BG_U8 || scales->dtype == BG_F8_E8M0)
        return add_matrix(l, prefix, anchor, scales, NULL, POWER, e);
    if (!global && !second)
        return bg_raw_wrong(s, anchor, e, "FP4 codes without a global scale beside them; fetch the checkpoint again");
    return add_matrix(l, prefix, anchor, scales, global ? global : second, global ? DIVIDE : MULTIPLY, e);
}
