/* Owns the safetensors container:
 *
 *     u64 N | JSON object of N bytes | data
 *     {"name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [begin, end]}, …, "__metadata__": {"k": "v"}}
 *
 * The header has its own reader because it must be stricter than JSON: only plain integers, no duplicates, no NUL in a
 * name, offsets that tile the data buffer exactly, and 64-bit numbers that never pass through a double.
 */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoints/formats/safetensors.h"
#include "io/checkpoints/loading.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_LIMIT = 100000000, PIECE = 256 * 1024, WIDE = 4096 };

/* ---- scanning the header ---- */

typedef struct scan {
    const char *start, *at, *end;
    bg_err *e;
} scan;

static int wrong(scan *s, const char *what)
{
    return bg_fail(s->e, BG_INPUT, "header byte %zu: %s", (size_t)(s->at - s->start), what);
}

static void skip_space(scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static int peek(scan *s)
{
    skip_space(s);
    return s->at < s->end ? (unsigned char)*s->at : -1;
}

static int expect(scan *s, char c)
{
    if (peek(s) != (unsigned char)c) {
        char what[] = "expected ' '";
        what[10] = c;
        return wrong(s, what);
    }
    s->at++;
    return BG_OK;
}

static int hex4(scan *s, unsigned *out)
{
    unsigned v = 0;
    if (s->end - s->at < 4)
        return wrong(s, "cut \\u escape");
    for (int i = 0; i < 4; i++) {
        char c = *s->at++;
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : ((unsigned)c | 32) - 'a' + 10;
        if (digit > 15)
            return wrong(s, "bad \\u escape");
        v = v << 4 | digit;
    }
    *out = v;
    return BG_OK;
}

static char *put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else {
        if (c < 0x10000) {
            *to++ = (char)(0xe0 | c >> 12);
        } else {
            *to++ = (char)(0xf0 | c >> 18);
            *to++ = (char)(0x80 | (c >> 12 & 63));
        }
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

static int unicode_escape(scan *s, char **to)
{
    unsigned c, low;
    int status = hex4(s, &c);
    if (status)
        return status;
    if (!c)
        return wrong(s, "the escape \\u0000 cannot be part of a name");
    if (c >= 0xdc00 && c < 0xe000)
        return wrong(s, "lone surrogate");
    if (c >= 0xd800 && c < 0xdc00) {
        if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
            return wrong(s, "lone surrogate");
        s->at += 2;
        if ((status = hex4(s, &low)))
            return status;
        if (low < 0xdc00 || low >= 0xe000)
            return wrong(s, "lone surrogate");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, c);
    return BG_OK;
}

/* A string with its escapes resolved; never longer than its text. The caller frees *out. */
static int string(scan *s, char **out)
{
    static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    int status = expect(s, '"');
    if (status)
        return status;
    const char *close = s->at;
    while (close < s->end && *close != '"')
        close += *close == '\\' ? 2 : 1;
    if (close >= s->end)
        return wrong(s, "string without end");
    char *text = malloc((size_t)(close - s->at) + 1), *to = text;
    if (!text)
        return bg_no_memory(s->e, "a name", (unsigned long long)(close - s->at));
    while (!status && s->at < close) {
        unsigned char c = (unsigned char)*s->at++;
        if (c < 0x20) {
            status = wrong(s, "control character in a string");
        } else if (c != '\\') {
            *to++ = (char)c;
        } else if (*s->at == 'u') {
            s->at++;
            status = unicode_escape(s, &to);
        } else {
            const char *found = NULL;
            for (const char *p = escapes; *p && !found; p += 2)
                if (*p == *s->at)
                    found = p + 1;
            if (found)
                *to++ = *found, s->at++;
            else
                status = wrong(s, "unknown escape");
        }
    }
    if (!status && s->at != close)
        status = wrong(s, "bad escape at the end of a string");
    if (status) {
        free(text);
        return status;
    }
    *to = 0;
    s->at++;
    *out = text;
    return BG_OK;
}

/* A non-negative integer of at most 2^63−1, without sign, leading zero, fraction or exponent. */
static int integer(scan *s, int64_t *out)
{
    uint64_t v = 0;
    if (peek(s) < '0' || peek(s) > '9')
        return wrong(s, "expected a whole number of at least 0");
    const char *first = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9') {
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*s->at - '0'), &v) ||
            v > INT64_MAX)
            return wrong(s, "number beyond 2^63-1");
        s->at++;
    }
    if (*first == '0' && s->at - first > 1)
        return wrong(s, "number with a leading zero");
    if (s->at < s->end && (*s->at == '.' || *s->at == 'e' || *s->at == 'E'))
        return wrong(s, "sizes and offsets must be plain integers, not fractions or exponents");
    *out = (int64_t)v;
    return BG_OK;
}

