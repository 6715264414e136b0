/* Owns the opening of a tokenizer: which file of a model holds it, and the reader that the file needs. */
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"

int bg_tokenizer_parse(const char *text, size_t length, const char *name, bg_tokenizer **out, bg_err *e)
{
    cJSON *root = NULL;
    *out = NULL;
    bg_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return bg_no_memory(e, "a tokenizer", sizeof *t);
    int status = bg_json_parse(text, length, name, &root, e);
    if (!status) {
        status = bg_tokenizer_load_json(t, root, e);
        if (!status)
            status = bg_tokenizer_finish(t, e);
        if (status)
            bg_context(e, "%s", name);
    }
    cJSON_Delete(root);
    if (status)
        bg_tokenizer_close(t);
    else
        *out = t;
    return status;
}

static int open_json(const char *path, const char *directory, bg_tokenizer **out, bg_err *e)
{
    char *text;
    size_t length;
    int status = bg_file_read(path, BG_TOK_FILE_LIMIT, &text, &length, e);
    if (status)
        return status;
    status = bg_tokenizer_parse(text, length, path, out, e);
    free(text);
    if (!status)
        status = bg_tokenizer_find_ends(*out, directory, e);
    if (status) {
        bg_tokenizer_close(*out);
        *out = NULL;
    }
    return status;
}

static int open_directory(const char *path, bg_tokenizer **out, bg_err *e)
{
    char *file = bg_path_join(path, "tokenizer.json");
    if (!file)
        return bg_no_memory(e, path, strlen(path));
    int status = bg_is_file(file) ? open_json(file, path, out, e)
                                  : bg_fail(e, BG_INPUT, "%s: there is no tokenizer.json in this directory", path);
    free(file);
    return status;
}

static int open_gguf(const char *path, bg_tokenizer **out, bg_err *e)
{
    bg_tokenizer *t = calloc(1, sizeof *t);
    if (!t)
        return bg_no_memory(e, "a tokenizer", sizeof *t);
    int status = bg_tokenizer_load_gguf(t, path, e);
    if (!status && (status = bg_tokenizer_finish(t, e)))
        bg_context(e, "%s", path);
    if (status)
        bg_tokenizer_close(t);
    else
        *out = t;
    return status;
}

int bg_tokenizer_open(const char *path, bg_tokenizer **out, bg_err *e)
{
    *out = NULL;
    if (bg_is_directory(path))
        return open_directory(path, out, e);
    if (bg_file_begins_with(path, "GGUF")) /* told apart by how they begin, not by their names */
        return open_gguf(path, out, e);
    const char *base = bg_path_base(path);
    size_t parent = (size_t)(base - path);
    char *directory = malloc(parent + 2);
    if (!directory)
        return bg_no_memory(e, path, parent);
    memcpy(directory, parent ? path : "./", parent ? parent : 2);
    directory[parent ? parent : 1] = 0;
    size_t length = strlen(path);
    int is_weights = length > 12 && !strcmp(path + length - 12, ".safetensors");
    int status = is_weights ? open_directory(directory, out, e) : open_json(path, directory, out, e);
    free(directory);
    return status;
}
