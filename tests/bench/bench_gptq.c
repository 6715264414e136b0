/* GPTQ of one linear layer of 2048 outputs: the second moment of 65,536 tokens, the factor, the walk; beside what their
 * products cost at the rate of BLAS or ours, whichever is faster on this machine in the same minute. Lines: what,
 * value, unit.
 *
 *     bench_gptq [COLUMNS…]     default 2048; BENCH=full: 8192 too, a minute
 *
 * Inputs and weights are left in $BENCH_DATA (gptq-COLUMNS.x and .w, float32), for peer_gptq.py to do the same work on:
 * 8 blocks of 512 tokens used round-robin, correlated through 64 factors, with log-normal columns and a few outliers.
 */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/output/activations.h"
#include "analysis/output/speed.h"
#include "quant/source/source.h"
#include "quant/kernel/product.h"
#include "quant/engine/measure.h"
#include "quant/engine/quantize.h"

enum { ROWS = 2048, TOKENS = 512, BLOCKS = 8, ROUNDS = 16, FACTORS = 64, SIDE = 3072, BANDS = 16 };

static float *floats(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    if (!x) {
        fprintf(stderr, "bench_gptq: no memory\n");
        exit(4);
    }
    return x;
}

static float *gaussians(int64_t n, const char *seed)
{
    char text[64];
    bg_source s;
    bg_err e;
    float *x = floats(n);
    snprintf(text, sizeof text, "gaussian,n=%lld,seed=%s", (long long)n, seed);
    if (bg_source_parse(text, &s, &e))
        exit(1);
    bg_source_samples(&s, 0, n, x);
    return x;
}

static float *inputs(int64_t C)
{
    int64_t n = BLOCKS * TOKENS;
    float *x = gaussians(n * C, "1"), *mix = gaussians(FACTORS * C, "2"), *hidden = gaussians(n * FACTORS, "3");
    float *size = gaussians(C, "4");
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)C, FACTORS, 0.7F / 8, hidden, FACTORS, mix,
                (int)C, 1, x, (int)C);
    for (int64_t c = 0; c < C; c++) {
        float scale = expf(0.6F * size[c]) * (c % 256 == 17 ? 10.0F : 1.0F);
        for (int64_t t = 0; t < n; t++)
            x[t * C + c] *= scale;
    }
    free(mix), free(hidden), free(size);
    return x;
}

static void save(const char *kind, int64_t C, const float *x, int64_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/gptq-%lld.%s", getenv("BENCH_DATA") ? getenv("BENCH_DATA") : "out/bench",
             (long long)C, kind);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(x, sizeof *x, (size_t)n, f) != (size_t)n)
        fprintf(stderr, "bench_gptq: %s cannot be written\n", path);
    if (f)
        fclose(f);
}

typedef struct peaks {
    double single, twice; /* GFLOP/s of products in float32 and in double, by BLAS or by ours, whichever is faster */
} peaks;

/* c = a·a by BLAS or by ours, which is one thread's: each takes a band of rows. */
#define SQUARE(name, real, blas, mine, operand)                                                                        \
    static void name(const real *a, real *c, int n, int ours)                                                          \
    {                                                                                                                  \
        if (!ours) {                                                                                                   \
            blas(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, a, n, 0, c, n);                          \
            return;                                                                                                    \
        }                                                                                                              \
        _Pragma("omp parallel for schedule(static)") for (int i = 0; i < BANDS; i++)                                   \
        {                                                                                                              \
            int64_t first = (int64_t)n * i / BANDS, rows = (int64_t)n * (i + 1) / BANDS - first;                       \
            bg_product_shape shape = {rows, n, n};                                                                     \
            mine(shape, 1, (operand){a + first * n, n, 1}, (operand){a, n, 1}, 0, c + first * n, n);                   \
        }                                                                                                              \
    }
SQUARE(single_square, float, cblas_sgemm, bg_sgemm, bg_s_operand)
SQUARE(double_square, double, cblas_dgemm, bg_dgemm, bg_d_operand)

static peaks measure_peaks(void)
{
    peaks p = {0};
    float *a = floats((int64_t)SIDE * SIDE), *c = floats((int64_t)SIDE * SIDE);
    memset(a, 0x3f,
           (size_t)SIDE * SIDE * sizeof *a); /* 0.75 in floats, 0.0005 in doubles: no zero that a product might skip */
    for (int i = 0; i < 4; i++) {
        double t = bg_now();
        single_square(a, c, SIDE, i % 2);
        p.single = fmax(p.single, 2e-9 * SIDE * SIDE * SIDE / (bg_now() - t));
        int n = SIDE / 2;
        t = bg_now();
        double_square((double *)a, (double *)c, n, i % 2);
        p.twice = fmax(p.twice, 2e-9 * n * n * (double)n / (bg_now() - t));
    }
    free(a), free(c);
    return p;
}

