/* Writing quantized matrices in the layouts that other programs load: GPTQ, AWQ, bitsandbytes, compressed-tensors.
 *
 *     bg_parcel p = {0};
 *     status = bg_pack_gptq(&p, "model.layers.0.mlp.up_proj", &codes, &e);
 *     …more modules, and bg_parcel_add for plain tensors…
 *     if (!status) status = bg_parcel_write(&p, "out/model.safetensors", &e);
 *     bg_parcel_free(&p);
 *
 * What is written decodes to the same bits as scale·(code − zero) with the scale rounded to the layout's type.
 */
#ifndef BG_IO_CHECKPOINTS_WRITERS_PACKED_WRITER_H
#define BG_IO_CHECKPOINTS_WRITERS_PACKED_WRITER_H

#include "io/checkpoints/writers/safetensors_writer.h"

/* A quantized matrix: ŵ = scale·(code − zero), or scale·levels[code] where the layout has a table. */
typedef struct bg_codes {
    int64_t rows, cols;
    int64_t group_size; /* weights of a row that share a scale; cols for a whole row; 0: one scale for all (only
                           compressed-tensors). bitsandbytes: block of the flattened tensor */
    int bits;
    const uint16_t *codes; /* [rows × cols], below 2^bits */
    const float *scales;   /* [rows × ⌈cols/group_size⌉]; bitsandbytes: [⌈rows·cols/group_size⌉] */
    const float *zeros;    /* the same shape, whole numbers in [0, 2^bits); NULL: 2^(bits−1) */
    const int32_t
        *column_group; /* [cols] group of each column where an order was chosen (act-order); NULL: consecutive */
} bg_codes;

/* Tensors that will stand in one file. */
typedef struct bg_parcel {
    bg_safetensors_entry *entries;
    void **data;
    int n, room;
} bg_parcel;

/* Adds a tensor; `data` (malloc'ed, of the size that shape and dtype say) becomes the parcel's, on failure too. */
int bg_parcel_add(bg_parcel *p, const char *prefix, const char *suffix, bg_dtype dtype, int rank, const int64_t *shape,
                  void *data, bg_err *e);
/* Adds a tensor whose data come later: data[] stays NULL, and bg_parcel_write cannot write it. */
int bg_parcel_promise(bg_parcel *p, const char *name, bg_dtype dtype, int rank, const int64_t *shape, bg_err *e);
/* Bytes of tensor i. */
uint64_t bg_parcel_bytes(const bg_parcel *p, int i);
int bg_parcel_write(const bg_parcel *p, const char *path, bg_err *e);
void bg_parcel_free(bg_parcel *p);

/* 2, 3, 4 or 8 bits, float16 scales, g_idx. Version 1 (format "gptq") stores zero − 1 with borrow, which not every
 * reader undoes when a zero point is 0; version 2 ("gptq_v2") stores it as it is. rows and cols are multiples of 32.
 * BG_USAGE names what the layout cannot hold. */
int bg_pack_gptq(bg_parcel *p, const char *module, const bg_codes *q, int version, bg_err *e);
/* 4 bits, GEMM order, float16 scales; rows a multiple of 8, cols of the group. */
int bg_pack_awq(bg_parcel *p, const char *module, const bg_codes *q, bg_err *e);
/* pack-quantized integers of 1 to 8 bits, scales of `scale` (F32, F16 or BF16), zero points only when q->zeros. */
int bg_pack_ct(bg_parcel *p, const char *module, const bg_codes *q, bg_dtype scale, bg_err *e);
/* NF4 (fp4 = 0) or FP4 codes with absolute maxima of blocks; `nested` quantizes the maxima once more, as QLoRA does.
 * `dtype` is what the loader rounds to: "float32", "float16", "bfloat16". */
int bg_pack_bnb(bg_parcel *p, const char *module, const bg_codes *q, int fp4, int nested, const char *dtype, bg_err *e);

#endif
