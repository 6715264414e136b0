/* Owns the making of GGUF blocks. Each function is the inverse of the definition of its type in
 * io/checkpoints/formats/gguf_blocks.c.
 *
 * Two kinds of work stand here:
 * - bg_gguf_encode chooses codes and scale of blocks of 32 as the reference encoders of ggml do, digit for digit: a
 * type without a minimum (Q4_0, Q5_0) divides the weight of largest magnitude, the first of equals, by the lowest code,
 * so that this weight is exact; a type with one (Q4_1, Q5_1) spreads the codes from the smallest to the largest weight;
 *   Q8_0 divides the largest magnitude by 127. Codes are rounded with the unrounded scale, then the scale is rounded to
 *   float16.
 * - bg_gguf_pack and bg_gguf_pack_fields place codes, scales and minima that were chosen elsewhere (gguf.c searches the
 *   blocks of 256) at their bits, and choose nothing. place_* and pack_* only set bits in zeroed memory.
 *
 * Inside a byte of nibbles the first half of the block has the low nibbles and the second half the high ones; fields
 * are little-endian.
 */
#include "io/checkpoints/writers/gguf_writer.h"

#include <math.h>

enum {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    IQ4_NL = 20,
    IQ4_XS = 23,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
    NVFP4 = 40,
    BLOCK = 32,
    SUPER = 256
};

/* ---- blocks of 32 with one float16 scale ---- */

static void put_half(uint8_t *out, float v)
{
    uint16_t h = bg_f32_to_f16(v);
    memcpy(out, &h, sizeof h);
}

/* Places codes of a block of 32: scale, minimum, fifth bits, nibbles. */
static void place_block(uint32_t type, const uint8_t *code, float d, float m, uint8_t *out)
{
    int five = type == Q5_0 || type == Q5_1, minimum = type == Q4_1 || type == Q5_1;
    uint32_t high = 0;
    put_half(out, d);
    out += 2;
    if (type == Q8_0) {
        for (int i = 0; i < BLOCK; i++)
            out[i] = code[i] ^ 128;
        return;
    }
    if (minimum) {
        put_half(out, m);
        out += 2;
    }
    for (int i = 0; i < BLOCK; i++)
        high |= (uint32_t)(code[i] >> 4 & 1) << i;
    if (five) {
        memcpy(out, &high, sizeof high);
        out += 4;
    }
    for (int i = 0; i < 16; i++)
        out[i] = (uint8_t)((code[i] & 15) | (code[i + 16] & 15) << 4);
}

/* Symmetric: the weight of largest magnitude, the first of equals, becomes the lowest code. */
static float encode_signed(const float *x, int half, uint8_t *code)
{
    float largest = 0, value = 0;
    for (int i = 0; i < BLOCK; i++)
        if (fabsf(x[i]) > largest) {
            largest = fabsf(x[i]);
            value = x[i];
        }
    float d = value / (float)-half, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < BLOCK; i++) {
        int q = (int)(x[i] * inverse + ((float)half + 0.5f));
        code[i] = (uint8_t)(q < 0 ? 0 : q > 2 * half - 1 ? 2 * half - 1 : q);
    }
    return d;
}

static float encode_ranged(const float *x, int top, uint8_t *code, float *minimum)
{
    float min = x[0], max = x[0];
    for (int i = 1; i < BLOCK; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    float d = (max - min) / (float)top, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < BLOCK; i++) {
        int q = (int)((x[i] - min) * inverse + 0.5f);
        code[i] = (uint8_t)(q > top ? top : q);
    }
    *minimum = min;
    return d;
}

static float encode_bytes(const float *x, uint8_t *code)
{
    float largest = 0;
    for (int i = 0; i < BLOCK; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    float d = largest / 127, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < BLOCK; i++)
        code[i] = (uint8_t)((int)roundf(x[i] * inverse) + 128);
    return d;
}

static int is_block(uint32_t type)
{
    return type == Q4_0 || type == Q4_1 || type == Q5_0 || type == Q5_1 || type == Q8_0;
}

