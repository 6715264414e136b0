/* Owns the constants of bitsandbytes and the 8-bit form of block maxima. */
#include "io/checkpoints/formats/bitsandbytes_tables.h"

#include <math.h>
#include <stdlib.h>

const float bg_nf4_levels[16] = {-1,
                                 -0.6961928009986877f,
                                 -0.5250730514526367f,
                                 -0.39491748809814453f,
                                 -0.28444138169288635f,
                                 -0.18477343022823334f,
                                 -0.09105003625154495f,
                                 0,
                                 0.07958029955625534f,
                                 0.16093020141124725f,
                                 0.24611230194568634f,
                                 0.33791524171829224f,
                                 0.44070982933044434f,
                                 0.5626170039176941f,
                                 0.7229568362236023f,
                                 1};

const float bg_fp4_levels[16] = {
    0, 0.0052083334885537624f,  0.6666666865348816f,  1,  0.3333333432674408f,  0.5f,  0.1666666716337204f,  0.25f,
    0, -0.0052083334885537624f, -0.6666666865348816f, -1, -0.3333333432674408f, -0.5f, -0.1666666716337204f, -0.25f};

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Boundary m of `intervals` equal ones in [0.1, 1], in float32 from the nearer end, as torch.linspace makes them (with
 * fused products). */
static float boundary(int m, int intervals)
{
    float step = (1.0f - 0.1f) / (float)intervals;
    return m < (intervals + 1) / 2 ? fmaf(step, (float)m, 0.1f) : fmaf(-step, (float)(intervals - m), 1.0f);
}

void bg_bnb_dynamic_map(float out[256])
{
    int n = 0;
    for (int i = 0; i < 7; i++) {
        int intervals = 1 << i;
        float power = (float)pow(10, i - 6);
        for (int m = 0; m < intervals; m++) {
            float middle = (boundary(m, intervals) + boundary(m + 1, intervals)) / 2;
            out[n++] = power * middle;
            out[n++] = -power * middle;
        }
    }
    out[n++] = 0;
    out[n++] = 1;
    qsort(out, 256, sizeof *out, by_value);
}

/* Of two equally near the lower. */
static uint8_t nearest(const float *map, float x)
{
    int low = 0, high = 255;
    while (low < high) { /* the first value that is not below x */
        int middle = (low + high) / 2;
        if (map[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)(low > 0 && x - map[low - 1] <= map[low] - x ? low - 1 : low);
}

float bg_bnb_offset(const float *absmax, int64_t n)
{
    double sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (double)absmax[k];
    return n ? (float)(sum / (double)n) : 0;
}

float bg_bnb_nest(const float *absmax, int n, const float map[256], float offset, uint8_t *bytes)
{
    float most = 0;
    for (int i = 0; i < n; i++)
        most = fmaxf(most, fabsf(absmax[i] - offset));
    for (int i = 0; i < n; i++)
        bytes[i] = nearest(map, most > 0 ? (absmax[i] - offset) / most : 0);
    return most;
}

float bg_bnb_unnest(const float map[256], uint8_t byte, float nested, float offset)
{
    float product = map[byte] * nested;
    return product + offset;
}
