/* Owns the plain squared error of a reconstruction. */
#include "quant/kernel/difference.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK = 64 /* rows: the unit of work and of summation */ };

static bg_difference compare(const float *w, const float *hat, int64_t n)
{
    bg_difference t = {0};
    for (int64_t i = 0; i < n; i++) {
        float d = fabsf(w[i] - hat[i]), a = fabsf(w[i]);
        t.squares += (double)d * (double)d;
        t.max = d > t.max ? d : t.max;
        t.largest = a > t.largest ? a : t.largest;
    }
    return t;
}

int bg_difference_of(const float *w, const float *hat, int64_t R, int64_t C, bg_difference *out, bg_err *e)
{
    int64_t chunks = (R + CHUNK - 1) / CHUNK;
    bg_difference *t = malloc((size_t)chunks * sizeof *t);
    *out = (bg_difference){0};
    if (!t)
        return bg_no_memory(e, "squared errors", (unsigned long long)chunks * sizeof *t);
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < chunks; c++) {
        int64_t first = c * CHUNK, rows = first + CHUNK < R ? CHUNK : R - first;
        t[c] = compare(w + first * C, hat + first * C, rows * C);
    }
    for (int64_t c = 0; c < chunks; c++) {
        out->squares += t[c].squares;
        out->max = fmaxf(out->max, t[c].max);
        out->largest = fmaxf(out->largest, t[c].largest);
    }
    free(t);
    return BG_OK;
}
