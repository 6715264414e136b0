/* transform=hadamard: rotates the inputs of the layer, so that every weight becomes a sum of many.
 *
 * W → W·T with T of quant/kernel/hadamard.h; the layer's input becomes xT, its second moment TᵀΣT. The rotated weights
 * are quantized by the rest of the composition and turned back. What is stored beside the weights is the seed.
 */
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/hadamard.h"
#include "quant/engine/measure.h"
#include "quant/transform/transform.h"

enum { SEED_BITS = 64 };

static int turn(const bg_rotation *t, const float *w, float *out, int64_t R, int back, bg_err *e)
{
    int failed = 0;
#pragma omp parallel
    {
        double *x = malloc(2 * (size_t)t->n * sizeof *x);
#pragma omp for schedule(static)
        for (int64_t r = 0; r < R; r++) {
            if (!x) {
                failed = 1;
                continue;
            }
            for (int64_t i = 0; i < t->n; i++)
                x[i] = (double)w[r * t->n + i];
            if (back)
                bg_rotate_back(t, x, x + t->n);
            else
                bg_rotate(t, x, x + t->n);
            for (int64_t i = 0; i < t->n; i++)
                out[r * t->n + i] = (float)x[i];
        }
        free(x);
    }
    return failed ? bg_no_memory(e, "rotation", 2 * (unsigned long long)t->n * sizeof(double)) : BG_OK;
}

static int run(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_err *e)
{
    int64_t R = m->rows, C = m->cols;
    float *turned = malloc((size_t)(R * C) * sizeof *turned);
    double *sigma = m->second_moment ? malloc((size_t)(C * C) * sizeof *sigma) : NULL;
    bg_rotation t = {0};
    int status = !turned || (m->second_moment && !sigma)
                     ? bg_no_memory(e, "rotated weights", (unsigned long long)(R * C) * sizeof *turned)
                     : bg_rotation_init(&t, C, m->seed, NULL, e);
    if (!status)
        status = turn(&t, w, turned, R, 0, e);
    if (!status && sigma) {
        memcpy(sigma, m->second_moment, (size_t)(C * C) * sizeof *sigma);
        status = bg_rotate_moment(&t, sigma, e);
    }
    if (!status) {
        bg_matrix inner = bg_matrix_of(turned, R, C);
        inner.second_moment = sigma;
        inner.seed = m->seed;
        status = bg_transform_inner(s, &inner, turned, turned, measure, e);
    }
    if (!status && !measure->skipped)
        status = turn(&t, turned, turned, R, 1, e);
    if (!status && !measure->skipped) {
        measure->rate.table += SEED_BITS;
        status = bg_measure_difference(m, w, turned, R, C, measure, e);
        memcpy(out, turned, (size_t)(R * C) * sizeof *out);
    }
    bg_rotation_free(&t);
    free(sigma);
    free(turned);
    return status;
}

const bg_transform bg_transform_hadamard = {
    .name = "hadamard",
    .title = "random signs and a Hadamard rotation of the inputs",
    .paper = "Tseng et al. 2024 (QuIP#), arXiv 2402.04396, section 3; Ashkboos et al. 2024 (QuaRot), arXiv 2404.00456",
    .run = run,
};
