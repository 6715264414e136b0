/* bitgap tokenize: token ids of a text as a JSON array, so that other programs can check them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"
#include "io/tokenizer/tokenizer.h"

enum { TEXT_LIMIT = 1 << 30 };

/* All of standard input; *out is malloc'ed. */
static int read_stdin(char **out, size_t *length, bg_err *e)
{
    size_t capacity = 1 << 16, n = 0, got;
    char *text = malloc(capacity);
    while (text && (got = fread(text + n, 1, capacity - n, stdin)) > 0) {
        n += got;
        if (n < capacity)
            continue;
        char *more = capacity < TEXT_LIMIT ? realloc(text, capacity * 2) : NULL;
        if (!more) {
            free(text);
            return bg_fail(e, BG_RESOURCE, "standard input: more than %zu bytes of text", capacity);
        }
        text = more;
        capacity *= 2;
    }
    if (!text)
        return bg_no_memory(e, "standard input", capacity);
    *out = text;
    *length = n;
    return BG_OK;
}

/* The text: second argument, or --file, where "-" is standard input. */
static int read_text(const bg_args *a, char **out, size_t *length, bg_err *e)
{
    const char *text = bg_args_words(a) > 1 ? bg_args_word(a, 1) : NULL, *file = bg_arg(a, "file");
    if (!text == !file)
        return bg_fail(e, BG_USAGE, "tokenize: give either a TEXT or --file FILE");
    if (file)
        return strcmp(file, "-") ? bg_file_read(file, TEXT_LIMIT, out, length, e) : read_stdin(out, length, e);
    *length = strlen(text);
    *out = malloc(*length + 1);
    if (!*out)
        return bg_no_memory(e, "the text", *length);
    memcpy(*out, text, *length + 1);
    return BG_OK;
}

static int print_ids(const char *path, const bg_ids *ids, bg_err *e)
{
    bg_out out = {0};
    int status = bg_out_open(&out, path, e);
    if (status)
        return status;
    fputc('[', out.file);
    for (size_t i = 0; i < ids->n; i++)
        fprintf(out.file, "%s%d", i ? "," : "", ids->id[i]);
    fputs("]\n", out.file);
    return bg_out_commit(&out, e);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    char *text = NULL;
    size_t length = 0;
    bg_tokenizer *t = NULL;
    bg_ids ids = {0};
    int status = read_text(a, &text, &length, e);
    if (!status)
        status = bg_tokenizer_open(bg_args_word(a, 0), &t, e);
    if (!status)
        status = bg_tokenizer_encode(t, text, length, !bg_arg_given(a, "no-special"), &ids, e);
    if (!status && ids.replaced)
        bg_warn("%s: %zu invalid UTF-8 sequences were read as U+FFFD",
                bg_arg(a, "file") ? bg_arg(a, "file") : "the text", ids.replaced);
    if (!status)
        status = print_ids(bg_arg_output(a, "-"), &ids, e);
    bg_ids_free(&ids);
    bg_tokenizer_close(t);
    free(text);
    return status;
}

static const bg_option options[] = {
    {.name = "file", .argument = "FILE", .help = "read the text from a file; - is standard input"},
    {.name = "no-special", .help = "without the special tokens that the model expects around a text"},
    {0},
};

const bg_stage bg_stage_tokenize = {
    .name = "tokenize",
    .arguments = "MODEL [TEXT]",
    .min_words = 1,
    .max_words = 2,
    .summary = "token ids of a text, as a JSON array",
    .about =
        "MODEL is a directory with a tokenizer.json, such a file itself, or a GGUF file. Invalid UTF-8 in the text is "
        "replaced by U+FFFD, counted, and said on standard error.",
    .example = "bitgap tokenize data/austen-3.7m \"It is a truth universally acknowledged\"",
    .options = options,
    .is_tool = 1,
    .run = run,
};
