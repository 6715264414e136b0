/* Opening what a user names as MODEL: a checkpoint on disk or a synthetic source. */
#ifndef BG_QUANT_SOURCE_WEIGHTS_H
#define BG_QUANT_SOURCE_WEIGHTS_H

#include "io/checkpoints/checkpoint.h"
#include "quant/source/source.h"

/* bg_ckpt_open of a path, or, for "source:…", the synthetic checkpoint: one matrix named "weight" in the role "source",
 * whose samples are made on demand, or, without n, a tensor of no rows that stands for the density itself. BG_USAGE for
 * a source that does not exist. The caller frees *out with bg_ckpt_close. */
int bg_weights_open(const char *name, const bg_ckpt_options *options, bg_ckpt **out, bg_err *e);
/* The source whose density c stands for; NULL when c has weights (a file, or a source with n). Lives as long as c. */
const bg_source *bg_weights_density(const bg_ckpt *c);

#endif
