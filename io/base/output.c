/* Owns how bytes leave the program: written beside the target, flushed to the disk, renamed. */
#define _GNU_SOURCE
#include "io/base/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/base/overwrite.h"
#include "io/base/path.h"

enum { BUFFER = 1 << 16, LINKS_MAX = 40 };

/* ---- the bytes: every write is retried after a signal, and the first error is kept ---- */

typedef struct bg_sink {
    int fd, error; /* error: errno of the first write that failed */
} bg_sink;

static ssize_t write_to_sink(void *cookie, const char *data, size_t length)
{
    bg_sink *s = cookie;
    size_t done = 0;
    while (done < length) {
        ssize_t n = write(s->fd, data + done, length - done);
        if (n < 0 && errno == EINTR && !bg_interrupted)
            continue;
        if (n <= 0) {
            s->error = s->error ? s->error : n ? errno : ENOSPC;
            return 0;
        }
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int seek_in_sink(void *cookie, off64_t *position, int whence)
{
    *position = lseek(((bg_sink *)cookie)->fd, *position, whence);
    return *position < 0 ? -1 : 0;
}

static FILE *open_sink(bg_out *o, int fd)
{
    o->sink = malloc(sizeof *o->sink);
    if (!o->sink)
        return NULL;
    *o->sink = (bg_sink){.fd = fd};
    o->file = fopencookie(o->sink, "w", (cookie_io_functions_t){.write = write_to_sink, .seek = seek_in_sink});
    if (o->file)
        setvbuf(o->file, NULL, _IOFBF, BUFFER);
    return o->file;
}

static int close_fd(int fd)
{
    return close(fd) && errno != EINTR ? errno : 0; /* after EINTR the descriptor is closed all the same (Linux) */
}

/* ---- where the target is ---- */

int bg_is_special(const char *path)
{
    struct stat s;
    return !strcmp(path, "-") || (!stat(path, &s) && !S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode));
}

static char *directory_of(const char *path)
{
    const char *base = bg_path_base(path);
    return base == path ? strdup(".") : strndup(path, (size_t)(base - path));
}

/* The path that a link, or a chain of links, stands for, whether something is there or not. malloc'ed. */
static char *follow_links(const char *path)
{
    char link[PATH_MAX], *at = strdup(path);
    for (int i = 0; at && i < LINKS_MAX; i++) {
        ssize_t n = readlink(at, link, sizeof link - 1);
        if (n < 0)
            break;
        link[n] = 0;
        char *directory = directory_of(at);
        char *next = *link == '/' ? strdup(link) : directory ? bg_path_join(directory, link) : NULL;
        free(directory);
        free(at);
        at = next;
    }
    return at;
}

/* Is `name` BASE.PID.part of a process that is no more? */
static int is_litter(const char *name, const char *base)
{
    size_t n = strlen(base);
    char *end;
    if (strncmp(name, base, n) != 0 || name[n] != '.' || name[n + 1] < '1' || name[n + 1] > '9')
        return 0;
    long pid = strtol(name + n + 1, &end, 10);
    return !strcmp(end, ".part") && pid > 0 && pid <= INT_MAX && kill((pid_t)pid, 0) && errno == ESRCH;
}

static void remove_litter(const char *target)
{
    char *directory = directory_of(target);
    DIR *d = directory ? opendir(directory) : NULL;
    for (struct dirent *entry; d && (entry = readdir(d));)
        if (is_litter(entry->d_name, bg_path_base(target)))
            unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        closedir(d);
    free(directory);
}

/* ---- opening ---- */

static int cannot_write(const char *path, int error, bg_err *e)
{
    return bg_fail(e, BG_RESOURCE, "%s: cannot write: %s; choose another -o", path, strerror(error));
}

/* Opens the file that is written: the target itself when it is special, else a new file beside it with the target's
 * mode. Returns the descriptor, or −1 with errno. */
static int open_target(const bg_out *o)
{
    struct stat old;
    if (!o->temporary)
        return TEMP_FAILURE_RETRY(open(o->path, O_WRONLY | O_CLOEXEC));
    int fd = TEMP_FAILURE_RETRY(open(o->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (fd >= 0 && !stat(o->target, &old) && fchmod(fd, old.st_mode & 07777))
        errno = 0; /* a file system without modes */
    return fd;
}

static int open_output(bg_out *o, const char *path, bg_err *e)
{
    if (!strcmp(path, "-")) {
        fflush(stdout);
        return open_sink(o, STDOUT_FILENO) ? BG_OK : bg_no_memory(e, path, BUFFER);
    }
    o->path = strdup(path);
    if (o->path && !bg_is_special(path)) {
        o->target = follow_links(path);
        if (!o->target || asprintf(&o->temporary, "%s.%ld.part", o->target, (long)getpid()) < 0) {
            o->temporary = NULL;
            return bg_no_memory(e, path, PATH_MAX);
        }
        remove_litter(o->target);
    }
    if (!o->path)
        return bg_no_memory(e, path, strlen(path));
    int fd = open_target(o);
    if (fd < 0) {
        int error = errno;
        free(o->temporary);
        o->temporary = NULL; /* nothing to remove */
        return cannot_write(path, error, e);
    }
    if (open_sink(o, fd))
        return BG_OK;
    close_fd(fd);
    return bg_no_memory(e, path, BUFFER);
}

int bg_out_replace(bg_out *o, const char *path, bg_err *e)
{
    *o = (bg_out){0};
    int status = open_output(o, path, e);
    if (status)
        bg_out_abandon(o);
    return status;
}

int bg_out_open(bg_out *o, const char *path, bg_err *e)
{
    *o = (bg_out){0};
    int status = bg_output_allowed(path, e);
    return status ? status : bg_out_replace(o, path, e);
}

/* ---- committing ---- */

int bg_out_failed(const bg_out *o, bg_err *e)
{
    int error = o->sink ? o->sink->error : 0;
    return bg_fail(e, BG_RESOURCE, "%s: write failed: %s; is the disk full?", o->path ? o->path : "standard output",
                   error ? strerror(error) : "unknown error");
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

/* 0 or errno. Pipes and some file systems cannot be flushed to a disk, which is no error. */
static int sync_fd(int fd)
{
    if (!TEMP_FAILURE_RETRY(fsync(fd)) || errno == EINVAL || errno == ENOTSUP || errno == EROFS)
        return 0;
    return errno;
}

static int sync_directory(const char *target)
{
    char *directory = directory_of(target);
    int fd = directory ? TEMP_FAILURE_RETRY(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : -1;
    int error = fd < 0 ? 0 : sync_fd(fd); /* a directory that may be written but not read */
    if (fd >= 0)
        close_fd(fd);
    free(directory);
    return error;
}

int bg_out_finish(bg_out *o, bg_err *e)
{
    if (!o->file)
        return BG_OK;
    bg_sink *s = o->sink;
    int bad = ferror(o->file);
    bad |= fclose(o->file);
    o->file = NULL;
    if (bad && !s->error)
        s->error = EIO;
    if (!s->error && o->temporary)
        s->error = sync_fd(s->fd);
    int error = o->path ? close_fd(s->fd) : 0;
    s->fd = -1;
    s->error = s->error ? s->error : error;
    if (!s->error)
        return BG_OK;
    if (!o->path)
        leave_with_the_reader();
    int status = bg_out_failed(o, e);
    bg_out_abandon(o);
    return status;
}

int bg_out_commit(bg_out *o, bg_err *e)
{
    int status = bg_out_finish(o, e), error = 0;
    if (status)
        return status;
    if (o->temporary && rename(o->temporary, o->target)) {
        status = bg_fail(e, BG_RESOURCE, "%s: cannot rename into place: %s", o->path, strerror(errno));
    } else if (o->temporary) {
        free(o->temporary);
        o->temporary = NULL;
        bg_output_made(o->target);
        if ((error = sync_directory(o->target)))
            status = bg_fail(e, BG_RESOURCE, "%s: its directory cannot be flushed to the disk: %s", o->path,
                             strerror(error));
    }
    bg_out_abandon(o);
    return status;
}

void bg_out_abandon(bg_out *o)
{
    if (o->file)
        fclose(o->file);
    if (o->file && o->path)
        close_fd(o->sink->fd);
    if (o->temporary)
        unlink(o->temporary);
    free(o->temporary);
    free(o->target);
    free(o->path);
    free(o->sink);
    *o = (bg_out){0};
}
