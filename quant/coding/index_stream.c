/* Owns the coding of whole index streams with rANS (quant/kernel/rans.h), with static and adaptive tables.
 *
 * Static: the table is fitted to the counts of the stream and stored before it: precision, first and last symbol that
 * occurs, then the frequency plus 1 of every symbol between them in Elias' gamma code.
 *
 * Adaptive: no table is stored. The stream is cut into blocks whose ends depend on the alphabet and the position alone
 * (block_end), each an eighth as long as everything before it, so that refitting costs little. The table of a block is
 * fitted to the counts of all blocks before it plus a twentieth for every symbol. rANS encodes backwards, so the
 * encoder counts the whole stream first and takes the counts of a block away again before it encodes the block: the
 * counts are then those that the decoder has when it gets there. Symbols are shifted to start at 0; the extremes are
 * stored.
 *
 * A stream is decoded and compared before its length is reported: a length that no decoder can use never becomes a
 * rate.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/coding/index_stream.h"

int bg_entropy_check(const uint16_t *symbols, size_t n, int K, bg_err *e)
{
    if (K < 1 || K > BG_RANS_MAX_SYMBOLS)
        return bg_fail(e, BG_INPUT, "an alphabet of %d symbols cannot be entropy coded: indices have at most 16 bits",
                       K);
    for (size_t i = 0; i < n; i++)
        if (symbols[i] >= K)
            return bg_fail(e, BG_INPUT, "symbol %u is outside its alphabet of %d", symbols[i], K);
    return BG_OK;
}

/* ---- tables ---- */

int bg_rans_new(bg_rans_table *t, int K, bg_err *e)
{
    *t = (bg_rans_table){.K = K, .bits = bg_rans_bits(K)};
    t->frequency = malloc((size_t)K * sizeof *t->frequency);
    t->first = malloc((size_t)K * sizeof *t->first);
    t->inverse = malloc((size_t)K * sizeof *t->inverse);
    t->shift = malloc((size_t)K);
    t->symbol = malloc(((size_t)1 << t->bits) * sizeof *t->symbol);
    if (t->frequency && t->first && t->inverse && t->shift && t->symbol)
        return BG_OK;
    bg_rans_free(t);
    return bg_no_memory(e, "coder table", (size_t)K * 16);
}

void bg_rans_free(bg_rans_table *t)
{
    free(t->frequency), free(t->first), free(t->inverse), free(t->shift), free(t->symbol);
    *t = (bg_rans_table){0};
}

int bg_rans_fit(bg_rans_table *t, const double *count, int all, bg_err *e)
{
    double *copy = malloc(2 * (size_t)t->K * sizeof *copy), sum = 0;
    if (!copy)
        return bg_no_memory(e, "coder table", 2 * (size_t)t->K * sizeof *copy);
    for (int k = 0; k < t->K; k++)
        sum += copy[k] = count[k];
    for (int k = 0; !(sum > 0) && k < t->K; k++)
        copy[k] = 1;
    bg_rans_scale(copy, t->K, t->bits, all, t->frequency, copy + t->K);
    bg_rans_fill(t);
    free(copy);
    return BG_OK;
}

typedef struct bg_bits {
    uint8_t *byte;
    size_t at, length; /* in bits */
} bg_bits;

static void put_bits(bg_bits *b, uint32_t value, int n)
{
    for (int i = n; i-- > 0; b->at++)
        b->byte[b->at >> 3] |= (uint8_t)((value >> i & 1) << (7 - (b->at & 7)));
}

static uint32_t get_bits(bg_bits *b, int n)
{
    uint32_t value = 0;
    for (; n-- > 0; b->at++)
        value = value << 1 | (b->at < b->length ? b->byte[b->at >> 3] >> (7 - (b->at & 7)) & 1u : 0);
    return value;
}

static int bit_width(uint32_t v)
{
    return 32 - __builtin_clz(v);
} /* bits of v ≥ 1 */

static void put_gamma(bg_bits *b, uint32_t v)
{
    put_bits(b, 0, bit_width(v) - 1);
    put_bits(b, v, bit_width(v));
}

