/* The trellis stream: what is written is read back, whatever the matrix; the same bytes from every compiler; damage is
 * always seen; and a Gaussian path takes little more than its entropy. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "io/checkpoints/formats/trellis_stream.h"

/* The high bits of a linear congruential generator, so that the test needs no library. */
static uint32_t draw(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* About Gaussian, of deviation 1 in 256ths: the sum of twelve draws. */
static int bell(uint64_t *seed)
{
    int sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (int)(draw(seed) % 256);
    return sum - 1530;
}

/* A matrix whose columns follow the trellis; column c has `spread` 256ths of deviation times c % 5, so that every fifth
 * is zero. */
static bg_stream_matrix make(int64_t rows, int64_t cols, int states, int spread, uint64_t seed)
{
    bg_stream_matrix m = {.rows = rows, .cols = cols, .states = states, .base = 0.125F};
    bg_stream_trellis t;
    m.k = calloc((size_t)(rows * cols), sizeof *m.k), m.step = calloc((size_t)cols, sizeof *m.step);
    assert_true(m.k && m.step && bg_stream_trellis_init(&t, states));
    for (int64_t c = 0; c < cols; c++) {
        int state = 0, own = spread * (int)(c % 5), any = 0;
        m.step[c] = own ? (int16_t)(c % 17 - 8) : 0;
        for (int64_t r = 0; r < rows && own; r++) {
            int x = (int)((int64_t)bell(&seed) * own / 65536), odd = bg_stream_is_odd(&t, state),
                k = 2 * ((x - odd + 8192) / 2 - 4096) + odd;
            int max = BG_STREAM_MAX - 1 + odd;
            k = k > max ? max : k < -max ? -max : k;
            m.k[r * cols + c] = (int16_t)k;
            state = bg_stream_next(&t, state, k);
            any |= k;
        }
        if (!any)
            m.step[c] = 0;
    }
    return m;
}

static void release(bg_stream_matrix *m)
{
    free(m->k), free(m->step);
}

static void is_read_back(const bg_stream_matrix *m, uint8_t **bytes, size_t *n)
{
    bg_stream_matrix back = {0};
    bg_err e = {0};
    if (bg_stream_encode(m, bytes, n, NULL, &e) || bg_stream_open(*bytes, *n, &back, &e))
        fail_msg("%s", e.text);
    assert_true(back.rows == m->rows && back.cols == m->cols && back.states == m->states && back.base == m->base);
    size_t cells = (size_t)(m->rows * m->cols);
    back.k = malloc(cells * sizeof *back.k), back.step = malloc((size_t)m->cols * sizeof *back.step);
    if (bg_stream_decode(*bytes, *n, &back, &e))
        fail_msg("%s", e.text);
    assert_memory_equal(back.k, m->k, cells * sizeof *back.k);
    for (int64_t c = 0; c < m->cols; c++)
        assert_true(back.step[c] == m->step[c]);
    release(&back);
}

static void test_every_shape_is_read_back(void **state)
{
    (void)state;
    const struct {
        int rows, cols, states, spread;
    } cases[] = {{1, 1, 4, 300},   {1, 700, 8, 900},   {700, 1, 16, 500},    {9, 257, 32, 4000},
                 {64, 300, 64, 0}, {333, 40, 128, 60}, {50, 50, 256, 70000}, {257, 33, 8, 1000000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bg_stream_matrix m = make(cases[i].rows, cases[i].cols, cases[i].states, cases[i].spread, i + 1);
        uint8_t *bytes;
        size_t n;
        is_read_back(&m, &bytes, &n);
        free(bytes);
        release(&m);
    }
}

/* Values of this program, once; they guard that other compilers, flags and processors write the same. */
static void test_bytes_are_the_same_everywhere(void **state)
{
    (void)state;
    bg_stream_matrix m = make(200, 300, 8, 700, 77);
    uint8_t *bytes;
    size_t n;
    is_read_back(&m, &bytes, &n);
    uint64_t hash = 0;
    for (int i = 7; i >= 0; i--)
        hash = hash << 8 | bytes[14 + i];
    print_message("%zu bytes, hash %016llx\n", n, (unsigned long long)hash);
    assert_int_equal(n, 21894);
    assert_true(hash == 0x0ae935d354595f55u);
    free(bytes);
    release(&m);
}

static void test_damage_is_seen(void **state)
{
    (void)state;
    bg_stream_matrix m = make(40, 60, 8, 700, 5), back;
    uint8_t *bytes;
    size_t n;
    bg_err e = {0};
    is_read_back(&m, &bytes, &n);
    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(bg_stream_open(bytes, n, &back, &e), BG_INPUT);
            bytes[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(bg_stream_open(bytes, cut, &back, &e), BG_INPUT);
    free(bytes);
    release(&m);
}

static void test_strays_and_excess_are_refused(void **state)
{
    (void)state;
    bg_stream_matrix m = make(40, 60, 8, 700, 5);
    uint8_t *bytes;
    size_t n;
    bg_err e = {0};
    m.k[1] ^= 1;
    assert_int_equal(bg_stream_encode(&m, &bytes, &n, NULL, &e), BG_USAGE);
    assert_non_null(strstr(e.text, "do not follow the trellis"));
    m.k[1] = BG_STREAM_MAX + 1;
    assert_int_equal(bg_stream_encode(&m, &bytes, &n, NULL, &e), BG_USAGE);
    assert_non_null(strstr(e.text, "step is too small"));
    release(&m);
}

/* Nothing is spent for nothing: a matrix of zeros costs a bit a column and the header at most, a few weights little
 * more. */
static void test_nothing_costs_nothing(void **state)
{
    (void)state;
    bg_stream_matrix m = make(1024, 512, 8, 0, 1);
    uint8_t *bytes;
    size_t n;
    is_read_back(&m, &bytes, &n);
    assert_true(n <= BG_STREAM_HEADER + 16);
    free(bytes);
    m.k[5] = 2; /* from state 0 subset 2 leads away; the rest follows the path of zeros where it may */
    bg_stream_trellis t;
    bg_stream_trellis_init(&t, 8);
    int at = bg_stream_next(&t, 0, 2);
    for (int r = 1; r < 1024; r++) {
        int k = bg_stream_is_odd(&t, at);
        m.k[r * 512 + 5] = (int16_t)k;
        at = bg_stream_next(&t, at, k);
    }
    is_read_back(&m, &bytes, &n);
    assert_true(n < 600);
    free(bytes);
    release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape_is_read_back), cmocka_unit_test(test_bytes_are_the_same_everywhere),
        cmocka_unit_test(test_damage_is_seen),           cmocka_unit_test(test_strays_and_excess_are_refused),
        cmocka_unit_test(test_nothing_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
