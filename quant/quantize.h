/* Quantizing: the five registries' rows and the engine that runs a composition on a matrix.
 *
 * Shape letters: R rows (outputs), C columns (inputs), G weights in a scope, K points, d dimension of a vector.
 */
#ifndef BG_QUANT_QUANTIZE_H
#define BG_QUANT_QUANTIZE_H

#include "quant/kernel/hist.h"
#include "quant/spec.h"

/* ---- what is stored: bits of the whole tensor, by purpose. rate_bits = Σ / weights. ---- */
typedef struct bg_rate {
    double indices, scales, zeros, codebook, positions, order, padding, table;
} bg_rate;
double bg_rate_total(const bg_rate *r); /* bits */

/* ---- the result of one spec on one tensor ---- */
typedef struct bg_measure {
    double count;      /* weights (1 for a density) */
    double mse;        /* mean squared error per weight, original units */
    double max_error;  /* largest |w − ŵ|; NaN for a density */
    double max_relative; /* largest |w − ŵ| over the largest |w| of the tensor; NaN for a density */
    double clipped;    /* share of weights beyond the outermost level by more than half a step */
    double index_entropy; /* bits per weight of the stored indices, order 0; NaN when not counted */
    double rate_bits;  /* bits per weight, everything counted */
    bg_rate rate;
    double output_mse; /* tr((W−Ŵ)Σ(W−Ŵ)ᵀ)/R with calibration; NaN without */
    double seconds;
    const char *skipped; /* a literal reason when the spec cannot run on this tensor; then nothing else is set */
} bg_measure;

/* ---- a matrix to quantize: rows come on demand ---- */
typedef struct bg_matrix {
    int64_t rows, cols;
    int (*read)(void *self, int64_t first, int64_t n, float *out, bg_err *e); /* thread-safe */
    void *self;
    const bg_hist *hist;   /* exact, of all weights; NULL: the engine makes one when a spec needs it */
    const bg_law *law;     /* a density instead of rows; then rows = 0 */
    double law_sigma;
    const double *second_moment; /* Σ = E[xxᵀ], C × C row-major, both triangles; NULL without calibration */
    const double *mean_abs;      /* E|x_i|, C; NULL */
    uint64_t seed;
} bg_matrix;

/* Measures n specs on one matrix, in one pass over its rows for all of them together. out[n]. A spec that cannot run here
 * sets out[i].skipped and is no error. Same digits for any number of threads. */
int bg_measure_specs(const bg_matrix *m, const bg_spec *specs, int n, bg_measure *out, bg_err *e);

/* What a format writer needs of a quantized matrix; arrays are malloc'ed, bg_stored_free frees. */
typedef struct bg_stored {
    uint16_t *codes;   /* [R × C] index of each weight */
    float *scales;     /* [scopes], in row-major order of scopes (row, then group), as rounded for storage */
    float *zeros;      /* [scopes] zero points (integers) or minima; NULL for symmetric grids */
    float *levels;     /* [K] for table grids (× scale); NULL for affine ones: ŵ = scale·(code + lo − zero) */
    int K, lo, groups_per_row;
} bg_stored;
void bg_stored_free(bg_stored *s);

/* Runs one spec on a matrix that is wholly in memory (R × C float32) and writes what it reconstructs to out (R × C; may
 * be the same as w). stored (may be NULL) is filled for scalar grids. Also measures. */
int bg_reconstruct(const bg_matrix *m, const bg_spec *s, const float *w, float *out, bg_measure *measure,
                   bg_stored *stored, bg_err *e);

/* ---- registry rows ---- */

/* The points that the weights of one scope may take, after fitting. */
typedef struct bg_code {
    int K;              /* points */
    int affine;         /* ŵ = scale·(q − zero) for q in [lo, hi], or with `offset` ≠ 0: scale·(q − lo) + offset */
    float scale, zero, offset;
    int lo, hi;
    const float *levels; /* tables: ŵ = scale·levels[q] + offset, ascending */
    const float *cuts;   /* tables: [K−1] midpoints of levels */
} bg_code;

/* What a scalar grid is fitted to: one scope of weights. */
typedef struct bg_scope_stats {
    const float *x;      /* [n] the weights; NULL when only the histogram is known */
    const float *importance; /* [n] or NULL */
    size_t n;
    const bg_hist *hist; /* NULL unless the grid asks for it (BG_GRID_FITS_HIST) or the scope is the tensor */
    double min, max, mean, sigma;
} bg_scope_stats;

typedef enum bg_grid_kind { BG_GRID_SCALAR, BG_GRID_VECTOR, BG_GRID_SEQUENCE } bg_grid_kind;
enum { BG_GRID_FITS_HIST = 1 /* fit() wants the histogram of its scope, not only its range */ };

/* A codebook or trellis trained on one tensor; opaque to the engine. */
typedef struct bg_trained bg_trained;

struct bg_grid {
    const char *name, *title;
    const char *paper; /* author, year, equation or table */
    const bg_key *keys; /* its own, beside bg_common_keys; ends with a NULL name */
    const char *default_scope; /* "tensor" */
    bg_grid_kind kind;
    unsigned flags;
    /* All: is this combination of keys possible? NULL: always. */
    int (*check)(const bg_spec *s, bg_err *e);
    /* SCALAR: fits the code to a scope. `levels` has room for K floats and `cuts` for K−1 (K ≤ 65536). */
    int (*fit)(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e);
    /* VECTOR, SEQUENCE: trains on the matrix (a stated sample if the spec says so), then codes tiles of rows. */
    int (*train)(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e);
    /* Reconstructs n rows of C weights; out may alias w. Thread-safe. Adds what it stores to *rate. */
    int (*tile)(const bg_spec *s, const bg_trained *t, int64_t first, int64_t n, int64_t C, const float *w, float *out,
                bg_rate *rate, bg_err *e);
    /* Bits stored once per tensor (codebook, scales). */
    void (*side)(const bg_spec *s, const bg_trained *t, bg_rate *rate);
    void (*release)(bg_trained *t);
    /* All: measures on a density, exactly; NULL: the engine's histogram path, or "needs samples". */
    int (*on_law)(const bg_spec *s, const bg_matrix *m, bg_measure *out, bg_err *e);
};

struct bg_transform {
    const char *name, *title, *paper;
    const bg_key *keys;
    int needs_calibration;
    /* Quantizes through the transform: turns w (R × C, in memory), runs `inner` on it, turns back. */
    int (*run)(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_err *e);
};

struct bg_rounding {
    const char *name, *title, *paper;
    const bg_key *keys;
    int needs_calibration;
    /* NULL for nearest, which the engine does itself; otherwise chooses points for a whole matrix. */
    int (*run)(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure,
               bg_stored *stored, bg_err *e);
};

struct bg_coding {
    const char *name, *title, *paper;
    const bg_key *keys;
    /* Bits that n symbols below K really take, written and read back; NULL: fixed length. */
    int (*bits)(const uint16_t *symbols, size_t n, int K, double *bits, double *table_bits, bg_err *e);
};

/* The registries, ending with NULL. To add a row: its file, one line in registry.c. */
extern const bg_transform *const bg_transforms[];
extern const bg_grid *const bg_grids[];
extern const bg_rounding *const bg_roundings[];
extern const bg_coding *const bg_codings[];

#endif
