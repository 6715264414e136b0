/* Entropy coding of a matrix of integers whose columns spread unequally, as error feedback with unequal steps leaves them.
 *
 * A table of frequencies for each column would cost more than it saves, one for all would code a mixture. Here a weight has
 * one of a ladder of generalised Gaussians, four to the octave of its spread, and the decoder computes the table: in place of
 * frequencies a column costs two small integers, its step (quarters of an octave too) and how far its spread is from what the step
 * alone predicts, and a row one, how much wider or narrower it is than others. They are coded with such tables, too. One shape β
 * for the matrix; each is chosen by the length it leads to.
 */
#ifndef BG_QUANT_COLUMNS_H
#define BG_QUANT_COLUMNS_H

#include <stddef.h>
#include <stdint.h>
#include "io/err.h"

enum { BG_COLUMNS_PER_OCTAVE = 4, BG_COLUMNS_MOST_STEP = 120 };

typedef struct bg_columns {
    int64_t rows, cols;
    const uint16_t *symbols; /* [rows × cols] */
    int zero;                /* the symbol of a weight of 0 */
    const int *step;         /* [cols] in quarters of an octave, |step| ≤ BG_COLUMNS_MOST_STEP */
} bg_columns;

/* Writes steps and symbols, reads them back and compares (BG_INPUT when they differ). *bits: stream, length and header; *entropy: of
 * the symbols, order 0 given their place on the ladder, bits each. */
int bg_columns_code(const bg_columns *c, double *bits, double *entropy, bg_err *e);

#endif