/* Array of at most `room` integers. */
static int integers(scan *s, int64_t *out, int room, int *n)
{
    int status = expect(s, '[');
    *n = 0;
    if (!status && peek(s) == ']') {
        s->at++;
        return BG_OK;
    }
    while (!status) {
        int64_t v = 0;
        if ((status = integer(s, &v)))
            break;
        if (*n == room)
            return wrong(s, "array with too many numbers");
        out[(*n)++] = v;
        if (peek(s) != ',')
            return expect(s, ']');
        s->at++;
    }
    return status;
}

static int number_text(scan *s)
{
    const char *first = s->at;
    while (s->at < s->end && strchr("+-.0123456789eE", *s->at) && *s->at)
        s->at++;
    char *stop = NULL, copy[64];
    size_t n = (size_t)(s->at - first);
    if (!n || n >= sizeof copy)
        return wrong(s, "unexpected character");
    memcpy(copy, first, n);
    copy[n] = 0;
    strtod(copy, &stop);
    return *stop ? wrong(s, "bad number") : BG_OK;
}

/* Skips any value; members we do not know. */
static int skip_value(scan *s, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    int c = peek(s), status;
    char *text;
    if (depth > BG_JSON_DEPTH)
        return wrong(s, "nested deeper than 64");
    if (c == '"') {
        if ((status = string(s, &text)))
            return status;
        free(text);
        return BG_OK;
    }
    if (c == '{' || c == '[') {
        char closing = c == '{' ? '}' : ']';
        s->at++;
        if (peek(s) == closing) {
            s->at++;
            return BG_OK;
        }
        for (;;) {
            if (c == '{') {
                if ((status = string(s, &text)))
                    return status;
                free(text);
                if ((status = expect(s, ':')))
                    return status;
            }
            if ((status = skip_value(s, depth + 1)))
                return status;
            if (peek(s) != ',')
                return expect(s, closing);
            s->at++;
        }
    }
    for (int i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(s->end - s->at) >= n && !memcmp(s->at, words[i], n)) {
            s->at += n;
            return BG_OK;
        }
    }
    return number_text(s);
}

/* ---- meaning of the header ---- */

/* `"__metadata__": {string: string}`; its content is for people. */
static int metadata(scan *s)
{
    int status = expect(s, '{');
    char *text;
    if (!status && peek(s) == '}') {
        s->at++;
        return BG_OK;
    }
    while (!status) {
        if ((status = string(s, &text)))
            break;
        free(text);
        if ((status = expect(s, ':')))
            break;
        if (peek(s) != '"')
            return wrong(s, "__metadata__ may hold strings only");
        if ((status = string(s, &text)))
            break;
        free(text);
        if (peek(s) != ',')
            return expect(s, '}');
        s->at++;
    }
    return status;
}

enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4 };

