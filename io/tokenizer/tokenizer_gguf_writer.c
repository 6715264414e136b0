/* Owns a tokenizer.json as GGUF metadata: the inverse of tokenizer_gguf.c.
 *
 * Byte-level BPE becomes model "gpt2" with its merges; BPE with byte fallback becomes "llama", whose merges are scores:
 * a token that merges earlier scores higher (ggml docs/gguf.md; llama.cpp src/llama-vocab.cpp).
 */
#define _GNU_SOURCE
#include "io/tokenizer/tokenizer_gguf_writer.h"

#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"
#include "io/base/json.h"
#include "io/tokenizer/parts.h"

enum { LIMIT = 512 << 20, NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

/* ---- pairs ---- */

static bg_gguf_pair *add(bg_gguf_tokenizer *t, const char *key, bg_gguf_kind kind)
{
    t->pairs[t->n] = (bg_gguf_pair){.key = key, .kind = kind};
    return &t->pairs[t->n++];
}

static void add_numbers(bg_gguf_tokenizer *t, const char *key, bg_gguf_kind kind, const double *numbers)
{
    bg_gguf_pair *p = add(t, key, kind);
    p->is_array = 1;
    p->n = t->size;
    p->numbers = numbers;
}

static void add_texts(bg_gguf_tokenizer *t, const char *key, const char *const *texts, size_t n)
{
    bg_gguf_pair *p = add(t, key, BG_GGUF_STRING);
    p->is_array = 1;
    p->n = n;
    p->texts = texts;
}

/* ---- the vocabulary ---- */

static int put_token(bg_gguf_tokenizer *t, const cJSON *id, const char *text, int type, bg_err *e)
{
    int64_t at = cJSON_IsNumber(id) ? (int64_t)id->valuedouble : -1;
    if (at < 0 || at >= (int64_t)t->size)
        return bg_fail(e, BG_INPUT, "token '%.40s' has the id %lld; the model has %zu", text, (long long)at, t->size);
    t->tokens[at] = text;
    t->types[at] = type;
    return BG_OK;
}

static int is_byte(const char *s)
{
    return strlen(s) == 6 && !strncmp(s, "<0x", 3) && s[5] == '>';
}

static int read_tokens(bg_gguf_tokenizer *t, int fallback, bg_err *e)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(t->root, "model"), *one;
    const char *unknown = bg_json_string(model, "unk_token", "");
    int status = BG_OK;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(model, "vocab"))
    {
        if (!status)
            status = put_token(t, one, one->string,
                               fallback && is_byte(one->string) ? BYTE
                               : !strcmp(one->string, unknown)  ? UNKNOWN
                                                                : NORMAL,
                               e);
    }
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(t->root, "added_tokens"))
    {
        const char *text = bg_json_string(one, "content", "");
        if (!status && *text)
            status = put_token(t, cJSON_GetObjectItemCaseSensitive(one, "id"), text,
                               !strcmp(text, unknown)                                           ? UNKNOWN
                               : cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(one, "special")) ? CONTROL
                                                                                                : USER_DEFINED,
                               e);
    }
    for (size_t i = 0; i < t->size && !status; i++)
        if (!t->tokens[i]) { /* rows of the embedding that no token has */
            char *name;
            if (asprintf(&name, "[PAD%zu]", i) < 0)
                return bg_no_memory(e, "the vocabulary", 16);
            t->made[t->n_made++] = name;
            t->tokens[i] = name;
            t->types[i] = UNUSED;
        }
    return status;
}

/* ---- merges ---- */

/* "a b" of a merge, which the file spells so or as a pair. *made is set when it was put together here. */
static const char *merge_text(const cJSON *m, char **made)
{
    const cJSON *a = cJSON_GetArrayItem(m, 0), *b = cJSON_GetArrayItem(m, 1);
    *made = NULL;
    if (cJSON_IsString(m))
        return m->valuestring;
    return cJSON_IsString(a) && cJSON_IsString(b) && asprintf(made, "%s %s", a->valuestring, b->valuestring) >= 0
               ? *made
               : NULL;
}

