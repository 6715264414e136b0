/* A store: the weight files of one checkpoint and the raw tensors in them, as a container format lists them.
 * Quantized formats combine several raw tensors (codes, scales, zero points) into one logical tensor of
 * io/checkpoints/checkpoint.h.
 */
#ifndef BG_IO_CHECKPOINTS_TENSOR_STORE_H
#define BG_IO_CHECKPOINTS_TENSOR_STORE_H

#include "io/checkpoints/checkpoint.h"

typedef struct bg_store_file {
    int fd;
    char *path;
    uint64_t size, data_start; /* bytes; the header ends at data_start */
    const char *name;          /* the last component of path */
    const char *map;           /* the whole file, once bg_store_map asked for it; NULL */
} bg_store_file;

typedef struct bg_raw {
    char *name;     /* as stored */
    bg_dtype dtype; /* BG_PACKED for GGUF's block types */
    int kind;       /* GGUF type number; −1 in safetensors */
    int rank;
    int64_t shape[BG_MAX_RANK]; /* row-major: the last dimension is contiguous */
    uint64_t count;             /* elements */
    uint64_t offset, bytes;     /* place in the file */
    int file;
    int claimed; /* belongs to a logical tensor already */
} bg_raw;

typedef struct bg_store {
    bg_store_file *files;
    int n_files;
    bg_raw *raws; /* sorted by name once bg_store_sort has run */
    int n_raws, room;
    const bg_tensor **index; /* logical tensors by name, for bg_ckpt_find */
    bg_tensor **sources;     /* tensors that others are cut from */
    int n_sources;
} bg_store;

/* Opens a regular file for reading and appends it; *index receives its place. */
int bg_store_open(bg_store *s, const char *path, int *index, bg_err *e);
/* Appends a zeroed raw tensor; the store owns it and its name. NULL: out of memory. The pointer lives until the next
 * call. */
bg_raw *bg_store_add(bg_store *s);
/* Sorts by name; BG_INPUT when a name occurs twice. */
int bg_store_sort(bg_store *s, bg_err *e);
/* By name (binary search); NULL if absent. */
bg_raw *bg_store_find(const bg_store *s, const char *name);
/* bg_store_find of the names "prefix" + "suffix". */
bg_raw *bg_store_find2(const bg_store *s, const char *prefix, const char *suffix);
void bg_store_free(bg_store *s);

/* Maps the file that holds r. For layouts whose rows are spread over the file, where a pread for each piece would be a
 * system call for a few weights. Not being able to is no error: reads then use pread. */
void bg_store_map(bg_store *s, const bg_raw *r);
/* Lets go of the mapped pages of r (they stay in the page cache); later reads fetch them again. */
void bg_raw_release(const bg_store *s, const bg_raw *r);

/* Reads `length` bytes from byte `at` of a raw tensor. Thread-safe. Asking beyond its end is BG_INPUT. */
int bg_raw_read(const bg_store *s, const bg_raw *r, uint64_t at, void *out, uint64_t length, bg_err *e);
/* Reads a whole raw tensor as float32 (malloc'ed, the caller frees). BG_INPUT when its type has no values. */
int bg_raw_floats(const bg_store *s, const bg_raw *r, float **out, bg_err *e);
/* Reads all bytes of a raw tensor, with a NUL byte after them (malloc'ed, the caller frees). */
int bg_raw_bytes(const bg_store *s, const bg_raw *r, void **out, bg_err *e);

/* Elements of a shape into *count and bytes into *bytes; BG_INPUT on overflow or a broken byte. */
int bg_shape_size(const int64_t *shape, int rank, unsigned bits, uint64_t *count, uint64_t *bytes, bg_err *e);

#endif
