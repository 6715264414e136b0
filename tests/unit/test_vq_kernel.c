/* The codeword searches against the plain one: the same index and the same score, bit for bit. */
#include <math.h>
#include <stdlib.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "quant/kernel/vq.h"

static float normal(uint64_t *s)
{
    float sum = 0;
    for (int i = 0; i < 12; i++) {
        *s = *s * 6364136223846793005u + 1442695040888963407u;
        sum += (float)(*s >> 40) / 16777216.0f;
    }
    return sum - 6;
}

static float *normals(size_t n, uint64_t seed)
{
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = normal(&seed);
    return x;
}

static void agree(int K, int d, int dims, size_t n)
{
    float *x = normals(n * (size_t)d, 7), *words = normals((size_t)K * (size_t)d, 11);
    float *packed = malloc(bg_vq_packed_floats(K, dims) * sizeof *packed), *a = malloc(n * sizeof *a),
          *b = malloc(n * sizeof *b);
    uint16_t *ia = malloc(n * sizeof *ia), *ib = malloc(n * sizeof *ib);
    bg_vq_pack(words, K, d, dims, packed);
    bg_vq_nearest(&(bg_vq_words){packed, K, dims}, (bg_vectors){x, n, (size_t)d}, ia, a);
    bg_vq_nearest_ref(&(bg_vq_words){packed, K, dims}, (bg_vectors){x, n, (size_t)d}, ib, b);
    assert_memory_equal(ia, ib, n * sizeof *ia);
    assert_memory_equal(a, b, n * sizeof *a);
    float *second = malloc(n * sizeof *second);
    bg_vq_two_nearest(&(bg_vq_words){packed, K, dims}, (bg_vectors){x, n, (size_t)d}, ib, b, second);
    assert_memory_equal(ia, ib, n * sizeof *ia);
    assert_memory_equal(a, b, n * sizeof *a);
    for (size_t v = 0; v < n; v += 7) { /* the second: the best of the others */
        float least = INFINITY;
        for (int k = 0; k < K; k++) {
            float one[16 * 33], s;
            uint16_t i;
            bg_vq_pack(words + k * d, 1, d, dims, one);
            bg_vq_nearest(&(bg_vq_words){one, 1, dims}, (bg_vectors){x + v * (size_t)d, 1, (size_t)d}, &i, &s);
            least = k != ia[v] && s < least ? s : least;
        }
        assert_true(second[v] == least);
    }
    free(second);
    for (size_t v = 0; v < n; v++) { /* and the score is the distance it stands for */
        double norm = 0, distance = 0;
        for (int i = 0; i < dims; i++) {
            double xi = (double)x[v * (size_t)d + (size_t)i], c = (double)words[(size_t)ia[v] * (size_t)d + (size_t)i];
            norm += xi * xi, distance += (xi - c) * (xi - c);
        }
        assert_true(fabs(norm + 2 * (double)a[v] - distance) < 1e-4);
    }
    free(x), free(words), free(packed), free(a), free(b), free(ia), free(ib);
}

static void test_every_dimension(void **state)
{
    (void)state;
    for (int d = 1; d <= 12; d++)
        agree(1 << (d < 8 ? d : 8), d, d, 333);
    agree(1, 4, 4, 40), agree(17, 3, 3, 5), agree(100, 8, 5, 64), agree(300, 32, 32, 33);
}

static void test_ties_go_to_the_lower_index(void **state)
{
    (void)state;
    float words[40 * 2], packed[48 * 3], x[2] = {0.25f, -0.5f};
    uint16_t index = 99;
    for (int k = 0; k < 40; k++)
        words[2 * k] = 1, words[2 * k + 1] = k < 3 ? 2 : 1;
    bg_vq_pack(words, 40, 2, 2, packed);
    bg_vq_nearest(&(bg_vq_words){packed, 40, 2}, (bg_vectors){x, 1, 2}, &index, NULL);
    assert_int_equal(index, 3);
}

static void test_not_finite(void **state)
{
    (void)state;
    float words[32], packed[64], x[3] = {NAN, INFINITY, 31};
    uint16_t index[3];
    for (int k = 0; k < 32; k++)
        words[k] = (float)k;
    bg_vq_pack(words, 32, 1, 1, packed);
    bg_vq_nearest(&(bg_vq_words){packed, 32, 1}, (bg_vectors){x, 3, 1}, index, NULL);
    assert_int_equal(index[0], 0);
    assert_true(index[1] < 32);
    assert_int_equal(index[2], 31);
}

static void plane_agrees(int K, int levels, float shift)
{
    size_t n = 20000;
    float *x = normals(n * 2, 3), *words = normals((size_t)K * 2, 5);
    for (size_t i = 0; i < n * 2; i++)
        x[i] += shift;
    for (int i = 0; i < 2 * K; i++)
        words[i] += shift;
    float *packed = malloc(bg_vq_packed_floats(K, 2) * sizeof *packed), *a = malloc(n * sizeof *a),
          *b = malloc(n * sizeof *b);
    uint16_t *ia = malloc(n * sizeof *ia), *ib = malloc(n * sizeof *ib);
    uint16_t *scratch = malloc((size_t)K * (size_t)(levels + 1) * sizeof *scratch);
    bg_plane p = {.levels = levels, .start = malloc(((size_t)1 << 2 * levels | 1) * sizeof *p.start)};
    size_t entries = bg_plane_build(&p, words, K, scratch);
    p.list = malloc(entries * sizeof *p.list);
    assert_int_equal(bg_plane_build(&p, words, K, scratch), entries);
    bg_vq_pack(words, K, 2, 2, packed);
    bg_plane_nearest(&p, &(bg_vq_words){packed, K, 2}, (bg_vectors){x, n, 2}, ia, a);
    bg_vq_nearest_ref(&(bg_vq_words){packed, K, 2}, (bg_vectors){x, n, 2}, ib, b);
    assert_memory_equal(ia, ib, n * sizeof *ia);
    assert_memory_equal(a, b, n * sizeof *a);
    free(x), free(words), free(packed), free(a), free(b), free(ia), free(ib), free(scratch), free(p.start),
        free(p.list);
}

static void test_plane(void **state)
{
    (void)state;
    plane_agrees(1, 1, 0), plane_agrees(64, 3, 0), plane_agrees(1000, 5, 0), plane_agrees(300, 4, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_dimension),
        cmocka_unit_test(test_ties_go_to_the_lower_index),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_plane),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
