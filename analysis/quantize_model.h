/* Quantized checkpoints: a model's matrices under a spec, written as a directory that other programs load.
 *
 * Layouts: `dense`, the reconstructed weights in a plain float type, which everything loads; `compressed-tensors`, the packed
 * integers of a uniform spec (llm-compressor, vLLM, transformers), which read back bit for bit.
 *
 * One shard a layer, each renamed into place when it is whole and stamped with a key of everything that decides its
 * content: a run that was interrupted goes on after the last whole shard.
 */
#ifndef BG_ANALYSIS_QUANTIZE_MODEL_H
#define BG_ANALYSIS_QUANTIZE_MODEL_H

#include "analysis/calibration.h"

typedef enum bg_layout { BG_LAYOUT_DENSE, BG_LAYOUT_COMPRESSED_TENSORS, BG_LAYOUTS } bg_layout;
extern const char *const bg_layout_names[BG_LAYOUTS];

typedef struct bg_quantize_options {
    const bg_spec *spec;
    bg_layout layout;
    bg_dtype dtype;          /* of dense matrices: BG_F32, BG_F16, BG_BF16; BG_DTYPES: each tensor's own */
    bg_calibration *calibration; /* NULL */
    const char *calibration_hash; /* of it; "" */
    uint64_t seed;
} bg_quantize_options;

typedef struct bg_quantized_tensor {
    const bg_tensor *tensor;
    double rate_bits, mse, output_mse; /* output_mse NaN without calibration; mse of the weights as written */
    double bytes;                      /* written for it */
} bg_quantized_tensor;

typedef struct bg_quantized {
    bg_quantized_tensor *tensors; /* the quantized ones; malloc'ed */
    int n, shards, resumed;       /* resumed: shards that were there already */
    double bytes;                 /* of all shards' data */
} bg_quantized;

/* Can this spec be stored in the layout? BG_USAGE says why not. */
int bg_layout_check(bg_layout layout, const bg_spec *s, bg_err *e);
/* Is this tensor one that quantize changes: a matrix of the study inside the layers, called ….weight? */
int bg_quantize_takes(const bg_tensor *t);
/* Writes the shards, model.safetensors.index.json, config.json and the tokenizer's files into `directory`. */
int bg_quantize_model(const bg_ckpt *c, const bg_quantize_options *o, const char *directory, bg_quantized *out, bg_err *e);
void bg_quantized_free(bg_quantized *q);

/* ---- the parts, for their tests ---- */

/* One tensor as it goes into a file. */
typedef struct bg_piece {
    char name[512];
    bg_dtype dtype;
    int rank;
    int64_t shape[2];
    void *data; /* malloc'ed */
    size_t bytes;
} bg_piece;
enum { BG_PIECES_MOST = 5 };

/* Quantizes a tensor and lays it out: up to BG_PIECES_MOST pieces, the caller's to free. */
int bg_quantize_tensor(const bg_tensor *t, const bg_quantize_options *o, bg_piece *pieces, int *n,
                       bg_quantized_tensor *out, bg_err *e);

#endif
