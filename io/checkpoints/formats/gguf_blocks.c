/* Owns GGML's block types: what one weight of a block is worth (the definition), and tuned loops that decode whole
 * blocks to the same bits. Layouts: ggml-org/ggml src/ggml-common.h and ggml-quants.c. Scales are stored as binary16
 * unless said otherwise; every product and difference is rounded to float32 in the order written.
 */
#include "io/checkpoints/formats/gguf_container.h"

static const float iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/* E2M1 doubled; code 8 is +0 here. */
static const float fp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static inline float half_at(const uint8_t *p)
{
    return bg_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static inline uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline unsigned nibble(const uint8_t *p, int shift)
{
    return (*p >> shift) & 15u;
}

/* ---- definitions, one weight ---- */

/* Blocks of 32: weight n < 16 is a low nibble, the others are the high nibbles of the same 16 bytes. */
static unsigned code32(const uint8_t *qs, int n)
{
    return nibble(qs + n % 16, n < 16 ? 0 : 4);
}

static void q4_0(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code32(b + 2, n);
    *o = (bg_gguf_element){c, (float)((int)c - 8), half_at(b), 0};
}

static void q4_1(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code32(b + 4, n);
    *o = (bg_gguf_element){c, (float)c, half_at(b), -half_at(b + 2)};
}

static void q5_0(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code32(b + 6, n) | ((word_at(b + 2) >> n) & 1) << 4;
    *o = (bg_gguf_element){c, (float)((int)c - 16), half_at(b), 0};
}

static void q5_1(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code32(b + 8, n) | ((word_at(b + 4) >> n) & 1) << 4;
    *o = (bg_gguf_element){c, (float)c, half_at(b), -half_at(b + 2)};
}

static void q8_0(const uint8_t *b, int n, bg_gguf_element *o)
{
    int q = (int8_t)b[2 + n];
    *o = (bg_gguf_element){(unsigned)(q + 128), (float)q, half_at(b), 0};
}

static void iq4_nl(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code32(b + 2, n);
    *o = (bg_gguf_element){c, iq4_values[c], half_at(b), 0};
}

/* Half of the E8M0 scale, because the table is doubled; 2^−128 and 2^−127 are subnormal, and 255 is no NaN here. */
static float mx_scale(uint8_t byte)
{
    uint32_t bits = byte < 2 ? 0x00200000u << byte : (uint32_t)(byte - 1) << 23;
    float s;
    memcpy(&s, &bits, sizeof s);
    return s;
}

static void mxfp4(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code32(b + 1, n);
    *o = (bg_gguf_element){c, fp4_values[c], mx_scale(b[0]), 0};
}

/* Unsigned E4M3, halved; 0x7f counts as 0 and the top bit is ignored. */
static float nv_scale(uint8_t byte)
{
    byte &= 0x7f;
    return byte == 0x7f ? 0 : 0.5f * bg_e4m3_to_f32(byte);
}

static void nvfp4(const uint8_t *b, int n, bg_gguf_element *o)
{
    int sub = n / 16, i = n % 16;
    unsigned c = nibble(b + 4 + 8 * sub + i % 8, i < 8 ? 0 : 4);
    *o = (bg_gguf_element){c, fp4_values[c], nv_scale(b[sub]), 0};
}

/* Two bits of weight n in 64 bytes: halves of 128 weights, in each four planes of 32. */
static unsigned code2(const uint8_t *qs, int n)
{
    return (qs[32 * (n / 128) + n % 32] >> (2 * (n % 128 / 32))) & 3u;
}

static void q2_k(const uint8_t *b, int n, bg_gguf_element *o)
{
    uint8_t s = b[n / 16];
    unsigned c = code2(b + 16, n);
    *o = (bg_gguf_element){c, (float)c, half_at(b + 80) * (float)(s & 15), half_at(b + 82) * (float)(s >> 4)};
}

static int q3_scale(const uint8_t *sc, int g)
{
    int low = g < 8 ? sc[g] & 15 : sc[g - 8] >> 4, top = (sc[8 + g % 4] >> (2 * (g / 4))) & 3;
    return (low | top << 4) - 32;
}

static void q3_k(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code2(b + 32, n) | ((b[n % 32] >> (n / 32)) & 1u) << 2; /* a set high bit means no subtraction */
    *o = (bg_gguf_element){c, (float)((int)c - 4), half_at(b + 108) * (float)q3_scale(b + 96, n / 16), 0};
}

/* Six-bit scale and minimum of sub-block j in the 12 bytes of Q4_K and Q5_K. */
static void scale_and_minimum(const uint8_t *sc, int j, int *scale, int *minimum)
{
    if (j < 4) {
        *scale = sc[j] & 63;
        *minimum = sc[j + 4] & 63;
    } else {
        *scale = (sc[j + 4] & 15) | (sc[j - 4] >> 6) << 4;
        *minimum = (sc[j + 4] >> 4) | (sc[j] >> 6) << 4;
    }
}

static void q4_k(const uint8_t *b, int n, bg_gguf_element *o)
{
    int s, m;
    scale_and_minimum(b + 4, n / 32, &s, &m);
    unsigned c = nibble(b + 16 + 32 * (n / 64) + n % 32, n / 32 % 2 ? 4 : 0);
    *o = (bg_gguf_element){c, (float)c, half_at(b) * (float)s, half_at(b + 2) * (float)m};
}

static void q5_k(const uint8_t *b, int n, bg_gguf_element *o)
{
    int s, m;
    scale_and_minimum(b + 4, n / 32, &s, &m);
    unsigned c = nibble(b + 48 + 32 * (n / 64) + n % 32, n / 32 % 2 ? 4 : 0) | ((b[16 + n % 32] >> (n / 32)) & 1u) << 4;
    *o = (bg_gguf_element){c, (float)c, half_at(b) * (float)s, half_at(b + 2) * (float)m};
}

static void q6_k(const uint8_t *b, int n, bg_gguf_element *o)
{
    int h = n / 128, c = n % 128 / 32, i = n % 32;
    unsigned code = nibble(b + 64 * h + 32 * (c & 1) + i, 4 * (c >> 1)) | ((b[128 + 32 * h + i] >> (2 * c)) & 3u) << 4;
    *o = (bg_gguf_element){code, (float)((int)code - 32), half_at(b + 208) * (float)(int8_t)b[192 + n / 16], 0};
}

static float iq4_xs_scale(const uint8_t *b, int j)
{
    int low = (b[4 + j / 2] >> (4 * (j & 1))) & 15, high = ((b[2] | b[3] << 8) >> (2 * j)) & 3;
    return half_at(b) * (float)((low | high << 4) - 32);
}

static void iq4_xs(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code32(b + 8 + 16 * (n / 32), n % 32);
    *o = (bg_gguf_element){c, iq4_values[c], iq4_xs_scale(b, n / 32), 0};
}

/* Ternary digit k of a byte that is a fraction in base 3. */
static unsigned trit(uint8_t byte, int k)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    return ((uint8_t)(byte * powers[k]) * 3u) >> 8;
}

