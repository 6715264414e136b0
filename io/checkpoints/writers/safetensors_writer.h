/* Writing safetensors: the entries are declared first, then their data follow in the same order, in pieces of any size.
 *
 *     bg_safetensors_entry one = {.name = "logits", .dtype = BG_F32, .rank = 2, .shape = {tokens, vocabulary}};
 *     bg_safetensors_writer w;
 *     status = bg_safetensors_begin(&w, "logits.safetensors", &one, 1, NULL, &e);
 *     for (…; !status; …) status = bg_safetensors_put(&w, rows, bytes, &e);
 *     if (!status) status = bg_safetensors_commit(&w, &e);
 *     bg_safetensors_abandon(&w);   // no harm after a commit; removes the half-written file otherwise
 */
#ifndef BG_IO_CHECKPOINTS_WRITERS_SAFETENSORS_WRITER_H
#define BG_IO_CHECKPOINTS_WRITERS_SAFETENSORS_WRITER_H

#include "io/checkpoints/checkpoint.h"

typedef struct bg_safetensors_entry {
    const char *name;
    bg_dtype dtype;
    int rank;
    int64_t shape[BG_MAX_RANK];
} bg_safetensors_entry;

typedef struct bg_safetensors_writer {
    bg_out out;
    uint64_t expected, written; /* bytes of data */
} bg_safetensors_writer;

/* metadata: NULL, or keys and values in turn, ending with NULL. BG_RESOURCE when the file cannot be written. */
int bg_safetensors_begin(bg_safetensors_writer *w, const char *path, const bg_safetensors_entry *entries, int n,
                         const char *const *metadata, bg_err *e);
int bg_safetensors_put(bg_safetensors_writer *w, const void *data, uint64_t bytes, bg_err *e);
/* Renames the file into place; an incomplete file is never left behind. */
int bg_safetensors_commit(bg_safetensors_writer *w, bg_err *e);
void bg_safetensors_abandon(bg_safetensors_writer *w);

#endif
