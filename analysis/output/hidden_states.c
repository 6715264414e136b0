/* Owns where the hidden states of all samples are between two layers: in memory, or in a file without a name. */
#define _GNU_SOURCE
#include "analysis/output/hidden_states.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "io/base/file.h"

static uint64_t bytes_of(const bg_states *s, int64_t rows)
{
    return (uint64_t)rows * (uint64_t)s->cols * sizeof(float);
}

/* The name of a file to be made: in $TMPDIR, else in the directory of `beside`. */
static char *name_beside(const char *beside)
{
    const char *workspace = getenv("TMPDIR");
    if (workspace && *workspace)
        return bg_path_join(workspace, "bitgap-states-XXXXXX");
    size_t directory = (size_t)(bg_path_base(beside) - beside);
    char *folder = directory ? strndup(beside, directory) : strdup("."), *name = NULL;
    if (folder)
        name = bg_path_join(folder, "bitgap-states-XXXXXX");
    free(folder);
    return name;
}

static int open_file(bg_states *s, const char *beside, bg_err *e)
{
    s->path = name_beside(beside);
    if (!s->path)
        return bg_no_memory(e, "a path", strlen(beside));
    s->fd = mkostemp(s->path, O_CLOEXEC);
    if (s->fd < 0)
        return bg_fail(e, BG_RESOURCE,
                       "%s: no temporary file can be made for hidden states: %s; set TMPDIR to a directory with "
                       "room for %.0f MB",
                       s->path, strerror(errno), (double)bytes_of(s, s->rows) * 1e-6);
    unlink(s->path);
    return BG_OK;
}

int bg_states_open(bg_states *s, int64_t rows, int64_t cols, uint64_t most_bytes, const char *beside, bg_err *e)
{
    *s = (bg_states){.rows = rows, .cols = cols, .fd = -1};
    uint64_t bytes = bytes_of(s, rows);
    int status = BG_OK;
    if (bytes > most_bytes)
        status = open_file(s, beside, e);
    else if (!(s->memory = malloc((size_t)bytes + 1)))
        status = bg_no_memory(e, "hidden states", bytes);
    if (status)
        bg_states_close(s);
    return status;
}

void bg_states_close(bg_states *s)
{
    if (s->path && s->fd >= 0)
        close(s->fd);
    free(s->path);
    free(s->memory);
    *s = (bg_states){0};
}

static int write_file(const bg_states *s, const void *from, uint64_t length, uint64_t offset, bg_err *e)
{
    const char *at = from;
    while (length) {
        ssize_t put = pwrite(s->fd, at, (size_t)length, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return bg_fail(e, BG_RESOURCE,
                           "%s: writing hidden states failed: %s; they need %.0f MB: set TMPDIR to a directory with "
                           "that much room, take fewer or shorter samples, or let more of them stay in memory",
                           s->path, strerror(put ? errno : ENOSPC), (double)bytes_of(s, s->rows) * 1e-6);
        at += put;
        offset += (uint64_t)put;
        length -= (uint64_t)put;
    }
    return BG_OK;
}

int bg_states_put(bg_states *s, int64_t first, int64_t n, const float *h, bg_err *e)
{
    if (!s->memory)
        return write_file(s, h, bytes_of(s, n), bytes_of(s, first), e);
    memcpy(s->memory + first * s->cols, h, (size_t)bytes_of(s, n));
    return BG_OK;
}

int bg_states_get(const bg_states *s, int64_t first, int64_t n, float *h, bg_err *e)
{
    if (!s->memory)
        return bg_pread(s->fd, s->path, h, (size_t)bytes_of(s, n), bytes_of(s, first), e);
    memcpy(h, s->memory + first * s->cols, (size_t)bytes_of(s, n));
    return BG_OK;
}
