/* Fixed length: every index takes ⌈log2 K⌉ bits, so there is nothing to measure. */
#include "quant/spec/quantizer.h"

const bg_coding bg_coding_fixed = {.name = "fixed", .title = "indices of fixed length"};