static void tq1_0(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = n < 160   ? trit(b[n % 32], n / 32)
                 : n < 240 ? trit(b[32 + (n - 160) % 16], (n - 160) / 16)
                           : trit(b[48 + (n - 240) % 4], (n - 240) / 4);
    *o = (bg_gguf_element){c, (float)((int)c - 1), half_at(b + 52), 0};
}

static void tq2_0(const uint8_t *b, int n, bg_gguf_element *o)
{
    unsigned c = code2(b, n);
    *o = (bg_gguf_element){c, (float)((int)c - 1), half_at(b + 64), 0};
}

void bg_gguf_decode_ref(const bg_gguf_type *t, const uint8_t *blocks, float *out, size_t n_blocks)
{
    bg_gguf_element x;
    for (size_t k = 0; k < n_blocks; k++)
        for (int n = 0; n < t->block; n++) {
            t->element(blocks + k * (size_t)t->bytes, n, &x);
            float y = x.scale * x.q;
            out[k * (size_t)t->block + (size_t)n] = x.minimum == 0 ? y : y - x.minimum;
        }
}

void bg_gguf_codes(const bg_gguf_type *t, const uint8_t *blocks, uint16_t *out, size_t n_blocks)
{
    int nibbles = t->block == 32 && t->levels == 16, bytes = t->block == 32 && t->levels == 256;
    bg_gguf_element x;
    for (size_t k = 0; k < n_blocks; k++, blocks += t->bytes, out += t->block) {
        const uint8_t *qs = blocks + t->scale_bytes + t->zero_bytes; /* of blocks of 32: codes stand last */
        for (int j = 0; nibbles && j < 16; j++) {
            out[j] = qs[j] & 15;
            out[j + 16] = qs[j] >> 4;
        }
        for (int j = 0; bytes && j < 32; j++)
            out[j] = qs[j] ^ 128;
        for (int n = 0; !nibbles && !bytes && n < t->block; n++) {
            t->element(blocks, n, &x);
            out[n] = (uint16_t)x.code;
        }
    }
}

