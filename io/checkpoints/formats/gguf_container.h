/* GGUF (ggml-org/ggml docs/gguf.md, versions 2 and 3): the container, its metadata, and its block types.
 *
 * Metadata on its own, as a tokenizer wants it:
 *
 *     bg_gguf *g;
 *     if (!bg_gguf_open("model.gguf", &g, &e)) {
 *         bg_gguf_text *tokens; size_t n;
 *         bg_gguf_texts(g, "tokenizer.ggml.tokens", &tokens, &n, &e);
 *         bg_gguf_close(g);
 *     }
 */
#ifndef BG_IO_CHECKPOINTS_FORMATS_GGUF_CONTAINER_H
#define BG_IO_CHECKPOINTS_FORMATS_GGUF_CONTAINER_H

#include "io/checkpoints/tensor_store.h"

/* ---- metadata ---- */

typedef struct bg_gguf bg_gguf;

/* A string of the file: not NUL-terminated, any bytes. Lives as long as the bg_gguf. */
typedef struct bg_gguf_text {
    const char *text;
    size_t length;
} bg_gguf_text;

/* Reads and checks the header of a file. The caller closes *out. */
int bg_gguf_open(const char *path, bg_gguf **out, bg_err *e);
void bg_gguf_close(bg_gguf *g);

int bg_gguf_has(const bg_gguf *g, const char *key);
/* Each leaves *out alone and returns BG_OK when the key is absent; a value of another kind is BG_INPUT. */
int bg_gguf_integer(const bg_gguf *g, const char *key, int64_t *out, bg_err *e); /* any integer type that fits */
int bg_gguf_number(const bg_gguf *g, const char *key, double *out, bg_err *e);   /* integers and floats */
int bg_gguf_bool(const bg_gguf *g, const char *key, int *out, bg_err *e);
int bg_gguf_string(const bg_gguf *g, const char *key, bg_gguf_text *out, bg_err *e);
/* Arrays: *out is malloc'ed (the caller frees it; texts point into g), NULL and *n = 0 when the key is absent. */
int bg_gguf_texts(const bg_gguf *g, const char *key, bg_gguf_text **out, size_t *n, bg_err *e);
int bg_gguf_numbers(const bg_gguf *g, const char *key, double **out, size_t *n, bg_err *e);
/* As bg_gguf_integer; of an array, element `index`. For values that may be one for all layers or one per layer. */
int bg_gguf_integer_at(const bg_gguf *g, const char *key, size_t index, int64_t *out, bg_err *e);

/* Opens the file in a store and appends its tensors (unsorted). *out may be NULL; otherwise the caller closes it. */
int bg_gguf_add(bg_store *s, const char *path, bg_gguf **out, bg_err *e);

/* ---- block types ---- */

/* One weight of a block: value = scale·q − minimum, evaluated in float32 in that order. */
typedef struct bg_gguf_element {
    unsigned code; /* as stored, unsigned */
    float q;       /* the integer or table value that is scaled */
    float scale, minimum;
} bg_gguf_element;

typedef struct bg_gguf_type {
    const char *name;
    int block, bytes;            /* weights and bytes of a block; bytes 0: removed or unknown id */
    bg_dtype dtype;              /* of plain elements; BG_PACKED otherwise */
    int scale_bytes, zero_bytes; /* of the block; the rest are indices */
    int levels;                  /* codes of a weight */
    const float *table;          /* [levels] of table types: q of a code; NULL: q = code + a constant */
    int group;                   /* weights that share a scale */
    void (*element)(const uint8_t *block, int n, bg_gguf_element *out); /* NULL: cannot be decoded */
    void (*decode)(const uint8_t *blocks, float *out,
                   size_t n_blocks); /* tuned; equals bg_gguf_decode_ref bit for bit */
} bg_gguf_type;

/* NULL for removed and unknown ids. */
const bg_gguf_type *bg_gguf_type_of(uint32_t id);
/* By name ("Q4_K"); *id (may be NULL) receives its number. NULL if unknown. */
const bg_gguf_type *bg_gguf_type_named(const char *name, uint32_t *id);
/* The codes of whole blocks, and the scale of each weight. */
void bg_gguf_codes(const bg_gguf_type *t, const uint8_t *blocks, uint16_t *out, size_t n_blocks);
void bg_gguf_scales(const bg_gguf_type *t, const uint8_t *blocks, float *out, size_t n_blocks);
/* Plain decoder: one weight after the other, from the definition. */
void bg_gguf_decode_ref(const bg_gguf_type *t, const uint8_t *blocks, float *out, size_t n_blocks);

/* ---- checkpoints ---- */

struct bg_load;
/* Turns the GGUF raw tensors of the load's store into logical ones under Hugging Face names, rotary permutation undone,
 * and makes the config. `g` is the metadata of the (first) file. */
int bg_gguf_load(struct bg_load *l, const bg_gguf *g, bg_err *e);
/* GGUF's name of a tensor of Hugging Face's, in files of the architecture llama, qwen2 or qwen3; malloc'ed, NULL: none.
 */
char *bg_gguf_name_of(const char *name, const char *architecture);
/* Where row r stands in the file when heads of `head` rows are paired; 0: as it is. */
int64_t bg_gguf_stored_row(int64_t head, int64_t r);
/* Name of the pre-tokenizer that cuts text with a pattern, and every digit off before it; NULL: there is none. */
const char *bg_gguf_pre_name(const char *regex, int digits);

extern const bg_format bg_format_gguf;

#endif
