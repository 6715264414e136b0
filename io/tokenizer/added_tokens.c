/* Owns added tokens: strings such as <|end_of_text|> that are cut out of the text before anything else sees it.
 * Leftmost match, the longest of those that start at the same place; a byte trie is walked from every position whose
 * byte begins some token. */
#define _POSIX_C_SOURCE 200809L
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

enum { CONTENT_LIMIT = 4096 }; /* bounds the walk from each position */

int bg_added_append(bg_added_tokens *a, const bg_added *token, bg_err *e)
{
    if (token->length > CONTENT_LIMIT)
        return bg_fail(e, BG_INPUT, "the added token '%.40s…' is %zu bytes long; %d are allowed", token->content,
                       token->length, CONTENT_LIMIT);
    if (token->id < 0 || token->id >= BG_TOK_ID_LIMIT)
        return bg_fail(e, BG_INPUT, "the added token '%.40s' has the id %d, outside 0..%d", token->content, token->id,
                       BG_TOK_ID_LIMIT - 1);
    if (a->n == a->room) {
        int room = a->room ? 2 * a->room : 16;
        void *p = realloc(a->tokens, (size_t)room * sizeof *a->tokens);
        if (!p)
            return bg_no_memory(e, "added tokens", (size_t)room * sizeof *a->tokens);
        a->tokens = p;
        a->room = room;
    }
    bg_added *own = &a->tokens[a->n];
    *own = *token;
    own->content = malloc(token->length + 1);
    if (!own->content)
        return bg_no_memory(e, "an added token", token->length + 1);
    memcpy(own->content, token->content, token->length);
    own->content[token->length] = 0;
    a->n++;
    return BG_OK;
}

static int new_node(bg_trie *t, unsigned char byte, uint32_t sibling, uint32_t *out, bg_err *e)
{
    if (t->n == t->room) {
        uint32_t room = t->room ? 2 * t->room : 256;
        void *p = realloc(t->nodes, room * sizeof *t->nodes);
        if (!p)
            return bg_no_memory(e, "added tokens", room * sizeof *t->nodes);
        t->nodes = p;
        t->room = room;
        if (!t->n)
            t->nodes[t->n++] = (struct bg_trie_node){0, 0, -1, 0}; /* index 0 means "none" */
    }
    *out = t->n;
    t->nodes[t->n++] = (struct bg_trie_node){0, sibling, -1, byte};
    return BG_OK;
}

static uint32_t child_of(const bg_trie *t, uint32_t first, unsigned char byte)
{
    while (first && t->nodes[first].byte != byte)
        first = t->nodes[first].sibling;
    return first;
}

int bg_trie_insert(bg_trie *t, const char *s, size_t n, int32_t token, bg_err *e)
{
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)s[i];
        uint32_t first = i ? t->nodes[at].child : t->first[byte];
        uint32_t next = child_of(t, first, byte);
        if (!next) {
            int status = new_node(t, byte, first, &next, e);
            if (status)
                return status;
            if (i)
                t->nodes[at].child = next;
            else
                t->first[byte] = next;
        }
        at = next;
    }
    if (n)
        t->nodes[at].token = token;
    return BG_OK;
}

/* Index of the longest token that begins at s, or −1. */
static int32_t longest_at(const bg_trie *t, const char *s, size_t n)
{
    int32_t best = -1;
    uint32_t at = t->first[(unsigned char)s[0]];
    for (size_t i = 0; at;) {
        if (t->nodes[at].token >= 0)
            best = t->nodes[at].token;
        if (++i == n)
            break;
        at = child_of(t, t->nodes[at].child, (unsigned char)s[i]);
    }
    return best;
}

/* Start of the character that ends at `end`. */
static size_t character_before(const char *text, size_t end)
{
    size_t at = end - 1;
    while (at && ((unsigned char)text[at] & 0xC0) == 0x80)
        at--;
    return at;
}

static int word_before(const char *text, size_t end)
{
    size_t used;
    if (!end)
        return 0;
    size_t at = character_before(text, end);
    return bg_is_word(bg_utf8_at(text + at, end - at, &used));
}

static int word_after(const char *text, size_t at, size_t length)
{
    size_t used;
    return at < length && bg_is_word(bg_utf8_at(text + at, length - at, &used));
}

static size_t strip_left(const char *text, size_t start, size_t least)
{
    while (start > least) {
        size_t used, at = character_before(text, start);
        if (!bg_is_space(bg_utf8_at(text + at, start - at, &used)))
            break;
        start = at;
    }
    return start < least ? least : start;
}

static size_t strip_right(const char *text, size_t stop, size_t length)
{
    while (stop < length) {
        size_t used;
        if (!bg_is_space(bg_utf8_at(text + stop, length - stop, &used)))
            break;
        stop += used;
    }
    return stop;
}

static void add_stretch(bg_stretches *s, size_t start, size_t length, int32_t id)
{
    if (s->n == s->room && !s->failed) {
        size_t room = s->room ? 2 * s->room : 16;
        void *p = realloc(s->at, room * sizeof *s->at);
        if (p) {
            s->at = p;
            s->room = room;
        } else {
            s->failed = 1;
        }
    }
    if (!s->failed)
        s->at[s->n++] = (bg_stretch){{start, length}, id};
}

void bg_added_cut(const bg_added_tokens *a, const bg_trie *which, const char *text, size_t length, bg_stretches *out)
{
    size_t done = 0; /* text up to here is in *out */
    for (size_t at = 0; at < length;) {
        int32_t hit = longest_at(which, text + at, length - at);
        if (hit < 0) {
            at++;
            continue;
        }
        const bg_added *token = &a->tokens[hit];
        size_t start = at, stop = at + token->length;
        at = stop; /* a hit is consumed by the scan even where it is dropped */
        if (token->single_word && (word_before(text, start) || word_after(text, stop, length)))
            continue;
        if (token->lstrip)
            start = strip_left(text, start, done);
        if (token->rstrip)
            stop = strip_right(text, stop, length);
        if (start > done)
            add_stretch(out, done, start - done, -1);
        add_stretch(out, start, stop - start, token->id);
        done = stop;
    }
    if (done < length)
        add_stretch(out, done, length - done, -1);
}

void bg_added_free(bg_added_tokens *a)
{
    for (int i = 0; i < a->n; i++)
        free(a->tokens[i].content);
    free(a->tokens);
    free(a->raw.nodes);
    free(a->normalized.nodes);
    *a = (bg_added_tokens){0};
}
