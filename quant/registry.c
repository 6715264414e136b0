/* Owns the five registries: one line a row. To add a row: its file and its line here. */
#include "quant/quantize.h"

extern const bg_transform bg_transform_none;

const bg_transform *const bg_transforms[] = {&bg_transform_none, NULL};

extern const bg_grid bg_grid_uniform, bg_grid_nf, bg_grid_fp, bg_grid_pot, bg_grid_apot;
extern const bg_grid bg_grid_vq, bg_grid_pq, bg_grid_rvq;

const bg_grid *const bg_grids[] = {
    &bg_grid_uniform, &bg_grid_nf, &bg_grid_fp, &bg_grid_pot, &bg_grid_apot,
    &bg_grid_vq, &bg_grid_pq, &bg_grid_rvq, NULL,
};

extern const bg_rounding bg_rounding_nearest;

const bg_rounding *const bg_roundings[] = {&bg_rounding_nearest, NULL};

extern const bg_coding bg_coding_fixed, bg_coding_entropy, bg_coding_adaptive, bg_coding_huffman;

const bg_coding *const bg_codings[] = {
    &bg_coding_fixed, &bg_coding_entropy, &bg_coding_adaptive, &bg_coding_huffman, NULL,
};
