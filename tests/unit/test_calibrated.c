/* Error feedback and the transforms: against their definitions, their identities and theory.md's examples. */
#define _DEFAULT_SOURCE /* M_PI */
#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/json.h"
#include "quant/source/source.h"
#include "quant/kernel/hadamard.h"
#include "quant/engine/measure.h"
#include "quant/engine/quantize.h"

typedef struct layer {
    bg_matrix m;
    float *w, *out;
    double *sigma, *mean_abs, *max_abs;
    int64_t R, C;
} layer;

/* Gaussian weights behind an AR(1) input whose columns have unequal power. */
static layer layer_make(int64_t R, int64_t C, double rho, double spread)
{
    layer l = {.R = R, .C = C};
    bg_source s;
    assert_int_equal(bg_source_parse("gaussian,n=1048576,seed=5", &s, NULL), 0);
    l.w = malloc((size_t)(R * C) * sizeof *l.w);
    l.out = malloc((size_t)(R * C) * sizeof *l.out);
    l.sigma = malloc((size_t)(C * C) * sizeof *l.sigma);
    l.mean_abs = malloc((size_t)C * sizeof *l.mean_abs);
    l.max_abs = malloc((size_t)C * sizeof *l.max_abs);
    bg_source_samples(&s, 0, R * C, l.w);
    for (int64_t i = 0; i < C; i++) {
        double a = exp2(spread * (double)(i * 7 % C) / (double)C);
        l.mean_abs[i] = a * sqrt(2 / M_PI);
        l.max_abs[i] = 4 * a;
        for (int64_t j = 0; j < C; j++)
            l.sigma[i * C + j] = a * exp2(spread * (double)(j * 7 % C) / (double)C) * pow(rho, fabs((double)(i - j)));
    }
    l.m = bg_matrix_of(l.w, R, C);
    l.m.second_moment = l.sigma;
    l.m.mean_abs = l.mean_abs;
    l.m.max_abs = l.max_abs;
    l.m.seed = 1;
    return l;
}

static void layer_free(layer *l)
{
    free(l->w);
    free(l->out);
    free(l->sigma);
    free(l->mean_abs);
    free(l->max_abs);
}

static bg_measure quantize(layer *l, const char *text)
{
    bg_spec s;
    bg_err e = {0};
    bg_measure measure = {0};
    if (bg_spec_parse(text, &s, &e) || bg_reconstruct(&l->m, &s, l->w, l->out, &measure, NULL, &e))
        fail_msg("%s: %s", text, e.text);
    if (measure.skipped)
        fail_msg("%s: skipped, %s", text, measure.skipped);
    return measure;
}

static void with_gptq(const char *spec, char *text, size_t room)
{
    snprintf(text, room, "%s%cround=gptq", spec, strchr(spec, ':') ? ',' : ':');
}

static void gptq_without_correlation_is_nearest(void **state)
{
    (void)state;
    static const char *const specs[] = {"uniform:bits=2,scope=channel",
                                        "uniform:bits=3,scope=32",
                                        "uniform:bits=4,scope=24,zero=asym",
                                        "uniform:bits=8,scope=tensor",
                                        "uniform:bits=4,scope=128,zero=min,clip=mse",
                                        "nf4:scope=32",
                                        "uniform:bits=3,scope=32,clip=output",
                                        "pot:bits=4",
                                        "apot:bits=4,clip=mse",
                                        "lloyd:bits=3,scope=channel",
                                        "kmeans:bits=3,weighted=true,scope=channel",
                                        "hqq:bits=3,scope=32",
                                        "fp8",
                                        "mxfp4",
                                        "nvfp4",
                                        "nf4:scope=32,double=true",
                                        "vq:dim=2,bits=2",
                                        "vq:dim=3,bits=2",
                                        "pq:dim=4,parts=2,bits=2",
                                        "e8p"};
    layer l = layer_make(37, 160, 0, 0);
    float *nearest = malloc((size_t)(l.R * l.C) * sizeof *nearest);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char text[128];
        bg_measure a = quantize(&l, specs[i]);
        memcpy(nearest, l.out, (size_t)(l.R * l.C) * sizeof *nearest);
        with_gptq(specs[i], text, sizeof text);
        bg_measure b = quantize(&l, text);
        assert_memory_equal(nearest, l.out, (size_t)(l.R * l.C) * sizeof *nearest);
        assert_true(a.mse == b.mse && a.rate_bits == b.rate_bits);
    }
    free(nearest);
    layer_free(&l);
}

