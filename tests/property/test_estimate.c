/* Intervals hold what they promise: their coverage on draws whose mean is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include "quant/probability/estimate.h"
#include "quant/probability/random.h"

enum { TRIALS = 4000 };

/* Shares of trials are binomial: 0.95 ± 4·0.0035. */
static void assert_covers(int inside)
{
    double share = (double)inside / TRIALS;
    if (fabs(share - 0.95) > 0.016)
        fail_msg("the 95 %% interval holds the mean in %.4f of the trials", share);
}

static int holds(const bg_estimate *m, double truth)
{
    double low, high;
    bg_estimate_interval(m, &low, &high);
    return low <= truth && truth <= high;
}

/* Four layers of one role: Student's quantile of 3 degrees of freedom, not the normal one. */
static void four_values_are_four(void **state)
{
    (void)state;
    const double w[] = {3, 3, 3, 3};
    int inside = 0;
    for (int t = 0; t < TRIALS; t++) {
        double x[4];
        for (int i = 0; i < 4; i++)
            x[i] = 7 + bg_normal_at(1, (uint64_t)(4 * t + i));
        bg_estimate m = bg_stratified_mean(x, w, NULL, 4);
        assert_int_equal(m.n, 4);
        assert_true(fabs(m.freedom - 3) < 1e-9);
        inside += holds(&m, 7);
    }
    assert_covers(inside);
}

/* Seven roles far apart, of unlike sizes: what lies between them is no error of the mean. */
static void differences_between_roles_are_no_error(void **state)
{
    (void)state;
    enum { ROLES = 7, LAYERS = 6, N = ROLES * LAYERS + 1 };
    double w[N], x[N], truth = 0, weights = 0, widest = 0;
    int role[N], inside = 0;
    for (int i = 0; i < N; i++) {
        role[i] = i == N - 1 ? ROLES : i % ROLES;
        w[i] = 1 + role[i] % 3;
        truth += w[i] * 10 * role[i];
        weights += w[i];
    }
    for (int t = 0; t < TRIALS; t++) {
        double low, high;
        for (int i = 0; i < N; i++)
            x[i] = 10 * role[i] + (i == N - 1 ? 0 : bg_normal_at(2, (uint64_t)(N * t + i)));
        bg_estimate m = bg_stratified_mean(x, w, role, N);
        bg_estimate_interval(&m, &low, &high);
        widest = fmax(widest, high - low);
        inside += holds(&m, truth / weights);
    }
    assert_covers(inside);
    assert_true(widest < 2); /* a bootstrap over all tensors: about 12 */
}

/* Windows whose tokens share a part: the tokens are not independent, the windows are. */
static void tokens_of_a_window_depend_on_each_other(void **state)
{
    (void)state;
    enum { WINDOWS = 40, TOKENS = 25 };
    double x[WINDOWS * TOKENS];
    int lengths[WINDOWS], inside = 0, as_tokens = 0;
    for (int t = 0; t < TRIALS; t++) {
        for (int c = 0; c < WINDOWS; c++) {
            double shared = 0.5 * bg_normal_at(3, (uint64_t)(t * WINDOWS + c));
            lengths[c] = TOKENS;
            for (int i = 0; i < TOKENS; i++)
                x[c * TOKENS + i] =
                    2 + shared + bg_normal_at(4, ((uint64_t)t * WINDOWS + (uint64_t)c) * TOKENS + (uint64_t)i);
            x[c * TOKENS + TOKENS - 1] = NAN; /* the last token has no next one */
        }
        bg_estimate m = bg_clustered_mean(x, lengths, WINDOWS);
        assert_int_equal(m.n, WINDOWS * (TOKENS - 1));
        inside += holds(&m, 2);
        double naive = sqrt((1 + 0.25) / m.n) * 1.96;
        as_tokens += fabs(m.mean - 2) <= naive;
    }
    assert_covers(inside);
    assert_true(as_tokens < 0.7 * TRIALS); /* what treating tokens as independent would have covered */
}

static void one_value_has_no_interval(void **state)
{
    (void)state;
    const double x[] = {3, 4}, w[] = {1, 1};
    const int role[] = {0, 1};
    const int lengths[] = {2};
    bg_estimate one = bg_stratified_mean(x, w, NULL, 1), apart = bg_stratified_mean(x, w, role, 2),
                window = bg_clustered_mean(x, lengths, 1);
    assert_true(one.mean == 3 && isnan(one.se) && apart.mean == 3.5 && isnan(apart.se));
    assert_true(window.mean == 3.5 && isnan(window.se));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_values_are_four),
        cmocka_unit_test(differences_between_roles_are_no_error),
        cmocka_unit_test(tokens_of_a_window_depend_on_each_other),
        cmocka_unit_test(one_value_has_no_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
