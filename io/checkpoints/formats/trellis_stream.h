/* The trellis stream: a matrix of integers, entropy-coded by what the rows before tell, in integer arithmetic
 * throughout.
 *
 * What is coded. ŵ_rc = k_rc · base · 2^(step_c/4): column c has a step in quarters of an octave, and the integers k of
 * a column are the path of a trellis code from its state 0 at the first row. In a state either all k are even or all
 * are odd (the two unions of subsets of an Ungerboeck code; subset = k mod 4), so that a step of the code has cells of
 * width 2, and k mod 4 tells the next state. A column without any k ≠ 0 is left out and costs one bit.
 *
 * What the decoder knows of a weight before it reads it. Rows come in groups of BG_STREAM_LANES; in a group, columns in
 * order; in a column, the rows of the group. From all rows before the group (learned anew whenever they have grown by
 * an eighth) the model has, for blocks of BG_STREAM_BLOCK columns, the sums Σ k_i·k_j. From them come
 *
 *     spread_c = rms of column c, shrunk towards what its step predicts by as much as columns differ,
 *     C = (1 − ρ)·R + ρ·I = L·Lᵀ,   R the correlations, ρ the share of them that chance explains (Ledoit and Wolf
 * 2004), k_c = spread_c · Σ_{i≤c} L_ci·z_i,
 *
 * where z is what was new in the columns before of this very row: a mean for k_c, and spread_c·L_cc times the rms of
 * the row's z so far for its deviation s.
 *
 * How k is coded. With c the integer of the state's parity that is nearest to the mean, and d = (k − c)/2: is d = 0,
 * its sign, then |d| − 1 in unary, as adaptive bits (range_coder.h). Their contexts are s in quarters of an octave, the
 * place of the mean between integers, seen from the side of d, and whether the state is 0 (whose zero leads to itself),
 * another even or an odd one. When s is 8 or more, |d| loses low bits first, which follow almost uncoded. All contexts
 * start from a logistic distribution of deviation s, so nothing is stored.
 *
 * Bytes: see bg_stream_header; then 32-bit little-endian words of the range coder. The header holds a hash of all else,
 * so that a damaged stream is refused. Everything that decides a probability is integer arithmetic that overflows
 * nowhere: any compiler on any machine reads the same integers.
 */
#ifndef BG_IO_CHECKPOINTS_FORMATS_TRELLIS_STREAM_H
#define BG_IO_CHECKPOINTS_FORMATS_TRELLIS_STREAM_H

#include "io/base/error.h"
#include "io/checkpoints/formats/range_coder.h"

enum {
    BG_STREAM_LANES = 8,      /* rows side by side */
    BG_STREAM_BLOCK = 256,    /* columns that tell of each other */
    BG_STREAM_MAX = 4095,     /* of |k| */
    BG_STREAM_STEP_MAX = 120, /* of |step| */
    BG_STREAM_HEADER = 22     /* bytes */
};

typedef struct bg_stream_matrix {
    int64_t rows, cols;
    int states;    /* of the trellis: 4, 8, … 256 */
    float base;    /* ŵ = k·base·2^(step/4) */
    int16_t *k;    /* [rows × cols] */
    int16_t *step; /* [cols]; of a column that is left out, 0 */
} bg_stream_matrix;

/* base·2^(step/4), in float32. */
float bg_stream_step(const bg_stream_matrix *m, int64_t column);

/* Contexts of the integers: what pricing them takes. */
enum { BG_STREAM_SPREADS = 32, BG_STREAM_PLACES = 4, BG_STREAM_UNARY = 15 };
typedef enum bg_stream_state { BG_STREAM_ZERO_STATE, BG_STREAM_EVEN_STATE, BG_STREAM_ODD_STATE } bg_stream_state;
typedef struct bg_stream_contexts {
    bg_bit zero[3][BG_STREAM_SPREADS][BG_STREAM_PLACES];
    bg_bit up[BG_STREAM_SPREADS][2 * BG_STREAM_PLACES];
    bg_bit more[BG_STREAM_SPREADS][BG_STREAM_PLACES][BG_STREAM_UNARY];
    bg_bit low[BG_STREAM_SPREADS][3];
    bg_bit length[24];
} bg_stream_contexts;

/* What the decoder expected of each integer, and the contexts at the end: for an encoder that chooses k by its price.
 */
typedef struct bg_stream_trace {
    int32_t *mean;   /* [rows × cols] in 64ths */
    int16_t *spread; /* [rows × cols] log2 s in 16ths */
    bg_stream_contexts contexts;
} bg_stream_trace;

void bg_stream_contexts_init(bg_stream_contexts *x);

/* What integers cost by contexts as they are, in bits: [0] of a bit that is 0, [1] of a 1. */
typedef struct bg_stream_prices {
    float zero[3][BG_STREAM_SPREADS][BG_STREAM_PLACES][2];
    float up[BG_STREAM_SPREADS][2 * BG_STREAM_PLACES][2];
    float more[BG_STREAM_SPREADS][BG_STREAM_PLACES]
              [BG_STREAM_UNARY + 1]; /* of |d| − 1 in unary without low bits, the last one as it begins */
} bg_stream_prices;
void bg_stream_prices_init(bg_stream_prices *p, const bg_stream_contexts *x);
float bg_stream_price(const bg_stream_prices *p, bg_stream_state state, int32_t mean, int spread, int k);

/* Bytes of the matrix, malloc'ed. Every k must lie on its column's trellis path (BG_USAGE). trace (may be NULL) is
 * filled. Single-threaded. */
int bg_stream_encode(const bg_stream_matrix *m, uint8_t **bytes, size_t *n, bg_stream_trace *trace, bg_err *e);
/* Shape, states and base of a stream, after its hash has been checked; k and step are left alone. BG_INPUT: damaged. */
int bg_stream_open(const uint8_t *bytes, size_t n, bg_stream_matrix *out, bg_err *e);
/* Fills m->k and m->step, the caller's, of an opened stream. */
int bg_stream_decode(const uint8_t *bytes, size_t n, bg_stream_matrix *m, bg_err *e);

/* The trellis: what parity a state has, and where k leads. */
typedef struct bg_stream_trellis {
    int states;
    uint8_t pair[128]; /* subset of state j < states/2 for input 0; the upper half has the other of the pair */
} bg_stream_trellis;
int bg_stream_trellis_init(bg_stream_trellis *t, int states); /* 0: no such code */
static inline int bg_stream_is_odd(const bg_stream_trellis *t, int state)
{
    return t->pair[state & (t->states / 2 - 1)] & 1;
}
static inline int bg_stream_next(const bg_stream_trellis *t, int state, int k)
{
    int zero = t->pair[state & (t->states / 2 - 1)] ^ (state >= t->states / 2) << 1; /* the subset of input 0 */
    return (state << 1 | ((k & 3) != zero)) & (t->states - 1);
}

#endif
