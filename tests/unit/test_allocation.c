/* Bit allocation against exhaustive answers, and the order dual ≤ optimum ≤ Lagrangian. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "analysis/allocation/allocation.h"
#include "quant/probability/random.h"
#include "tests/reference.h"

enum { MOST = 16 };

static void equals_the_reference(void **state)
{
    (void)state;
    cJSON *root = reference_open("bit_allocation");
    const cJSON *c;
    cJSON_ArrayForEach(c, reference_cases(root))
    {
        const cJSON *alpha = cJSON_GetObjectItem(c, "alpha"), *t2 = cJSON_GetObjectItem(c, "t2");
        const cJSON *bits = cJSON_GetObjectItem(c, "bits"), *sizes = cJSON_GetObjectItem(c, "n");
        int n = cJSON_GetArraySize(alpha), K = cJSON_GetArraySize(bits);
        bg_choice choices[MOST][MOST];
        bg_item items[MOST];
        double total = 0, used[2] = {0}, chosen[2][MOST];
        for (int i = 0; i < n; i++) {
            double size = cJSON_GetArrayItem(sizes, i)->valuedouble;
            total += size;
            for (int k = 0; k < K; k++)
                choices[i][k] = (bg_choice){size * cJSON_GetArrayItem(bits, k)->valuedouble,
                                            cJSON_GetArrayItem(alpha, i)->valuedouble *
                                                cJSON_GetArrayItem(cJSON_GetArrayItem(t2, i), k)->valuedouble};
            items[i] = (bg_item){choices[i], K};
        }
        bg_allocation a;
        assert_int_equal(bg_allocate(items, n, total * bg_json_number(c, "budget_bits", 0), 0, &a, NULL), 0);
        for (int i = 0; i < n; i++) {
            chosen[0][i] = cJSON_GetArrayItem(bits, a.chosen[i])->valuedouble;
            chosen[1][i] = cJSON_GetArrayItem(bits, a.lagrangian[i])->valuedouble;
            used[0] += choices[i][a.chosen[i]].cost / total;
            used[1] += choices[i][a.lagrangian[i]].cost / total;
        }
        reference_check(c, "optimal_value", a.loss);
        reference_check_list(c, "optimal_bits", chosen[0], n);
        reference_check(c, "used_bits_avg", used[0]);
        reference_check(c, "lagrangian_value", a.lagrangian_loss);
        reference_check_list(c, "lagrangian_bits", chosen[1], n);
        reference_check(c, "lagrangian_used_avg", used[1]);
        assert_true(a.exact && a.dual_bound <= a.loss && a.loss <= a.lagrangian_loss);
        bg_allocation_free(&a);
    }
    cJSON_Delete(root);
}

/* Every combination of 7 items with 4 choices each. */
static double exhaustive(const bg_item *items, int n, double budget)
{
    double best = INFINITY;
    for (int code = 0; code < 1 << 2 * n; code++) {
        double cost = 0, loss = 0;
        for (int i = 0; i < n; i++) {
            const bg_choice *q = &items[i].choices[code >> 2 * i & 3];
            cost += q->cost;
            loss += q->loss;
        }
        if (cost <= budget)
            best = fmin(best, loss);
    }
    return best;
}

static void equals_exhaustive_search(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        bg_choice choices[7][4];
        bg_item items[7];
        for (int i = 0; i < 7; i++) {
            for (int k = 0; k < 4; k++)
                choices[i][k] = (bg_choice){1 + k + bg_uniform_at(seed, (uint64_t)(8 * i + k)),
                                            pow(4, -k) * (0.2 + bg_uniform_at(seed + 100, (uint64_t)(8 * i + k)))};
            items[i] = (bg_item){choices[i], 4};
        }
        for (double budget = 15; budget < 34; budget += 2.5) {
            bg_allocation a;
            assert_int_equal(bg_allocate(items, 7, budget, 0, &a, NULL), 0);
            assert_true(a.exact);
            assert_true(fabs(a.loss - exhaustive(items, 7, budget)) <= 1e-12 * a.loss);
            assert_true(a.dual_bound <= a.loss * (1 + 1e-12) && a.cost <= budget * (1 + 1e-9));
            bg_allocation_free(&a);
        }
    }
}

static void thinning_stays_feasible(void **state)
{
    (void)state;
    enum { N = 60 };
    bg_choice choices[N][5];
    bg_item items[N];
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 5; k++)
            choices[i][k] = (bg_choice){2 + k + 0.1 * bg_uniform_at(5, (uint64_t)(8 * i + k)),
                                        pow(4, -k) * (0.1 + bg_uniform_at(6, (uint64_t)(8 * i + k)))};
        items[i] = (bg_item){choices[i], 5};
    }
    bg_allocation a;
    assert_int_equal(bg_allocate(items, N, 4.0 * N, 64, &a, NULL), 0);
    assert_true(a.cost <= 4.0 * N * (1 + 1e-9) && a.loss <= a.lagrangian_loss && a.dual_bound <= a.loss);
    bg_allocation_free(&a);
}

static void refuses(void **state)
{
    (void)state;
    bg_choice q[2] = {{2, 1}, {4, NAN}};
    bg_item item = {q, 1};
    bg_allocation a;
    bg_err e = {0};
    assert_int_equal(bg_allocate(&item, 1, 1, 0, &a, &e), BG_USAGE);
    assert_non_null(strstr(e.text, "cheapest"));
    item.n = 2;
    assert_int_equal(bg_allocate(&item, 1, 9, 0, &a, &e), BG_INPUT);
    item.n = 0;
    assert_int_equal(bg_allocate(&item, 1, 9, 0, &a, &e), BG_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_reference),
        cmocka_unit_test(equals_exhaustive_search),
        cmocka_unit_test(thinning_stays_feasible),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests_name("allocation", tests, NULL, NULL);
}
