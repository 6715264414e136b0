/* Owns the way from text to the token sequences a measurement runs on. */
#define _GNU_SOURCE
#include "analysis/output/corpus.h"

#include <stdlib.h>
#include <string.h>
#include "io/tokenizer/tokenizer.h"

enum { TEXT_LIMIT = 1 << 30 };

static const char *const sentences[] = {
    "The committee met on Tuesday to discuss the new bridge over the river.",
    "Water boils at one hundred degrees Celsius at sea level.",
    "She opened the letter slowly, as though it might still be warm.",
    "To sort a list, compare neighbouring items and swap those that are out of order.",
    "In 1869 the first railway across the continent was finished.",
    "\"Why did you come back?\" he asked, and nobody in the room answered.",
    "The price of bread rose by twelve percent between March and October.",
    "Cells divide, and each half carries a full copy of the instructions.",
    "If the train is late, we will wait by the clock above the main stairs.",
    "Add two cups of flour, a pinch of salt, and stir until the dough is smooth.",
};

enum { SENTENCES = sizeof sentences / sizeof *sentences };

/* A lone .safetensors file has its tokenizer beside it. */
static int open_tokenizer(const bg_ckpt *c, bg_tokenizer **out, bg_err *e)
{
    size_t n = strlen(c->path);
    if (bg_is_directory(c->path) || n < 12 || strcmp(c->path + n - 12, ".safetensors"))
        return bg_tokenizer_open(c->path, out, e);
    size_t at = (size_t)(bg_path_base(c->path) - c->path);
    char *folder = at ? strndup(c->path, at) : strdup(".");
    if (!folder)
        return bg_no_memory(e, "a path", n);
    int status = bg_tokenizer_open(folder, out, e);
    free(folder);
    return status;
}

static int add_sequence(bg_corpus *t, const bg_ids *ids, bg_err *e)
{
    int32_t *grown = realloc(t->ids, ((size_t)t->n + ids->n) * sizeof *grown);
    if (grown)
        t->ids = grown;
    int *lengths = grown ? realloc(t->lengths, (size_t)(t->sequences + 1) * sizeof *lengths) : NULL;
    if (!lengths)
        return bg_no_memory(e, "tokens", ids->n * sizeof *grown);
    t->lengths = lengths;
    memcpy(t->ids + t->n, ids->id, ids->n * sizeof *grown);
    t->n += (int64_t)ids->n;
    t->in_text = t->n;
    t->lengths[t->sequences++] = (int)ids->n;
    t->replaced += ids->replaced;
    return BG_OK;
}

static int encode_into(const bg_tokenizer *k, const char *text, size_t length, const char *name, int special,
                       bg_corpus *out, bg_err *e)
{
    bg_ids ids = {0};
    if (!length)
        return bg_fail(e, BG_INPUT, "%s: the text is empty", name);
    int status = bg_tokenizer_encode(k, text, length, special, &ids, e);
    if (!status && (!ids.n || ids.n > INT32_MAX))
        status = bg_fail(e, BG_INPUT, "%s: %zu tokens; a text has 1 to 2^31", name, ids.n);
    if (!status)
        status = add_sequence(out, &ids, e);
    if (!status && ids.replaced)
        bg_warn("%s: %zu invalid UTF-8 sequences were read as U+FFFD", name, ids.replaced);
    out->bytes += length;
    bg_ids_free(&ids);
    return status;
}

int bg_corpus_encode(const bg_ckpt *c, const char *text, size_t length, const char *name, int special, bg_corpus *out,
                     bg_err *e)
{
    bg_tokenizer *k = NULL;
    int status = open_tokenizer(c, &k, e);
    if (!status)
        status = encode_into(k, text, length, name, special, out, e);
    bg_tokenizer_close(k);
    return status;
}

int bg_corpus_read(const bg_ckpt *c, const char *path, int special, bg_corpus *out, bg_provenance *p, bg_err *e)
{
    char *text = NULL;
    size_t length = 0;
    int status = bg_file_read(path, TEXT_LIMIT, &text, &length, e);
    if (!status && p)
        status = bg_provenance_add(p, path, 0, e);
    if (!status)
        status = bg_corpus_encode(c, text, length, path, special, out, e);
    free(text);
    return status;
}

int bg_corpus_sentences(const bg_ckpt *c, bg_corpus *out, bg_err *e)
{
    bg_tokenizer *k = NULL;
    int status = open_tokenizer(c, &k, e);
    for (int i = 0; !status && i < SENTENCES; i++)
        status = encode_into(k, sentences[i], strlen(sentences[i]), "a built-in sentence", 1, out, e);
    bg_tokenizer_close(k);
    return status;
}

int bg_corpus_cut(bg_corpus *t, int context, int64_t max, bg_err *e)
{
    int64_t windows = t->n / context;
    windows = max && windows > max ? max : windows;
    if (t->n < context) {
        windows = 1;
        context = (int)t->n;
    }
    int *lengths = realloc(t->lengths, (size_t)windows * sizeof *lengths);
    if (!lengths)
        return bg_no_memory(e, "windows", (unsigned long long)windows * sizeof *lengths);
    for (int64_t i = 0; i < windows; i++)
        lengths[i] = context;
    t->lengths = lengths;
    t->sequences = (int)windows;
    t->n = windows * context;
    return BG_OK;
}

bg_sha256 bg_corpus_hash(const bg_corpus *t)
{
    unsigned char *bytes = malloc((size_t)t->n * 4 + 1);
    bg_sha256 hash = {""};
    for (int64_t i = 0; bytes && i < t->n; i++)
        for (int j = 0; j < 4; j++)
            bytes[4 * i + j] = (unsigned char)((uint32_t)t->ids[i] >> (8 * j));
    if (bytes)
        hash = bg_sha256_of(bytes, (size_t)t->n * 4);
    free(bytes);
    return hash;
}

void bg_corpus_free(bg_corpus *t)
{
    free(t->ids);
    free(t->lengths);
    *t = (bg_corpus){0};
}
