/* The identity: the row every other transform is compared with. The engine quantizes the weights as they are. */
#include "quant/engine/quantize.h"

const bg_transform bg_transform_none = {.name = "none", .title = "the weights as they are"};
