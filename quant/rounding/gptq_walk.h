/* What the files of round=gptq share: the walk over a matrix, its rows in lanes, its vectors. */
#ifndef BG_QUANT_ROUNDING_GPTQ_WALK_H
#define BG_QUANT_ROUNDING_GPTQ_WALK_H

#include "quant/kernel/cholesky.h"
#include "quant/scope/scope.h"

/* Parameters of round=gptq; column_order and water_steps are members of bg_spec. */
typedef struct bg_gptq_params {
    double percdamp;   /* damping, as a share of the mean diagonal of Σ */
    int static_groups; /* groups are fitted before the walk */
} bg_gptq_params;

typedef struct bg_gptq_walk {
    const bg_spec *s;
    const bg_matrix *m;
    const bg_factor *f;
    const float *w, *aim; /* [R × C]; aim: what the walk rounds, w itself or with steps=water its Wiener estimate */
    float *delta;         /* [R × C] w − ŵ in walking order */
    double *loss, *moved; /* [R] ‖(w−ŵ)M‖² and ‖w−ŵ‖² over the columns that are not dead */
    uint16_t *symbols;    /* [R × C] in the order of the columns of W */
    bg_code *codes;       /* [R × groups]; scope=tensor: one; steps=water: [C] in walking order */
    float *tables;        /* [R × groups × 2K] levels and cuts of codes that are fitted */
    bg_code_room room;    /* tables of the one code of scope=tensor */
    float *importance; /* [C] M_jj², what an error of column j adds to the loss: in walking order with on_the_way, else
                        * in the order of the columns of W; NULL: the grid does not ask */
    int64_t R, C, G, groups, block;
    int K, per_group, on_the_way, water; /* scopes inside a row; fitted during the walk; steps=water */
    int *step;                           /* steps=water: [C] in the order of the columns of W, quarters of an octave */
    int two_level;                       /* scales of scales: all are fitted before the walk, then rounded together */
    int affine;                          /* points are equally spaced */
    int whole;                           /* order=groups: a group's columns are walked one after the other */
} bg_gptq_walk;

static inline int64_t bg_gptq_column(const bg_gptq_walk *k, int64_t at)
{
    return k->f->order ? k->f->order[at] : at;
}

static inline int64_t bg_gptq_group(const bg_gptq_walk *k, int64_t at)
{
    return !k->per_group ? 0 : (k->on_the_way && !k->whole ? at : bg_gptq_column(k, at)) / k->G;
}

static inline const bg_code *bg_gptq_code(const bg_gptq_walk *k, int64_t r, int64_t at)
{
    return &k->codes[k->water ? at : k->per_group ? r * k->groups + bg_gptq_group(k, at) : 0];
}

/* Fits one scope, which starts at column or step `first`, and keeps its code as number `at` (with its tables, if the
 * fit wrote any into the room). */
int bg_gptq_fit(const bg_gptq_walk *k, const float *x, int64_t first, int64_t n, int64_t at, bg_code_room *room,
                bg_err *e);

/* Fits the group of row r that starts at `at` to the weights that the errors so far ask for. From `at` on, in walking
 * order: x [G] the weights, y [G] the errors brought to them, which the fit overwrites. */
int bg_gptq_fit_walked(const bg_gptq_walk *k, int64_t r, int64_t at, const float *x, float *y, bg_code_room *room,
                       bg_err *e);

enum { BG_GPTQ_LANES = 16, BG_GPTQ_SCRATCH = 3 * BG_GPTQ_LANES + 4 };

/* Columns [b, b + n) of the walk, n at most k->block, and a thread's workspace for them. */
typedef struct bg_gptq_block {
    int64_t b, n;
    float *scratch; /* [BG_GPTQ_SCRATCH × n] */
    bg_code_room *room;
} bg_gptq_block;

/* BG_GPTQ_LANES rows from `first` over a block; t [lanes × n] holds the errors before it brought to its columns. Affine
 * codes only; the digits are those of one row after the other. */
int bg_gptq_walk_lanes(const bg_gptq_walk *k, int64_t first, const bg_gptq_block *block, const float *t, bg_err *e);

/* steps=water: steps of the columns from the code of the whole tensor, k->codes[0]; the factor of Σ + μI, in *own in
 * place of k->f; and what the walk rounds then, t = wΣ(Σ+μI)⁻¹ [R × C]. */
void bg_water_steps(bg_gptq_walk *k);
int bg_water_factor(bg_gptq_walk *k, int64_t order, bg_factor *own, double *mu, bg_err *e);
int bg_water_aim(const bg_gptq_walk *k, double mu, float *t, bg_err *e);

/* As bg_rounding.run, for a grid whose points are vectors of `vector` or `dim` neighbours in a row (bg_grid). */
int bg_gptq_vectors(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e);

#endif
