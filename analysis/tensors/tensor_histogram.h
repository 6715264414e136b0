/* Every weight of a tensor as a weighted histogram, read in one pass, with what does not belong in one counted beside.
 */
#ifndef BG_ANALYSIS_TENSORS_TENSOR_HISTOGRAM_H
#define BG_ANALYSIS_TENSORS_TENSOR_HISTOGRAM_H

#include "io/checkpoints/checkpoint.h"
#include "quant/kernel/histogram.h"

enum { BG_EXACT_WEIGHTS = 1 << 24, BG_BINS = 1 << 16 };

typedef struct bg_tensor_hist {
    bg_hist hist; /* of the finite weights; of a density, its bins */
    uint64_t zeros, nans, infs;
    int mantissa_bits; /* of the stored type: 7 BF16, 10 F16, 23 otherwise */
    const char *note;  /* a literal, or NULL: what is not exact, or why there is nothing */
} bg_tensor_hist;

/* 16-bit tensors are counted by code, exactly. Other types are sorted, exactly, up to BG_EXACT_WEIGHTS weights; above,
 * they are counted in BG_BINS equal bins between the extremes, each at its mean. Same digits for any number of threads.
 * The caller frees with bg_tensor_hist_free. */
int bg_tensor_hist_read(const bg_tensor *t, bg_tensor_hist *out, bg_err *e);
void bg_tensor_hist_free(bg_tensor_hist *h);

typedef struct bg_statistics {
    uint64_t weights;                 /* finite ones */
    double mean, sigma2;              /* population */
    double skewness, kurtosis_excess; /* NaN where σ² = 0 */
    double min, max, max_over_sigma;
    double entropy_bits, differential_entropy_bits, ggd_shape;
    uint64_t distinct;
} bg_statistics;

/* NaN stands for what does not exist. */
void bg_statistics_of(const bg_hist *h, int mantissa_bits, bg_statistics *out);

/* Two histograms of atoms as one; *sum is replaced. */
int bg_hist_add(bg_hist *sum, const bg_hist *h, bg_err *e);

#endif
