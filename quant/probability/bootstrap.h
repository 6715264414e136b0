/* Percentile intervals by resampling: Efron 1979; Efron and Tibshirani 1993, chapter 13. Deterministic: the draws are
 * those of bg_uniform_at. */
#ifndef BG_QUANT_PROBABILITY_BOOTSTRAP_H
#define BG_QUANT_PROBABILITY_BOOTSTRAP_H

#include <stdint.h>

enum { BG_RESAMPLES = 500 };

/* Item of draw i of resample b, one of n. */
int bg_resample_at(uint64_t seed, int b, int i, int n);
/* The 2.5 and 97.5 % points of values[BG_RESAMPLES], which are sorted on the way. */
void bg_resample_interval(double *values, double *low, double *high);
/* Of the mean of x[n] weighted by w[n] over resampled items; NaN for fewer than two. */
void bg_resample_mean(const double *x, const double *w, int n, uint64_t seed, double *low, double *high);

#endif
