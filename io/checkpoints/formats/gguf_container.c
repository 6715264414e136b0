/* Owns the GGUF container: header, metadata and tensor list, each number checked against what is left of the file
 * before it is believed.
 *
 *     "GGUF" u32 version, u64 tensors, u64 pairs | pairs | tensor infos | padding | data, each tensor aligned
 */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoints/formats/gguf_container.h"

#include <math.h>
#include <stdlib.h>

enum { T_U8, T_I8, T_U16, T_I16, T_U32, T_I32, T_F32, T_BOOL, T_STRING, T_ARRAY, T_U64, T_I64, T_F64, T_TYPES };
static const unsigned char type_size[T_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
static const char *const type_names[T_TYPES] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                                "bool", "string", "array", "u64", "i64", "f64"};

enum { FIRST_READ = 1 << 18, LONGEST_KEY = 65535, LONGEST_STRING = 1 << 30, LONGEST_NAME = 63, MOST_DIMS = 4 };

typedef struct pair {
    bg_gguf_text key;
    uint32_t type, element; /* element: of arrays */
    uint64_t count;         /* of arrays; 1 otherwise */
    size_t at;              /* of the first value in the header */
} pair;

struct bg_gguf {
    char *path, *head;
    size_t have, at; /* bytes of the header read so far; where parsing is */
    int fd;
    uint64_t size, tensors, n_pairs, alignment, data_start;
    pair *pairs; /* sorted by key */
};

/* ---- reading the header piece by piece ---- */

/* Makes the next n bytes available and moves past them; *from is their place. */
static int take(bg_gguf *g, uint64_t n, size_t *from, bg_err *e)
{
    if (n > g->size - g->at)
        return bg_fail(e, BG_INPUT,
                       "header ends early at byte %zu (%llu bytes wanted); truncated or damaged, fetch it again", g->at,
                       (unsigned long long)n);
    uint64_t end = g->at + n;
    if (end > g->have) {
        uint64_t want = end > 2 * (uint64_t)g->have ? end : 2 * (uint64_t)g->have;
        want = want < FIRST_READ ? FIRST_READ : want;
        want = want > g->size ? g->size : want;
        char *more = realloc(g->head, (size_t)want + 1);
        if (!more)
            return bg_no_memory(e, "a GGUF header", want);
        g->head = more;
        int status = bg_pread(g->fd, g->path, more + g->have, (size_t)want - g->have, g->have, e);
        if (status)
            return status;
        g->have = (size_t)want;
    }
    *from = g->at;
    g->at = (size_t)end;
    return BG_OK;
}

static uint64_t little(const char *p, unsigned n)
{
    uint64_t v = 0;
    while (n--)
        v = v << 8 | (unsigned char)p[n];
    return v;
}

static int take_number(bg_gguf *g, unsigned n, uint64_t *out, bg_err *e)
{
    size_t from = 0;
    int status = take(g, n, &from, e);
    if (!status)
        *out = little(g->head + from, n);
    return status;
}

static int take_string(bg_gguf *g, uint64_t longest, const char *what, size_t *from, uint64_t *length, bg_err *e)
{
    int status = take_number(g, 8, length, e);
    if (status)
        return status;
    if (*length > longest)
        return bg_fail(e, BG_INPUT, "%s of %llu bytes at byte %zu", what, (unsigned long long)*length, g->at);
    return take(g, *length, from, e);
}

/* n values of a type; strings and booleans are looked at one by one. */
static int take_values(bg_gguf *g, uint32_t type, uint64_t n, bg_err *e)
{
    size_t from;
    uint64_t length;
    int status = BG_OK;
    if (type == T_STRING) {
        if (n > (g->size - g->at) / 8)
            return bg_fail(e, BG_INPUT, "array of %llu strings is longer than the file", (unsigned long long)n);
        for (uint64_t i = 0; !status && i < n; i++)
            status = take_string(g, LONGEST_STRING, "string", &from, &length, e);
        return status;
    }
    if (n > (g->size - g->at) / type_size[type])
        return bg_fail(e, BG_INPUT, "array of %llu values is longer than the file", (unsigned long long)n);
    status = take(g, n * type_size[type], &from, e);
    for (uint64_t i = 0; !status && type == T_BOOL && i < n; i++)
        if ((unsigned char)g->head[from + i] > 1)
            status = bg_fail(e, BG_INPUT, "boolean %u at byte %zu is neither 0 nor 1",
                             (unsigned)(unsigned char)g->head[from + i], from + (size_t)i);
    return status;
}

