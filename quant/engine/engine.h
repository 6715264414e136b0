/* What the files of the engine share and rows do not see. */
#ifndef BG_QUANT_ENGINE_ENGINE_H
#define BG_QUANT_ENGINE_ENGINE_H

#include "quant/engine/quantize.h"

/* Scalar grid, nearest point, no transform: what the engine runs by itself. */
int bg_spec_is_plain(const bg_spec *s);

extern const bg_grid bg_grid_uniform; /* the pass over tiles knows its rule for zero=asym and zero=min */

/* One plain spec with scope=tensor on a histogram (atoms or a density); indices of fixed length are counted, or of a
 * density their entropy. code (tables in room) is what was fitted. */
int bg_measure_hist(const bg_hist *h, const bg_spec *s, bg_code_room *room, bg_code *code, bg_measure *out, bg_err *e);
/* Then, for entropy-coded indices: the coded bits of the tensor's indices under that code, in slices of 2^22 symbols.
 */
int bg_measure_coded(const bg_matrix *m, const bg_spec *s, const bg_code *c, bg_measure *out, bg_err *e);

/* Any spec on the density m->distribution, whose histogram is h. Scales are ideal (not rounded) but counted at their
 * type. */
int bg_measure_distribution(const bg_matrix *m, const bg_hist *h, const bg_spec *s, bg_measure *out, bg_err *e);

/* Plain specs with fixed-length indices in one pass over the rows for all of them together (two where a scale waits for
 * the whole tensor). counts[65536] (may be NULL) receives how often each 16-bit code occurs; then m->codes16 is needed.
 * A matrix that holds NaN or Inf sets *not_finite and leaves out[] alone. */
int bg_measure_tiles(const bg_matrix *m, const bg_spec *const *specs, int n, bg_measure *const *out, uint64_t *counts,
                     int *not_finite, bg_err *e);
/* The plain version: fits every scope by the row's own fit and rounds weight by weight, in row order, on one thread. */
int bg_measure_ref(const bg_matrix *m, const bg_spec *s, bg_measure *out, bg_err *e);

#endif