static int read_merges(bg_gguf_tokenizer *t, bg_err *e)
{
    const cJSON *merges =
                    cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(t->root, "model"), "merges"),
                *m;
    size_t n = (size_t)cJSON_GetArraySize(merges);
    t->merges = calloc(n + 1, sizeof *t->merges);
    char **made = realloc(t->made, (t->n_made + n + 1) * sizeof *made);
    t->made = made ? made : t->made;
    if (!t->merges || !made)
        return bg_no_memory(e, "the merges", n * sizeof *t->merges);
    cJSON_ArrayForEach(m, merges)
    {
        char *text;
        const char *line = merge_text(m, &text);
        if (text)
            t->made[t->n_made++] = text;
        if (!line)
            return bg_fail(e, BG_INPUT, "merge %zu is no pair of tokens", t->n_merges);
        t->merges[t->n_merges++] = line;
    }
    return BG_OK;
}

typedef struct named {
    const char *text;
    size_t id;
} named;

static int by_text(const void *a, const void *b)
{
    return strcmp(((const named *)a)->text, ((const named *)b)->text);
}

/* A token scores minus the rank of the first merge that makes it; what no merge makes comes last. */
static int read_scores(bg_gguf_tokenizer *t, bg_err *e)
{
    int status = read_merges(t, e);
    named *index = malloc(t->size * sizeof *index + 1);
    t->scores = calloc(t->size + 1, sizeof *t->scores);
    if (!status && (!index || !t->scores))
        status = bg_no_memory(e, "scores", t->size * sizeof *index);
    for (size_t i = 0; i < t->size && !status; i++) {
        index[i] = (named){t->tokens[i], i};
        t->scores[i] = t->types[i] == NORMAL ? -(double)t->n_merges - 1 : 0;
    }
    if (!status)
        qsort(index, t->size, sizeof *index, by_text);
    for (size_t k = t->n_merges; k-- > 0 && !status;) {
        const char *space = strchr(t->merges[k], ' ');
        char *joined = NULL;
        if (!space || asprintf(&joined, "%.*s%s", (int)(space - t->merges[k]), t->merges[k], space + 1) < 0) {
            status = bg_fail(e, BG_INPUT, "merge %zu is no pair of tokens", k);
            break;
        }
        /* A variable of its own: bsearch may be a macro, to which a compound literal with a comma is two arguments. */
        const named key = {joined, 0};
        const named *found = bsearch(&key, index, t->size, sizeof *index, by_text);
        if (found)
            t->scores[found->id] = -(double)k - 1;
        free(joined);
    }
    free(index);
    return status;
}

/* ---- how text is cut ---- */

static void look_at(const cJSON *p, const char **regex, int *digits, int *bytes)
{
    const char *type = bg_json_string(p, "type", "");
    const cJSON *one;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(p, "pretokenizers")) look_at(one, regex, digits, bytes);
    if (!strcmp(type, "Split"))
        *regex = bg_json_string(cJSON_GetObjectItemCaseSensitive(p, "pattern"), "Regex", "");
    if (!strcmp(type, "Digits"))
        *digits = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(p, "individual_digits"));
    if (!strcmp(type, "ByteLevel")) {
        *bytes = 1;
        if (!*regex && !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(p, "use_regex")))
            *regex = bg_pattern_gpt2;
    }
}

static int read_words(bg_gguf_tokenizer *t, const char *regex, int digits, bg_err *e)
{
    const char *name = regex ? bg_gguf_pre_name(regex, digits) : NULL;
    if (!name)
        return bg_fail(e, BG_INPUT, "no pre-tokenizer of GGUF cuts text with this pattern; use another --layout");
    int status = read_merges(t, e);
    if (status)
        return status;
    add(t, "tokenizer.ggml.model", BG_GGUF_STRING)->text = "gpt2";
    add(t, "tokenizer.ggml.pre", BG_GGUF_STRING)->text = name;
    add_texts(t, "tokenizer.ggml.merges", t->merges, t->n_merges);
    return BG_OK;
}

/* Does a space stand in front of the text? By a normalizer of old files or a pre-tokenizer of new ones. */
static int has_prefix(const cJSON *p)
{
    const cJSON *one;
    int found = !strcmp(bg_json_string(p, "type", ""), "Prepend") ||
                (!strcmp(bg_json_string(p, "type", ""), "Metaspace") &&
                 strcmp(bg_json_string(p, "prepend_scheme", "always"), "never") &&
                 !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(p, "add_prefix_space")));
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(p, "normalizers")) found |= has_prefix(one);
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(p, "pretokenizers")) found |= has_prefix(one);
    return found;
}

