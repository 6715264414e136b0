/* Owns UTF-8 repair, character classes, and texts and pieces that grow. */
#include "io/tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Room for `more` elements of `size` bytes behind `n`, doubling; 0 when memory is out. */
static int grow(void **at, size_t *room, size_t n, size_t more, size_t size)
{
    if (more <= *room - n)
        return 1;
    size_t want = *room ? *room : 64;
    while (want - n < more) {
        if (want > SIZE_MAX / 2 / size)
            return 0;
        want *= 2;
    }
    void *p = realloc(*at, want * size);
    if (!p)
        return 0;
    *at = p;
    *room = want;
    return 1;
}

void bg_bytes_add(bg_bytes *t, const char *bytes, size_t n)
{
    void *at = t->bytes;
    if (t->failed || !grow(&at, &t->room, t->length, n, 1)) {
        t->failed = 1;
        return;
    }
    t->bytes = at;
    if (n)
        memcpy(t->bytes + t->length, bytes, n);
    t->length += n;
}

void bg_bytes_add_code_point(bg_bytes *t, uint32_t c)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char((utf8proc_int32_t)c, bytes);
    bg_bytes_add(t, (const char *)bytes, (size_t)n);
}

void bg_bytes_free(bg_bytes *t)
{
    free(t->bytes);
    *t = (bg_bytes){0};
}

void bg_pieces_add(bg_pieces *p, size_t start, size_t length)
{
    void *at = p->spans;
    if (p->text.failed || !grow(&at, &p->room, p->n, 1, sizeof *p->spans)) {
        p->text.failed = 1;
        return;
    }
    p->spans = at;
    p->spans[p->n++] = (bg_span){start, length};
}

void bg_pieces_free(bg_pieces *p)
{
    bg_bytes_free(&p->text);
    free(p->spans);
    *p = (bg_pieces){0};
}

void bg_id_list_add(bg_id_list *l, int32_t id)
{
    void *at = l->id;
    if (l->failed || !grow(&at, &l->room, l->n, 1, sizeof *l->id)) {
        l->failed = 1;
        return;
    }
    l->id = at;
    l->id[l->n++] = id;
}

uint32_t bg_utf8_at(const char *s, size_t n, size_t *used)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80) {
        *used = 1;
        return u[0];
    }
    utf8proc_int32_t c;
    utf8proc_ssize_t k = utf8proc_iterate(u, (utf8proc_ssize_t)(n < 4 ? n : 4), &c);
    *used = k > 0 ? (size_t)k : 1;
    return k > 0 ? (uint32_t)c : 0xFFFD;
}

/* The second byte's range for each first byte shuts out overlong forms, surrogates and code points past U+10FFFF. */
static int second_byte_fits(unsigned char first, unsigned char second)
{
    unsigned char least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned char most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return second >= least && second <= most;
}

/* Length of the longest prefix of s that begins a valid sequence; *valid when it is one whole. */
static size_t valid_prefix(const unsigned char *s, size_t n, int *valid)
{
    *valid = 0;
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return *valid = s[0] < 0x80, 1;
    size_t width = bg_utf8_width(s[0]), k = 1;
    while (k < width && k < n && (k == 1 ? second_byte_fits(s[0], s[1]) : (s[k] & 0xC0) == 0x80))
        k++;
    *valid = k == width;
    return k;
}

size_t bg_utf8_repair(const char *text, size_t length, bg_bytes *out)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t replaced = 0, good = 0, at = 0;
    if (!length)
        return 0;
    while (at < length) {
        int valid;
        size_t k = valid_prefix(s + at, length - at, &valid);
        if (!valid) {
            bg_bytes_add(out, text + good, at - good);
            bg_bytes_add(out, "\xEF\xBF\xBD", 3);
            good = at + k;
            replaced++;
        }
        at += k;
    }
    bg_bytes_add(out, text + good, length - good);
    return replaced;
}

int bg_is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

int bg_is_word(uint32_t c)
{
    if (c == 0x200C || c == 0x200D) /* Join_Control */
        return 1;
    /* Other_Alphabetic beyond the general categories below: circled and squared letters */
    if ((c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
        (c >= 0x1F170 && c <= 0x1F189))
        return 1;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return 1;
    default:
        return 0;
    }
}
