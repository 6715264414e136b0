/* Distances between texts: worked cases, and the properties of a distance on random strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <math.h>
#include <cmocka.h>
#include "analysis/output/text_drift.h"
#include "quant/probability/random.h"

static size_t edits(const int32_t *a, size_t n, const int32_t *b, size_t m)
{
    size_t out;
    assert_int_equal(bg_edit_distance(a, n, b, m, &out, NULL), BG_OK);
    return out;
}

static void known(void **state)
{
    (void)state;
    const int32_t kitten[] = {'k', 'i', 't', 't', 'e', 'n'}, sitting[] = {'s', 'i', 't', 't', 'i', 'n', 'g'};
    size_t common;
    double rouge;
    assert_int_equal(edits(kitten, 6, sitting, 7), 3);
    assert_int_equal(edits(kitten, 6, sitting, 0), 6);
    assert_int_equal(edits(kitten, 0, sitting, 7), 7);
    assert_int_equal(bg_first_difference(kitten, 6, kitten, 4), 4);
    assert_int_equal(bg_first_difference(kitten, 6, sitting, 7), 0);
    assert_int_equal(bg_common_subsequence(kitten, 6, sitting, 7, &common, NULL), BG_OK);
    assert_int_equal(common, 4); /* i t t n */
    assert_int_equal(bg_rouge_l(kitten, 6, sitting, 7, &rouge, NULL), BG_OK);
    assert_float_equal(rouge, 8.0 / 13, 1e-15);
    assert_int_equal(bg_rouge_l(kitten, 0, sitting, 0, &rouge, NULL), BG_OK);
    assert_float_equal(rouge, 1, 0);
}

/* Papineni et al., example 2: seven times "the" has one clipped match of 2 in "the cat is on the mat". */
static void bleu(void **state)
{
    (void)state;
    const int32_t reference[] = {0, 1, 2, 3, 0, 4}, the[] = {0, 0, 0, 0, 0, 0, 0}, same[] = {0, 1, 2, 3, 0, 4};
    bg_bleu b = {0};
    bg_bleu_add(&b, reference, 6, the, 7);
    assert_int_equal(b.matches[0], 2);
    assert_int_equal(b.total[0], 7);
    assert_int_equal(b.matches[1], 0);
    assert_float_equal(bg_bleu_score(&b), 0, 0);
    b = (bg_bleu){0};
    bg_bleu_add(&b, reference, 6, same, 6);
    assert_float_equal(bg_bleu_score(&b), 1, 1e-15);
    b = (bg_bleu){0}; /* the first five words: all match, and the text is short */
    bg_bleu_add(&b, reference, 6, same, 5);
    assert_float_equal(bg_bleu_score(&b), exp(1 - 6.0 / 5), 1e-15);
    b = (bg_bleu){0}; /* 0 1 2 9 0 4: 5 of 6, 3 of 5, 1 of 4, no 4-gram */
    const int32_t changed[] = {0, 1, 2, 9, 0, 4};
    bg_bleu_add(&b, reference, 6, changed, 6);
    assert_int_equal(b.matches[0], 5);
    assert_int_equal(b.matches[1], 3);
    assert_int_equal(b.matches[2], 1);
    assert_int_equal(b.matches[3], 0);
}

static void words(void **state)
{
    (void)state;
    int32_t *a, *b;
    size_t n, m;
    assert_int_equal(bg_words("  to be,\n or not to be", "to\tbe or", &a, &n, &b, &m, NULL), BG_OK);
    assert_int_equal(n, 6);
    assert_int_equal(m, 3);
    assert_int_equal(a[0], a[4]);
    assert_int_not_equal(a[1], a[5]); /* "be," and "be" */
    assert_int_equal(b[0], a[0]);
    assert_int_equal(b[1], a[5]);
    assert_int_equal(b[2], a[2]);
    free(a);
    free(b);
    assert_int_equal(bg_words("", " ", &a, &n, &b, &m, NULL), BG_OK);
    assert_int_equal(n + m, 0);
    free(a);
    free(b);
}

static void properties(void **state)
{
    (void)state;
    int32_t text[3][24];
    for (int trial = 0; trial < 200; trial++) {
        size_t n[3];
        for (int i = 0; i < 3; i++) {
            n[i] = (size_t)(bg_bits_at(7, (uint64_t)(trial * 100 + i)) % 24);
            for (size_t k = 0; k < n[i]; k++)
                text[i][k] = (int32_t)(bg_bits_at(9, (uint64_t)trial * 1000 + (uint64_t)i * 100 + k) % 3);
        }
        size_t ab = edits(text[0], n[0], text[1], n[1]), bc = edits(text[1], n[1], text[2], n[2]);
        size_t ac = edits(text[0], n[0], text[2], n[2]), common;
        assert_int_equal(ab, edits(text[1], n[1], text[0], n[0]));
        assert_true(ac <= ab + bc);
        assert_int_equal(edits(text[0], n[0], text[0], n[0]), 0);
        assert_int_equal(bg_common_subsequence(text[0], n[0], text[1], n[1], &common, NULL), BG_OK);
        size_t longer = n[0] > n[1] ? n[0] : n[1];
        assert_true(ab + common >= longer && ab <= n[0] + n[1] - 2 * common);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(bleu), cmocka_unit_test(words),
                                       cmocka_unit_test(properties)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
