/* What the files of the engine share and rows do not see. */
#ifndef BG_QUANT_ENGINE_H
#define BG_QUANT_ENGINE_H

#include "quant/quantize.h"

enum { BG_DOUBLE_BLOCK = 256 }; /* scales that share a second-level scale */

/* bg_spec_rate for weights and scopes given as numbers: a density is one weight with a share of a scope. */
bg_rate bg_rate_of(const bg_spec *s, double weights, double scopes);

/* What a scalar spec's grid must know of a scope. */
bg_needs bg_spec_needs(const bg_spec *s);
/* Scalar grid, nearest point, no transform: what the engine runs by itself. */
int bg_spec_is_plain(const bg_spec *s);

/* One plain spec with scope=tensor on a histogram (atoms or a density): every field but rate and count of padding. */
int bg_measure_hist(const bg_matrix *m, const bg_hist *h, const bg_spec *s, bg_measure *out, bg_err *e);
/* Any spec on a density. */
int bg_measure_law(const bg_matrix *m, const bg_hist *h, const bg_spec *s, bg_measure *out, bg_err *e);
/* Plain specs with a scope below the tensor, or double quantization, in one pass (two where scales are quantized) over
 * the rows. hist (may be NULL) receives the exact histogram on the way. */
int bg_measure_tiles(const bg_matrix *m, const bg_spec *const *specs, int n, bg_measure *out, bg_hist *hist, bg_err *e);
/* The plain version of all of it: fits every scope by the row's own fit and rounds weight by weight, in row order. */
int bg_measure_ref(const bg_matrix *m, const bg_spec *s, bg_measure *out, bg_err *e);

/* Scales quantized to the dynamic 8-bit map in blocks of 256 about their mean, as bitsandbytes does; in place. */
int bg_double_quantize(float *scales, size_t n, bg_err *e);

/* Fills what follows from rate, count and error; `sse` is the summed squared error. */
void bg_measure_finish(bg_measure *out, const bg_rate *rate, double count, double sse);

#endif