/* The published loop, word for word: H⁻¹ = UᵀU, each column's error pushed onto the later ones. Symmetric channel grid.
 */
static double published_gptq(const layer *l, const float *scale, int hi)
{
    int64_t n = l->C;
    double *H = malloc((size_t)(n * n) * sizeof *H), mean = 0, loss = 0;
    memcpy(H, l->sigma, (size_t)(n * n) * sizeof *H);
    for (int64_t i = 0; i < n; i++)
        mean += H[i * n + i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        H[i * n + i] += 0.01 * mean;
    assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (int)n, H, (int)n), 0);
    assert_int_equal(LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'L', (int)n, H, (int)n), 0);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++)
            H[i * n + j] = H[j * n + i];
    assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', (int)n, H, (int)n), 0);
    double *w = malloc((size_t)n * sizeof *w);
    float *hat = malloc((size_t)(l->R * n) * sizeof *hat);
    for (int64_t r = 0; r < l->R; r++) {
        for (int64_t i = 0; i < n; i++)
            w[i] = (double)l->w[r * n + i];
        for (int64_t i = 0; i < n; i++) {
            double s = (double)scale[r], q = rint(w[i] / s);
            q = fmin(fmax(q, -hi - 1), hi);
            hat[r * n + i] = (float)(s * q);
            double e = (w[i] - s * q) / H[i * n + i];
            for (int64_t j = i; j < n; j++)
                w[j] -= e * H[i * n + j];
        }
    }
    assert_int_equal(bg_output_mse(l->sigma, l->w, hat, l->R, n, &loss, NULL), 0);
    free(w);
    free(hat);
    free(H);
    return loss;
}

static void gptq_is_the_published_algorithm(void **state)
{
    (void)state;
    layer l = layer_make(64, 200, 0.9, 3);
    float *scale = malloc((size_t)l.R * sizeof *scale);
    for (int64_t r = 0; r < l.R; r++) {
        scale[r] = 0;
        for (int64_t i = 0; i < l.C; i++)
            scale[r] = fmaxf(scale[r], fabsf(l.w[r * l.C + i]) / 3);
    }
    double published = published_gptq(&l, scale, 3);
    bg_measure nearest = quantize(&l, "uniform:bits=3,scope=channel,scale=f32");
    bg_measure ours = quantize(&l, "uniform:bits=3,scope=channel,scale=f32,round=gptq");
    assert_true(ours.output_mse < 0.5 * nearest.output_mse);
    assert_true(fabs(ours.output_mse / published - 1) < 0.005);
    assert_true(ours.clipped > 0 || ours.output_mse <= ours.babai_bound);
    free(scale);
    layer_free(&l);
}

static void gptq_reaches_what_theory_predicts(void **state)
{
    (void)state;
    /* theory.md section 7: AR(1) with ρ = 0.9, n = 16, fine uniform grid: GPTQ loses 0.09552 bit against the geometric
     * mean of the eigenvalues (0.210781), rounding to nearest 1.12309. */
    layer l = layer_make(4096, 16, 0.9, 0);
    double step = 0.1, ideal = step * step / 12 * 0.210781;
    double rtn = quantize(&l, "uniform:bits=8,scope=tensor,step=0.1sigma").output_mse / 16;
    double gptq = quantize(&l, "uniform:bits=8,scope=tensor,step=0.1sigma,round=gptq,percdamp=0").output_mse / 16;
    assert_true(fabs(0.5 * log2(rtn / ideal) - 1.12309) < 0.01);
    assert_true(fabs(0.5 * log2(gptq / ideal) - 0.09552) < 0.01);
    layer_free(&l);
}

/* Columns of very unequal pivots have very unequal steps; the code must reach as far in the finest of them. */
static void unequal_steps_reach_every_weight(void **state)
{
    (void)state;
    layer l = layer_make(64, 128, 0.9, 12);
    bg_measure coarse = quantize(&l, "uniform:step=0.2sigma,code=entropy,round=gptq,steps=water");
    bg_measure fine = quantize(&l, "uniform:step=0.1sigma,code=entropy,round=gptq,steps=water");
    bg_measure equal = quantize(&l, "uniform:step=0.1sigma,code=entropy,round=gptq");
    assert_true(coarse.clipped == 0 && fine.clipped == 0);
    assert_true(fabs(coarse.output_mse / fine.output_mse - 4) < 0.2);
    assert_true(fine.output_mse < 0.2 * equal.output_mse);
    layer_free(&l);
}

