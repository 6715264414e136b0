/* Quantized checkpoints: a model's matrices under a spec, written so that other programs load them.
 *
 * Safetensors layouts make a directory: one shard a layer, each renamed into place when it is whole and stamped with a
 * key of everything that decides its content, so that a run that was interrupted goes on after the last whole shard.
 * GGUF is one file. Either is read back when it is done, and every quantized value compared with what was measured.
 */
#ifndef BG_ANALYSIS_CONVERSION_QUANTIZE_MODEL_H
#define BG_ANALYSIS_CONVERSION_QUANTIZE_MODEL_H

#include "analysis/conversion/layout.h"

typedef struct bg_quantized_tensor {
    const bg_tensor *tensor;
    const bg_spec *spec;
    double rate_bits, mse; /* rate as the spec counts it; mse of the weights as written */
    double power;          /* mean square of the weights */
    double clipped;        /* share of the weights; NaN: not counted */
    double output_mse;     /* tr((W−Ŵ)Σ(W−Ŵ)ᵀ)/R; NaN without calibration */
    double output_power;   /* tr(WΣWᵀ)/R; NaN without calibration */
    double babai_bound;    /* as in bg_measure; 0: not known */
    double bytes;          /* written for it */
    uint64_t hash;         /* of its values as written, in row order */
} bg_quantized_tensor;

typedef struct bg_quantized_model {
    bg_quantized_tensor *tensors; /* the quantized ones; malloc'ed */
    int n, shards, resumed;       /* resumed: shards that were there already */
    double bytes;                 /* of all tensors' data */
} bg_quantized_model;

/* Writes the shards, model.safetensors.index.json, config.json and the tokenizer's files into `directory`; or
 * model.gguf. */
int bg_quantize_model(const bg_ckpt *c, const bg_quantize_options *o, const char *directory, bg_quantized_model *out,
                      bg_err *e);
void bg_quantized_model_free(bg_quantized_model *q);

/* ---- the parts ---- */

/* Quantizes a tensor and adds what a file holds of it to the parcel. For layouts with a pack function. */
int bg_quantize_tensor(const bg_tensor *t, const bg_quantize_options *o, bg_parcel *parcel, bg_quantized_tensor *out,
                       bg_err *e);
/* w → hat [count] under o->spec, with rate, clipping and output error in *out; stored may be NULL. */
int bg_quantize_values(const bg_tensor *t, const bg_quantize_options *o, const float *w, float *hat, bg_stored *stored,
                       bg_quantized_tensor *out, bg_err *e);
/* A tensor of which nothing is known yet. */
bg_quantized_tensor bg_quantized_begin(const bg_tensor *t, const bg_spec *s);
/* mse, power and hash of hat [count], as it is written for w. */
void bg_quantized_judge(const float *w, const float *hat, bg_quantized_tensor *out);
/* output_power and, where it is not known, output_mse, with a calibration. */
int bg_quantized_outputs(const bg_quantize_options *o, const float *w, const float *hat, bg_quantized_tensor *out,
                         bg_err *e);
/* Quantizes a tensor into GGUF blocks: bytes [*size], malloc'ed, rows in the order of the file (head: rows of a head to
 * be paired; 0: as they are). */
int bg_quantize_blocks(const bg_tensor *t, const bg_quantize_options *o, int64_t head, uint8_t **bytes, size_t *size,
                       bg_quantized_tensor *out, bg_err *e);
/* GGUF type id that the spec is stored in. */
uint32_t bg_gguf_type_for(const bg_spec *s);
/* directory/model.gguf of all of the checkpoint's tensors; out->tensors are there, in the order of the checkpoint. */
int bg_quantize_gguf(const bg_ckpt *c, const bg_quantize_options *o, const char *path, bg_quantized_model *out,
                     bg_err *e);
/* Continues a hash over n values; 0 to begin. */
uint64_t bg_values_hash(uint64_t hash, const float *x, uint64_t n);

#endif
