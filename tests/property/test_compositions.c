/* Any legal combination of transform, grid, rounding and coding runs, because the pieces compose: what is measured is
 * the difference of what came out, and nothing that is stored has fewer than zero bits. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "quant/engine/quantize.h"
#include "quant/probability/random.h"

enum { ROWS = 24, COLS = 64 };

static float weights[ROWS * COLS], out[ROWS * COLS];
static double sigma[COLS * COLS], mean_abs[COLS], max_abs[COLS];

static int set_up(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < ROWS * COLS; i++)
        weights[i] = (float)(bg_uniform_at(7, i) + bg_uniform_at(8, i) - 1);
    for (int i = 0; i < COLS; i++) {
        mean_abs[i] = 0.5 + 0.02 * i;
        max_abs[i] = i == 5 ? 9 : 3;
        for (int j = 0; j < COLS; j++)
            sigma[i * COLS + j] = (1 + 0.05 * i * (i == j)) * pow(0.7, abs(i - j));
    }
    return 0;
}

/* The measure of a spec, held to the reconstruction itself. */
static void check(const char *text)
{
    bg_spec s;
    bg_err e = {0};
    bg_measure r;
    bg_matrix m = bg_matrix_of(weights, ROWS, COLS);
    m.second_moment = sigma, m.mean_abs = mean_abs, m.max_abs = max_abs;
    if (bg_spec_parse(text, &s, &e)) {
        assert_int_equal(e.code, BG_USAGE); /* no legal combination */
        return;
    }
    if (bg_reconstruct(&m, &s, weights, out, &r, NULL, &e))
        fail_msg("%s: %s", text, e.text);
    if (r.skipped)
        fail_msg("%s: %s", text, r.skipped);
    double squares = 0;
    for (int i = 0; i < ROWS * COLS; i++)
        squares += pow((double)weights[i] - (double)out[i], 2);
    if (!(fabs(squares / (ROWS * COLS) - r.mse) <= 1e-6 * r.mse) || !(r.rate_bits > 0) || !(r.output_mse >= 0))
        fail_msg("%s: mse %g, of the weights that came out %g; %g bits", text, r.mse, squares / (ROWS * COLS),
                 r.rate_bits);
    assert_true(r.rate.indices >= 0 && r.rate.scales >= 0 && r.rate.positions >= 0 && r.rate.table >= 0);
}

static void every_combination_runs(void **state)
{
    (void)state;
    static const char *const grids[] = {
        "uniform:bits=4,scope=32", "uniform:bits=3,scope=32,zero=asym", "nf4",
        "uniform:bits=4",          "pot:bits=4,scope=channel",          "kmeans:bits=3"};
    char text[BG_SPEC_TEXT];
    for (size_t g = 0; g < sizeof grids / sizeof *grids; g++)
        for (const bg_transform *const *t = bg_transforms; *t; t++)
            for (const bg_rounding *const *r = bg_roundings; *r; r++)
                for (const bg_coding *const *c = bg_codings; *c; c++) {
                    snprintf(text, sizeof text, "%s%ctransform=%s,round=%s,code=%s", grids[g], g == 2 ? ':' : ',',
                             (*t)->name, (*r)->name, (*c)->name);
                    check(text);
                }
}

static void vectors_turn_too(void **state)
{
    (void)state;
    static const char *const grids[] = {"vq:dim=2,bits=2", "e8p", "tcq:bits=2,states=8,length=64", "gguf:type=q4_0"};
    char text[BG_SPEC_TEXT];
    for (size_t g = 0; g < sizeof grids / sizeof *grids; g++)
        for (const bg_transform *const *t = bg_transforms; *t; t++) {
            snprintf(text, sizeof text, "%s%ctransform=%s", grids[g], g == 1 ? ':' : ',', (*t)->name);
            check(text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_combination_runs), cmocka_unit_test(vectors_turn_too)};
    return cmocka_run_group_tests(tests, set_up, NULL);
}
