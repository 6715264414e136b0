/* Tokenizer: text to token ids and back, as the model was trained with.
 *
 *     bg_tokenizer *t;
 *     if (bg_tokenizer_open("data/austen-3.7m", &t, &e)) …
 *     bg_ids ids;
 *     bg_tokenizer_encode(t, text, length, 1, &ids, &e);
 *     for (size_t i = 0; i < ids.n; i++) … ids.id[i] …
 *     bg_ids_free(&ids);
 *     bg_tokenizer_close(t);
 *
 * Reads Hugging Face's tokenizer.json (BPE: byte-level as in GPT-2, Llama 3 and Qwen2, or SentencePiece style with byte
 * fallback as in Llama 2, Mistral and Gemma) and the tokenizer metadata of a GGUF file. The parts of the pipeline are
 * one file each, tokenizer_*.c; tokenizer_parts.h has the map. An open tokenizer is never written to: any number of
 * threads may encode with it.
 */
#ifndef BG_IO_TOKENIZER_TOKENIZER_H
#define BG_IO_TOKENIZER_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>
#include "io/base/error.h"

typedef struct bg_tokenizer bg_tokenizer;

typedef struct bg_ids {
    int32_t *id; /* malloc'ed; bg_ids_free */
    size_t n;
    size_t replaced; /* invalid UTF-8 sequences of the text that were read as U+FFFD */
} bg_ids;
void bg_ids_free(bg_ids *ids);

/* PATH: a directory with a tokenizer.json, such a file itself, a .safetensors file beside one, or a GGUF file. BG_INPUT
 * names the file and, for an unknown kind of model, normalizer, pre-tokenizer, decoder or post-processor, that kind. */
int bg_tokenizer_open(const char *path, bg_tokenizer **out, bg_err *e);
/* The same from the text of a tokenizer.json in memory (text[length] must be NUL); `name` is what errors call it. */
int bg_tokenizer_parse(const char *text, size_t length, const char *name, bg_tokenizer **out, bg_err *e);
void bg_tokenizer_close(bg_tokenizer *t);

/* Encodes text[0..length). with_special: as the post-processor says, e.g. a begin token in front. Added tokens such as
 * <|end_of_text|> are recognised in the text either way (in a GGUF of SentencePiece kind: only user-defined ones, as
 * sentencepiece does). Invalid UTF-8 is replaced by U+FFFD, one for each maximal invalid sequence, and counted. */
int bg_tokenizer_encode(const bg_tokenizer *t, const char *text, size_t length, int with_special, bg_ids *out,
                        bg_err *e);

/* Text of ids (malloc'ed, one NUL behind *length bytes; valid UTF-8). skip_special leaves special tokens out. An id
 * outside the vocabulary is BG_INPUT. */
int bg_tokenizer_decode(const bg_tokenizer *t, const int32_t *ids, size_t n, int skip_special, char **text,
                        size_t *length, bg_err *e);

/* One more than the largest id. */
int32_t bg_tokenizer_size(const bg_tokenizer *t);
/* Id of a token as the vocabulary spells it ("Ġthe"), or −1. */
int32_t bg_tokenizer_find(const bg_tokenizer *t, const char *token, size_t length);
/* Its spelling (not NUL-terminated, lives as long as t); NULL where the vocabulary has a hole. */
const char *bg_tokenizer_string(const bg_tokenizer *t, int32_t id, size_t *length);
int bg_tokenizer_is_special(const bg_tokenizer *t, int32_t id);
/* Ids of the begin and end tokens, −1 where neither the tokenizer nor the files beside it name one. */
int32_t bg_tokenizer_bos(const bg_tokenizer *t);
int32_t bg_tokenizer_eos(const bg_tokenizer *t);

#endif
