/* Paths. */
#ifndef BG_IO_BASE_PATH_H
#define BG_IO_BASE_PATH_H

#include "io/base/error.h"

/* mkdir -p; an existing directory is no error. */
int bg_make_directories(const char *path, bg_err *e);
/* malloc'ed "a/b"; NULL when memory is out. */
char *bg_path_join(const char *directory, const char *name);
const char *bg_path_base(const char *path);
int bg_is_directory(const char *path);
int bg_is_file(const char *path);

#endif
