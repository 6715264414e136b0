/* Owns the writing of GGUF files and the encoding of blocks of 32. */
#define _POSIX_C_SOURCE 200809L
#include "io/write_gguf.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { ALIGNMENT = 32, F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, BF16 = 30, BLOCK = 32 };

/* ---- container ---- */

static void put_number(FILE *f, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++)
        putc((int)(v >> (8 * i) & 255), f);
}

static void put_text(FILE *f, const char *s) {
    put_number(f, strlen(s), 8);
    fputs(s, f);
}

static void put_pair(FILE *f, const bg_gguf_pair *p) {
    float number = (float)p->number;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    put_text(f, p->key);
    put_number(f, p->kind, 4);
    switch (p->kind) {
    case BG_GGUF_U32:
        put_number(f, (uint32_t)p->number, 4);
        break;
    case BG_GGUF_F32:
        put_number(f, bits, 4);
        break;
    case BG_GGUF_BOOL:
        put_number(f, p->number != 0, 1);
        break;
    case BG_GGUF_STRING:
        put_text(f, p->text);
        break;
    }
}

static int size_of(const bg_gguf_entry *t, uint64_t *bytes, bg_err *e) {
    const bg_gguf_type *type = bg_gguf_type_of(t->type);
    uint64_t count, unused;
    size_t length = strlen(t->name);
    if (!type || t->rank < 0 || t->rank > 4 || !length || length > 63)
        return bg_fail(e, BG_USAGE, "GGUF cannot hold tensor '%s' (type %u, %d dimensions)", t->name, t->type, t->rank);
    int status = bg_shape_size(t->shape, t->rank, 8, &count, &unused, e);
    if (status)
        return bg_context(e, "tensor '%s'", t->name);
    if (t->rank && t->shape[t->rank - 1] % type->block)
        return bg_fail(e, BG_USAGE, "tensor '%s': rows of %lld weights are not whole blocks of %s", t->name,
                       (long long)t->shape[t->rank - 1], type->name);
    *bytes = count / (uint64_t)type->block * (uint64_t)type->bytes;
    return BG_OK;
}

static uint64_t padding(uint64_t at) {
    return (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT;
}

int bg_gguf_begin(bg_gguf_writer *w, const char *path, const bg_gguf_pair *pairs, int n_pairs,
                  const bg_gguf_entry *entries, int n, bg_err *e) {
    char *head = NULL;
    size_t length = 0;
    uint64_t at = 0, bytes = 0;
    int status = BG_OK;
    *w = (bg_gguf_writer){.entries = entries, .n = n};
    FILE *f = open_memstream(&head, &length);
    if (!f)
        return bg_no_memory(e, path, 4096);
    fputs("GGUF", f);
    put_number(f, 3, 4);
    put_number(f, (uint64_t)n, 8);
    put_number(f, (uint64_t)n_pairs, 8);
    for (int i = 0; i < n_pairs; i++)
        put_pair(f, &pairs[i]);
    for (int i = 0; !status && i < n; i++) {
        status = size_of(&entries[i], &bytes, e);
        put_text(f, entries[i].name);
        put_number(f, (uint64_t)entries[i].rank, 4);
        for (int k = entries[i].rank - 1; k >= 0; k--)
            put_number(f, (uint64_t)entries[i].shape[k], 8);
        put_number(f, entries[i].type, 4);
        put_number(f, at, 8);
        at += bytes + padding(bytes);
    }
    fflush(f);
    for (uint64_t k = padding(length); k; k--)
        putc(0, f);
    if (fclose(f) && !status)
        status = bg_no_memory(e, path, length);
    if (!status)
        status = bg_out_open(&w->out, path, e);
    if (!status && fwrite(head, 1, length, w->out.file) != length)
        status = bg_fail(e, BG_RESOURCE, "%s: write failed: %s; is the disk full?", path, strerror(errno));
    free(head);
    return status || !n ? status : size_of(&entries[0], &w->left, e);
}

int bg_gguf_put(bg_gguf_writer *w, const void *data, uint64_t bytes, bg_err *e) {
    static const char zeros[ALIGNMENT];
    const char *from = data;
    while (w->at < w->n && (bytes || !w->left)) {
        uint64_t m = bytes < w->left ? bytes : w->left, size;
        if (m && fwrite(from, 1, (size_t)m, w->out.file) != m)
            return bg_fail(e, BG_RESOURCE, "%s: write failed: %s; is the disk full?",
                           w->out.path ? w->out.path : "standard output", strerror(errno));
        from += m;
        bytes -= m;
        w->left -= m;
        if (w->left)
            break;
        int status = size_of(&w->entries[w->at], &size, e);
        if (status)
            return status;
        fwrite(zeros, 1, (size_t)padding(size), w->out.file);
        if (++w->at < w->n && (status = size_of(&w->entries[w->at], &w->left, e)))
            return status;
    }
    return bytes ? bg_fail(e, BG_RESOURCE, "internal: more bytes of tensors written than declared") : BG_OK;
}

int bg_gguf_commit(bg_gguf_writer *w, bg_err *e) {
    int status = bg_gguf_put(w, NULL, 0, e); /* empty tensors at the end */
    if (!status && w->at < w->n)
        status = bg_fail(e, BG_RESOURCE, "internal: fewer bytes of tensors written than declared");
    return status ? status : bg_out_commit(&w->out, e);
}

void bg_gguf_abandon(bg_gguf_writer *w) {
    bg_out_abandon(&w->out);
}

/* ---- blocks ---- */

static void put_half(uint8_t *out, float v) {
    uint16_t h = bg_f32_to_f16(v);
    memcpy(out, &h, sizeof h);
}

/* Places codes of a block of 32: scale, minimum, fifth bits, nibbles. */
static void place(uint32_t type, const uint8_t *code, float d, float m, uint8_t *out) {
    int five = type == Q5_0 || type == Q5_1, minimum = type == Q4_1 || type == Q5_1;
    uint32_t high = 0;
    put_half(out, d);
    out += 2;
    if (type == Q8_0) {
        for (int i = 0; i < BLOCK; i++)
            out[i] = code[i] ^ 128;
        return;
    }
    if (minimum) {
        put_half(out, m);
        out += 2;
    }
    for (int i = 0; i < BLOCK; i++)
        high |= (uint32_t)(code[i] >> 4 & 1) << i;
    if (five) {
        memcpy(out, &high, sizeof high);
        out += 4;
    }
    for (int i = 0; i < 16; i++)
        out[i] = (uint8_t)((code[i] & 15) | (code[i + 16] & 15) << 4);
}

/* Symmetric: the weight of largest magnitude, the first of equals, becomes the lowest code. */
static float encode_signed(const float *x, int half, uint8_t *code) {
    float most = 0, value = 0;
    for (int i = 0; i < BLOCK; i++)
        if (fabsf(x[i]) > most) {
            most = fabsf(x[i]);
            value = x[i];
        }
    float d = value / (float)-half, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < BLOCK; i++) {
        int q = (int)(x[i] * inverse + ((float)half + 0.5f));
        code[i] = (uint8_t)(q < 0 ? 0 : q > 2 * half - 1 ? 2 * half - 1 : q);
    }
    return d;
}

