/* Owns how bytes enter the program: bounded reads and sha256. */
#define _GNU_SOURCE
#include "io/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/base/overwrite.h"

enum { PIECE = 512 * 1024 }; /* measured: larger pieces fall out of the second-level cache before they are used */

int bg_file_open(const char *path, int *fd, uint64_t *size, bg_err *e)
{
    struct stat s;
    *fd = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC));
    if (*fd < 0)
        return bg_fail(e, BG_INPUT, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(*fd, &s) || !S_ISREG(s.st_mode)) {
        close(*fd);
        return bg_fail(e, BG_INPUT, "%s: not a regular file", path);
    }
    bg_input_opened(*fd);
    *size = (uint64_t)s.st_size;
    return BG_OK;
}

int bg_file_begins_with(const char *path, const char *magic)
{
    char head[16];
    size_t n = strlen(magic);
    int fd = n <= sizeof head ? TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_CLOEXEC)) : -1;
    if (fd < 0)
        return 0;
    int same = TEMP_FAILURE_RETRY(pread(fd, head, n, 0)) == (ssize_t)n && !memcmp(head, magic, n);
    close(fd);
    return same;
}

int bg_pread(int fd, const char *path, void *out, size_t length, uint64_t offset, bg_err *e)
{
    char *to = out;
    while (length) {
        size_t want = length < PIECE ? length : PIECE;
        if (offset > (uint64_t)INT64_MAX)
            return bg_fail(e, BG_INPUT, "%s: offset %llu is beyond any file", path, (unsigned long long)offset);
        ssize_t got = pread(fd, to, want, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return bg_fail(e, BG_INPUT, "%s: read failed at byte %llu: %s", path, (unsigned long long)offset,
                           strerror(errno));
        if (got == 0)
            return bg_fail(e, BG_INPUT, "%s: ends at byte %llu, %zu bytes early; the file is truncated, fetch it again",
                           path, (unsigned long long)offset, length);
        to += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return BG_OK;
}

int bg_file_read(const char *path, size_t limit, char **out, size_t *length, bg_err *e)
{
    int fd;
    uint64_t size;
    int status = bg_file_open(path, &fd, &size, e);
    if (status)
        return status;
    char *data = NULL;
    if (size > limit)
        status = bg_fail(e, BG_INPUT, "%s: %llu bytes, more than the %zu a file of this kind may have", path,
                         (unsigned long long)size, limit);
    else if (!(data = malloc((size_t)size + 1)))
        status = bg_no_memory(e, path, size);
    else
        status = bg_pread(fd, path, data, (size_t)size, 0, e);
    close(fd);
    if (status) {
        free(data);
        return status;
    }
    data[size] = 0;
    *out = data;
    if (length)
        *length = (size_t)size;
    return BG_OK;
}

static bg_sha256 finish(struct sha256_ctx *c)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    bg_sha256 out;
    sha256_digest(c, sizeof digest, digest);
    for (int i = 0; i < SHA256_DIGEST_SIZE; i++)
        snprintf(out.hex + 2 * i, 3, "%02x", digest[i]);
    return out;
}

bg_sha256 bg_sha256_of(const void *data, size_t length)
{
    struct sha256_ctx c;
    sha256_init(&c);
    sha256_update(&c, length, data);
    return finish(&c);
}

int bg_sha256_file(const char *path, uint64_t limit, bg_sha256 *out, uint64_t *size, bg_err *e)
{
    int fd;
    uint64_t bytes;
    int status = bg_file_open(path, &fd, &bytes, e);
    if (status)
        return status;
    if (size)
        *size = bytes;
    if (limit && bytes > limit)
        bytes = limit;
    struct sha256_ctx c;
    sha256_init(&c);
    char *piece = malloc(PIECE);
    if (!piece)
        status = bg_no_memory(e, "hashing", PIECE);
    for (uint64_t at = 0; !status && at < bytes;) {
        size_t n = bytes - at < PIECE ? (size_t)(bytes - at) : PIECE;
        status = bg_pread(fd, path, piece, n, at, e);
        if (!status)
            sha256_update(&c, n, (const uint8_t *)piece);
        at += n;
    }
    free(piece);
    close(fd);
    if (!status)
        *out = finish(&c);
    return status;
}
