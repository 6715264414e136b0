/* Owns what packed formats share: tiles, unpacking of bit strings, and the loops that turn codes into values. */
#define _GNU_SOURCE
#include "io/checkpoints/formats/packed.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>

enum { TILE_CODES = 1 << 19 }; /* codes of a tile: with their values they stay near the second-level cache */

/* ---- bit strings ---- */

void bg_unpack_bits_ref(const uint8_t *in, int bits, size_t n, uint8_t *out)
{
    unsigned mask = (1u << bits) - 1;
    for (size_t i = 0; i < n; i++) {
        size_t at = i * (size_t)bits;
        unsigned v = in[at / 8];
        if (at % 8 + (unsigned)bits > 8)
            v |= (unsigned)in[at / 8 + 1] << 8;
        out[i] = (uint8_t)((v >> (at % 8)) & mask);
    }
}

/* Fields that do not straddle bytes: a byte at a time, so that the loop becomes vector code. */
static void unpack_nibbles(const uint8_t *restrict in, size_t n, uint8_t *restrict out)
{
    size_t pairs = n / 2;
    for (size_t i = 0; i < pairs; i++) {
        out[2 * i] = in[i] & 15;
        out[2 * i + 1] = in[i] >> 4;
    }
    if (n % 2)
        out[n - 1] = in[pairs] & 15;
}

static void unpack_quarters(const uint8_t *restrict in, size_t n, uint8_t *restrict out)
{
    for (size_t i = 0; i < n / 4; i++)
        for (int k = 0; k < 4; k++)
            out[4 * i + (size_t)k] = (in[i] >> (2 * k)) & 3;
    for (size_t i = n / 4 * 4; i < n; i++)
        out[i] = (in[i / 4] >> (2 * (i % 4))) & 3;
}

void bg_unpack_bits(const uint8_t *in, int bits, size_t n, uint8_t *out)
{
    size_t i = 0;
    if (bits == 8) {
        memcpy(out, in, n);
        return;
    }
    if (bits == 4) {
        unpack_nibbles(in, n, out);
        return;
    }
    if (bits == 2) {
        unpack_quarters(in, n, out);
        return;
    }
    for (; i + 8 <= n; i += 8) { /* eight fields fill `bits` whole bytes */
        uint64_t v = 0;
        memcpy(&v, in + i / 8 * (size_t)bits, (size_t)bits);
        for (int k = 0; k < 8; k++)
            out[i + (size_t)k] = (uint8_t)((v >> (k * bits)) & ((1u << bits) - 1));
    }
    bg_unpack_bits_ref(in + i / 8 * (size_t)bits, bits, n - i, out + i);
}

/* ---- codes to values ---- */

const float bg_e2m1_levels[256] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};

static float e4m3_levels[256];
static pthread_once_t e4m3_once = PTHREAD_ONCE_INIT;

static void make_e4m3(void)
{
    for (int i = 0; i < 256; i++)
        e4m3_levels[i] = bg_e4m3_to_f32((uint8_t)i);
}

const float *bg_e4m3_levels(void)
{
    pthread_once(&e4m3_once, make_e4m3);
    return e4m3_levels;
}

static int64_t group_at(const bg_packed *p, int64_t column)
{
    return p->group_of ? p->group_of[column] : column / p->group_size;
}

void bg_packed_combine_ref(const bg_packed *p, const bg_tile *t, float *out)
{
    for (int64_t r = 0; r < t->rows; r++)
        for (int64_t c = 0; c < t->cols; c++) {
            int64_t k = r * t->cols + c, g = r * t->groups + group_at(p, c);
            out[k] =
                p->levels ? p->levels[t->codes[k]] * t->scales[g] : ((float)t->codes[k] - t->zeros[g]) * t->scales[g];
        }
}

static void affine_run(const uint8_t *restrict codes, int64_t n, float scale, float zero, float *restrict out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = ((float)codes[i] - zero) * scale;
}