static float encode_ranged(const float *x, int top, uint8_t *code, float *minimum) {
    float least = x[0], most = x[0];
    for (int i = 1; i < BLOCK; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    float d = (most - least) / (float)top, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < BLOCK; i++) {
        int q = (int)((x[i] - least) * inverse + 0.5f);
        code[i] = (uint8_t)(q > top ? top : q);
    }
    *minimum = least;
    return d;
}

static float encode_bytes(const float *x, uint8_t *code) {
    float most = 0;
    for (int i = 0; i < BLOCK; i++)
        most = fmaxf(most, fabsf(x[i]));
    float d = most / 127, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < BLOCK; i++)
        code[i] = (uint8_t)((int)roundf(x[i] * inverse) + 128);
    return d;
}

static int is_block(uint32_t type) {
    return type == Q4_0 || type == Q4_1 || type == Q5_0 || type == Q5_1 || type == Q8_0;
}

int bg_gguf_encode(uint32_t type, const float *x, int64_t n, uint8_t *out, bg_err *e) {
    const bg_gguf_type *t = bg_gguf_type_of(type);
    if (type == F32) {
        memcpy(out, x, (size_t)n * sizeof *x);
        return BG_OK;
    }
    if (type == F16 || type == BF16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t h = type == F16 ? bg_f32_to_f16(x[i]) : bg_f32_to_bf16(x[i]);
            memcpy(out + 2 * i, &h, sizeof h);
        }
        return BG_OK;
    }
    if (!is_block(type) || n % BLOCK)
        return bg_fail(e, BG_USAGE, "%lld weights cannot be encoded as %s", (long long)n,
                       t ? t->name : "an unknown type");
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return bg_fail(e, BG_INPUT, "weight %lld is %g, which %s cannot hold", (long long)i, (double)x[i], t->name);
    for (int64_t i = 0; i < n; i += BLOCK, out += t->bytes) {
        uint8_t code[BLOCK];
        float d, m = 0;
        if (type == Q8_0)
            d = encode_bytes(x + i, code);
        else if (type == Q4_0 || type == Q5_0)
            d = encode_signed(x + i, type == Q4_0 ? 8 : 16, code);
        else
            d = encode_ranged(x + i, type == Q4_1 ? 15 : 31, code, &m);
        place(type, code, d, m, out);
    }
    return BG_OK;
}

int bg_gguf_pack(uint32_t type, const uint16_t *codes, const float *scales, const float *minima, int64_t blocks,
                 uint8_t *out, bg_err *e) {
    const bg_gguf_type *t = bg_gguf_type_of(type);
    if (!is_block(type) || ((type == Q4_1 || type == Q5_1) != (minima != NULL)))
        return bg_fail(e, BG_USAGE, "codes %s minima cannot be packed as %s", minima ? "with" : "without",
                       t ? t->name : "an unknown type");
    for (int64_t k = 0; k < blocks; k++, out += t->bytes) {
        uint8_t code[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            if (codes[k * BLOCK + i] >= t->levels)
                return bg_fail(e, BG_USAGE, "code %u does not fit %s", codes[k * BLOCK + i], t->name);
            code[i] = (uint8_t)codes[k * BLOCK + i];
        }
        place(type, code, scales[k], minima ? minima[k] : 0, out);
    }
    return BG_OK;
}
