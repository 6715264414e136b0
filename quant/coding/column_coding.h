/* Entropy coding of a matrix of integers whose columns have unequal steps, which is what error feedback with unequal
 * steps (WaterSIC) produces.
 *
 * A weight is an integer times the step of its column. Every integer x has a distribution of its own: a generalised
 * Gaussian whose mean and spread are predicted from the integers that precede it. Trained weights are far from
 * independent (directions in which the input of a layer has no power hardly have weights), so the predictions save bits
 * that an order-0 code pays. The predictions come from the covariance of the columns, estimated from the rows that are
 * decoded already; the decoder computes the same estimate, so nothing of it is stored:
 *
 *     C = D·((1 − ρ)·R + ρ·I)·D        covariance of the columns of one block of BG_COLUMNS_BLOCK columns
 *     R                                correlations over the n rows so far
 *     D                                spreads (root mean squares) of the columns
 *     ρ = (p² − p)/n / Σ_{i≠j} R_ij²   share of R that chance explains, within [0, 1], for p columns (the shrinkage of
 *                                      Ledoit and Wolf 2004)
 *     C = LLᵀ, x = Lz                  so, with z_i the normalised errors of the predictions of this row so far,
 *     mean_j = Σ_{i<j} L_ji·z_i        and spread_j = L_jj · rms of z in this row so far
 *
 * The root mean squares start from common ones: that of a column from the spread of the whole matrix, that of a row
 * from 1, each counted as so many samples as its variation between columns (rows) makes it worth. With nothing to learn
 * ρ is 1 and the code falls back to independent columns.
 *
 * An arithmetic coder can use any distribution that both sides can compute (Rissanen and Langdon 1981); here the slots
 * of rANS (quant/kernel/rans.h) are cut from the distribution function at half-integers, 2^24 slots in all.
 *
 * Stored are the stream with the steps (integers in quarters of an octave) and the symbols, and a header: the shape of
 * the distributions, the spread of the first row, the range of the integers, mean and spread of the steps. Both sides
 * must round alike, as one build on one machine does: the stream measures what such a code takes and is not a format to
 * exchange.
 */
#ifndef BG_QUANT_CODING_COLUMN_CODING_H
#define BG_QUANT_CODING_COLUMN_CODING_H

#include <stddef.h>
#include <stdint.h>
#include "io/base/error.h"

enum { BG_COLUMNS_PER_OCTAVE = 4, BG_COLUMNS_MAX_STEP = 120, BG_COLUMNS_BLOCK = 256 };

typedef struct bg_columns {
    int64_t rows, cols;
    const uint16_t *symbols; /* [rows × cols] */
    int zero;                /* the symbol of a weight of 0 */
    const int *step;         /* [cols] in quarters of an octave, |step| ≤ BG_COLUMNS_MAX_STEP */
} bg_columns;

/* Encodes steps and symbols, decodes them again and compares: BG_INPUT when they differ, BG_RESOURCE when memory is
 * out. *bits: length of the stream, its 32-bit length field and the header; *entropy: ideal code length of the symbols
 * under the distributions they are coded with, bits per symbol. The same for any number of threads. */
int bg_columns_code(const bg_columns *c, double *bits, double *entropy, bg_err *e);

#endif