static void table_run(const uint8_t *restrict codes, int64_t n, float scale, const float *restrict levels, int count,
                      float *restrict out)
{
    float scaled[16];
    if (count > 16 || n < 16) {
        for (int64_t i = 0; i < n; i++)
            out[i] = levels[codes[i]] * scale;
        return;
    }
    for (int k = 0; k < 16; k++)
        scaled[k] = levels[k] * scale;
    for (int64_t i = 0; i < n; i++)
        out[i] = scaled[codes[i] & 15];
}

/* Act-order: the group changes from column to column. */
static void scattered_row(const bg_packed *p, const uint8_t *restrict codes, const float *restrict scales,
                          const float *restrict zeros, int64_t n, float *restrict out)
{
    const int32_t *restrict g = p->group_of;
    if (p->levels)
        for (int64_t i = 0; i < n; i++)
            out[i] = p->levels[codes[i]] * scales[g[i]];
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = ((float)codes[i] - zeros[g[i]]) * scales[g[i]];
}

void bg_packed_combine(const bg_packed *p, const bg_tile *t, float *out)
{
    int count = 1 << p->bits;
    for (int64_t r = 0; r < t->rows; r++) {
        const uint8_t *codes = t->codes + r * t->cols;
        const float *scales = t->scales + r * t->groups, *zeros = t->zeros + r * t->groups;
        float *to = out + r * t->cols;
        if (p->group_of) {
            scattered_row(p, codes, scales, zeros, t->cols, to);
            continue;
        }
        for (int64_t c = 0, g = 0; c < t->cols; c += p->group_size, g++) {
            int64_t n = t->cols - c < p->group_size ? t->cols - c : p->group_size;
            if (p->levels)
                table_run(codes + c, n, scales[g], p->levels, count, to + c);
            else
                affine_run(codes + c, n, scales[g], zeros[g], to + c);
        }
    }
}

/* ---- tiles ---- */

typedef void tile_sink(const bg_packed *p, const bg_tile *tile, void *out);

static int each_tile(const bg_tensor *t, int64_t first, int64_t n, tile_sink *sink, void *out, size_t width, bg_err *e)
{
    const bg_packed *p = t->layout;
    int64_t step = TILE_CODES / t->cols;
    step = step < 1 ? 1 : step > n ? n : step;
    size_t codes = (size_t)(step * t->cols), floats = (size_t)(step * p->groups);
    codes = (codes + 63) & ~(size_t)63;
    uint8_t *block = malloc(codes + 2 * floats * sizeof(float));
    if (!block)
        return bg_no_memory(e, t->name, codes + 2 * floats * sizeof(float));
    bg_tile tile = {.cols = t->cols, .groups = p->groups, .codes = block};
    tile.scales = (float *)(void *)(block + codes);
    tile.zeros = tile.scales + floats;
    int status = BG_OK;
    for (int64_t at = 0; !status && at < n; at += step) {
        tile.rows = n - at < step ? n - at : step;
        status = p->fill(t, first + at, &tile, e);
        if (!status)
            sink(p, &tile, (char *)out + (size_t)(at * t->cols) * width);
    }
    free(block);
    return status;
}

static void sink_values(const bg_packed *p, const bg_tile *tile, void *out)
{
    bg_packed_combine(p, tile, out);
}

static void sink_codes(const bg_packed *p, const bg_tile *tile, void *out)
{
    uint16_t *to = out;
    (void)p;
    for (int64_t i = 0; i < tile->rows * tile->cols; i++)
        to[i] = tile->codes[i];
}

static void sink_scales(const bg_packed *p, const bg_tile *tile, void *out)
{
    float *to = out;
    for (int64_t r = 0; r < tile->rows; r++)
        for (int64_t c = 0; c < tile->cols; c++)
            to[r * tile->cols + c] = tile->scales[r * tile->groups + group_at(p, c)];
}

int bg_packed_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    return each_tile(t, first, n, sink_values, out, sizeof *out, e);
}

int bg_packed_indices(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return each_tile(t, first, n, sink_codes, out, sizeof *out, e);
}

