/* The program's only random generator: every number is a function of a seed and an index. */
#ifndef BG_QUANT_PROBABILITY_RANDOM_H
#define BG_QUANT_PROBABILITY_RANDOM_H

#include <stdint.h>

/* 64 random bits, the same for the same (seed, index). */
uint64_t bg_bits_at(uint64_t seed, uint64_t index);
/* Uniform in (0, 1), likewise. */
double bg_uniform_at(uint64_t seed, uint64_t index);
/* Gaussian of mean 0 and variance 1, likewise. */
double bg_normal_at(uint64_t seed, uint64_t index);
/* Gamma variate of shape a > 0 and scale 1 from the stream `key`. */
double bg_gamma_of(uint64_t key, double a);

#endif
