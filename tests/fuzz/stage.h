/* What the fuzz targets of whole stages share: bytes become a file, and the stage reads it as from the command line. */
#ifndef BG_TESTS_FUZZ_STAGE_H
#define BG_TESTS_FUZZ_STAGE_H

#define _GNU_SOURCE
#include <fcntl.h>
#include "io/base/options.h"
#include "tests/fuzz/checkpoint.h"

/* Runs a stage with up to 8 words, the last one NULL. Its standard output is dropped; no program is found, so that
 * nothing is drawn. */
static inline int fuzz_stage(const bg_stage *stage, const char *const *words)
{
    bg_err e = {0};
    bg_args *args = NULL;
    bg_provenance p = {.seed = 1};
    int n = 0, kept = dup(1), nowhere = open("/dev/null", O_WRONLY);
    if (kept < 0 || nowhere < 0 || setenv("PATH", "/nonexistent", 1))
        abort();
    dup2(nowhere, 1);
    close(nowhere);
    while (words[n])
        n++;
    int status = bg_args_parse(stage, n, (char *const *)words, &args, &e);
    if (!status)
        status = stage->run(args, &p, &e);
    fflush(stdout);
    dup2(kept, 1);
    close(kept);
    bg_args_free(args);
    bg_provenance_free(&p);
    if (status && !*e.text)
        abort(); /* refused without a word */
    return status;
}

/* Removes the files of a directory, figures/ among them, and the directory. */
static inline void fuzz_remove(const char *directory)
{
    char command[FUZZ_PATH + 16];
    snprintf(command, sizeof command, "/bin/rm -rf %s", directory);
    if (system(command))
        abort();
}

#endif
