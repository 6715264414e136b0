/* The kernels over groups of a row against their plain versions: whole and short groups, zero scales, clamped codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <float.h>
#include <math.h>
#include "quant/kernel/group.h"
#include "quant/probability/random.h"

enum { N = 1000, MAX_GROUPS = N };
static const size_t sizes[] = {1, 7, 8, 16, 24, 32, 48, 64, 128, 1000};
enum { SIZES = sizeof sizes / sizeof *sizes };

typedef struct row {
    float x[N], min[MAX_GROUPS], max[MAX_GROUPS], scale[MAX_GROUPS], inverse[MAX_GROUPS];
    float shift[MAX_GROUPS], low[MAX_GROUPS], high[MAX_GROUPS], rest[MAX_GROUPS];
    size_t groups;
} row;

/* Gaussian weights of which the largest code reaches `reach` of the group's largest magnitude. */
static void make_row(row *r, size_t g, float reach)
{
    for (size_t i = 0; i < N; i++)
        r->x[i] = 0.02f * (float)bg_normal_at(g, i);
    r->groups = (N + g - 1) / g;
    bg_group_range_ref(r->x, N, g, r->min, r->max);
    for (size_t k = 0; k < r->groups; k++) {
        r->scale[k] = reach * fmaxf(fabsf(r->min[k]), fabsf(r->max[k])) / 7;
        r->inverse[k] = r->scale[k] > 0 ? 1 / r->scale[k] : 0;
        r->shift[k] = (float)(k % 5) - 2;
        r->low[k] = -7, r->high[k] = 7, r->rest[k] = 0;
    }
}

/* Sums of N squares by other orders and in float lanes: N + 8 roundings. */
static void check_same(const bg_error *fast, const bg_error *plain)
{
    double bound = (N + 8.0) * (double)FLT_EPSILON;
    assert_true(fast->sse > 0 && fabs(fast->sse - plain->sse) <= bound * plain->sse);
    assert_true(fabsf(fast->most - plain->most) <= (float)bound * plain->most);
}

static void test_range(void **state)
{
    (void)state;
    static row r;
    static float min[MAX_GROUPS], max[MAX_GROUPS];
    for (int s = 0; s < SIZES; s++) {
        make_row(&r, sizes[s], 1);
        bg_group_range(r.x, N, sizes[s], min, max);
        assert_memory_equal(min, r.min, r.groups * sizeof *min);
        assert_memory_equal(max, r.max, r.groups * sizeof *max);
    }
}

static void test_affine(void **state)
{
    (void)state;
    static row r;
    static const float reach[] = {1, 0.6f};
    for (int i = 0; i < 4 * SIZES; i++) {
        size_t g = sizes[i / 4];
        make_row(&r, g, reach[i % 2]);
        bg_affine a = {r.scale, r.inverse, i % 4 < 2 ? NULL : r.shift, r.low, r.high, r.rest, r.min, r.max};
        bg_error fast = {0}, plain = {0};
        bg_group_affine(r.x, N, g, &a, &fast);
        bg_group_affine_ref(r.x, N, g, &a, &plain);
        if (g > 1 || i % 4)
            check_same(&fast, &plain);
    }
}

/* A scale of 0 sends the row through the plain version: every weight becomes rest[k]. */
static void test_zero_scale(void **state)
{
    (void)state;
    static row r;
    make_row(&r, 32, 1);
    r.scale[3] = r.inverse[3] = 0, r.rest[3] = 0.01f;
    bg_affine a = {r.scale, r.inverse, NULL, r.low, r.high, r.rest, r.min, r.max};
    bg_error fast = {0}, plain = {0};
    bg_group_affine(r.x, N, 32, &a, &fast);
    bg_group_affine_ref(r.x, N, 32, &a, &plain);
    check_same(&fast, &plain);
}

static void make_table(int K, int mirrored, float *levels, float *cuts)
{
    for (int k = 0; k < K; k++) {
        float u = 2 * (float)k / (float)(K - 1) - 1;
        levels[k] = 7 * u * (mirrored ? 0.5f + 0.5f * fabsf(u) : 0.7f + 0.3f * u);
    }
    for (int k = 0; k + 1 < K; k++)
        cuts[k] = 0.5f * (levels[k] + levels[k + 1]);
}

static void test_table(void **state)
{
    (void)state;
    static row r;
    static const int counts[] = {2, 3, 8, 15, 16};
    for (int i = 0; i < 10 * SIZES; i++) {
        size_t g = sizes[i / 10];
        int K = counts[i % 5];
        float levels[16], cuts[16];
        make_row(&r, g, 1);
        make_table(K, i % 10 < 5, levels, cuts);
        bg_table_code t = {r.scale, r.inverse, levels, cuts, K};
        bg_error fast = {0}, plain = {0};
        bg_group_table(r.x, N, g, &t, &fast);
        bg_group_table_ref(r.x, N, g, &t, &plain);
        if (g > 1)
            check_same(&fast, &plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_affine),
        cmocka_unit_test(test_zero_scale),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
