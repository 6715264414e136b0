/* Owns the error text, warnings and the progress bar. */
#define _POSIX_C_SOURCE 200809L
#include "io/base/error.h"

#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

volatile int bg_interrupted;

static int quiet_;

/* GSL's own handler ends the process; ours lets its functions return a status, which their callers look at. */
__attribute__((constructor)) static void keep_gsl_from_aborting(void)
{
    gsl_set_error_handler_off();
}

int bg_fail(bg_err *e, int code, const char *format, ...)
{
    if (e) {
        va_list args;
        va_start(args, format);
        e->code = code;
        vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
    }
    return code;
}

int bg_context(bg_err *e, const char *format, ...)
{
    if (!e)
        return BG_INPUT;
    char inner[sizeof e->text];
    memcpy(inner, e->text, sizeof inner);
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof e->text)
        snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", inner);
    return e->code;
}

int bg_no_memory(bg_err *e, const char *what, unsigned long long bytes)
{
    return bg_fail(e, BG_RESOURCE, "out of memory: %llu bytes for %s", bytes, what);
}

void bg_set_quiet(int quiet)
{
    quiet_ = quiet;
}

void bg_warn(const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (!quiet_)
        fprintf(stderr, "bitgap: warning: %s\n", line);
}

double bg_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void bg_progress_begin(bg_progress *p, const char *what, unsigned long long total)
{
    *p = (bg_progress){.what = what, .total = total ? total : 1, .started = bg_now()};
}

static void draw(bg_progress *p, unsigned long long done)
{
    enum { WIDTH = 32 };
    char bar[WIDTH + 1];
    unsigned filled = (unsigned)(WIDTH * (double)done / (double)p->total);
    if (filled > WIDTH)
        filled = WIDTH;
    memset(bar, '=', filled);
    memset(bar + filled, ' ', WIDTH - filled);
    bar[WIDTH] = 0;
    fprintf(stderr, "\r%-24.24s [%s] %3.0f%% %6.1f s", p->what, bar, 100.0 * (double)done / (double)p->total,
            bg_now() - p->started);
}

void bg_progress_step(bg_progress *p, unsigned long long by)
{
    unsigned long long done = __atomic_add_fetch(&p->done, by, __ATOMIC_RELAXED);
    if (quiet_ || !isatty(STDERR_FILENO))
        return;
#pragma omp critical(bg_progress_draw)
    {
        double now = bg_now();
        if (now - p->drawn > 1.0 / 6) {
            p->drawn = now;
            draw(p, done);
        }
    }
}

void bg_progress_end(bg_progress *p)
{
    if (!quiet_ && p->drawn > 0)
        fprintf(stderr, "\r%78s\r", "");
}
