/* Entropy coding of a matrix of integers whose columns have unequal steps, as error feedback with unequal steps leaves
 * them.
 *
 * A weight is an integer times the step of its column, and every integer has a law of its own: a generalised Gaussian
 * about what the weights before it in its row let expect. Mean and spread come from the covariance of the columns,
 * estimated from the rows that are decoded already; the decoder finds the same one, and nothing of it is stored.
 * Trained weights are far from independent: directions in which a layer's input has no power hardly have weights. Where
 * nothing is to be learned nothing is lost:
 *
 *     C = D·((1 − ρ)·R + ρ·I)·D,   R the correlations of the n rows so far in blocks of BG_COLUMNS_BLOCK columns, D
 * their spreads, ρ = (p² − p)/n / Σ_{i≠j} R_ij² within [0, 1]: the share of R that chance explains (Ledoit and Wolf
 * 2004); C = LLᵀ,  x = Lz:   mean_j = Σ_{i<j} L_ji·z_i,   spread_j = L_jj · rms of the row's z so far.
 *
 * That is what arithmetic coding makes of any law that both sides can compute (Rissanen and Langdon 1981), here with
 * the slots of rANS. The steps are stored, in quarters of an octave, and a header: the shape of the laws, the spread of
 * the first row, the range of the integers, middle and spread of the steps. Both sides must round alike, as one build
 * on one machine does: the stream is for measuring what such a code takes, not for shipping.
 */
#ifndef BG_QUANT_CODING_COLUMN_CODING_H
#define BG_QUANT_CODING_COLUMN_CODING_H

#include <stddef.h>
#include <stdint.h>
#include "io/base/error.h"

enum { BG_COLUMNS_PER_OCTAVE = 4, BG_COLUMNS_MOST_STEP = 120, BG_COLUMNS_BLOCK = 256 };

typedef struct bg_columns {
    int64_t rows, cols;
    const uint16_t *symbols; /* [rows × cols] */
    int zero;                /* the symbol of a weight of 0 */
    const int *step;         /* [cols] in quarters of an octave, |step| ≤ BG_COLUMNS_MOST_STEP */
} bg_columns;

/* Writes steps and symbols, reads them back and compares (BG_INPUT when they differ). *bits: stream, length and header;
 * *entropy: of the symbols by the laws they are coded with, bits each. The same for any number of threads. */
int bg_columns_code(const bg_columns *c, double *bits, double *entropy, bg_err *e);

#endif