/* The key's text is stored as an offset until the header is complete. */
static int take_pair(bg_gguf *g, pair *p, size_t *key_at, bg_err *e)
{
    uint64_t length, type, element = 0, count = 1;
    int status = take_string(g, LONGEST_KEY, "key", key_at, &length, e);
    if (!status && !length)
        return bg_fail(e, BG_INPUT, "empty key at byte %zu", *key_at);
    if (!status)
        status = take_number(g, 4, &type, e);
    if (status)
        return status;
    if (type == T_ARRAY) {
        status = take_number(g, 4, &element, e);
        if (!status)
            status = take_number(g, 8, &count, e);
        if (!status && (element >= T_TYPES || element == T_ARRAY))
            status = bg_fail(e, BG_INPUT, "key '%.*s': array of %s", (int)length, g->head + *key_at,
                             element == T_ARRAY ? "arrays" : "an unknown type");
    } else if (type >= T_TYPES) {
        status = bg_fail(e, BG_INPUT, "key '%.*s': unknown value type %llu", (int)length, g->head + *key_at,
                         (unsigned long long)type);
    }
    if (status)
        return status;
    *p = (pair){.key = {NULL, (size_t)length},
                .type = (uint32_t)type,
                .element = (uint32_t)element,
                .count = count,
                .at = g->at};
    status = take_values(g, type == T_ARRAY ? p->element : p->type, count, e);
    return status ? bg_context(e, "key '%.*s'", (int)length, g->head + *key_at) : BG_OK;
}

static int compare_text(bg_gguf_text a, const char *b, size_t n)
{
    int order = memcmp(a.text, b, a.length < n ? a.length : n);
    return order ? order : (a.length > n) - (a.length < n);
}

static int by_key(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    return compare_text(x->key, y->key.text, y->key.length);
}

static int take_pairs(bg_gguf *g, bg_err *e)
{
    size_t *keys = calloc((size_t)g->n_pairs + 1, sizeof *keys);
    g->pairs = calloc((size_t)g->n_pairs + 1, sizeof *g->pairs);
    int status = keys && g->pairs ? BG_OK : bg_no_memory(e, "metadata", g->n_pairs * sizeof *g->pairs);
    for (uint64_t i = 0; !status && i < g->n_pairs; i++)
        status = take_pair(g, &g->pairs[i], &keys[i], e);
    for (uint64_t i = 0; !status && i < g->n_pairs; i++)
        g->pairs[i].key.text = g->head + keys[i];
    free(keys);
    if (status)
        return status;
    qsort(g->pairs, (size_t)g->n_pairs, sizeof *g->pairs, by_key);
    for (uint64_t i = 1; i < g->n_pairs; i++)
        if (!by_key(&g->pairs[i - 1], &g->pairs[i]))
            return bg_fail(e, BG_INPUT, "key '%.*s' appears twice", (int)g->pairs[i].key.length, g->pairs[i].key.text);
    return BG_OK;
}

/* ---- looking values up ---- */

