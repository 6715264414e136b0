/* The GGUF container, its metadata, tokenizer and names, and every block type.
 * Seeds: tests/golden/data/gguf/?*.gguf tests/golden/data/gguf_bad/?*.gguf
 * tests/golden/data/models/gguf_llama_q8/model.gguf tests/golden/data/models/gguf_llama3_f16/model.gguf
 * tests/golden/data/tokenizers_gguf/?*.gguf */
#include <unistd.h>
#include "io/checkpoints/formats/gguf_container.h"
#include "io/tokenizer/tokenizer.h"
#include "tests/fuzz/checkpoint.h"

static void read_metadata(const char *path)
{
    static const char *const keys[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "general.architecture",
                                       "t.arr_i32"};
    bg_err e = {0};
    bg_gguf *g;
    if (bg_gguf_open(path, &g, &e))
        return;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        bg_gguf_text *texts, text = {NULL, 0};
        double *numbers, number = 0;
        int64_t integer = 0;
        int flag = 0;
        size_t n;
        if (!bg_gguf_texts(g, keys[i], &texts, &n, &e))
            free(texts);
        if (!bg_gguf_numbers(g, keys[i], &numbers, &n, &e))
            free(numbers);
        bg_gguf_string(g, keys[i], &text, &e);
        bg_gguf_number(g, keys[i], &number, &e);
        bg_gguf_integer_at(g, keys[i], 3, &integer, &e);
        bg_gguf_bool(g, keys[i], &flag, &e);
    }
    bg_gguf_close(g);
}

static void tokenize(const char *path)
{
    bg_err e = {0};
    bg_tokenizer *t;
    bg_ids ids;
    if (bg_tokenizer_open(path, &t, &e))
        return;
    if (!bg_tokenizer_encode(t, "Hello <s>world 12 caf\xC3\xA9", 24, 1, &ids, &e))
        bg_ids_free(&ids);
    bg_tokenizer_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH];
    fuzz_path(path, ".gguf");
    put_file(path, data, size);
    read_metadata(path);
    tokenize(path);
    decode_all(path);
    unlink(path);
    return 0;
}