/* Sixteen rows in lanes are sixteen rows one by one: fifteen are too few for lanes. */
static void lanes_are_rows(void **state)
{
    (void)state;
    static const char *const specs[] = {"uniform:bits=3,scope=64,round=gptq",
                                        "uniform:bits=4,scope=64,zero=asym,round=gptq,order=act",
                                        "uniform:bits=4,scope=64,zero=min,round=gptq,order=groups",
                                        "hqq:bits=3,scope=32,round=gptq",
                                        "uniform:bits=4,scope=channel,round=gptq",
                                        "uniform:bits=4,scope=64,zero=asym,round=gptq,order=act,static=true",
                                        "uniform:bits=4,scope=64,step=signed,round=gptq",
                                        "uniform:bits=1,scope=64,round=gptq"};
    layer l = layer_make(160, 200, 0.8, 5);
    float *many = malloc((size_t)(l.R * l.C) * sizeof *many);
    for (int64_t c = 64; c < 128; c++)
        l.w[3 * l.C + c] = 0; /* a group without a scale */
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        quantize(&l, specs[i]);
        memcpy(many, l.out, (size_t)(15 * l.C) * sizeof *many);
        l.m.rows = 15;
        quantize(&l, specs[i]);
        l.m.rows = l.R;
        assert_memory_equal(many, l.out, (size_t)(15 * l.C) * sizeof *many);
    }
    free(many);
    layer_free(&l);
}

/* The error that the walk knows is the one that Σ tells, damping or not. */
static void the_walk_knows_its_error(void **state)
{
    (void)state;
    static const char *const specs[] = {"uniform:bits=3,scope=64,round=gptq",
                                        "uniform:bits=3,scope=64,round=gptq,percdamp=1", "nf4:round=gptq,percdamp=0.1",
                                        "uniform:bits=4,round=gptq,percdamp=10"};
    layer l = layer_make(64, 256, 0.9, 3);
    for (int64_t i = 0; i < l.C; i++)
        l.sigma[i * l.C + 9] = l.sigma[9 * l.C + i] = 0; /* a dead column */
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        double known = quantize(&l, specs[i]).output_mse, told;
        assert_int_equal(bg_output_mse(l.sigma, l.w, l.out, l.R, l.C, &told, NULL), 0);
        assert_true(fabs(known / told - 1) < 1e-4);
    }
    layer_free(&l);
}

/* Every grid gains from error feedback, and a grid fitted to what matters is better at it than one that is not. */
static void every_grid_gains(void **state)
{
    (void)state;
    static const char *const grids[] = {"pot:bits=4",
                                        "apot:bits=4",
                                        "kmeans:bits=3,scope=channel",
                                        "mxfp4",
                                        "nvfp4",
                                        "nf4:scope=32,double=true",
                                        "hqq:bits=3,scope=32",
                                        "vq:dim=2,bits=2",
                                        "rvq:dim=2,bits=2",
                                        "e8p"};
    layer l = layer_make(64, 160, 0.9, 3);
    for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
        char text[128];
        with_gptq(grids[i], text, sizeof text);
        double nearest = quantize(&l, grids[i]).output_mse, feedback = quantize(&l, text).output_mse;
        if (!(feedback < 0.8 * nearest))
            fail_msg("%s: %g, nearest %g", text, feedback, nearest);
    }
    layer_free(&l);
    l = layer_make(64, 160, 0, 6); /* no correlation, unequal power: what is weighted is what is measured */
    static const char *const weighted[][2] = {
        {"kmeans:bits=3,scope=channel", "kmeans:bits=3,scope=channel,weighted=true"},
        {"kmeans:bits=3", "kmeans:bits=3,weighted=true"},
        {"uniform:bits=3,scope=64,clip=mse", "uniform:bits=3,scope=64,clip=output"},
        {"uniform:bits=3,clip=mse", "uniform:bits=3,clip=output"},
        {"apot:bits=3,clip=mse", "apot:bits=3,clip=output"}};
    for (size_t i = 0; i < sizeof weighted / sizeof *weighted; i++) {
        bg_measure plain = quantize(&l, weighted[i][0]), wise = quantize(&l, weighted[i][1]);
        if (!(wise.output_mse < plain.output_mse && wise.mse > plain.mse))
            fail_msg("%s: %g, %g unweighted", weighted[i][1], wise.output_mse, plain.output_mse);
    }
    layer_free(&l);
}

