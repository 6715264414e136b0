/* transform=hadamard: rotates the inputs of the layer, so that every weight becomes a sum of many.
 *
 * W → W·T with T of quant/kernel/hadamard.h; the layer's input becomes xT, its second moment TᵀΣT. The rotated weights
 * are quantized by the rest of the composition and turned back. What is stored beside the weights is the seed.
 */
#include <stdlib.h>
#include <string.h>
#include "io/base/failure.h"
#include "quant/kernel/hadamard.h"
#include "quant/transform/transform.h"

enum { SEED_BITS = 64 };

static int turn(const bg_rotation *t, const float *w, float *out, int64_t R, int back, bg_err *e)
{
    bg_failure failure = {0};
#pragma omp parallel
    {
        bg_err mine = {0};
        double *x = malloc(2 * (size_t)t->n * sizeof *x);
        if (!x)
            bg_no_memory(&mine, "rotation", 2 * (unsigned long long)t->n * sizeof *x);
#pragma omp for schedule(static)
        for (int64_t r = 0; r < R; r++) {
            if (!x) {
                bg_failure_note(&failure, r, &mine);
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
    return bg_failure_status(&failure, e);
}

static int forward(const bg_spec *s, const bg_matrix *m, bg_try_nearest nearest, bg_turned *out, bg_err *e)
{
    (void)s, (void)nearest;
    int64_t R = m->rows, C = m->cols;
    bg_rotation *t = out->state = calloc(1, sizeof *t);
    out->w = malloc((size_t)(R * C) * sizeof *out->w);
    out->second_moment = m->second_moment ? malloc((size_t)(C * C) * sizeof *out->second_moment) : NULL;
    int status = !t || !out->w || (m->second_moment && !out->second_moment)
                     ? bg_no_memory(e, "rotated weights", (unsigned long long)(R * C) * sizeof *out->w)
                     : bg_rotation_init(t, C, m->seed, NULL, e);
    if (!status)
        status = turn(t, m->memory, out->w, R, 0, e);
    if (!status && m->second_moment) {
        memcpy(out->second_moment, m->second_moment, (size_t)(C * C) * sizeof *out->second_moment);
        status = bg_rotate_moment(t, out->second_moment, e);
    }
    out->m = bg_matrix_of(out->w, R, C);
    out->m.second_moment = out->second_moment;
    out->m.seed = m->seed;
    return status;
}

static int inverse(const bg_spec *s, const bg_turned *t, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    (void)s;
    q->rate.table += SEED_BITS;
    return turn(t->state, q->hat, q->hat, m->rows, 1, e);
}

static void release(bg_turned *t)
{
    if (t->state)
        bg_rotation_free(t->state);
    free(t->state);
}

const bg_transform bg_transform_hadamard = {
    .name = "hadamard",
    .title = "random signs and a Hadamard rotation of the inputs",
    .paper = "Tseng et al. 2024 (QuIP#), arXiv 2402.04396, section 3; Ashkboos et al. 2024 (QuaRot), arXiv 2404.00456",
    .forward = forward,
    .inverse = inverse,
    .release = release,
};
