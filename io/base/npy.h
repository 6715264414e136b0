/* NumPy's .npy files of float32 matrices in C order: what Bitgap exchanges with programs of other people.
 * Format: numpy.lib.format, version 1.0. */
#ifndef BG_IO_BASE_NPY_H
#define BG_IO_BASE_NPY_H

#include <stdint.h>
#include "io/base/error.h"

/* Writes w, R × C row-major. */
int bg_npy_write(const char *path, const float *w, int64_t rows, int64_t cols, bg_err *e);
/* Reads exactly R × C float32 into out. Another shape, type, order or length is BG_INPUT. */
int bg_npy_read(const char *path, float *out, int64_t rows, int64_t cols, bg_err *e);

#endif
