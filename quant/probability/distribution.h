/* Probability distributions with known answers: mean 0, variance 1, symmetric about 0, everything in closed form. */
#ifndef BG_QUANT_PROBABILITY_DISTRIBUTION_H
#define BG_QUANT_PROBABILITY_DISTRIBUTION_H

#include <stdint.h>

typedef struct bg_distribution {
    const char *name, *help;
    double shape;          /* β of ggd, ν of student, ρ of ar1, share of outliers; 0 where there is none */
    const char *shape_key; /* "shape", "nu", "rho", "share"; NULL: there is none */
    double shape_min, shape_max;
    int memoryless; /* 0: samples depend on each other, and pdf, cdf, … are those of a single one */
    double (*pdf)(const struct bg_distribution *d, double x);
    double (*cdf)(const struct bg_distribution *d, double x);
    double (*quantile)(const struct bg_distribution *d, double p);
    /* ∫_{−∞}^{x} t·pdf dt and ∫_{−∞}^{x} t²·pdf dt */
    double (*moment1)(const struct bg_distribution *d, double x);
    double (*moment2)(const struct bg_distribution *d, double x);
    /* Differential entropy at unit variance, bits per sample (of ar1: the entropy rate). */
    double (*entropy_bits)(const struct bg_distribution *d);
    /* Kurtosis minus 3; NaN where it does not exist. */
    double (*kurtosis_excess)(const struct bg_distribution *d);
    /* The sample at an index, the same for the same (seed, index); NULL when not memoryless. */
    double (*sample)(const struct bg_distribution *d, uint64_t seed, uint64_t index);
} bg_distribution;

/* All distributions with their default shapes, ending with a NULL name. */
extern const bg_distribution bg_distributions[];
/* By name, with its default shape; NULL when unknown. Copy it to set another shape. */
const bg_distribution *bg_distribution_find(const char *name);

#endif
