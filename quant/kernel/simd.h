/* Eight floats at a time: the few operations the tuned kernels share, once for AVX2 with FMA and once in plain C.
 *
 * Both forms round identically (fused multiply-add is one rounding by definition, min and compare are exact), so a
 * result does not depend on which was compiled. min takes its second operand when either is NaN, as the instruction
 * does.
 */
#ifndef BG_QUANT_KERNEL_SIMD_H
#define BG_QUANT_KERNEL_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define BG_INLINE static inline __attribute__((always_inline))

typedef float bg_f8 __attribute__((vector_size(32)));
typedef int32_t bg_i8 __attribute__((vector_size(32)));
typedef double bg_d8 __attribute__((vector_size(64))); /* the compiler cuts it into what the machine has */
typedef float bg_f4 __attribute__((vector_size(16)));
typedef int32_t bg_i4 __attribute__((vector_size(16)));
typedef uint8_t bg_b16 __attribute__((vector_size(16)));
typedef uint16_t bg_h8 __attribute__((vector_size(16)));

BG_INLINE bg_f8 bg_f8_load(const float *p)
{
    bg_f8 v;
    memcpy(&v, p, sizeof v);
    return v;
}

BG_INLINE void bg_f8_store(float *p, bg_f8 v)
{
    memcpy(p, &v, sizeof v);
}

BG_INLINE bg_f8 bg_f8_all(float a)
{
    return (bg_f8){a, a, a, a, a, a, a, a};
}

