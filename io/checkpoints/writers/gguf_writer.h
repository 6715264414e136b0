/* Writing GGUF version 3: metadata, tensor list, data in the order of the entries; and the reference encoders of its
 * block types (ggml-org/ggml src/ggml-quants.c), which make the same bytes as the C library.
 */
#ifndef BG_IO_CHECKPOINTS_WRITERS_GGUF_WRITER_H
#define BG_IO_CHECKPOINTS_WRITERS_GGUF_WRITER_H

#include "io/checkpoints/formats/gguf_container.h"

typedef enum bg_gguf_kind {
    BG_GGUF_U32 = 4,
    BG_GGUF_I32 = 5,
    BG_GGUF_F32 = 6,
    BG_GGUF_BOOL = 7,
    BG_GGUF_STRING = 8
} bg_gguf_kind;

typedef struct bg_gguf_pair {
    const char *key;
    bg_gguf_kind kind;
    double number;    /* of U32, I32, F32, BOOL */
    const char *text; /* of STRING */
    int is_array;     /* `n` elements of the kind: */
    size_t n;
    const char *const *texts; /* of STRING */
    const double *numbers;    /* of the others */
} bg_gguf_pair;

typedef struct bg_gguf_entry {
    const char *name; /* as GGUF has it, at most 63 bytes */
    uint32_t type;    /* id of a block type */
    int rank;         /* at most 4 */
    int64_t shape[4]; /* row-major, as everywhere in Bitgap; the last dimension is made of whole blocks */
} bg_gguf_entry;

typedef struct bg_gguf_writer {
    bg_out out;
    const bg_gguf_entry *entries;
    int n, at;
    uint64_t left; /* bytes of the current tensor still to come */
} bg_gguf_writer;

int bg_gguf_begin(bg_gguf_writer *w, const char *path, const bg_gguf_pair *pairs, int n_pairs,
                  const bg_gguf_entry *entries, int n, bg_err *e);
/* Bytes of the current tensor, or of it and the next ones, in order. */
int bg_gguf_put(bg_gguf_writer *w, const void *data, uint64_t bytes, bg_err *e);
int bg_gguf_commit(bg_gguf_writer *w, bg_err *e);
void bg_gguf_abandon(bg_gguf_writer *w);

/* Encodes n weights (whole blocks) of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0. BG_USAGE for another type. */
int bg_gguf_encode(uint32_t type, const float *x, int64_t n, uint8_t *out, bg_err *e);
/* Of a block of Q2_K to Q6_K, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, MXFP4 or NVFP4, what its type has of these. */
typedef struct bg_gguf_fields {
    float d, dmin; /* float16 values */
    int16_t scale[16],
        minimum[16]; /* integers of the sub-blocks, as they multiply d and dmin; of MXFP4 and NVFP4 the bytes */
    uint8_t q[256];  /* codes as stored, unsigned */
} bg_gguf_fields;
/* One block. BG_USAGE for another type. */
int bg_gguf_pack_fields(uint32_t type, const bg_gguf_fields *f, uint8_t *out, bg_err *e);
/* Packs codes that were chosen elsewhere: one scale (and, for Q4_1 and Q5_1, one minimum) a block, rounded to float16.
 * Codes of Q8_0 are offset by 128, of Q4_0 by 8, of Q5_0 by 16, as bg_format.indices reads them. */
int bg_gguf_pack(uint32_t type, const uint16_t *codes, const float *scales, const float *minima, int64_t blocks,
                 uint8_t *out, bg_err *e);

#endif