static void run(const bg_matrix *m, const char *text, const char *what, double signal, double *seconds)
{
    bg_spec *s = NULL;
    bg_measure r[8];
    int n = 0;
    bg_err e;
    double t = bg_now();
    if (bg_specs_parse(text, &s, &n, &e) || n > 8 || bg_measure_specs(m, s, n, r, &e)) {
        fprintf(stderr, "bench_gptq: %s\n", e.text);
        exit(1);
    }
    *seconds = bg_now() - t;
    printf("%s\t%.2f\ts\t%d specs, output error of the last %.6f of the signal\n", what, *seconds, n,
           r[n - 1].output_mse / signal);
    free(s);
}

static void layer(int64_t C, const peaks *p)
{
    bg_activations s;
    bg_err e;
    char what[64];
    float *x = inputs(C), *w = gaussians(ROWS * C, "5");
    double signal = 0, quantize, seconds, n = (double)C, tokens = BLOCKS * TOKENS * ROUNDS;
    for (int64_t i = 0; i < ROWS * C; i++)
        w[i] = bg_bf16_to_f32(bg_f32_to_bf16(0.02F * w[i]));
    save("x", C, x, BLOCKS * TOKENS * C);
    save("w", C, w, ROWS * C);
    if (bg_activations_init(&s, C, &e))
        exit(4);
    double t = bg_now();
    for (int i = 0; i < BLOCKS * ROUNDS; i += 2) /* as many tokens at a time as a model's pass hands over */
        bg_activations_add(&s, x + i % BLOCKS * TOKENS * C, 2 * TOKENS);
    if (bg_activations_finish(&s, "inputs", &e) || bg_activations_square(&s, &e))
        exit(1);
    free(x); /* a calibration is over, its samples gone, when the layer is quantized */
    double moment = bg_now() - t, floor = tokens * n * n / p->single * 1e-9;
    snprintf(what, sizeof what, "gptq %lld: second moment", (long long)C);
    printf("%s\t%.2f\ts\t%.0f GFLOP/s of one triangle, %.2f s at that rate\n", what, moment,
           tokens * n * n * 1e-9 / moment, floor);
    bg_matrix m = bg_matrix_of(w, ROWS, C);
    m.second_moment = s.second_moment;
    float *zero = calloc((size_t)(ROWS * C), sizeof *zero);
    if (!zero || bg_output_mse(m.second_moment, w, zero, ROWS, C, &signal, &e))
        exit(4);
    free(zero);
    snprintf(what, sizeof what, "gptq %lld: factor and walk", (long long)C);
    run(&m, "uniform:bits=4,scope=128,step=range,round=gptq,order=groups,percdamp=0.05", what, signal, &quantize);
    double products = n * n * n / 3 / p->twice * 1e-9 + ROWS * n * n / p->single * 1e-9;
    printf("gptq %lld: products at these rates\t%.2f\ts\tthis is %.2f times as long\n", (long long)C, products + floor,
           (moment + quantize) / (products + floor));
    snprintf(what, sizeof what, "gptq %lld: six widths, one factor", (long long)C);
    run(&m, "uniform:bits=2/3/4/5/6/8,scope=128,step=range,round=gptq,order=groups,percdamp=0.05", what, signal,
        &seconds);
    snprintf(what, sizeof what, "gptq %lld: range searched", (long long)C);
    run(&m, "uniform:bits=4,scope=128,step=range,clip=output,round=gptq,order=groups,percdamp=0.05", what, signal,
        &seconds);
    printf("gptq %lld\t%.2f\ts\tsecond moment, factor and walk\n", (long long)C, moment + quantize);
    printf("gptq %lld: peak memory\t%.0f\tMB\tthe second moment is %.0f of them\n", (long long)C,
           (double)bg_peak_bytes() * 1e-6, 8e-6 * n * n);
    bg_activations_free(&s);
    free(w);
}

int main(int argc, char **argv)
{
    peaks p = measure_peaks();
    printf("float products beside gptq\t%.0f\tGFLOP/s\ndouble products beside gptq\t%.0f\tGFLOP/s\n", p.single,
           p.twice);
    const char *full = getenv("BENCH");
    for (int i = 1; i < argc; i++)
        layer(strtol(argv[i], NULL, 10), &p);
    if (argc == 1)
        layer(2048, &p);
    if (argc == 1 && full && !strcmp(full, "full"))
        layer(8192, &p);
    return 0;
}
