/* The engine's paths against its plain version: histogram, tiles, memory; threads; matrices that hold nothing or NaN.
 */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "quant/engine/engine.h"
#include "quant/source/source.h"

typedef struct fixture {
    int64_t rows, cols;
    uint16_t *codes;
    float *w;
} fixture;

static int read_codes(void *self, int64_t first, int64_t n, uint16_t *out, bg_err *e)
{
    (void)e;
    const fixture *f = self;
    memcpy(out, f->codes + first * f->cols, (size_t)(n * f->cols) * sizeof *out);
    return 0;
}

static int read_rows(void *self, int64_t first, int64_t n, float *out, bg_err *e)
{
    (void)e;
    const fixture *f = self;
    memcpy(out, f->w + first * f->cols, (size_t)(n * f->cols) * sizeof *out);
    return 0;
}

/* Heavy-tailed rows of different size, as bf16. */
static fixture make(int64_t rows, int64_t cols, float size)
{
    size_t n = (size_t)(rows * cols);
    fixture f = {rows, cols, malloc(n * 2 + 2), malloc(n * 4 + 4)};
    bg_source s;
    bg_err e = {0};
    assert_int_equal(bg_source_parse("student,nu=6,n=1048576,seed=7", &s, &e), 0);
    bg_source_samples(&s, 0, (int64_t)n, f.w);
    for (size_t i = 0; i < n; i++) {
        f.codes[i] = bg_f32_to_bf16(f.w[i] * size * (1 + 0.5f * (float)(i / (size_t)cols % 5)) + 0.01f * size);
        f.w[i] = bg_bf16_to_f32(f.codes[i]);
    }
    return f;
}

static void release(fixture *f)
{
    free(f->codes);
    free(f->w);
}

static bg_matrix on_demand(fixture *f, int as_codes)
{
    return (bg_matrix){.rows = f->rows,
                       .cols = f->cols,
                       .self = f,
                       .read = read_rows,
                       .seed = 1,
                       .codes16 = as_codes ? read_codes : NULL,
                       .code_dtype = BG_BF16};
}

static bg_spec *parse(const char *text, int *n)
{
    bg_spec *s = NULL;
    bg_err e = {0};
    *n = 0;
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        if (bg_specs_parse(word, &s, n, &e))
            fail_msg("%s: %s", word, e.text);
    return s;
}

static const char *const sweep =
    "uniform:bits=1/2/3/4/8,scope=tensor/channel/32/48/128,zero=sym/asym/min "
    "uniform:bits=4,scope=tensor/channel/64,scale=f32/bf16 uniform:bits=4,scope=32,scale=e8m0 "
    "uniform:bits=3,step=range,offset=midtread/midrise,scope=tensor/40 "
    "uniform:bits=2/5,clip=3sigma/mse,scope=tensor/channel/64 uniform:levels=7,scope=96 "
    "uniform:bits=4,step=0.4sigma,scope=tensor/channel "
    "nf4:scope=64/channel/tensor/24 fp4:scope=64/128 mxfp4 fp8 nf:bits=3 nf:bits=6 "
    "pot:bits=3..5 apot:bits=3..5,scope=64 apot:bits=4,clip=mse";

static void same(const char *spec, const char *what, double a, double b, double tolerance)
{
    if (!(fabs(a - b) <= tolerance * fabs(b)))
        fail_msg("%s %s: %.12g against %.12g", spec, what, a, b);
}

/* Errors near float rounding of the weights themselves agree to that rounding only. */
static void same_mse(const char *spec, const char *what, const bg_measure *a, const bg_measure *b)
{
    double largest = b->max_relative > 0 ? b->max_error / b->max_relative : 0;
    same(spec, what, a->mse, b->mse, 2e-5 + 1e-6 * largest / sqrt(b->mse + 1e-300));
}

