/* Owns reading JSON safely and writing it exactly. */
#include "io/base/json.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>
#include "io/base/file.h"

/* ---- checks before cJSON sees the text ---- */

int bg_check_utf8(const char *text, size_t length, const char *name, bg_err *e)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)text;
    for (size_t at = 0; at < length;) {
        if (p[at] < 0x80) {
            at++;
            continue;
        }
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(p + at, (utf8proc_ssize_t)(length - at), &c);
        if (n <= 0)
            return bg_fail(e, BG_INPUT, "%s: invalid UTF-8 at byte %zu", name, at);
        at += (size_t)n;
    }
    return BG_OK;
}

/* Depth, NUL escapes and raw NUL bytes in one scan; strings are skipped with their escapes. */
static int check_shape(const char *text, size_t length, const char *name, bg_err *e)
{
    int depth = 0, in_string = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (!c)
            return bg_fail(e, BG_INPUT, "%s: NUL byte at %zu in JSON", name, i);
        if (in_string) {
            if (c == '\\') {
                if (i + 5 < length && !memcmp(text + i + 1, "u0000", 5))
                    return bg_fail(e, BG_INPUT, "%s: the escape \\u0000 at byte %zu cannot be part of a name", name, i);
                i++;
            } else if (c == '"') {
                in_string = 0;
            }
        } else if (c == '"') {
            in_string = 1;
        } else if (c == '{' || c == '[') {
            if (++depth > BG_JSON_DEPTH)
                return bg_fail(e, BG_INPUT, "%s: JSON nested deeper than %d", name, BG_JSON_DEPTH);
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return BG_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_duplicates(const cJSON *node, const char *name, bg_err *e)
{
    int status = BG_OK;
    if (cJSON_IsObject(node)) {
        size_t n = 0;
        for (const cJSON *c = node->child; c; c = c->next)
            n++;
        const char **names = n > 1 ? malloc(n * sizeof *names) : NULL;
        if (n > 1 && !names)
            return bg_no_memory(e, name, n * sizeof *names);
        if (names) {
            size_t i = 0;
            for (const cJSON *c = node->child; c; c = c->next)
                names[i++] = c->string;
            qsort(names, n, sizeof *names, by_name);
            for (i = 1; !status && i < n; i++)
                if (!strcmp(names[i - 1], names[i]))
                    status = bg_fail(e, BG_INPUT, "%s: the name '%s' appears twice in one object", name, names[i]);
            free(names);
        }
    }
    for (const cJSON *c = node->child; !status && c; c = c->next)
        if (c->child)
            status = check_duplicates(c, name, e);
    return status;
}

int bg_json_parse(const char *text, size_t length, const char *name, cJSON **out, bg_err *e)
{
    *out = NULL;
    int status = bg_check_utf8(text, length, name, e);
    if (!status)
        status = check_shape(text, length, name, e);
    if (status)
        return status;
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(text, length + 1, &end, 0);
    if (!root) {
        size_t at = end && end >= text && end <= text + length ? (size_t)(end - text) : 0;
        return bg_fail(e, BG_INPUT, "%s: not valid JSON near byte %zu", name, at);
    }
    while (end < text + length && isspace((unsigned char)*end))
        end++;
    if (end < text + length)
        status =
            bg_fail(e, BG_INPUT, "%s: unexpected text after the JSON value at byte %zu", name, (size_t)(end - text));
    if (!status)
        status = check_duplicates(root, name, e);
    if (status)
        cJSON_Delete(root);
    else
        *out = root;
    return status;
}

int bg_json_read(const char *path, size_t limit, cJSON **out, bg_err *e)
{
    char *text;
    size_t length;
    *out = NULL;
    int status = bg_file_read(path, limit, &text, &length, e);
    if (status)
        return status;
    status = bg_json_parse(text, length, path, out, e);
    free(text);
    return status;
}

double bg_json_number(const cJSON *object, const char *key, double otherwise)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(m) ? m->valuedouble : otherwise;
}

int bg_json_bool(const cJSON *object, const char *key, int otherwise)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsBool(m) ? cJSON_IsTrue(m) : otherwise;
}

const char *bg_json_string(const cJSON *object, const char *key, const char *otherwise)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(m) ? m->valuestring : otherwise;
}

int bg_json_integer(const cJSON *object, const char *key, int64_t *out, bg_err *e)
{
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!m)
        return BG_OK;
    double v = m->valuedouble;
    if (!cJSON_IsNumber(m) || !(v >= 0 && v <= 0x1p53) || v != floor(v))
        return bg_fail(e, BG_INPUT, "'%s' must be a whole number of at least 0", key);
    *out = (int64_t)v;
    return BG_OK;
}

/* ---- writer ---- */

char *bg_print_double(char *buf, double value)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, value);
        if (strtod(buf, NULL) == value)
            break;
    }
    return buf;
}

void bg_jsonw_init(bg_jsonw *w, FILE *file)
{
    *w = (bg_jsonw){.file = file};
    w->first[0] = 1;
}

static void print_string(FILE *f, const char *s)
{
    putc('"', f);
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else if (*p == '\n')
            fputs("\\n", f);
        else if (*p < 0x20)
            fprintf(f, "\\u%04x", *p);
        else
            putc(*p, f);
    }
    putc('"', f);
}

/* Everything but the rows of a table goes on a line of its own; a row (depth 3) is one line, so that diffs show rows.
 */
static void before(bg_jsonw *w, const char *key)
{
    if (!w->first[w->depth])
        fputs(w->depth >= 3 ? ", " : ",", w->file);
    if (w->depth && w->depth < 3)
        fprintf(w->file, "\n%*s", w->depth, "");
    w->first[w->depth] = 0;
    if (key) {
        print_string(w->file, key);
        fputs(": ", w->file);
    }
}

static void open_level(bg_jsonw *w, const char *key, char c)
{
    before(w, key);
    putc(c, w->file);
    if (w->depth + 1 < BG_JSON_DEPTH)
        w->first[++w->depth] = 1;
    else
        w->status = BG_INPUT;
}

void bg_jsonw_object(bg_jsonw *w, const char *key)
{
    open_level(w, key, '{');
}

void bg_jsonw_array(bg_jsonw *w, const char *key)
{
    open_level(w, key, '[');
}

void bg_jsonw_end(bg_jsonw *w, char closing)
{
    int empty = w->first[w->depth];
    w->depth--;
    if (!empty && w->depth < 2)
        fprintf(w->file, "\n%*s", w->depth, "");
    putc(closing, w->file);
}

void bg_jsonw_string(bg_jsonw *w, const char *key, const char *value)
{
    before(w, key);
    print_string(w->file, value);
}

void bg_jsonw_number(bg_jsonw *w, const char *key, double value)
{
    char buf[32];
    before(w, key);
    if (!isfinite(value)) {
        if (!w->status)
            w->bad_key = key ? key : "array element";
        w->status = BG_INPUT;
        value = 0;
    }
    fputs(bg_print_double(buf, value), w->file);
}

void bg_jsonw_integer(bg_jsonw *w, const char *key, int64_t value)
{
    before(w, key);
    fprintf(w->file, "%lld", (long long)value);
}

void bg_jsonw_bool(bg_jsonw *w, const char *key, int value)
{
    before(w, key);
    fputs(value ? "true" : "false", w->file);
}

int bg_jsonw_finish(bg_jsonw *w, bg_err *e)
{
    putc('\n', w->file);
    if (w->status)
        return bg_fail(e, w->status, "internal: '%s' is not a finite number", w->bad_key ? w->bad_key : "nesting");
    return BG_OK;
}
