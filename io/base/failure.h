/* The first failure of a parallel loop: of all iterations that fail, the one with the smallest number is kept, so that
 * the message does not depend on the number of threads or on which of them was faster. */
#ifndef BG_IO_BASE_FAILURE_H
#define BG_IO_BASE_FAILURE_H

#include <stdint.h>
#include "io/base/error.h"

typedef struct bg_failure {
    int64_t at; /* the iteration */
    int status; /* BG_OK: none has failed */
    bg_err error;
} bg_failure;

/* Notes that iteration `at` failed with *error. Thread-safe. */
static inline void bg_failure_note(bg_failure *f, int64_t at, const bg_err *error)
{
#pragma omp critical(bg_failure)
    if (!f->status || at < f->at) {
        f->at = at;
        f->status = error->code;
        f->error = *error;
    }
}

/* Has an iteration before `at` failed, so that this one need not run? An iteration after the first failure may be left
 * out; one before it may not, because it could fail as well. Thread-safe. */
static inline int bg_failure_before(const bg_failure *f, int64_t at)
{
    int before;
#pragma omp critical(bg_failure)
    before = f->status && f->at < at;
    return before;
}

/* After the loop: its status, with the error in *e (which may be NULL). */
static inline int bg_failure_status(const bg_failure *f, bg_err *e)
{
    if (f->status && e)
        *e = f->error;
    return f->status;
}

#endif
