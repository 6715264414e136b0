/* The error budget: where a quantizer's distortion and bits go. Both splits add up to the whole.
 *
 *     D = granular + mismatch + clipping + scale rounding + zero point + rounding
 *     R = entropy + slack + side + padding
 *
 * Each part is a difference of measured errors along a chain: the best K levels for the weights as their scopes scale
 * them → the grid's own levels → weights beyond them → scales as stored → zero points (or fitted levels) as stored →
 * the rounding that was asked for in place of the nearest point. A part may be negative: stored scales can suit by
 * luck. The best levels are fitted to all weights; granular is their error where the grid does not clip.
 */
#ifndef BG_ANALYSIS_CURVES_ERROR_BUDGET_H
#define BG_ANALYSIS_CURVES_ERROR_BUDGET_H

#include "quant/engine/quantize.h"

typedef struct bg_budget {
    double granular; /* of the best K levels shared by all scopes, or of each scope's own where a grid stores them; of a
                      * vector or trellis code: all of D */
    double mismatch; /* what the grid's levels add to that */
    double clipping; /* error of weights beyond the outermost level by more than half a step */
    double scale_rounding; /* scales in their stored type, double quantization included */
    double zero_point;     /* zero points, minima or fitted levels in theirs */
    double rounding;       /* against nearest rounding */
    double mse;            /* the sum, per weight */
    double entropy;        /* of the indices, order 0, bits per weight; where it is not known: the indices' bits */
    double slack;          /* what indices take beyond it */
    double side;           /* scales, zero points, levels, codebooks, tables, order, positions */
    double padding;
    double rate_bits; /* the sum */
} bg_budget;

/* Of one spec without a transform on a matrix in memory, R × C float32. BG_USAGE with a transform, or where the spec
 * cannot run here. Memory: a few copies of the matrix. */
int bg_budget_of(const bg_matrix *m, const bg_spec *s, bg_budget *out, bg_err *e);

#endif
