/* Nearest point: the engine chooses it itself, so there is no run(). */
#include "quant/engine/quantize.h"

const bg_rounding bg_rounding_nearest = {.name = "nearest", .title = "the nearest point"};