static void compare_paths(int64_t rows, int64_t cols, float size)
{
    fixture f = make(rows, cols, size);
    int n;
    bg_spec *s = parse(sweep, &n);
    bg_measure *codes = calloc((size_t)n, sizeof *codes), *floats = calloc((size_t)n, sizeof *floats);
    float *out = malloc((size_t)(rows * cols) * sizeof *out);
    bg_err e = {0};
    bg_matrix a = on_demand(&f, 1), b = on_demand(&f, 0), c = bg_matrix_of(f.w, rows, cols);
    if (bg_measure_specs(&a, s, n, codes, &e) || bg_measure_specs(&b, s, n, floats, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < n; i++) {
        bg_measure ref, memory;
        if (bg_measure_ref(&c, &s[i], &ref, &e) || bg_reconstruct(&c, &s[i], f.w, out, &memory, NULL, &e))
            fail_msg("%s", e.text);
        same_mse(s[i].text, "codes", &codes[i], &memory);
        same_mse(s[i].text, "floats", &floats[i], &memory);
        same(s[i].text, "memory", memory.mse, ref.mse, 2e-5);
        double rounding = memory.max_relative > 0 ? 1e-4 + 1e-6 / memory.max_relative : 0;
        same(s[i].text, "largest error", codes[i].max_error, ref.max_error, rounding);
        same(s[i].text, "largest error", floats[i].max_error, ref.max_error, rounding);
        same(s[i].text, "rate", codes[i].rate_bits, ref.rate_bits, 1e-15);
        same(s[i].text, "rate", memory.rate_bits, ref.rate_bits, 1e-15);
        if (!isnan(codes[i].clipped))
            same(s[i].text, "clipped", codes[i].clipped, memory.clipped, 1e-12);
    }
    free(out);
    free(codes);
    free(floats);
    free(s);
    release(&f);
}

static void paths_agree(void **state)
{
    (void)state;
    compare_paths(23, 256, 0.02f);
    compare_paths(7, 200, 1.0f); /* short groups, blocks across rows */
    compare_paths(1, 1, 1.0f);
    compare_paths(5, 3, 1.0f);
}

/* Scales far from 1 take the plain sums inside the kernels; f32 scales keep them from underflowing. */
static void tiny_and_huge_weights(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        fixture f = make(5, 128, k ? 1e24f : 1e-24f);
        int n;
        bg_spec *s =
            parse("uniform:bits=4,scope=32/channel,scale=f32 nf4 fp4 uniform:bits=3,scope=32,zero=asym,scale=f32", &n);
        bg_measure r[8];
        bg_err e = {0};
        bg_matrix m = on_demand(&f, 1), c = bg_matrix_of(f.w, f.rows, f.cols);
        assert_int_equal(bg_measure_specs(&m, s, n, r, &e), 0);
        for (int i = 0; i < n; i++) {
            bg_measure ref;
            assert_int_equal(bg_measure_ref(&c, &s[i], &ref, &e), 0);
            assert_true(ref.mse > 0);
            same(s[i].text, "mse", r[i].mse, ref.mse, 1e-5);
        }
        free(s);
        release(&f);
    }
}

static void two_levels_agree(void **state)
{
    (void)state;
    fixture f = make(70, 300, 0.02f);
    int n;
    bg_spec *s = parse("nf4:double=true fp4:double=true,scope=32 nvfp4", &n);
    bg_measure r[3];
    bg_err e = {0};
    bg_matrix m = on_demand(&f, 1), c = bg_matrix_of(f.w, f.rows, f.cols);
    float *out = malloc((size_t)(f.rows * f.cols) * sizeof *out);
    assert_int_equal(bg_measure_specs(&m, s, n, r, &e), 0);
    for (int i = 0; i < n; i++) {
        bg_measure memory, plain;
        bg_spec one;
        assert_int_equal(bg_reconstruct(&c, &s[i], f.w, out, &memory, NULL, &e), 0);
        same(s[i].text, "mse", r[i].mse, memory.mse, 1e-5);
        assert_int_equal(bg_spec_parse(i == 2 ? "fp:kind=e2m1,scope=16,scale=f32"
                                       : i    ? "fp4:scope=32"
                                              : "nf4",
                                       &one, &e),
                         0);
        assert_int_equal(bg_measure_specs(&m, &one, 1, &plain, &e), 0);
        if (!(memory.mse > 0.97 * plain.mse && memory.mse < 1.05 * plain.mse))
            fail_msg("%s: %g, with exact scales %g", s[i].text, memory.mse, plain.mse);
        assert_true(memory.rate_bits < plain.rate_bits);
    }
    free(out);
    free(s);
    release(&f);
}

