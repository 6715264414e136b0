/* Huffman coding of the indices with a canonical code: what a decoder stores is the length of each word. A symbol takes
 * a whole number of bits, at least one: 0.23 bit a weight above the entropy for the Gaussian at one bit. Huffman 1952.
 */
#include <stdlib.h>
#include <string.h>
#include "quant/coding/index_stream.h"
#include "quant/spec/quantizer.h"

enum { LONGEST = 57, LENGTH_BITS = 6 };

typedef struct node {
    uint64_t count;
    int left, right; /* −1: a leaf */
} node;

typedef struct huffman {
    int K, used;
    int *order;                  /* [K] symbols by (length, symbol) */
    uint8_t *length;             /* [K] bits of each word; 0: never used */
    uint64_t *word;              /* [K] */
    uint64_t first[LONGEST + 2]; /* first word of each length */
    int at[LONGEST + 2];         /* and where its symbols start in order */
    node *nodes;                 /* [2K] */
    int *heap;                   /* [K] */
} huffman;

static int before(const node *n, int a, int b)
{
    return n[a].count != n[b].count ? n[a].count < n[b].count : a < b;
}

static void sift(int *heap, int size, int i, const node *n)
{
    for (;;) {
        int least = i;
        for (int c = 2 * i + 1; c <= 2 * i + 2 && c < size; c++)
            if (before(n, heap[c], heap[least]))
                least = c;
        if (least == i)
            return;
        int t = heap[i];
        heap[i] = heap[least], heap[least] = t;
        i = least;
    }
}

/* Word lengths from the tree. Counts below 2^39 keep the depth under LONGEST (a depth of k needs a Fibonacci count). */
static void lengths(huffman *h, const uint64_t *count)
{
    int size = 0, top = h->K;
    node *n = h->nodes;
    for (int k = 0; k < h->K; k++) {
        n[k] = (node){count[k], -1, -1};
        h->length[k] = 0;
        if (count[k])
            h->heap[size++] = k;
    }
    h->used = size;
    if (size == 1)
        h->length[h->heap[0]] = 1;
    for (int i = size / 2; i-- > 0;)
        sift(h->heap, size, i, n);
    while (size > 1) {
        int a = h->heap[0];
        h->heap[0] = h->heap[--size];
        sift(h->heap, size, 0, n);
        int b = h->heap[0];
        n[top] = (node){n[a].count + n[b].count, a, b};
        h->heap[0] = top++;
        sift(h->heap, size, 0, n);
    }
    for (int i = top; i-- > h->K;) { /* depths, from the root down; kept in count */
        uint64_t depth = i == top - 1 ? 0 : n[i].count;
        int child[2] = {n[i].left, n[i].right};
        for (int c = 0; c < 2; c++) {
            n[child[c]].count = depth + 1;
            if (child[c] < h->K)
                h->length[child[c]] = (uint8_t)(depth + 1);
        }
    }
}

/* Canonical words: ascending by length, then by symbol. */
static void words(huffman *h)
{
    uint64_t next = 0;
    int n = 0;
    for (int l = 1; l <= LONGEST; l++) {
        next <<= 1;
        h->first[l] = next, h->at[l] = n;
        for (int k = 0; k < h->K; k++)
            if (h->length[k] == l)
                h->word[k] = next++, h->order[n++] = k;
    }
    h->at[LONGEST + 1] = n;
}

/* Decodes against the symbols that were coded: 1 when they agree to the last bit. */
static int reads_back(const huffman *h, const uint8_t *byte, uint64_t length, const uint16_t *symbols, size_t n)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t word = 0;
        int l = 0, found = -1;
        while (found < 0 && l < LONGEST && at < length) {
            word = word << 1 | (byte[at >> 3] >> (7 - (at & 7)) & 1u), at++, l++;
            uint64_t in = word - h->first[l];
            if (word >= h->first[l] && in < (uint64_t)(h->at[l + 1] - h->at[l]))
                found = h->order[h->at[l] + (int)in];
        }
        if (found != symbols[i])
            return 0;
    }
    return at == length;
}

static int code(const huffman *h, const uint16_t *symbols, size_t n, double *bits, bg_err *e)
{
    uint64_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        total += h->length[symbols[i]];
    uint8_t *byte = calloc((size_t)(total / 8 + 1), 1);
    if (!byte)
        return bg_no_memory(e, "coded stream", total / 8);
    for (size_t i = 0; i < n; i++)
        for (int b = h->length[symbols[i]]; b-- > 0; at++)
            byte[at >> 3] |= (uint8_t)((h->word[symbols[i]] >> b & 1) << (7 - (at & 7)));
    int same = reads_back(h, byte, total, symbols, n);
    free(byte);
    *bits = (double)total + 32;
    return same ? BG_OK : bg_fail(e, BG_INPUT, "the coded stream does not read back");
}

static int allocate(huffman *h, int K, bg_err *e)
{
    size_t k = (size_t)K;
    *h = (huffman){.K = K,
                   .order = malloc(k * sizeof(int)),
                   .length = malloc(k),
                   .word = malloc(k * sizeof(uint64_t)),
                   .nodes = malloc(2 * k * sizeof(node)),
                   .heap = malloc(k * sizeof(int))};
    return h->order && h->length && h->word && h->nodes && h->heap ? BG_OK : bg_no_memory(e, "Huffman code", k * 64);
}

static int huffman_bits(const uint16_t *symbols, size_t n, int K, double *bits, double *table_bits, bg_err *e)
{
    int s = bg_entropy_check(symbols, n, K, e);
    if (s)
        return s;
    if (n >> 39)
        return bg_fail(e, BG_INPUT, "a stream of %zu symbols is too long for the Huffman coder", n);
    huffman h = {0};
    uint64_t *count = calloc((size_t)K, sizeof *count);
    s = count ? allocate(&h, K, e) : bg_no_memory(e, "counts", (size_t)K * sizeof *count);
    if (!s) {
        int lo = 0, hi = K - 1;
        for (size_t i = 0; i < n; i++)
            count[symbols[i]]++;
        while (lo < hi && !count[lo])
            lo++;
        while (hi > lo && !count[hi])
            hi--;
        lengths(&h, count);
        words(&h);
        *table_bits = 32 + LENGTH_BITS * (hi - lo + 1);
        s = code(&h, symbols, n, bits, e);
    }
    free(count), free(h.order), free(h.length), free(h.word), free(h.nodes), free(h.heap);
    return s;
}

const bg_coding bg_coding_huffman = {
    .name = "huffman",
    .title = "canonical Huffman code, whose word lengths are stored",
    .paper = "Huffman 1952",
    .bits = huffman_bits,
};
