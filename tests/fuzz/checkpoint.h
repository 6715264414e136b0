/* What the fuzz targets of checkpoints share: bytes become a file, the file is opened, everything in it is decoded. */
#ifndef BG_TESTS_FUZZ_CHECKPOINT_H
#define BG_TESTS_FUZZ_CHECKPOINT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "io/ckpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_MOST = 1 << 20 };

static inline void put_file(const char *path, const uint8_t *data, size_t size) {
    FILE *f = fopen(path, "wb");
    if (!f)
        abort();
    if (size && fwrite(data, 1, size, f) != size)
        abort();
    fclose(f);
}

static inline void decode_tensor(const bg_tensor *t) {
    bg_err e = {0};
    if (!t->count || t->count > FUZZ_MOST)
        return;
    float *values = malloc((size_t)t->count * sizeof *values);
    uint16_t *codes = malloc((size_t)t->count * sizeof *codes);
    if (!values || !codes)
        abort();
    bg_tensor_rows(t, 0, t->rows, values, &e);
    bg_tensor_rows(t, t->rows / 2, t->rows - t->rows / 2, values, &e);
    bg_tensor_codes16(t, 0, t->rows, codes, &e);
    if (t->format->indices)
        t->format->indices(t, t->rows / 3, t->rows - t->rows / 3, codes, &e);
    if (t->format->scales)
        t->format->scales(t, 0, t->rows, values, &e);
    free(values);
    free(codes);
}

static inline void decode_all(const char *path) {
    bg_err e = {0};
    bg_ckpt *c = NULL;
    if (bg_ckpt_open(path, &(bg_ckpt_options){0}, &c, &e))
        return;
    for (int i = 0; i < c->n_tensors; i++)
        decode_tensor(&c->tensors[i]);
    bg_ckpt_close(c);
}

#endif
