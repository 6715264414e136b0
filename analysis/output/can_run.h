/* Whether a model can be run: Bitgap knows its architecture, finds its tensors, and can turn text into its tokens. */
#ifndef BG_ANALYSIS_OUTPUT_CAN_RUN_H
#define BG_ANALYSIS_OUTPUT_CAN_RUN_H

#include "io/checkpoints/checkpoint.h"

/* BG_OK, or what stops it, with the reason in `e`. Reads the tokenizer but no weights. */
int bg_can_run(const bg_ckpt *c, bg_err *e);

#endif
