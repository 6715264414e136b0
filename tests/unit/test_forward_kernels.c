/* Kernels of the forward pass: the product's digits do not depend on threads; fast versions against their _ref. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <omp.h>

#include "analysis/model/attention.h"
#include "analysis/model/rows.h"
#include "quant/kernel/gemm.h"
#include "quant/kernel/product.h"

static uint32_t state_of_noise = 12345;

/* A value of −1 … 1; the test's own generator. */
static float noise(void)
{
    state_of_noise = state_of_noise * 1664525u + 1013904223u;
    return (float)(state_of_noise >> 8) / 8388608.0f - 1;
}

static float *noises(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = noise();
    return x;
}

static void product_is_right_for_any_threads(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1},     {1, 700, 65},  {2, 3, 5},       {17, 193, 64}, {513, 200, 31},
                                        {64, 577, 96}, {1030, 40, 7}, {300, 384, 256}, {3, 12400, 5}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        int64_t n = shapes[s][0], out = shapes[s][1], in = shapes[s][2], ldx = in + 3, ldy = out + 2;
        float *x = noises(n * ldx), *w = noises(out * in), *bias = noises(out);
        float *want = noises(n * ldy), *first = noises(n * ldy), *y = noises(n * ldy);
        bg_gemm_ref(n, in, x, ldx, &(bg_product){out, w, bias, want, ldy});
        for (int threads = 1; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            bg_gemm_all(n, in, x, ldx, &(bg_product){out, w, bias, threads == 1 ? first : y, ldy}, 1);
            for (int64_t r = 0; threads > 1 && r < n; r++)
                assert_memory_equal(y + r * ldy, first + r * ldy, (size_t)out * sizeof *y);
        }
        /* n rounding errors of ½ulp each at most, on sums of |x·w| ≤ 1 */
        double bound = 6e-8 * (double)(in + 2) * sqrt((double)in + 1);
        for (int64_t r = 0; r < n; r++)
            for (int64_t c = 0; c < out; c++)
                if (!(fabs((double)first[r * ldy + c] - (double)want[r * ldy + c]) <= bound))
                    fail_msg("shape %zu, row %lld, column %lld", s, (long long)r, (long long)c);
        free(x), free(w), free(bias), free(want), free(first), free(y);
    }
}

/* Shapes around every edge of the tile and the blocks, each operand plain and transposed, rows of c further apart than
 * n. */
static void sgemm_follows_its_reference(void **state)
{
    (void)state;
    static const int64_t edges[] = {1, 3, 4, 12, 13, 31, 33, 193, 256, 259, 771};
    enum { EDGES = sizeof edges / sizeof *edges };
    for (int s = 0; s < 4 * EDGES * EDGES; s++) {
        int64_t m = edges[s % EDGES], n = edges[s / EDGES % EDGES], k = edges[(s * 7 + s / EDGES * 3) % EDGES],
                ldc = n + 3;
        int transposed = s / (EDGES * EDGES);
        float *x = noises(m * k), *y = noises(k * n), *c = noises(m * ldc),
              *want = malloc((size_t)(m * ldc) * sizeof *want);
        assert_non_null(want);
        memcpy(want, c, (size_t)(m * ldc) * sizeof *want);
        bg_s_operand a = transposed & 1 ? (bg_s_operand){x, 1, m} : (bg_s_operand){x, k, 1};
        bg_s_operand b = transposed & 2 ? (bg_s_operand){y, 1, k} : (bg_s_operand){y, n, 1};
        float alpha = s % 3 ? 1 : -0.5F, beta = s % 2 ? 0 : s % 4 ? 1 : 0.25F;
        if (beta == 0)
            for (int64_t i = 0; i < m; i++)
                c[i * ldc] = NAN;
        bg_sgemm((bg_product_shape){m, n, k}, alpha, a, b, beta, c, ldc);
        bg_sgemm_ref((bg_product_shape){m, n, k}, alpha, a, b, beta, want, ldc);
        double bound = 6e-8 * (double)(k + 3) * sqrt((double)k + 1);
        for (int64_t i = 0; i < m; i++) {
            for (int64_t j = 0; j < n; j++)
                if (!(fabs((double)c[i * ldc + j] - (double)want[i * ldc + j]) <= bound))
                    fail_msg("%lld x %lld x %lld, transposed %d, row %lld, column %lld", (long long)m, (long long)n,
                             (long long)k, transposed, (long long)i, (long long)j);
            assert_memory_equal(c + i * ldc + n, want + i * ldc + n, 3 * sizeof *c);
        }
        free(x), free(y), free(c), free(want);
    }
}

