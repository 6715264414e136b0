/* Owns the writing of GGUF files. */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoints/writers/gguf_writer.h"

#include <stdlib.h>

enum { ALIGNMENT = 32, ARRAY = 9 };

/* ---- container ---- */

static void put_number(FILE *f, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        putc((int)(v >> (8 * i) & 255), f);
}

static void put_text(FILE *f, const char *s)
{
    put_number(f, strlen(s), 8);
    fputs(s, f);
}

static void put_value(FILE *f, bg_gguf_kind kind, double number, const char *text)
{
    float single = (float)number;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    switch (kind) {
    case BG_GGUF_U32:
        put_number(f, (uint32_t)number, 4);
        break;
    case BG_GGUF_I32:
        put_number(f, (uint32_t)(int32_t)number, 4);
        break;
    case BG_GGUF_F32:
        put_number(f, bits, 4);
        break;
    case BG_GGUF_BOOL:
        put_number(f, number != 0, 1);
        break;
    case BG_GGUF_STRING:
        put_text(f, text);
        break;
    }
}

static void put_pair(FILE *f, const bg_gguf_pair *p)
{
    put_text(f, p->key);
    if (!p->is_array) {
        put_number(f, p->kind, 4);
        put_value(f, p->kind, p->number, p->text);
        return;
    }
    put_number(f, ARRAY, 4);
    put_number(f, p->kind, 4);
    put_number(f, p->n, 8);
    for (size_t i = 0; i < p->n; i++)
        put_value(f, p->kind, p->numbers ? p->numbers[i] : 0, p->texts ? p->texts[i] : "");
}

static int size_of(const bg_gguf_entry *t, uint64_t *bytes, bg_err *e)
{
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

static uint64_t padding(uint64_t at)
{
    return (ALIGNMENT - at % ALIGNMENT) % ALIGNMENT;
}

int bg_gguf_begin(bg_gguf_writer *w, const char *path, const bg_gguf_pair *pairs, int n_pairs,
                  const bg_gguf_entry *entries, int n, bg_err *e)
{
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
        status = bg_out_failed(&w->out, e);
    free(head);
    return status || !n ? status : size_of(&entries[0], &w->left, e);
}

int bg_gguf_put(bg_gguf_writer *w, const void *data, uint64_t bytes, bg_err *e)
{
    static const char zeros[ALIGNMENT];
    const char *from = data;
    while (w->at < w->n && (bytes || !w->left)) {
        uint64_t m = bytes < w->left ? bytes : w->left, size;
        if (m && fwrite(from, 1, (size_t)m, w->out.file) != m)
            return bg_out_failed(&w->out, e);
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

int bg_gguf_commit(bg_gguf_writer *w, bg_err *e)
{
    int status = bg_gguf_put(w, NULL, 0, e); /* empty tensors at the end */
    if (!status && w->at < w->n)
        status = bg_fail(e, BG_RESOURCE, "internal: fewer bytes of tensors written than declared");
    return status ? status : bg_out_commit(&w->out, e);
}

void bg_gguf_abandon(bg_gguf_writer *w)
{
    bg_out_abandon(&w->out);
}
