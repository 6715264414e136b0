/* Owns pre-tokenizers: what cuts a text into the words that merges may not cross.
 *
 * Every kind becomes one or more of four steps: cut by a pattern, put a space in front, map bytes to their printable
 * stand-ins (openai/gpt-2, encoder.py), map spaces to "▁". */
#define _POSIX_C_SOURCE 200809L
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

const char bg_pattern_gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- the byte-level alphabet ---- */

/* Printable Latin-1 bytes stand for themselves; the other 68, in order, for U+0100 onwards. */
static int stands_for_itself(unsigned char b)
{
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
}

uint32_t bg_byte_stand_in(unsigned char b)
{
    if (stands_for_itself(b))
        return b;
    return b <= 0x20 ? 0x100u + b : b <= 0xA0 ? 0x100u + 33 + (b - 0x7Fu) : 0x143u;
}

int bg_stand_in_byte(uint32_t c)
{
    if (c < 0x100)
        return stands_for_itself((unsigned char)c) ? (int)c : -1;
    if (c > 0x143)
        return -1;
    return c == 0x143 ? 0xAD : c <= 0x120 ? (int)(c - 0x100) : (int)(c - 0x121 + 0x7F);
}

/* ---- cutting ---- */

/* Pieces of one old piece as they come, glued by behaviour. */
typedef struct bg_cutter {
    bg_pieces *out;
    bg_behavior behavior;
    int invert, matched_before, has_last, has_waiting;
    bg_span last, waiting;
} bg_cutter;

static void put(bg_cutter *c, bg_span s)
{
    if (c->has_last && c->last.length)
        bg_pieces_add(c->out, c->last.start, c->last.length);
    c->last = s;
    c->has_last = 1;
}

static void cut(bg_cutter *c, size_t a, size_t b, int is_match)
{
    bg_span s = {a, b - a};
    is_match ^= c->invert;
    switch (c->behavior) {
    case BG_ISOLATED:
        put(c, s);
        break;
    case BG_REMOVED:
        if (!is_match)
            put(c, s);
        break;
    case BG_MERGED_WITH_PREVIOUS:
        if (is_match && !c->matched_before && c->has_last)
            c->last.length += s.length;
        else
            put(c, s);
        break;
    case BG_CONTIGUOUS:
        if (is_match == c->matched_before && c->has_last)
            c->last.length += s.length;
        else
            put(c, s);
        break;
    case BG_MERGED_WITH_NEXT: /* a match waits for the gap behind it */
        if (c->has_waiting && !is_match)
            s = (bg_span){c->waiting.start, c->waiting.length + s.length};
        else if (c->has_waiting)
            put(c, c->waiting);
        c->has_waiting = is_match;
        if (is_match)
            c->waiting = s;
        else
            put(c, s);
        break;
    }
    c->matched_before = is_match;
}

static int split(const bg_pretokenizer *r, bg_matcher *m, const bg_pieces *p, bg_pieces *out, bg_err *e)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *text = p->text.bytes + p->spans[i].start;
        size_t base = p->spans[i].start, length = p->spans[i].length, done = 0, from = 0, a, b;
        bg_cutter c = {.out = out, .behavior = r->behavior, .invert = r->invert};
        int found, status;
        while (!(status = bg_pattern_next(&r->pattern, m, text, length, from, &found, &a, &b, e)) && found) {
            if (a > done)
                cut(&c, base + done, base + a, 0);
            cut(&c, base + a, base + b, 1);
            done = b;
            from = b > a ? b : b + (b < length ? bg_utf8_width((unsigned char)text[b]) : 1);
        }
        if (status)
            return status;
        if (done < length)
            cut(&c, base + done, base + length, 0);
        if (c.has_waiting)
            put(&c, c.waiting);
        put(&c, (bg_span){0, 0}); /* flushes */
    }
    return BG_OK;
}

/* ---- steps that rewrite the text ---- */

static void space_prefix(const bg_pieces *p, bg_pieces *out)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *word = p->text.bytes + p->spans[i].start;
        size_t start = out->text.length;
        if (word[0] != ' ')
            bg_bytes_add(&out->text, " ", 1);
        bg_bytes_add(&out->text, word, p->spans[i].length);
        bg_pieces_add(out, start, out->text.length - start);
    }
}

