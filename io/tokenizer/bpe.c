/* Owns byte-pair encoding of one word (Sennrich, Haddow, Birch 2016): of all neighbouring symbols that merge, the pair
 * of the lowest rank merges first, the leftmost among equals, until none is left.
 *
 * A doubly linked list of symbols and a heap of candidate pairs make it O(n log n), so that a tokenizer without words
 * (Llama 2: a whole book at once) stays usable. Ranks come from the merge table, or, for SentencePiece models in GGUF
 * (Kudo and Richardson 2018), from the order of the scores of what a pair would become. */
#define _POSIX_C_SOURCE 200809L
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- the merge table ---- */

static bg_merge *merge_slot(const bg_bpe *b, uint64_t pair)
{
    size_t at = bg_mix64(pair) & (b->n_slots - 1);
    while (b->merges[at].id >= 0 && b->merges[at].pair != pair)
        at = (at + 1) & (b->n_slots - 1);
    return &b->merges[at];
}

int bg_bpe_reserve_merges(bg_bpe *b, size_t n, bg_err *e)
{
    if (n > BG_TOK_ID_LIMIT)
        return bg_fail(e, BG_INPUT, "%zu merges; %d are allowed", n, BG_TOK_ID_LIMIT);
    b->n_slots = 16;
    while (b->n_slots < 2 * n)
        b->n_slots *= 2;
    b->merges = malloc(b->n_slots * sizeof *b->merges);
    if (!b->merges)
        return bg_no_memory(e, "the merge table", b->n_slots * sizeof *b->merges);
    for (size_t i = 0; i < b->n_slots; i++)
        b->merges[i] = (bg_merge){.id = -1};
    return BG_OK;
}

int bg_bpe_add_merge(bg_bpe *b, const char *left, size_t n_left, const char *right, size_t n_right, uint32_t rank,
                     bg_err *e)
{
    b->joined.length = 0;
    bg_bytes_add(&b->joined, left, n_left);
    bg_bytes_add(&b->joined, right, n_right);
    if (b->joined.failed)
        return bg_no_memory(e, "a merge", n_left + n_right);
    int32_t l = bg_vocab_find(&b->vocab, left, n_left), r = bg_vocab_find(&b->vocab, right, n_right);
    int32_t both = bg_vocab_find(&b->vocab, b->joined.bytes, b->joined.length);
    if (l < 0 || r < 0 || both < 0)
        return bg_fail(e, BG_INPUT, "merge %u ('%.*s' and '%.*s'): %s is not in the vocabulary", rank,
                       n_left < 40 ? (int)n_left : 40, left, n_right < 40 ? (int)n_right : 40, right,
                       l < 0   ? "the left part"
                       : r < 0 ? "the right part"
                               : "what they become");
    uint64_t pair = (uint64_t)(uint32_t)l << 32 | (uint32_t)r;
    *merge_slot(b, pair) = (bg_merge){pair, rank, both}; /* a pair that occurs twice keeps its later rank */
    return BG_OK;
}

int bg_bpe_add_merge_line(bg_bpe *b, const char *line, size_t n, uint32_t rank, bg_err *e)
{
    const char *space = memchr(line, ' ', n);
    size_t left = space ? (size_t)(space - line) : 0;
    if (!space || memchr(space + 1, ' ', n - left - 1))
        return bg_fail(e, BG_INPUT, "merge %u ('%.*s') is not two tokens with one space between", rank,
                       n < 60 ? (int)n : 60, line);
    return bg_bpe_add_merge(b, line, left, space + 1, n - left - 1, rank, e);
}

/* ---- the heap: lowest rank first, then leftmost ---- */

static int before(bg_candidate a, bg_candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.left < b.left;
}

static void push(bg_merger *m, bg_candidate c)
{
    if (m->heap_n == m->heap_room) {
        size_t room = m->heap_room ? 2 * m->heap_room : 128;
        void *p = realloc(m->heap, room * sizeof *m->heap);
        if (!p) {
            m->failed = 1;
            return;
        }
        m->heap = p;
        m->heap_room = room;
    }
    size_t at = m->heap_n++;
    for (; at && before(c, m->heap[(at - 1) / 2]); at = (at - 1) / 2)
        m->heap[at] = m->heap[(at - 1) / 2];
    m->heap[at] = c;
}

static bg_candidate pop(bg_merger *m)
{
    bg_candidate top = m->heap[0], last = m->heap[--m->heap_n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= m->heap_n)
            break;
        if (child + 1 < m->heap_n && before(m->heap[child + 1], m->heap[child]))
            child++;
        if (!before(m->heap[child], last))
            break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    if (m->heap_n)
        m->heap[at] = last;
    return top;
}

/* ---- one word ---- */

