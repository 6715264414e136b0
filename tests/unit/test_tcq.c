/* Trellis-coded quantization: the search against the plain one, fixed rate against tests/reference/trellis.json, and
 * entropy-coded gaps as real bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include "io/base/json.h"
#include "quant/kernel/trellis.h"
#include "quant/engine/quantize.h"
#include "quant/probability/random.h"
#include "quant/source/source.h"

static void test_search(void **state)
{
    (void)state;
    enum { N = 1000 };
    uint16_t(*cost)[4] = malloc(N * sizeof *cost);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < 4; c++)
            cost[i][c] = (uint16_t)(BG_TRELLIS_MAX_COST * pow(bg_uniform_at(7, (uint64_t)(4 * i + c)), 4));
    uint8_t a[N], b[N];
    for (int states = 4; states <= 256; states *= 2) {
        bg_trellis t;
        assert_true(bg_trellis_init(&t, states));
        uint8_t *choices = malloc(bg_trellis_choice_bytes(&t, N));
        bg_trellis_search_ref(&t, (const uint16_t(*)[4])cost, N, choices, a);
        bg_trellis_search(&t, (const uint16_t(*)[4])cost, N, choices, b);
        assert_memory_equal(a, b, N);
        free(choices);
    }
    bg_trellis t;
    assert_false(bg_trellis_init(&t, 12));
    free(cost);
}

/* The parity check h1·z1 + h0·z0 = 0 of Ungerboeck's 8-state code (octal 13, 04) on a random path. */
static void test_code(void **state)
{
    (void)state;
    bg_trellis t;
    assert_true(bg_trellis_init(&t, 8));
    unsigned z0 = 0, z1 = 0;
    int s = 0;
    for (int i = 0; i < 500; i++) {
        int u = (int)(bg_bits_at(3, (uint64_t)i) & 1), c = bg_trellis_subset(&t, s, u);
        assert_int_equal(c & 1, bg_trellis_subset(&t, s, !u) & 1);
        s = bg_trellis_next(&t, s, u);
        z0 = z0 << 1 | (unsigned)(c & 1), z1 = z1 << 1 | (unsigned)(c >> 1);
        assert_int_equal(__builtin_parity(z0 & 013) ^ __builtin_parity(z1 & 04), 0);
    }
}

static bg_measure measure(const float *x, int64_t n, const char *text)
{
    bg_spec s;
    bg_err e = {0};
    bg_measure r;
    float *out = malloc((size_t)n * sizeof *out);
    bg_matrix m = bg_matrix_of(x, n / 1024, 1024);
    if (bg_spec_parse(text, &s, &e) || bg_reconstruct(&m, &s, x, out, &r, NULL, &e))
        fail_msg("%s", e.text);
    free(out);
    return r;
}

static float *gaussian(int64_t n, double *sigma2)
{
    bg_source source;
    float *x = malloc((size_t)n * sizeof *x);
    assert_int_equal(bg_source_parse("gaussian,n=4194304,seed=21", &source, NULL), 0);
    bg_source_samples(&source, 0, n, x);
    *sigma2 = 0;
    for (int64_t i = 0; i < n; i++)
        *sigma2 += (double)x[i] * (double)x[i] / (double)n;
    return x;
}

static void test_fixed_rate(void **state)
{
    (void)state;
    cJSON *file = NULL;
    assert_int_equal(bg_json_read("tests/reference/trellis.json", 1 << 22, &file, NULL), BG_OK);
    int64_t n = 1 << 17;
    double sigma2;
    float *x = gaussian(n, &sigma2);
    int cases = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(file, "cases"))
    {
        const char *id = bg_json_string(c, "id", "");
        if (strncmp(id, "mf_tcq", 6))
            continue;
        char text[64];
        snprintf(text, sizeof text, "tcq:bits=%g,states=%g", bg_json_number(c, "rate_bits", 0),
                 bg_json_number(c, "states", 0));
        const cJSON *row = cJSON_GetObjectItem(cJSON_GetObjectItem(c, "expect"), "mse");
        double want = bg_json_number(row, "value", NAN), room = bg_json_number(row, "atol", 0);
        bg_measure r = measure(x, n, text);
        print_message("%s %.6f, reference %.6f\n", text, r.mse / sigma2, want);
        assert_true(fabs(r.mse / sigma2 - want) < room);
        assert_true(fabs(r.rate.indices / (double)n - bg_json_number(c, "rate_bits", 0)) < 1e-12);
        cases++;
    }
    assert_int_equal(cases, 15);
    cJSON_Delete(file);
    free(x);
}

static void test_entropy_coded(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        double most;
    } rows[] = {{"tcq:rate=2,states=8,code=entropy", 0.08},    {"tcq:rate=3,states=8,code=entropy", 0.08},
                {"tcq:rate=4,states=8,code=entropy", 0.08},    {"tcq:rate=1,states=256,code=entropy", 0.08},
                {"tcq:rate=2,states=256,code=entropy", 0.045}, {"tcq:rate=4,states=256,code=entropy", 0.045}};
    int64_t n = 1 << 20;
    double sigma2;
    float *x = gaussian(n, &sigma2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bg_measure r = measure(x, n, rows[i].spec);
        /* tables and levels are a matter of the tensor's size; the code is judged without them, within two standard
         * errors */
        double stored = r.rate.indices / (double)n, gap = stored + log2(r.mse / sigma2) / 2;
        print_message("%s: rate %.4f gap %.4f (all counted %.4f)\n", rows[i].spec, r.rate_bits, gap,
                      r.rate_bits + log2(r.mse / sigma2) / 2);
        assert_true(gap < rows[i].most);
        assert_true(r.rate_bits + log2(r.mse / sigma2) / 2 < rows[i].most + 0.002);
        assert_true(gap > 0.02); /* and no code is below its bound */
    }
    free(x);
}

static void test_odd_tensors(void **state)
{
    (void)state;
    static const char *const specs[] = {"tcq:bits=2,states=8", "tcq:rate=2,states=8,code=entropy"};
    float x[2048];
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2048; k++)
            x[k] = 0.25f;
        assert_true(measure(x, 2048, specs[i]).mse < 1e-9);
        for (int k = 0; k < 2048; k++)
            x[k] = k % 3 ? 1 : -1;
        assert_true(measure(x, 2048, specs[i]).mse < 0.1);
        memset(x, 0, sizeof x);
        assert_true(measure(x, 2048, specs[i]).mse == 0);
    }
    bg_spec s;
    bg_err e = {0};
    assert_int_equal(bg_spec_parse("tcq:states=12", &s, &e), BG_USAGE);
    assert_int_equal(bg_spec_parse("tcq:rate=2.5", &s, &e), BG_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),        cmocka_unit_test(test_code),        cmocka_unit_test(test_fixed_rate),
        cmocka_unit_test(test_entropy_coded), cmocka_unit_test(test_odd_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
