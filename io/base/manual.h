/* The manual page and the shell completion, printed from the same tables that parse the command line. */
#ifndef BG_IO_BASE_MANUAL_H
#define BG_IO_BASE_MANUAL_H

#include "io/base/options.h"

/* stages ends with NULL. bg_man_page writes roff (man macros); bg_completion a bash script. */
void bg_man_page(const bg_stage *const *stages, FILE *f);
void bg_completion(const bg_stage *const *stages, FILE *f);

#endif
