/* Owns the five registries: one line a row. To add a row: its file and its line here. */
#include "quant/quantize.h"

/* clang-format off */
#define TRANSFORMS(ROW) \
    ROW(none) \
    ROW(hadamard) \
    ROW(awq) \
    ROW(smooth) \
    ROW(outliers) \
    ROW(prune)

#define GRIDS(ROW) \
    ROW(uniform) \
    ROW(hqq) \
    ROW(nf) \
    ROW(fp) \
    ROW(pot) \
    ROW(apot) \
    ROW(lloyd) \
    ROW(kmeans) \
    ROW(vq) \
    ROW(pq) \
    ROW(rvq)

#define ROUNDINGS(ROW) \
    ROW(nearest) \
    ROW(gptq)

#define CODINGS(ROW) \
    ROW(fixed) \
    ROW(entropy) \
    ROW(adaptive) \
    ROW(huffman)
/* clang-format on */

#define DECLARE_TRANSFORM(name)


const bg_transform *const bg_transforms[] = {
    NULL,
};

extern const bg_grid bg_grid_exec;

const bg_grid *const bg_grids[] = {
    &bg_grid_exec,
    NULL,
};


const bg_rounding *const bg_roundings[] = {
    NULL,
};


const bg_coding *const bg_codings[] = {
    NULL,
};
