/* What the fuzz targets of checkpoints share: bytes become a file, or a directory with a configuration; it is opened
 * and everything in it is decoded. */
#ifndef BG_TESTS_FUZZ_CHECKPOINT_H
#define BG_TESTS_FUZZ_CHECKPOINT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/checkpoints/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_MOST = 1 << 20, FUZZ_PATH = 256 };

/* A name of this process's own, in TMPDIR: tests/fuzz/run puts that in memory. */
static inline void fuzz_path(char out[FUZZ_PATH], const char *suffix)
{
    const char *directory = getenv("TMPDIR");
    if (snprintf(out, FUZZ_PATH, "%s/bitgap-fuzz-%ld%s", directory ? directory : "/tmp", (long)getpid(), suffix) >=
        FUZZ_PATH)
        abort();
}

static inline void put_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        abort();
    if (size && fwrite(data, 1, size, f) != size)
        abort();
    fclose(f);
}

static inline void decode_tensor(const bg_tensor *t)
{
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

static inline void decode_all(const char *path)
{
    bg_err e = {0};
    bg_ckpt *c = NULL;
    if (bg_ckpt_open(path, &(bg_ckpt_options){0}, &c, &e))
        return;
    for (int i = 0; i < c->n_tensors; i++)
        decode_tensor(&c->tensors[i]);
    bg_ckpt_close(c);
}

/* A packed checkpoint as one input: config.json, a NUL byte, the safetensors file; or that file alone, where its
 * tensors' names say what they are. */
static inline void decode_directory(const uint8_t *data, size_t size)
{
    char directory[FUZZ_PATH], config[FUZZ_PATH + 16], model[FUZZ_PATH + 32];
    const uint8_t *nul = size && data[0] == '{' ? memchr(data, 0, size) : NULL, *rest = nul ? nul + 1 : data;
    fuzz_path(directory, "");
    snprintf(config, sizeof config, "%s/config.json", directory);
    snprintf(model, sizeof model, "%s/model.safetensors", directory);
    mkdir(directory, 0700);
    if (nul)
        put_file(config, data, (size_t)(nul - data));
    put_file(model, rest, size - (size_t)(rest - data));
    decode_all(directory);
    unlink(config);
    unlink(model);
    rmdir(directory);
}

#endif