/* What the symbol and its right neighbour merge to: its id, or −1. */
static int32_t merged(const bg_bpe *b, const bg_merger *m, const char *word, int32_t left, uint32_t *rank)
{
    const bg_symbol *l = &m->symbols[left];
    if (l->next < 0)
        return -1;
    const bg_symbol *r = &m->symbols[l->next];
    if (b->score_rank) {
        int32_t id = bg_vocab_find(&b->vocab, word + l->start, (size_t)l->length + r->length);
        if (id < 0 || b->score_rank[id] == UINT32_MAX)
            return -1;
        *rank = b->score_rank[id];
        return id;
    }
    const bg_merge *slot = merge_slot(b, (uint64_t)(uint32_t)l->id << 32 | (uint32_t)r->id);
    *rank = slot->rank;
    return slot->id;
}

static void propose(const bg_bpe *b, bg_merger *m, const char *word, int32_t left)
{
    uint32_t rank;
    int32_t id = merged(b, m, word, left, &rank);
    if (id >= 0)
        push(m, (bg_candidate){rank, left, id});
}

static void add_symbol(bg_merger *m, int32_t id, size_t start, size_t length)
{
    if (m->n == m->room && !m->failed) {
        size_t room = m->room ? 2 * m->room : 128;
        void *p = realloc(m->symbols, room * sizeof *m->symbols);
        if (p) {
            m->symbols = p;
            m->room = room;
        } else {
            m->failed = 1;
        }
    }
    if (m->failed)
        return;
    int32_t i = (int32_t)m->n++;
    m->symbols[i] = (bg_symbol){id, i - 1, -1, (uint32_t)start, (uint32_t)length};
    if (i)
        m->symbols[i - 1].next = i;
}

static int has_all_bytes(const bg_bpe *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (b->bytes[(unsigned char)s[i]] < 0)
            return 0;
    return 1;
}

/* One symbol for each character; characters that the vocabulary lacks as bytes, as the unknown token, or not at all. An
 * unknown symbol is held back until the next known one, as the reference does, so that runs of them can be one. */
static void characters(const bg_bpe *b, bg_merger *m, const char *word, size_t length)
{
    size_t unknown_at = 0, unknown_length = 0;
    for (size_t at = 0, n; at < length; at += n) {
        n = bg_utf8_width((unsigned char)word[at]);
        int32_t id = bg_vocab_find(&b->vocab, word + at, n);
        if (id >= 0) {
            if (unknown_length)
                add_symbol(m, b->unknown, unknown_at, unknown_length);
            unknown_length = 0;
            add_symbol(m, id, at, n);
        } else if (b->byte_fallback && has_all_bytes(b, word + at, n)) {
            for (size_t i = 0; i < n; i++)
                add_symbol(m, b->bytes[(unsigned char)word[at + i]], at + i, 1);
        } else if (b->unknown >= 0) {
            if (unknown_length && !b->fuse_unknown) {
                add_symbol(m, b->unknown, unknown_at, unknown_length);
                unknown_length = 0;
            }
            if (!unknown_length)
                unknown_at = at;
            unknown_length += n;
        }
    }
    if (unknown_length)
        add_symbol(m, b->unknown, unknown_at, unknown_length);
}

static void merge_all(const bg_bpe *b, bg_merger *m, const char *word)
{
    for (size_t i = 0; i + 1 < m->n; i++)
        propose(b, m, word, (int32_t)i);
    while (m->heap_n && !m->failed) {
        bg_candidate c = pop(m);
        bg_symbol *l = &m->symbols[c.left];
        uint32_t rank;
        if (!l->length || merged(b, m, word, c.left, &rank) != c.id)
            continue; /* swallowed, or a neighbour has changed since */
        bg_symbol *r = &m->symbols[l->next];
        l->id = c.id;
        l->length += r->length;
        r->length = 0;
        l->next = r->next;
        if (l->next >= 0)
            m->symbols[l->next].previous = c.left;
        if (l->previous >= 0)
            propose(b, m, word, l->previous);
        propose(b, m, word, c.left);
    }
}

/* Emits what merging by scores left over: symbols outside the vocabulary go byte by byte. */
static void emit_scored(const bg_bpe *b, const bg_symbol *s, const char *word, bg_id_list *out)
{
    if (s->id >= 0)
        bg_id_list_add(out, s->id);
    else if (has_all_bytes(b, word + s->start, s->length))
        for (uint32_t i = 0; i < s->length; i++)
            bg_id_list_add(out, b->bytes[(unsigned char)word[s->start + i]]);
    else if (b->unknown >= 0)
        bg_id_list_add(out, b->unknown);
}

int bg_bpe_encode(const bg_bpe *b, bg_merger *m, const char *word, size_t length, bg_id_list *out, bg_err *e)
{
    if (length > INT32_MAX / 2)
        return bg_fail(e, BG_INPUT, "a piece of text of %zu bytes without a place to cut it", length);
    int32_t whole = b->ignore_merges ? bg_vocab_find(&b->vocab, word, length) : -1;
    if (whole >= 0) {
        bg_id_list_add(out, whole);
        return out->failed ? bg_no_memory(e, "token ids", out->n * sizeof *out->id) : BG_OK;
    }
    m->n = m->heap_n = 0;
    if (b->score_rank)
        for (size_t at = 0, n; at < length; at += n) {
            n = bg_utf8_width((unsigned char)word[at]);
            add_symbol(m, bg_vocab_find(&b->vocab, word + at, n), at, n);
        }
    else
        characters(b, m, word, length);
    if (!m->failed)
        merge_all(b, m, word);
    if (m->failed)
        return bg_no_memory(e, "merging a word", length * sizeof *m->symbols);
    for (int32_t i = m->n ? 0 : -1; i >= 0; i = m->symbols[i].next)
        if (b->score_rank)
            emit_scored(b, &m->symbols[i], word, out);
        else
            bg_id_list_add(out, m->symbols[i].id);
    return out->failed ? bg_no_memory(e, "token ids", out->n * sizeof *out->id) : BG_OK;
}

