/* Owns normalizers: Unicode normal forms (utf8proc), Prepend, Replace, Lowercase, Strip. */
#define _POSIX_C_SOURCE 200809L
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static int normal_form(bg_normalizer_kind kind, bg_bytes *text, bg_bytes *spare, bg_err *e)
{
    static const int options[] = {
        [BG_NORM_NFC] = UTF8PROC_COMPOSE,
        [BG_NORM_NFD] = UTF8PROC_DECOMPOSE,
        [BG_NORM_NFKC] = UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
        [BG_NORM_NFKD] = UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
    };
    size_t at = 0;
    while (at < text->length && !(text->bytes[at] & 0x80))
        at++;
    if (at == text->length) /* ASCII is its own normal form in all four */
        return BG_OK;
    utf8proc_uint8_t *out = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)text->bytes, (utf8proc_ssize_t)text->length, &out,
                                      UTF8PROC_STABLE | options[kind]);
    if (n == UTF8PROC_ERROR_NOMEM)
        return bg_no_memory(e, "normalizing a text", text->length);
    if (n < 0)
        return bg_fail(e, BG_INPUT, "the text cannot be normalized: %s", utf8proc_errmsg(n));
    spare->length = 0;
    bg_bytes_add(spare, (const char *)out, (size_t)n);
    free(out);
    return BG_OK;
}

static int replace(const bg_normalizer *r, bg_matcher *m, const bg_bytes *text, bg_bytes *out, bg_err *e)
{
    size_t done = 0, from = 0, a, b;
    int found, status;
    while (!(status = bg_pattern_next(&r->pattern, m, text->bytes, text->length, from, &found, &a, &b, e)) && found) {
        bg_bytes_add(out, text->bytes + done, a - done);
        bg_bytes_add(out, r->content, strlen(r->content));
        done = b;
        from = b > a ? b : b + (b < text->length ? bg_utf8_width((unsigned char)text->bytes[b]) : 1);
    }
    bg_bytes_add(out, text->bytes + done, text->length - done);
    return status;
}

static void lowercase(const bg_bytes *text, bg_bytes *out)
{
    for (size_t at = 0, used; at < text->length; at += used) {
        uint32_t c = bg_utf8_at(text->bytes + at, text->length - at, &used);
        if (c == 0x130) /* İ: the one letter whose lower case is two code points */
            bg_bytes_add(out, "i\xCC\x87", 3);
        else
            bg_bytes_add_code_point(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    }
}

static void strip(const bg_normalizer *r, const bg_bytes *text, bg_bytes *out)
{
    size_t from = 0, to = text->length, used;
    while (r->left && from < to && bg_is_space(bg_utf8_at(text->bytes + from, to - from, &used)))
        from += used;
    while (r->right && to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)text->bytes[at] & 0xC0) == 0x80)
            at--;
        if (!bg_is_space(bg_utf8_at(text->bytes + at, to - at, &used)))
            break;
        to = at;
    }
    bg_bytes_add(out, text->bytes + from, to - from);
}

int bg_normalize(const bg_normalizers *s, bg_matcher *m, bg_bytes *text, bg_bytes *spare, bg_err *e)
{
    for (int i = 0; i < s->n && text->length; i++) {
        const bg_normalizer *r = &s->at[i];
        int status = BG_OK;
        spare->length = 0;
        switch (r->kind) {
        case BG_NORM_PREPEND:
            bg_bytes_add(spare, r->content, strlen(r->content));
            bg_bytes_add(spare, text->bytes, text->length);
            break;
        case BG_NORM_REPLACE:
            status = replace(r, m, text, spare, e);
            break;
        case BG_NORM_LOWERCASE:
            lowercase(text, spare);
            break;
        case BG_NORM_STRIP:
            strip(r, text, spare);
            break;
        default:
            status = normal_form(r->kind, text, spare, e);
            if (!status && !spare->length) /* nothing to change */
                continue;
        }
        if (!status && spare->failed)
            status = bg_no_memory(e, "normalizing a text", text->length);
        if (status)
            return status;
        bg_bytes swap = *text;
        *text = *spare;
        *spare = swap;
    }
    return BG_OK;
}

static bg_normalizer *next_step(bg_normalizers *s, bg_normalizer_kind kind, bg_err *e)
{
    if (s->n == BG_TOK_STEPS) {
        bg_fail(e, BG_INPUT, "more than %d normalizers", BG_TOK_STEPS);
        return NULL;
    }
    bg_normalizer *r = &s->at[s->n++];
    *r = (bg_normalizer){.kind = kind, .left = 1, .right = 1};
    return r;
}

static int set_content(bg_normalizer *r, const char *content, bg_err *e)
{
    if (!content)
        return bg_fail(e, BG_INPUT, "a normalizer without its text");
    r->content = strdup(content);
    return r->content ? BG_OK : bg_no_memory(e, "a normalizer", strlen(content));
}

int bg_normalizers_add(bg_normalizers *s, bg_normalizer_kind kind, const char *from, const char *to, bg_err *e)
{
    bg_normalizer *r = next_step(s, kind, e);
    if (!r)
        return BG_INPUT;
    int status = from ? bg_pattern_literal(&r->pattern, from, e) : BG_OK;
    return status ? status : set_content(r, to, e);
}

int bg_normalizers_load(bg_normalizers *s, const cJSON *node, int depth, bg_err *e)
{
    static const char *const names[] = {"NFC", "NFD", "NFKC", "NFKD", "Prepend", "Replace", "Lowercase", "Strip"};
    if (!node || cJSON_IsNull(node))
        return BG_OK;
    const char *type = bg_json_string(node, "type", NULL);
    if (!type)
        return bg_fail(e, BG_INPUT, "a normalizer without a type");
    if (!strcmp(type, "Sequence") && depth < 8) {
        const cJSON *child, *list = cJSON_GetObjectItemCaseSensitive(node, "normalizers");
        int status = BG_OK;
        cJSON_ArrayForEach(child, list) if (!status) status = bg_normalizers_load(s, child, depth + 1, e);
        return status;
    }
    int kind = 0, kinds = (int)(sizeof names / sizeof *names);
    while (kind < kinds && strcmp(type, names[kind]))
        kind++;
    if (kind == kinds)
        return bg_fail(e, BG_INPUT, "the normalizer '%.40s' is not supported", type);
    bg_normalizer *r = next_step(s, (bg_normalizer_kind)kind, e);
    if (!r)
        return BG_INPUT;
    r->left = bg_json_bool(node, "strip_left", 1);
    r->right = bg_json_bool(node, "strip_right", 1);
    if (kind == BG_NORM_PREPEND)
        return set_content(r, bg_json_string(node, "prepend", NULL), e);
    if (kind != BG_NORM_REPLACE)
        return BG_OK;
    int status = bg_pattern_load(&r->pattern, cJSON_GetObjectItemCaseSensitive(node, "pattern"), e);
    return status ? status : set_content(r, bg_json_string(node, "content", NULL), e);
}

void bg_normalizers_free(bg_normalizers *s)
{
    for (int i = 0; i < s->n; i++) {
        bg_pattern_free(&s->at[i].pattern);
        free(s->at[i].content);
    }
    s->n = 0;
}