void bg_gguf_scales(const bg_gguf_type *t, const uint8_t *blocks, float *out, size_t n_blocks)
{
    bg_gguf_element x;
    for (size_t k = 0; k < n_blocks; k++, blocks += t->bytes)
        for (int n = 0; n < t->block; n += t->group) {
            t->element(blocks, n, &x);
            for (int i = 0; i < t->group; i++)
                *out++ = x.scale;
        }
}

/* ---- tuned: inner loops of constant length over bytes, which compilers turn into vectors ---- */

/* y[j] and y[j+16] from the 16 bytes of a block of 32. */
static inline void halves(const uint8_t *restrict qs, float *restrict y, float d, int zero)
{
    for (int j = 0; j < 16; j++) {
        y[j] = d * (float)((int)(qs[j] & 15) - zero);
        y[j + 16] = d * (float)((int)(qs[j] >> 4) - zero);
    }
}

static inline void halves_of_table(const uint8_t *restrict qs, float *restrict y, float d, const float *restrict table)
{
    float scaled[16];
    for (int j = 0; j < 16; j++)
        scaled[j] = d * table[j];
    for (int j = 0; j < 16; j++)
        y[j] = scaled[qs[j] & 15];
    for (int j = 0; j < 16; j++)
        y[j + 16] = scaled[qs[j] >> 4];
}

static void decode_q4_0(const uint8_t *b, float *y, size_t n)
{
    for (; n--; b += 18, y += 32)
        halves(b + 2, y, half_at(b), 8);
}

static void decode_q4_1(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 20, y += 32) {
        float d = half_at(b), m = half_at(b + 2);
        for (int j = 0; j < 16; j++) {
            y[j] = d * (float)(b[4 + j] & 15) + m;
            y[j + 16] = d * (float)(b[4 + j] >> 4) + m;
        }
    }
}

/* The fifth bits of 32 weights as bytes 0 or 16. */
static inline void fifth_bits(uint32_t h, uint8_t *restrict out)
{
    for (int j = 0; j < 32; j++)
        out[j] = (uint8_t)(((h >> j) & 1) << 4);
}

static void decode_q5_0(const uint8_t *restrict b, float *restrict y, size_t n)
{
    uint8_t top[32];
    for (; n--; b += 22, y += 32) {
        float d = half_at(b);
        fifth_bits(word_at(b + 2), top);
        for (int j = 0; j < 16; j++) {
            y[j] = d * (float)((int)((b[6 + j] & 15) | top[j]) - 16);
            y[j + 16] = d * (float)((int)((b[6 + j] >> 4) | top[j + 16]) - 16);
        }
    }
}

static void decode_q5_1(const uint8_t *restrict b, float *restrict y, size_t n)
{
    uint8_t top[32];
    for (; n--; b += 24, y += 32) {
        float d = half_at(b), m = half_at(b + 2);
        fifth_bits(word_at(b + 4), top);
        for (int j = 0; j < 16; j++) {
            y[j] = d * (float)((b[8 + j] & 15) | top[j]) + m;
            y[j + 16] = d * (float)((b[8 + j] >> 4) | top[j + 16]) + m;
        }
    }
}

static void decode_q8_0(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 34, y += 32) {
        float d = half_at(b);
        for (int j = 0; j < 32; j++)
            y[j] = d * (float)(int8_t)b[2 + j];
    }
}

static void decode_iq4_nl(const uint8_t *b, float *y, size_t n)
{
    for (; n--; b += 18, y += 32)
        halves_of_table(b + 2, y, half_at(b), iq4_values);
}

static void decode_mxfp4(const uint8_t *b, float *y, size_t n)
{
    for (; n--; b += 17, y += 32)
        halves_of_table(b + 1, y, mx_scale(b[0]), fp4_values);
}

static void decode_nvfp4(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 36)
        for (int s = 0; s < 4; s++, y += 16) {
            float d = nv_scale(b[s]), scaled[16];
            for (int j = 0; j < 16; j++)
                scaled[j] = d * fp4_values[j];
            for (int j = 0; j < 8; j++) {
                y[j] = scaled[b[4 + 8 * s + j] & 15];
                y[j + 8] = scaled[b[4 + 8 * s + j] >> 4];
            }
        }
}

