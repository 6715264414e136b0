/* Owns the open weight files of a checkpoint and positioned reads of their raw tensors. */
#define _GNU_SOURCE
#include "io/checkpoints/tensor_store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int bg_store_open(bg_store *s, const char *path, int *index, bg_err *e)
{
    int fd, status;
    uint64_t size;
    if ((status = bg_file_open(path, &fd, &size, e)))
        return status;
    bg_store_file *files = realloc(s->files, (size_t)(s->n_files + 1) * sizeof *files);
    char *copy = strdup(path);
    if (files)
        s->files = files;
    if (!files || !copy) {
        free(copy);
        close(fd);
        return bg_no_memory(e, path, sizeof *files);
    }
    *index = s->n_files;
    s->files[s->n_files++] = (bg_store_file){.fd = fd, .path = copy, .size = size, .name = bg_path_base(copy)};
    return BG_OK;
}

bg_raw *bg_store_add(bg_store *s)
{
    if (s->n_raws == s->room) {
        int room = s->room ? 2 * s->room : 64;
        bg_raw *raws = realloc(s->raws, (size_t)room * sizeof *raws);
        if (!raws)
            return NULL;
        s->raws = raws;
        s->room = room;
    }
    s->raws[s->n_raws] = (bg_raw){.kind = -1};
    return &s->raws[s->n_raws++];
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const bg_raw *)a)->name, ((const bg_raw *)b)->name);
}

int bg_store_sort(bg_store *s, bg_err *e)
{
    if (s->n_raws)
        qsort(s->raws, (size_t)s->n_raws, sizeof *s->raws, by_name);
    for (int i = 1; i < s->n_raws; i++) {
        const bg_raw *a = &s->raws[i - 1], *b = &s->raws[i];
        if (strcmp(a->name, b->name))
            continue;
        if (a->file == b->file)
            return bg_fail(e, BG_INPUT, "%s: tensor '%s' is listed twice", s->files[a->file].path, a->name);
        return bg_fail(e, BG_INPUT, "tensor '%s' is both in %s and in %s; keep one of them", a->name,
                       s->files[a->file].path, s->files[b->file].name);
    }
    return BG_OK;
}

bg_raw *bg_store_find(const bg_store *s, const char *name)
{
    int low = 0, high = s->n_raws;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(s->raws[middle].name, name);
        if (!order)
            return &s->raws[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bg_raw *bg_store_find2(const bg_store *s, const char *prefix, const char *suffix)
{
    char *name;
    if (asprintf(&name, "%s%s", prefix, suffix) < 0)
        return NULL;
    bg_raw *r = bg_store_find(s, name);
    free(name);
    return r;
}

void bg_store_free(bg_store *s)
{
    for (int i = 0; i < s->n_raws; i++)
        free(s->raws[i].name);
    for (int i = 0; i < s->n_files; i++) {
        if (s->files[i].map)
            munmap((void *)s->files[i].map, (size_t)s->files[i].size);
        close(s->files[i].fd);
        free(s->files[i].path);
    }
    free(s->raws);
    free(s->files);
    free(s->index);
    *s = (bg_store){0};
}

int bg_raw_read(const bg_store *s, const bg_raw *r, uint64_t at, void *out, uint64_t length, bg_err *e)
{
    const bg_store_file *f = &s->files[r->file];
    if (at > r->bytes || length > r->bytes - at)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' has %llu bytes, %llu are needed", f->path, r->name,
                       (unsigned long long)r->bytes, (unsigned long long)at + (unsigned long long)length);
    if (f->map) {
        memcpy(out, f->map + r->offset + at, (size_t)length);
        return BG_OK;
    }
    return bg_pread(f->fd, f->path, out, (size_t)length, r->offset + at, e);
}

void bg_store_map(bg_store *s, const bg_raw *r)
{
    bg_store_file *f = &s->files[r->file];
    if (f->map || !f->size || f->size > SIZE_MAX)
        return;
    void *map = mmap(NULL, (size_t)f->size, PROT_READ, MAP_PRIVATE, f->fd, 0);
    f->map = map == MAP_FAILED ? NULL : map;
}

void bg_raw_release(const bg_store *s, const bg_raw *r)
{
    const bg_store_file *f = &s->files[r->file];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = (r->offset + page - 1) / page * page,
             to = (r->offset + r->bytes) / page * page;
    if (f->map && to > from)
        madvise((void *)(f->map + from), (size_t)(to - from), MADV_DONTNEED);
}

int bg_raw_bytes(const bg_store *s, const bg_raw *r, void **out, bg_err *e)
{
    char *data = malloc((size_t)r->bytes + 1);
    if (!data)
        return bg_no_memory(e, r->name, r->bytes);
    int status = bg_raw_read(s, r, 0, data, r->bytes, e);
    if (status) {
        free(data);
        return status;
    }
    data[r->bytes] = 0;
    *out = data;
    return BG_OK;
}

int bg_raw_floats(const bg_store *s, const bg_raw *r, float **out, bg_err *e)
{
    if (!bg_dtypes[r->dtype].decode)
        return bg_fail(e, BG_INPUT, "%s: tensor '%s' is %s, which has no values to convert", s->files[r->file].path,
                       r->name, bg_dtypes[r->dtype].name);
    void *data = NULL;
    int status = bg_raw_bytes(s, r, &data, e);
    if (status)
        return status;
    float *values = malloc((size_t)r->count * sizeof *values + 1);
    if (!values)
        status = bg_no_memory(e, r->name, r->count * sizeof *values);
    else
        bg_dtypes[r->dtype].decode(data, values, (size_t)r->count);
    free(data);
    *out = values;
    return status;
}

int bg_shape_size(const int64_t *shape, int rank, unsigned bits, uint64_t *count, uint64_t *bytes, bg_err *e)
{
    uint64_t n = 1, total;
    for (int i = 0; i < rank; i++)
        if (shape[i] < 0 || __builtin_mul_overflow(n, (uint64_t)shape[i], &n))
            return bg_fail(e, BG_INPUT, "the product of its shape overflows 64 bits");
    if (__builtin_mul_overflow(n, (uint64_t)bits, &total))
        return bg_fail(e, BG_INPUT, "its size in bits overflows 64 bits");
    if (total % 8)
        return bg_fail(e, BG_INPUT, "its %llu bits do not fill whole bytes", (unsigned long long)total);
    *count = n;
    *bytes = total / 8;
    return BG_OK;
}