static void map_bytes(const bg_pieces *p, bg_pieces *out)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *word = p->text.bytes + p->spans[i].start;
        size_t start = out->text.length;
        for (size_t k = 0; k < p->spans[i].length; k++) {
            unsigned char b = (unsigned char)word[k];
            if (b < 0x80 && stands_for_itself(b))
                bg_bytes_add(&out->text, word + k, 1);
            else
                bg_bytes_add_code_point(&out->text, bg_byte_stand_in(b));
        }
        bg_pieces_add(out, start, out->text.length - start);
    }
}

static void metaspace(const bg_pretokenizer *r, const bg_pieces *p, bg_pieces *out)
{
    size_t n = strlen(r->replacement);
    for (size_t i = 0; i < p->n; i++) {
        const char *word = p->text.bytes + p->spans[i].start;
        size_t length = p->spans[i].length, start = out->text.length;
        int prefixed = word[0] == ' ' || (length >= n && !memcmp(word, r->replacement, n));
        int wanted = r->prefix == 2 || (r->prefix == 1 && p->at_start && p->spans[i].start == 0);
        if (wanted && !prefixed)
            bg_bytes_add(&out->text, r->replacement, n);
        for (size_t k = 0; k < length;) {
            size_t run = 0;
            while (k + run < length && word[k + run] != ' ')
                run++;
            bg_bytes_add(&out->text, word + k, run);
            k += run;
            if (k++ < length)
                bg_bytes_add(&out->text, r->replacement, n);
        }
        bg_pieces_add(out, start, out->text.length - start);
    }
}

int bg_pretokenize(const bg_pretokenizers *s, bg_matcher *m, bg_pieces *p, bg_pieces *spare, bg_err *e)
{
    for (int i = 0; i < s->n; i++) {
        const bg_pretokenizer *r = &s->at[i];
        int status = BG_OK;
        spare->n = 0;
        spare->text.length = 0;
        spare->at_start = p->at_start;
        switch (r->kind) {
        case BG_PRE_SPLIT:
            status = split(r, m, p, spare, e);
            break;
        case BG_PRE_SPACE_PREFIX:
            space_prefix(p, spare);
            break;
        case BG_PRE_BYTES:
            map_bytes(p, spare);
            break;
        case BG_PRE_METASPACE:
            metaspace(r, p, spare);
            break;
        }
        if (!status && (spare->text.failed || p->text.failed))
            status = bg_no_memory(e, "the words of a text", p->text.length);
        if (status)
            return status;
        if (r->kind == BG_PRE_SPLIT) { /* the text stays where it is */
            bg_bytes swap = p->text;
            p->text = spare->text;
            spare->text = swap;
        }
        bg_pieces swap = *p;
        *p = *spare;
        *spare = swap;
    }
    return BG_OK;
}

/* ---- loading ---- */

static bg_pretokenizer *next_step(bg_pretokenizers *s, bg_pretokenizer_kind kind, bg_err *e)
{
    if (s->n == BG_TOK_STEPS) {
        bg_fail(e, BG_INPUT, "more than %d pre-tokenizers", BG_TOK_STEPS);
        return NULL;
    }
    bg_pretokenizer *r = &s->at[s->n++];
    *r = (bg_pretokenizer){.kind = kind};
    return r;
}

static int add_regex(bg_pretokenizers *s, const char *regex, bg_behavior behavior, int invert, bg_err *e)
{
    bg_pretokenizer *r = next_step(s, BG_PRE_SPLIT, e);
    if (!r)
        return BG_INPUT;
    r->behavior = behavior;
    r->invert = invert;
    return bg_pattern_regex(&r->pattern, regex, e);
}

int bg_pretokenizers_add_regex(bg_pretokenizers *s, const char *regex, bg_err *e)
{
    return add_regex(s, regex, BG_ISOLATED, 0, e);
}

int bg_pretokenizers_add_bytes(bg_pretokenizers *s, bg_err *e)
{
    return next_step(s, BG_PRE_BYTES, e) ? BG_OK : BG_INPUT;
}

static int load_behavior(const cJSON *node, bg_behavior otherwise, bg_behavior *out, bg_err *e)
{
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *name = bg_json_string(node, "behavior", names[otherwise]);
    for (int i = 0; i < 5; i++)
        if (!strcmp(name, names[i])) {
            *out = (bg_behavior)i;
            return BG_OK;
        }
    return bg_fail(e, BG_INPUT, "the behavior '%.40s' of a pre-tokenizer is not known", name);
}

