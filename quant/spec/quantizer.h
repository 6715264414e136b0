/* The types of a quantizer: the matrix, what is stored of it, and the rows of the registries.
 *
 * Shape letters: R rows (outputs), C columns (inputs), G weights in a scope, K points, d dimension of a vector.
 */
#ifndef BG_QUANT_SPEC_QUANTIZER_H
#define BG_QUANT_SPEC_QUANTIZER_H

#include "io/base/dtype.h"
#include "quant/kernel/histogram.h"
#include "quant/spec/spec.h"

struct bg_columns;

/* ---- what is stored: bits of the whole tensor, by purpose. rate_bits = Σ / weights. ---- */
typedef struct bg_rate {
    double indices, scales, zeros, codebook, positions, order, padding, table;
} bg_rate;
double bg_rate_total(const bg_rate *r); /* bits */
void bg_rate_add(bg_rate *sum, const bg_rate *part);

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
    uint64_t seed;
    struct bg_shared *shared; /* set by the engine: what specs of one call share (a Cholesky factor); NULL is allowed */
} bg_matrix;

/* A matrix that is wholly in memory: w[rows × cols], borrowed. */
bg_matrix bg_matrix_of(const float *w, int64_t rows, int64_t cols);
/* Rows [first, first+n) of a matrix into out[n × cols]. Thread-safe. */
int bg_matrix_read(const bg_matrix *m, int64_t first, int64_t n, float *out, bg_err *e);

/* What a format writer needs of a quantized matrix; arrays are malloc'ed, bg_stored_free frees. */
typedef struct bg_stored {
    uint16_t *codes; /* [R × C] index of each weight */
    float *scales;   /* [scopes], in row-major order of scopes (row, then group), as rounded for storage */
    float *zeros;    /* [scopes] zero points (integers) or minima; NULL for symmetric grids */
    float *levels;   /* [K] for table grids (× scale); NULL for affine ones: ŵ = scale·(code + lo − zero) */
    int32_t *
        column_group; /* [C] scope of each column within its row where the rounding chose an order; NULL: consecutive */
    int K, lo, groups_per_row;
    uint8_t *stream; /* the bytes of a rounding that codes its points itself (round=trellis); NULL */
    size_t stream_bytes;
    float *input_scale; /* [C] what a transform divides the layer's input by (smooth, awq); NULL: nothing */
} bg_stored;
void bg_stored_free(bg_stored *s);

/* What quantizing makes of a matrix. It is no measurement: bg_measure_quantized makes that of it. */
typedef struct bg_quantized {
    float *hat;       /* [R × C] the weights that the indices stand for; the caller's */
    int want_indices; /* in: the caller wants stored.codes also where nothing codes them */
    bg_stored
        stored; /* indices, scales, zero points, levels, order; codes NULL: the grid keeps its indices to itself */
    int *column_step;     /* [C] where columns have steps of their own (steps=water), in quarters of an octave; NULL */
    bg_rate rate;         /* all that is stored; indices of fixed length until a coding has counted them */
    double clipped;       /* share of weights beyond the outermost level by more than half a step; NaN: not counted */
    double index_entropy; /* bits per weight; NaN: not counted */
    double output_mse;    /* where the rounding has kept account of it; NaN: the measurement asks the second moment */
    double babai_bound;   /* what error feedback can lose of it at most without clipping; 0: not known */
    const char *skipped;  /* a literal reason why it cannot run on this matrix; then nothing else is set */
} bg_quantized;
void bg_quantized_free(bg_quantized *q); /* all but hat */

/* How a transform tries a choice: what nearest rounding with fixed-length indices makes of m->memory under the spec
 * without its transform. hat [R × C]; output_mse may be NULL. */
typedef int (*bg_try_nearest)(const bg_spec *s, const bg_matrix *m, float *hat, double *output_mse,
                              const char **skipped, bg_err *e);

/* A matrix as the grid sees it after a transform. The engine frees the arrays. */
typedef struct bg_turned {
    bg_matrix m; /* its weights in m.memory, its moments those of the turned input */
    float *w;    /* [R × C] */
    double *second_moment, *mean_abs, *max_abs;
    float *scale;        /* [C] factor of each column, which the layer's input is divided by; NULL */
    unsigned char *mask; /* [R × C] weights that the grid does not hold (kept or pruned); NULL */
    double mask_bits;
    void *state;         /* the row's own; its release frees it */
    const char *skipped; /* why it cannot run here */
} bg_turned;

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

