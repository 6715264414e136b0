/* Adaptive binary range coding in integers: the same bytes from any compiler on any machine.
 *
 * A probability is a 16-bit number p, in 65536ths, that the next bit is 1, with a count n of the bits it has learned
 * from. After a bit it moves towards 0 or 65536 by 1/(n + 3/2) of the way, as the estimate of Krichevsky and Trofimov
 * does, until n reaches BG_BIT_MEMORY; from then on it forgets exponentially.
 *
 * The coder keeps an interval [low, low + range) of 64-bit numbers, range ≥ 2^32 before each bit. A bit that is 1 takes
 * the lower (range >> 16)·p of it, a 0 the rest. When range has fallen below 2^32 the upper word of low leaves, and a
 * carry that arises later is added to the words that have left. The decoder keeps the distance of the stream's number
 * from low (Martin 1979, "Range encoding"). One struct serves both directions, so that a model is written once:
 *
 *     bit = bg_code_bit(coder, &context, bit);      an encoder writes bit; a decoder ignores it and returns what it
 * reads
 */
#ifndef BG_IO_CHECKPOINTS_FORMATS_RANGE_CODER_H
#define BG_IO_CHECKPOINTS_FORMATS_RANGE_CODER_H

#include <stddef.h>
#include <stdint.h>

enum { BG_BIT_MEMORY = 255, BG_BIT_MIN = 6 /* of 65536: no bit is certain */ };

typedef struct bg_bit {
    uint16_t p; /* that the bit is 1, in 65536ths */
    uint16_t n; /* bits learned from */
} bg_bit;

typedef struct bg_range_coder {
    uint64_t low, range; /* a decoder's low: the distance of the stream's number from the interval's begin */
    uint32_t *words;     /* encoder: where words go; decoder: unused */
    const uint8_t *in;   /* decoder: words as little-endian bytes; encoder: NULL */
    size_t at, count;    /* words written or read; room for them, or how many there are */
    int overrun;         /* encoder: the room was too small; decoder: more was asked for than there is */
} bg_range_coder;

/* 65536/(n + 3/2), rounded down. */
extern const uint16_t bg_bit_rates[BG_BIT_MEMORY + 1];

static inline void bg_bit_learn(bg_bit *b, int bit)
{
    uint32_t rate = bg_bit_rates[b->n], p = b->p;
    p = bit ? p + ((65536 - p) * rate >> 16) : p - (p * rate >> 16);
    b->p = (uint16_t)(p < BG_BIT_MIN ? BG_BIT_MIN : p > 65536 - BG_BIT_MIN ? 65536 - BG_BIT_MIN : p);
    b->n = (uint16_t)(b->n + (b->n < BG_BIT_MEMORY));
}

void bg_range_encode_to(bg_range_coder *c, uint32_t *words, size_t room);
void bg_range_decode_from(bg_range_coder *c, const uint8_t *bytes, size_t words);
/* Writes what the decoder still needs; words written in all, or 0 where the room was too small. */
size_t bg_range_finish(bg_range_coder *c);
/* A word leaves the encoder's interval, or enters the decoder's. */
void bg_range_shift(bg_range_coder *c);
/* Adds a carry to the words that have left. */
void bg_range_carry(bg_range_coder *c);

/* Codes one bit of probability p of 65536 to be 1. */
static inline int bg_code_fixed(bg_range_coder *c, uint32_t p, int bit)
{
    uint64_t below = (c->range >> 16) * p;
    if (c->in)
        bit = c->low < below;
    if (bit) {
        c->range = below;
    } else if (c->in) {
        c->low -= below, c->range -= below;
    } else {
        c->low += below, c->range -= below;
        if (c->low < below)
            bg_range_carry(c);
    }
    if (c->range >> 32 == 0)
        bg_range_shift(c);
    return bit;
}

static inline int bg_code_bit(bg_range_coder *c, bg_bit *b, int bit)
{
    bit = bg_code_fixed(c, b->p, bit);
    bg_bit_learn(b, bit);
    return bit;
}

/* An integer of any sign, by contexts of its own: is it 0, its sign, then its magnitude in unary up to BG_INTEGER_UNARY
 * and an exponential Golomb code of what is above. |value| < 2^24. */
enum { BG_INTEGER_UNARY = 14 };
typedef struct bg_integer_contexts {
    bg_bit zero, negative, more[BG_INTEGER_UNARY], length[24];
} bg_integer_contexts;
void bg_integer_contexts_init(bg_integer_contexts *x);
int bg_code_integer(bg_range_coder *c, bg_integer_contexts *x, int value);
/* A number ≥ 0 by an exponential Golomb code whose length bits adapt. */
int bg_code_golomb(bg_range_coder *c, bg_bit length[24], int value);

#endif