/* One member of a tensor's entry; `seen` collects which. */
static int member(scan *s, const char *key, bg_raw *r, int64_t offsets[2], int *seen)
{
    int bit = !strcmp(key, "dtype")          ? HAS_DTYPE
              : !strcmp(key, "shape")        ? HAS_SHAPE
              : !strcmp(key, "data_offsets") ? HAS_OFFSETS
                                             : 0;
    if (*seen & bit)
        return bg_fail(s->e, BG_INPUT, "'%s' appears twice", key);
    *seen |= bit;
    int n, status;
    char *text;
    switch (bit) {
    case HAS_DTYPE:
        if ((status = string(s, &text)))
            return status;
        r->dtype = bg_dtype_find(text);
        if (r->dtype == BG_DTYPES)
            status = bg_fail(s->e, BG_INPUT, "unknown dtype '%s'", text);
        free(text);
        return status;
    case HAS_SHAPE:
        return integers(s, r->shape, BG_MAX_RANK, &r->rank);
    case HAS_OFFSETS:
        status = integers(s, offsets, 2, &n);
        return status || n == 2 ? status : wrong(s, "data_offsets needs exactly two numbers");
    default:
        return skip_value(s, 3);
    }
}

static int entry(scan *s, bg_raw *r, uint64_t data_start)
{
    int64_t offsets[2] = {0, 0};
    int seen = 0, status = expect(s, '{');
    if (!status && peek(s) == '}')
        return bg_fail(s->e, BG_INPUT, "has no dtype, shape and data_offsets");
    while (!status) {
        char *key;
        if ((status = string(s, &key)))
            return status;
        status = expect(s, ':');
        if (!status)
            status = member(s, key, r, offsets, &seen);
        free(key);
        if (status)
            return status;
        if (peek(s) != ',') {
            status = expect(s, '}');
            break;
        }
        s->at++;
    }
    if (status)
        return status;
    if (seen != (HAS_DTYPE | HAS_SHAPE | HAS_OFFSETS))
        return bg_fail(s->e, BG_INPUT, "lacks %s",
                       !(seen & HAS_DTYPE)   ? "dtype"
                       : !(seen & HAS_SHAPE) ? "shape"
                                             : "data_offsets");
    status = bg_shape_size(r->shape, r->rank, bg_dtypes[r->dtype].bits, &r->count, &r->bytes, s->e);
    if (status)
        return status;
    if (offsets[1] < offsets[0] || (uint64_t)(offsets[1] - offsets[0]) != r->bytes)
        return bg_fail(s->e, BG_INPUT, "data_offsets [%lld, %lld] do not hold the %llu bytes of its shape and dtype",
                       (long long)offsets[0], (long long)offsets[1], (unsigned long long)r->bytes);
    if (__builtin_add_overflow((uint64_t)offsets[0], data_start, &r->offset))
        return bg_fail(s->e, BG_INPUT, "data_offsets beyond 2^64");
    return BG_OK;
}

