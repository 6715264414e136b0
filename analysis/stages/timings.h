/* timings.json beside a document: how long its parts took. Never part of a result. */
#ifndef BG_ANALYSIS_STAGES_TIMINGS_H
#define BG_ANALYSIS_STAGES_TIMINGS_H

#include "io/documents/document.h"

typedef struct bg_timing {
    const char *what;        /* a spec, "all" */
    double seconds, weights; /* weights 0: not told */
} bg_timing;

/* Writes the rows of `stage` into timings.json in the directory of `document`, keeping those of other documents. A
 * document on standard output ("-") has none. */
int bg_timings_write(const char *stage, const char *document, const bg_timing *rows, int n, const bg_provenance *p,
                     bg_err *e);

#endif
