/* The reader of tokenizer.json, and encoding and decoding with whatever it let through. The seeds together have every
 * normalizer, pre-tokenizer, post-processor and decoder. Seeds: tests/fuzz/seeds/tokenizer/?* */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "io/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const bg_tokenizer *t, const char *text, size_t length)
{
    bg_err e = {0};
    bg_ids ids;
    char *decoded;
    size_t n;
    if (bg_tokenizer_encode(t, text, length, 1, &ids, &e))
        return;
    for (size_t i = 0; i < ids.n; i++)
        if (ids.id[i] < 0 || ids.id[i] >= bg_tokenizer_size(t))
            abort();
    if (!bg_tokenizer_decode(t, ids.id, ids.n, 0, &decoded, &n, &e))
        free(decoded);
    bg_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "Hello  <s>world\n 'tis 12,345 caf\xC3\xA9 \xE2\x96\x81 \xF0\x9F\x8E\x89 \xFF\xC3 <tool> [LS]x";
    bg_err e = {0};
    bg_tokenizer *t = NULL;
    char *copy = malloc(size + 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    copy[size] = 0;
    if (!bg_tokenizer_parse(copy, size, "fuzz", &t, &e)) {
        round_trip(t, text, sizeof text - 1);
        round_trip(t, copy, size < 512 ? size : 512);
        bg_tokenizer_close(t);
    }
    free(copy);
    return 0;
}
