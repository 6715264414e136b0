/* Owns the tokenizer metadata of GGUF files: byte-level BPE ("gpt2") and SentencePiece with scores ("llama").
 *
 * A GGUF names its pre-tokenizer instead of spelling its pattern; the table below has the names that stand for the
 * patterns of GPT-2, Llama 3, Qwen 2 and their kin (llama.cpp, src/llama-vocab.cpp; formats: ggml docs/gguf.md). */
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>
#include "io/checkpoints/formats/gguf_container.h"

enum token_type { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5, BYTE = 6 };

#define WORDS_LLAMA3                                                                                                   \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"           \
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define WORDS_QWEN2                                                                                                    \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"                \
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* `digits`: every digit is cut off first. `bos`: a begin token is in front unless the file says otherwise. */
static const struct pre_row {
    const char *name, *regex;
    int digits, ignore_merges, bos;
} pre_rows[] = {
    {"default", bg_pattern_gpt2, 0, 0, 0},      {"gpt-2", bg_pattern_gpt2, 0, 0, 0},
    {"phi-2", bg_pattern_gpt2, 0, 0, 0},        {"mpt", bg_pattern_gpt2, 0, 0, 0},
    {"olmo", bg_pattern_gpt2, 0, 0, 0},         {"jina-v2-code", bg_pattern_gpt2, 0, 0, 0},
    {"roberta-bpe", bg_pattern_gpt2, 0, 0, 0},  {"smollm", bg_pattern_gpt2, 1, 0, 0},
    {"starcoder", bg_pattern_gpt2, 1, 0, 0},    {"refact", bg_pattern_gpt2, 1, 0, 0},
    {"command-r", bg_pattern_gpt2, 1, 0, 0},    {"codeshell", bg_pattern_gpt2, 1, 0, 0},
    {"llama-bpe", WORDS_LLAMA3, 0, 1, 1},       {"llama3", WORDS_LLAMA3, 0, 1, 1},
    {"llama-v3", WORDS_LLAMA3, 0, 1, 1},        {"dbrx", WORDS_LLAMA3, 0, 0, 0},
    {"smaug-bpe", WORDS_LLAMA3, 0, 0, 0},       {"qwen2", WORDS_QWEN2, 0, 0, 0},
    {"deepseek-r1-qwen", WORDS_QWEN2, 0, 0, 0}, {NULL, NULL, 0, 0, 0},
};

const char *bg_gguf_pre_name(const char *regex, int digits)
{
    for (const struct pre_row *row = pre_rows + 1; row->name; row++) /* "default" is for files that do not say */
        if (!strcmp(row->regex, regex) && row->digits == digits)
            return row->name;
    return NULL;
}

/* ---- vocabulary ---- */

static int token_type_of(const double *types, int32_t id)
{
    return types ? (int)types[id] : NORMAL;
}

/* Tokens are a list: their index is their id. A control or user-defined token that repeats another's text is possible,
 * and only the first keeps the name. */
static int load_tokens(bg_tokenizer *t, const bg_gguf_text *tokens, size_t n, bg_err *e)
{
    bg_bytes text = {0};
    int status = n && n < BG_TOK_ID_LIMIT
                     ? BG_OK
                     : bg_fail(e, BG_INPUT, "tokenizer.ggml.tokens has %zu entries; 1 to %d are allowed", n,
                               BG_TOK_ID_LIMIT - 1);
    for (size_t i = 0; i < n && !status; i++) {
        text.length = 0;
        bg_utf8_repair(tokens[i].text, tokens[i].length, &text);
        size_t length = text.length;
        bg_bytes_add(&text, "", 1);
        if (text.failed)
            status = bg_no_memory(e, "the vocabulary", tokens[i].length);
        else if (bg_vocab_find(&t->bpe.vocab, text.bytes, length) >= 0)
            continue;
        else
            status = bg_vocab_add(&t->bpe.vocab, text.bytes, length, (int64_t)i, e);
    }
    bg_bytes_free(&text);
    return status;
}

/* Control tokens of byte-level models and user-defined ones of all are cut out of the text; the rest of the control
 * tokens are only known as special. */
static int load_added(bg_tokenizer *t, const double *types, int cut_control, bg_err *e)
{
    for (int32_t id = 0; types && id < t->bpe.vocab.size; id++) {
        int type = token_type_of(types, id), special = type == CONTROL || type == UNKNOWN;
        size_t length;
        const char *s = bg_vocab_string(&t->bpe.vocab, id, &length);
        if (!s || !length || !(type == USER_DEFINED || special))
            continue;
        bg_added token = {
            .content = (char *)s, .length = length, .id = id, .special = special, .unmatched = special && !cut_control};
        int status = bg_added_append(&t->added, &token, e);
        if (status)
            return status;
    }
    return BG_OK;
}

