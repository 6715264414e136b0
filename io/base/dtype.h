/* Number formats: the float and integer types a checkpoint stores, and their exact values in float32.
 *
 * Sources: OCP 8-bit floating point specification (E4M3, E5M2), OCP Microscaling v1.0 (E8M0, E2M1), safetensors dtype
 * list.
 */
#ifndef BG_IO_BASE_DTYPE_H
#define BG_IO_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum bg_dtype {
    BG_F64,
    BG_F32,
    BG_F16,
    BG_BF16,
    BG_F8_E4M3,
    BG_F8_E5M2,
    BG_F8_E8M0,
    BG_F8_E4M3FNUZ,
    BG_F8_E5M2FNUZ,
    BG_I64,
    BG_I32,
    BG_I16,
    BG_I8,
    BG_U64,
    BG_U32,
    BG_U16,
    BG_U8,
    BG_BOOLEAN,
    BG_C64,
    BG_F4,
    BG_F6_E2M3,
    BG_F6_E3M2,
    BG_PACKED, /* no plain elements: a quantized format's own layout */
    BG_DTYPES
} bg_dtype;

typedef struct bg_dtype_row {
    const char *name; /* as safetensors spells it */
    unsigned bits;    /* per element */
    int is_float;     /* its values are weights */
    /* Decodes n elements to float32 exactly (F64 and wide integers round once); NULL where only the size is known. `in`
     * needs no alignment and may be the last n·bits/8 bytes of `out` when an element is no wider than a float. */
    void (*decode)(const void *in, float *out, size_t n);
} bg_dtype_row;

extern const bg_dtype_row bg_dtypes[BG_DTYPES];
/* BG_DTYPES when unknown. */
bg_dtype bg_dtype_find(const char *name);

static inline float bg_bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float bg_f16_to_f32(uint16_t h);
/* Nearest even; F16 overflows to Inf at 65520 and makes subnormals; NaN stays NaN. */
uint16_t bg_f32_to_f16(float f);
uint16_t bg_f32_to_bf16(float f);
/* Nearest even with saturation to ±448 / ±57344; NaN stays NaN. */
uint8_t bg_f32_to_e4m3(float f);
uint8_t bg_f32_to_e5m2(float f);
float bg_e4m3_to_f32(uint8_t b);
float bg_e5m2_to_f32(uint8_t b);
float bg_e8m0_to_f32(uint8_t b);
/* E2M1, low four bits of `code`; code 8 is −0. */
float bg_e2m1_to_f32(uint8_t code);

#endif
