/* Quantizing: the five registries' rows and the engine that runs a composition on a matrix.
 *
 * Shape letters: R rows (outputs), C columns (inputs), G weights in a scope, K points, d dimension of a vector.
 */
#ifndef BG_QUANT_ENGINE_QUANTIZE_H
#define BG_QUANT_ENGINE_QUANTIZE_H

#include "io/base/dtype.h"
#include "quant/kernel/histogram.h"
#include "quant/spec/spec.h"
#include "quant/probability/distribution.h"

/* ---- what is stored: bits of the whole tensor, by purpose. rate_bits = Σ / weights. ---- */
typedef struct bg_rate {
    double indices, scales, zeros, codebook, positions, order, padding, table;
} bg_rate;
double bg_rate_total(const bg_rate *r); /* bits */

enum { BG_SHOWN = 16 }; /* points of a grid that a measure can show */

/* ---- the result of one spec on one tensor ---- */
typedef struct bg_measure {
    double count;         /* weights (1 for a density) */
    double mse;           /* mean squared error per weight, original units */
    double sigma2;        /* variance of the weights about their mean (of a sweep; bg_reconstruct leaves it 0) */
    double max_error;     /* largest |w − ŵ|; NaN for a density */
    double max_relative;  /* largest |w − ŵ| over the largest |w| of the tensor; NaN for a density */
    double clipped;       /* share of weights beyond the outermost level by more than half a step */
    double index_entropy; /* bits per weight of the stored indices, order 0 (steps=water: by their laws); NaN when not
                             counted */
    double rate_bits;     /* bits per weight, everything counted */
    bg_rate rate;
    double output_mse;      /* tr((W−Ŵ)Σ(W−Ŵ)ᵀ)/R with calibration; NaN without */
    double babai_bound;     /* what error feedback can at most lose of it while nothing clips; 0: not known */
    double mean;            /* of the weights, with sigma2 */
    int points;             /* scalar grids of at most BG_SHOWN points, on a sweep: how many levels[] holds; else 0 */
    float levels[BG_SHOWN]; /* the points, ascending, original units; of scopes, the mean over all of them */
    double seconds;
    const char *skipped; /* a literal reason when the spec cannot run on this tensor; then nothing else is set */
} bg_measure;

/* ---- a matrix to quantize: rows come on demand ---- */
typedef struct bg_matrix {
    int64_t rows, cols;
    int (*read)(void *self, int64_t first, int64_t n, float *out, bg_err *e); /* thread-safe; call bg_matrix_read */
    /* The same rows as their 16-bit codes of type code_dtype (BG_BF16 or BG_F16); NULL: stored otherwise. With them the
     * engine decodes by itself and counts an exact histogram on the way. */
    int (*codes16)(void *self, int64_t first, int64_t n, uint16_t *out, bg_err *e);
    bg_dtype code_dtype;
    void *self;
    const float
        *memory; /* all of it, R × C, borrowed; then read and codes16 are not asked. NULL: rows come on demand */
    const bg_hist *hist;                 /* exact, of all weights; NULL: the engine makes one when a spec needs it */
    const bg_distribution *distribution; /* a density instead of rows; then rows = 0 */
    double distribution_sigma;
    const double *second_moment; /* Σ = E[xxᵀ], C × C row-major, both triangles; NULL without calibration */
    const double *mean_abs;      /* E|x_i|, C; NULL */
    const double *max_abs;       /* max|x_i| over the calibration, C; NULL */
    float *input_scale; /* [C] receives what a transform divides the layer's input by (smooth, awq); others leave it;
                           NULL */
    uint64_t seed;
    struct bg_shared *shared; /* set by the engine: what specs of one call share (a Cholesky factor); NULL is allowed */
} bg_matrix;

/* A matrix that is wholly in memory: w[rows × cols], borrowed. */
bg_matrix bg_matrix_of(const float *w, int64_t rows, int64_t cols);
/* Rows [first, first+n) of a matrix into out[n × cols]. Thread-safe. */
int bg_matrix_read(const bg_matrix *m, int64_t first, int64_t n, float *out, bg_err *e);