/* WaterSIC's promise: with entropy-coded unequal steps the distance from the functional bound tends to ½·log2(2πe/12)
 * bit for any Σ; everything stored is counted. AR(1): Π λ = (1 − ρ²)^(n−1). */
static void unequal_steps_reach_the_functional_bound(void **state)
{
    (void)state;
    static const double steps[] = {0.125, 0.25, 0.5}, most[] = {0.259, 0.258, 0.26};
    layer l = layer_make(4096, 64, 0.9, 0);
    double mean = pow(1 - 0.81, 63.0 / 64), sigma2 = 0;
    for (int64_t i = 0; i < l.R * l.C; i++)
        sigma2 += (double)l.w[i] * (double)l.w[i] / (double)(l.R * l.C);
    for (int i = 0; i < 3; i++) {
        char text[128];
        snprintf(text, sizeof text, "uniform:step=%gsigma,code=entropy,round=gptq,steps=water,percdamp=0", steps[i]);
        bg_measure m = quantize(&l, text);
        double gap = m.rate_bits + 0.5 * log2(m.output_mse / 64 / (sigma2 * mean));
        print_message("%s: %.4f bits, gap %.4f\n", text, m.rate_bits, gap);
        assert_true(gap > 0.2446 && gap < most[i]);
        assert_true(m.rate.indices >= m.index_entropy * m.count);
    }
    layer_free(&l);
}

static void every_choice_of_gptq_helps(void **state)
{
    (void)state;
    static const char *const more[] = {"",
                                       ",order=act",
                                       ",order=groups",
                                       ",order=groups,static=true",
                                       ",order=act,static=true",
                                       ",static=true",
                                       ",percdamp=0.1"};
    layer l = layer_make(48, 256, 0.8, 6);
    double nearest = quantize(&l, "uniform:bits=3,scope=64").output_mse;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        char text[128];
        snprintf(text, sizeof text, "uniform:bits=3,scope=64,round=gptq%s", more[i]);
        bg_measure measure = quantize(&l, text);
        assert_true(measure.output_mse < 0.8 * nearest);
        double order = strcmp(more[i], ",order=act") ? 0 : 32.0 * 256;
        assert_true(measure.rate.order == order);
    }
    layer_free(&l);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    static const char *const specs[] = {"uniform:bits=3,scope=64,round=gptq,order=act",
                                        "uniform:bits=3,scope=64,round=gptq,order=groups",
                                        "uniform:bits=4,scope=64,transform=hadamard,round=gptq",
                                        "uniform:bits=3,scope=64,transform=awq",
                                        "vq:dim=2,bits=2,round=gptq",
                                        "nvfp4:round=gptq",
                                        "uniform:bits=3,clip=output",
                                        "uniform:bits=4,scope=64,transform=prune,by=sparsegpt",
                                        "uniform:step=0.5sigma,code=entropy,round=gptq,steps=water"};
    layer l = layer_make(130, 192, 0.7, 3);
    float *one = malloc((size_t)(l.R * l.C) * sizeof *one);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        omp_set_num_threads(1);
        bg_measure a = quantize(&l, specs[i]);
        memcpy(one, l.out, (size_t)(l.R * l.C) * sizeof *one);
        omp_set_num_threads(3);
        bg_measure b = quantize(&l, specs[i]);
        assert_memory_equal(one, l.out, (size_t)(l.R * l.C) * sizeof *one);
        assert_true(a.output_mse == b.output_mse && a.mse == b.mse && a.rate_bits == b.rate_bits);
    }
    free(one);
    layer_free(&l);
}

static void rotation_is_orthogonal(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 3, 7, 12, 64, 96, 160, 256};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        int64_t n = sizes[k];
        double x[256], y[256], z[256], scratch[256], before = 0, after = 0;
        bg_rotation t;
        assert_int_equal(bg_rotation_init(&t, n, 9, NULL, NULL), 0);
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] = sin(1.7 * (double)i) + 0.2;
        bg_rotate(&t, y, scratch);
        bg_rotate_ref(&t, x, z);
        for (int64_t i = 0; i < n; i++) {
            assert_true(fabs(y[i] - z[i]) < 1e-13);
            before += x[i] * x[i];
            after += y[i] * y[i];
        }
        assert_true(fabs(after / before - 1) < 1e-13);
        bg_rotate_back(&t, y, scratch);
        for (int64_t i = 0; i < n; i++)
            assert_true(fabs(y[i] - x[i]) < 1e-13);
        bg_rotation_free(&t);
    }
}

