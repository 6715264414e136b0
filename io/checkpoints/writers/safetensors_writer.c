/* Owns the writing of safetensors files: header padded with spaces to 8 bytes, data in the order of the entries. */
#define _GNU_SOURCE
#include "io/checkpoints/writers/safetensors_writer.h"

#include <stdlib.h>
#include "io/checkpoints/tensor_store.h"

static void put_json_string(FILE *f, const char *s)
{
    putc('"', f);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x20)
            fprintf(f, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else
            putc(c, f);
    }
    putc('"', f);
}

static int put_entries(FILE *f, const bg_safetensors_entry *entries, int n, int comma, uint64_t *end, bg_err *e)
{
    uint64_t at = 0, count, bytes;
    for (int i = 0; i < n; i++) {
        const bg_safetensors_entry *t = &entries[i];
        if (bg_shape_size(t->shape, t->rank, bg_dtypes[t->dtype].bits, &count, &bytes, e))
            return bg_context(e, "tensor '%s'", t->name);
        fputs(comma++ ? "," : "", f);
        put_json_string(f, t->name);
        fprintf(f, ":{\"dtype\":\"%s\",\"shape\":[", bg_dtypes[t->dtype].name);
        for (int k = 0; k < t->rank; k++)
            fprintf(f, "%s%lld", k ? "," : "", (long long)t->shape[k]);
        fprintf(f, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at, (unsigned long long)(at + bytes));
        at += bytes;
    }
    *end = at;
    return BG_OK;
}

/* The header as text, malloc'ed by open_memstream. */
static int make_header(const bg_safetensors_entry *entries, int n, const char *const *metadata, char **text,
                       size_t *length, uint64_t *data_bytes, bg_err *e)
{
    FILE *f = open_memstream(text, length);
    if (!f)
        return bg_no_memory(e, "a safetensors header", 256 * (unsigned long long)n);
    putc('{', f);
    if (metadata && *metadata) {
        fputs("\"__metadata__\":", f);
        for (const char *const *m = metadata; *m; m += 2) {
            putc(m == metadata ? '{' : ',', f);
            put_json_string(f, m[0]);
            putc(':', f);
            put_json_string(f, m[1]);
        }
        putc('}', f);
    }
    int status = put_entries(f, entries, n, metadata && *metadata, data_bytes, e);
    putc('}', f);
    fflush(f);
    for (size_t k = *length; k % 8; k++)
        putc(' ', f);
    if (fclose(f) && !status)
        status = bg_no_memory(e, "a safetensors header", *length);
    return status;
}

int bg_safetensors_begin(bg_safetensors_writer *w, const char *path, const bg_safetensors_entry *entries, int n,
                         const char *const *metadata, bg_err *e)
{
    *w = (bg_safetensors_writer){0};
    char *text = NULL;
    size_t length = 0;
    int status = make_header(entries, n, metadata, &text, &length, &w->expected, e);
    if (!status)
        status = bg_out_open(&w->out, path, e);
    if (!status) {
        unsigned char word[8];
        for (int i = 0; i < 8; i++)
            word[i] = (unsigned char)((uint64_t)length >> (8 * i));
        w->expected += 8 + length;
        status = bg_safetensors_put(w, word, sizeof word, e);
        if (!status)
            status = bg_safetensors_put(w, text, length, e);
    }
    free(text);
    return status;
}

int bg_safetensors_put(bg_safetensors_writer *w, const void *data, uint64_t bytes, bg_err *e)
{
    w->written += bytes;
    if (bytes && fwrite(data, 1, (size_t)bytes, w->out.file) != bytes)
        return bg_out_failed(&w->out, e);
    return BG_OK;
}

int bg_safetensors_commit(bg_safetensors_writer *w, bg_err *e)
{
    if (w->written != w->expected)
        return bg_fail(e, BG_RESOURCE, "internal: %llu bytes of tensors written where %llu were declared",
                       (unsigned long long)w->written, (unsigned long long)w->expected);
    return bg_out_commit(&w->out, e);
}

void bg_safetensors_abandon(bg_safetensors_writer *w)
{
    bg_out_abandon(&w->out);
}
