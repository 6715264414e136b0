/* Owns the row operations of a forward pass: RMSNorm (Zhang & Sennrich 2019), LayerNorm (Ba et al. 2016), SiLU, GELU
 * (Hendrycks & Gimpel 2016), softmax with max subtraction, rotary positions (Su et al. 2021) and their scalings. */
#include "analysis/model/rows.h"

#include <math.h>
#include <string.h>

static const double two_pi = 6.283185307179586;

/* ---- norms ---- */

void bg_norm_row(bg_norm_kind kind, const float *x, const float *w, const float *b, int64_t n, double eps, float *y)
{
    double mean = 0, square = 0;
    if (kind >= BG_LAYER_NORM) {
#pragma omp simd reduction(+ : mean)
        for (int64_t i = 0; i < n; i++)
            mean += (double)x[i];
        mean /= (double)n;
    }
#pragma omp simd reduction(+ : square)
    for (int64_t i = 0; i < n; i++)
        square += ((double)x[i] - mean) * ((double)x[i] - mean);
    float centre = (float)mean, scale = (float)(1 / sqrt(square / (double)n + eps));
    for (int64_t i = 0; i < n; i++) {
        float v = (x[i] - centre) * scale;
        v = w ? v * w[i] : v;
        y[i] = b ? v + b[i] : v;
    }
}

/* ---- exp: 2^k·e^r with |r| ≤ ln2/2, e^r by its series to r⁷ (error below 4e-9 relative) ---- */

static inline float exp_of(float x)
{
    const float log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    const float shifter = 12582912.0f; /* 1.5·2^23: adding it rounds to a whole number */
    float given = x;
    x = x > 88.0f ? 88.0f : x;
    x = x > -87.0f ? x : -87.0f; /* NaN too: it must not reach the integer below */
    float k = (x * log2e + shifter) - shifter;
    float r = (x - k * ln2_high) - k * ln2_low;
    float p = 1.98412698e-4f;
    p = p * r + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)k + 127) * (1 << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return given == given ? p * power : given;
}

/* ---- activations ---- */

static inline float tanh_gelu(float x)
{
    float u = 0.797884561f * (x + 0.044715f * x * x * x);
    return x / (1 + exp_of(-2 * u)); /* ½x(1 + tanh u) */
}

void bg_activate(bg_activation f, float *x, const float *times, int64_t n)
{
    switch (f) {
    case BG_SILU:
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] / (1 + exp_of(-x[i]));
        break;
    case BG_GELU_TANH:
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            x[i] = tanh_gelu(x[i]);
        break;
    case BG_GELU_ERF:
        for (int64_t i = 0; i < n; i++)
            x[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.707106781f));
        break;
    case BG_RELU2:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] > 0 ? x[i] * x[i] : 0;
        break;
    default:
        for (int64_t i = 0; i < n; i++)
            x[i] = x[i] > 0 ? x[i] : 0;
    }
    for (int64_t i = 0; times && i < n; i++)
        x[i] *= times[i];
}

void bg_activate_ref(bg_activation f, float *x, const float *times, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double v = (double)x[i];
        if (f == BG_SILU)
            v = v / (1 + exp(-v));
        else if (f == BG_GELU_TANH)
            v = 0.5 * v * (1 + tanh(0.79788456080286536 * (v + 0.044715 * v * v * v)));
        else if (f == BG_GELU_ERF)
            v = 0.5 * v * (1 + erf(v * 0.70710678118654752));
        else
            v = v > 0 ? (f == BG_RELU2 ? v * v : v) : 0;
        x[i] = (float)(times ? v * (double)times[i] : v);
    }
}

static float softplus(float x)
{
    return x > 20 ? x : log1pf(expf(x));
}

void bg_xielu(float *x, int64_t n, float p, float negative, float beta, float eps)
{
    float above = softplus(p), below = beta + softplus(negative);
    for (int64_t i = 0; i < n; i++) {
        float v = x[i];
        x[i] = v > 0 ? above * v * v + beta * v : (expm1f(v < eps ? v : eps) - v) * below + beta * v;
    }
}

void bg_clamped_gate(float *gate, const float *up, int64_t n, float limit, float alpha)
{
    for (int64_t i = 0; i < n; i++) {
        float g = gate[i] < limit ? gate[i] : limit, u = up[i] < limit ? up[i] : limit;
        u = u > -limit ? u : -limit;
        gate[i] = (u + 1) * (g / (1 + exp_of(-alpha * g)));
    }
}

/* ---- softmax ---- */

static float largest(const float *x, int64_t n)
{
    float top = -INFINITY;
#pragma omp simd reduction(max : top)
    for (int64_t i = 0; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top;
}

double bg_softmax_row(float *x, int64_t n, int divide)
{
    float top = largest(x, n);
    double sum = 0;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] = exp_of(x[i] - top);
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    float by = (float)(1 / sum);
    for (int64_t i = 0; divide && i < n; i++)
        x[i] *= by;
    return sum;
}

