/* Packed formats in safetensors: what they share. A format unpacks a tile of rows into one byte a code, with the scales
 * and zero points of those rows; from there decoding, indices and scales are the same for all.
 *
 *     value = (code − zero)·scale            integers (GPTQ, AWQ, compressed-tensors, HQQ, int8)
 *     value = levels[code]·scale             tables (FP4, FP8)
 *
 * each operation rounded to float32. Internal to io/.
 */
#ifndef BG_IO_CHECKPOINTS_FORMATS_PACKED_H
#define BG_IO_CHECKPOINTS_FORMATS_PACKED_H

#include "io/checkpoints/loading.h"

typedef struct bg_tile {
    int64_t rows, cols, groups;
    uint8_t *codes; /* [rows × cols] */
    float *scales;  /* [rows × groups] */
    float *zeros;   /* [rows × groups]; not used with levels */
} bg_tile;

/* Fills the tile from row `first` on; tile->rows of them. Thread-safe. */
typedef int bg_tile_fill(const bg_tensor *t, int64_t first, bg_tile *tile, bg_err *e);

/* First member of a packed format's layout (one malloc'ed block). */
typedef struct bg_packed {
    bg_tile_fill *fill;
    int64_t groups, group_size; /* of a row: group of column i is group_of[i], or i / group_size */
    const int32_t *group_of;    /* [cols], inside the layout's block; NULL */
    const float *levels;        /* [256]; NULL: integers */
    int bits;                   /* of a code */
} bg_packed;

/* The three functions of a bg_format whose layouts begin with a bg_packed. */
int bg_packed_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e);
int bg_packed_indices(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e);
int bg_packed_scales(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e);

/* Values of a filled tile; _ref is the plain loop. */
void bg_packed_combine(const bg_packed *p, const bg_tile *t, float *out);
void bg_packed_combine_ref(const bg_packed *p, const bg_tile *t, float *out);

/* Unpacks n fields of b bits (1..8) of a little-endian bit string that begins at in[0]; reads only the bytes they
 * touch. */
void bg_unpack_bits(const uint8_t *in, int bits, size_t n, uint8_t *out);
void bg_unpack_bits_ref(const uint8_t *in, int bits, size_t n, uint8_t *out);

/* The 16 values of E2M1 and the 256 of a decoded 8-bit type, as level tables. */
extern const float bg_e2m1_levels[256];
const float *bg_e4m3_levels(void);

/* Starts a tensor named prefix + suffix: a layout of `size` bytes (zeroed, owned by the tensor), shape and format.
 * NULL: see e. */
bg_tensor *bg_packed_add(bg_load *l, const char *prefix, const char *suffix, const bg_format *f, const int64_t *shape,
                         int rank, size_t size, bg_err *e);
/* Counts a raw tensor's bytes under a part and claims it; NULL raw is nothing. */
void bg_packed_take(bg_tensor *t, bg_part part, bg_raw *r);

/* Checks of a raw tensor's type and shape (−1: any); BG_INPUT names file, tensor, what is and what should be. */
int bg_raw_expect(const bg_store *s, const bg_raw *r, bg_dtype dtype, int rank, int64_t d0, int64_t d1, bg_err *e);
/* BG_INPUT about a raw tensor. */
int bg_raw_wrong(const bg_store *s, const bg_raw *r, bg_err *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Reads `n` floats of a raw tensor of floats from element `first`. */
int bg_raw_some(const bg_store *s, const bg_raw *r, int64_t first, int64_t n, float *out, bg_err *e);
/* Reads g_idx-like [n] I32; each must lie in [0, groups). */
int bg_raw_groups(const bg_store *s, const bg_raw *r, int64_t n, int64_t groups, int32_t *out, bg_err *e);
/* The single value of a scalar or one-element tensor. */
int bg_raw_scalar(const bg_store *s, const bg_raw *r, float *out, bg_err *e);

/* What each format claims: `anchor` is the raw tensor whose name is prefix + the suffix of its row. A function that
 * finds the tensor is not its own leaves it unclaimed and returns BG_OK. */
typedef int bg_claim(bg_load *l, const char *prefix, bg_raw *anchor, bg_err *e);

/* clang-format off */
/* The packed formats: bg_format_NAME of each. To add one: its formats/NAME.c, its line here and its claim below. */
#define BG_PACKED_FORMATS(ROW) \
    ROW(gptq) \
    ROW(awq) \
    ROW(bnb) \
    ROW(bnb_8bit) \
    ROW(ct) \
    ROW(mx) \
    ROW(fp8) \
    ROW(hqq) \
    ROW(trellis)

/* Whether AutoRound packed integers in GPTQ's layout: with zero points of version 1 or 2; 0: no, or another program's. */
int bg_auto_round_version(const cJSON *quantization);

/* A raw tensor whose name ends so is the main part of a packed one, which bg_claim_NAME takes. The first row that claims
 * it has it. */
#define BG_CLAIMS(ROW) \
    ROW(".qweight", gptq) \
    ROW(".qweight", awq) \
    ROW(".weight_packed", ct) \
    ROW(".weight_packed", mx) \
    ROW(".quant_state.bitsandbytes__nf4", bnb_4bit) \
    ROW(".quant_state.bitsandbytes__fp4", bnb_4bit) \
    ROW(".SCB", bnb_8bit) \
    ROW("_blocks", mx) \
    ROW(".weight_scale", scaled) \
    ROW(".weight_scale_inv", scaled) \
    ROW(".W_q", hqq) \
    ROW(".weight_trellis", trellis)
/* clang-format on */

#define BG_DECLARE_FORMAT(name)        extern const bg_format bg_format_##name;
#define BG_DECLARE_CLAIM(suffix, name) bg_claim bg_claim_##name;
BG_PACKED_FORMATS(BG_DECLARE_FORMAT)
BG_CLAIMS(BG_DECLARE_CLAIM)

#endif
