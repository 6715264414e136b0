/* Error feedback over vectors: what round_gptq.c hands on. */
#ifndef BG_QUANT_GPTQ_H
#define BG_QUANT_GPTQ_H

#include "quant/quantize.h"

/* As bg_rounding.run, for a grid whose points are vectors of `vector` or `dim` neighbours in a row (bg_grid). */
int bg_gptq_vectors(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_err *e);

#endif