int bg_gguf_encode(uint32_t type, const float *x, int64_t n, uint8_t *out, bg_err *e)
{
    const bg_gguf_type *t = bg_gguf_type_of(type);
    if (type == F32) {
        memcpy(out, x, (size_t)n * sizeof *x);
        return BG_OK;
    }
    if (type == F16 || type == BF16) {
        for (int64_t i = 0; i < n; i++) {
            uint16_t h = type == F16 ? bg_f32_to_f16(x[i]) : bg_f32_to_bf16(x[i]);
            memcpy(out + 2 * i, &h, sizeof h);
        }
        return BG_OK;
    }
    if (!is_block(type) || n % BLOCK)
        return bg_fail(e, BG_USAGE, "%lld weights cannot be encoded as %s", (long long)n,
                       t ? t->name : "an unknown type");
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return bg_fail(e, BG_INPUT, "weight %lld is %g, which %s cannot hold", (long long)i, (double)x[i], t->name);
    for (int64_t i = 0; i < n; i += BLOCK, out += t->bytes) {
        uint8_t code[BLOCK];
        float d, m = 0;
        if (type == Q8_0)
            d = encode_bytes(x + i, code);
        else if (type == Q4_0 || type == Q5_0)
            d = encode_signed(x + i, type == Q4_0 ? 8 : 16, code);
        else
            d = encode_ranged(x + i, type == Q4_1 ? 15 : 31, code, &m);
        place_block(type, code, d, m, out);
    }
    return BG_OK;
}

int bg_gguf_pack(uint32_t type, const uint16_t *codes, const float *scales, const float *minima, int64_t blocks,
                 uint8_t *out, bg_err *e)
{
    const bg_gguf_type *t = bg_gguf_type_of(type);
    if (!is_block(type) || ((type == Q4_1 || type == Q5_1) != (minima != NULL)))
        return bg_fail(e, BG_USAGE, "codes %s minima cannot be packed as %s", minima ? "with" : "without",
                       t ? t->name : "an unknown type");
    for (int64_t k = 0; k < blocks; k++, out += t->bytes) {
        uint8_t code[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            if (codes[k * BLOCK + i] >= t->levels)
                return bg_fail(e, BG_USAGE, "code %u does not fit %s", codes[k * BLOCK + i], t->name);
            code[i] = (uint8_t)codes[k * BLOCK + i];
        }
        place_block(type, code, scales[k], minima ? minima[k] : 0, out);
    }
    return BG_OK;
}

/* ---- fields of the other types ---- */

/* Weight n < 16 of a block of 32 is a low nibble, the others are the high nibbles of the same 16 bytes. */
static void place_nibbles(const uint8_t *q, uint8_t *out)
{
    for (int n = 0; n < BLOCK; n++)
        out[n % 16] |= (uint8_t)(q[n] << (n < 16 ? 0 : 4));
}

/* Two bits of 256 weights: halves of 128, in each four planes of 32. */
static void place_bit_pairs(const uint8_t *q, uint8_t *out)
{
    for (int n = 0; n < SUPER; n++)
        out[32 * (n / 128) + n % 32] |= (uint8_t)((q[n] & 3) << (2 * (n % 128 / 32)));
}

static void pack_q2_k(const bg_gguf_fields *f, uint8_t *b)
{
    for (int g = 0; g < 16; g++)
        b[g] = (uint8_t)(f->scale[g] | f->minimum[g] << 4);
    place_bit_pairs(f->q, b + 16);
    put_half(b + 80, f->d);
    put_half(b + 82, f->dmin);
}

static void pack_q3_k(const bg_gguf_fields *f, uint8_t *b)
{
    for (int n = 0; n < SUPER; n++)
        b[n % 32] |= (uint8_t)(f->q[n] >> 2 << (n / 32));
    place_bit_pairs(f->q, b + 32);
    for (int g = 0; g < 16; g++) {
        int v = f->scale[g] + 32;
        b[96 + g % 8] |= (uint8_t)((v & 15) << (g < 8 ? 0 : 4));
        b[104 + g % 4] |= (uint8_t)(v >> 4 << (2 * (g / 4)));
    }
    put_half(b + 108, f->d);
}

/* Six-bit scales and minima of eight sub-blocks in 12 bytes. */
static void place_six(const bg_gguf_fields *f, uint8_t *sc)
{
    for (int j = 0; j < 4; j++) {
        sc[j] = (uint8_t)(f->scale[j] | f->scale[j + 4] >> 4 << 6);
        sc[j + 4] = (uint8_t)(f->minimum[j] | f->minimum[j + 4] >> 4 << 6);
        sc[j + 8] = (uint8_t)((f->scale[j + 4] & 15) | (f->minimum[j + 4] & 15) << 4);
    }
}

