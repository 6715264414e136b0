/* Files: whole-file reads with a bound, positioned reads, paths and hashes. What is opened for reading is registered as
 * an input (io/base/overwrite.h). */
#ifndef BG_IO_BASE_FILE_H
#define BG_IO_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "io/base/output.h"
#include "io/base/path.h"

/* Opens a regular file for reading; the caller closes *fd. */
int bg_file_open(const char *path, int *fd, uint64_t *size, bg_err *e);
/* Does the file begin with these at most 16 bytes? A file that cannot be read does not. */
int bg_file_begins_with(const char *path, const char *magic);

/* Reads a whole regular file of at most `limit` bytes into *out (malloc, one NUL byte added; the caller frees). */
int bg_file_read(const char *path, size_t limit, char **out, size_t *length, bg_err *e);

/* Reads exactly `length` bytes at `offset`, in pieces that stay in cache; a short file is BG_INPUT. */
int bg_pread(int fd, const char *path, void *out, size_t length, uint64_t offset, bg_err *e);

/* Lower-case hex sha256 (nettle). */
typedef struct bg_sha256 {
    char hex[65];
} bg_sha256;
bg_sha256 bg_sha256_of(const void *data, size_t length);
/* Of a file's content, or of its first `limit` bytes when limit > 0. *size receives the file's size (may be NULL). */
int bg_sha256_file(const char *path, uint64_t limit, bg_sha256 *out, uint64_t *size, bg_err *e);

#endif