BG_INLINE bg_i8 bg_i8_all(int32_t a)
{
    return (bg_i8){a, a, a, a, a, a, a, a};
}

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
/* c − a·b, one rounding */
BG_INLINE bg_f8 bg_f8_nfma(bg_f8 a, bg_f8 b, bg_f8 c)
{
    return (bg_f8)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
/* c + a·b, one rounding */
BG_INLINE bg_f8 bg_f8_fma(bg_f8 a, bg_f8 b, bg_f8 c)
{
    return (bg_f8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
BG_INLINE bg_f8 bg_f8_min(bg_f8 a, bg_f8 b)
{
    return (bg_f8)_mm256_min_ps((__m256)a, (__m256)b);
}
BG_INLINE bg_f8 bg_f8_max(bg_f8 a, bg_f8 b)
{
    return (bg_f8)_mm256_max_ps((__m256)a, (__m256)b);
}
/* nearest integer, ties to even */
BG_INLINE bg_f8 bg_f8_round(bg_f8 a)
{
    return (bg_f8)_mm256_round_ps((__m256)a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* lanes of a where mask is −1, of b where it is 0 */
BG_INLINE bg_i8 bg_i8_select(bg_i8 mask, bg_i8 a, bg_i8 b)
{
    return (bg_i8)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)mask);
}
/* bit l: lane l of mask is −1 */
BG_INLINE unsigned bg_i8_bits(bg_i8 mask)
{
    return (unsigned)_mm256_movemask_ps((__m256)mask);
}
/* lane l of the result is lane index[l] (0…7) of v */
/* the same inside each half of four: the low two bits of the index count; cheaper */
BG_INLINE bg_f8 bg_f8_among_four(bg_f8 v, bg_i8 index)
{
    return (bg_f8)_mm256_permutevar_ps((__m256)v, (__m256i)index);
}
#else
BG_INLINE bg_f8 bg_f8_nfma(bg_f8 a, bg_f8 b, bg_f8 c)
{
    for (int l = 0; l < 8; l++)
        c[l] = fmaf(-a[l], b[l], c[l]);
    return c;
}
BG_INLINE bg_f8 bg_f8_fma(bg_f8 a, bg_f8 b, bg_f8 c)
{
    for (int l = 0; l < 8; l++)
        c[l] = fmaf(a[l], b[l], c[l]);
    return c;
}
BG_INLINE bg_f8 bg_f8_min(bg_f8 a, bg_f8 b)
{
    for (int l = 0; l < 8; l++)
        b[l] = a[l] < b[l] ? a[l] : b[l];
    return b;
}
BG_INLINE bg_f8 bg_f8_max(bg_f8 a, bg_f8 b)
{
    for (int l = 0; l < 8; l++)
        b[l] = a[l] > b[l] ? a[l] : b[l];
    return b;
}
BG_INLINE bg_f8 bg_f8_round(bg_f8 a)
{
    for (int l = 0; l < 8; l++)
        a[l] = rintf(a[l]);
    return a;
}
BG_INLINE bg_i8 bg_i8_select(bg_i8 mask, bg_i8 a, bg_i8 b)
{
    return (a & mask) | (b & ~mask);
}
BG_INLINE unsigned bg_i8_bits(bg_i8 mask)
{
    unsigned bits = 0;
    for (int l = 0; l < 8; l++)
        bits |= (unsigned)(mask[l] & 1) << l;
    return bits;
}
BG_INLINE bg_f8 bg_f8_among_four(bg_f8 v, bg_i8 index)
{
    bg_f8 out = v;
    for (int l = 0; l < 8; l++)
        out[l] = v[(l & 4) | (index[l] & 3)];
    return out;
}
#endif

BG_INLINE bg_f8 bg_f8_either(bg_i8 mask, bg_f8 a, bg_f8 b)
{
    return (bg_f8)bg_i8_select(mask, (bg_i8)a, (bg_i8)b);
}
BG_INLINE bg_d8 bg_d8_from(bg_f8 v)
{
    return __builtin_convertvector(v, bg_d8);
}
BG_INLINE bg_f8 bg_d8_to(bg_d8 v)
{
    return __builtin_convertvector(v, bg_f8);
}

/* ---- four floats: what crosses lanes is cheap here ---- */

#if defined(__AVX2__) && defined(__FMA__)
BG_INLINE bg_f4 bg_f4_min(bg_f4 a, bg_f4 b)
{
    return (bg_f4)_mm_min_ps((__m128)a, (__m128)b);
}
#else
BG_INLINE bg_f4 bg_f4_min(bg_f4 a, bg_f4 b)
{
    for (int l = 0; l < 4; l++)
        b[l] = a[l] < b[l] ? a[l] : b[l];
    return b;
}
#endif

/* ---- eight unsigned 16-bit integers ---- */

BG_INLINE bg_h8 bg_h8_load(const uint16_t *p)
{
    bg_h8 v;
    memcpy(&v, p, sizeof v);
    return v;
}

BG_INLINE void bg_h8_store(uint16_t *p, bg_h8 v)
{
    memcpy(p, &v, sizeof v);
}

/* a0 b0 … a3 b3 and a4 b4 … a7 b7 */
BG_INLINE bg_h8 bg_h8_zip_low(bg_h8 a, bg_h8 b)
{
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
BG_INLINE bg_h8 bg_h8_zip_high(bg_h8 a, bg_h8 b)
{
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

#if defined(__AVX2__) && defined(__FMA__)
/* saturating */
BG_INLINE bg_h8 bg_h8_add(bg_h8 a, bg_h8 b)
{
    return (bg_h8)_mm_adds_epu16((__m128i)a, (__m128i)b);
}
BG_INLINE bg_h8 bg_h8_min(bg_h8 a, bg_h8 b)
{
    return (bg_h8)_mm_min_epu16((__m128i)a, (__m128i)b);
}
/* four numbers' bytes (0…7) put where `byte` says */
BG_INLINE bg_h8 bg_h8_spread(const uint16_t four[4], bg_b16 byte)
{
    return (bg_h8)_mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)four), (__m128i)byte);
}
/* bytes of v put where `byte` (0…15) says */
BG_INLINE bg_h8 bg_h8_shuffle(bg_h8 v, bg_b16 byte)
{
    return (bg_h8)_mm_shuffle_epi8((__m128i)v, (__m128i)byte);
}
/* the least lane, in all lanes */
BG_INLINE bg_h8 bg_h8_min_lane(bg_h8 v)
{
    return (bg_h8)_mm_broadcastw_epi16(_mm_minpos_epu16((__m128i)v));
}
/* bit l of the low byte: a[l] = b[l]; of the high byte: c[l] = d[l]; in memory the low byte comes first */
BG_INLINE uint16_t bg_h8_equal(bg_h8 a, bg_h8 b, bg_h8 c, bg_h8 d)
{
    __m128i x = _mm_cmpeq_epi16((__m128i)a, (__m128i)b), y = _mm_cmpeq_epi16((__m128i)c, (__m128i)d);
    return (uint16_t)_mm_movemask_epi8(_mm_packs_epi16(x, y));
}
#else
BG_INLINE bg_h8 bg_h8_add(bg_h8 a, bg_h8 b)
{
    bg_h8 sum = a + b;
    return sum | (bg_h8)(sum < a);
}
BG_INLINE bg_h8 bg_h8_min(bg_h8 a, bg_h8 b)
{
    bg_h8 less = (bg_h8)(a < b);
    return (a & less) | (b & ~less);
}
BG_INLINE bg_h8 bg_h8_spread(const uint16_t four[4], bg_b16 byte)
{
    bg_h8 out;
    for (int l = 0; l < 8; l++)
        out[l] = four[byte[2 * l] / 2];
    return out;
}
BG_INLINE bg_h8 bg_h8_shuffle(bg_h8 v, bg_b16 byte)
{
    bg_h8 out;
    for (int l = 0; l < 8; l++)
        out[l] = v[byte[2 * l] / 2];
    return out;
}
BG_INLINE bg_h8 bg_h8_min_lane(bg_h8 v)
{
    uint16_t low = v[0];
    for (int l = 1; l < 8; l++)
        low = v[l] < low ? v[l] : low;
    return (bg_h8){low, low, low, low, low, low, low, low};
}
BG_INLINE uint16_t bg_h8_equal(bg_h8 a, bg_h8 b, bg_h8 c, bg_h8 d)
{
    uint8_t bits[2] = {0, 0};
    uint16_t out;
    for (int l = 0; l < 8; l++) {
        bits[0] |= (uint8_t)((a[l] == b[l]) << l);
        bits[1] |= (uint8_t)((c[l] == d[l]) << l);
    }
    memcpy(&out, bits, sizeof out);
    return out;
}
#endif

/* ---- sixteen 16-bit integers, as unsigned metrics and as signed fixed-point numbers ---- */

typedef uint16_t bg_h16 __attribute__((vector_size(32)));
typedef int16_t bg_s16 __attribute__((vector_size(32)));

BG_INLINE bg_h16 bg_h16_load(const uint16_t *p)
{
    bg_h16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

BG_INLINE void bg_h16_store(uint16_t *p, bg_h16 v)
{
    memcpy(p, &v, sizeof v);
}

BG_INLINE bg_s16 bg_s16_load(const int16_t *p)
{
    bg_s16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

BG_INLINE bg_h16 bg_h16_all(uint16_t a)
{
    return (bg_h16){a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a};
}
BG_INLINE bg_s16 bg_s16_all(int16_t a)
{
    return (bg_s16)bg_h16_all((uint16_t)a);
}

#if defined(__AVX2__) && defined(__FMA__)
/* saturating */
BG_INLINE bg_h16 bg_h16_add(bg_h16 a, bg_h16 b)
{
    return (bg_h16)_mm256_adds_epu16((__m256i)a, (__m256i)b);
}
BG_INLINE bg_s16 bg_s16_add(bg_s16 a, bg_s16 b)
{
    return (bg_s16)_mm256_adds_epi16((__m256i)a, (__m256i)b);
}
BG_INLINE bg_s16 bg_s16_sub(bg_s16 a, bg_s16 b)
{
    return (bg_s16)_mm256_subs_epi16((__m256i)a, (__m256i)b);
}
/* v² / 2^16, rounded down */
BG_INLINE bg_h16 bg_s16_square(bg_s16 v)
{
    return (bg_h16)_mm256_mulhi_epi16((__m256i)v, (__m256i)v);
}
BG_INLINE bg_h16 bg_h16_min(bg_h16 a, bg_h16 b)
{
    return (bg_h16)_mm256_min_epu16((__m256i)a, (__m256i)b);
}
/* lanes of a where mask is all ones, of b where it is 0 */
BG_INLINE bg_h16 bg_h16_select(bg_h16 mask, bg_h16 a, bg_h16 b)
{
    return (bg_h16)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)mask);
}
/* lane l: number index[l] (0…7) of eight, as bytes 2·index, 2·index + 1 */
BG_INLINE bg_h16 bg_h16_among_eight(const uint16_t eight[8], bg_h16 bytes)
{
    __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)eight));
    return (bg_h16)_mm256_shuffle_epi8(v, (__m256i)bytes);
}
/* lane l: number bytes[l]/2 of four */
BG_INLINE bg_h16 bg_h16_among_four(const uint16_t four[4], bg_h16 bytes)
{
    int64_t all;
    memcpy(&all, four, sizeof all);
    return (bg_h16)_mm256_shuffle_epi8(_mm256_set1_epi64x(all), (__m256i)bytes);
}
/* a0 b0 a1 b1 … to p[32] */
BG_INLINE void bg_h16_store_zipped(uint16_t *p, bg_h16 a, bg_h16 b)
{
    __m256i low = _mm256_unpacklo_epi16((__m256i)a, (__m256i)b), high = _mm256_unpackhi_epi16((__m256i)a, (__m256i)b);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(low));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_castsi256_si128(high));
    _mm_storeu_si128((__m128i *)(p + 16), _mm256_extracti128_si256(low, 1));
    _mm_storeu_si128((__m128i *)(p + 24), _mm256_extracti128_si256(high, 1));
}
/* four bytes in memory order: bits l of a[l] = b[l] for l < 8, of c[l] = d[l] for l < 8, then both for l ≥ 8 */
BG_INLINE uint32_t bg_h16_equal(bg_h16 a, bg_h16 b, bg_h16 c, bg_h16 d)
{
    __m256i x = _mm256_cmpeq_epi16((__m256i)a, (__m256i)b), y = _mm256_cmpeq_epi16((__m256i)c, (__m256i)d);
    return (uint32_t)_mm256_movemask_epi8(_mm256_packs_epi16(x, y));
}
/* lanes, each 0…255, as bytes in order */
BG_INLINE bg_b16 bg_h16_bytes(bg_h16 v)
{
    return (bg_b16)_mm_packus_epi16(_mm256_castsi256_si128((__m256i)v), _mm256_extracti128_si256((__m256i)v, 1));
}
#else
BG_INLINE bg_h16 bg_h16_add(bg_h16 a, bg_h16 b)
{
    bg_h16 sum = a + b;
    return sum | (bg_h16)(sum < a);
}
BG_INLINE bg_s16 bg_s16_add(bg_s16 a, bg_s16 b)
{
    for (int l = 0; l < 16; l++) {
        int sum = a[l] + b[l];
        a[l] = (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
    }
    return a;
}
BG_INLINE bg_s16 bg_s16_sub(bg_s16 a, bg_s16 b)
{
    for (int l = 0; l < 16; l++) {
        int sum = a[l] - b[l];
        a[l] = (int16_t)(sum > INT16_MAX ? INT16_MAX : sum < INT16_MIN ? INT16_MIN : sum);
    }
    return a;
}
BG_INLINE bg_h16 bg_s16_square(bg_s16 v)
{
    bg_h16 out;
    for (int l = 0; l < 16; l++)
        out[l] = (uint16_t)(v[l] * v[l] >> 16);
    return out;
}
BG_INLINE bg_h16 bg_h16_min(bg_h16 a, bg_h16 b)
{
    bg_h16 less = (bg_h16)(a < b);
    return (a & less) | (b & ~less);
}
BG_INLINE bg_h16 bg_h16_select(bg_h16 mask, bg_h16 a, bg_h16 b)
{
    return (a & mask) | (b & ~mask);
}
BG_INLINE bg_h16 bg_h16_among_eight(const uint16_t eight[8], bg_h16 bytes)
{
    bg_h16 out;
    for (int l = 0; l < 16; l++)
        out[l] = eight[(bytes[l] & 255) / 2];
    return out;
}
BG_INLINE bg_h16 bg_h16_among_four(const uint16_t four[4], bg_h16 bytes)
{
    bg_h16 out;
    for (int l = 0; l < 16; l++)
        out[l] = four[(bytes[l] & 255) / 2];
    return out;
}
BG_INLINE void bg_h16_store_zipped(uint16_t *p, bg_h16 a, bg_h16 b)
{
    for (int l = 0; l < 16; l++)
        p[2 * l] = a[l], p[2 * l + 1] = b[l];
}
BG_INLINE uint32_t bg_h16_equal(bg_h16 a, bg_h16 b, bg_h16 c, bg_h16 d)
{
    uint8_t bits[4] = {0, 0, 0, 0};
    uint32_t out;
    for (int l = 0; l < 16; l++) {
        bits[l / 8 * 2] |= (uint8_t)((a[l] == b[l]) << l % 8);
        bits[l / 8 * 2 + 1] |= (uint8_t)((c[l] == d[l]) << l % 8);
    }
    memcpy(&out, bits, sizeof out);
    return out;
}
BG_INLINE bg_b16 bg_h16_bytes(bg_h16 v)
{
    return __builtin_convertvector(v, bg_b16);
}
#endif

#endif
