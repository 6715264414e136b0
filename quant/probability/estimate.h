/* Means with their standard errors where the values are not one sample of independent draws.
 *
 * Stratified: values fall into strata (the roles of a model's matrices) that are all there; another draw would change
 * the values inside each stratum only. The variance of the mean is the sum over strata of W²·s²/n (Cochran, Sampling
 * Techniques, chapter 5), and a Student distribution with Satterthwaite's degrees of freedom gives the interval. A
 * stratum of one value is taken as known: it has no spread that could be measured.
 *
 * Clustered: values come in clusters (the windows of a text) whose values depend on each other. The variance of the
 * mean of all values is C/(C−1)·Σ(Σ(x − mean))²/n², the inner sum over a cluster (Liang and Zeger 1986). */
#ifndef BG_QUANT_PROBABILITY_ESTIMATE_H
#define BG_QUANT_PROBABILITY_ESTIMATE_H

#include <stdint.h>

typedef struct bg_estimate {
    double mean, se; /* se NaN: no two values that could be compared */
    double freedom;  /* degrees of freedom of se; 0 where se is NaN */
    int n;
} bg_estimate;

/* x[n] with weights w[n] > 0 in strata numbered stratum[n] ≥ 0 (NULL: one stratum). */
bg_estimate bg_stratified_mean(const double *x, const double *w, const int *stratum, int n);

/* x[n] in order, NaN ignored, a cluster being lengths[c] values in a row; the lengths sum to n. freedom = clusters with
 * a value − 1. */
bg_estimate bg_clustered_mean(const double *x, const int *lengths, int clusters);

/* Quantile of Student's distribution. */
double bg_student_quantile(double p, double freedom);

/* The 95 % interval; NaN where se is. */
void bg_estimate_interval(const bg_estimate *m, double *low, double *high);

#endif
