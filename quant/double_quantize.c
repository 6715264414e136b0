/* Double quantization: block maxima to 8 bits (Dettmers et al. 2023, QLoRA; Dettmers et al. 2022, arXiv 2110.02861).
 *
 * The mean of the maxima is subtracted; blocks of 256 of the rest are scaled by their own largest magnitude and rounded to
 * the signed dynamic map: for i = 0…6, the midpoints of 2^i equal intervals of [0.1, 1], times ±10^(i−6), and 0 and 1.
 */
#include <math.h>
#include <stdlib.h>
#include "quant/engine.h"

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void dynamic_map(float *map)
{
    int n = 0;
    map[n++] = 0;
    map[n++] = 1;
    for (int i = 0; i < 7; i++) {
        int intervals = 1 << i;
        for (int j = 0; j < intervals; j++) {
            float a = (float)(0.1 + 0.9 * j / intervals), b = (float)(0.1 + 0.9 * (j + 1) / intervals);
            float value = (float)(pow(10, i - 6) * (double)((a + b) / 2));
            map[n++] = value;
            map[n++] = -value;
        }
    }
    qsort(map, (size_t)n, sizeof *map, ascending);
}

static float nearest(const float *map, float x)
{
    int low = 0, high = 255;
    while (low < high) { /* the first value that is not below x */
        int middle = (low + high) / 2;
        if (map[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && x - map[low - 1] <= map[low] - x ? map[low - 1] : map[low];
}

void bg_double_quantize(float *scales, size_t n)
{
    float map[256];
    double sum = 0;
    dynamic_map(map);
    for (size_t i = 0; i < n; i++)
        sum += (double)scales[i];
    float offset = n ? (float)(sum / (double)n) : 0;
    for (size_t first = 0; first < n; first += BG_DOUBLE_BLOCK) {
        size_t end = first + BG_DOUBLE_BLOCK < n ? first + BG_DOUBLE_BLOCK : n;
        float largest = 0;
        for (size_t i = first; i < end; i++)
            largest = fmaxf(largest, fabsf(scales[i] - offset));
        for (size_t i = first; i < end; i++) {
            float scaled = largest > 0 ? (scales[i] - offset) / largest : 0;
            float product = nearest(map, scaled) * largest;
            scales[i] = product + offset;
        }
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
    if (bg_spec_is(s, "double", "true"))
        bg_double_quantize(scales, n);
    else
        e4m3_scales(scales, n);
}
