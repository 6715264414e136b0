/* Owns timing of prompt processing and generation, and the peak of resident memory. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/output/speed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts x. */
static bg_spread spread_of(double *x, int n)
{
    if (!n)
        return (bg_spread){0};
    qsort(x, (size_t)n, sizeof *x, compare);
    return (bg_spread){n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2, x[0], x[n - 1]};
}

static int generate(bg_decoder *d, const bg_model *m, bg_continuation *c, double *prompt_seconds, double *seconds,
                    bg_err *e)
{
    const float *logits;
    double start = bg_now();
    bg_decoder_rewind(d, 0);
    int status = bg_decoder_feed(d, c->prompt, c->n_prompt, &logits, e);
    double middle = bg_now();
    for (c->n = 0; !status && c->n < c->max;) {
        int32_t token = bg_argmax(logits, m->config.vocab);
        if (token == c->eos)
            break;
        c->id[c->n++] = token;
        if (c->n < c->max)
            status = bg_decoder_feed(d, &token, 1, &logits, e);
    }
    *prompt_seconds = middle - start;
    *seconds = bg_now() - middle;
    return status;
}

int bg_speed_measure(const bg_model *m, const bg_pass *p, bg_continuation *c, int n, int repeats, bg_speed *out,
                     bg_err *e)
{
    int longest = 0, runs = 0, generated = 0;
    *out = (bg_speed){0};
    for (int i = 0; i < n; i++) {
        longest = c[i].n_prompt + c[i].max > longest ? c[i].n_prompt + c[i].max : longest;
        out->prompt_tokens += c[i].n_prompt;
    }
    bg_decoder *d = NULL;
    size_t workspace = (size_t)n * (size_t)repeats + 1;
    double *times = malloc(3 * workspace * sizeof *times), *prompt_rate = times, *rate = times + workspace,
           *latency = rate + workspace;
    int status =
        times ? bg_decoder_open(m, p, longest, &d, e) : bg_no_memory(e, "times", 3 * workspace * sizeof *times);
    for (int k = 0; k < repeats * n && !status; k++) {
        bg_continuation *one = &c[k % n];
        double prompt_seconds = 0, seconds = 0;
        status =
            bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : generate(d, m, one, &prompt_seconds, &seconds, e);
        if (status)
            break;
        prompt_rate[runs++] = one->n_prompt / (prompt_seconds > 0 ? prompt_seconds : 1e-9);
        int steps = one->n - (one->n == one->max); /* the last token needs no step after it */
        if (steps > 0 && seconds > 0) {
            rate[generated] = steps / seconds;
            latency[generated++] = 1e3 * seconds / steps;
        }
    }
    if (!status) {
        out->prompt_rate = spread_of(prompt_rate, runs);
        out->rate = spread_of(rate, generated);
        out->latency = spread_of(latency, generated);
        out->runs = runs;
        out->cache_bytes = bg_decoder_cache_bytes(d);
    }
    bg_decoder_close(d);
    free(times);
    return status;
}

void bg_peak_reset(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w"); /* 5: the peak resident set (proc(5)) */
    if (f) {
        fputs("5", f);
        fclose(f);
    }
}

uint64_t bg_peak_bytes(void)
{
    char line[256];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6))
            kib = strtoull(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return (uint64_t)kib * 1024;
}
