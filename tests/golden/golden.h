/* What the golden tests share: opening a checkpoint and comparing decoded values bit for bit. */
#ifndef BG_TESTS_GOLDEN_H
#define BG_TESTS_GOLDEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "io/checkpoints/checkpoint.h"
#include "quant/source/weights.h"

#define GOLDEN "tests/golden/data/"

static inline bg_ckpt *open_or_fail(const char *path)
{
    bg_err e = {0};
    bg_ckpt *c = NULL;
    if (bg_weights_open(path, &(bg_ckpt_options){0}, &c, &e))
        fail_msg("%s: %s", path, e.text);
    return c;
}

static inline const bg_tensor *tensor_or_fail(const bg_ckpt *c, const char *name)
{
    const bg_tensor *t = bg_ckpt_find(c, name);
    if (!t)
        fail_msg("%s: no tensor '%s'", c->path, name);
    return t;
}

/* All values of a tensor; read in uneven tiles so that tile borders are tested too. The caller frees. */
static inline float *values_of(const bg_tensor *t)
{
    bg_err e = {0};
    float *out = malloc((size_t)t->count * sizeof *out + 1);
    assert_non_null(out);
    for (int64_t at = 0, n = 1; at < t->rows; at += n, n = n < 7 ? n + 2 : 64) {
        if (n > t->rows - at)
            n = t->rows - at;
        if (bg_tensor_rows(t, at, n, out + at * t->cols, &e))
            fail_msg("%s: %s", t->name, e.text);
    }
    return out;
}

/* Bits equal, but any NaN equals any NaN and −0 equals 0. */
static inline void assert_floats_equal(const char *what, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] && !(isnan(a[i]) && isnan(b[i])))
            fail_msg("%s[%zu]: %.9g, expected %.9g", what, i, (double)a[i], (double)b[i]);
}

static inline void assert_tensors_equal(const bg_tensor *t, const bg_tensor *expected)
{
    assert_int_equal(t->count, expected->count);
    assert_int_equal(t->cols, expected->cols);
    float *a = values_of(t), *b = values_of(expected);
    assert_floats_equal(t->name, a, b, (size_t)t->count);
    free(a);
    free(b);
}

#endif