static int by_offset(const void *a, const void *b)
{
    const bg_raw *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Sorted by offset, the tensors must tile [data_start, data_start + data_bytes) without hole or overlap. */
static int check_tiling(const bg_raw *raws, int n, uint64_t data_start, uint64_t data_bytes, bg_err *e)
{
    uint64_t at = data_start;
    for (int i = 0; i < n; i++) {
        const bg_raw *r = &raws[i];
        if (r->offset != at)
            return bg_fail(e, BG_INPUT, "tensor '%s' begins at byte %llu of the data where %llu is expected: %s",
                           r->name, (unsigned long long)(r->offset - data_start), (unsigned long long)(at - data_start),
                           r->offset > at ? "a hole" : "an overlap");
        at += r->bytes;
        if (at - data_start > data_bytes)
            return bg_fail(e, BG_INPUT,
                           "tensor '%s' ends %llu bytes past the end of the file; it is truncated, fetch it again",
                           r->name, (unsigned long long)(at - data_start - data_bytes));
    }
    if (at - data_start != data_bytes)
        return bg_fail(e, BG_INPUT, "%llu bytes after the last tensor belong to none",
                       (unsigned long long)(data_bytes - (at - data_start)));
    return BG_OK;
}

/* `"name": value` of the top object. */
static int top_member(bg_store *s, scan *c, uint64_t data_start, int file, int *metadata_seen)
{
    char *name;
    int status = string(c, &name);
    if (status)
        return status;
    if (!strcmp(name, "__metadata__")) {
        free(name);
        if (*metadata_seen)
            return wrong(c, "__metadata__ appears twice");
        *metadata_seen = 1;
        return (status = expect(c, ':')) ? status : metadata(c);
    }
    bg_raw *r = bg_store_add(s);
    if (!r) {
        free(name);
        return bg_no_memory(c->e, "the list of tensors", sizeof *r);
    }
    r->name = name;
    r->file = file;
    status = expect(c, ':');
    if (!status)
        status = entry(c, r, data_start);
    return status ? bg_context(c->e, "tensor '%s'", r->name) : BG_OK;
}

int bg_safetensors_parse(bg_store *s, const char *text, size_t length, uint64_t data_start, uint64_t data_bytes,
                         int file, bg_err *e)
{
    scan c = {.start = text, .at = text, .end = text + length, .e = e};
    int first = s->n_raws, metadata_seen = 0;
    int status = bg_check_utf8(text, length, "header", e);
    if (status)
        return status;
    if (!length || *text != '{')
        return wrong(&c, "the header must begin with '{'");
    c.at++;
    if (peek(&c) == '}') {
        c.at++;
    } else {
        for (;;) {
            if ((status = top_member(s, &c, data_start, file, &metadata_seen)))
                return status;
            if (peek(&c) != ',')
                break;
            c.at++;
        }
        if ((status = expect(&c, '}')))
            return status;
    }
    if (peek(&c) >= 0 || c.at != c.end)
        return wrong(&c, "unexpected text after the header's object");
    int n = s->n_raws - first;
    if (n)
        qsort(s->raws + first, (size_t)n, sizeof *s->raws, by_offset);
    return check_tiling(s->raws + first, n, data_start, data_bytes, e);
}

/* ---- files ---- */

int bg_safetensors_add(bg_store *s, const char *path, bg_err *e)
{
    int index, status = bg_store_open(s, path, &index, e);
    if (status)
        return status;
    bg_store_file *f = &s->files[index];
    unsigned char word[8];
    uint64_t n = 0;
    if (f->size < 8)
        return bg_fail(e, BG_INPUT,
                       "%s: %llu bytes are too few for a safetensors file; it is truncated, fetch it again", path,
                       (unsigned long long)f->size);
    if ((status = bg_pread(f->fd, path, word, 8, 0, e)))
        return status;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | word[i];
    if (n > HEADER_LIMIT)
        return bg_fail(e, BG_INPUT,
                       "%s: header of %llu bytes, more than the 100000000 the format allows; not a safetensors file?",
                       path, (unsigned long long)n);
    if (n > f->size - 8)
        return bg_fail(e, BG_INPUT, "%s: header of %llu bytes in a file of %llu; it is truncated, fetch it again", path,
                       (unsigned long long)n, (unsigned long long)f->size);
    f->data_start = 8 + n;
    char *text = malloc((size_t)n + 1);
    if (!text)
        return bg_no_memory(e, path, n);
    status = bg_pread(f->fd, path, text, (size_t)n, 8, e);
    if (!status) {
        text[n] = 0;
        status = bg_safetensors_parse(s, text, (size_t)n, f->data_start, f->size - f->data_start, index, e);
        if (status)
            bg_context(e, "%s", path);
    }
    free(text);
    return status;
}

/* A shard is named by a plain file name: nothing that could leave the directory. */
static int plain_name(const char *name)
{
    size_t n = strlen(name);
    static const char suffix[] = ".safetensors";
    return n >= sizeof suffix && !strchr(name, '/') && !strchr(name, '\\') &&
           !strcmp(name + n - (sizeof suffix - 1), suffix);
}

static int add_shards(bg_store *s, const char *directory, const cJSON *map, bg_err *e)
{
    const cJSON *m;
    cJSON_ArrayForEach(m, map)
    {
        if (!cJSON_IsString(m) || !plain_name(m->valuestring))
            return bg_fail(e, BG_INPUT, "weight_map of '%s' must be the plain name of a .safetensors file, not '%s'",
                           m->string, cJSON_IsString(m) ? m->valuestring : "a value of another type");
        int known = 0;
        for (int i = 0; i < s->n_files && !known; i++)
            known = !strcmp(s->files[i].name, m->valuestring);
        if (known)
            continue;
        char *path = bg_path_join(directory, m->valuestring);
        int status = path ? BG_OK : bg_no_memory(e, directory, strlen(directory));
        if (!status && !bg_is_file(path))
            status = bg_fail(e, BG_INPUT, "shard %s is missing; fetch it into %s", m->valuestring, directory);
        if (!status)
            status = bg_safetensors_add(s, path, e);
        free(path);
        if (status)
            return status;
    }
    return BG_OK;
}

static int check_map(bg_store *s, const cJSON *map, bg_err *e)
{
    const cJSON *m;
    int listed = 0;
    cJSON_ArrayForEach(m, map)
    {
        const bg_raw *r = bg_store_find(s, m->string);
        if (!r || strcmp(s->files[r->file].name, m->valuestring))
            return bg_fail(e, BG_INPUT, "tensor '%s' is not in %s as the index says; fetch both again", m->string,
                           m->valuestring);
        listed++;
    }
    if (listed < s->n_raws)
        bg_warn("%d tensors of the shards are not in their index", s->n_raws - listed);
    return BG_OK;
}

int bg_safetensors_add_index(bg_store *s, const char *index_path, bg_err *e)
{
    cJSON *root;
    int status = bg_json_read(index_path, HEADER_LIMIT, &root, e);
    if (status)
        return status;
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "weight_map");
    char *directory = strdup(index_path);
    if (!directory) {
        status = bg_no_memory(e, index_path, strlen(index_path));
    } else if (!cJSON_IsObject(map) || !map->child) {
        status = bg_fail(e, BG_INPUT, "%s: has no weight_map", index_path);
    } else {
        char *slash = strrchr(directory, '/');
        if (slash)
            *slash = 0;
        status = add_shards(s, slash ? directory : ".", map, e);
        if (!status)
            status = bg_store_sort(s, e);
        if (!status)
            status = check_map(s, map, e);
        if (status)
            bg_context(e, "%s", index_path);
        uint64_t total = 0;
        for (int i = 0; i < s->n_raws; i++)
            total += s->raws[i].bytes;
        double told = bg_json_number(cJSON_GetObjectItemCaseSensitive(root, "metadata"), "total_size", (double)total);
        if (!status && told != (double)total)
            bg_warn("%s: total_size says %.0f bytes, the shards hold %llu", index_path, told,
                    (unsigned long long)total);
    }
    free(directory);
    cJSON_Delete(root);
    return status;
}

