/* What the specs of one matrix share: the factor of its second moment, so that several widths cost one factorisation.
 */
#ifndef BG_QUANT_SPEC_SHARED_FACTOR_H
#define BG_QUANT_SPEC_SHARED_FACTOR_H

#include "quant/kernel/cholesky.h"
#include "quant/spec/quantizer.h"

struct bg_shared {
    bg_factor factor;
    double percdamp; /* as asked for */
    int64_t order;   /* of cholesky.h */
    int made;
};

/* The factor of m->second_moment. With m->shared it is made once for a (percdamp, order) and kept there; without, it is
 * made in *own, which the caller frees with bg_factor_free either way. Not for several threads at once. */
int bg_factor_shared(const bg_matrix *m, double percdamp, int64_t order, bg_factor *own, const bg_factor **out,
                     bg_err *e);
/* Frees what s holds, not s itself; NULL is allowed. */
void bg_shared_free(struct bg_shared *s);

#endif
