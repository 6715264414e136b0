/* Owns radix sorting of float32: a first pass on the top 11 bits puts the keys into 2048 buckets, which are then sorted
 * apart, in cache, by two stable passes on the bits below (Knuth, TAOCP 3, 5.2.5). */
#include "quant/kernel/sort.h"

#include <string.h>

enum { BITS = 11, BUCKETS = 1 << BITS, CHUNKS = 8, LOW_BITS = 32 - BITS, PARALLEL_FROM = 1 << 15 };

/* Keys live in the memory of the floats they stand for. */
typedef uint32_t __attribute__((may_alias)) key;

uint32_t bg_sort_key(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u ^ ((uint32_t) - (int32_t)(u >> 31) | 0x80000000u);
}

float bg_sort_unkey(uint32_t k)
{
    uint32_t u = k ^ (((k >> 31) - 1) | 0x80000000u);
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static void digit_pass(const key *from, key *to, size_t n, int shift, unsigned mask)
{
    size_t at[BUCKETS] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        at[from[i] >> shift & mask]++;
    for (unsigned d = 0; d <= mask; d++) {
        size_t count = at[d];
        at[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        to[at[from[i] >> shift & mask]++] = from[i];
}

static void sort_by_insertion(key *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        key v = x[i];
        size_t j = i;
        for (; j && x[j - 1] > v; j--)
            x[j] = x[j - 1];
        x[j] = v;
    }
}

/* Sorts a bucket whose top bits are equal; in `x`, with `y` as the other array. */
static void sort_low_bits(key *x, key *y, size_t n)
{
    if (n < 64) {
        sort_by_insertion(x, n);
        return;
    }
    digit_pass(x, y, n, 0, BUCKETS - 1);
    digit_pass(y, x, n, BITS, (1u << (LOW_BITS - BITS)) - 1);
}

/* Counts of the top digit by chunk, turned into the places where each chunk puts its keys. */
static void find_places(const key *x, size_t n, size_t places[CHUNKS][BUCKETS], size_t start[BUCKETS + 1])
{
#pragma omp parallel for schedule(static, 1)
    for (int c = 0; c < CHUNKS; c++) {
        memset(places[c], 0, sizeof places[c]);
        for (size_t i = n * (size_t)c / CHUNKS, end = n * (size_t)(c + 1) / CHUNKS; i < end; i++)
            places[c][x[i] >> LOW_BITS]++;
    }
    size_t sum = 0;
    for (int d = 0; d < BUCKETS; d++) {
        start[d] = sum;
        for (int c = 0; c < CHUNKS; c++) {
            size_t count = places[c][d];
            places[c][d] = sum;
            sum += count;
        }
    }
    start[BUCKETS] = sum;
}

static void sort_large(key *x, key *y, size_t n)
{
    size_t places[CHUNKS][BUCKETS], start[BUCKETS + 1];
    find_places(x, n, places, start);
#pragma omp parallel for schedule(static, 1)
    for (int c = 0; c < CHUNKS; c++)
        for (size_t i = n * (size_t)c / CHUNKS, end = n * (size_t)(c + 1) / CHUNKS; i < end; i++)
            y[places[c][x[i] >> LOW_BITS]++] = x[i];
#pragma omp parallel for schedule(dynamic, 1)
    for (int d = 0; d < BUCKETS; d++) {
        size_t first = start[d], count = start[d + 1] - first;
        sort_low_bits(y + first, x + first, count);
        memcpy(x + first, y + first, count * sizeof *x);
    }
}

static void sort_keys(key *x, key *y, size_t n)
{
    if (n < 64) {
        sort_by_insertion(x, n);
    } else if (n < PARALLEL_FROM) {
        digit_pass(x, y, n, 0, BUCKETS - 1);
        digit_pass(y, x, n, BITS, BUCKETS - 1);
        digit_pass(x, y, n, 2 * BITS, (1u << (32 - 2 * BITS)) - 1);
        memcpy(x, y, n * sizeof *x);
    } else {
        sort_large(x, y, n);
    }
}

void bg_sort_f32(float *x, float *scratch, size_t n)
{
    key *keys = (key *)x;
#pragma omp parallel for schedule(static) if (n >= PARALLEL_FROM)
    for (size_t i = 0; i < n; i++)
        keys[i] = bg_sort_key(x[i]);
    sort_keys(keys, (key *)scratch, n);
#pragma omp parallel for schedule(static) if (n >= PARALLEL_FROM)
    for (size_t i = 0; i < n; i++)
        x[i] = bg_sort_unkey(keys[i]);
}

void bg_sort_pairs(uint64_t *pairs, uint64_t *scratch, size_t n)
{
    uint64_t *from = pairs, *to = scratch;
    for (int shift = 32; shift < 64; shift += 8) {
        size_t at[256] = {0}, sum = 0;
        for (size_t i = 0; i < n; i++)
            at[from[i] >> shift & 255]++;
        for (int d = 0; d < 256; d++) {
            size_t count = at[d];
            at[d] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            to[at[from[i] >> shift & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
}
