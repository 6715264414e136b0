/* Owns the exact float32 value of every stored element type, and rounding to the 16- and 8-bit float types.
 *
 * A float type of e exponent and m mantissa bits is the top of a float32 with another bias: its magnitude bits, shifted
 * to float32's exponent, need only 127 − bias added to the exponent; subnormals are m·2^(1−bias−mantissa bits).
 * Arrays are decoded in blocks that are loaded whole before they are stored, so that `in` may lie in the tail of `out`.
 */
#include "io/base/dtype.h"

#include <math.h>

enum { BLOCK = 64 };

static inline float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline uint32_t to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

/* Magnitude of a small float without infinities; `special` is the exponent field of Inf and NaN, 0 for none. */
static inline uint32_t widen(uint32_t magnitude, unsigned mantissa, uint32_t bias, uint32_t special)
{
    uint32_t exponent = magnitude >> mantissa;
    uint32_t normal = (magnitude << (23 - mantissa)) + ((127 - bias) << 23);
    uint32_t subnormal = to_bits((float)(int32_t)magnitude * from_bits((128 - bias - mantissa) << 23));
    uint32_t out = exponent ? normal : subnormal;
    uint32_t huge = 0x7f800000u | (magnitude << (23 - mantissa));
    return special && exponent == special ? huge : out;
}

static inline float f16_value(uint16_t h)
{
    return from_bits(widen(h & 0x7fffu, 10, 15, 31) | (uint32_t)(h & 0x8000u) << 16);
}

static inline float e4m3_value(uint8_t b)
{
    uint32_t m = b & 0x7fu;
    return from_bits((m == 0x7f ? 0x7fc00000u : widen(m, 3, 7, 0)) | (uint32_t)(b & 0x80u) << 24);
}

static inline float e5m2_value(uint8_t b)
{
    return f16_value((uint16_t)(b << 8));
}

/* The "unsigned zero" kinds: the code of −0 is the only NaN. */
static inline float fnuz_value(uint8_t b, unsigned mantissa, uint32_t bias)
{
    uint32_t bits = widen(b & 0x7fu, mantissa, bias, 0) | (uint32_t)(b & 0x80u) << 24;
    return from_bits(b == 0x80 ? 0x7fc00000u : bits);
}

static inline float e8m0_value(uint8_t b)
{
    uint32_t normal = b == 255 ? 0x7fc00000u : (uint32_t)b << 23;
    return from_bits(b ? normal : 0x00400000u); /* 2^−127 is subnormal in float32 */
}

float bg_f16_to_f32(uint16_t h)
{
    return f16_value(h);
}

float bg_e4m3_to_f32(uint8_t b)
{
    return e4m3_value(b);
}

float bg_e5m2_to_f32(uint8_t b)
{
    return e5m2_value(b);
}

float bg_e8m0_to_f32(uint8_t b)
{
    return e8m0_value(b);
}

float bg_e2m1_to_f32(uint8_t code)
{
    static const float values[16] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};
    return values[code & 15];
}