static void any_number_of_threads(void **state)
{
    (void)state;
    fixture f = make(300, 2048, 0.02f);
    int n;
    bg_spec *s = parse("uniform:bits=2/4,scope=tensor/channel/32/48,zero=sym/asym uniform:bits=4,clip=mse "
                       "uniform:bits=4,clip=3sigma,scope=channel nf4 nf4:double=true fp4 apot:bits=4",
                       &n);
    bg_measure *one = calloc((size_t)n, sizeof *one), *many = calloc((size_t)n, sizeof *many);
    bg_err e = {0};
    int threads = omp_get_max_threads();
    for (int codes = 0; codes < 2; codes++) {
        bg_matrix m = on_demand(&f, codes);
        omp_set_num_threads(1);
        assert_int_equal(bg_measure_specs(&m, s, n, one, &e), 0);
        omp_set_num_threads(3);
        assert_int_equal(bg_measure_specs(&m, s, n, many, &e), 0);
        omp_set_num_threads(threads);
        for (int i = 0; i < n; i++) {
            one[i].seconds = many[i].seconds = 0;
            if (memcmp(&one[i], &many[i], sizeof one[i]))
                fail_msg("%s: %.17g on one thread, %.17g on three", s[i].text, one[i].mse, many[i].mse);
        }
    }
    free(one);
    free(many);
    free(s);
    release(&f);
}

/* Twice the error of the nearest point and a mean error of nothing: step²/6 and 0, within four standard errors. */
static void stochastic_rounding_has_no_bias(void **state)
{
    (void)state;
    fixture f = make(64, 1024, 0.02f);
    int n;
    bg_spec *s = parse("uniform:bits=8,scope=128,scale=f32 uniform:bits=8,scope=128,scale=f32,round=stochastic", &n);
    bg_measure r[2];
    bg_err e = {0};
    bg_matrix m = bg_matrix_of(f.w, f.rows, f.cols);
    size_t all = (size_t)(f.rows * f.cols);
    float *out = malloc(all * sizeof *out);
    double bias = 0;
    for (int i = 0; i < 2; i++)
        assert_int_equal(bg_reconstruct(&m, &s[i], f.w, out, &r[i], NULL, &e), 0);
    for (size_t i = 0; i < all; i++)
        bias += ((double)out[i] - (double)f.w[i]) / (double)all;
    same(s[1].text, "mse over twice the nearest's", r[1].mse, 2 * r[0].mse, 4 * 1.2 / sqrt((double)all) + 0.02);
    if (!(fabs(bias) <= 4 * sqrt(r[1].mse / (double)all)))
        fail_msg("a bias of %g, one standard error is %g", bias, sqrt(r[1].mse / (double)all));
    free(out);
    free(s);
    release(&f);
}

/* Two groups with a step of 1: the first one's zero point is a tie as torch rounds it in float32 (−lo/s = 4.5 goes to
 * 4), the second one's is odd. q = clamp(round(w/s) + z, 0, 15): ties go to even multiples of the step in both. */
static void ties_fall_as_in_gptq(void **state)
{
    (void)state;
    float w[16] = {-4.5f, 10.5f, 0.5f, 1.5f, -0.5f, -1.5f, 2.5f, 3.5f, -5, 10, 0.5f, 1.5f, -0.5f, -1.5f, 2.5f, 3.5f},
          got[16];
    const float want[16] = {-4, 10, 0, 2, 0, -2, 2, 4, -5, 10, 0, 2, 0, -2, 2, 4};
    bg_err e = {0};
    bg_spec s;
    bg_measure m;
    assert_int_equal(bg_spec_parse("uniform:bits=4,scope=8,zero=asym,scale=f32", &s, &e), BG_OK);
    bg_matrix x = bg_matrix_of(w, 2, 8);
    assert_int_equal(bg_reconstruct(&x, &s, w, got, &m, NULL, &e), BG_OK);
    for (int i = 0; i < 16; i++)
        assert_true(got[i] == want[i]);
}