/* The same body in double: products of small integers are exact, so the two must agree to the last bit. */
static void dgemm_is_exact_on_integers(void **state)
{
    (void)state;
    static const int64_t shapes[][3] = {{1, 1, 1},      {13, 17, 259}, {49, 33, 256},
                                        {200, 400, 31}, {12, 16, 600}, {5, 7, 0}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int way = 0; way < 4; way++) {
            int64_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
            double *x = calloc((size_t)(m * k + 1), sizeof *x), *y = calloc((size_t)(k * n + 1), sizeof *y);
            double *c = malloc((size_t)(m * n) * sizeof *c), *want = malloc((size_t)(m * n) * sizeof *want);
            assert_true(x && y && c && want);
            for (int64_t i = 0; i < m * k; i++)
                x[i] = (double)(i * 7 % 23 - 11);
            for (int64_t i = 0; i < k * n; i++)
                y[i] = (double)(i * 5 % 19 - 9);
            for (int64_t i = 0; i < m * n; i++)
                c[i] = want[i] = (double)(i % 5);
            bg_d_operand a = way & 1 ? (bg_d_operand){x, 1, m} : (bg_d_operand){x, k, 1};
            bg_d_operand b = way & 2 ? (bg_d_operand){y, 1, k} : (bg_d_operand){y, n, 1};
            bg_dgemm((bg_product_shape){m, n, k}, -1, a, b, 2, c, n);
            bg_dgemm_ref((bg_product_shape){m, n, k}, -1, a, b, 2, want, n);
            assert_memory_equal(c, want, (size_t)(m * n) * sizeof *c);
            free(x), free(y), free(c), free(want);
        }
}

static void sgemm_in_parts_has_the_digits_of_the_whole(void **state)
{
    (void)state;
    enum { M = 217, N = 901, K = 530 };
    float *x = noises((int64_t)M * K), *y = noises((int64_t)N * K), *whole = noises((int64_t)M * N),
          *parts = noises((int64_t)M * N);
    bg_sgemm((bg_product_shape){M, N, K}, 1, (bg_s_operand){x, K, 1}, (bg_s_operand){y, 1, K}, 0, whole, N);
    for (int64_t i = 0, rows = 1; i < M; i += rows, rows = rows % 37 + 5)
        for (int64_t j = 0, cols = 1; j < N; j += cols, cols = cols % 97 + 11) {
            int64_t m = i + rows < M ? rows : M - i, n = j + cols < N ? cols : N - j;
            bg_sgemm((bg_product_shape){m, n, K}, 1, (bg_s_operand){x + i * K, K, 1}, (bg_s_operand){y + j * K, 1, K},
                     0, parts + i * N + j, N);
        }
    assert_memory_equal(whole, parts, (size_t)M * N * sizeof *whole);
    free(x), free(y), free(whole), free(parts);
}

static void chunks_cover_the_product_once(void **state)
{
    (void)state;
    for (int64_t n = 1; n < 1200; n += 97)
        for (int64_t out = 1; out < 900; out += 61) {
            int64_t cells = 0;
            for (int64_t i = 0; i < bg_gemm_chunks(n, out); i++) {
                bg_gemm_chunk c = bg_gemm_chunk_at(n, out, i);
                assert_true(c.rows > 0 && c.cols > 0 && c.row + c.rows <= n && c.col + c.cols <= out);
                cells += c.rows * c.cols;
            }
            assert_int_equal(cells, n * out);
        }
}

static void activations_follow_libm(void **state)
{
    (void)state;
    enum { N = 4001 };
    static float fast[N], ref[N];
    for (int f = 0; f < BG_ACTIVATIONS; f++) {
        for (int i = 0; i < N; i++)
            fast[i] = ref[i] = (float)(i - N / 2) / 40.0f * (i % 7 ? 1 : 10);
        bg_activate((bg_activation)f, fast, NULL, N);
        bg_activate_ref((bg_activation)f, ref, NULL, N);
        for (int i = 0; i < N; i++)
            if (!(fabs((double)fast[i] - (double)ref[i]) <= 3e-7 * fmax(1, fabs((double)ref[i]))))
                fail_msg("activation %d at %d: %g, expected %g", f, i, (double)fast[i], (double)ref[i]);
    }
    float bad[3] = {NAN, 1, -1}, times[3] = {2, 2, 2};
    bg_activate(BG_SILU, bad, times, 3);
    assert_true(isnan(bad[0]) && !isnan(bad[1]));
}

