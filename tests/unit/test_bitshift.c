/* The bitshift trellis: the search against the plain one, paths that are streams, and tests/reference/trellis.json. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "io/base/json.h"
#include "quant/kernel/bitshift.h"
#include "quant/engine/quantize.h"
#include "quant/probability/random.h"

static float normal(uint64_t seed, uint64_t i)
{
    return (float)(sqrt(-2 * log(bg_uniform_at(seed, 2 * i))) *
                   cos(6.283185307179586 * bg_uniform_at(seed, 2 * i + 1)));
}

static void test_search(void **state)
{
    (void)state;
    static const int shapes[][4] = {{5, 1, 1, 0},  {8, 1, 1, 0}, {8, 2, 1, 1},  {10, 3, 1, 2}, {9, 4, 1, 3},
                                    {10, 4, 2, 1}, {8, 2, 2, 0}, {12, 6, 2, 2}, {12, 8, 2, 3}, {9, 2, 1, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        bg_bitshift b = {shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3], NULL};
        size_t N = (size_t)1 << b.L, V = (size_t)b.V, steps = 101;
        int16_t *table = malloc(N * V * sizeof *table), *x = malloc(steps * V * sizeof *x);
        uint16_t *m = calloc(bg_bitshift_metrics(&b), sizeof *m);
        uint8_t *choices = malloc(bg_bitshift_choices(&b, steps));
        uint16_t p[101], q[101];
        for (size_t k = 0; k < N * V; k++)
            table[k] = (int16_t)(4096 * normal(1, k));
        for (size_t k = 0; k < steps * V; k++)
            x[k] = (int16_t)(k % 50 == 49 ? 32767 : 4096 * normal(2, k)); /* some far out: costs saturate */
        b.table = table;
        for (int ends = 0; ends < 3; ends++) {
            int start = ends ? 3 : BG_BITSHIFT_FREE, end = ends == 2 ? 3 : BG_BITSHIFT_FREE;
            uint64_t c = bg_bitshift_search_ref(&b, x, steps, (bg_bitshift_ends){start, end},
                                                (bg_bitshift_workspace){m, choices}, p);
            uint64_t d = bg_bitshift_search(&b, x, steps, (bg_bitshift_ends){start, end},
                                            (bg_bitshift_workspace){m, choices}, q),
                     sum = 0;
            assert_true(c == d);
            assert_memory_equal(p, q, sizeof p);
            for (size_t t = 0; t < steps; t++) { /* each window overlaps the one before, and the cost is what is said */
                if (t)
                    assert_int_equal(q[t] >> b.K, q[t - 1] & ((N >> b.K) - 1));
                for (size_t v = 0; v < V; v++)
                    sum += bg_bitshift_cost(b.doublings, x[t * V + v], table[v * N + q[t]]);
            }
            assert_true(sum == d);
            if (ends)
                assert_int_equal(q[0] >> b.K, 3);
            if (ends == 2)
                assert_int_equal(q[steps - 1] & ((N >> b.K) - 1), 3);
        }
        free(table), free(x), free(m), free(choices);
    }
}

/* The start is kept even where every path to the wanted end costs more than 16 bits hold. */
static void test_hopeless(void **state)
{
    (void)state;
    enum { L = 12, K = 1, STEPS = 16, N = 1 << L };
    static int16_t table[N], x[STEPS];
    static uint16_t m[2 * (N / 2 + BG_BITSHIFT_MARGIN)], path[STEPS];
    static uint8_t choices[2 * N];
    for (int s = 0; s < N; s++)
        table[s] = s & 1 ? -32768 : 32767;
    for (int i = 0; i < STEPS; i++)
        x[i] = 32767; /* zeros cost nothing; an end of ones costs the most eleven times */
    bg_bitshift b = {L, K, 1, 2, table};
    bg_bitshift_search(&b, x, STEPS, (bg_bitshift_ends){0x555, N / 2 - 1}, (bg_bitshift_workspace){m, choices}, path);
    assert_int_equal(path[0] >> K, 0x555);
    assert_int_equal(path[STEPS - 1] & (N / 2 - 1), N / 2 - 1);
    for (int t = 1; t < STEPS; t++)
        assert_int_equal(path[t] >> K, path[t - 1] & (N / 2 - 1));
}

