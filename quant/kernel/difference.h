/* The difference of a matrix and what a quantizer made of it. */
#ifndef BG_QUANT_KERNEL_DIFFERENCE_H
#define BG_QUANT_KERNEL_DIFFERENCE_H

#include <stdint.h>
#include "io/base/error.h"

typedef struct bg_difference {
    double squares; /* Σ (w − ŵ)² */
    float max;      /* largest |w − ŵ| */
    float largest;  /* largest |w| */
} bg_difference;

/* Of w and hat, R × C. Fixed chunks of rows, summed in order: the same digits for any number of threads. */
int bg_difference_of(const float *w, const float *hat, int64_t R, int64_t C, bg_difference *out, bg_err *e);

#endif