static uint32_t get_gamma(bg_bits *b)
{
    int zeros = 0;
    while (zeros < 32 && b->at < b->length && !get_bits(b, 1))
        zeros++;
    return zeros < 32 ? 1u << zeros | get_bits(b, zeros) : 0;
}

int bg_rans_describe(const bg_rans_table *t, double *bits, bg_err *e)
{
    int lo = 0, hi = t->K - 1;
    while (lo < hi && !t->frequency[lo])
        lo++;
    while (hi > lo && !t->frequency[hi])
        hi--;
    size_t capacity = 8 + ((size_t)t->K * 35) / 8 + 1;
    bg_bits b = {.byte = calloc(capacity, 1)};
    if (!b.byte)
        return bg_no_memory(e, "coder table", capacity);
    put_bits(&b, (uint32_t)t->bits, 5);
    put_bits(&b, (uint32_t)lo, 16);
    put_bits(&b, (uint32_t)hi, 16);
    for (int k = lo; k <= hi; k++)
        put_gamma(&b, t->frequency[k] + 1);
    *bits = (double)b.at;
    b.length = b.at, b.at = 0;
    int same = (int)get_bits(&b, 5) == t->bits && (int)get_bits(&b, 16) == lo && (int)get_bits(&b, 16) == hi;
    for (int k = lo; same && k <= hi; k++)
        same = get_gamma(&b) == t->frequency[k] + 1;
    free(b.byte);
    return same ? BG_OK : bg_fail(e, BG_INPUT, "the coder's table does not read back");
}

/* ---- static ---- */

int bg_rans_stream(const bg_rans_table *t, const uint16_t *symbols, size_t n, double *bits, bg_err *e)
{
    size_t capacity = bg_rans_max_words(n);
    uint32_t *words = malloc(capacity * sizeof *words);
    uint16_t *back = malloc((n + 1) * sizeof *back);
    int s = words && back ? BG_OK : bg_no_memory(e, "coded stream", capacity * 4 + n * 2);
    if (!s) {
        size_t at = bg_rans_encode(t, symbols, n, words, capacity);
        *bits = 32.0 * (double)(capacity - at) + 32;
        if (bg_rans_decode(t, words + at, capacity - at, back, n) || memcmp(symbols, back, n * sizeof *back))
            s = bg_fail(e, BG_INPUT, "the coded stream does not read back");
    }
    free(words), free(back);
    return s;
}

int bg_entropy_static(const uint16_t *symbols, size_t n, int K, double *bits, double *table_bits, bg_err *e)
{
    bg_rans_table t;
    int s = bg_entropy_check(symbols, n, K, e);
    if (s || (s = bg_rans_new(&t, K, e)))
        return s;
    double *count = calloc((size_t)K, sizeof *count);
    if (!count)
        s = bg_no_memory(e, "counts", (size_t)K * sizeof *count);
    for (size_t i = 0; !s && i < n; i++)
        count[symbols[i]] += 1;
    if (!s && !(s = bg_rans_fit(&t, count, 0, e)) && !(s = bg_rans_describe(&t, table_bits, e)))
        s = bg_rans_stream(&t, symbols, n, bits, e);
    free(count);
    bg_rans_free(&t);
    return s;
}

/* ---- adaptive ---- */

/* Weights of the twentieth and of a count: as 1 and 20 the sums stay exact. */
enum { PRIOR = 1, SEEN = 20, BLOCKS = 1024 };

static size_t block_end(size_t first, int K)
{
    size_t min = (size_t)(K > 256 ? K : 256), length = first / 8 > min ? first / 8 : min;
    return first + length;
}

typedef struct bg_adaptive {
    bg_rans_table table;
    double *count; /* [K] */
} bg_adaptive;

static int adaptive_new(bg_adaptive *a, int K, bg_err *e)
{
    int s = bg_rans_new(&a->table, K, e);
    a->count = malloc((size_t)K * sizeof *a->count);
    if (!s && !a->count)
        s = bg_no_memory(e, "counts", (size_t)K * sizeof *a->count);
    for (int k = 0; !s && k < K; k++)
        a->count[k] = PRIOR;
    return s;
}