static int load_split(bg_pretokenizers *s, const cJSON *node, bg_err *e)
{
    bg_pretokenizer *r = next_step(s, BG_PRE_SPLIT, e);
    if (!r)
        return BG_INPUT;
    r->invert = bg_json_bool(node, "invert", 0);
    int status = load_behavior(node, BG_ISOLATED, &r->behavior, e);
    return status ? status : bg_pattern_load(&r->pattern, cJSON_GetObjectItemCaseSensitive(node, "pattern"), e);
}

static int load_bytes(bg_pretokenizers *s, const cJSON *node, bg_err *e)
{
    if (bg_json_bool(node, "add_prefix_space", 1) && !next_step(s, BG_PRE_SPACE_PREFIX, e))
        return BG_INPUT;
    int status = bg_json_bool(node, "use_regex", 1) ? bg_pretokenizers_add_regex(s, bg_pattern_gpt2, e) : BG_OK;
    return status ? status : bg_pretokenizers_add_bytes(s, e);
}

static int load_metaspace(bg_pretokenizers *s, const cJSON *node, bg_err *e)
{
    const char *replacement = bg_json_string(node, "replacement", "\xE2\x96\x81");
    const char *scheme =
        bg_json_string(node, "prepend_scheme", bg_json_bool(node, "add_prefix_space", 1) ? "always" : "never");
    size_t n = strlen(replacement);
    if (!n || n != bg_utf8_width((unsigned char)replacement[0]))
        return bg_fail(e, BG_INPUT, "the replacement of Metaspace is not one character");
    bg_pretokenizer *r = next_step(s, BG_PRE_METASPACE, e);
    if (!r)
        return BG_INPUT;
    memcpy(r->replacement, replacement, n + 1);
    if (!strcmp(scheme, "always"))
        r->prefix = 2;
    else if (!strcmp(scheme, "first"))
        r->prefix = 1;
    else if (strcmp(scheme, "never"))
        return bg_fail(e, BG_INPUT, "the prepend_scheme '%.40s' of Metaspace is not known", scheme);
    if (!bg_json_bool(node, "split", 1))
        return BG_OK;
    r = next_step(s, BG_PRE_SPLIT, e);
    if (!r)
        return BG_INPUT;
    r->behavior = BG_MERGED_WITH_NEXT;
    return bg_pattern_literal(&r->pattern, replacement, e);
}

static int load_sequence(bg_pretokenizers *s, const cJSON *node, int depth, bg_err *e)
{
    const cJSON *child, *list = cJSON_GetObjectItemCaseSensitive(node, "pretokenizers");
    int status = BG_OK;
    cJSON_ArrayForEach(child, list) if (!status) status = bg_pretokenizers_load(s, child, depth + 1, e);
    return status;
}

int bg_pretokenizers_load(bg_pretokenizers *s, const cJSON *node, int depth, bg_err *e)
{
    if (!node || cJSON_IsNull(node))
        return BG_OK;
    const char *type = bg_json_string(node, "type", "without a type");
    if (!strcmp(type, "Sequence") && depth < 8)
        return load_sequence(s, node, depth, e);
    if (!strcmp(type, "Split"))
        return load_split(s, node, e);
    if (!strcmp(type, "ByteLevel"))
        return load_bytes(s, node, e);
    if (!strcmp(type, "Metaspace"))
        return load_metaspace(s, node, e);
    if (!strcmp(type, "Digits"))
        return add_regex(s, "\\p{N}", bg_json_bool(node, "individual_digits", 0) ? BG_ISOLATED : BG_CONTIGUOUS, 0, e);
    if (!strcmp(type, "Whitespace"))
        return add_regex(s, "\\w+|[^\\w\\s]+", BG_REMOVED, 1, e);
    if (!strcmp(type, "WhitespaceSplit"))
        return add_regex(s, "\\s", BG_REMOVED, 0, e);
    if (!strcmp(type, "Punctuation")) {
        bg_behavior behavior = BG_ISOLATED;
        int status = load_behavior(node, BG_ISOLATED, &behavior, e);
        return status ? status : add_regex(s, "[\\p{P}!-/:-@\\[-`{-~]", behavior, 0, e);
    }
    return bg_fail(e, BG_INPUT, "the pre-tokenizer '%.40s' is not supported", type);
}

void bg_pretokenizers_free(bg_pretokenizers *s)
{
    for (int i = 0; i < s->n; i++)
        bg_pattern_free(&s->at[i].pattern);
    s->n = 0;
}