double bg_softmax_row_ref(float *x, int64_t n, int divide)
{
    float top = largest(x, n);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - (double)top);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(exp((double)x[i] - (double)top) / (divide ? sum : 1));
    return sum;
}

void bg_softmax_sink_row(float *x, int64_t n, float sink)
{
    float top = largest(x, n);
    top = top > sink ? top : sink;
    double sum = exp((double)sink - (double)top);
    for (int64_t i = 0; i < n; i++)
        sum += (double)(x[i] = exp_of(x[i] - top));
    float by = (float)(1 / sum);
    for (int64_t i = 0; i < n; i++)
        x[i] *= by;
}

void bg_soft_cap(float *x, int64_t n, double cap)
{
    float c = (float)cap, by = (float)(1 / cap);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        x[i] = c - 2 * c / (exp_of(2 * x[i] * by) + 1); /* c·tanh(x/c) */
}

/* ---- rotary positions ---- */

static int stretched_length(const bg_rope_config *r, int64_t length)
{
    return (r->scaling == BG_ROPE_DYNAMIC && length > r->positions) ||
           (r->scaling == BG_ROPE_LONG && (double)length > r->original);
}

int64_t bg_rope_key(const bg_rope_config *r, int64_t length)
{
    if (!stretched_length(r, length))
        return 0;
    return r->scaling == BG_ROPE_LONG ? 1 : length;
}

/* llama3: long waves are slowed by the factor, short ones kept, those between blended. */
static double llama3_frequency(const bg_rope_config *r, double f)
{
    double wave = two_pi / f;
    if (wave < r->original / r->high)
        return f;
    if (wave > r->original / r->low)
        return f / r->factor;
    double s = (r->original / wave - r->low) / (r->high - r->low);
    return (1 - s) * f / r->factor + s * f;
}

double bg_rope_divisor(const bg_rope_config *r, int j)
{
    double f = pow(r->base, -2.0 * j / r->dims);
    return f / llama3_frequency(r, f);
}

/* yarn (Peng et al. 2023): the same by the number of turns within the original context. */
static double yarn_frequency(const bg_rope_config *r, double f, int j)
{
    double bound[2];
    for (int i = 0; i < 2; i++)
        bound[i] = r->dims * log(r->original / ((i ? r->beta_slow : r->beta_fast) * two_pi)) / (2 * log(r->base));
    double low = r->truncate ? floor(bound[0]) : bound[0], high = r->truncate ? ceil(bound[1]) : bound[1];
    low = low > 0 ? low : 0;
    high = high < r->dims - 1 ? high : r->dims - 1;
    if (low == high)
        high += 0.001;
    double ramp = (j - low) / (high - low);
    ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
    return f / r->factor * ramp + f * (1 - ramp);
}

static double frequency(const bg_rope_config *r, const float *divisors, int64_t length, int j)
{
    double base = r->base, d = r->dims;
    if (r->scaling == BG_ROPE_DYNAMIC && stretched_length(r, length) && d > 2)
        base *= pow(r->factor * (double)length / r->positions - (r->factor - 1), d / (d - 2));
    double f = r->scaling == BG_ROPE_PROPORTIONAL && j >= r->turning ? 0 : pow(base, -2.0 * j / d);
    if (divisors)
        return f / (double)divisors[j];
    switch (r->scaling) {
    case BG_ROPE_LINEAR:
    case BG_ROPE_PROPORTIONAL:
        return f / r->factor;
    case BG_ROPE_LLAMA3:
        return llama3_frequency(r, f);
    case BG_ROPE_YARN:
        return yarn_frequency(r, f, j);
    case BG_ROPE_LONG:
        return f / cJSON_GetArrayItem(stretched_length(r, length) ? r->long_factors : r->short_factors, j)->valuedouble;
    default:
        return f;
    }
}

void bg_rope_table(const bg_rope_config *r, const float *divisors, int64_t length, int64_t first, int64_t n,
                   float *cosines, float *sines)
{
    int half = r->dims / 2;
    float m = (float)r->attention_factor;
    for (int j = 0; j < half; j++) {
        float f = (float)frequency(r, divisors, length, j);
        for (int64_t p = 0; p < n; p++) {
            float angle = (float)(first + p) * f;
            cosines[p * half + j] = cosf(angle) * m;
            sines[p * half + j] = sinf(angle) * m;
        }
    }
}

void bg_rope_turn(const bg_rope_config *r, const float *c, const float *s, float *x)
{
    int half = r->dims / 2, step = r->kind == BG_ROPE_PAIRS ? 2 : 1, apart = r->kind == BG_ROPE_PAIRS ? 1 : half;
    for (int j = 0; j < half; j++) {
        float a = x[j * step], b = x[j * step + apart];
        x[j * step] = a * c[j] - b * s[j];
        x[j * step + apart] = b * c[j] + a * s[j];
    }
}
