/* Scales that stand under others: double quantization of block maxima as bitsandbytes does it (Dettmers et al. 2023,
 * QLoRA; io/checkpoints/formats/bitsandbytes_tables.h), and E4M3 scales under one of the tensor.
 */
#include <math.h>
#include "io/checkpoints/formats/bitsandbytes_tables.h"
#include "quant/scope/scope.h"

void bg_double_quantize(float *scales, size_t n)
{
    float map[256], offset = bg_bnb_offset(scales, (int64_t)n);
    uint8_t bytes[BG_BNB_NESTED];
    bg_bnb_dynamic_map(map);
    for (size_t first = 0; first < n; first += BG_BNB_NESTED) {
        size_t length = n - first < BG_BNB_NESTED ? n - first : BG_BNB_NESTED;
        float largest = bg_bnb_nest(scales + first, (int)length, map, offset, bytes);
        for (size_t i = 0; i < length; i++)
            scales[first + i] = bg_bnb_unnest(map, bytes[i], largest, offset);
    }
}

static void e4m3_scales(float *scales, size_t n)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmaxf(largest, scales[i]);
    float unit = largest / 448;
    for (size_t i = 0; i < n && unit > 0; i++)
        scales[i] = bg_e4m3_to_f32(bg_f32_to_e4m3(scales[i] / unit)) * unit;
}

void bg_two_level_scales(const bg_spec *s, float *scales, size_t n)
{
    if (s->double_quantized)
        bg_double_quantize(scales, n);
    else
        e4m3_scales(scales, n);
}