uint16_t bg_f32_to_bf16(float f)
{
    uint32_t u = to_bits(f);
    if (isnan(f))
        return (uint16_t)((u >> 16) | 64);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

/* Rounds |f| to `mantissa` bits at exponent bias `bias`, nearest even, subnormals included; a carry moves into the
 * exponent by itself. The caller handles what lies beyond the largest value. */
static uint32_t narrow(float f, unsigned mantissa, int bias)
{
    uint32_t u = to_bits(f) & 0x7fffffffu;
    int exponent = (int)(u >> 23) - 127 + bias;
    unsigned drop = 23 - mantissa;
    uint32_t m = u & 0x7fffffu;
    if (exponent <= 0) { /* the hidden bit becomes explicit and the value shifts down to the common exponent */
        if (exponent < -(int)mantissa - 1)
            return 0;
        m |= 0x800000u;
        drop += (unsigned)(1 - exponent);
        exponent = 0;
    }
    uint32_t kept = m >> drop, rest = m & ((1u << drop) - 1), half = 1u << (drop - 1);
    kept += (uint32_t)exponent << mantissa;
    return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t bg_f32_to_f16(float f)
{
    uint16_t sign = (uint16_t)((to_bits(f) >> 16) & 0x8000u);
    if (isnan(f))
        return sign | 0x7e00;
    if (fabsf(f) >= 65520.0f)
        return sign | 0x7c00;
    return sign | (uint16_t)narrow(f, 10, 15);
}

uint8_t bg_f32_to_e4m3(float f)
{
    uint8_t sign = (uint8_t)((to_bits(f) >> 24) & 0x80u);
    if (isnan(f))
        return sign | 0x7f;
    return sign | (fabsf(f) >= 448.0f ? 0x7e : (uint8_t)narrow(f, 3, 7));
}

uint8_t bg_f32_to_e5m2(float f)
{
    uint8_t sign = (uint8_t)((to_bits(f) >> 24) & 0x80u);
    if (isnan(f))
        return sign | 0x7f;
    return sign | (fabsf(f) >= 57344.0f ? 0x7b : (uint8_t)narrow(f, 2, 15));
}

/* One decoder: loads a block, then stores it. */
#define DECODER(name, type, expression)                                                                                \
    static void decode_##name(const void *in, float *out, size_t n)                                                    \
    {                                                                                                                  \
        const char *from = in;                                                                                         \
        type block[BLOCK];                                                                                             \
        float values[BLOCK];                                                                                           \
        size_t i = 0;                                                                                                  \
        for (; i + BLOCK <= n; i += BLOCK) {                                                                           \
            memcpy(block, from + i * sizeof *block, sizeof block);                                                     \
            for (int k = 0; k < BLOCK; k++) {                                                                          \
                type x = block[k];                                                                                     \
                values[k] = expression;                                                                                \
            }                                                                                                          \
            memcpy(out + i, values, sizeof values);                                                                    \
        }                                                                                                              \
        for (; i < n; i++) {                                                                                           \
            type x;                                                                                                    \
            memcpy(&x, from + i * sizeof x, sizeof x);                                                                 \
            out[i] = expression;                                                                                       \
        }                                                                                                              \
    }

DECODER(f64, double, (float)x)
DECODER(f16, uint16_t, f16_value(x))
DECODER(bf16, uint16_t, from_bits((uint32_t)x << 16))
DECODER(e4m3, uint8_t, e4m3_value(x))
DECODER(e5m2, uint8_t, e5m2_value(x))
DECODER(e8m0, uint8_t, e8m0_value(x))
DECODER(e4m3fnuz, uint8_t, fnuz_value(x, 3, 8))
DECODER(e5m2fnuz, uint8_t, fnuz_value(x, 2, 16))
DECODER(i64, int64_t, (float)x)
DECODER(i32, int32_t, (float)x)
DECODER(i16, int16_t, (float)x)
DECODER(i8, int8_t, (float)x)
DECODER(u64, uint64_t, (float)x)
DECODER(u32, uint32_t, (float)x)
DECODER(u16, uint16_t, (float)x)
DECODER(u8, uint8_t, (float)x)
DECODER(boolean, uint8_t, x ? 1.0f : 0.0f)

static void decode_f32(const void *in, float *out, size_t n)
{
    memmove(out, in, n * sizeof *out);
}

const bg_dtype_row bg_dtypes[BG_DTYPES] = {
    [BG_F64] = {"F64", 64, 1, decode_f64},
    [BG_F32] = {"F32", 32, 1, decode_f32},
    [BG_F16] = {"F16", 16, 1, decode_f16},
    [BG_BF16] = {"BF16", 16, 1, decode_bf16},
    [BG_F8_E4M3] = {"F8_E4M3", 8, 1, decode_e4m3},
    [BG_F8_E5M2] = {"F8_E5M2", 8, 1, decode_e5m2},
    [BG_F8_E8M0] = {"F8_E8M0", 8, 1, decode_e8m0},
    [BG_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8, 1, decode_e4m3fnuz},
    [BG_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8, 1, decode_e5m2fnuz},
    [BG_I64] = {"I64", 64, 0, decode_i64},
    [BG_I32] = {"I32", 32, 0, decode_i32},
    [BG_I16] = {"I16", 16, 0, decode_i16},
    [BG_I8] = {"I8", 8, 0, decode_i8},
    [BG_U64] = {"U64", 64, 0, decode_u64},
    [BG_U32] = {"U32", 32, 0, decode_u32},
    [BG_U16] = {"U16", 16, 0, decode_u16},
    [BG_U8] = {"U8", 8, 0, decode_u8},
    [BG_BOOLEAN] = {"BOOL", 8, 0, decode_boolean},
    [BG_C64] = {"C64", 64, 0, NULL},
    [BG_F4] = {"F4", 4, 0, NULL},
    [BG_F6_E2M3] = {"F6_E2M3", 6, 0, NULL},
    [BG_F6_E3M2] = {"F6_E3M2", 6, 0, NULL},
    [BG_PACKED] = {"packed", 0, 0, NULL},
};

bg_dtype bg_dtype_find(const char *name)
{
    for (int i = 0; i < BG_PACKED; i++)
        if (!strcmp(bg_dtypes[i].name, name))
            return (bg_dtype)i;
    return BG_DTYPES;
}
