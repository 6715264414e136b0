/* What must hold for every row of the registries and every preset, whoever wrote it. A new row is in these tests by
 * being listed. Rows that need a calibration say so and are left out. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "quant/engine/quantize.h"
#include "quant/source/source.h"

enum { ROWS = 48, COLS = 256, N = ROWS * COLS };

typedef void (*property)(const bg_spec *s);

static int needs_outside_help(const bg_spec *s)
{
    return s->transform->needs_calibration || s->rounding->needs_calibration;
}

static void with(const char *text, property holds)
{
    bg_spec s;
    bg_err e = {0};
    if (bg_spec_parse(text, &s, &e)) {
        if (strcmp(text, "exec")) /* which program, the user must say */
            fail_msg("%s: %s", text, e.text);
        return;
    }
    if (!needs_outside_help(&s))
        holds(&s);
}

/* Every grid and preset by its defaults, every other row over the uniform grid. */
static void for_every_row(property holds)
{
    char text[128];
    for (const bg_grid *const *g = bg_grids; *g; g++)
        with((*g)->name, holds);
    for (const bg_preset *p = bg_presets; p->name; p++)
        with(p->name, holds);
    for (const bg_transform *const *t = bg_transforms; *t; t++) {
        snprintf(text, sizeof text, "uniform:scope=64,transform=%s", (*t)->name);
        with(text, holds);
    }
    for (const bg_rounding *const *r = bg_roundings; *r; r++) {
        bg_spec groups;
        bg_err refused;
        snprintf(text, sizeof text, "uniform:scope=64,round=%s", (*r)->name);
        if (bg_spec_parse(text, &groups, &refused)) /* one that chooses among integers of the whole tensor */
            snprintf(text, sizeof text, "uniform:step=0.5sigma,code=entropy,round=%s", (*r)->name);
        with(text, holds);
    }
    for (const bg_coding *const *c = bg_codings; *c; c++) {
        snprintf(text, sizeof text, "uniform:code=%s", (*c)->name);
        with(text, holds);
    }
}

static void samples(float *w, const char *law, float size)
{
    bg_source s;
    bg_err e = {0};
    char text[64];
    snprintf(text, sizeof text, "%s,n=%d,seed=11", law, N);
    if (bg_source_parse(text, &s, &e))
        fail_msg("%s", e.text);
    bg_source_samples(&s, 0, N, w);
    for (int i = 0; i < N; i++)
        w[i] *= size;
}

/* Trellises and codebooks are slow to encode: fewer rows. */
static int64_t rows_for(const bg_spec *s)
{
    return s->grid->kind == BG_GRID_SCALAR ? ROWS : ROWS / 6;
}

static bg_measure run(const bg_spec *s, const float *w, int64_t rows, int64_t cols, float *out)
{
    bg_measure r;
    bg_err e = {0};
    bg_matrix m = bg_matrix_of(w, rows, cols);
    if (bg_reconstruct(&m, s, w, out, &r, NULL, &e))
        fail_msg("%s on %dx%d: %s", s->text, (int)rows, (int)cols, e.text);
    return r;
}

static float w0[N], hat[N], again[N];

static double sigma2_of(const float *w, int n)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += (double)w[i];
    for (int i = 0; i < n; i++)
        squares += ((double)w[i] - sum / n) * ((double)w[i] - sum / n);
    return squares / n;
}

/* ---- bounds ---- */

/* The sample's own variance is known to a few per cent only: .02 bit of room. */
static void not_below_shannon(const bg_spec *s)
{
    samples(w0, "gaussian", 0.02f);
    bg_measure r = run(s, w0, rows_for(s), COLS, hat);
    if (r.skipped && strstr(r.skipped, "a calibration"))
        return;
    if (r.skipped)
        fail_msg("%s: %s", s->text, r.skipped);
    double n = (double)rows_for(s) * COLS, gap = r.rate_bits + 0.5 * log2(r.mse / sigma2_of(w0, (int)n));
    if (!(gap > -0.02) || !isfinite(gap))
        fail_msg("%s: %.4f bits at mse %.4g: a gap of %.4f bits", s->text, r.rate_bits, r.mse, gap);
    if (!(fabs(r.rate_bits * n - bg_rate_total(&r.rate)) <= 1e-6 * n))
        fail_msg("%s: the rate is not the sum of its parts", s->text);
}

static void shannon(void **state)
{
    (void)state;
    for_every_row(not_below_shannon);
}

/* ---- scale ---- */

static void equivariant(const bg_spec *s)
{
    samples(w0, "laplace", 0.02f);
    bg_measure a = run(s, w0, rows_for(s), COLS, hat);
    for (int i = 0; i < N; i++)
        w0[i] *= 16;
    bg_measure b = run(s, w0, rows_for(s), COLS, again);
    double tolerance = s->grid->kind == BG_GRID_SCALAR ? 1e-6 : 0.05;
    if (!(fabs(b.mse - 256 * a.mse) <= tolerance * b.mse))
        fail_msg("%s: mse %.9g, of weights sixteen times as large %.9g", s->text, a.mse, b.mse);
}

static void scale(void **state)
{
    (void)state;
    for_every_row(equivariant);
}

