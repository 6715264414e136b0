/* Floating-point grids: a sign, a few exponent and mantissa bits, scaled so that the largest weight is the largest
 * level.
 *
 *     bnb    bitsandbytes' FP4: ±{0, 1/192, 1/6, 1/4, 1/3, 1/2, 2/3, 1}
 *     e2m1   OCP Microscaling v1.0, MXFP4 and NVFP4: ±{0, ½, 1, 1½, 2, 3, 4, 6}
 *     e2m3, e3m2, e4m3, e5m2  the OCP 6- and 8-bit formats; e4m3 has no infinity (largest 448)
 * Zero and minus zero are one level but two codes: the rate counts all bits of the code.
 * MX blocks: scope=32, scale=e8m0; NVFP4: scope=16, scale=e4m3 under one float32 scale of the tensor.
 */
#include <math.h>
#include <string.h>
#include "quant/scope/scope.h"

static const float bnb[8] = {
    0, 0.0052083334885537624f, 0.1666666716337204f, 0.25f, 0.3333333432674408f, 0.5f, 0.6666666865348816f, 1};

typedef enum fp_kind { FP_BNB, FP_E2M1, FP_E2M3, FP_E3M2, FP_E4M3, FP_E5M2 } fp_kind;

typedef struct fp_params {
    int kind; /* fp_kind */
} fp_params;

typedef struct format {
    int exponent_bits, mantissa_bits;
    float largest; /* codes above it are no numbers */
} format;

static const format formats[] = {
    [FP_E2M1] = {2, 1, 6},   [FP_E2M3] = {2, 3, 7.5f},  [FP_E3M2] = {3, 2, 28},
    [FP_E4M3] = {4, 3, 448}, [FP_E5M2] = {5, 2, 57344},
};

static fp_kind kind_of(const bg_spec *s)
{
    return (fp_kind)((const fp_params *)bg_grid_params(s))->kind;
}

/* Magnitudes in ascending order, 0 first; returns how many. */
static int magnitudes(fp_kind kind, float *out)
{
    if (kind == FP_BNB) {
        memcpy(out, bnb, sizeof bnb);
        return 8;
    }
    const format *f = &formats[kind];
    int bias = (1 << (f->exponent_bits - 1)) - 1, n = 0;
    for (int code = 0; code < 1 << (f->exponent_bits + f->mantissa_bits); code++) {
        int exponent = code >> f->mantissa_bits, mantissa = code & ((1 << f->mantissa_bits) - 1);
        float fraction = (float)mantissa / (float)(1 << f->mantissa_bits);
        float value = exponent ? ldexpf(1 + fraction, exponent - bias) : ldexpf(fraction, 1 - bias);
        if (value <= f->largest)
            out[n++] = value;
    }
    return n;
}

static int fit(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e)
{
    (void)e;
    float magnitude[128];
    int n = magnitudes(kind_of(s), magnitude), K = 2 * n - 1;
    double largest = st->max > -st->min ? st->max : -st->min;
    for (int i = 0; i < n; i++) {
        levels[n - 1 + i] = magnitude[i];
        levels[n - 1 - i] = i ? -magnitude[i] : 0;
    }
    for (int k = 0; k + 1 < K; k++)
        cuts[k] = 0.5f * (levels[k] + levels[k + 1]);
    *out = (bg_code){.K = K, .scale = (float)(largest / (double)magnitude[n - 1]), .levels = levels, .cuts = cuts};
    return BG_OK;
}

static double bits(const bg_spec *s)
{
    fp_kind kind = kind_of(s);
    return kind == FP_BNB || kind == FP_E2M1 ? 4 : kind == FP_E2M3 || kind == FP_E3M2 ? 6 : 8;
}

static const char *bitsandbytes(const bg_spec *s)
{
    return kind_of(s) == FP_BNB ? "fp4" : NULL;
}

static const bg_key keys[] = {
    {.name = "kind",
     .type = BG_KEY_WORD,
     .words = "bnb|e2m1|e2m3|e3m2|e4m3|e5m2",
     .default_text = "e2m1",
     .help = "the format",
     BG_PARAM(fp_params, kind)},
    {.name = "scale",
     .type = BG_KEY_WORD,
     .words = "f32|f16|bf16|e8m0|e4m3",
     .default_text = "f16",
     .help = "storage type of the block scales"},
    {.name = "double",
     .type = BG_KEY_BOOL,
     .default_text = "false",
     .help = "block scales quantized to 8 bits in blocks of 256 (double quantization)",
     BG_SPEC_PARAM(double_quantized)},
    {0},
};

const bg_grid bg_grid_fp = {
    .name = "fp",
    .title = "floating-point codes: FP4, MXFP4, NVFP4, FP6, FP8",
    .paper = "OCP Microscaling Formats v1.0; OCP 8-bit Floating Point v1.0; bitsandbytes (Dettmers et al. 2023)",
    .family = "non-uniform",
    .keys = keys,
    .refuses = "bits levels zero clip",
    .default_scope = "64",
    .kind = BG_GRID_SCALAR,
    .flags = BG_GRID_FLAT,
    .bits = bits,
    .fit = fit,
    .bitsandbytes = bitsandbytes,
};