/* ---- elements ---- */

int bg_raw_decode(const bg_store *s, const bg_raw *r, uint64_t first, uint64_t n, float *out, bg_err *e)
{
    const bg_dtype_row *type = &bg_dtypes[r->dtype];
    uint64_t size = type->bits / 8;
    uint64_t wide[WIDE]; /* for elements that do not fit into the float they become */
    if (!type->decode)
        return bg_fail(e, BG_INPUT, "tensor '%s' is %s, which cannot be converted to float32", r->name, type->name);
    uint64_t step = size > sizeof(float) ? WIDE : PIECE / size;
    for (uint64_t i = 0; i < n; i += step) {
        uint64_t m = n - i < step ? n - i : step;
        void *raw = size > sizeof(float) ? (void *)wide : (void *)((char *)(out + i) + m * (sizeof(float) - size));
        int status = bg_raw_read(s, r, (first + i) * size, raw, m * size, e);
        if (status)
            return status;
        type->decode(raw, out + i, (size_t)m);
    }
    return BG_OK;
}

static int rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    return bg_raw_decode(t->ckpt->impl, t->layout, (uint64_t)(first * t->cols), (uint64_t)(n * t->cols), out, e);
}

static int codes16(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return bg_raw_read(t->ckpt->impl, t->layout, (uint64_t)(first * t->cols) * 2, out, (uint64_t)(n * t->cols) * 2, e);
}

const bg_format bg_format_safetensors = {
    .name = "safetensors",
    .help = "plain tensors, alone or in shards",
    .rows = rows,
    .codes16 = codes16,
    .borrows_layout = 1,
};

