/* One bit a weight: its sign, and a scale for each row, the mean of |w| (which is the least-squares choice).
 *
 *     cc -O2 -shared -fPIC sign.c -o sign.so $(pkg-config --cflags bitgap)
 *     bitgap curve MODEL -q exec:lib=./sign.so,bits=1
 *
 * Stored: rows × float32 scale, then the signs, eight a byte, row by row.
 */
#include <bitgap_quantizer.h>
#include <math.h>
#include <string.h>

static int encode(const bitgap_matrix *m, const float *w, uint8_t *stored, size_t room, size_t *bytes)
{
    size_t scales = m->rows * sizeof(float), n = m->rows * m->cols;
    *bytes = scales + (n + 7) / 8;
    if (*bytes > room)
        return 1;
    for (size_t r = 0; r < m->rows; r++) {
        double sum = 0;
        for (size_t c = 0; c < m->cols; c++)
            sum += fabs((double)w[r * m->cols + c]);
        float scale = (float)(sum / (double)m->cols);
        memcpy(stored + r * sizeof scale, &scale, sizeof scale);
    }
    for (size_t i = 0; i < n; i++)
        if (w[i] < 0)
            stored[scales + i / 8] |= (uint8_t)(1 << i % 8);
    return 0;
}

static int decode(const bitgap_matrix *m, const uint8_t *stored, size_t bytes, float *out)
{
    size_t scales = m->rows * sizeof(float), n = m->rows * m->cols;
    if (bytes != scales + (n + 7) / 8)
        return 1;
    for (size_t i = 0; i < n; i++) {
        float scale;
        memcpy(&scale, stored + i / m->cols * sizeof scale, sizeof scale);
        out[i] = stored[scales + i / 8] >> i % 8 & 1 ? -scale : scale;
    }
    return 0;
}

const bitgap_quantizer bitgap_quantizer_here = {BITGAP_QUANTIZER_ABI, encode, decode};
