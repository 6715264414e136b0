/* The decoder of rANS streams: both versions read the same symbols, all inside the alphabet, or both refuse. A seed:
 * symbols of the alphabet less 1 (2 bytes), symbols of the stream (4), a count for each (1 byte), the words. Seeds:
 * tests/fuzz/seeds/rans/[ls]* */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "quant/coding/index_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 6, MOST_SYMBOLS = 1 << 18 };

static void decode(const bg_rans_table *t, const uint8_t *bytes, size_t length, size_t n)
{
    uint32_t *words = malloc((length + 1) * sizeof *words);
    uint16_t *fast = calloc(n + 1, sizeof *fast), *plain = calloc(n + 1, sizeof *plain);
    if (words && fast && plain) {
        memcpy(words, bytes, length * sizeof *words);
        int a = bg_rans_decode(t, words, length, fast, n), b = bg_rans_decode_ref(t, words, length, plain, n);
        if (a != b || memcmp(fast, plain, n * sizeof *fast))
            abort();
        for (size_t i = 0; i < n; i++)
            if (fast[i] >= t->K)
                abort();
    }
    free(words), free(fast), free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return 0;
    size_t K = 1 + (size_t)(data[0] | data[1] << 8);
    size_t n = (data[2] | (size_t)data[3] << 8 | (size_t)data[4] << 16 | (size_t)data[5] << 24) % MOST_SYMBOLS;
    bg_rans_table t;
    double *count = malloc(K * sizeof *count);
    if (size < HEAD + K || !count || bg_rans_new(&t, (int)K, NULL)) {
        free(count);
        return 0;
    }
    for (size_t k = 0; k < K; k++)
        count[k] = data[HEAD + k];
    if (!bg_rans_fit(&t, count, 1, NULL))
        decode(&t, data + HEAD + K, (size - HEAD - K) / 4, n);
    free(count);
    bg_rans_free(&t);
    return 0;
}
