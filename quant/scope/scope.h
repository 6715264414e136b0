/* One scope of weights: its statistics, the code fitted to it, rounding to its points, and where scopes lie. */
#ifndef BG_QUANT_SCOPE_SCOPE_H
#define BG_QUANT_SCOPE_SCOPE_H

#include "io/base/assert.h"
#include "quant/spec/quantizer.h"

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
    BG_ASSERT(index >= 0 && index < c->K);
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

/* What a scalar spec with fixed-length codes stores for R × C weights: indices, scales, zeros, levels. */
bg_rate bg_spec_rate(const bg_spec *s, int64_t rows, int64_t cols);
/* Weights that share a scale, and how many such scopes a matrix has (the last of a row may be short). */
int64_t bg_scope_size(const bg_spec *s, int64_t rows, int64_t cols);
int64_t bg_scope_count(const bg_spec *s, int64_t rows, int64_t cols);
/* Whether scopes run over the flattened tensor, not inside its rows. */
int bg_scope_is_flat(const bg_spec *s);

/* All scopes of a matrix, in row-major order. The last of a row (or of the flattened tensor) may be short. */
typedef struct bg_scopes {
    int64_t rows, cols, size;
    int64_t per_row; /* 0: scopes run over the flattened tensor */
    int64_t count;
} bg_scopes;
bg_scopes bg_scopes_of(const bg_spec *s, int64_t rows, int64_t cols);

/* First weight of scope k and, in *n, how many it has. */
static inline int64_t bg_scope_at(const bg_scopes *z, int64_t k, size_t *n)
{
    if (!z->per_row) {
        int64_t first = k * z->size, left = z->rows * z->cols - first;
        *n = (size_t)(left < z->size ? left : z->size);
        return first;
    }
    int64_t column = k % z->per_row * z->size, left = z->cols - column;
    *n = (size_t)(left < z->size ? left : z->size);
    return k / z->per_row * z->cols + column;
}

/* bg_spec_rate for weights and scopes given as numbers: a density is one weight with a share of a scope. */
bg_rate bg_rate_of(const bg_spec *s, double weights, double scopes);

/* What a scalar spec's grid must know of a scope. */
bg_needs bg_spec_needs(const bg_spec *s);

/* Statistics of n weights as the spec's grid needs them, each counting by its importance (NULL: alike); hist is filled
 * and attached where the grid asks for one, and is the caller's to free. */
int bg_scope_stats_for(const bg_spec *s, const float *x, const float *importance, size_t n, bg_scope_stats *st,
                       bg_hist *hist, bg_err *e);
/* The same, then the fit. */
typedef struct bg_scope_weights {
    const float *x, *importance; /* [n]; importance NULL: alike */
    size_t n;
    int ideal; /* do not round the scale (scales of scales wait for all of them) */
} bg_scope_weights;
int bg_scope_fit(const bg_spec *s, const bg_scope_weights *weights, bg_code_room *room, bg_code *out, bg_err *e);

/* The error of a scope: Σ d², the largest |d|, how many weights lie beyond the grid. */
typedef struct bg_scope_sum {
    double sse, clipped;
    float max;
} bg_scope_sum;
/* Fits a scope of n weights and adds its error. */
int bg_scope_error(const bg_spec *s, bg_code_room *room, const float *x, size_t n, bg_scope_sum *sum, bg_err *e);

/* How far a code reaches: half a step beyond its outermost points. */
typedef struct bg_reach {
    float low, high;
} bg_reach;
bg_reach bg_code_reach(const bg_code *c);

static inline int bg_clips(bg_reach r, float x)
{
    return x < r.low || x > r.high;
}

/* The scales of a two-level spec as they are stored: scales[n] in row-major order of scopes, in place. E4M3 scales
 * stand under one float32 of the tensor that makes the largest of them 448 (NVFP4). */
void bg_two_level_scales(const bg_spec *s, float *scales, size_t n);
/* Maxima of blocks to 8 bits in blocks of 256 about their mean, as bitsandbytes does; in place. */
void bg_double_quantize(float *scales, size_t n);

#endif
