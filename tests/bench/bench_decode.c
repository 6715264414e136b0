/* How fast stored weights become float32, on all threads: GGUF's block types in memory, packed safetensors layers
 * through bg_tensor_rows from the page cache, and memcpy of the float32 result beside them. Lines: what, value, unit.
 *
 *     bench_decode [DIRECTORY]     scratch; default $BENCH_DATA, else /tmp
 */
#define _POSIX_C_SOURCE 200809L
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "io/checkpoints/checkpoint.h"
#include "io/checkpoints/formats/gguf_container.h"
#include "io/checkpoints/writers/packed_writer.h"

enum { SIDE = 4096, WEIGHTS = SIDE * SIDE, TILE = 256, REPEATS = 3, CHUNK = 1 << 16 };

static float *out;

static void print(const char *what, double seconds, double bits)
{
    printf("%s\t%.2f\tGweights/s\n", what, WEIGHTS / seconds / 1e9);
    printf("%s\t%.2f\tGB/s read and written\n", what, WEIGHTS * (bits / 8 + 4) / seconds / 1e9);
}

/* ---- in memory ---- */

static void decode_blocks(const bg_gguf_type *t, const uint8_t *blocks)
{
#pragma omp parallel for schedule(static)
    for (int i = 0; i < WEIGHTS; i += CHUNK)
        t->decode(blocks + (size_t)(i / t->block) * (size_t)t->bytes, out + i, (size_t)(CHUNK / t->block));
}

static void bench_gguf(const uint8_t *bytes)
{
    for (uint32_t id = 0; id < 64; id++) {
        const bg_gguf_type *t = bg_gguf_type_of(id);
        double best = 1e9;
        if (!t || !t->decode)
            continue;
        for (int r = 0; r < REPEATS; r++) {
            double began = bg_now();
            decode_blocks(t, bytes);
            double s = bg_now() - began;
            best = s < best ? s : best;
        }
        print(t->name, best, 8.0 * t->bytes / t->block);
    }
}

static void bench_memcpy(const float *from)
{
    double best = 1e9;
    for (int r = 0; r < REPEATS; r++) {
        double began = bg_now();
#pragma omp parallel for schedule(static)
        for (int i = 0; i < WEIGHTS; i += CHUNK)
            memcpy(out + i, from + i, CHUNK * sizeof *out);
        double s = bg_now() - began;
        best = s < best ? s : best;
    }
    print("memcpy of float32", best, 32);
}

/* ---- layers in files ---- */

typedef struct layer {
    const char *what;
    double bits;
    const char *config;
    bg_safetensors_entry entries[4];
} layer;

static const layer layers[] = {
    {"BF16", 16, "{}", {{"l.weight", BG_BF16, 2, {SIDE, SIDE}}}},
    {"GPTQ 4-bit g128",
     4.25,
     "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":128}}",
     {{"l.qweight", BG_I32, 2, {SIDE / 8, SIDE}},
      {"l.qzeros", BG_I32, 2, {SIDE / 128, SIDE / 8}},
      {"l.scales", BG_F16, 2, {SIDE / 128, SIDE}}}},
    {"AWQ 4-bit g128",
     4.25,
     "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":128}}",
     {{"l.qweight", BG_I32, 2, {SIDE, SIDE / 8}},
      {"l.qzeros", BG_I32, 2, {SIDE / 128, SIDE / 8}},
      {"l.scales", BG_F16, 2, {SIDE / 128, SIDE}}}},
    {"compressed-tensors int4 g128",
     4.125,
     "{}",
     {{"l.weight_packed", BG_I32, 2, {SIDE, SIDE / 8}},
      {"l.weight_scale", BG_F16, 2, {SIDE, SIDE / 128}},
      {"l.weight_shape", BG_I64, 1, {2}}}},
    {"FP8 rows", 8, "{}", {{"l.weight", BG_F8_E4M3, 2, {SIDE, SIDE}}, {"l.weight_scale", BG_F32, 2, {SIDE, 1}}}},
    {"MXFP4",
     4.25,
     "{}",
     {{"l.weight_packed", BG_U8, 2, {SIDE, SIDE / 2}}, {"l.weight_scale", BG_U8, 2, {SIDE, SIDE / 32}}}},
};

