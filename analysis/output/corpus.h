/* Text for a model: files and built-in sentences as token ids, cut into sequences.
 *
 *     bg_corpus t = {0};
 *     bg_corpus_read(ckpt, "data/text/test.txt", 0, &t, provenance, &e);
 *     bg_corpus_cut(&t, 512, 40, &e);               // 40 windows of 512 tokens, none shared, the rest left out
 *     bg_batch b = {.ids = t.ids, .lengths = t.lengths, .n = t.sequences};
 *     bg_corpus_free(&t);
 */
#ifndef BG_ANALYSIS_OUTPUT_CORPUS_H
#define BG_ANALYSIS_OUTPUT_CORPUS_H

#include "io/checkpoints/checkpoint.h"

typedef struct bg_corpus {
    int32_t *ids; /* all sequences, one after the other */
    int64_t n;
    int *lengths;    /* [sequences] */
    int sequences;   /* 1 after reading, the windows after cutting */
    size_t replaced; /* invalid UTF-8 sequences read as U+FFFD; a warning has said so */
    int64_t in_text; /* tokens before cutting */
    size_t bytes;    /* of the text */
} bg_corpus;

/* With the tokenizer that belongs to the checkpoint (its directory's tokenizer.json, or the GGUF file's own). `name` is
 * what errors call the text; special: with the begin token where the tokenizer adds one. BG_INPUT for an empty text. */
int bg_corpus_encode(const bg_ckpt *c, const char *text, size_t length, const char *name, int special, bg_corpus *out,
                     bg_err *e);
/* The same from a file, which is added to the provenance (may be NULL). */
int bg_corpus_read(const bg_ckpt *c, const char *path, int special, bg_corpus *out, bg_provenance *p, bg_err *e);
/* Ten short built-in sentences, a sequence each. */
int bg_corpus_sentences(const bg_ckpt *c, bg_corpus *out, bg_err *e);
/* Cuts one sequence into windows of `context` tokens that do not overlap, at most `most` of them (0: all); a tail
 * shorter than a window is left out, unless it is all there is. */
int bg_corpus_cut(bg_corpus *t, int context, int64_t max, bg_err *e);
/* sha256 of the ids as little-endian 32-bit numbers: two runs that print the same hash saw the same tokens. */
bg_sha256 bg_corpus_hash(const bg_corpus *t);
void bg_corpus_free(bg_corpus *t);

#endif
