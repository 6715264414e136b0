/* Files: whole-file reads with a bound, positioned reads, and output that appears complete or not at all. */
#ifndef BG_IO_BASE_FILE_H
#define BG_IO_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "io/base/error.h"

/* Reads a whole regular file of at most `limit` bytes into *out (malloc, one NUL byte added; the caller frees). */
int bg_file_read(const char *path, size_t limit, char **out, size_t *length, bg_err *e);

/* Reads exactly `length` bytes at `offset`, in pieces that stay in cache; a short file is BG_INPUT. */
int bg_pread(int fd, const char *path, void *out, size_t length, uint64_t offset, bg_err *e);

/* Nonzero for "-" (standard output), a device, a pipe: what is written to, because renaming a file into its place would
 * destroy it. */
int bg_is_special(const char *path);
/* Output beside its target, renamed on commit: an interrupted run leaves no half file. Special paths are written
 * directly. */
typedef struct bg_out {
    FILE *file;
    char *path, *temporary;
} bg_out;
int bg_out_open(bg_out *o, const char *path, bg_err *e);
/* Flushes, checks every write so far (a full disk shows here), renames. On failure the temporary file is gone. */
int bg_out_commit(bg_out *o, bg_err *e);
/* Removes the temporary file; safe after commit and on a zeroed struct. */
void bg_out_abandon(bg_out *o);

/* mkdir -p; an existing directory is no error. */
int bg_make_directories(const char *path, bg_err *e);
/* malloc'ed "a/b"; NULL when memory is out. */
char *bg_path_join(const char *directory, const char *name);
const char *bg_path_base(const char *path);
int bg_is_directory(const char *path);
int bg_is_file(const char *path);

/* Lower-case hex sha256 (nettle). */
typedef struct bg_sha256 {
    char hex[65];
} bg_sha256;
bg_sha256 bg_sha256_of(const void *data, size_t length);
/* Of a file's content, or of its first `limit` bytes when limit > 0. *size receives the file's size (may be NULL). */
int bg_sha256_file(const char *path, uint64_t limit, bg_sha256 *out, uint64_t *size, bg_err *e);

#endif