static void softmax_sums_to_one(void **state)
{
    (void)state;
    for (int n = 1; n < 300; n += 13) {
        float *x = noises(n), *y = malloc((size_t)n * sizeof *y);
        for (int i = 0; i < n; i++)
            x[i] *= 60;
        memcpy(y, x, (size_t)n * sizeof *x);
        double a = bg_softmax_row(x, n, 1), b = bg_softmax_row_ref(y, n, 1), sum = 0;
        assert_true(fabs(a / b - 1) < 1e-6);
        for (int i = 0; i < n; i++) {
            sum += (double)x[i];
            assert_true(fabs((double)x[i] - (double)y[i]) < 1e-6);
        }
        assert_true(fabs(sum - 1) < 1e-6);
        free(x), free(y);
    }
}

static void attention_follows_its_reference(void **state)
{
    (void)state;
    enum { HEADS = 6, KV = 2, D = 10, N = 150, PAST = 37 };
    float *q = noises(N * HEADS * D), *k = noises((PAST + N) * KV * D), *v = noises((PAST + N) * KV * D);
    float *out = noises(N * HEADS * D), *ref = noises(N * HEADS * D), *again = noises(N * HEADS * D);
    omp_set_num_threads(3);
    float *scratch = noises((int64_t)3 * BG_ATTENTION_TILE * (PAST + N));
    static const int windows[] = {0, 1, 8, 70, 1000};
    for (int i = 0; i < 20; i++) { /* the second ten with one query, as generation has it */
        int n = i < 10 ? N : 1;
        bg_attention a = {.heads = HEADS,
                          .kv_heads = KV,
                          .head_dim = D,
                          .value_dim = D,
                          .window = windows[i % 5],
                          .scale = 2.0f,
                          .cap = i % 10 < 5 ? 0 : 1.5,
                          .threads = 3,
                          .n = n,
                          .past = PAST + N - n,
                          .q = {q, HEADS * D, D},
                          .k = {k, KV * D, D},
                          .v = {v, KV * D, D},
                          .out = {out, HEADS * D, D}};
        bg_attend(&a, scratch);
        a.out.base = ref;
        bg_attend_ref(&a, scratch);
        for (int j = 0; j < n * HEADS * D; j++)
            assert_true(fabs((double)out[j] - (double)ref[j]) < 3e-6);
        a.threads = 1;
        a.out.base = again;
        bg_attend(&a, scratch);
        assert_memory_equal(out, again, (size_t)n * HEADS * D * sizeof *out);
    }
    free(q), free(k), free(v), free(out), free(ref), free(again), free(scratch);
}

/* yarn at factor 1 is the default; llama3 keeps short waves and divides long ones. */
static void scalings_have_their_ends(void **state)
{
    (void)state;
    enum { D = 64, N = 50 };
    float c[N * D / 2], s[N * D / 2], c2[N * D / 2], s2[N * D / 2];
    bg_rope_config r = {.kind = BG_ROPE_HALF,
                        .dims = D,
                        .base = 10000,
                        .factor = 1,
                        .original = 2048,
                        .positions = 2048,
                        .beta_fast = 32,
                        .beta_slow = 1,
                        .low = 1,
                        .high = 4,
                        .attention_factor = 1,
                        .truncate = 1};
    bg_rope_table(&r, NULL, N, 0, N, c, s);
    r.scaling = BG_ROPE_YARN;
    bg_rope_table(&r, NULL, N, 0, N, c2, s2);
    for (int i = 0; i < N * D / 2; i++)
        assert_true(fabsf(c[i] - c2[i]) < 1e-5f && fabsf(s[i] - s2[i]) < 1e-5f);
    r.scaling = BG_ROPE_LLAMA3;
    r.factor = 8;
    bg_rope_table(&r, NULL, N, 0, N, c2, s2);
    assert_true(c2[D / 2] == c[D / 2]);
    float slow = (float)(pow(10000, -2.0 * (D / 2 - 1) / D) / 8 * (N - 1));
    assert_true(fabsf(s2[N * D / 2 - 1] - sinf(slow)) < 1e-6f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product_is_right_for_any_threads),
        cmocka_unit_test(sgemm_follows_its_reference),
        cmocka_unit_test(dgemm_is_exact_on_integers),
        cmocka_unit_test(sgemm_in_parts_has_the_digits_of_the_whole),
        cmocka_unit_test(chunks_cover_the_product_once),
        cmocka_unit_test(activations_follow_libm),
        cmocka_unit_test(softmax_sums_to_one),
        cmocka_unit_test(attention_follows_its_reference),
        cmocka_unit_test(scalings_have_their_ends),
    };
    return cmocka_run_group_tests_name("forward kernels", tests, NULL, NULL);
}