/* Measures n specs on one matrix, in one pass over its rows for all of them together. out[n]. A spec that cannot run
 * here sets out[i].skipped and is no error. Same digits for any number of threads. */
int bg_measure_specs(const bg_matrix *m, const bg_spec *specs, int n, bg_measure *out, bg_err *e);

/* What a format writer needs of a quantized matrix; arrays are malloc'ed, bg_stored_free frees. */
typedef struct bg_stored {
    uint16_t *codes; /* [R × C] index of each weight */
    float *scales;   /* [scopes], in row-major order of scopes (row, then group), as rounded for storage */
    float *zeros;    /* [scopes] zero points (integers) or minima; NULL for symmetric grids */
    float *levels;   /* [K] for table grids (× scale); NULL for affine ones: ŵ = scale·(code + lo − zero) */
    int32_t *
        column_group; /* [C] scope of each column within its row where the rounding chose an order; NULL: consecutive */
    int K, lo, groups_per_row;
} bg_stored;
void bg_stored_free(bg_stored *s);

/* Runs one spec on a matrix that is wholly in memory (R × C float32) and writes what it reconstructs to out (R × C; may
 * be the same as w). stored (may be NULL) is filled for scalar grids (step=signed apart). Also measures. */
int bg_reconstruct(const bg_matrix *m, const bg_spec *s, const float *w, float *out, bg_measure *measure,
                   bg_stored *stored, bg_err *e);

/* ---- registry rows ---- */

/* The points that the weights of one scope may take, after fitting. */
typedef struct bg_code {
    int K;      /* points */
    int affine; /* ŵ = scale·(q − zero) + offset for integers q in [lo, hi]; hi − lo + 1 = K */
    float scale, zero, offset;
    int lo, hi;
    const float *levels; /* tables: ŵ = scale·levels[q] + offset, q in [0, K), ascending; static or the room of fit */
    const float *cuts; /* tables: [K−1] thresholds in the units of levels: x ≤ cuts[q] goes to q or below. Midpoints,
                        * except where a grid trades rate for distortion */
} bg_code;

/* A grid says what it must know of a scope; the engine then finds the cheapest way to tell it. */
typedef enum bg_needs {
    BG_NEEDS_NOTHING, /* the points are given outright */
    BG_NEEDS_ABSMAX,  /* only max(|min|, |max|): points scale with it */
    BG_NEEDS_RANGE,   /* min and max */
    BG_NEEDS_MOMENTS, /* mean and sigma too */
    BG_NEEDS_HIST,    /* the histogram of the scope */
    BG_NEEDS_VALUES,  /* the weights themselves, with their importance where there is one */
} bg_needs;

/* What a scalar grid is fitted to: one scope of weights. */
typedef struct bg_scope_stats {
    const float *x;          /* [n] the weights; NULL when only the histogram or the range is known */
    const float *importance; /* [n] or NULL */
    size_t n;                /* weights in the scope; 0: a density */
    const bg_hist *hist;     /* always for scope=tensor, else when needs() says so; otherwise NULL */
    double min, max, mean, sigma;
    double unit; /* scale=e4m3: the tensor's own scale, which block scales multiply; 0: none */
    int ideal;   /* a density: scales and levels are not rounded to their storage type (they are counted) */
} bg_scope_stats;

typedef enum bg_grid_kind { BG_GRID_SCALAR, BG_GRID_VECTOR, BG_GRID_SEQUENCE } bg_grid_kind;
enum {
    BG_GRID_FITS_HIST = 1, /* without needs(): BG_NEEDS_HIST */
    BG_GRID_STORES_LEVELS =
        2,            /* the levels are fitted to the scope and stored with it instead of a scale: the engine counts K
                       * numbers of type `scale` a scope, rounds fit's levels to that type and mends the cuts */
    BG_GRID_FLAT = 4, /* scope=N runs over the flattened tensor, across row ends (bitsandbytes) */
    BG_GRID_INTEGER = 8, /* ŵ = scale·(integer − zero): what integer kernels and their checkpoints hold */
};

