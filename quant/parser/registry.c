/* Owns the five registries: one line a row. To add a row: its file and its line here. */
#include "quant/parser/parser.h"

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
    ROW(gguf) \
    ROW(lloyd) \
    ROW(kmeans) \
    ROW(vq) \
    ROW(pq) \
    ROW(rvq) \
    ROW(e8p) \
    ROW(lattice) \
    ROW(ecsq) \
    ROW(tcq) \
    ROW(bitshift) \
    ROW(exec)

#define ROUNDINGS(ROW) \
    ROW(nearest) \
    ROW(stochastic) \
    ROW(gptq) \
    ROW(trellis) \
    ROW(rdo)

#define CODINGS(ROW) \
    ROW(fixed) \
    ROW(entropy) \
    ROW(adaptive) \
    ROW(huffman)
/* clang-format on */

#define DECLARE_TRANSFORM(name) extern const bg_transform bg_transform_##name;
#define DECLARE_GRID(name)      extern const bg_grid bg_grid_##name;
#define DECLARE_ROUNDING(name)  extern const bg_rounding bg_rounding_##name;
#define DECLARE_CODING(name)    extern const bg_coding bg_coding_##name;
TRANSFORMS(DECLARE_TRANSFORM)
GRIDS(DECLARE_GRID)
ROUNDINGS(DECLARE_ROUNDING)
CODINGS(DECLARE_CODING)

#define POINT_TRANSFORM(name) &bg_transform_##name,
#define POINT_GRID(name)      &bg_grid_##name,
#define POINT_ROUNDING(name)  &bg_rounding_##name,
#define POINT_CODING(name)    &bg_coding_##name,
const bg_transform *const bg_transforms[] = {TRANSFORMS(POINT_TRANSFORM) NULL};
const bg_grid *const bg_grids[] = {GRIDS(POINT_GRID) NULL};
const bg_rounding *const bg_roundings[] = {ROUNDINGS(POINT_ROUNDING) NULL};
const bg_coding *const bg_codings[] = {CODINGS(POINT_CODING) NULL};
