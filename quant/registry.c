/* Owns the five registries: one line a row. To add a row: its file and its line here. */
#include "quant/quantize.h"

const bg_transform *const bg_transforms[] = {NULL};

const bg_grid *const bg_grids[] = {NULL};

const bg_rounding *const bg_roundings[] = {NULL};

const bg_coding *const bg_codings[] = {NULL};
