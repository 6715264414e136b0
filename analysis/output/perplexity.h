/* Perplexity of a text: exp of the mean negative log-likelihood per token, by three conventions that differ in which
 * tokens are scored and how much context each has.
 *
 *     windows    tokens cut into windows of N that do not overlap; in each, all tokens but the first are scored (GPTQ,
 *                Frantar et al. 2022, and most papers)
 *     llama.cpp  windows of N that do not overlap, the begin token in place of the first; the second half is scored
 *     strided    windows of N that advance by S; in each, the tokens no earlier window scored (transformers' guide)
 */
#ifndef BG_ANALYSIS_OUTPUT_PERPLEXITY_H
#define BG_ANALYSIS_OUTPUT_PERPLEXITY_H

#include "analysis/model/model.h"

typedef enum bg_convention { BG_WINDOWS, BG_LLAMA_CPP, BG_STRIDED, BG_CONVENTIONS } bg_convention;
extern const char *const bg_convention_names[BG_CONVENTIONS];

typedef struct bg_loss_options {
    bg_convention convention;
    int context;     /* N, tokens; at least 2 */
    int stride;      /* S, 1 … N; of the strided convention */
    int64_t windows; /* at most so many; 0: all that fit */
    int32_t bos;     /* begin token of the llama.cpp convention; −1: none is put in */
} bg_loss_options;

typedef struct bg_loss {
    double *nll; /* [tokens] nats of every scored token, in order; bg_loss_free */
    int *scored; /* [windows] how many of them stand in each */
    int64_t tokens, windows, windows_run;
    double mean;                      /* nats per token */
    double mean_se;                   /* standard error of the mean, between windows; sd/√tokens for one window */
    double perplexity, perplexity_se; /* exp(mean) and, to first order, exp(mean)·mean_se */
} bg_loss;

/* Scores ids[0..n). A text shorter than one window is one short window. BG_INPUT: fewer than two tokens, a context
 * longer than the model's, an id outside its vocabulary. */
int bg_loss_measure(bg_model *m, const bg_pass *p, const int32_t *ids, int64_t n, const bg_loss_options *o,
                    bg_loss *out, bg_err *e);
void bg_loss_free(bg_loss *l);

/* Mean and standard error of the paired differences of two losses on the same tokens: ln of the ratio of perplexities.
 */
int bg_loss_compare(const bg_loss *base, const bg_loss *other, double *difference, double *se);

/* −ln softmax(logits)[token], the sum in double. scratch: n floats. */
double bg_nll(const float *logits, int n, int32_t token, float *scratch);

#endif