/* ---- loading ---- */

void bg_bpe_find_bytes(bg_bpe *b)
{
    static const char digits[] = "0123456789ABCDEF";
    for (int i = 0; i < 256; i++) {
        char name[] = {'<', '0', 'x', digits[i >> 4], digits[i & 15], '>'};
        b->bytes[i] = bg_vocab_find(&b->vocab, name, sizeof name);
    }
}

static int load_vocab(bg_bpe *b, const cJSON *model, bg_err *e)
{
    const cJSON *token, *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    if (!cJSON_IsObject(vocab) || !vocab->child)
        return bg_fail(e, BG_INPUT, "the model has no vocabulary");
    int status = BG_OK;
    cJSON_ArrayForEach(token, vocab)
    {
        double id = cJSON_IsNumber(token) ? token->valuedouble : -1;
        if (!(id >= 0 && id < BG_TOK_ID_LIMIT) || id != (double)(int64_t)id)
            status = bg_fail(e, BG_INPUT, "the id of token '%.40s' is not an integer in 0..%d", token->string,
                             BG_TOK_ID_LIMIT - 1);
        else
            status = bg_vocab_add(&b->vocab, token->string, strlen(token->string), (int64_t)id, e);
        if (status)
            return status;
    }
    return BG_OK;
}

static int load_merges(bg_bpe *b, const cJSON *model, bg_err *e)
{
    const cJSON *merge, *merges = cJSON_GetObjectItemCaseSensitive(model, "merges");
    if (!cJSON_IsArray(merges))
        return bg_fail(e, BG_INPUT, "the model has no merges");
    uint32_t rank = 0;
    int status = bg_bpe_reserve_merges(b, (size_t)cJSON_GetArraySize(merges), e);
    cJSON_ArrayForEach(merge, merges)
    {
        const cJSON *l = cJSON_IsArray(merge) ? merge->child : NULL, *r = l ? l->next : NULL;
        if (status)
            break;
        if (cJSON_IsString(merge))
            status = bg_bpe_add_merge_line(b, merge->valuestring, strlen(merge->valuestring), rank, e);
        else if (cJSON_IsString(l) && cJSON_IsString(r) && !r->next)
            status = bg_bpe_add_merge(b, l->valuestring, strlen(l->valuestring), r->valuestring, strlen(r->valuestring),
                                      rank, e);
        else
            status = bg_fail(e, BG_INPUT, "merge %u is neither a string nor a pair of strings", rank);
        rank++;
    }
    return status;
}

int bg_bpe_load(bg_bpe *b, const cJSON *model, bg_err *e)
{
    const char *type = bg_json_string(model, "type", NULL);
    if (!cJSON_IsObject(model) || (!type && !cJSON_GetObjectItemCaseSensitive(model, "merges")))
        return bg_fail(e, BG_INPUT, "there is no model with a known type");
    if (type && strcmp(type, "BPE"))
        return bg_fail(e, BG_INPUT, "the model '%.40s' is not supported; BPE is", type);
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 2; i++)
        if (bg_json_string(model, affixes[i], "")[0])
            return bg_fail(e, BG_INPUT, "the model's %s is not supported", affixes[i]);
    if (bg_json_number(model, "dropout", 0) > 0)
        return bg_fail(e, BG_INPUT, "the model drops merges at random (dropout); ids would not be reproducible");
    b->byte_fallback = bg_json_bool(model, "byte_fallback", 0);
    b->fuse_unknown = bg_json_bool(model, "fuse_unk", 0);
    b->ignore_merges = bg_json_bool(model, "ignore_merges", 0);
    b->unknown = -1;
    int status = load_vocab(b, model, e);
    if (!status)
        status = load_merges(b, model, e);
    if (status)
        return status;
    bg_bpe_find_bytes(b);
    const char *unknown = bg_json_string(model, "unk_token", "");
    if (unknown[0] && (b->unknown = bg_vocab_find(&b->vocab, unknown, strlen(unknown))) < 0)
        return bg_fail(e, BG_INPUT, "the unknown token '%.40s' is not in the vocabulary", unknown);
    return BG_OK;
}

void bg_bpe_free(bg_bpe *b)
{
    bg_vocab_free(&b->vocab);
    bg_bytes_free(&b->joined);
    free(b->merges);
    free(b->score_rank);
    *b = (bg_bpe){0};
}

void bg_merger_free(bg_merger *m)
{
    free(m->symbols);
    free(m->heap);
    *m = (bg_merger){0};
}
