/* What roundings share: the nearest points, where others start or fall back to. */
#ifndef BG_QUANT_ROUNDING_NEAREST_H
#define BG_QUANT_ROUNDING_NEAREST_H

#include "quant/scope/scope.h"

/* Nearest points of any grid (scalar, vector, sequence) for m->memory, or those of s->rounding->choose. As
 * bg_rounding.run. */
int bg_round_nearest(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e);

extern const bg_rounding bg_rounding_nearest;

#endif
