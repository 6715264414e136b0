/* Vector quantizers made of codebooks: each vector of `dim` weights along a row is cut into parts, each part coded by
 * stages, each stage quantizing what the ones before left. One part and one stage is plain VQ; parts make a product
 * quantizer, stages a residual quantizer. vq.c, pq.c and rvq.c are rows over this.
 *
 * A row's last vector may be short: it is coded by the nearest word in the dimensions it has, and the bits it wastes
 * are counted as padding.
 */
#ifndef BG_QUANT_GRID_MULTI_CODEBOOK_H
#define BG_QUANT_GRID_MULTI_CODEBOOK_H

#include "quant/grid/codebook.h"

/* Keys that every such row has, to stand in its own list. */
/* Parameters of vq, pq and rvq; dim is a member of bg_spec. */
typedef struct bg_books_params {
    int parts, stages; /* 0: one */
    int words;         /* 0: bits says it */
    double train;      /* 0: by the codebook's size */
    int restarts;
} bg_books_params;

#define BG_BOOKS_KEYS                                                                                                  \
    {"train",                                                                                                          \
     BG_KEY_INTEGER,                                                                                                   \
     1024,                                                                                                             \
     1e12,                                                                                                             \
     NULL,                                                                                                             \
     NULL,                                                                                                             \
     "weights to train on: all of them up to this many, then one vector of each equal stretch; unless given, 1024 "    \
     "vectors a word and at least 1048576 weights",                                                                    \
     BG_PARAM(bg_books_params, train)},                                                                                \
    {                                                                                                                  \
        "restarts", BG_KEY_INTEGER, 1, 64, NULL, "1", "trainings from other seeds; the best is kept",                  \
            BG_PARAM(bg_books_params, restarts)                                                                        \
    }

/* The functions of a row; its keys `parts` and `stages` say which quantizer it is, and count as 1 where it has none. */
int bg_books_check(const bg_spec *s, bg_err *e);
double bg_books_bits(const bg_spec *s);
int bg_books_train(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e);
int bg_books_tile(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e);
void bg_books_side(const bg_spec *s, const bg_trained *t, bg_rate *rate);
void bg_books_release(bg_trained *t);

#endif
