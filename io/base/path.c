/* Owns paths: their parts, what is there, and directories made. */
#define _GNU_SOURCE
#include "io/base/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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
