/* Owns reading tokenizer.json, and the files beside it that name the begin and end tokens. */
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"

static int load_added(bg_added_tokens *a, const cJSON *list, bg_err *e)
{
    const cJSON *node;
    cJSON_ArrayForEach(node, list)
    {
        int64_t id = -1;
        const char *content = bg_json_string(node, "content", NULL);
        int status = bg_json_integer(node, "id", &id, e);
        if (status)
            return status;
        if (!content || id < 0 || id >= BG_TOK_ID_LIMIT)
            return bg_fail(e, BG_INPUT, "added token %d has no content, or no id in 0..%d", a->n, BG_TOK_ID_LIMIT - 1);
        bg_added token = {
            .content = (char *)content,
            .length = strlen(content),
            .id = (int32_t)id,
            .single_word = bg_json_bool(node, "single_word", 0) != 0,
            .lstrip = bg_json_bool(node, "lstrip", 0) != 0,
            .rstrip = bg_json_bool(node, "rstrip", 0) != 0,
            .special = bg_json_bool(node, "special", 0) != 0,
        };
        token.normalized = bg_json_bool(node, "normalized", !token.special) != 0;
        status = token.length ? bg_added_append(a, &token, e) : BG_OK;
        if (status)
            return status;
    }
    return BG_OK;
}

int bg_tokenizer_load_json(bg_tokenizer *t, const cJSON *root, bg_err *e)
{
    t->bos = t->eos = -1;
    if (!cJSON_IsObject(root))
        return bg_fail(e, BG_INPUT, "a tokenizer is an object");
    int status = bg_bpe_load(&t->bpe, cJSON_GetObjectItemCaseSensitive(root, "model"), e);
    if (!status)
        status = load_added(&t->added, cJSON_GetObjectItemCaseSensitive(root, "added_tokens"), e);
    if (!status)
        status = bg_normalizers_load(&t->normalizers, cJSON_GetObjectItemCaseSensitive(root, "normalizer"), 0, e);
    if (!status)
        status =
            bg_pretokenizers_load(&t->pretokenizers, cJSON_GetObjectItemCaseSensitive(root, "pre_tokenizer"), 0, e);
    if (!status)
        status = bg_post_load(&t->post, cJSON_GetObjectItemCaseSensitive(root, "post_processor"), 0, e);
    if (!status)
        status = bg_decoders_load(&t->decoders, cJSON_GetObjectItemCaseSensitive(root, "decoder"), 0, e);
    return status;
}

/* "bos_token": "<s>" or {"content": "<s>", …}; "bos_token_id": 1 or [1, 2]. */
static int32_t end_token(const bg_tokenizer *t, const cJSON *file, const char *word, const char *number)
{
    const cJSON *node = cJSON_GetObjectItemCaseSensitive(file, word);
    const char *content =
        cJSON_IsObject(node) ? bg_json_string(node, "content", NULL) : bg_json_string(file, word, NULL);
    int32_t id = content ? bg_tokenizer_find(t, content, strlen(content)) : -1;
    if (id >= 0)
        return id;
    node = cJSON_GetObjectItemCaseSensitive(file, number);
    if (cJSON_IsArray(node))
        node = node->child;
    double v = cJSON_IsNumber(node) ? node->valuedouble : -1;
    return v >= 0 && v < (double)bg_tokenizer_size(t) ? (int32_t)v : -1;
}

int bg_tokenizer_find_ends(bg_tokenizer *t, const char *directory, bg_err *e)
{
    static const char *const files[] = {"tokenizer_config.json", "special_tokens_map.json", "config.json",
                                        "generation_config.json"};
    enum { SIDE_FILE_LIMIT = 64 << 20 };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = bg_path_join(directory, files[i]);
        cJSON *root = NULL;
        if (!path)
            return bg_no_memory(e, files[i], strlen(directory));
        int status = bg_is_file(path) ? bg_json_read(path, SIDE_FILE_LIMIT, &root, e) : BG_OK;
        free(path);
        if (status)
            return status;
        if (t->bos < 0)
            t->bos = end_token(t, root, "bos_token", "bos_token_id");
        if (t->eos < 0)
            t->eos = end_token(t, root, "eos_token", "eos_token_id");
        cJSON_Delete(root);
    }
    return BG_OK;
}
