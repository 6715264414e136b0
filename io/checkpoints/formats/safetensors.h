/* safetensors: a strict reader of the header, alone and in shards.
 * Source: huggingface/safetensors, README "Format" and src/tensor.rs (`Metadata::validate`).
 */
#ifndef BG_IO_CHECKPOINTS_FORMATS_SAFETENSORS_H
#define BG_IO_CHECKPOINTS_FORMATS_SAFETENSORS_H

#include "io/checkpoints/tensor_store.h"

/* Opens one .safetensors file and appends its tensors (unsorted). Refuses everything the format forbids: holes,
 * overlaps, trailing bytes, duplicate names, numbers that are not plain integers, nesting, sizes that do not agree. */
int bg_safetensors_add(bg_store *s, const char *path, bg_err *e);

/* Opens the shards that an index file (model.safetensors.index.json) names, and checks its map against them. */
int bg_safetensors_add_index(bg_store *s, const char *index_path, bg_err *e);

/* Parses a header text alone: what bg_safetensors_add does after reading it. `data_bytes` is the size of the buffer
 * behind it; `file` is stored in the tensors; offsets are made absolute by adding `data_start`. */
int bg_safetensors_parse(bg_store *s, const char *text, size_t length, uint64_t data_start, uint64_t data_bytes,
                         int file, bg_err *e);

/* Decodes elements [first, first+n) of a plain raw tensor to float32, in pieces, without allocating. Thread-safe. */
int bg_raw_decode(const bg_store *s, const bg_raw *r, uint64_t first, uint64_t n, float *out, bg_err *e);

extern const bg_format bg_format_safetensors, bg_format_conv1d;

#endif