static int read_pieces(bg_gguf_tokenizer *t, bg_err *e)
{
    int status = read_scores(t, e);
    if (status)
        return status;
    add(t, "tokenizer.ggml.model", BG_GGUF_STRING)->text = "llama";
    add_numbers(t, "tokenizer.ggml.scores", BG_GGUF_F32, t->scores);
    add(t, "tokenizer.ggml.add_space_prefix", BG_GGUF_BOOL)->number =
        has_prefix(cJSON_GetObjectItemCaseSensitive(t->root, "normalizer")) ||
        has_prefix(cJSON_GetObjectItemCaseSensitive(t->root, "pre_tokenizer"));
    return BG_OK;
}

/* ---- ends of a text ---- */

static void add_end(bg_gguf_tokenizer *t, const cJSON *config, const char *from, const char *to)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(config, from);
    id = cJSON_IsArray(id) ? cJSON_GetArrayItem(id, 0) : id;
    if (cJSON_IsNumber(id) && id->valuedouble >= 0 && id->valuedouble < (double)t->size)
        add(t, to, BG_GGUF_U32)->number = id->valuedouble;
}

/* The template's special tokens before and after the text. */
static void look_at_ends(const cJSON *p, int *before, int *after)
{
    const cJSON *one;
    int seen = 0;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(p, "processors")) look_at_ends(one, before, after);
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(p, "single"))
    {
        seen |= cJSON_HasObjectItem(one, "Sequence");
        if (cJSON_HasObjectItem(one, "SpecialToken"))
            *(seen ? after : before) = 1;
    }
}

/* ---- all of it ---- */

static int read(bg_gguf_tokenizer *t, const cJSON *config, bg_err *e)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(t->root, "model");
    const char *regex = NULL;
    int digits = 0, bytes = 0, before = 0, after = 0;
    int fallback = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(model, "byte_fallback"));
    look_at(cJSON_GetObjectItemCaseSensitive(t->root, "pre_tokenizer"), &regex, &digits, &bytes);
    t->tokens = calloc(t->size + 1, sizeof *t->tokens);
    t->types = calloc(t->size + 1, sizeof *t->types);
    t->made = calloc(t->size + 1, sizeof *t->made);
    if (!t->tokens || !t->types || !t->made)
        return bg_no_memory(e, "the vocabulary", t->size * 3 * sizeof *t->tokens);
    int status = read_tokens(t, fallback, e);
    if (!status && !bytes && !fallback)
        status = bg_fail(e, BG_INPUT,
                         "only byte-level BPE and BPE with byte fallback are written as GGUF; use another --layout");
    if (!status)
        status = bytes ? read_words(t, regex, digits, e) : read_pieces(t, e);
    if (status)
        return status;
    add_texts(t, "tokenizer.ggml.tokens", t->tokens, t->size);
    add_numbers(t, "tokenizer.ggml.token_type", BG_GGUF_I32, t->types);
    add_end(t, config, "bos_token_id", "tokenizer.ggml.bos_token_id");
    add_end(t, config, "eos_token_id", "tokenizer.ggml.eos_token_id");
    look_at_ends(cJSON_GetObjectItemCaseSensitive(t->root, "post_processor"), &before, &after);
    add(t, "tokenizer.ggml.add_bos_token", BG_GGUF_BOOL)->number = before;
    add(t, "tokenizer.ggml.add_eos_token", BG_GGUF_BOOL)->number = after;
    return BG_OK;
}

int bg_gguf_tokenizer_read(const char *path, const cJSON *config, int vocabulary, bg_gguf_tokenizer *out, bg_err *e)
{
    *out = (bg_gguf_tokenizer){.size = (size_t)vocabulary};
    int status = bg_json_read(path, LIMIT, &out->root, e);
    if (!status && (status = read(out, config, e)))
        bg_context(e, "%s", path);
    return status;
}

void bg_gguf_tokenizer_free(bg_gguf_tokenizer *t)
{
    for (size_t i = 0; i < t->n_made; i++)
        free(t->made[i]);
    free(t->made);
    free(t->tokens);
    free(t->types);
    free(t->scores);
    free(t->merges);
    cJSON_Delete(t->root);
    *t = (bg_gguf_tokenizer){0};
}