/* Conv1D weights are stored [in, out]: rows of the logical matrix are columns of the file. Reads a band of stored rows,
 * only the wanted columns of them, and hands each band to `store`. */
typedef void band_sink(const bg_tensor *t, const char *band, int64_t column, int64_t m, int64_t n, void *out,
                       float *scratch);

static int read_bands(const bg_tensor *t, int64_t first, int64_t n, band_sink *sink, void *out, bg_err *e)
{
    const bg_store *s = t->ckpt->impl;
    const bg_raw *r = t->layout;
    int64_t size = bg_dtypes[r->dtype].bits / 8, band = PIECE / (n * size);
    band = band < 1 ? 1 : band > t->cols ? t->cols : band;
    size_t bytes = (size_t)(band * n * size), floats = (size_t)(band * n) * sizeof(float);
    char *buffer = malloc(bytes + floats);
    if (!buffer)
        return bg_no_memory(e, t->name, bytes + floats);
    int status = BG_OK;
    for (int64_t c = 0; !status && c < t->cols; c += band) {
        int64_t m = t->cols - c < band ? t->cols - c : band;
        if (n == t->rows)
            status = bg_raw_read(s, r, (uint64_t)(c * n * size), buffer + floats, (uint64_t)(m * n * size), e);
        for (int64_t k = 0; !status && n != t->rows && k < m; k++)
            status = bg_raw_read(s, r, (uint64_t)(((c + k) * t->rows + first) * size), buffer + floats + k * n * size,
                                 (uint64_t)(n * size), e);
        if (!status)
            sink(t, buffer + floats, c, m, n, out, (float *)(void *)buffer);
    }
    free(buffer);
    return status;
}

static void store_floats(const bg_tensor *t, const char *band, int64_t column, int64_t m, int64_t n, void *out,
                         float *scratch)
{
    float *to = (float *)out + column;
    bg_dtypes[t->dtype].decode(band, scratch, (size_t)(m * n));
    for (int64_t r = 0; r < n; r++)
        for (int64_t k = 0; k < m; k++)
            to[r * t->cols + k] = scratch[k * n + r];
}

static void store_codes(const bg_tensor *t, const char *band, int64_t column, int64_t m, int64_t n, void *out,
                        float *scratch)
{
    uint16_t *to = (uint16_t *)out + column;
    (void)scratch;
    for (int64_t r = 0; r < n; r++)
        for (int64_t k = 0; k < m; k++)
            memcpy(&to[r * t->cols + k], band + 2 * (k * n + r), 2);
}

static int turned_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    if (!bg_dtypes[t->dtype].decode)
        return bg_fail(e, BG_INPUT, "tensor '%s' is %s, which cannot be converted to float32", t->name, t->storage);
    return read_bands(t, first, n, store_floats, out, e);
}

static int turned_codes16(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    return read_bands(t, first, n, store_codes, out, e);
}

int bg_load_plain(bg_load *l, bg_raw *r, const char *name, int turned, bg_err *e)
{
    int64_t shape[BG_MAX_RANK];
    memcpy(shape, r->shape, sizeof shape);
    if (turned) {
        shape[0] = r->shape[1];
        shape[1] = r->shape[0];
    }
    bg_tensor *t = bg_load_add(l, name, turned ? &bg_format_conv1d : &bg_format_safetensors, e);
    if (!t)
        return BG_RESOURCE;
    t->layout = r;
    t->dtype = r->dtype;
    t->bytes[BG_PART_INDICES] = r->bytes;
    r->claimed = 1;
    int status = bg_tensor_shape(t, shape, r->rank, e);
    return status ? status : bg_tensor_storage(t, e, "%s", bg_dtypes[r->dtype].name);
}

const bg_format bg_format_conv1d = {
    .name = "safetensors",
    .help = "GPT-2's projections, stored [in, out] and read as [out, in]",
    .rows = turned_rows,
    .codes16 = turned_codes16,
    .borrows_layout = 1,
};
