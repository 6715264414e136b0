/* Speed: how fast a model reads a prompt and writes text, measured one prompt at a time. Times are measurements: they
 * differ from run to run; what is generated does not. */
#ifndef BG_ANALYSIS_OUTPUT_SPEED_H
#define BG_ANALYSIS_OUTPUT_SPEED_H

#include "analysis/model/model.h"

/* Over the prompts and repeats: median, least and most. */
typedef struct bg_spread {
    double median, min, max;
} bg_spread;

typedef struct bg_speed {
    bg_spread prompt_rate, rate; /* tokens/s of the prompt, of the generated text */
    bg_spread latency;           /* ms per generated token */
    uint64_t cache_bytes;        /* keys and values of the longest sequence */
    int64_t prompt_tokens;       /* all prompts, once */
    int runs;
} bg_speed;

/* One prompt and what the model goes on with, greedily, to `most` tokens or its end token. */
typedef struct bg_continuation {
    const int32_t *prompt;
    int n_prompt;
    int32_t *id; /* [most], the caller's */
    int n, max;
    int32_t eos; /* −1: none */
} bg_continuation;

/* Fills id and n of each continuation, and the speed over `repeats` runs of them all; the model must be loaded. */
int bg_speed_measure(const bg_model *m, const bg_pass *p, bg_continuation *c, int n, int repeats, bg_speed *out,
                     bg_err *e);

/* Forgets the process's peak so far, where the system can; then bg_peak_bytes is the peak since. */
void bg_peak_reset(void);
/* Peak resident bytes of this process; 0 where the system does not say. */
uint64_t bg_peak_bytes(void);

#endif