/* `low`: where the nibbles begin; Q5_K has its fifth bits at 16. */
static void pack_k(const bg_gguf_fields *f, uint8_t *b, int low)
{
    put_half(b, f->d);
    put_half(b + 2, f->dmin);
    place_six(f, b + 4);
    for (int n = 0; n < SUPER; n++) {
        b[low + 32 * (n / 64) + n % 32] |= (uint8_t)((f->q[n] & 15) << (n / 32 % 2 ? 4 : 0));
        if (low > 16)
            b[16 + n % 32] |= (uint8_t)(f->q[n] >> 4 << (n / 32));
    }
}

static void pack_q6_k(const bg_gguf_fields *f, uint8_t *b)
{
    for (int n = 0; n < SUPER; n++) {
        int h = n / 128, c = n % 128 / 32, i = n % 32;
        b[64 * h + 32 * (c & 1) + i] |= (uint8_t)((f->q[n] & 15) << (4 * (c >> 1)));
        b[128 + 32 * h + i] |= (uint8_t)(f->q[n] >> 4 << (2 * c));
    }
    for (int g = 0; g < 16; g++)
        b[192 + g] = (uint8_t)f->scale[g];
    put_half(b + 208, f->d);
}

static void pack_iq4_xs(const bg_gguf_fields *f, uint8_t *b)
{
    unsigned high = 0;
    put_half(b, f->d);
    for (int j = 0; j < 8; j++) {
        unsigned v = (unsigned)(f->scale[j] + 32);
        b[4 + j / 2] |= (uint8_t)((v & 15) << (4 * (j & 1)));
        high |= v >> 4 << (2 * j);
        place_nibbles(f->q + BLOCK * j, b + 8 + 16 * j);
    }
    b[2] = (uint8_t)high;
    b[3] = (uint8_t)(high >> 8);
}

/* `n` digits of q, `step` weights apart, as a fraction in base 3 (of five digits, the missing ones 0), rounded up. */
static uint8_t pack_trits(const uint8_t *q, int step, int n)
{
    unsigned v = 0;
    for (int k = 0; k < 5; k++)
        v = 3 * v + (k < n ? q[k * step] : 0);
    return (uint8_t)((v * 256 + 242) / 243);
}

static void pack_tq1_0(const bg_gguf_fields *f, uint8_t *b)
{
    for (int i = 0; i < 32; i++)
        b[i] = pack_trits(f->q + i, 32, 5);
    for (int i = 0; i < 16; i++)
        b[32 + i] = pack_trits(f->q + 160 + i, 16, 5);
    for (int i = 0; i < 4; i++)
        b[48 + i] = pack_trits(f->q + 240 + i, 4, 4);
    put_half(b + 52, f->d);
}

static void pack_nvfp4(const bg_gguf_fields *f, uint8_t *b)
{
    for (int n = 0; n < 64; n++)
        b[4 + 8 * (n / 16) + n % 8] |= (uint8_t)(f->q[n] << (n % 16 < 8 ? 0 : 4));
    for (int s = 0; s < 4; s++)
        b[s] = (uint8_t)f->scale[s];
}

int bg_gguf_pack_fields(uint32_t type, const bg_gguf_fields *f, uint8_t *b, bg_err *e)
{
    const bg_gguf_type *t = bg_gguf_type_of(type);
    memset(b, 0, t ? (size_t)t->bytes : 0);
    switch (type) {
    case Q2_K:
        pack_q2_k(f, b);
        return BG_OK;
    case Q3_K:
        pack_q3_k(f, b);
        return BG_OK;
    case Q4_K:
        pack_k(f, b, 16);
        return BG_OK;
    case Q5_K:
        pack_k(f, b, 48);
        return BG_OK;
    case Q6_K:
        pack_q6_k(f, b);
        return BG_OK;
    case IQ4_XS:
        pack_iq4_xs(f, b);
        return BG_OK;
    case TQ1_0:
        pack_tq1_0(f, b);
        return BG_OK;
    case NVFP4:
        pack_nvfp4(f, b);
        return BG_OK;
    case IQ4_NL:
        put_half(b, f->d);
        place_nibbles(f->q, b + 2);
        return BG_OK;
    case MXFP4:
        b[0] = (uint8_t)f->scale[0];
        place_nibbles(f->q, b + 1);
        return BG_OK;
    case TQ2_0:
        place_bit_pairs(f->q, b);
        put_half(b + 64, f->d);
        return BG_OK;
    default:
        return bg_fail(e, BG_USAGE, "fields of %s cannot be packed", t ? t->name : "an unknown type");
    }
}