/* A codebook or trellis trained on one tensor; opaque to the engine. */
typedef struct bg_trained bg_trained;

struct bg_grid {
    const char *name, *title;
    const char *paper;  /* author, year, equation or table */
    const char *family; /* uniform, non-uniform, vector, trellis, entropy-coded, deployed */
    const bg_key
        *keys; /* its own, beside bg_common_keys; a common key declared here again overrides its range and default */
    const char *refuses;       /* common keys that mean nothing here, space separated: "zero clip"; NULL: none */
    const char *default_scope; /* "tensor" */
    bg_grid_kind kind;
    unsigned flags;
    int points; /* K where it is fixed (fp4: 16); 0: from bits or levels */
    int vector; /* VECTOR: weights of a vector where that is fixed and they are coded alone (e8p: 8); 0: the key `dim`,
                   if any */
    /* All: is this combination of keys possible? NULL: always. */
    int (*check)(const bg_spec *s, bg_err *e);
    /* Nominal index bits a weight where bits, levels and points do not say it (vq, tcq:rate=…); NULL: they do. */
    double (*bits)(const bg_spec *s);
    /* SCALAR: what fit must know. NULL: BG_NEEDS_HIST with BG_GRID_FITS_HIST, else BG_NEEDS_ABSMAX. */
    bg_needs (*needs)(const bg_spec *s);
    /* SCALAR: fits the code to a scope. `levels` has room for K floats and `cuts` for K−1 (K ≤ 65536). */
    int (*fit)(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e);
    /* VECTOR, SEQUENCE: trains on the matrix (a stated sample if the spec says so), then codes tiles of rows. */
    int (*train)(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e);
    /* Reconstructs n rows of C weights; out may alias w. Thread-safe. Adds what it stores to *rate. */
    int (*tile)(const bg_spec *s, const bg_trained *t, int64_t first, int64_t n, int64_t C, const float *w, float *out,
                bg_rate *rate, bg_err *e);
    /* Rows that must come together in one tile (codes that run across rows); NULL: 1. 0: the whole matrix. */
    int64_t (*rows_together)(const bg_spec *s, int64_t C);
    /* Bits stored once per tensor (codebook, scales). */
    void (*side)(const bg_spec *s, const bg_trained *t, bg_rate *rate);
    void (*release)(bg_trained *t);
    /* Why tile failed, a literal, when that skips this spec on this tensor and the sweep goes on (somebody else's
     * program); NULL, as the answer too: an error ends the run. */
    const char *(*excuse)(const bg_trained *t);
    /* All: measures on a density, exactly; NULL: the engine's histogram path, or "needs samples". */
    int (*on_distribution)(const bg_spec *s, const bg_matrix *m, bg_measure *out, bg_err *e);
    /* What writers of checkpoints ask. Id of the GGUF block type whose blocks it makes; NULL: none. */
    uint32_t (*gguf_type)(const bg_spec *s);
    /* Name that bitsandbytes has for it, "nf4" or "fp4"; NULL, as the answer too: none. */
    const char *(*bitsandbytes)(const bg_spec *s);
};

struct bg_transform {
    const char *name, *title, *paper;
    const bg_key *keys;
    int needs_calibration;
    /* Where that depends on the parameters: does this one need it? NULL: no more than needs_calibration says. */
    int (*looks_at_inputs)(const bg_spec *s);
    /* Columns whose input reaches this magnitude are exact, and so is their input; 0, and NULL: none. */
    float (*exact_inputs)(const bg_spec *s);
    /* Quantizes through the transform: turns w (R × C, in memory), runs `inner` on it, turns back. */
    int (*run)(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_err *e);
};

struct bg_rounding {
    const char *name, *title, *paper;
    const bg_key *keys;
    int needs_calibration;
    int scalar_only; /* chooses points of scalar grids only */
    /* NULL for nearest, which the engine does itself; otherwise chooses points for a whole matrix. */
    int (*run)(const bg_spec *s, const bg_matrix *m, const float *w, float *out, bg_measure *measure, bg_stored *stored,
               bg_err *e);
    /* Or point by point: the index of the point for x, u uniform in (0,1) and the same for the same seed and weight.
     * NULL: the nearest. */
    int (*choose)(const bg_code *c, float x, double u);
};