/* What a grid makes of a density. */
typedef struct bg_on_density {
    double mse, index_entropy;
    bg_rate rate;        /* of one weight */
    const char *same_as; /* a spec with the same error, which the engine measures instead; rate is as given here */
    const char *skipped;
} bg_on_density;

/* Rows of targets that a grid of vectors or sequences codes in row-major order: of the matrix itself, or what error
 * feedback asks of a few of its columns. */
typedef struct bg_targets {
    int64_t rows, cols;
    const float *w; /* [rows × cols] */
    float *out;     /* [rows × cols] what they become; may be w */
} bg_targets;

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
    /* Codes a tile and reconstructs it. Thread-safe. Adds what it stores to *rate. */
    int (*tile)(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e);
    /* Rows that must come together in one tile (codes that run across rows); NULL: 1. 0: the whole matrix. */
    int64_t (*rows_together)(const bg_spec *s, int64_t C);
    /* Bits stored once per tensor (codebook, scales). */
    void (*side)(const bg_spec *s, const bg_trained *t, bg_rate *rate);
    void (*release)(bg_trained *t);
    /* Why tile failed, a literal, when that skips this spec on this tensor and the sweep goes on (somebody else's
     * program); NULL, as the answer too: an error ends the run. */
    const char *(*excuse)(const bg_trained *t);
    /* All: measures on a density, exactly; NULL: the engine's histogram path, or "needs samples". */
    int (*on_distribution)(const bg_spec *s, const bg_matrix *m, bg_on_density *out, bg_err *e);
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
    /* Turns m->memory into what the rest of the composition quantizes. NULL: none. */
    int (*forward)(const bg_spec *s, const bg_matrix *m, bg_try_nearest nearest, bg_turned *out, bg_err *e);
    /* Turns a reconstruction back, in place, and counts what the transform stores beside it. m is the matrix itself. */
    int (*inverse)(const bg_spec *s, const bg_turned *t, const bg_matrix *m, bg_quantized *q, bg_err *e);
    void (*release)(bg_turned *t); /* frees t->state; NULL: there is none */
};

struct bg_rounding {
    const char *name, *title, *paper;
    const bg_key *keys;
    int needs_calibration;
    int scalar_only;  /* chooses points of scalar grids only */
    int makes_stream; /* codes its points itself: stored.stream */
    /* Is this combination of keys possible? NULL: always. */
    int (*check)(const bg_spec *s, bg_err *e);
    /* Chooses points for m->memory: fills q->hat, the stored arrays and the rate at fixed length. NULL: the nearest
     * points, or those of choose. */
    int (*run)(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e);
    /* Or point by point: the index of the point for x, u uniform in (0,1) and the same for the same seed and weight.
     * NULL: the nearest. */
    int (*choose)(const bg_code *c, float x, double u);
};

struct bg_coding {
    const char *name, *title, *paper;
    const bg_key *keys;
    /* Bits that n symbols below K really take, written and read back; NULL: fixed length. */
    int (*bits)(const uint16_t *symbols, size_t n, int K, double *bits, double *table_bits, bg_err *e);
    /* Bits of symbols whose columns have steps of their own, and their entropy; such a coding can give each symbol a
     * distribution of its own, which a trellis asks for too. NULL: it cannot. */
    int (*bits_of_columns)(const struct bg_columns *c, double *bits, double *entropy, bg_err *e);
};

/* Bits to which whoever runs the layer rounds its input, per token by absmax/(2^(b−1)−1) (key `activations` of smooth
 * and outliers; SmoothQuant, LLM.int8); 0: not. *keep: columns with a value that reaches it stay as they are; 0: none
 * do. */
int bg_spec_activations(const bg_spec *s, float *keep);
/* Does the composition need a calibration? */
int bg_spec_needs_calibration(const bg_spec *s);

/* What a GGUF file holds of n weights (whole blocks) under a spec of the grid "gguf": the id of its block type, and the
 * blocks, which decode to what the grid reconstructs. */
uint32_t bg_gguf_type_of_spec(const bg_spec *s);
int bg_gguf_blocks(const bg_spec *s, const float *w, int64_t n, uint8_t *out, bg_err *e);

#endif
