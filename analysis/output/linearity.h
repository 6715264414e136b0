/* Linearity of small errors (Malinovskii et al. 2024, HIGGS): for small, unbiased errors of the weights,
 *
 *     ln PPL(Ŵ) − ln PPL(W) ≈ Σ_l a_l·t_l²,    t_l² = ‖Ŵ_l − W_l‖²/‖W_l‖²
 *
 * and so does the divergence. a_l is measured by adding Gaussian noise of a known t to one tensor at a time, and its
 * mirror image, whose mean is free of the first-order term.
 */
#ifndef BG_ANALYSIS_OUTPUT_LINEARITY_H
#define BG_ANALYSIS_OUTPUT_LINEARITY_H

#include "analysis/output/output_difference.h"

typedef struct bg_linearity {
    int n;             /* tensors: base->n_linears */
    double step;       /* t of the noise */
    double *kl;        /* [n] nats per unit of t² */
    double *log_ratio; /* [n] of ln PPL per unit of t² */
} bg_linearity;

/* Two short passes for each linear layer of the layers. bg_linearity_free, after failure too. */
int bg_linearity_measure(bg_model *base, const bg_corpus *t, double step, const bg_functional_options *o,
                         bg_linearity *out, bg_err *e);
void bg_linearity_free(bg_linearity *a);

/* What the sum over tensors foretells for a measured trial. */
void bg_linearity_predict(const bg_linearity *a, const bg_trial *v, double *kl, double *log_ratio);

typedef struct bg_linearity_fit {
    int n;
    double r2;    /* of ln(measured) against ln(predicted), about the line measured = predicted; NaN below 2 points */
    double worst; /* largest |predicted/measured − 1| */
    double holds_from_bits; /* least rate from which on every point is within `tolerance`; NaN: not even the highest */
} bg_linearity_fit;

/* Points with a measured or predicted value of 0 or less are left out. */
bg_linearity_fit bg_linearity_fit_of(const double *rate, const double *predicted, const double *measured, int n,
                                     double tolerance);

#endif
