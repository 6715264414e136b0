/* Bjøntegaard distances between two rate–quality curves.
 *
 * Both curves are interpolated as rate over quality and their difference is averaged over the overlap of their
 * qualities, [largest of the minima, smallest of the maxima] (Bjøntegaard, VCEG-M33, 2001). BD-rate averages
 * log10(rate) and is a percentage; BD-bits averages the rate itself: the mean horizontal distance in bits per weight,
 * the natural one here.
 *
 * Interpolants: cubic (one polynomial of degree 3, least squares beyond four points, as VCEG-M33), PCHIP
 * (Fritsch–Butland slopes with the one-sided three-point end rule; the default: monotone), Akima (GSL; at least five
 * points).
 */
#ifndef BG_ANALYSIS_CURVES_BD_RATE_H
#define BG_ANALYSIS_CURVES_BD_RATE_H

#include "io/base/error.h"

typedef enum bg_bd_method { BG_BD_CUBIC, BG_BD_PCHIP, BG_BD_AKIMA } bg_bd_method;

enum { BG_BD_POINTS = 64 }; /* at most, in one curve */

/* Rates and qualities (dB), both strictly rising. */
typedef struct bg_bd_curve {
    double rate[BG_BD_POINTS], quality_db[BG_BD_POINTS];
    int n;
} bg_bd_curve;

/* Each sets *out and returns BG_OK, or BG_INPUT when a curve is not strictly rising, is too short, or the two do not
 * overlap: nothing is extrapolated. Negative: `test` needs less. */
int bg_bd_bits(bg_bd_method how, const bg_bd_curve *anchor, const bg_bd_curve *test, double *out, bg_err *e);
int bg_bd_rate_percent(bg_bd_method how, const bg_bd_curve *anchor, const bg_bd_curve *test, double *out, bg_err *e);
/* Mean vertical distance in dB over the overlap of the rates (or of their logarithms); positive: `test` is better. */
int bg_bd_quality_db(bg_bd_method how, int log_rate, const bg_bd_curve *anchor, const bg_bd_curve *test, double *out,
                     bg_err *e);

#endif
