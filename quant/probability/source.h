/* Sources: probability laws with known answers, as synthetic checkpoints.
 *
 *     source:gaussian                     the density itself (no sampling)
 *     source:laplace,n=1048576,seed=1     samples; the weight at index i depends on seed and i only
 *     source:ggd,shape=0.7 · source:student,nu=5 · source:ar1,rho=0.9,n=1048576 · source:outliers,share=0.001 ·
 * source:uniform · source:logistic
 *
 * Every law has mean 0 and variance 1; `sigma=` scales it. `cols=` sets the matrix width (default: the largest power of
 * two up to 4096 that divides n).
 */
#ifndef BG_QUANT_PROBABILITY_SOURCE_H
#define BG_QUANT_PROBABILITY_SOURCE_H

#include "io/base/error.h"
#include <stdint.h>

typedef struct bg_distribution {
    const char *name, *help;
    double shape;          /* β of ggd, ν of student, ρ of ar1, share of outliers; 0 where there is none */
    const char *shape_key; /* "shape", "nu", "rho", "share"; NULL */
    int memoryless;
    double (*pdf)(const struct bg_distribution *l, double x);
    double (*cdf)(const struct bg_distribution *l, double x);
    double (*quantile)(const struct bg_distribution *l, double p);
    /* ∫_{−∞}^{x} t·pdf dt and ∫_{−∞}^{x} t²·pdf dt */
    double (*moment1)(const struct bg_distribution *l, double x);
    double (*moment2)(const struct bg_distribution *l, double x);
    double (*entropy_bits)(
        const struct bg_distribution *l); /* differential entropy a sample at unit variance (of ar1: the rate) */
    double (*kurtosis_excess)(const struct bg_distribution *l); /* NaN where it does not exist */
} bg_distribution;

/* All laws with their default shapes, ending with a NULL name. Every law is symmetric about 0. */
extern const bg_distribution bg_distributions[];
/* By name, with its default shape; NULL when unknown. */
const bg_distribution *bg_distribution_find(const char *name);

typedef struct bg_source {
    bg_distribution distribution; /* with the shape asked for */
    double sigma;
    int64_t n, cols; /* n 0: the density */
    uint64_t seed;
} bg_source;

/* `text` is what follows "source:". BG_USAGE with the nearest name for an unknown law or key. */
int bg_source_parse(const char *text, bg_source *out, bg_err *e);
/* Samples [first, first+n) of the source, in order. */
void bg_source_samples(const bg_source *s, int64_t first, int64_t n, float *out);

/* Uniform in (0,1), the same for the same (seed, index): the program's only generator. */
double bg_uniform_at(uint64_t seed, uint64_t index);
/* 64 random bits, likewise (splitmix64 finaliser over seed and index). */
uint64_t bg_bits_at(uint64_t seed, uint64_t index);

#endif
