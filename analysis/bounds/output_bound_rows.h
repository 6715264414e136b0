/* The section `outputs` of a bounds document: a calibrated layer's functional bound, its band and what rounding loses.
 */
#ifndef BG_ANALYSIS_BOUNDS_OUTPUT_BOUND_ROWS_H
#define BG_ANALYSIS_BOUNDS_OUTPUT_BOUND_ROWS_H

#include "analysis/output/calibration.h"
#include "io/documents/document.h"

/* What is kept from one tensor to the next that reads the same input (q, k, v; gate, up). Zero-initialise. */
typedef struct bg_output_rows bg_output_rows;
int bg_output_rows_open(bg_output_rows **o, const bg_calibration *k, uint64_t seed, bg_err *e);
void bg_output_rows_close(bg_output_rows *o);

/* The row of a tensor of variance sigma2; none when the calibration has no statistics of its input (an embedding). */
int bg_output_rows_put(bg_output_rows *o, bg_doc *d, const bg_tensor *t, double sigma2, bg_err *e);

#endif
