/* Fails one system call of a program, where strace is not there: LD_PRELOAD this with FAULT=CALL:ERRNO:N, and the N-th
 * CALL returns -1 with that errno. Calls that the C library makes inside itself are not seen. N counts from 1; ERRNO is
 * a number. With FAULT=CALL:0:0 nothing fails, and the number of calls is appended to the file that FAULT_COUNT names,
 * a line. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int seen;

static int fails(const char *call)
{
    const char *fault = getenv("FAULT");
    size_t n = strlen(call);
    if (!fault || strncmp(fault, call, n) || fault[n] != ':')
        return 0;
    char *rest;
    int error = (int)strtol(fault + n + 1, &rest, 10), when = *rest == ':' ? atoi(rest + 1) : 0;
    if (__atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED) != when)
        return 0;
    errno = error;
    return 1;
}

static __attribute__((destructor)) void tell(void)
{
    const char *path = getenv("FAULT_COUNT");
    FILE *f = path ? fopen(path, "a") : NULL;
    if (!f)
        return;
    fprintf(f, "%d\n", seen);
    fclose(f);
}

#define NEXT(name)             ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_OR(call, failure) return fails(call) ? failure

ssize_t read(int fd, void *to, size_t n)
{
    FAIL_OR("read", -1) : NEXT(read)(fd, to, n);
}
ssize_t write(int fd, const void *from, size_t n)
{
    FAIL_OR("write", -1) : NEXT(write)(fd, from, n);
}
ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    FAIL_OR("pread64", -1) : NEXT(pread)(fd, to, n, at);
}
ssize_t pread64(int fd, void *to, size_t n, off64_t at)
{
    FAIL_OR("pread64", -1) : NEXT(pread64)(fd, to, n, at);
}
ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    FAIL_OR("pwrite64", -1) : NEXT(pwrite)(fd, from, n, at);
}
int fsync(int fd)
{
    FAIL_OR("fsync", -1) : NEXT(fsync)(fd);
}
int rename(const char *from, const char *to)
{
    FAIL_OR("rename", -1) : NEXT(rename)(from, to);
}
size_t fwrite(const void *from, size_t size, size_t n, FILE *f)
{
    FAIL_OR("write", 0) : NEXT(fwrite)(from, size, n, f);
}
FILE *fopen(const char *path, const char *mode)
{
    FAIL_OR("openat", NULL) : NEXT(fopen)(path, mode);
}
