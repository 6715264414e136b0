/* NormalFloat: levels at equal-mass quantiles of N(0,1), scaled so that the ends are ±1, with an exact 0.
 *
 * For b bits, 2^(b−1) levels are positive: Φ⁻¹ at 2^(b−1)+1 equally spaced points from 1−δ down to ½ (½ dropped), one
 * fewer negative; δ = ½(1/2^(b+1) + 1/(2^(b+1)−2)); all divided by Φ⁻¹(1−δ). At 4 bits these are the 16 numbers that
 * bitsandbytes ships (its float32 constants are used). Dettmers et al. 2023 (QLoRA), arXiv 2305.14314, section 3.
 * Check: blocks of 64 on N(0,1): mse 0.008460.
 */
#include <gsl/gsl_cdf.h>
#include <string.h>
#include "quant/scope/scope.h"

static const float nf4[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

static void quantile_levels(int bits, float *levels)
{
    int half = 1 << (bits - 1);
    double wide = 2.0 * (1 << bits), tail = 0.5 * (1 / wide + 1 / (wide - 2)), top = gsl_cdf_ugaussian_Pinv(1 - tail);
    for (int i = 0; i < half; i++) {
        double p = 0.5 + (0.5 - tail) * (i + 1) / half;
        levels[half + i] = (float)(gsl_cdf_ugaussian_Pinv(p) / top);
    }
    levels[half - 1] = 0;
    for (int i = 0; i < half - 1; i++) {
        double p = 0.5 + (0.5 - tail) * (half - 1 - i) / (half - 1);
        levels[i] = (float)(-gsl_cdf_ugaussian_Pinv(p) / top);
    }
}

static int fit(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e)
{
    (void)e;
    int bits = (int)s->bits, K = 1 << bits;
    double largest = st->max > -st->min ? st->max : -st->min;
    if (bits == 4)
        memcpy(levels, nf4, sizeof nf4);
    else
        quantile_levels(bits, levels);
    for (int k = 0; k + 1 < K; k++)
        cuts[k] = 0.5f * (levels[k] + levels[k + 1]);
    *out = (bg_code){.K = K, .scale = (float)largest, .levels = levels, .cuts = cuts};
    return BG_OK;
}

static const char *bitsandbytes(const bg_spec *s)
{
    return s->points == 16 ? "nf4" : NULL;
}

static const bg_key keys[] = {
    {.name = "bits", .type = BG_KEY_INTEGER, .min = 2, .max = 8, .default_text = "4", .help = "index bits a weight"},
    {.name = "scale",
     .type = BG_KEY_WORD,
     .words = "f32|f16|bf16|e8m0|e4m3",
     .default_text = "f32",
     .help = "storage type of the block maxima"},
    {.name = "double",
     .type = BG_KEY_BOOL,
     .default_text = "false",
     .help = "block maxima quantized to 8 bits in blocks of 256 (double quantization)",
     BG_SPEC_PARAM(double_quantized)},
    {0},
};

const bg_grid bg_grid_nf = {
    .name = "nf",
    .title = "NormalFloat: quantiles of a Gaussian",
    .paper = "Dettmers et al. 2023 (QLoRA), arXiv 2305.14314, section 3",
    .family = "non-uniform",
    .keys = keys,
    .refuses = "levels zero clip",
    .default_scope = "64",
    .kind = BG_GRID_SCALAR,
    .flags = BG_GRID_FLAT,
    .fit = fit,
    .bitsandbytes = bitsandbytes,
};
