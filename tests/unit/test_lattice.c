/* Lattice decoders: points are points, no neighbour is nearer, and the second moments are those of Conway and Sloane.
 * The E8P codebook has 65,536 distinct words. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "quant/probability/random.h"
#include "quant/kernel/lattice.h"

static double distance(const bg_lattice *l, const float *x, const int32_t *v)
{
    double sum = 0;
    for (int i = 0; i < l->dim; i++)
        sum += pow((double)x[i] - v[i] * l->unit[i % 2], 2);
    return sum;
}

/* Whether v is a point of the lattice, by the congruences of lattice.h. */
static int is_point(const bg_lattice *l, const int32_t *v)
{
    int sum = 0, m = v[0] & 1, even = 1;
    uint32_t word = 0;
    for (int i = 0; i < l->dim; i++) {
        sum += v[i], even &= (v[i] & 1) == m;
        word |= (uint32_t)((v[i] - m) >> 1 & 1) << i;
    }
    switch (l->kind) {
    case BG_LATTICE_A2:
        return even;
    case BG_LATTICE_D4:
        return (sum & 1) == 0;
    case BG_LATTICE_E8:
        return even && (sum & 3) == 0;
    case BG_LATTICE_LEECH:
        return even && (sum & 7) == 4 * m && l->golay[word & 4095] == word;
    default:
        return 1;
    }
}

static void test_second_moments(void **state)
{
    (void)state;
    static const double G[] = {1.0 / 12, 0.0801875, 0.0766032, 0.0716821, 0.065771};
    static const int draws[] = {400000, 400000, 200000, 100000, 12000};
    bg_lattice *l = malloc(sizeof *l);
    for (int k = 0; k < BG_LATTICES; k++) {
        bg_lattice_init(l, (bg_lattice_kind)k);
        double sum = 0, squares = 0;
        for (int n = 0; n < draws[k]; n++) {
            float x[24];
            int32_t v[24];
            for (int i = 0; i < l->dim; i++) /* uniform over many cells */
                x[i] = (float)(64 * bg_uniform_at(5, (uint64_t)n * 24 + (uint64_t)i) - 32);
            bg_lattice_nearest(l, x, v);
            assert_true(is_point(l, v));
            double q = distance(l, x, v) / l->dim / pow(l->volume, 2.0 / l->dim);
            sum += q, squares += q * q;
        }
        double mean = sum / draws[k], error = sqrt((squares / draws[k] - mean * mean) / draws[k]);
        print_message("dimension %d: G %.6f ± %.6f, exact %.6f\n", l->dim, mean, error, G[k]);
        assert_true(fabs(mean - G[k]) < 4 * error + 1e-6);
    }
    free(l);
}

/* Short vectors of the Leech lattice: no point reached by one of them is nearer than the decoder's. */
static void test_no_neighbour_is_nearer(void **state)
{
    (void)state;
    bg_lattice *l = malloc(sizeof *l);
    bg_lattice_init(l, BG_LATTICE_LEECH);
    for (int n = 0; n < 40; n++) {
        float x[24];
        int32_t v[24], w[24];
        for (int i = 0; i < 24; i++)
            x[i] = (float)(8 * bg_uniform_at(9, (uint64_t)(n * 24 + i)));
        bg_lattice_nearest(l, x, v);
        double best = distance(l, x, v);
        for (int g = 1; g < BG_GOLAY_WORDS; g++) {
            if (__builtin_popcount(l->golay[g]) != 8)
                continue;
            for (unsigned s = 0; s < 128; s++) { /* (±2)^8 on an octad, an even number of minus signs */
                unsigned signs = s | (unsigned)__builtin_parity(s) << 7;
                memcpy(w, v, sizeof w);
                for (int i = 0, j = 0; i < 24; i++)
                    if (l->golay[g] >> i & 1)
                        w[i] += signs >> j++ & 1 ? -2 : 2;
                if (s == 5)
                    assert_true(is_point(l, w));
                assert_true(distance(l, x, w) >= best - 1e-4);
            }
        }
    }
    int octads = 0;
    for (int g = 0; g < BG_GOLAY_WORDS; g++)
        octads += __builtin_popcount(l->golay[g]) == 8;
    assert_int_equal(octads, 759);
    free(l);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, 8 * sizeof(float));
}

static void test_e8p(void **state)
{
    (void)state;
    bg_e8p *b = malloc(sizeof *b);
    float(*words)[8] = malloc(65536 * sizeof *words);
    bg_e8p_init(b);
    for (int k = 0; k < 65536; k++) {
        bg_e8p_word(b, (uint16_t)k, words[k]);
        double sum = 0;
        for (int i = 0; i < 8; i++)
            sum += (double)words[k][i] + (k >> 15 ? 0.25 : -0.25);
        assert_true(fmod(sum, 2) == 0); /* in D8 + ½ but for the shift */
    }
    for (int n = 0; n < 200; n++) { /* the search finds what trying every word finds */
        float x[8], best = 1e30f;
        for (int i = 0; i < 8; i++)
            x[i] = (float)(5 * bg_uniform_at(2, (uint64_t)(8 * n + i)) - 2.5);
        uint16_t index = bg_e8p_nearest(b, x);
        float found = 0;
        for (int k = 0; k < 65536; k++) {
            float q = 0;
            for (int i = 0; i < 8; i++)
                q += (x[i] - words[k][i]) * (x[i] - words[k][i]);
            best = q < best ? q : best;
            found = k == index ? q : found;
        }
        assert_true(found <= best + 1e-4f);
    }
    qsort(words, 65536, sizeof *words, compare);
    for (int k = 1; k < 65536; k++)
        assert_true(compare(words[k - 1], words[k]) != 0);
    free(b), free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_second_moments),
                                       cmocka_unit_test(test_no_neighbour_is_nearer), cmocka_unit_test(test_e8p)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
