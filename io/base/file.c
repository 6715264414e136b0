/* Owns how bytes leave and enter files: bounded reads, write-then-rename, sha256. */
#define _GNU_SOURCE
#include "io/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 512 * 1024 }; /* measured: larger pieces fall out of the second-level cache before they are used */

static int open_regular(const char *path, int *fd, uint64_t *size, bg_err *e)
{
    struct stat s;
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return bg_fail(e, BG_INPUT, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(*fd, &s) || !S_ISREG(s.st_mode)) {
        close(*fd);
        return bg_fail(e, BG_INPUT, "%s: not a regular file", path);
    }
    *size = (uint64_t)s.st_size;
    return BG_OK;
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
    int status = open_regular(path, &fd, &size, e);
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

int bg_is_special(const char *path)
{
    struct stat s;
    return !strcmp(path, "-") || (!stat(path, &s) && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode));
}

int bg_out_open(bg_out *o, const char *path, bg_err *e)
{
    *o = (bg_out){0};
    if (!strcmp(path, "-")) {
        o->file = stdout;
        return BG_OK;
    }
    o->path = strdup(path);
    int special = bg_is_special(path);
    if (!o->path || (!special && asprintf(&o->temporary, "%s.%ld.part", path, (long)getpid()) < 0)) {
        o->temporary = NULL;
        bg_out_abandon(o);
        return bg_no_memory(e, path, PATH_MAX);
    }
    o->file = fopen(special ? path : o->temporary, "wbe");
    if (!o->file) {
        int status = bg_fail(e, BG_RESOURCE, "%s: cannot write: %s; choose another -o", path, strerror(errno));
        free(o->temporary);
        o->temporary = NULL;
        bg_out_abandon(o);
        return status;
    }
    return BG_OK;
}

/* Whoever read our standard output has seen enough (`| head`): the program ends as others do then, without a word. */
static void leave_with_the_reader(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};
    if (poll(&out, 1, 0) == 1 && out.revents & POLLERR) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
}

int bg_out_commit(bg_out *o, bg_err *e)
{
    int status = BG_OK;
    const char *name = o->path ? o->path : "standard output";
    int bad = ferror(o->file) || fflush(o->file);
    if (o->path)
        bad |= fclose(o->file);
    o->file = NULL;
    if (bad && !o->path)
        leave_with_the_reader();
    if (bad)
        status = bg_fail(e, BG_RESOURCE, "%s: write failed: %s; is the disk full?", name, strerror(errno));
    else if (o->temporary && rename(o->temporary, o->path))
        status = bg_fail(e, BG_RESOURCE, "%s: cannot rename into place: %s", name, strerror(errno));
    if (!status) {
        free(o->temporary);
        o->temporary = NULL;
    }
    bg_out_abandon(o);
    return status;
}

void bg_out_abandon(bg_out *o)
{
    if (o->file && o->file != stdout)
        fclose(o->file);
    if (o->temporary)
        unlink(o->temporary);
    free(o->temporary);
    free(o->path);
    *o = (bg_out){0};
}

int bg_make_directories(const char *path, bg_err *e)
{
    char *copy = strdup(path);
    if (!copy)
        return bg_no_memory(e, path, strlen(path));
    int status = BG_OK;
    for (char *p = copy + 1; !status; p++) {
        if (*p && *p != '/')
            continue;
        char kept = *p;
        *p = 0;
        if (mkdir(copy, 0777) && errno != EEXIST)
            status = bg_fail(e, BG_RESOURCE, "%s: cannot make the directory: %s", copy, strerror(errno));
        *p = kept;
        if (!kept)
            break;
    }
    if (!status && !bg_is_directory(path))
        status = bg_fail(e, BG_RESOURCE, "%s: exists and is not a directory", path);
    free(copy);
    return status;
}

char *bg_path_join(const char *directory, const char *name)
{
    char *out;
    size_t n = strlen(directory);
    return asprintf(&out, n && directory[n - 1] == '/' ? "%s%s" : "%s/%s", directory, name) < 0 ? NULL : out;
}

const char *bg_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

int bg_is_directory(const char *path)
{
    struct stat s;
    return !stat(path, &s) && S_ISDIR(s.st_mode);
}

int bg_is_file(const char *path)
{
    struct stat s;
    return !stat(path, &s) && S_ISREG(s.st_mode);
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
    int status = open_regular(path, &fd, &bytes, e);
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
