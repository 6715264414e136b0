/* Measuring what a quantizer did to a matrix: for rows of the registries that choose points themselves. */
#ifndef BG_QUANT_ENGINE_MEASURE_H
#define BG_QUANT_ENGINE_MEASURE_H

#include "quant/engine/quantize.h"

/* Measures what quantizing made of m->memory: count, mse, max_error, max_relative, the rates and, with a second moment,
 * output_mse. The only writer of a bg_measure beside the fast paths of plain specs, which the property tests hold to
 * it. Fixed chunks of rows: the same digits for any number of threads. */
int bg_measure_quantized(const bg_matrix *m, const bg_quantized *q, bg_measure *out, bg_err *e);

/* tr(E·Σ·Eᵀ)/R for E = w − hat (R × C), Σ as in bg_matrix.second_moment. */
int bg_output_mse(const double *second_moment, const float *w, const float *hat, int64_t R, int64_t C, double *out,
                  bg_err *e);

#endif
