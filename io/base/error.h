/* Errors: one status space for the whole program, one struct that carries the sentence the user will read.
 *
 * A library function returns BG_OK or one of the codes below and, on failure, has filled `bg_err`. Callers add context
 * outward with bg_context, so that the final line reads from the outside in:
 *     model.safetensors: tensor 'lm_head.weight': needs 512 bytes past the end of the file; download it again
 * Only bitgap.c prints an error and exits; the codes are its exit statuses.
 */
#ifndef BG_IO_BASE_ERROR_H
#define BG_IO_BASE_ERROR_H

#include <stdarg.h>

enum {
    BG_OK = 0,       /* done */
    BG_MISSED = 1,   /* a threshold the user set was missed (--fail-above) */
    BG_USAGE = 2,    /* the command line is wrong */
    BG_INPUT = 3,    /* a file or document is damaged, foreign or missing */
    BG_RESOURCE = 4, /* memory, disk or a child program gave out */
};

typedef struct bg_err {
    int code;
    char text[2048];
} bg_err;

/* Fills e (unless it is NULL) and returns code, so that `return bg_fail(e, BG_INPUT, …)` reads as one thought. */
int bg_fail(bg_err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the text already in e; returns e's code. */
int bg_context(bg_err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* bg_fail for an exhausted allocation of `bytes` for `what`. */
int bg_no_memory(bg_err *e, const char *what, unsigned long long bytes);

/* Warnings and progress go to standard error through these; quiet (-q) silences both, and progress is drawn only on a
 * terminal, at most six times a second. Safe to call from any thread. */
void bg_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void bg_set_quiet(int quiet);

typedef struct bg_progress {
    const char *what;
    unsigned long long total, done;
    double started, drawn;
} bg_progress;

/* begin → step… → end. `what` must outlive the bar. bg_progress_step may be called from several threads. */
void bg_progress_begin(bg_progress *p, const char *what, unsigned long long total);
void bg_progress_step(bg_progress *p, unsigned long long by);
void bg_progress_end(bg_progress *p);

/* Seconds of a monotonic clock: for timings.json and progress only, never for a result. */
double bg_now(void);

/* Set by SIGINT and SIGTERM: long loops look at it and return BG_RESOURCE with "interrupted". */
extern volatile int bg_interrupted;

#endif
