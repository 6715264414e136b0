/* Owns decoders: a list of token strings becomes text, step by step; at the end what is left is joined. */
#define _POSIX_C_SOURCE 200809L
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

static const char replacement_character[] = "\xEF\xBF\xBD";

/* Each character back to its byte; a token with a character outside the alphabet (an added one) gives its own bytes. */
static void decode_bytes(const bg_pieces *p, bg_pieces *out)
{
    bg_bytes raw = {0};
    for (size_t i = 0; i < p->n; i++) {
        const char *s = p->text.bytes + p->spans[i].start;
        size_t length = p->spans[i].length, begin = raw.length;
        for (size_t at = 0, used; at < length; at += used) {
            int byte = bg_stand_in_byte(bg_utf8_at(s + at, length - at, &used));
            if (byte < 0) {
                raw.length = begin;
                bg_bytes_add(&raw, s, length);
                break;
            }
            char c = (char)byte;
            bg_bytes_add(&raw, &c, 1);
        }
    }
    bg_utf8_repair(raw.bytes, raw.length, &out->text);
    out->text.failed |= raw.failed;
    bg_pieces_add(out, 0, out->text.length);
    bg_bytes_free(&raw);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* The byte of a token <0xHH>, or −1. */
static int byte_token(const char *s, size_t n)
{
    if (n != 6 || memcmp(s, "<0x", 3) || s[5] != '>')
        return -1;
    int high = hex_digit(s[3]), low = hex_digit(s[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* A run of byte tokens is UTF-8, or else each of its bytes is one U+FFFD. */
static void flush_run(bg_bytes *run, bg_pieces *out)
{
    bg_bytes repaired = {0};
    size_t start = out->text.length;
    if (!run->length)
        return;
    if (!bg_utf8_repair(run->bytes, run->length, &repaired))
        bg_bytes_add(&out->text, run->bytes, run->length);
    else
        for (size_t i = 0; i < run->length; i++)
            bg_bytes_add(&out->text, replacement_character, 3);
    out->text.failed |= repaired.failed | run->failed;
    bg_pieces_add(out, start, out->text.length - start);
    bg_bytes_free(&repaired);
    run->length = 0;
}

static void byte_fallback(const bg_pieces *p, bg_pieces *out)
{
    bg_bytes run = {0};
    for (size_t i = 0; i < p->n; i++) {
        const char *s = p->text.bytes + p->spans[i].start;
        int byte = byte_token(s, p->spans[i].length);
        if (byte >= 0) {
            char c = (char)byte;
            bg_bytes_add(&run, &c, 1);
            continue;
        }
        flush_run(&run, out);
        size_t start = out->text.length;
        bg_bytes_add(&out->text, s, p->spans[i].length);
        bg_pieces_add(out, start, p->spans[i].length);
    }
    flush_run(&run, out);
    bg_bytes_free(&run);
}

static int replace(const bg_decoder_step *r, bg_matcher *m, const bg_pieces *p, bg_pieces *out, bg_err *e)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *s = p->text.bytes + p->spans[i].start;
        size_t length = p->spans[i].length, done = 0, from = 0, a, b, start = out->text.length;
        int found, status;
        while (!(status = bg_pattern_next(&r->pattern, m, s, length, from, &found, &a, &b, e)) && found) {
            bg_bytes_add(&out->text, s + done, a - done);
            bg_bytes_add(&out->text, r->content, strlen(r->content));
            done = b;
            from = b > a ? b : b + (b < length ? bg_utf8_width((unsigned char)s[b]) : 1);
        }
        if (status)
            return status;
        bg_bytes_add(&out->text, s + done, length - done);
        bg_pieces_add(out, start, out->text.length - start);
    }
    return BG_OK;
}

static void strip(const bg_decoder_step *r, const bg_pieces *p, bg_pieces *out)
{
    size_t n = strlen(r->content);
    for (size_t i = 0; i < p->n; i++) {
        const char *s = p->text.bytes + p->spans[i].start;
        size_t length = p->spans[i].length, start = out->text.length;
        for (int64_t k = 0; k < r->start && length >= n && !memcmp(s, r->content, n); k++) {
            s += n;
            length -= n;
        }
        for (int64_t k = 0; k < r->stop && length >= n && !memcmp(s + length - n, r->content, n); k++)
            length -= n;
        bg_bytes_add(&out->text, s, length);
        bg_pieces_add(out, start, length);
    }
}

static void metaspace(const bg_decoder_step *r, const bg_pieces *p, bg_pieces *out)
{
    size_t n = strlen(r->replacement);
    for (size_t i = 0; i < p->n; i++) {
        const char *s = p->text.bytes + p->spans[i].start;
        size_t length = p->spans[i].length, start = out->text.length;
        for (size_t at = 0; at < length;) {
            int is_space = length - at >= n && !memcmp(s + at, r->replacement, n);
            if (is_space && (i || !r->prefix))
                bg_bytes_add(&out->text, " ", 1);
            else if (!is_space)
                bg_bytes_add(&out->text, s + at, 1);
            at += is_space ? n : 1;
        }
        bg_pieces_add(out, start, out->text.length - start);
    }
}

static void join(const bg_pieces *p, const char *between, bg_pieces *out)
{
    for (size_t i = 0; i < p->n; i++) {
        if (i)
            bg_bytes_add(&out->text, between, strlen(between));
        bg_bytes_add(&out->text, p->text.bytes + p->spans[i].start, p->spans[i].length);
    }
    bg_pieces_add(out, 0, out->text.length);
}

int bg_decode(const bg_decoders *s, bg_matcher *m, bg_pieces *p, bg_pieces *spare, bg_err *e)
{
    for (int i = 0; i <= s->n; i++) { /* the last round joins */
        const bg_decoder_step *r = i < s->n ? &s->at[i] : NULL;
        int status = BG_OK;
        spare->n = 0;
        spare->text.length = 0;
        if (!r || r->kind == BG_DEC_FUSE)
            join(p, s->n ? "" : " ", spare);
        else if (r->kind == BG_DEC_BYTES)
            decode_bytes(p, spare);
        else if (r->kind == BG_DEC_REPLACE)
            status = replace(r, m, p, spare, e);
        else if (r->kind == BG_DEC_BYTE_FALLBACK)
            byte_fallback(p, spare);
        else if (r->kind == BG_DEC_STRIP)
            strip(r, p, spare);
        else
            metaspace(r, p, spare);
        if (!status && (spare->text.failed || p->text.failed))
            status = bg_no_memory(e, "decoding", p->text.length);
        if (status)
            return status;
        bg_pieces swap = *p;
        *p = *spare;
        *spare = swap;
    }
    return BG_OK;
}

/* ---- loading ---- */

static int set_content(bg_decoder_step *r, const char *content, bg_err *e)
{
    if (!content)
        return bg_fail(e, BG_INPUT, "a decoder without its content");
    r->content = strdup(content);
    return r->content ? BG_OK : bg_no_memory(e, "a decoder", strlen(content));
}

static bg_decoder_step *next_step(bg_decoders *s, bg_decoder_kind kind, bg_err *e)
{
    if (s->n == BG_TOK_STEPS) {
        bg_fail(e, BG_INPUT, "more than %d decoders", BG_TOK_STEPS);
        return NULL;
    }
    bg_decoder_step *r = &s->at[s->n++];
    *r = (bg_decoder_step){.kind = kind, .prefix = 1, .start = 1};
    return r;
}

int bg_decoders_add(bg_decoders *s, bg_decoder_kind kind, const char *from, const char *to, bg_err *e)
{
    bg_decoder_step *r = next_step(s, kind, e);
    if (!r)
        return BG_INPUT;
    int status = from ? bg_pattern_literal(&r->pattern, from, e) : BG_OK;
    return status || !to ? status : set_content(r, to, e);
}

static int load_one(bg_decoder_step *r, const cJSON *node, bg_err *e)
{
    int status = BG_OK;
    if (r->kind == BG_DEC_REPLACE)
        status = bg_pattern_load(&r->pattern, cJSON_GetObjectItemCaseSensitive(node, "pattern"), e);
    if (r->kind == BG_DEC_STRIP) {
        r->start = r->stop = 0;
        status = bg_json_integer(node, "start", &r->start, e);
        if (!status)
            status = bg_json_integer(node, "stop", &r->stop, e);
    }
    if (!status && (r->kind == BG_DEC_REPLACE || r->kind == BG_DEC_STRIP))
        status = set_content(r, bg_json_string(node, "content", NULL), e);
    if (!status && r->kind == BG_DEC_STRIP && !r->content[0])
        status = bg_fail(e, BG_INPUT, "the decoder Strip has no character to strip");
    if (r->kind == BG_DEC_METASPACE) {
        const char *replacement = bg_json_string(node, "replacement", "\xE2\x96\x81");
        const char *scheme = bg_json_string(node, "prepend_scheme", "always");
        size_t n = strlen(replacement);
        if (!n || n != bg_utf8_width((unsigned char)replacement[0]))
            return bg_fail(e, BG_INPUT, "the replacement of Metaspace is not one character");
        memcpy(r->replacement, replacement, n + 1);
        r->prefix = strcmp(scheme, "never") && bg_json_bool(node, "add_prefix_space", 1);
    }
    return status;
}

int bg_decoders_load(bg_decoders *s, const cJSON *node, int depth, bg_err *e)
{
    static const char *const names[] = {"ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"};
    if (!node || cJSON_IsNull(node))
        return BG_OK;
    const char *type = bg_json_string(node, "type", "without a type");
    if (!strcmp(type, "Sequence") && depth < 8) {
        const cJSON *child, *list = cJSON_GetObjectItemCaseSensitive(node, "decoders");
        int status = BG_OK;
        cJSON_ArrayForEach(child, list) if (!status) status = bg_decoders_load(s, child, depth + 1, e);
        return status;
    }
    for (int kind = 0; kind < (int)(sizeof names / sizeof *names); kind++)
        if (!strcmp(type, names[kind])) {
            bg_decoder_step *r = next_step(s, (bg_decoder_kind)kind, e);
            return r ? load_one(r, node, e) : BG_INPUT;
        }
    return bg_fail(e, BG_INPUT, "the decoder '%.40s' is not supported", type);
}

void bg_decoders_free(bg_decoders *s)
{
    for (int i = 0; i < s->n; i++) {
        bg_pattern_free(&s->at[i].pattern);
        free(s->at[i].content);
    }
    s->n = 0;
}