/* ---- bits ---- */

static void more_bits_less_error(void **state)
{
    (void)state;
    static const char *const laws[] = {"gaussian", "student,nu=6"};
    for (size_t l = 0; l < 2; l++)
        for (const bg_grid *const *g = bg_grids; *g; g++) {
            double last = INFINITY;
            samples(w0, laws[l], 0.02f);
            for (int bits = 1; bits <= 8 && (*g)->kind == BG_GRID_SCALAR; bits++) {
                bg_spec s;
                bg_err e = {0};
                char text[64];
                snprintf(text, sizeof text, "%s:bits=%d,scope=channel", (*g)->name, bits);
                if (bg_spec_parse(text, &s, &e))
                    continue; /* fixed, or outside its range */
                bg_measure r = run(&s, w0, ROWS, COLS, hat);
                if (!(r.mse <= last * (1 + 1e-9)))
                    fail_msg("%s on %s: mse %.6g, with a bit less %.6g", text, laws[l], r.mse, last);
                last = r.mse;
            }
        }
}

/* ---- idempotence ---- */

/* What is a point stays one, to the rounding of scales: the second error is nothing beside the first. */
static void idempotent(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "uniform:bits=4,scope=64",
        "uniform:bits=3,scope=channel,zero=asym",
        "uniform:bits=4,scope=32,zero=min,scale=f32",
        "uniform:bits=4",
        "nf4",
        "fp4",
        "mxfp4",
        "fp8",
        "pot:bits=4",
        "apot:bits=5",
        "kmeans:bits=3",
        "lloyd:bits=2",
        "kmeans:bits=2,scope=channel",
    };
    samples(w0, "gaussian", 0.02f);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        bg_spec s;
        bg_err e = {0};
        if (bg_spec_parse(specs[i], &s, &e))
            fail_msg("%s", e.text);
        bg_measure first = run(&s, w0, ROWS, COLS, hat), second = run(&s, hat, ROWS, COLS, again);
        if (!(second.mse <= 1e-5 * first.mse))
            fail_msg("%s: mse %.4g, and %.4g once more", specs[i], first.mse, second.mse);
    }
}

/* ---- odd matrices ---- */

static void finite(const bg_spec *s, const float *w, int rows, int cols, const char *what)
{
    bg_measure r = run(s, w, rows, cols, again);
    if (r.skipped)
        return; /* rows that the grid refuses */
    int n = rows * cols;
    double most = 0;
    for (int i = 0; i < n; i++) {
        most = fmax(most, fabs((double)w[i]));
        if (!isfinite(again[i]))
            fail_msg("%s on %s: weight %d becomes %g", s->text, what, i, (double)again[i]);
    }
    if (!(r.mse >= 0 && r.mse <= most * most * 4 && r.rate_bits >= 0 && isfinite(r.rate_bits)))
        fail_msg("%s on %s: mse %g, %g bits", s->text, what, r.mse, r.rate_bits);
    if (most == 0 && r.mse != 0)
        fail_msg("%s: zeros have error %g", s->text, r.mse);
}

static void odd_matrices(const bg_spec *s)
{
    memset(hat, 0, sizeof hat);
    finite(s, hat, 4, 64, "zeros");
    for (int i = 0; i < N; i++)
        hat[i] = 0.25f;
    finite(s, hat, 4, 64, "a constant");
    finite(s, hat, 1, 1, "one weight");
    for (int i = 0; i < N; i++)
        hat[i] = -0.25f;
    finite(s, hat, 1, 3, "three equal weights");
    samples(hat, "gaussian", 0.02f);
    finite(s, hat, 3, 67, "short groups");
    finite(s, hat, 67, 3, "narrow rows");
    samples(hat, "gaussian", 1e-40f);
    finite(s, hat, 4, 64, "denormals");
    samples(hat, "gaussian", 1e-3f);
    hat[5] = 1e30f;
    finite(s, hat, 4, 64, "one huge weight");
    samples(hat, "gaussian", 1);
    hat[70] = NAN;
    bg_measure r = run(s, hat, 4, 64, again);
    if (!r.skipped)
        fail_msg("%s: NaN among the weights, and nobody says so", s->text);
}

static void odd(void **state)
{
    (void)state;
    for_every_row(odd_matrices);
}

/* ---- threads ---- */

static void any_threads(const bg_spec *s)
{
    int most = omp_get_max_threads();
    samples(w0, "student,nu=6", 0.02f);
    omp_set_num_threads(1);
    bg_measure a = run(s, w0, rows_for(s), COLS, hat);
    omp_set_num_threads(3);
    bg_measure b = run(s, w0, rows_for(s), COLS, again);
    omp_set_num_threads(most);
    if (memcmp(hat, again, (size_t)rows_for(s) * COLS * sizeof *hat) || a.mse != b.mse || a.rate_bits != b.rate_bits)
        fail_msg("%s: mse %.17g on one thread, %.17g on three", s->text, a.mse, b.mse);
}

static void threads(void **state)
{
    (void)state;
    for_every_row(any_threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shannon),    cmocka_unit_test(scale), cmocka_unit_test(more_bits_less_error),
        cmocka_unit_test(idempotent), cmocka_unit_test(odd),   cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
