/* A tokenizer.json as the metadata of a GGUF file. */
#ifndef BG_IO_TOKENIZER_TOKENIZER_GGUF_WRITER_H
#define BG_IO_TOKENIZER_TOKENIZER_GGUF_WRITER_H

#include "io/checkpoints/writers/gguf_writer.h"

/* A tokenizer.json as metadata: pairs[n] point into the rest, which is the tokenizer's own. */
typedef struct bg_gguf_tokenizer {
    bg_gguf_pair pairs[12];
    int n;
    cJSON *root;
    size_t size, n_merges, n_made; /* tokens; merges; strings that were put together */
    const char **tokens, **merges;
    double *types, *scores;
    char **made;
} bg_gguf_tokenizer;

/* Byte-level BPE and BPE with byte fallback; `config` (config.json) has the ids of the ends, `vocabulary` is the rows
 * of the embedding. BG_INPUT for what GGUF has no form for. The caller frees. */
int bg_gguf_tokenizer_read(const char *path, const cJSON *config, int vocabulary, bg_gguf_tokenizer *out, bg_err *e);
void bg_gguf_tokenizer_free(bg_gguf_tokenizer *t);

#endif
