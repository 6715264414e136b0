/* A directory of its own for a test that writes files; `mkdtemp(scratch_directory)` makes it. */
#ifndef BG_TESTS_SCRATCH_H
#define BG_TESTS_SCRATCH_H

#include <stdio.h>

static char scratch_directory[] = "/tmp/bitgap-test-XXXXXX";

/* The path of a file in it: good until the call after the next. */
static inline const char *scratch(const char *name)
{
    static char path[2][256];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", scratch_directory, name);
    return path[turn];
}

#endif
