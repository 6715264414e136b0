/* Hidden states of a text too long for memory: rows of float32 that stay in memory up to a bound, and otherwise stand
 * in an unlinked temporary file, read and written a block at a time.
 *
 *     bg_states s;
 *     bg_states_open(&s, rows, cols, most_bytes, "out/calibration.bin", &e);
 *     bg_states_put(&s, first, n, h, &e);   // h [n × cols]
 *     bg_states_get(&s, first, n, h, &e);
 *     bg_states_close(&s);
 *
 * What is read is what was written, bit for bit, either way.
 */
#ifndef BG_ANALYSIS_OUTPUT_HIDDEN_STATES_H
#define BG_ANALYSIS_OUTPUT_HIDDEN_STATES_H

#include <stdint.h>
#include "io/base/error.h"

typedef struct bg_states {
    int64_t rows, cols;
    float *memory; /* NULL: they are in the file */
    int fd;
    char *path; /* what the file was called, for messages */
} bg_states;

/* Up to most_bytes stay in memory. The file is made in $TMPDIR, without that in the directory of `beside`, where output
 * of this size is expected; its name is gone at once, so that nothing is left behind however the program ends.
 * BG_RESOURCE. */
int bg_states_open(bg_states *s, int64_t rows, int64_t cols, uint64_t most_bytes, const char *beside, bg_err *e);
/* Rows [first, first+n). BG_RESOURCE names the file and says what to do about a full disk. */
int bg_states_put(bg_states *s, int64_t first, int64_t n, const float *h, bg_err *e);
int bg_states_get(const bg_states *s, int64_t first, int64_t n, float *h, bg_err *e);
/* Safe on a zeroed struct. */
void bg_states_close(bg_states *s);

#endif