static void decode_q2_k(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 84) {
        float d = half_at(b + 80), dmin = half_at(b + 82);
        for (int g = 0; g < 16; g++, y += 16) {
            const uint8_t *q = b + 16 + 32 * (g / 8) + 16 * (g & 1);
            float s = d * (float)(b[g] & 15), m = dmin * (float)(b[g] >> 4);
            int shift = g % 8 / 2 * 2;
            for (int j = 0; j < 16; j++)
                y[j] = s * (float)((q[j] >> shift) & 3) - m;
        }
    }
}

static void decode_q3_k(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 110) {
        float d = half_at(b + 108);
        for (int g = 0; g < 16; g++, y += 16) {
            const uint8_t *q = b + 32 + 32 * (g / 8) + 16 * (g & 1), *h = b + 16 * (g & 1);
            float s = d * (float)q3_scale(b + 96, g);
            int shift = g % 8 / 2 * 2, bit = g / 2;
            for (int j = 0; j < 16; j++)
                y[j] = s * (float)(((q[j] >> shift) & 3) + 4 * ((h[j] >> bit) & 1) - 4);
        }
    }
}

static void decode_q4_k(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 144) {
        float d = half_at(b), dmin = half_at(b + 2);
        for (int j = 0; j < 4; j++, y += 64) {
            const uint8_t *q = b + 16 + 32 * j;
            int s0, m0, s1, m1;
            scale_and_minimum(b + 4, 2 * j, &s0, &m0);
            scale_and_minimum(b + 4, 2 * j + 1, &s1, &m1);
            float d0 = d * (float)s0, l0 = dmin * (float)m0, d1 = d * (float)s1, l1 = dmin * (float)m1;
            for (int i = 0; i < 32; i++) {
                y[i] = d0 * (float)(q[i] & 15) - l0;
                y[i + 32] = d1 * (float)(q[i] >> 4) - l1;
            }
        }
    }
}

static void decode_q5_k(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 176) {
        float d = half_at(b), dmin = half_at(b + 2);
        for (int j = 0; j < 4; j++, y += 64) {
            const uint8_t *q = b + 48 + 32 * j, *h = b + 16;
            int s0, m0, s1, m1;
            scale_and_minimum(b + 4, 2 * j, &s0, &m0);
            scale_and_minimum(b + 4, 2 * j + 1, &s1, &m1);
            float d0 = d * (float)s0, l0 = dmin * (float)m0, d1 = d * (float)s1, l1 = dmin * (float)m1;
            for (int i = 0; i < 32; i++) {
                y[i] = d0 * (float)((q[i] & 15) | ((h[i] >> (2 * j)) & 1) << 4) - l0;
                y[i + 32] = d1 * (float)((q[i] >> 4) | ((h[i] >> (2 * j + 1)) & 1) << 4) - l1;
            }
        }
    }
}

static void decode_q6_k(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 210) {
        float d = half_at(b + 208);
        for (int g = 0; g < 16; g++, y += 16) {
            int c = g % 8 / 2, low = 4 * (c >> 1), high = 2 * c;
            const uint8_t *l = b + 64 * (g / 8) + 32 * (c & 1) + 16 * (g & 1),
                          *h = b + 128 + 32 * (g / 8) + 16 * (g & 1);
            float s = d * (float)(int8_t)b[192 + g];
            for (int j = 0; j < 16; j++)
                y[j] = s * (float)((int)(((l[j] >> low) & 15) | ((h[j] >> high) & 3) << 4) - 32);
        }
    }
}

static void decode_iq4_xs(const uint8_t *b, float *y, size_t n)
{
    for (; n--; b += 136)
        for (int j = 0; j < 8; j++, y += 32)
            halves_of_table(b + 8 + 16 * j, y, iq4_xs_scale(b, j), iq4_values);
}

static inline void trits(const uint8_t *restrict q, float *restrict y, float d, int bytes, int digits)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    for (int k = 0; k < digits; k++)
        for (int i = 0; i < bytes; i++)
            y[k * bytes + i] = d * (float)((int)(((uint8_t)(q[i] * powers[k]) * 3u) >> 8) - 1);
}

static void decode_tq1_0(const uint8_t *b, float *y, size_t n)
{
    for (; n--; b += 54, y += 256) {
        float d = half_at(b + 52);
        trits(b, y, d, 32, 5);
        trits(b + 32, y + 160, d, 16, 5);
        trits(b + 48, y + 240, d, 4, 4);
    }
}

