/* The lossless floor: how small 16-bit floats become without changing one of them.
 *
 * A code is sign, exponent and mantissa. Their order-0 entropies H(S), H(E), H(M) are floors for coders that take each
 * field by itself; H(M|E) and H(E|E of the weight to the left) say what contexts would add; H(code) is the floor of a
 * coder that takes whole numbers. Beside the floors stand two real coders, rANS with one static table a tensor,
 * everything counted and read back: `fields`, exponents coded, sign and mantissa as they are (what DFloat11 and ZipNN
 * do), and `codes`, whole numbers coded. Zhang and others 2025 (DFloat11), arXiv 2504.11651; Hershcovitch and others
 * 2024 (ZipNN), arXiv 2411.05239.
 */
#ifndef BG_ANALYSIS_CURVES_LOSSLESS_H
#define BG_ANALYSIS_CURVES_LOSSLESS_H

#include "quant/engine/quantize.h"

typedef struct bg_lossless {
    int exponent_bits, mantissa_bits; /* of the stored type: 8 and 7 (BF16), 5 and 10 (F16) */
    double sign, exponent, mantissa;  /* entropies, bits per weight */
    double mantissa_given_exponent;
    double exponent_given_left; /* the first of a row has a context of its own */
    double code;
    double fields_bits, codes_bits; /* written, bits per weight: streams, lengths and tables */
} bg_lossless;

/* Of a matrix whose rows come as 16-bit codes (m->codes16 is set, at least one weight). Two passes over its rows; NaN
 * and Inf are codes like others. Memory: a few megabytes a thread. */
int bg_lossless_of(const bg_matrix *m, bg_lossless *out, bg_err *e);

#endif
