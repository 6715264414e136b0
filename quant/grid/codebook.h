/* Codebooks: K words of dimension d trained on the vectors of a tensor, and the search in them.
 *
 *     bg_codebook_options o = {.K = 256, .d = 4, .restarts = 1, .seed = 1};
 *     if (bg_codebook_train(&c, x, n, 4, &o, &e)) …
 *     bg_codebook_assign(&c, x, n, 4, 0, index);
 *
 * Words are numbers a file can hold: float16 × 2^exponent, one exponent for the codebook, rounded before they are used.
 */
#ifndef BG_QUANT_GRID_CODEBOOK_H
#define BG_QUANT_GRID_CODEBOOK_H

#include "quant/kernel/vq.h"
#include "quant/scope/scope.h"

typedef struct bg_codebook {
    int K, d;
    int tail;           /* dimensions of a short last vector of a row that can be coded too; 0: none */
    float *words;       /* [K × d], as stored */
    float *packed;      /* for the search */
    float *packed_tail; /* by the first `tail` dimensions; NULL */
    bg_plane *plane;    /* d = 2 and many words; NULL */
    double mse;         /* per component, of the training vectors, before words were rounded */
    int iterations;
} bg_codebook;

typedef struct bg_codebook_options {
    int K, d, tail, restarts;
    uint64_t seed;
} bg_codebook_options;

/* k-means++ seeding (in growing batches, on a part of the vectors when they are many), then Lloyd's iterations until
 * the distortion changes by less than 10⁻⁵ of itself; empty cells take half of the worst one. First on a 16th of the
 * vectors where that is enough of them, then on all. The best of `restarts`. x[i·stride …+d), n ≥ 1 vectors; words
 * beyond n repeat. Not finite: BG_INPUT. */
int bg_codebook_train(bg_codebook *c, const float *x, size_t n, size_t stride, const bg_codebook_options *o, bg_err *e);
void bg_codebook_free(bg_codebook *c);

/* Nearest word of each of n vectors; `dims` is d or tail. Thread-safe. */
void bg_codebook_assign(const bg_codebook *c, const float *x, size_t n, size_t stride, int dims, uint16_t *index);

/* Bits the codebook takes: 16 a number and 8 for the exponent. */
double bg_codebook_bits(const bg_codebook *c);

/* n numbers as a file holds them: float16 × 2^exponent, the exponent (8 bits) such that the largest uses float16's
 * range. */
void bg_words_round(float *words, size_t n);

/* The whole vectors of d columns of a matrix, rows after each other, at most `limit` weights of them: then one of each
 * of limit/d equal stretches, drawn from the matrix's seed. x is malloc'ed; n may be 0 where rows are shorter than d.
 */
int bg_vectors_read(const bg_matrix *m, int d, int64_t limit, float **x, size_t *n, bg_err *e);

/* Bits of an index into K words at fixed length. */
int bg_index_bits(int64_t K);

#endif
