/* Differential entropy from samples, in bits. Estimators: Vasicek 1976; Kozachenko and Leonenko 1987; Miller 1955. */
#ifndef BG_ANALYSIS_BOUNDS_DIFFERENTIAL_ENTROPY_H
#define BG_ANALYSIS_BOUNDS_DIFFERENTIAL_ENTROPY_H

#include "quant/kernel/histogram.h"

/* Mean of log2(n/(2m)·(x_(i+m) − x_(i−m))), indices clamped; sorted x[n]. −∞ with 2m ties. m ≈ √n/2. */
double bg_entropy_vasicek(const double *x, size_t n, size_t m);
/* ψ(n) − ψ(k) + ln 2 + mean ln d_k, d_k the distance to the k-th nearest neighbour; sorted x[n], n > k. */
double bg_entropy_kozachenko_leonenko(const double *x, size_t n, size_t k);
/* H + log2 width with bins [j·width − width/2, j·width + width/2); *discrete receives H, and *corrected adds Miller's
 * (bins − 1)/(2n ln 2); either may be NULL. */
double bg_entropy_histogram(const double *x, size_t n, double width, double *discrete, double *corrected);

/* Of weights stored with `mantissa_bits`: H + Σ p·log2 width, of these weights and not of a law they
 * may be drawn from (no correction for their number), so that a bound made of it is theirs. A bin is a power of two up
 * to σ/64 wide where that holds eight stored numbers or more, else one number and its spacing: spacings of the samples
 * are 0 at ties. Good for distortions far above the square of the widths. */
double bg_entropy_of_codes(const bg_hist *h, int mantissa_bits);

/* The four side by side, bits: of all stored codes; and the estimators for samples on at most BG_ENTROPY_SAMPLES draws
 * from the weights, each spread evenly over the spacing of its code, without which ties would send them to −∞. Their
 * standard error is about 0.7/√n nats. */
enum { BG_ENTROPY_SAMPLES = 1 << 15 };
typedef struct bg_entropies {
    size_t samples;
    double codes, vasicek, kozachenko_leonenko, miller_madow;
} bg_entropies;
int bg_entropies_of(const bg_hist *h, int mantissa_bits, uint64_t seed, bg_entropies *out, bg_err *e);

#endif
