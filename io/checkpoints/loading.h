/* Loading a checkpoint: what a format uses to turn raw tensors into logical ones, and how code
 * outside io makes a checkpoint of its own. */
#ifndef BG_IO_CHECKPOINTS_LOADING_H
#define BG_IO_CHECKPOINTS_LOADING_H

#include "io/checkpoints/tensor_store.h"

struct bg_gguf;

typedef struct bg_load {
    bg_ckpt *ckpt;
    bg_store *store;
    struct bg_gguf *gguf;      /* metadata, when the files are GGUF */
    const cJSON *quantization; /* quantization_config of config.json; NULL */
    int room;
} bg_load;

/* Appends a logical tensor with copies of its name and storage; the format fills shape, bytes and layout and then calls
 * bg_tensor_shape. NULL: out of memory (said in e). The pointer lives until the next call. */
bg_tensor *bg_load_add(bg_load *l, const char *name, const bg_format *format, bg_err *e);
/* Sets rank, shape, rows, cols, count. BG_INPUT on overflow. */
int bg_tensor_shape(bg_tensor *t, const int64_t *shape, int rank, bg_err *e);
/* Formats the text for people; BG_RESOURCE when memory is out. */
int bg_tensor_storage(bg_tensor *t, bg_err *e, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Frees what a tensor owns. */
void bg_tensor_release(bg_tensor *t);

/* Adds a raw tensor as it is, under `name`. turned: stored [in, out] and to be read as [out, in]. */
int bg_load_plain(bg_load *l, bg_raw *r, const char *name, int turned, bg_err *e);

/* Fills an empty checkpoint with the tensors that `name` stands for. A tensor whose role it sets keeps that
 * role and its layer; the names of the others decide. */
typedef int bg_ckpt_fill(bg_load *l, const char *name, bg_err *e);
/* A checkpoint that does not come from a file: `fill` makes its tensors, and whatever bg_ckpt_open does after reading
 * (roles, --include and --exclude, order, unique names) is done to them. Title and path are `name`. The caller frees
 * *out with bg_ckpt_close; a tensor's `layout` is freed then. */
int bg_ckpt_build(const char *name, bg_ckpt_fill *fill, const bg_ckpt_options *options, bg_ckpt **out, bg_err *e);

/* Experts stored together become matrices of their own (formats/split_experts.c). After all tensors are listed. */
int bg_split_experts(bg_load *l, bg_err *e);

/* config.json of a directory, with the quantization descriptions that older writers put beside it. *out NULL: none. */
int bg_config_read(const char *directory, cJSON **out, bg_err *e);

/* Path of `org/name` in the local Hugging Face cache (malloc'ed), or NULL. No error: the caller says what was not
 * found. */
char *bg_hub_find(const char *name);

/* Place of a role in the order of a layer, for sorting. */
int bg_role_order(const char *role);
/* Is it a weight matrix of the study? */
int bg_role_is_linear(const char *role);

#endif
