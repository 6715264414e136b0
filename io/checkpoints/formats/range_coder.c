/* Owns the integer range coder's slow steps: words that leave and enter, carries, integers. The algorithm is in
 * range_coder.h. */
#include "io/checkpoints/formats/range_coder.h"

#define RATE(n)   (uint16_t)(131072 / (2 * (n) + 3))
#define RATE4(n)  RATE(n), RATE((n) + 1), RATE((n) + 2), RATE((n) + 3)
#define RATE16(n) RATE4(n), RATE4((n) + 4), RATE4((n) + 8), RATE4((n) + 12)
#define RATE64(n) RATE16(n), RATE16((n) + 16), RATE16((n) + 32), RATE16((n) + 48)

const uint16_t bg_bit_rates[BG_BIT_MEMORY + 1] = {RATE64(0), RATE64(64), RATE64(128), RATE64(192)};

static uint32_t next_word(bg_range_coder *c)
{
    if (c->at >= c->count) {
        c->overrun = 1;
        c->at++;
        return 0;
    }
    const uint8_t *b = c->in + 4 * c->at++;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void write_word(bg_range_coder *c, uint32_t word)
{
    if (c->at < c->count)
        c->words[c->at++] = word;
    else
        c->overrun = 1;
}

void bg_range_encode_to(bg_range_coder *c, uint32_t *words, size_t room)
{
    *c = (bg_range_coder){.range = UINT64_MAX, .words = words, .count = room};
}

void bg_range_decode_from(bg_range_coder *c, const uint8_t *bytes, size_t words)
{
    *c = (bg_range_coder){.range = UINT64_MAX, .in = bytes, .count = words};
    c->low = (uint64_t)next_word(c) << 32;
    c->low |= next_word(c);
}

void bg_range_shift(bg_range_coder *c)
{
    if (c->in) {
        c->low = c->low << 32 | next_word(c);
    } else {
        write_word(c, (uint32_t)(c->low >> 32));
        c->low <<= 32;
    }
    c->range <<= 32;
}

void bg_range_carry(bg_range_coder *c)
{
    for (size_t i = c->at; i-- > 0 && ++c->words[i] == 0;)
        ;
}

/* Any number of the interval will do: the one with the most zeros at its end is rounded up to a whole upper word where
 * it can be. */
size_t bg_range_finish(bg_range_coder *c)
{
    uint64_t up = (c->low + 0xffffffffu) & ~(uint64_t)0xffffffffu;
    if (up < c->low)
        bg_range_carry(c);
    write_word(c, (uint32_t)(up >> 32));
    write_word(c, 0);
    return c->overrun ? 0 : c->at;
}

static void init_bits(bg_bit *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        b[i] = (bg_bit){.p = 32768};
}

void bg_integer_contexts_init(bg_integer_contexts *x)
{
    init_bits(&x->zero, 1);
    init_bits(&x->negative, 1);
    init_bits(x->more, BG_INTEGER_UNARY);
    init_bits(x->length, 24);
}

int bg_code_golomb(bg_range_coder *c, bg_bit length[24], int value)
{
    int bits = 0, above = value > 0 ? value + 1 : 1, result = 1; /* a decoder has no value */
    while (above >> (bits + 1))
        bits++;
    int n = 0;
    while (n < 23 && bg_code_bit(c, &length[n], n < bits))
        n++;
    for (int i = n; i-- > 0;)
        result = result << 1 | bg_code_fixed(c, 32768, above >> i & 1);
    return result - 1;
}

int bg_code_integer(bg_range_coder *c, bg_integer_contexts *x, int value)
{
    if (bg_code_bit(c, &x->zero, value == 0))
        return 0;
    int negative = bg_code_bit(c, &x->negative, value < 0), above = (value < 0 ? -value : value) - 1, n = 0;
    while (n < BG_INTEGER_UNARY && bg_code_bit(c, &x->more[n], above > n))
        n++;
    if (n == BG_INTEGER_UNARY)
        n += bg_code_golomb(c, x->length, above - BG_INTEGER_UNARY);
    return negative ? -(n + 1) : n + 1;
}
