/* Rate-distortion points: every selected tensor under every spec of a sweep. */
#ifndef BG_ANALYSIS_CURVES_CURVE_H
#define BG_ANALYSIS_CURVES_CURVE_H

#include "analysis/tensors/tensor_selection.h"

typedef struct bg_curves {
    const bg_selection *selection;
    const bg_spec *specs;
    int n_specs;
    bg_measure *at;     /* [selection->n × n_specs] */
    double *output_gap; /* [selection->n × n_specs] bits above the functional bound; NaN without a second moment */
} bg_curves;

/* What a tensor's matrix gets beside its rows (a calibration). */
typedef struct bg_curve_dress {
    int (*dress)(void *self, const bg_tensor *t, bg_matrix *m, bg_err *e); /* NULL: nothing */
    void *self;
} bg_curve_dress;

/* Measures. c->at is malloc'ed; bg_curves_free frees it. */
int bg_curves_measure(bg_curves *c, const bg_selection *selection, const bg_spec *specs, int n, uint64_t seed,
                      bg_curve_dress dress, bg_err *e);
void bg_curves_free(bg_curves *c);

/* Writes the document's sections, points first. */
void bg_curves_write(const bg_curves *c, bg_doc *d);

/* "uniform", "calibrated", …: the family of a spec, for tables. */
const char *bg_spec_family(const bg_spec *s);

#endif
