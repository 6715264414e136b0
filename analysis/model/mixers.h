/* Blocks that carry a state from token to token instead of attending: what they share. Internal to the model. */
#ifndef BG_ANALYSIS_MODEL_MIXERS_H
#define BG_ANALYSIS_MODEL_MIXERS_H

#include "analysis/model/work.h"

/* A causal convolution over time, each channel by itself: out_t = Σ_j w_j·x_(t−taps+1+j) + bias. */
typedef struct bg_conv {
    int64_t channels;
    int taps;
    const float *w, *bias; /* [channels × taps], [channels] or NULL */
    int activates;         /* SiLU behind it */
} bg_conv;
/* x: n rows, ld apart; history [(taps − 1) × channels]: the inputs before them, afterwards the last of them. out [n ×
 * channels]. */
void bg_conv_rows(const bg_conv *c, const float *x, int64_t ld, int64_t n, float *history, float *out);

/* One sequence: rows first … first+n−1 of the block; history and state as they were before its first token. */
typedef void bg_sequence(const bg_flow *f, void *self, const bg_conv *conv, int64_t first, int64_t n, float *history,
                         float *state);
int bg_each_sequence(const bg_flow *f, bg_sequence *run, void *self, bg_err *e);

#endif