/* ---- byte-level BPE ---- */

static int load_merges(bg_tokenizer *t, const bg_gguf *g, bg_err *e)
{
    bg_gguf_text *merges = NULL;
    size_t n = 0;
    int status = bg_gguf_texts(g, "tokenizer.ggml.merges", &merges, &n, e);
    if (!status && !n)
        status = bg_fail(e, BG_INPUT, "the tokenizer has no merges (tokenizer.ggml.merges)");
    if (!status)
        status = bg_bpe_reserve_merges(&t->bpe, n, e);
    for (size_t i = 0; i < n && !status; i++)
        status = bg_bpe_add_merge_line(&t->bpe, merges[i].text, merges[i].length, (uint32_t)i, e);
    free(merges);
    return status;
}

static int load_words(bg_tokenizer *t, const bg_gguf *g, int *bos, bg_err *e)
{
    bg_gguf_text pre = {"default", 7};
    int status = bg_gguf_string(g, "tokenizer.ggml.pre", &pre, e);
    if (status)
        return status;
    const struct pre_row *row = pre_rows;
    while (row->name && (strlen(row->name) != pre.length || memcmp(row->name, pre.text, pre.length)))
        row++;
    if (!row->name)
        return bg_fail(e, BG_INPUT, "the pre-tokenizer '%.*s' (tokenizer.ggml.pre) is not supported",
                       pre.length < 40 ? (int)pre.length : 40, pre.text);
    t->bpe.ignore_merges = row->ignore_merges;
    *bos = row->bos;
    if (row->digits)
        status = bg_pretokenizers_add_regex(&t->pretokenizers, "\\p{N}", e);
    if (!status)
        status = bg_pretokenizers_add_regex(&t->pretokenizers, row->regex, e);
    if (!status)
        status = bg_pretokenizers_add_bytes(&t->pretokenizers, e);
    return status ? status : bg_decoders_add(&t->decoders, BG_DEC_BYTES, NULL, NULL, e);
}

/* ---- SentencePiece ---- */

typedef struct scored {
    double score;
    int32_t id;
} scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Ranks by falling score, one for all tokens of the same score; control, unknown and byte tokens never come of a merge.
 */
static int rank_scores(bg_tokenizer *t, const double *scores, const double *types, bg_err *e)
{
    int32_t n = t->bpe.vocab.size;
    scored *order = malloc((size_t)n * sizeof *order);
    t->bpe.score_rank = malloc((size_t)n * sizeof *t->bpe.score_rank);
    if (!order || !t->bpe.score_rank) {
        free(order);
        return bg_no_memory(e, "scores", (size_t)n * sizeof *order);
    }
    for (int32_t i = 0; i < n; i++)
        order[i] = (scored){scores[i], i};
    qsort(order, (size_t)n, sizeof *order, by_score);
    uint32_t rank = 0;
    for (int32_t i = 0; i < n; i++) {
        rank += i && order[i].score != order[i - 1].score;
        int type = token_type_of(types, order[i].id);
        t->bpe.score_rank[order[i].id] = type == NORMAL || type == USER_DEFINED || type == UNUSED ? rank : UINT32_MAX;
    }
    free(order);
    return BG_OK;
}

static int load_scores(bg_tokenizer *t, const bg_gguf *g, const double *types, size_t n_tokens, bg_err *e)
{
    double *scores = NULL;
    size_t n = 0;
    int prefix = 1, status = bg_gguf_numbers(g, "tokenizer.ggml.scores", &scores, &n, e);
    if (!status)
        status = bg_gguf_bool(g, "tokenizer.ggml.add_space_prefix", &prefix, e);
    if (!status && n != n_tokens)
        status = bg_fail(e, BG_INPUT, "the tokenizer has %zu scores for %zu tokens", n, n_tokens);
    for (size_t i = 0; i < n && !status; i++)
        if (!(scores[i] > -1e30 && scores[i] < 1e30))
            status = bg_fail(e, BG_INPUT, "the score of token %zu is not a number", i);
    if (!status)
        status = rank_scores(t, scores, types, e);
    free(scores);
    if (!status && prefix)
        status = bg_normalizers_add(&t->normalizers, BG_NORM_PREPEND, NULL, "\xE2\x96\x81", e);
    if (!status)
        status = bg_normalizers_add(&t->normalizers, BG_NORM_REPLACE, " ", "\xE2\x96\x81", e);
    if (!status)
        status = bg_decoders_add(&t->decoders, BG_DEC_REPLACE, "\xE2\x96\x81", " ", e);
    if (!status)
        status = bg_decoders_add(&t->decoders, BG_DEC_BYTE_FALLBACK, NULL, NULL, e);
    if (!status)
        status = bg_decoders_add(&t->decoders, BG_DEC_FUSE, NULL, NULL, e);
    if (!status && prefix)
        status = bg_decoders_add(&t->decoders, BG_DEC_STRIP, NULL, " ", e);
    return status;
}