static void decode_tq2_0(const uint8_t *restrict b, float *restrict y, size_t n)
{
    for (; n--; b += 66) {
        float d = half_at(b + 64);
        for (int p = 0; p < 8; p++, y += 32) {
            const uint8_t *q = b + 32 * (p / 4);
            int shift = 2 * (p % 4);
            for (int j = 0; j < 32; j++)
                y[j] = d * (float)((int)((q[j] >> shift) & 3) - 1);
        }
    }
}

/* ---- the table; the index is the id in the file ---- */

#define PLAIN(type, size)                                                                                              \
    {                                                                                                                  \
#type, 1, size, BG_##type, 0, 0, 0, NULL, 0, NULL, NULL                                                        \
    }
#define BLOCK(name, n, bytes, scales, zeros, levels, group, f)                                                         \
    {                                                                                                                  \
        name, n, bytes, BG_PACKED, scales, zeros, levels, NULL, group, f, decode_##f                                   \
    }
#define TABLE(name, n, bytes, scales, table, group, f)                                                                 \
    {                                                                                                                  \
        name, n, bytes, BG_PACKED, scales, 0, 16, table, group, f, decode_##f                                          \
    }
#define NAMED(name, n, bytes)                                                                                          \
    {                                                                                                                  \
        name, n, bytes, BG_PACKED, 0, 0, 0, NULL, 0, NULL, NULL                                                        \
    }

static const bg_gguf_type types[] = {
    [0] = PLAIN(F32, 4),
    [1] = PLAIN(F16, 2),
    [2] = BLOCK("Q4_0", 32, 18, 2, 0, 16, 32, q4_0),
    [3] = BLOCK("Q4_1", 32, 20, 2, 2, 16, 32, q4_1),
    [6] = BLOCK("Q5_0", 32, 22, 2, 0, 32, 32, q5_0),
    [7] = BLOCK("Q5_1", 32, 24, 2, 2, 32, 32, q5_1),
    [8] = BLOCK("Q8_0", 32, 34, 2, 0, 256, 32, q8_0),
    [9] = NAMED("Q8_1", 32, 36),
    [10] = BLOCK("Q2_K", 256, 84, 10, 10, 4, 16, q2_k),
    [11] = BLOCK("Q3_K", 256, 110, 14, 0, 8, 16, q3_k),
    [12] = BLOCK("Q4_K", 256, 144, 8, 8, 16, 32, q4_k),
    [13] = BLOCK("Q5_K", 256, 176, 8, 8, 32, 32, q5_k),
    [14] = BLOCK("Q6_K", 256, 210, 18, 0, 64, 16, q6_k),
    [15] = NAMED("Q8_K", 256, 292),
    [16] = NAMED("IQ2_XXS", 256, 66),
    [17] = NAMED("IQ2_XS", 256, 74),
    [18] = NAMED("IQ3_XXS", 256, 98),
    [19] = NAMED("IQ1_S", 256, 50),
    [20] = TABLE("IQ4_NL", 32, 18, 2, iq4_values, 32, iq4_nl),
    [21] = NAMED("IQ3_S", 256, 110),
    [22] = NAMED("IQ2_S", 256, 82),
    [23] = TABLE("IQ4_XS", 256, 136, 8, iq4_values, 32, iq4_xs),
    [24] = PLAIN(I8, 1),
    [25] = PLAIN(I16, 2),
    [26] = PLAIN(I32, 4),
    [27] = PLAIN(I64, 8),
    [28] = PLAIN(F64, 8),
    [29] = NAMED("IQ1_M", 256, 56),
    [30] = PLAIN(BF16, 2),
    [34] = BLOCK("TQ1_0", 256, 54, 2, 0, 3, 256, tq1_0),
    [35] = BLOCK("TQ2_0", 256, 66, 2, 0, 4, 256, tq2_0),
    [39] = TABLE("MXFP4", 32, 17, 1, fp4_values, 32, mxfp4),
    [40] = TABLE("NVFP4", 64, 36, 4, fp4_values, 16, nvfp4),
    [41] = NAMED("Q1_0", 128, 18),
};

enum { TYPES = sizeof types / sizeof *types };

const bg_gguf_type *bg_gguf_type_of(uint32_t id)
{
    return id < TYPES && types[id].bytes ? &types[id] : NULL;
}

const bg_gguf_type *bg_gguf_type_named(const char *name, uint32_t *id)
{
    for (uint32_t i = 0; i < TYPES; i++)
        if (types[i].bytes && !strcmp(types[i].name, name)) {
            if (id)
                *id = i;
            return &types[i];
        }
    return NULL;
}