int bg_packed_scales(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    return each_tile(t, first, n, sink_scales, out, sizeof *out, e);
}

/* ---- claiming ---- */

bg_tensor *bg_packed_add(bg_load *l, const char *prefix, const char *suffix, const bg_format *f, const int64_t *shape,
                         int rank, size_t size, bg_err *e)
{
    char *name = NULL;
    bg_packed *p = calloc(1, size);
    if (!p || asprintf(&name, "%s%s", prefix, suffix) < 0) {
        free(p);
        bg_no_memory(e, prefix, size);
        return NULL;
    }
    bg_tensor *t = bg_load_add(l, name, f, e);
    free(name);
    if (!t) {
        free(p);
        return NULL;
    }
    t->layout = p;
    return bg_tensor_shape(t, shape, rank, e) ? NULL : t;
}

void bg_packed_take(bg_tensor *t, bg_part part, bg_raw *r)
{
    if (!r)
        return;
    t->bytes[part] += r->bytes;
    r->claimed = 1;
}

int bg_raw_wrong(const bg_store *s, const bg_raw *r, bg_err *e, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return bg_fail(e, BG_INPUT, "%s: tensor '%s': %s", s->files[r->file].path, r->name, what);
}

int bg_raw_expect(const bg_store *s, const bg_raw *r, bg_dtype dtype, int rank, int64_t d0, int64_t d1, bg_err *e)
{
    const int64_t wanted[2] = {d0, d1};
    if (dtype != BG_DTYPES && r->dtype != dtype)
        return bg_raw_wrong(s, r, e, "is %s, not %s", bg_dtypes[r->dtype].name, bg_dtypes[dtype].name);
    if (dtype == BG_DTYPES && !bg_dtypes[r->dtype].is_float)
        return bg_raw_wrong(s, r, e, "is %s, not a floating type", bg_dtypes[r->dtype].name);
    if (r->rank != rank)
        return bg_raw_wrong(s, r, e, "has %d dimensions, not %d", r->rank, rank);
    for (int i = 0; i < rank && i < 2; i++)
        if (wanted[i] >= 0 && r->shape[i] != wanted[i])
            return bg_raw_wrong(s, r, e,
                                "dimension %d is %lld where %lld is needed; the file and its configuration disagree", i,
                                (long long)r->shape[i], (long long)wanted[i]);
    return BG_OK;
}

int bg_raw_some(const bg_store *s, const bg_raw *r, int64_t first, int64_t n, float *out, bg_err *e)
{
    const bg_dtype_row *type = &bg_dtypes[r->dtype];
    size_t size = type->bits / 8;
    if (size > sizeof *out || !type->decode)
        return bg_raw_wrong(s, r, e, "%s cannot hold scales", type->name);
    char *raw = (char *)out + (size_t)n * (sizeof *out - size);
    int status = bg_raw_read(s, r, (uint64_t)first * size, raw, (uint64_t)n * size, e);
    if (!status)
        type->decode(raw, out, (size_t)n);
    return status;
}

int bg_raw_groups(const bg_store *s, const bg_raw *r, int64_t n, int64_t groups, int32_t *out, bg_err *e)
{
    int status = bg_raw_expect(s, r, BG_I32, 1, n, -1, e);
    if (!status)
        status = bg_raw_read(s, r, 0, out, (uint64_t)n * sizeof *out, e);
    for (int64_t i = 0; !status && i < n; i++)
        if (out[i] < 0 || out[i] >= groups)
            status = bg_raw_wrong(s, r, e, "group %d of input %lld is outside [0, %lld)", out[i], (long long)i,
                                  (long long)groups);
    return status;
}

int bg_raw_scalar(const bg_store *s, const bg_raw *r, float *out, bg_err *e)
{
    if (r->count != 1)
        return bg_raw_wrong(s, r, e, "has %llu elements where one is needed", (unsigned long long)r->count);
    return bg_raw_some(s, r, 0, 1, out, e);
}
