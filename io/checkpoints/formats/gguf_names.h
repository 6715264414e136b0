/* What llama.cpp's converter does to a family of models: names, orders of rows, and keys of the config that the file
 * does not hold. Internal to the GGUF format. */
#ifndef BG_IO_CHECKPOINTS_FORMATS_GGUF_NAMES_H
#define BG_IO_CHECKPOINTS_FORMATS_GGUF_NAMES_H

#include "io/checkpoints/formats/gguf_container.h"
#include "io/checkpoints/loading.h"

typedef struct bg_gguf_renaming {
    const char *gguf, *name; /* modules without ".weight" or ".bias"; with a dot in `gguf` they are whole */
} bg_gguf_renaming;

typedef struct bg_gguf_family {
    const char *architecture; /* general.architecture */
    const char *when;   /* the key "ARCHITECTURE.when" must be there and not 0; a leading '#': a tensor's ending */
    const char *type;   /* model_type */
    int pairs;          /* q and k rows stand in pairs */
    int splits_qkv;     /* [q k v] of each head are stored [all q | all k | all v] */
    const char *layers; /* NULL: "model.layers." */
    const bg_gguf_renaming *own; /* before the common ones; ends with NULL */
    const char *config;          /* JSON of keys that follow from the architecture; NULL */
} bg_gguf_family;

/* The family of a file; NULL: none that is known. `l` may be NULL, then conditions are not met. */
const bg_gguf_family *bg_gguf_family_of(const char *architecture, const bg_gguf *g, const bg_load *l);
/* "blk.3.attn_q.weight" → "model.layers.3.self_attn.q_proj.weight"; a name without counterpart stays. malloc'ed. */
char *bg_gguf_to_name(const bg_gguf_family *f, const char *name);
/* Gives the load's checkpoint a config with Hugging Face keys. `f` may be NULL. */
int bg_gguf_config(bg_load *l, const bg_gguf *g, const bg_gguf_family *f, const char *architecture, bg_err *e);

#endif
