/* What a change of the weights does to a model's predictions, measured token by token. The names are those of
 * llama.cpp's perplexity tool: PPL, ln(PPL(Q)/PPL(base)), KLD, Δp, same top p; natural logarithms; the standard error
 * of a mean is taken between sequences (quant/probability/estimate.h); llama.cpp's treats tokens as independent, which
 * is what is left with one sequence: the sample standard deviation (n − 1) over √n.
 *
 *     bg_prediction b;
 *     bg_prediction_read(base_logits, V, p, &b);                       // p [V]: softmax of the base, kept for every
 * variant bg_token t = bg_prediction_compare(base_logits, p, &b, other_logits, V, next); … bg_information_of(tokens, n,
 * &info);                      // sorts a copy for the quantiles
 */
#ifndef BG_ANALYSIS_OUTPUT_DIVERGENCE_H
#define BG_ANALYSIS_OUTPUT_DIVERGENCE_H

#include <stdint.h>
#include "io/base/error.h"

typedef struct bg_prediction {
    double log_sum_exp;
    int top; /* first of the largest */
} bg_prediction;

/* p (may be NULL) receives the softmax, exact to 1e-15 relative. */
void bg_prediction_read(const float *logits, int64_t n, double *p, bg_prediction *out);
/* −ln softmax(logits)[next] */
double bg_prediction_nll(const float *logits, const bg_prediction *r, int32_t next);

typedef struct bg_token {
    double squared;       /* mean over the vocabulary of (logit − base logit)² */
    double kl;            /* KL(base ‖ other), nats */
    double nll_base, nll; /* of the next token; NaN at the end of a sequence */
    double delta_p;       /* probability of the next token, other − base */
    int same_top;
} bg_token;

/* next < 0: there is no next token. */
bg_token bg_prediction_compare(const float *base, const double *p, const bg_prediction *b, const float *other,
                               int64_t n, int32_t next);

typedef struct bg_sample_mean {
    double mean, se; /* NaN where there are too few values */
} bg_sample_mean;
/* The sequences (windows, sentences) that tokens stand in, one after the other. Tokens of a sequence depend on each
 * other, so that standard errors are taken between sequences. */
typedef struct bg_sequences {
    const int *lengths; /* [n] tokens in each */
    int n;
} bg_sequences;

/* Of n values, ignoring NaN. With fewer than two sequences, or NULL, every value counts as independent. */
bg_sample_mean bg_sample_mean_of(const double *x, int64_t n, const bg_sequences *sequences);

typedef struct bg_information {
    int64_t positions, scored; /* rows compared; rows with a next token */
    bg_sample_mean squared;    /* logits MSE */
    bg_sample_mean kl;
    double kl_median, kl_90, kl_99, kl_999, kl_max;
    bg_sample_mean same_top;      /* share */
    bg_sample_mean nll_base, nll; /* mean log-loss: perplexity is its exp, and its se · perplexity the perplexity's */
    bg_sample_mean log_ratio;     /* ln(PPL/PPL base): mean of the paired differences */
    bg_sample_mean delta_p;       /* share, not percent */
    double delta_p_rms;
} bg_information;

/* BG_RESOURCE when memory for a sorted copy is out. */
int bg_information_of(const bg_token *tokens, int64_t n, const bg_sequences *sequences, bg_information *out, bg_err *e);

/* Quantile p of sorted values by linear interpolation at p·(n−1). */
double bg_quantile(const double *sorted, int64_t n, double p);

#endif
