/* What the rows before tell of a row: the model of the trellis stream (trellis_stream.h), in integers.
 *
 * Fixed-point numbers are written Qn: the integer times 2^−n. The rows of a group are walked side by side through the
 * columns; after a column, each row tells the model its integer k, which moves the means of the columns that follow in
 * the block. */
#ifndef BG_IO_CHECKPOINTS_FORMATS_STREAM_MODEL_H
#define BG_IO_CHECKPOINTS_FORMATS_STREAM_MODEL_H

#include "io/checkpoints/formats/trellis_stream.h"

typedef struct bg_stream_model {
    int64_t rows, cols, seen; /* rows in all; columns that are not left out; rows learned from */
    int64_t *prior;           /* [cols] Q16 mean k² that the step predicts */
    int64_t *sums;            /* [cols × BLOCK] Σ k_c·k_j over the rows seen, j ≤ c in c's block */
    int32_t *factor;          /* [BLOCK × BLOCK] Q30, of one block after the other */
    int16_t *ahead;           /* [cols × BLOCK] Q15: L_jc at [c][j], j > c in the block */
    int32_t *spread;          /* [cols] Q8 rms */
    int32_t *log_spread;      /* [cols] 16ths of log2(spread·L_cc) */
    int64_t *inverse;         /* [cols] Q16 1/(spread·L_cc) */
    int64_t *power;           /* [rows] Q16 mean z² of the rows seen */
    int64_t varied;           /* Q16: how much more they vary than chance makes them, summed over rows */
    int64_t columns_before;   /* columns of mean power 1 that each row has behind it in effect */
} bg_stream_model;

/* log2_rms: quarters of log2 of the rms of k·2^(step/4); step[cols]. */
int bg_stream_model_init(bg_stream_model *m, int64_t rows, int64_t cols, int log2_rms, const int16_t *step, bg_err *e);
void bg_stream_model_free(bg_stream_model *m);
/* Rows of the next group that share what is known now. */
int64_t bg_stream_model_segment(const bg_stream_model *m);
/* Makes the model of all rows seen. */
void bg_stream_model_learn(bg_stream_model *m);
/* Adds rows that have been walked: k[rows × cols] of kept columns. */
void bg_stream_model_add(bg_stream_model *m, const int16_t *k, int64_t rows);

/* Up to LANES rows on their way through the columns. */
typedef struct bg_stream_walk {
    uint32_t ahead[BG_STREAM_BLOCK * BG_STREAM_LANES]; /* Q23 Σ L·z, modulo 2^32 */
    int64_t squares[BG_STREAM_LANES];                  /* Q16 Σ z², with what is before */
    int32_t log_row[BG_STREAM_LANES];                  /* 16ths of log2 of the row's rms so far */
    int32_t mean[BG_STREAM_LANES];                     /* 64ths, of the present column */
    int32_t spread[BG_STREAM_LANES];                   /* 16ths of log2 s */
} bg_stream_walk;
void bg_stream_walk_start(const bg_stream_model *m, bg_stream_walk *w);
/* Sets mean and spread for a column. */
void bg_stream_walk_expect(const bg_stream_model *m, bg_stream_walk *w, int64_t column);
/* The integers of the column are known: k[LANES]. */
void bg_stream_walk_tell(const bg_stream_model *m, bg_stream_walk *w, int64_t column, const int32_t *k);
/* The rows have been walked: first is the first of them. */
void bg_stream_walk_end(bg_stream_model *m, const bg_stream_walk *w, int64_t first, int64_t rows);

/* 2^(q/16) in Q`bits`, and 16·log2(x) rounded down, x > 0. */
int64_t bg_exp2_16ths(int q, int bits);
int bg_log2_16ths(uint64_t x);

#endif
