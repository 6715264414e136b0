/* Drift: how far one generated text is from another. Ids of tokens or of words, one and the same alphabet for both. */
#ifndef BG_ANALYSIS_OUTPUT_TEXT_DRIFT_H
#define BG_ANALYSIS_OUTPUT_TEXT_DRIFT_H

#include <stddef.h>
#include <stdint.h>
#include "io/base/error.h"

enum { BG_BLEU_ORDERS = 4 };

/* Position of the first difference; where one begins with the whole other, the length of the shorter. */
size_t bg_first_difference(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b);

/* Insertions, deletions and substitutions that turn a into b, the fewest (Levenshtein 1966). Time n_a·n_b, memory n_b.
 */
int bg_edit_distance(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b, size_t *out, bg_err *e);

/* Length of the longest common subsequence. */
int bg_common_subsequence(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b, size_t *out, bg_err *e);
/* ROUGE-L (Lin 2004) with β = 1: the harmonic mean of LCS/n_a and LCS/n_b; 1 for two empty texts. */
int bg_rouge_l(const int32_t *reference, size_t n_reference, const int32_t *other, size_t n_other, double *out,
               bg_err *e);

/* Corpus BLEU (Papineni et al. 2002): add pairs, then ask. Zeroed at first. Orders that no text is long enough for are
 * left out of the geometric mean; without smoothing, an order without a match makes it 0. */
typedef struct bg_bleu {
    uint64_t matches[BG_BLEU_ORDERS], total[BG_BLEU_ORDERS], reference_length, length;
} bg_bleu;
void bg_bleu_add(bg_bleu *b, const int32_t *reference, size_t n_reference, const int32_t *other, size_t n_other);
double bg_bleu_score(const bg_bleu *b);

/* Words of two texts, separated by white space (ASCII), as ids of one alphabet. *a and *b are malloc'ed. */
int bg_words(const char *text_a, const char *text_b, int32_t **a, size_t *n_a, int32_t **b, size_t *n_b, bg_err *e);

#endif
