/* Owns growing text, escaping and the printed form of numbers. */
#include "reports/page/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */
#define MINUS       "\xE2\x88\x92" /* U+2212 */

static int grow(bg_text *t, size_t more)
{
    if (t->failed || more > SIZE_MAX / 4 || t->length > SIZE_MAX / 4)
        return !(t->failed = 1);
    if (t->length + more + 1 <= t->room)
        return 1;
    size_t room = t->room ? t->room : 256;
    while (room < t->length + more + 1)
        room *= 2;
    char *data = realloc(t->data, room);
    if (!data)
        return !(t->failed = 1);
    t->data = data;
    t->room = room;
    return 1;
}

void bg_text_add_n(bg_text *t, const char *s, size_t n)
{
    if (!grow(t, n))
        return;
    memcpy(t->data + t->length, s, n);
    t->length += n;
    t->data[t->length] = 0;
}

void bg_text_add(bg_text *t, const char *s)
{
    bg_text_add_n(t, s, strlen(s));
}

void bg_text_format(bg_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !grow(t, (size_t)n)) {
        t->failed = 1;
        return;
    }
    va_start(args, format);
    vsnprintf(t->data + t->length, (size_t)n + 1, format, args);
    va_end(args);
    t->length += (size_t)n;
}

const char *bg_text_string(const bg_text *t)
{
    return t->data ? t->data : "";
}

void bg_text_clear(bg_text *t)
{
    t->length = 0;
    if (t->data)
        t->data[0] = 0;
}

void bg_text_free(bg_text *t)
{
    free(t->data);
    *t = (bg_text){0};
}

/* ---- escaping ---- */

static int is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

void bg_text_html(bg_text *t, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '&':
            bg_text_add(t, "&amp;");
            break;
        case '<':
            bg_text_add(t, "&lt;");
            break;
        case '>':
            bg_text_add(t, "&gt;");
            break;
        case '"':
            bg_text_add(t, "&quot;");
            break;
        case '\'':
            bg_text_add(t, "&#39;");
            break;
        default:
            bg_text_add_n(t, is_control((unsigned char)*s) ? REPLACEMENT : s, is_control((unsigned char)*s) ? 3 : 1);
        }
    }
}

void bg_text_markdown(bg_text *t, const char *s)
{
    for (; *s; s++) {
        if (is_control((unsigned char)*s)) {
            bg_text_add(t, REPLACEMENT);
            continue;
        }
        if (strchr("\\`*_{}[]()<>#!|~&$", *s))
            bg_text_add(t, "\\");
        bg_text_add_n(t, s, 1);
    }
}

void bg_text_code(bg_text *t, const char *s)
{
    size_t longest = 0, run = 0;
    for (const char *p = s; *p; p++) {
        run = *p == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    const char *pad = longest || !*s ? " " : "";
    for (size_t i = 0; i <= longest; i++)
        bg_text_add(t, "`");
    bg_text_add(t, pad);
    for (; *s; s++) {
        if (is_control((unsigned char)*s))
            bg_text_add(t, REPLACEMENT);
        else
            bg_text_add_n(t, *s == '|' ? "\\|" : s, *s == '|' ? 2 : 1);
    }
    bg_text_add(t, pad);
    for (size_t i = 0; i <= longest; i++)
        bg_text_add(t, "`");
}

void bg_text_gnuplot(bg_text *t, const char *s)
{
    bg_text_add(t, "'");
    for (; *s; s++) {
        if (is_control((unsigned char)*s))
            bg_text_add(t, REPLACEMENT);
        else
            bg_text_add_n(t, *s == '\'' ? "''" : s, *s == '\'' ? 2 : 1);
    }
    bg_text_add(t, "'");
}

/* A data file knows no escape for its quote, so a quote becomes an apostrophe and a backslash a slash. */
void bg_text_column(bg_text *t, const char *s)
{
    bg_text_add(t, "\"");
    for (; *s; s++) {
        if (is_control((unsigned char)*s))
            bg_text_add(t, REPLACEMENT);
        else
            bg_text_add_n(t, *s == '"' ? "'" : *s == '\\' ? "/" : s, 1);
    }
    bg_text_add(t, "\"");
}

void bg_text_csv(bg_text *t, const char *s)
{
    /* A spreadsheet would run a field that begins with = + - @; an apostrophe in front makes it text. */
    const char *guard = *s && strchr("=+-@", *s) ? "'" : "";
    if (!*guard && !strpbrk(s, ",\"\r\n")) {
        bg_text_add(t, s);
        return;
    }
    bg_text_add(t, "\"");
    bg_text_add(t, guard);
    for (; *s; s++)
        bg_text_add_n(t, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
    bg_text_add(t, "\"");
}

void bg_text_slug(bg_text *t, const char *s)
{
    int hyphen = 1;
    for (; *s; s++) {
        char c = *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            bg_text_add_n(t, &c, 1);
            hyphen = 0;
        } else if (!hyphen) {
            bg_text_add(t, "-");
            hyphen = 1;
        }
    }
    if (hyphen && t->length && t->data[t->length - 1] == '-')
        t->data[--t->length] = 0;
}

/* ---- numbers ---- */

const char *const bg_style_names[BG_STYLES] = {"sig3", "count", "plain", "percent", "signed", "two", "mega"};

static void significant(char *out, size_t room, double magnitude)
{
    if (magnitude == 0) {
        snprintf(out, room, "0");
        return;
    }
    /* The exponent after rounding to three digits decides: 0.9996 prints as 1.00. */
    char e[32];
    snprintf(e, sizeof e, "%.2e", magnitude);
    int exponent = atoi(strchr(e, 'e') + 1);
    if (exponent < -4 || exponent > 6)
        snprintf(out, room, "%.*se%d", 4, e, exponent);
    else if (exponent >= 2)
        snprintf(out, room, "%.0f", magnitude);
    else
        snprintf(out, room, "%.*f", 2 - exponent, magnitude);
}

static void count(char *out, size_t room, double magnitude)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%.0f", magnitude);
    size_t at = 0;
    for (int i = 0; i < n && at + 2 < room; i++) {
        if (i && (n - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
}

char *bg_number_text(char buf[BG_NUMBER_TEXT], double value, bg_style style)
{
    char body[BG_NUMBER_TEXT - 8] = "";
    if (!isfinite(value) || fabs(value) > 1e24) {
        snprintf(buf, BG_NUMBER_TEXT, "–");
        return buf;
    }
    double magnitude = fabs(value);
    switch (style) {
    case BG_PERCENT:
        significant(body, sizeof body, magnitude * 100);
        break;
    case BG_MEGA:
        significant(body, sizeof body, magnitude / 1e6);
        break;
    case BG_COUNT:
        count(body, sizeof body, magnitude);
        break;
    case BG_PLAIN:
        snprintf(body, sizeof body, "%.6g", magnitude);
        break;
    case BG_TWO:
        snprintf(body, sizeof body, "%.2f", magnitude);
        break;
    default:
        significant(body, sizeof body, magnitude);
    }
    int zero = !strpbrk(body, "123456789");
    const char *sign = value < 0 && !zero ? MINUS : style == BG_SIGNED && !zero ? "+" : "";
    snprintf(buf, BG_NUMBER_TEXT, "%s%s", sign, body);
    return buf;
}
