/* Do two measures rank quantizers alike? Pearson and Spearman correlations with what is needed not to over-read them.
 */
#ifndef BG_ANALYSIS_OUTPUT_CORRELATION_H
#define BG_ANALYSIS_OUTPUT_CORRELATION_H

typedef struct bg_correlation {
    int n;
    double r;         /* NaN when n < 2 or one side is constant */
    double t, p;      /* Student t with n − 2 degrees of freedom, two-sided p; NaN when n < 3 */
    double low, high; /* 95 % interval by Fisher's z; NaN when n < 4 */
    double p_exact;   /* two-sided, over all permutations; only for ranks and n ≤ 8, else NaN */
} bg_correlation;

/* Of the values. */
bg_correlation bg_pearson(const double *x, const double *y, int n);
/* Of mid-ranks. `ranks` is room for 2·n doubles. */
bg_correlation bg_spearman(const double *x, const double *y, int n, double *ranks);

/* |ρ| above 0.8 "validated", above 0.5 "partly", below "not"; "too few" under 5 points or when the p-value that applies
 * (exact where there is one) is above 0.05. A literal. */
const char *bg_correlation_verdict(const bg_correlation *rank);

#endif