/* ---- all of it ---- */

static int id_of(const bg_tokenizer *t, const bg_gguf *g, const char *key, int32_t *out, bg_err *e)
{
    int64_t id = -1;
    int status = bg_gguf_integer(g, key, &id, e);
    if (!status && id >= t->bpe.vocab.size)
        return bg_fail(e, BG_INPUT, "%s is %lld, outside the vocabulary of %d", key, (long long)id, t->bpe.vocab.size);
    *out = id < 0 ? -1 : (int32_t)id;
    return status;
}

static int load_ends(bg_tokenizer *t, const bg_gguf *g, int add_bos, bg_err *e)
{
    int add_eos = 0;
    int status = id_of(t, g, "tokenizer.ggml.bos_token_id", &t->bos, e);
    if (!status)
        status = id_of(t, g, "tokenizer.ggml.eos_token_id", &t->eos, e);
    if (!status)
        status = id_of(t, g, "tokenizer.ggml.unknown_token_id", &t->bpe.unknown, e);
    if (!status)
        status = bg_gguf_bool(g, "tokenizer.ggml.add_bos_token", &add_bos, e);
    if (!status)
        status = bg_gguf_bool(g, "tokenizer.ggml.add_eos_token", &add_eos, e);
    if (add_bos && t->bos >= 0)
        bg_id_list_add(&t->post.before, t->bos);
    if (add_eos && t->eos >= 0)
        bg_id_list_add(&t->post.after, t->eos);
    return status;
}

static int load(bg_tokenizer *t, const bg_gguf *g, bg_err *e)
{
    bg_gguf_text model = {"", 0}, *tokens = NULL;
    double *types = NULL;
    size_t n = 0, n_types = 0;
    int add_bos = 1, status = bg_gguf_string(g, "tokenizer.ggml.model", &model, e);
    if (status)
        return status;
    int scores = model.length == 5 && !memcmp(model.text, "llama", 5);
    if (!scores && !(model.length == 4 && !memcmp(model.text, "gpt2", 4)))
        return model.length ? bg_fail(e, BG_INPUT, "the tokenizer model '%.*s' (tokenizer.ggml.model) is not supported",
                                      model.length < 40 ? (int)model.length : 40, model.text)
                            : bg_fail(e, BG_INPUT, "there is no tokenizer in this file");
    status = bg_gguf_texts(g, "tokenizer.ggml.tokens", &tokens, &n, e);
    if (!status)
        status = bg_gguf_numbers(g, "tokenizer.ggml.token_type", &types, &n_types, e);
    if (!status && types && n_types != n)
        status = bg_fail(e, BG_INPUT, "the tokenizer has %zu token types for %zu tokens", n_types, n);
    if (!status)
        status = load_tokens(t, tokens, n, e);
    if (!status && (size_t)t->bpe.vocab.size != n)
        status = bg_fail(e, BG_INPUT, "the last token of the vocabulary repeats another");
    if (!status)
        status = load_added(t, types, !scores, e);
    if (!status)
        status = scores ? load_scores(t, g, types, n, e) : load_words(t, g, &add_bos, e);
    if (!status && !scores)
        status = load_merges(t, g, e);
    if (!status)
        status = load_ends(t, g, add_bos, e);
    bg_bpe_find_bytes(&t->bpe);
    free(tokens);
    free(types);
    return status;
}

int bg_tokenizer_load_gguf(bg_tokenizer *t, const char *path, bg_err *e)
{
    bg_gguf *g = NULL;
    t->bos = t->eos = t->bpe.unknown = -1;
    int status = bg_gguf_open(path, &g, e);
    if (status)
        return status;
    status = load(t, g, e);
    bg_gguf_close(g);
    return status ? bg_context(e, "%s", path) : BG_OK;
}