static void adaptive_free(bg_adaptive *a)
{
    bg_rans_free(&a->table);
    free(a->count);
}

static void count_block(bg_adaptive *a, const uint16_t *symbols, size_t first, size_t end, double by)
{
    for (size_t i = first; i < end; i++)
        a->count[symbols[i]] += by;
}

static int adaptive_encode(bg_adaptive *a, const uint16_t *symbols, size_t n, uint32_t *words, size_t capacity,
                           size_t *at, bg_err *e)
{
    uint64_t x[BG_RANS_LANES] = {BG_RANS_START, BG_RANS_START};
    uint32_t *out = words + capacity;
    size_t starts[BLOCKS];
    int blocks = 0, s = BG_OK;
    for (size_t first = 0; first < n && blocks < BLOCKS; first = block_end(first, a->table.K))
        starts[blocks++] = first;
    count_block(a, symbols, 0, n, SEEN);
    for (size_t end = n; !s && blocks-- > 0; end = starts[blocks]) {
        count_block(a, symbols, starts[blocks], end, -SEEN);
        s = bg_rans_fit(&a->table, a->count, 1, e);
        for (size_t i = end; !s && i-- > starts[blocks];)
            x[i % BG_RANS_LANES] = bg_rans_put(&a->table, x[i % BG_RANS_LANES], symbols[i], &out);
    }
    bg_rans_close(x, &out);
    *at = (size_t)(out - words);
    return s;
}

/* Decodes and compares with what was coded. */
static int adaptive_compare(bg_adaptive *a, const uint16_t *symbols, size_t n, const uint32_t *in, const uint32_t *end,
                            bg_err *e)
{
    uint64_t x[BG_RANS_LANES];
    int s = BG_OK, same = 1;
    bg_rans_open(x, &in);
    for (size_t first = 0; !s && same && first < n; first = block_end(first, a->table.K)) {
        size_t last = block_end(first, a->table.K) < n ? block_end(first, a->table.K) : n;
        s = bg_rans_fit(&a->table, a->count, 1, e);
        for (size_t i = first; !s && same && i < last; i++) {
            unsigned k = bg_rans_get(&a->table, &x[i % BG_RANS_LANES], &in, end);
            same = k == symbols[i];
            a->count[k] += SEEN;
        }
    }
    same = same && x[0] == BG_RANS_START && x[1] == BG_RANS_START && in == end;
    return s ? s : same ? BG_OK : bg_fail(e, BG_INPUT, "the coded stream does not read back");
}

/* Symbols moved down by the least of them; *span: how many values lie between the extremes. */
static uint16_t *shift_to_zero(const uint16_t *symbols, size_t n, int *span)
{
    unsigned lo = 65535, hi = 0;
    for (size_t i = 0; i < n; i++) {
        lo = symbols[i] < lo ? symbols[i] : lo;
        hi = symbols[i] > hi ? symbols[i] : hi;
    }
    uint16_t *out = malloc((n + 1) * sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        out[i] = (uint16_t)(symbols[i] - lo);
    *span = n ? (int)(hi - lo) + 1 : 1;
    return out;
}

int bg_entropy_adaptive(const uint16_t *symbols, size_t n, int K, double *bits, double *table_bits, bg_err *e)
{
    int s = bg_entropy_check(symbols, n, K, e), span = 1;
    if (s)
        return s;
    bg_adaptive a = {0};
    size_t capacity = bg_rans_max_words(n), at = 0;
    uint32_t *words = malloc(capacity * sizeof *words);
    uint16_t *from_0 = shift_to_zero(symbols, n, &span);
    s = words && from_0 ? adaptive_new(&a, span, e) : bg_no_memory(e, "coded stream", (capacity + n) * sizeof *words);
    if (!s)
        s = adaptive_encode(&a, from_0, n, words, capacity, &at, e);
    for (int k = 0; !s && k < span; k++)
        a.count[k] = PRIOR;
    if (!s)
        s = adaptive_compare(&a, from_0, n, words + at, words + capacity, e);
    *bits = 32.0 * (double)(capacity - at) + 32;
    *table_bits = 32; /* the extremes */
    adaptive_free(&a);
    free(words), free(from_0);
    return s;
}
