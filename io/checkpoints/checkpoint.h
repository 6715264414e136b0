/* Checkpoints: any model on disk as a list of tensors under their Hugging Face names, decoded row by row on demand.
 *
 *     bg_ckpt *c;
 *     if (bg_ckpt_open("data/austen-3.7m", &(bg_ckpt_options){0}, &c, &e)) …
 *     for (int i = 0; i < c->n_tensors; i++) {
 *         const bg_tensor *t = &c->tensors[i];
 *         bg_tensor_rows(t, 0, t->rows, out, &e);
 *     }
 *     bg_ckpt_close(c);
 *
 * A model is never copied whole: bg_tensor_rows reads with pread in pieces into the caller's buffer (any thread), and
 * memory is the caller's tile. A format is one file formats/NAME.c and one row of bg_formats; it says how a logical
 * tensor is laid out in the file and decodes rows of it to float32, bit for bit as formats are defined.
 */
#ifndef BG_IO_CHECKPOINTS_CHECKPOINT_H
#define BG_IO_CHECKPOINTS_CHECKPOINT_H

#include "io/documents/document.h"
#include "io/base/dtype.h"

enum { BG_MAX_RANK = 8 };

/* What the stored bytes of a tensor are for: the true rate is their sum. */
typedef enum bg_part {
    BG_PART_INDICES, /* the codes (for a plain tensor: its elements) */
    BG_PART_SCALES,
    BG_PART_ZEROS, /* zero points and minima */
    BG_PART_CODEBOOK,
    BG_PART_ORDER, /* g_idx, permutations, positions */
    BG_PART_PADDING,
    BG_PART_METADATA, /* descriptions that belong to this tensor */
    BG_PARTS
} bg_part;
extern const char *const bg_part_names[BG_PARTS];

typedef struct bg_tensor bg_tensor;
typedef struct bg_ckpt bg_ckpt;

typedef struct bg_format {
    const char *name; /* "safetensors", "gguf", "gptq", "awq", "bitsandbytes", "compressed-tensors", … */
    const char *help;
    /* Decodes rows [first, first+n) of the matrix to out[n × cols]. Thread-safe. */
    int (*rows)(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e);
    /* The stored codes of those rows, as unsigned numbers; NULL for plain formats. */
    int (*indices)(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e);
    /* The scale that multiplies each weight of those rows, for the split of the error; NULL where there is none. */
    int (*scales)(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e);
    /* The stored 16-bit elements of those rows of a BF16 or F16 tensor; NULL where there are none. */
    int (*codes16)(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e);
    void (*release)(bg_tensor *t); /* of what the layout points to, before the layout itself is freed; NULL: nothing */
    int borrows_layout;            /* its tensors' layouts are raw tensors of the store, not blocks of their own */
} bg_format;

/* A logical tensor: what the model computes with, however it is stored. */
struct bg_tensor {
    const char *name; /* Hugging Face name, e.g. model.layers.0.mlp.down_proj.weight */
    const char *role; /* "mlp.down_proj", "attn.q_proj", "attn.qkv_proj", "embed", "lm_head", "norm", "bias", "other" */
    int layer;        /* −1 outside the layers */
    int expert;       /* −1: of none */
    int is_linear;    /* a weight matrix of the study: the roles above except norm, bias, other */
    int rank;
    int64_t shape[BG_MAX_RANK]; /* logical, row-major, [out, in] for every linear layer (GPT-2's are turned) */
    int64_t rows, cols;         /* as a matrix: cols is the last dimension, rows all others; a vector is one row */
    uint64_t count;             /* rows × cols */
    bg_dtype dtype;             /* of plain elements; BG_PACKED otherwise */
    const char *storage;        /* for people: "BF16", "Q4_K", "GPTQ 4-bit g128 act-order", "NF4 b64 nested" */
    uint64_t bytes[BG_PARTS];   /* stored bytes by purpose; bg_tensor_bytes adds them */
    int index_levels;           /* how many codes there are (16 for 4 bits); 0 for plain */
    int group_size;             /* weights that share a scale; 0: none, −1: a row */
    const float *levels; /* [index_levels] what a code is worth in units of its scale; NULL: value = scale·code + an
                            offset that its group shares */
    const bg_format *format;
    const bg_ckpt *ckpt;
    void *layout; /* the format's own */
};

typedef struct bg_ckpt_options {
    const char *include, *exclude; /* regular expressions on names (PCRE2, unanchored); NULL: all, none */
} bg_ckpt_options;

struct bg_ckpt {
    char *path;  /* as opened (a hub name is resolved) */
    char *title; /* last path component (of model.gguf and model.safetensors the directory), or the name given to
                    bg_ckpt_build */
    const bg_format *container;
    cJSON *config;      /* config.json, or GGUF metadata as an object of the same keys; NULL: a bare file */
    bg_tensor *tensors; /* in order of (layer, role, name); names unique */
    int n_tensors;
    uint64_t file_bytes;     /* of all its weight files */
    uint64_t overhead_bytes; /* of them, headers and alignment that belong to no tensor */
    void *impl;
};

/* PATH: a Hugging Face directory, a .safetensors or .gguf file, or `org/name` in the local hub cache. (What a user
 * names may also be a synthetic source: bg_weights_open of quant/source.) */
int bg_ckpt_open(const char *path, const bg_ckpt_options *options, bg_ckpt **out, bg_err *e);
void bg_ckpt_close(bg_ckpt *c);
/* By Hugging Face name; NULL if absent. A tied lm_head is not a tensor of its own. */
const bg_tensor *bg_ckpt_find(const bg_ckpt *c, const char *name);
/* Adds its weight files (by header hash) and config to the provenance. */
int bg_ckpt_provenance(const bg_ckpt *c, bg_provenance *p, bg_err *e);

int bg_tensor_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e);
/* Raw 16-bit codes of rows of a BF16 or F16 tensor (for exact histograms): BG_USAGE for another dtype. */
int bg_tensor_codes16(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e);
uint64_t bg_tensor_bytes(const bg_tensor *t);

/* Role of a tensor from its name. Returns the role (a literal) and sets *layer. */
const char *bg_role_of(const char *name, int *layer);

/* Its expert, −1: of none. */
int bg_role_expert(const char *name);

extern const bg_format *const bg_formats[]; /* ends with NULL */

#endif