/* Rounding many weights at once takes the points that rounding one takes. */
static void many_are_rounded_like_one(void **state)
{
    (void)state;
    static const char *const specs[] = {"uniform:bits=4,scope=600",
                                        "uniform:bits=3,scope=600,zero=asym",
                                        "uniform:bits=8,scope=600,zero=min",
                                        "uniform:bits=2,scope=600,offset=midrise",
                                        "nf4:scope=600",
                                        "pot:bits=4,scope=600",
                                        "fp4:scope=600"};
    fixture f = make(1, 600, 0.1f);
    for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
        bg_err e = {0};
        bg_spec s;
        bg_scope_stats st = {0};
        bg_code_room room;
        bg_code c;
        float got[600];
        uint16_t index[600];
        if (bg_spec_parse(specs[k], &s, &e) || bg_code_room_init(&room, &s, &e))
            fail_msg("%s", e.text);
        bg_scope_stats_of(&st, f.w, 600);
        assert_int_equal(bg_code_fit(&s, &st, &room, &c, &e), BG_OK);
        bg_code_round(&c, f.w, 600, got, index);
        for (int i = 0; i < 600; i++) {
            assert_int_equal(index[i], bg_code_index(&c, f.w[i]));
            assert_true(got[i] == bg_code_value(&c, index[i]));
        }
        bg_code_room_free(&room);
    }
    release(&f);
}

static void what_cannot_be_measured_is_said(void **state)
{
    (void)state;
    fixture f = make(4, 64, 1);
    int n;
    bg_spec *s = parse("uniform:bits=4,scope=tensor/32 nf4", &n);
    bg_measure r[3];
    bg_err e = {0};
    f.codes[70] = 0x7FC0; /* NaN */
    f.w[70] = NAN;
    for (int codes = 0; codes < 2; codes++) {
        bg_matrix m = on_demand(&f, codes);
        assert_int_equal(bg_measure_specs(&m, s, n, r, &e), 0);
        for (int i = 0; i < n; i++)
            assert_non_null(r[i].skipped);
    }
    bg_matrix empty = on_demand(&f, 1);
    empty.rows = 0;
    assert_int_equal(bg_measure_specs(&empty, s, n, r, &e), 0);
    assert_non_null(r[0].skipped);
    free(s);
    release(&f);
}

/* With a second moment the matrix is measured in memory, and what the fast paths count stays as they count it. */
static void calibrated_sweeps_count_too(void **state)
{
    (void)state;
    enum { ROWS = 9, COLS = 96 };
    fixture f = make(ROWS, COLS, 0.02f);
    int n;
    bg_spec *s = parse("uniform:bits=3/4,scope=tensor/channel/32,zero=sym/asym/min uniform:bits=4,scope=32,scale=e8m0 "
                       "uniform:bits=3,clip=mse,scope=tensor/channel nf4 nvfp4 fp4 kmeans:bits=3 "
                       "uniform:step=0.4sigma,code=entropy",
                       &n);
    bg_measure *bare = calloc((size_t)n, sizeof *bare), *calibrated = calloc((size_t)n, sizeof *calibrated);
    double *sigma = calloc(COLS * COLS, sizeof *sigma);
    bg_err e = {0};
    for (size_t i = 0; i < COLS; i++)
        sigma[i * (COLS + 1)] = 1;
    for (int codes = 0; codes < 2; codes++) {
        bg_matrix m = on_demand(&f, codes);
        assert_int_equal(bg_measure_specs(&m, s, n, bare, &e), 0);
        m.second_moment = sigma;
        assert_int_equal(bg_measure_specs(&m, s, n, calibrated, &e), 0);
        for (int i = 0; i < n; i++) {
            const bg_measure *a = &calibrated[i], *b = &bare[i];
            if (memcmp(&a->clipped, &b->clipped, sizeof a->clipped) || a->points != b->points ||
                memcmp(&a->index_entropy, &b->index_entropy, sizeof a->index_entropy) ||
                memcmp(a->levels, b->levels, sizeof a->levels))
                fail_msg("%s: %g clipped, %g bits, %d points; without a second moment %g, %g, %d", s[i].text,
                         a->clipped, a->index_entropy, a->points, b->clipped, b->index_entropy, b->points);
            same(s[i].text, "error at the output", a->output_mse / COLS, a->mse, 1e-5);
            same(s[i].text, "rate", a->rate_bits, b->rate_bits, 1e-2);
        }
    }
    free(sigma);
    free(bare);
    free(calibrated);
    free(s);
    release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_agree),
        cmocka_unit_test(calibrated_sweeps_count_too),
        cmocka_unit_test(tiny_and_huge_weights),
        cmocka_unit_test(two_levels_agree),
        cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(what_cannot_be_measured_is_said),
        cmocka_unit_test(stochastic_rounding_has_no_bias),
        cmocka_unit_test(ties_fall_as_in_gptq),
        cmocka_unit_test(many_are_rounded_like_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
