/* The reader of tokenizer.json, encoding and decoding with whatever it let through, and its form in GGUF files. The
 * seeds together have every normalizer, pre-tokenizer, post-processor and decoder. Seeds: tests/fuzz/seeds/tokenizer/?*
 */
#include "io/tokenizer/tokenizer.h"
#include "io/tokenizer/tokenizer_gguf_writer.h"
#include "tests/fuzz/checkpoint.h"

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

/* Every eighth input, for it takes a file. */
static void to_gguf(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    bg_err e = {0};
    bg_gguf_tokenizer g;
    if (!size || data[size / 2] % 8)
        return;
    fuzz_path(path, ".json");
    put_file(path, data, size);
    bg_gguf_tokenizer_read(path, NULL, 512, &g, &e);
    bg_gguf_tokenizer_free(&g);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] =
        "Hello  <s>world\n 'tis 12,345 caf\xC3\xA9 \xE2\x96\x81 \xF0\x9F\x8E\x89 \xFF\xC3 <tool> [LS]x";
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
    to_gguf(data, size);
    return 0;
}
