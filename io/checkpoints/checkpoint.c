/* Owns a checkpoint in memory: its list of tensors as it grows, and reading them. Knows no format but by its functions.
 */
#define _GNU_SOURCE
#include "io/checkpoints/loading.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const bg_part_names[BG_PARTS] = {"indices", "scales", "zeros", "codebook", "order", "padding", "metadata"};

/* ---- building ---- */

bg_tensor *bg_load_add(bg_load *l, const char *name, const bg_format *format, bg_err *e)
{
    bg_ckpt *c = l->ckpt;
    if (c->n_tensors == l->room) {
        int room = l->room ? 2 * l->room : 64;
        bg_tensor *more = realloc(c->tensors, (size_t)room * sizeof *more);
        if (!more) {
            bg_no_memory(e, "the list of tensors", (size_t)room * sizeof *more);
            return NULL;
        }
        c->tensors = more;
        l->room = room;
    }
    char *copy = strdup(name);
    if (!copy) {
        bg_no_memory(e, "a name", strlen(name));
        return NULL;
    }
    bg_tensor *t = &c->tensors[c->n_tensors++];
    *t = (bg_tensor){.name = copy, .format = format, .dtype = BG_PACKED, .ckpt = c};
    return t;
}

int bg_tensor_shape(bg_tensor *t, const int64_t *shape, int rank, bg_err *e)
{
    uint64_t bytes;
    if (bg_shape_size(shape, rank, 8, &t->count, &bytes, e))
        return bg_context(e, "tensor '%s'", t->name);
    if (t->count > INT64_MAX / 64)
        return bg_fail(e, BG_INPUT, "tensor '%s': %llu elements are more than any file can hold", t->name,
                       (unsigned long long)t->count);
    t->rank = rank;
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    t->cols = !t->count ? 0 : rank ? shape[rank - 1] : 1;
    t->rows = t->count ? (int64_t)t->count / t->cols : 0;
    return BG_OK;
}

int bg_tensor_storage(bg_tensor *t, bg_err *e, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return bg_no_memory(e, "a description", 64);
    t->storage = text;
    return BG_OK;
}

void bg_tensor_release(bg_tensor *t)
{
    free((char *)t->name);
    free((char *)t->storage);
    if (t->format->release)
        t->format->release(t);
    if (!t->format->borrows_layout)
        free(t->layout); /* a view's format is in it */
}

void bg_ckpt_close(bg_ckpt *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n_tensors; i++)
        bg_tensor_release(&c->tensors[i]);
    bg_store *s = c->impl;
    for (int i = 0; i < s->n_sources; i++) {
        bg_tensor_release(s->sources[i]);
        free(s->sources[i]);
    }
    free(s->sources);
    bg_store_free(s);
    free(s);
    free(c->tensors);
    cJSON_Delete(c->config);
    free(c->path);
    free(c->title);
    free(c);
}

/* ---- using ---- */

const bg_tensor *bg_ckpt_find(const bg_ckpt *c, const char *name)
{
    const bg_store *s = c->impl;
    int low = 0, high = c->n_tensors;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(s->index[middle]->name, name);
        if (!order)
            return s->index[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

int bg_ckpt_provenance(const bg_ckpt *c, bg_provenance *p, bg_err *e)
{
    const bg_store *s = c->impl;
    int status = BG_OK;
    for (int i = 0; !status && i < s->n_files; i++)
        status = bg_provenance_add(p, s->files[i].path, s->files[i].data_start, e);
    char *config = !status && bg_is_directory(c->path) ? bg_path_join(c->path, "config.json") : NULL;
    if (config && bg_is_file(config))
        status = bg_provenance_add(p, config, 0, e);
    free(config);
    return status;
}

static int check_rows(const bg_tensor *t, int64_t first, int64_t n, bg_err *e)
{
    if (first < 0 || n < 0 || first > t->rows || n > t->rows - first)
        return bg_fail(e, BG_INPUT, "tensor '%s' has %lld rows; rows %lld to %lld were asked for", t->name,
                       (long long)t->rows, (long long)first, (long long)first + (long long)n);
    return BG_OK;
}

int bg_tensor_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    int status = check_rows(t, first, n, e);
    return status || !n ? status : t->format->rows(t, first, n, out, e);
}

int bg_tensor_codes16(const bg_tensor *t, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    int status = check_rows(t, first, n, e);
    if (status || !n)
        return status;
    if ((t->dtype != BG_BF16 && t->dtype != BG_F16) || !t->format->codes16)
        return bg_fail(e, BG_USAGE, "tensor '%s' is %s: it has no 16-bit codes", t->name, t->storage);
    return t->format->codes16(t, first, n, out, e);
}

uint64_t bg_tensor_bytes(const bg_tensor *t)
{
    uint64_t sum = 0;
    for (int i = 0; i < BG_PARTS; i++)
        sum += t->bytes[i];
    return sum;
}