static double mse_of(const char *text, int64_t n)
{
    bg_spec s;
    bg_err e = {0};
    bg_measure r;
    float *x = malloc((size_t)n * sizeof *x), *out = malloc((size_t)n * sizeof *out);
    double sigma2 = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = 0.01f * normal(5, (uint64_t)i) + 0.003f;
        sigma2 += pow((double)x[i] - 0.003, 2) / (double)n;
    }
    bg_matrix m = bg_matrix_of(x, n / 512, 512);
    if (bg_spec_parse(text, &s, &e) || bg_reconstruct(&m, &s, x, out, &r, NULL, &e))
        fail_msg("%s", e.text);
    free(x), free(out);
    return r.mse / sigma2;
}

static void test_reference(void **state)
{
    (void)state;
    cJSON *file = NULL;
    assert_int_equal(bg_json_read("tests/reference/trellis.json", 1 << 22, &file, NULL), BG_OK);
    int cases = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(file, "cases"))
    {
        if (strncmp(bg_json_string(c, "id", ""), "bitshift", 8))
            continue;
        char text[64];
        int L = (int)bg_json_number(c, "L", 0);
        snprintf(text, sizeof text, "bitshift:bits=%g,L=%d", bg_json_number(c, "rate_bits", 0), L);
        const cJSON *row = cJSON_GetObjectItem(cJSON_GetObjectItem(c, "expect"), "mse");
        double want = bg_json_number(row, "value", NAN), room = bg_json_number(row, "atol", 0);
        double mse = mse_of(text, L == 16 ? 16384 : 131072);
        print_message("%s %.5f, reference %.5f\n", text, mse, want);
        assert_true(fabs(mse - want) < room + 0.005 * want); /* one table of ours, several of theirs */
        cases++;
    }
    assert_int_equal(cases, 6);
    cJSON_Delete(file);
}

static void test_computed_codes(void **state)
{
    (void)state;
    assert_true(mse_of("bitshift:table=1mad", 16384) < 0.0705);
    assert_true(mse_of("bitshift:table=3inst", 16384) < 0.0705);
    double free_of_start = mse_of("bitshift:L=10,length=256,ends=biting", 65536),
           fixed = mse_of("bitshift:L=10,length=256", 65536);
    print_message("tail-biting %.5f, fixed start %.5f\n", free_of_start, fixed);
    assert_true(free_of_start < fixed);
    assert_true(bg_bitshift_1mad(0) == (float)(0x04 + 0x91 + 0x36 + 0x7a - 510) / 147.800537109375f);
}

static void test_odd_tensors(void **state)
{
    (void)state;
    bg_spec s;
    bg_err e = {0};
    bg_measure r;
    float x[1024], out[1024];
    for (int i = 0; i < 1024; i++)
        x[i] = -0.5f;
    bg_matrix m = bg_matrix_of(x, 2, 512);
    assert_int_equal(bg_spec_parse("bitshift:L=8", &s, &e), 0);
    assert_int_equal(bg_reconstruct(&m, &s, x, out, &r, NULL, &e), 0);
    assert_true(r.mse == 0);
    assert_int_equal(bg_spec_parse("bitshift:L=6,bits=3", &s, &e), BG_USAGE);
    assert_int_equal(bg_spec_parse("bitshift:L=12,table=1mad", &s, &e), BG_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_search), cmocka_unit_test(test_hopeless),
                                       cmocka_unit_test(test_reference), cmocka_unit_test(test_computed_codes),
                                       cmocka_unit_test(test_odd_tensors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
