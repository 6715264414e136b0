/* Intervals of mean gaps over the measured tensors: of every spec, and of the difference of two specs tensor by
 * tensor. */
#ifndef BG_ANALYSIS_CURVES_GAP_INTERVALS_H
#define BG_ANALYSIS_CURVES_GAP_INTERVALS_H

#include "analysis/curves/gap.h"

/* The 95 % interval of the mean gap of n points of one role, weighted by their numbers of weights. NaN for fewer than
 * two. */
int bg_gap_interval(const bg_gap_point *const *points, int n, double *low, double *high, bg_err *e);

/* Writes the sections `specs` and `pairs`. */
int bg_gap_write_intervals(const bg_gaps *g, bg_doc *d, bg_err *e);

#endif