/* Any bytes will do but for scales, which are small positive numbers of their type, and shapes. */
static int write_layer(const layer *l, const char *path, const uint8_t *bytes, bg_err *e)
{
    bg_safetensors_writer w;
    int n = 0;
    while (n < 4 && l->entries[n].name)
        n++;
    int status = bg_safetensors_begin(&w, path, l->entries, n, NULL, e);
    for (int i = 0; !status && i < n; i++) {
        const bg_safetensors_entry *x = &l->entries[i];
        int64_t shape[2] = {SIDE, SIDE}, count = x->rank > 1 ? x->shape[0] * x->shape[1] : x->shape[0];
        if (x->dtype == BG_I64) {
            status = bg_safetensors_put(&w, shape, sizeof shape, e);
            continue;
        }
        size_t size = (size_t)count * (bg_dtypes[x->dtype].bits / 8);
        if (!strstr(x->name, "scale")) {
            status = bg_safetensors_put(&w, bytes, size, e);
            continue;
        }
        uint8_t *scales = malloc(size);
        if (!scales)
            return bg_no_memory(e, "scales", size);
        memset(scales, x->dtype == BG_U8 ? 0x7b : 0x2c, size);
        status = bg_safetensors_put(&w, scales, size, e);
        free(scales);
    }
    if (!status)
        status = bg_safetensors_commit(&w, e);
    bg_safetensors_abandon(&w);
    return status;
}

static int put_config(const char *directory, const char *text, bg_err *e)
{
    char path[512];
    snprintf(path, sizeof path, "%s/config.json", directory);
    FILE *f = fopen(path, "w");
    return f && fputs(text, f) >= 0 && !fclose(f) ? BG_OK : bg_fail(e, BG_RESOURCE, "%s: cannot write", path);
}

static int bench_rows(const char *what, double bits, const char *directory, bg_err *e)
{
    bg_ckpt *c = NULL;
    int status = bg_ckpt_open(directory, &(bg_ckpt_options){0}, &c, e);
    if (status)
        return status;
    const bg_tensor *t = bg_ckpt_find(c, "l.weight");
    double best = 1e9;
    for (int r = 0; t && r < REPEATS; r++) {
        double began = bg_now();
#pragma omp parallel for schedule(dynamic)
        for (int64_t at = 0; at < SIDE; at += TILE) {
            bg_err mine = {0};
            if (bg_tensor_rows(t, at, TILE, out + at * SIDE, &mine))
                fprintf(stderr, "%s\n", mine.text);
        }
        double s = bg_now() - began;
        best = s < best ? s : best;
    }
    print(what, best, bits);
    bg_ckpt_close(c);
    return BG_OK;
}

static int bench_layer(const layer *l, const char *directory, const uint8_t *bytes, bg_err *e)
{
    char path[512];
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    int status = put_config(directory, l->config, e);
    if (!status)
        status = write_layer(l, path, bytes, e);
    return status ? status : bench_rows(l->what, l->bits, directory, e);
}

/* bitsandbytes describes a layer in JSON: its own writer makes it. */
static int bench_nf4(int nested, const char *directory, const uint8_t *bytes, bg_err *e)
{
    char path[512];
    bg_parcel p = {0};
    uint16_t *codes = malloc((size_t)WEIGHTS * sizeof *codes);
    float *scales = malloc((size_t)WEIGHTS / 64 * sizeof *scales);
    int status = codes && scales ? put_config(directory, "{}", e) : bg_no_memory(e, "a layer", WEIGHTS * sizeof *codes);
    for (int i = 0; i < WEIGHTS && !status; i++) {
        codes[i] = bytes[i] & 15;
        if (i % 64 == 0)
            scales[i / 64] = 0.01f * (float)(1 + bytes[i]);
    }
    bg_codes q = {.rows = SIDE, .cols = SIDE, .group_size = 64, .bits = 4, .codes = codes, .scales = scales};
    if (!status)
        status = bg_pack_bnb(&p, "l", &q, 0, nested, "float32", e);
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    if (!status)
        status = bg_parcel_write(&p, path, e);
    bg_parcel_free(&p);
    free(codes);
    free(scales);
    return status ? status : bench_rows(nested ? "NF4 b64 nested" : "NF4 b64", nested ? 4.127 : 4.5, directory, e);
}

int main(int argc, char **argv)
{
    const char *data = getenv("BENCH_DATA");
    char directory[256];
    bg_err e = {0};
    size_t room = (size_t)WEIGHTS * sizeof(float);
    uint8_t *bytes = malloc(room);
    out = malloc(room);
    if (!bytes || !out)
        return BG_RESOURCE;
    snprintf(directory, sizeof directory, "%s/decode", argc > 1 ? argv[1] : data ? data : "/tmp");
    uint64_t x = 1;
    for (size_t i = 0; i < room; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(x >> 58); /* below 64: float16 scales stay small and finite */
    }
    bench_memcpy((const float *)(const void *)bytes);
    bench_gguf(bytes);
    int status = bg_make_directories(directory, &e);
    for (size_t i = 0; !status && i < sizeof layers / sizeof *layers; i++)
        status = bench_layer(&layers[i], directory, bytes, &e);
    for (int nested = 0; !status && nested < 2; nested++)
        status = bench_nf4(nested, directory, bytes, &e);
    if (status)
        fprintf(stderr, "bench_decode: %s\n", e.text);
    free(bytes);
    free(out);
    return status;
}