static const pair *find(const bg_gguf *g, const char *key)
{
    uint64_t low = 0, high = g->n_pairs;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int order = compare_text(g->pairs[middle].key, key, strlen(key));
        if (!order)
            return &g->pairs[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int bg_gguf_has(const bg_gguf *g, const char *key)
{
    return find(g, key) != NULL;
}

static int other_kind(const pair *p, const char *key, const char *wanted, bg_err *e)
{
    return bg_fail(e, BG_INPUT, "key '%s' is %s, not %s", key, type_names[p->type], wanted);
}

static int is_integer(uint32_t type)
{
    return type <= T_I32 || type == T_U64 || type == T_I64;
}

/* A value that is no string as a double, and as an integer where it is one and fits. */
static double value_at(const char *p, uint32_t type, int64_t *integer)
{
    uint64_t u = little(p, type_size[type]);
    float f;
    double d;
    switch (type) {
    case T_I8:
        *integer = (int8_t)u;
        break;
    case T_I16:
        *integer = (int16_t)u;
        break;
    case T_I32:
        *integer = (int32_t)u;
        break;
    case T_F32: {
        uint32_t bits = (uint32_t)u;
        memcpy(&f, &bits, sizeof f);
        return (double)f;
    }
    case T_F64:
        memcpy(&d, &u, sizeof d);
        return d;
    case T_U64:
        *integer = u > INT64_MAX ? INT64_MAX : (int64_t)u;
        return (double)u;
    default:
        *integer = (int64_t)u;
    }
    return (double)*integer;
}

int bg_gguf_integer_at(const bg_gguf *g, const char *key, size_t index, int64_t *out, bg_err *e)
{
    const pair *p = find(g, key);
    if (!p)
        return BG_OK;
    uint32_t type = p->type == T_ARRAY ? p->element : p->type;
    if (!is_integer(type))
        return other_kind(p, key, "an integer", e);
    if (p->type != T_ARRAY)
        index = 0;
    if (index >= p->count)
        return bg_fail(e, BG_INPUT, "key '%s' has %llu values, number %zu is needed", key, (unsigned long long)p->count,
                       index);
    value_at(g->head + p->at + index * type_size[type], type, out);
    return BG_OK;
}

int bg_gguf_integer(const bg_gguf *g, const char *key, int64_t *out, bg_err *e)
{
    const pair *p = find(g, key);
    if (p && p->type == T_ARRAY)
        return other_kind(p, key, "an integer", e);
    return bg_gguf_integer_at(g, key, 0, out, e);
}

int bg_gguf_number(const bg_gguf *g, const char *key, double *out, bg_err *e)
{
    const pair *p = find(g, key);
    int64_t unused = 0;
    if (!p)
        return BG_OK;
    if (!is_integer(p->type) && p->type != T_F32 && p->type != T_F64)
        return other_kind(p, key, "a number", e);
    *out = value_at(g->head + p->at, p->type, &unused);
    return BG_OK;
}

int bg_gguf_bool(const bg_gguf *g, const char *key, int *out, bg_err *e)
{
    const pair *p = find(g, key);
    if (p && p->type != T_BOOL)
        return other_kind(p, key, "a bool", e);
    if (p)
        *out = g->head[p->at];
    return BG_OK;
}

static bg_gguf_text text_at(const bg_gguf *g, size_t at)
{
    return (bg_gguf_text){g->head + at + 8, (size_t)little(g->head + at, 8)};
}

int bg_gguf_string(const bg_gguf *g, const char *key, bg_gguf_text *out, bg_err *e)
{
    const pair *p = find(g, key);
    if (p && p->type != T_STRING)
        return other_kind(p, key, "a string", e);
    if (p)
        *out = text_at(g, p->at);
    return BG_OK;
}

int bg_gguf_texts(const bg_gguf *g, const char *key, bg_gguf_text **out, size_t *n, bg_err *e)
{
    const pair *p = find(g, key);
    *out = NULL;
    *n = 0;
    if (!p)
        return BG_OK;
    if (p->type != T_ARRAY || p->element != T_STRING)
        return other_kind(p, key, "an array of strings", e);
    bg_gguf_text *texts = malloc((size_t)p->count * sizeof *texts + 1);
    if (!texts)
        return bg_no_memory(e, key, p->count * sizeof *texts);
    size_t at = p->at;
    for (uint64_t i = 0; i < p->count; i++) {
        texts[i] = text_at(g, at);
        at += 8 + texts[i].length;
    }
    *out = texts;
    *n = (size_t)p->count;
    return BG_OK;
}

int bg_gguf_numbers(const bg_gguf *g, const char *key, double **out, size_t *n, bg_err *e)
{
    const pair *p = find(g, key);
    int64_t unused = 0;
    *out = NULL;
    *n = 0;
    if (!p)
        return BG_OK;
    if (p->type != T_ARRAY || p->element == T_STRING)
        return other_kind(p, key, "an array of numbers", e);
    double *values = malloc((size_t)p->count * sizeof *values + 1);
    if (!values)
        return bg_no_memory(e, key, p->count * sizeof *values);
    for (uint64_t i = 0; i < p->count; i++)
        values[i] = value_at(g->head + p->at + i * type_size[p->element], p->element, &unused);
    *out = values;
    *n = (size_t)p->count;
    return BG_OK;
}

/* ---- the header ---- */

static int take_head(bg_gguf *g, bg_err *e)
{
    size_t from;
    uint64_t version;
    int status = take(g, 4, &from, e);
    if (status)
        return status;
    if (memcmp(g->head, "GGUF", 4))
        return bg_fail(e, BG_INPUT, "not a GGUF file");
    status = take_number(g, 4, &version, e);
    if (!status && version && !(version & 0xffff))
        return bg_fail(e, BG_INPUT, "a big-endian GGUF file; convert it to little-endian");
    if (!status && version != 2 && version != 3)
        return bg_fail(e, BG_INPUT, "GGUF version %llu; versions 2 and 3 are read, convert it with a current llama.cpp",
                       (unsigned long long)version);
    if (!status)
        status = take_number(g, 8, &g->tensors, e);
    if (!status)
        status = take_number(g, 8, &g->n_pairs, e);
    if (status)
        return status;
    uint64_t left = g->size - g->at; /* a pair takes at least 13 bytes, a tensor 24 */
    if (g->n_pairs > left / 13 || g->tensors > left / 24 || g->tensors > INT32_MAX / 2)
        return bg_fail(e, BG_INPUT, "%llu keys and %llu tensors cannot stand in a file of %llu bytes",
                       (unsigned long long)g->n_pairs, (unsigned long long)g->tensors, (unsigned long long)g->size);
    status = take_pairs(g, e);
    const pair *p = status ? NULL : find(g, "general.alignment");
    g->alignment = 32;
    if (p && p->type != T_U32)
        return other_kind(p, "general.alignment", "u32", e);
    if (p)
        g->alignment = little(g->head + p->at, 4);
    if (!status && (!g->alignment || g->alignment & (g->alignment - 1)))
        return bg_fail(e, BG_INPUT, "general.alignment is %llu, not a power of two", (unsigned long long)g->alignment);
    return status;
}

int bg_gguf_open(const char *path, bg_gguf **out, bg_err *e)
{
    bg_store s = {0};
    *out = NULL;
    int status = bg_gguf_add(&s, path, out, e);
    if (!status)
        status = bg_store_sort(&s, e);
    if (status) {
        bg_gguf_close(*out);
        *out = NULL;
    }
    bg_store_free(&s);
    return status;
}

void bg_gguf_close(bg_gguf *g)
{
    if (!g)
        return;
    free(g->path);
    free(g->head);
    free(g->pairs);
    free(g);
}

/* ---- tensors ---- */

static int pad(const bg_gguf *g, uint64_t at, uint64_t *out)
{
    if (__builtin_add_overflow(at, g->alignment - 1, out))
        return -1;
    *out &= ~(g->alignment - 1);
    return 0;
}

/* Dimensions come fastest first. Missing ones count as 1, so that a tensor without any is one element. */
static int take_shape(bg_gguf *g, bg_raw *r, const bg_gguf_type **type, bg_err *e)
{
    uint64_t dims, ne[MOST_DIMS] = {1, 1, 1, 1}, id, total;
    int status = take_number(g, 4, &dims, e);
    if (!status && dims > MOST_DIMS)
        return bg_fail(e, BG_INPUT, "%llu dimensions", (unsigned long long)dims);
    for (uint64_t i = 0; !status && i < dims; i++)
        status = take_number(g, 8, &ne[i], e);
    if (!status)
        status = take_number(g, 4, &id, e);
    if (status)
        return status;
    *type = bg_gguf_type_of((uint32_t)id);
    if (!*type)
        return bg_fail(e, BG_INPUT, "type %llu is unknown or was removed from GGUF", (unsigned long long)id);
    r->kind = (int)id;
    r->dtype = (*type)->dtype;
    r->rank = (int)dims;
    r->count = 1;
    for (int i = 0; i < r->rank; i++) {
        if (ne[i] > INT64_MAX || __builtin_mul_overflow(r->count, ne[i], &r->count))
            return bg_fail(e, BG_INPUT, "its dimensions overflow");
        r->shape[r->rank - 1 - i] = (int64_t)ne[i];
    }
    if (ne[0] % (uint64_t)(*type)->block)
        return bg_fail(e, BG_INPUT, "rows of %llu weights are not whole blocks of %s (%d)", (unsigned long long)ne[0],
                       (*type)->name, (*type)->block);
    if (__builtin_mul_overflow(r->count / (uint64_t)(*type)->block, (uint64_t)(*type)->bytes, &total))
        return bg_fail(e, BG_INPUT, "its size overflows");
    r->bytes = total;
    return BG_OK;
}

/* offset must be where the tensors before it end: no holes, no overlaps. */
static int take_tensor(bg_gguf *g, bg_store *s, uint64_t *expected, bg_err *e)
{
    size_t from;
    uint64_t length, next;
    const bg_gguf_type *type;
    int status = take_string(g, LONGEST_NAME, "tensor name", &from, &length, e);
    if (status)
        return status;
    if (!length || memchr(g->head + from, 0, (size_t)length))
        return bg_fail(e, BG_INPUT, "tensor name at byte %zu is empty or holds a NUL", from);
    bg_raw *r = bg_store_add(s);
    char *name = r ? strndup(g->head + from, (size_t)length) : NULL;
    if (r)
        r->name = name;
    if (!name)
        return bg_no_memory(e, "the list of tensors", sizeof *r);
    r->file = s->n_files - 1;
    status = take_shape(g, r, &type, e);
    if (!status)
        status = take_number(g, 8, &r->offset, e);
    if (!status && r->offset != *expected)
        status = bg_fail(e, BG_INPUT, "lies at byte %llu of the data where %llu is expected",
                         (unsigned long long)r->offset, (unsigned long long)*expected);
    if (!status && (__builtin_add_overflow(r->offset, r->bytes, &next) || pad(g, next, expected)))
        status = bg_fail(e, BG_INPUT, "its place overflows");
    return status ? bg_context(e, "tensor '%s'", r->name) : BG_OK;
}

static int take_tensors(bg_gguf *g, bg_store *s, bg_err *e)
{
    int first = s->n_raws, status = BG_OK;
    uint64_t expected = 0;
    for (uint64_t i = 0; !status && i < g->tensors; i++)
        status = take_tensor(g, s, &expected, e);
    if (!status && pad(g, g->at, &g->data_start))
        status = bg_fail(e, BG_INPUT, "general.alignment is too large");
    for (int i = first; !status && i < s->n_raws; i++) {
        bg_raw *r = &s->raws[i];
        uint64_t end;
        if (__builtin_add_overflow(r->offset, g->data_start, &r->offset) ||
            __builtin_add_overflow(r->offset, r->bytes, &end) || (r->bytes && end > g->size))
            status = bg_fail(e, BG_INPUT,
                             "tensor '%s' ends past the end of the file (%llu bytes); truncated, fetch it again",
                             r->name, (unsigned long long)g->size);
    }
    return status;
}

int bg_gguf_add(bg_store *s, const char *path, bg_gguf **out, bg_err *e)
{
    int index, status = bg_store_open(s, path, &index, e);
    if (status)
        return status;
    bg_gguf *g = calloc(1, sizeof *g);
    char *copy = strdup(path);
    if (!g || !copy) {
        free(g);
        free(copy);
        return bg_no_memory(e, path, sizeof *g);
    }
    g->path = copy;
    g->fd = s->files[index].fd;
    g->size = s->files[index].size;
    status = take_head(g, e);
    if (!status)
        status = take_tensors(g, s, e);
    if (status)
        bg_context(e, "%s", path);
    s->files[index].data_start = g->data_start < g->size ? g->data_start : g->size;
    g->fd = -1;
    if (!status && out)
        *out = g;
    else
        bg_gguf_close(g);
    return status;
}
