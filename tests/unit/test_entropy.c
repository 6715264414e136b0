/* Entropy coders: streams read back, rates near the entropy, damage is noticed, odd alphabets are handled. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "quant/probability/random.h"
#include "quant/coding/index_stream.h"
#include "quant/engine/quantize.h"

extern const bg_coding bg_coding_entropy, bg_coding_adaptive, bg_coding_huffman;

/* round(x/step) of Gaussian draws, and the order-0 entropy of the sequence. */
static uint16_t *gaussian_symbols(size_t n, double step, int K, double *entropy)
{
    uint16_t *symbols = malloc(n * sizeof *symbols);
    double *count = calloc((size_t)K, sizeof *count);
    for (size_t i = 0; i < n; i++) {
        double r = sqrt(-2 * log(bg_uniform_at(3, 2 * i))) * cos(6.283185307179586 * bg_uniform_at(3, 2 * i + 1));
        double q = fmin(fmax(round(r / step) + K / 2, 0), K - 1);
        symbols[i] = (uint16_t)q;
        count[(int)q] += 1;
    }
    *entropy = 0;
    for (int k = 0; k < K; k++)
        *entropy -= count[k] > 0 ? count[k] / (double)n * log2(count[k] / (double)n) : 0;
    free(count);
    return symbols;
}

static void test_rate_is_the_entropy(void **state)
{
    (void)state;
    static const double steps[] = {3.45618, 2.42162, 1.08245, 0.25902, 0.01};
    for (int i = 0; i < 5; i++) {
        size_t n = 1 << 20;
        double entropy, bits, table;
        uint16_t *x = gaussian_symbols(n, steps[i], 2001, &entropy);
        assert_int_equal(bg_coding_entropy.bits(x, n, 2001, &bits, &table, NULL), BG_OK);
        print_message("entropy %.5f static %.5f", entropy, (bits + table) / (double)n);
        assert_true(bits + table < 1.005 * entropy * (double)n && bits + table > entropy * (double)n);
        assert_int_equal(bg_coding_adaptive.bits(x, n, 2001, &bits, &table, NULL), BG_OK);
        print_message(" adaptive %.5f", (bits + table) / (double)n);
        assert_true(bits + table < 1.005 * entropy * (double)n);
        assert_int_equal(bg_coding_huffman.bits(x, n, 2001, &bits, &table, NULL), BG_OK);
        print_message(" huffman %.5f\n", (bits + table) / (double)n);
        assert_true(bits > entropy * (double)n && bits < (entropy + 1) * (double)n + 32);
        assert_true(bits >= (double)n);
        free(x);
    }
}

static void test_odd_streams(void **state)
{
    (void)state;
    const bg_coding *const rows[] = {&bg_coding_entropy, &bg_coding_adaptive, &bg_coding_huffman};
    enum { N = 100000 };
    uint16_t *x = calloc(N, sizeof *x);
    for (int r = 0; r < 3; r++) {
        double bits, table;
        memset(x, 0, N * sizeof *x);
        assert_int_equal(rows[r]->bits(x, 0, 4, &bits, &table, NULL), BG_OK);
        assert_int_equal(rows[r]->bits(x, 1, 1, &bits, &table, NULL), BG_OK);
        assert_int_equal(rows[r]->bits(x, N, 1, &bits, &table, NULL), BG_OK);
        assert_true(r == 2 ? bits == N + 32 : bits == 2 * 64 + 32); /* one value: only the states */
        for (int i = 0; i < N; i++)
            x[i] = (uint16_t)(i % 2 ? 65535 : 0);
        assert_int_equal(rows[r]->bits(x, N, 65536, &bits, &table, NULL), BG_OK);
        for (int i = 0; i < N; i++)
            x[i] = (uint16_t)bg_bits_at(1, (uint64_t)i);
        assert_int_equal(rows[r]->bits(x, N, 65536, &bits, &table, NULL), BG_OK);
        bg_err e = {0};
        assert_int_equal(rows[r]->bits(x, N, 70000, &bits, &table, &e), BG_INPUT);
        assert_non_null(strstr(e.text, "16 bits"));
        assert_int_equal(rows[r]->bits(x, N, 100, &bits, &table, &e), BG_INPUT);
    }
    free(x);
}

/* A stream of n symbols: both coders write it, both read it; cuts and flipped bits are noticed, `every` words apart. */
static void damage(size_t n, size_t every)
{
    double entropy;
    uint16_t *x = gaussian_symbols(n, 0.5, 31, &entropy), *back = malloc(n * sizeof *back);
    bg_rans_table t;
    double count[31] = {0};
    for (size_t i = 0; i < n; i++)
        count[x[i]] += 1;
    assert_int_equal(bg_rans_new(&t, 31, NULL), BG_OK);
    assert_int_equal(bg_rans_fit(&t, count, 0, NULL), BG_OK);
    size_t room = bg_rans_max_words(n);
    uint32_t *words = malloc(room * sizeof *words), *plain = malloc(room * sizeof *plain);
    size_t at = bg_rans_encode(&t, x, n, words, room), length = room - at;
    assert_true(at == bg_rans_encode_ref(&t, x, n, plain, room));
    assert_memory_equal(words + at, plain + at, length * sizeof *words);
    assert_int_equal(bg_rans_decode(&t, words + at, length, back, n), 0);
    assert_memory_equal(x, back, n * sizeof *x);
    assert_int_equal(bg_rans_decode_ref(&t, words + at, length, back, n), 0);
    assert_memory_equal(x, back, n * sizeof *x);
    for (size_t cut = 0; cut < length; cut += 7 * every)
        assert_int_equal(bg_rans_decode(&t, words + at, cut, back, n), -1);
    assert_int_equal(bg_rans_decode(&t, words + at, length, back, n - 1), -1);
    int missed = 0;
    for (size_t i = 0; i < length;
         i += every) { /* a flipped bit changes what is read, and nearly always where it ends */
        words[at + i] ^= 1u << i % 32;
        int s = bg_rans_decode(&t, words + at, length, back, n);
        missed += s == 0;
        if (s == 0)
            assert_memory_not_equal(x, back, n * sizeof *x);
        words[at + i] ^= 1u << i % 32;
    }
    assert_int_equal(missed, 0);
    free(x), free(back), free(words), free(plain);
    bg_rans_free(&t);
}

static void test_damage_is_noticed(void **state)
{
    (void)state;
    damage(3000, 1);
    damage(BG_RANS_LONG + 5, 307); /* eight lanes */
}

static void test_frequencies(void **state)
{
    (void)state;
    bg_rans_table t;
    double count[300];
    for (int k = 0; k < 300; k++)
        count[k] = k % 3 ? pow(1.1, k) : 0;
    assert_int_equal(bg_rans_new(&t, 300, NULL), BG_OK);
    for (int all = 0; all < 2; all++) {
        assert_int_equal(bg_rans_fit(&t, count, all, NULL), BG_OK);
        uint64_t sum = 0;
        for (int k = 0; k < 300; k++) {
            sum += t.frequency[k];
            assert_true((t.frequency[k] > 0) == (all || count[k] > 0));
        }
        assert_int_equal(sum, 1 << t.bits);
        double bits;
        assert_int_equal(bg_rans_describe(&t, &bits, NULL), BG_OK);
        assert_true(bits > 300 && bits < 300 * 35);
    }
    bg_rans_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate_is_the_entropy),
        cmocka_unit_test(test_odd_streams),
        cmocka_unit_test(test_damage_is_noticed),
        cmocka_unit_test(test_frequencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
