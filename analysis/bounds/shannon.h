/* Bounds in closed form: Shannon 1959. */
#ifndef BG_ANALYSIS_BOUNDS_SHANNON_H
#define BG_ANALYSIS_BOUNDS_SHANNON_H

/* R(D) = ½·log2(σ²/D), at least 0: of the Gaussian, the hardest source of its variance. */
double bg_gaussian_rate_bits(double sigma2, double distortion);
/* D(R) = σ²·2^(−2R). */
double bg_gaussian_distortion(double sigma2, double rate_bits);
/* h − ½·log2(2πe·D), at least 0: no source of differential entropy h needs less. */
double bg_shannon_lower_bits(double differential_entropy_bits, double distortion);
/* R − ½·log2(σ²/D): bits above the Gaussian bound; negative where a source is easier than a Gaussian. */
double bg_gap_bits(double rate_bits, double sigma2, double distortion);

#endif