static void rotation_equals_the_reference(void **state)
{
    (void)state;
    cJSON *root;
    assert_int_equal(bg_json_read("tests/reference/hadamard.json", 1 << 20, &root, NULL), 0);
    const cJSON *c;
    int seen = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(root, "cases"))
    {
        const cJSON *x = cJSON_GetObjectItem(c, "x"), *signs = cJSON_GetObjectItem(c, "signs");
        const cJSON *want = cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetObjectItem(c, "expect"), "y"), "value");
        if (!x || !signs || !want)
            continue;
        int n = cJSON_GetArraySize(x);
        double y[64], scratch[64];
        signed char s[64];
        for (int i = 0; i < n; i++) {
            y[i] = cJSON_GetArrayItem(x, i)->valuedouble;
            s[i] = (signed char)cJSON_GetArrayItem(signs, i)->valuedouble;
        }
        bg_rotation t;
        assert_int_equal(bg_rotation_init(&t, n, 0, s, NULL), 0);
        bg_rotate(&t, y, scratch);
        for (int i = 0; i < n; i++)
            assert_true(fabs(y[i] - cJSON_GetArrayItem(want, i)->valuedouble) < 1e-12);
        bg_rotation_free(&t);
        seen++;
    }
    assert_true(seen > 0);
    cJSON_Delete(root);
}

static void transforms_do_what_they_promise(void **state)
{
    (void)state;
    layer l = layer_make(64, 256, 0.6, 8);
    double plain = quantize(&l, "uniform:bits=3,scope=64,zero=asym").output_mse;
    bg_measure awq = quantize(&l, "uniform:bits=3,scope=64,zero=asym,transform=awq");
    assert_true(awq.output_mse < plain);
    double awq_bits = awq.rate.scales - quantize(&l, "uniform:bits=3,scope=64,zero=asym").rate.scales;
    assert_true(awq_bits == 16.0 * 256);
    /* No column scaled, or all by 1: plain rounding. The largest few scaled alone still help. */
#define SALIENT "uniform:bits=3,scope=64,zero=asym,transform=awq,clipsearch=false"
    assert_true(quantize(&l, SALIENT ",protect=0").output_mse == plain);
    assert_true(quantize(&l, SALIENT ",factor=1").output_mse == plain);
    assert_true(quantize(&l, SALIENT ",protect=0.1").output_mse <= plain);
    assert_true(quantize(&l, SALIENT ",reach=2,points=40").output_mse <= quantize(&l, SALIENT).output_mse);
#undef SALIENT
    /* Terms of as many bits as a magnitude are powers of two; terms of one bit are equally spaced. */
    assert_true(quantize(&l, "apot:bits=4,k=3").output_mse == quantize(&l, "pot:bits=4").output_mse);
    double even = quantize(&l, "uniform:bits=4,scope=channel").output_mse;
    assert_true(fabs(quantize(&l, "apot:bits=4,k=1").output_mse / even - 1) < 0.02);
    /* Rows that share a table: between a table a row and one for all, in error and in rate; all rows sharing is the
     * tensor. */
    bg_measure own = quantize(&l, "kmeans:bits=3,scope=channel"),
               few = quantize(&l, "kmeans:bits=3,scope=channel,rows=8"),
               all = quantize(&l, "kmeans:bits=3,scope=channel,rows=64"), tensor = quantize(&l, "kmeans:bits=3");
    assert_true(own.mse < few.mse && few.mse < all.mse && all.mse == tensor.mse);
    assert_true(few.rate.codebook == 8 * 8 * 16.0 && own.rate.codebook == 64 * 8 * 16.0 &&
                all.rate.codebook == tensor.rate.codebook);
    assert_true(quantize(&l, "kmeans:bits=3,scope=channel,rows=7").rate.codebook == 10 * 8 * 16.0);
    /* At 8 bits a layer computes nearly what it did, however its columns are scaled (the output's power is tr Σ here).
     */
    double power = 0;
    for (int64_t i = 0; i < l.C; i++)
        power += l.sigma[i * (l.C + 1)];
    assert_true(quantize(&l, "uniform:bits=8,scope=channel,transform=smooth").output_mse < 1e-3 * power);
    assert_true(quantize(&l, "uniform:bits=8,scope=channel,transform=smooth,search=true").output_mse < 1e-3 * power);
    bg_measure outliers = quantize(&l, "uniform:bits=3,scope=64,zero=asym,transform=outliers,keep=0.02");
    assert_true(outliers.output_mse < plain);
    double kept = floor(0.02 * 64 * 256);
    assert_true(outliers.rate.positions == kept * (16 + 8) + 32 * 64);
    bg_measure columns = quantize(&l, "uniform:bits=8,scope=channel,transform=outliers,kind=columns,threshold=512");
    assert_true(columns.rate.positions > 0 && columns.mse < 1e-3);
    layer_free(&l);
}