struct bg_coding {
    const char *name, *title, *paper;
    const bg_key *keys;
    /* Bits that n symbols below K really take, written and read back; NULL: fixed length. */
    int (*bits)(const uint16_t *symbols, size_t n, int K, double *bits, double *table_bits, bg_err *e);
    int by_distribution; /* can code each symbol by a distribution of its own (trellises, columns of steps=water) */
};

/* Bits to which whoever runs the layer rounds its input, per token by absmax/(2^(b−1)−1) (key `activations` of smooth
 * and outliers; SmoothQuant, LLM.int8); 0: not. *keep: columns with a value that reaches it stay as they are; 0: none
 * do. */
int bg_spec_activations(const bg_spec *s, float *keep);

/* ---- what rows use of the engine ---- */

/* Fits spec's scalar grid to a scope: the row's fit, then its scale, zero and levels rounded as they are stored. `room`
 * holds the tables; reuse it for every scope of a thread. */
typedef struct bg_code_room {
    float *levels, *cuts; /* [K], [K−1] */
    int K;
} bg_code_room;
int bg_code_room_init(bg_code_room *r, const bg_spec *s, bg_err *e);
void bg_code_room_free(bg_code_room *r);
int bg_code_fit(const bg_spec *s, const bg_scope_stats *st, bg_code_room *r, bg_code *out, bg_err *e);
/* min, max, mean, sigma of n weights (and nothing else) into *st. */
void bg_scope_stats_of(bg_scope_stats *st, const float *x, size_t n);
/* Index of the point that takes x, from 0. */
int bg_code_index(const bg_code *c, float x);
/* The point of an index. */
static inline float bg_code_value(const bg_code *c, int index)
{
    return c->affine ? c->scale * ((float)(index + c->lo) - c->zero) + c->offset
                     : c->scale * c->levels[index] + c->offset;
}
/* n weights at once, the same points: out[i] = bg_code_value(c, bg_code_index(c, x[i])), and the indices (NULL: not
 * wanted). */
void bg_code_round(const bg_code *c, const float *x, size_t n, float *out, uint16_t *index);
/* x as a number of type `scale` holds it (f16 saturates). top: the largest level it multiplies, which e8m0 needs: its
 * power of two puts the scope's largest weight into the top binade of the levels (OCP Microscaling v1.0, 6.3). */
float bg_scale_round(const bg_spec *s, float x, float top);
double bg_scale_bits(const bg_spec *s);

/* Does the composition need a calibration? */
int bg_spec_needs_calibration(const bg_spec *s);
/* What a scalar spec with fixed-length codes stores for R × C weights: indices, scales, zeros, levels. */
bg_rate bg_spec_rate(const bg_spec *s, int64_t rows, int64_t cols);
/* Weights that share a scale, and how many such scopes a matrix has (the last of a row may be short). */
int64_t bg_scope_size(const bg_spec *s, int64_t rows, int64_t cols);
int64_t bg_scope_count(const bg_spec *s, int64_t rows, int64_t cols);
/* Whether scopes run over the flattened tensor, not inside its rows. */
int bg_scope_is_flat(const bg_spec *s);

/* What a GGUF file holds of n weights (whole blocks) under a spec of the grid "gguf": the id of its block type, and the
 * blocks, which decode to what the grid reconstructs. */
uint32_t bg_gguf_type_of_spec(const bg_spec *s);
int bg_gguf_blocks(const bg_spec *s, const float *w, int64_t n, uint8_t *out, bg_err *e);

/* The registries, ending with NULL. To add a row: its file, one line in registry.c. */
extern const bg_transform *const bg_transforms[];
extern const bg_grid *const bg_grids[];
extern const bg_rounding *const bg_roundings[];
extern const bg_coding *const bg_codings[];

#endif
