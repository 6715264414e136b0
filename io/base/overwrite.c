/* Owns the question whether an output may take the place of what is there. */
#define _GNU_SOURCE
#include "io/base/overwrite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/base/path.h"

enum { HEAD = 4096 };

typedef struct identity {
    dev_t device;
    ino_t inode;
} identity;

typedef struct identity_set {
    identity *items;
    size_t n, capacity;
} identity_set;

/* What this run has read, what it wrote, and the directories of checkpoints that it fills. */
static identity_set inputs_, outputs_, directories_;
static int force_;

void bg_set_force(int force)
{
    force_ = force;
}

/* ---- sets of files; callers hold the critical section ---- */

static int holds(const identity_set *s, const struct stat *file)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->items[i].inode == file->st_ino && s->items[i].device == file->st_dev)
            return 1;
    return 0;
}

/* Without memory the file stays unknown: then the rule about foreign files still protects it. */
static void insert(identity_set *s, const struct stat *file)
{
    if (holds(s, file))
        return;
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        identity *items = realloc(s->items, capacity * sizeof *items);
        if (!items)
            return;
        s->items = items;
        s->capacity = capacity;
    }
    s->items[s->n++] = (identity){file->st_dev, file->st_ino};
}

static void erase(identity_set *s, const struct stat *file)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->items[i].inode == file->st_ino && s->items[i].device == file->st_dev)
            s->items[i--] = s->items[--s->n];
}

static void register_input(const struct stat *file)
{
#pragma omp critical(bg_overwrite)
    if (!holds(&outputs_, file))
        insert(&inputs_, file);
}

void bg_input_opened(int fd)
{
    struct stat file;
    if (!fstat(fd, &file))
        register_input(&file);
}

void bg_input_path(const char *path)
{
    struct stat file;
    if (!stat(path, &file))
        register_input(&file);
}

void bg_output_made(const char *path)
{
    struct stat file;
    if (stat(path, &file))
        return;
#pragma omp critical(bg_overwrite)
    {
        erase(&inputs_, &file);
        insert(&outputs_, &file);
    }
}

static int is_in(const identity_set *s, const struct stat *file)
{
    int found;
#pragma omp critical(bg_overwrite)
    found = holds(s, file);
    return found;
}

/* ---- what Bitgap's own files look like ---- */

/* The first bytes of a file, ended by a NUL; returns how many. */
static size_t read_head(const char *path, char head[HEAD + 1])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? 0 : TEMP_FAILURE_RETRY(pread(fd, head, HEAD, 0));
    if (fd >= 0)
        close(fd);
    n = n < 0 ? 0 : n;
    head[n] = 0;
    return (size_t)n;
}

static int begins_with(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

/* A document begins with its header: {"bitgap": {… */
static int is_document(const char *head)
{
    head += strspn(head, " \t\r\n");
    if (*head++ != '{')
        return 0;
    return begins_with(head + strspn(head, " \t\r\n"), "\"bitgap\"");
}

static int carries_mark(const char *path)
{
    static const char *const starts[] = {"# The commands of ", "model,spec,", "| model | spec |", "tensor,group,spec,"};
    char head[HEAD + 1];
    size_t n = read_head(path, head);
    if (is_document(head) || strstr(head, "<meta name=\"generator\" content=\"Bitgap ") ||
        strstr(head, "Re-run: gnuplot"))
        return 1;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (begins_with(head, starts[i]))
            return 1;
    return n > 8 && head[8] == '{' && memmem(head, n, "\"bitgap", 7); /* the metadata of a safetensors file */
}

/* A file that is written together with another of the same name: groups.hist beside groups.json, report.md beside
 * report.html, a figure's data and drawing beside its script. */
static int stands_beside_marked(const char *path)
{
    static const char *const endings[] = {".json", ".html", ".gp"};
    const char *dot = strrchr(bg_path_base(path), '.');
    size_t stem = dot ? (size_t)(dot - path) : strlen(path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char *name = NULL;
        if (asprintf(&name, "%.*s%s", (int)stem, path, endings[i]) < 0)
            return 0;
        int marked = strcmp(name, path) != 0 && carries_mark(name);
        free(name);
        if (marked)
            return 1;
    }
    return 0;
}

static int is_in_own_directory(const char *path)
{
    struct stat directory;
    char *parent = strndup(path, (size_t)(bg_path_base(path) - path));
    int own = parent && !stat(*parent ? parent : ".", &directory) && is_in(&directories_, &directory);
    free(parent);
    return own;
}

int bg_output_allowed(const char *path, bg_err *e)
{
    struct stat file;
    if (!strcmp(path, "-") || stat(path, &file))
        return BG_OK;
    if (is_in(&inputs_, &file))
        return bg_fail(e, BG_USAGE, "%s: this run reads it, so it is not overwritten; choose another -o", path);
    if (S_ISDIR(file.st_mode))
        return bg_fail(e, BG_USAGE, "%s: is a directory; give a file with -o", path);
    if (!S_ISREG(file.st_mode) || !file.st_size || force_ || is_in(&outputs_, &file))
        return BG_OK;
    if (carries_mark(path) || is_in_own_directory(path) || stands_beside_marked(path))
        return BG_OK;
    return bg_fail(e, BG_USAGE,
                   "%s: exists and was not written by Bitgap; choose another -o, or replace it with --force", path);
}

/* ---- directories of checkpoints ---- */

static int ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);
    return n >= m && !strcmp(text + n - m, ending);
}

static int holds_tensors(const char *name)
{
    return ends_with(name, ".safetensors") || ends_with(name, ".gguf") ||
           (begins_with(name, "pytorch_model") && ends_with(name, ".bin"));
}

/* Looks through a directory: *foreign is a file of tensors that is not Bitgap's (malloc'ed), *own is set when Bitgap
 * filled the directory. */
static void survey(const char *path, char **foreign, int *own)
{
    char *record = bg_path_join(path, "quantization.json");
    int recorded = record && carries_mark(record), files = 0, marked = 0;
    free(record);
    DIR *d = opendir(path);
    for (struct dirent *entry; d && (entry = readdir(d));) {
        files += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        if (!holds_tensors(entry->d_name))
            continue;
        char *file = bg_path_join(path, entry->d_name);
        int ours = file && (carries_mark(file) || (recorded && ends_with(file, ".gguf")));
        marked += ours;
        if (!ours && !*foreign)
            *foreign = file;
        else
            free(file);
    }
    if (d)
        closedir(d);
    *own = recorded || marked || !files;
}

int bg_output_directory(const char *path, bg_err *e)
{
    struct stat file;
    char *foreign = NULL;
    int own = 0, status = bg_make_directories(path, e);
    if (status)
        return status;
    if (stat(path, &file))
        return bg_fail(e, BG_RESOURCE, "%s: cannot look at the directory: %s", path, strerror(errno));
    if (is_in(&inputs_, &file))
        return bg_fail(e, BG_USAGE, "%s: this run reads it, so nothing is written there; choose another -o", path);
    survey(path, &foreign, &own);
    if (foreign)
        status = bg_fail(e, BG_USAGE, "%s: holds tensors that Bitgap did not write (%s); choose another -o", path,
                         bg_path_base(foreign));
    free(foreign);
    if (!status && own) {
#pragma omp critical(bg_overwrite)
        insert(&directories_, &file);
    }
    return status;
}