static int64_t zeros_of(const layer *l)
{
    int64_t zeros = 0;
    for (int64_t i = 0; i < l->R * l->C; i++)
        zeros += l->out[i] == 0;
    return zeros;
}

static void pruning_counts_and_places_zeros(void **state)
{
    (void)state;
    layer l = layer_make(32, 256, 0.8, 4);
    double by[3];
    static const char *const names[] = {"magnitude", "wanda", "sparsegpt"};
    for (int k = 0; k < 3; k++) {
        char text[128];
        snprintf(text, sizeof text, "uniform:bits=8,scope=channel,transform=prune,by=%s", names[k]);
        bg_measure half = quantize(&l, text);
        assert_true(zeros_of(&l) >= l.R * l.C / 2 && zeros_of(&l) < l.R * l.C / 2 + 200);
        assert_true(half.rate.positions == (double)(l.R * l.C));
        by[k] = half.output_mse;
        snprintf(text, sizeof text, "uniform:bits=8,scope=channel,transform=prune,pattern=2:4,by=%s", names[k]);
        bg_measure pattern = quantize(&l, text);
        assert_true(pattern.rate.positions == (double)(l.R * l.C));
        for (int64_t i = 0; i < l.R * l.C; i += 4) {
            int zeros = 0;
            for (int j = 0; j < 4; j++)
                zeros += l.out[i + j] == 0;
            assert_true(zeros >= 2);
        }
    }
    assert_true(by[2] < by[1] && by[1] < by[0]);
    layer_free(&l);
}

static void extremes_are_defined(void **state)
{
    (void)state;
    layer l = layer_make(3, 70, 0.5, 2);
    for (int64_t i = 0; i < l.C; i++)
        l.sigma[i * l.C + 5] = l.sigma[5 * l.C + i] = 0;
    for (int bits = 1; bits <= 8; bits += 7) {
        char text[128];
        snprintf(text, sizeof text, "uniform:bits=%d,scope=32,round=gptq", bits);
        bg_measure measure = quantize(&l, text);
        assert_true(isfinite(measure.mse) && isfinite(measure.output_mse));
        for (int64_t r = 0; r < l.R; r++)
            assert_true(isfinite(l.out[r * l.C + 5]));
    }
    /* One sample: Σ of rank 1. */
    for (int64_t i = 0; i < l.C * l.C; i++)
        l.sigma[i] = (double)(i / l.C + 1) * (double)(i % l.C + 1);
    assert_true(isfinite(quantize(&l, "uniform:bits=4,scope=32,round=gptq").output_mse));
    l.sigma[3] = INFINITY;
    bg_spec s;
    bg_measure measure;
    bg_err e = {0};
    assert_int_equal(bg_spec_parse("uniform:bits=4,scope=32,round=gptq", &s, &e), 0);
    assert_int_equal(bg_reconstruct(&l.m, &s, l.w, l.out, &measure, NULL, &e), BG_INPUT);
    assert_non_null(strstr(e.text, "not finite"));
    layer_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gptq_without_correlation_is_nearest),
        cmocka_unit_test(gptq_is_the_published_algorithm),
        cmocka_unit_test(gptq_reaches_what_theory_predicts),
        cmocka_unit_test(every_choice_of_gptq_helps),
        cmocka_unit_test(unequal_steps_reach_the_functional_bound),
        cmocka_unit_test(unequal_steps_reach_every_weight),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(lanes_are_rows),
        cmocka_unit_test(the_walk_knows_its_error),
        cmocka_unit_test(every_grid_gains),
        cmocka_unit_test(rotation_is_orthogonal),
        cmocka_unit_test(rotation_equals_the_reference),
        cmocka_unit_test(transforms_do_what_they_promise),
        cmocka_unit_test(pruning_counts_and_places_zeros),
        cmocka_unit_test(extremes_are_defined),
    };
    return cmocka_run_group_tests_name("calibrated", tests, NULL, NULL);
}
