/* Entropy coders and trellises: symbols through rANS and back, weights through the Viterbi searches, each beside what
 * memory moves. Both cores work, each on its own tile, as in a sweep. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "quant/coding/index_stream.h"
#include "quant/kernel/bitshift.h"
#include "quant/kernel/trellis.h"
#include "quant/engine/quantize.h"
#include "quant/source/source.h"

enum { SYMBOLS = 1 << 22, LENGTH = 4096, TILES = 64 };

static float *gaussian(int64_t n)
{
    bg_source s;
    float *x = malloc((size_t)n * sizeof *x);
    if (!x || bg_source_parse("gaussian,n=4194304,seed=1", &s, NULL))
        exit(1);
    bg_source_samples(&s, 0, n, x);
    return x;
}

static void rans(const float *x)
{
    uint16_t *symbols = malloc(SYMBOLS * sizeof *symbols);
    double count[64] = {0};
    bg_rans_table t;
    if (!symbols || bg_rans_new(&t, 64, NULL))
        exit(1);
    for (int i = 0; i < SYMBOLS; i++) {
        symbols[i] = (uint16_t)fminf(fmaxf(rintf(x[i] / 0.522f) + 32, 0), 63);
        count[symbols[i]] += 1;
    }
    bg_rans_fit(&t, count, 0, NULL);
    double encode = 0, decode = 0, bits = 0;
    int threads = omp_get_max_threads();
    for (int way = 0; way < 2; way++) {
        double began = 0;
#pragma omp parallel
        {
            size_t room = bg_rans_max_words(SYMBOLS);
            uint32_t *words = malloc(room * sizeof *words);
            uint16_t *back = malloc(SYMBOLS * sizeof *back);
            if (!words || !back)
                exit(1);
            memset(words, 0, room * sizeof *words), memset(back, 0, SYMBOLS * sizeof *back);
            size_t at = bg_rans_encode(&t, symbols, SYMBOLS, words, room);
#pragma omp barrier
#pragma omp master
            began = bg_now(), bits = 32.0 * (double)(room - at) / SYMBOLS;
#pragma omp barrier
            if (way == 0)
                bg_rans_encode(&t, symbols, SYMBOLS, words, room);
            else if (bg_rans_decode(&t, words + at, room - at, back, SYMBOLS))
                exit(1);
#pragma omp barrier
#pragma omp master
            *(way ? &decode : &encode) = bg_now() - began;
            free(words), free(back);
        }
    }
    printf("rANS, 3-bit indices, encode\t%.1f\tMweights/s\n", threads * (double)SYMBOLS / encode / 1e6);
    printf("rANS, 3-bit indices, decode\t%.1f\tMweights/s\n", threads * (double)SYMBOLS / decode / 1e6);
    printf("rANS, 3-bit indices, coded\t%.4f\tbits\n", bits);
    bg_rans_free(&t), free(symbols);
}

/* A whole spec as a sweep runs it, training left out by taking the difference of two sizes. */
static double rate_of(const char *text, const float *x, float *out, int64_t small, int64_t large)
{
    enum { RUNS = 3 };
    double seconds[2] = {HUGE_VAL, HUGE_VAL};
    for (int k = 0; k < 2 * RUNS; k++) { /* the best of each: what disturbs only adds */
        int i = k % 2;
        int64_t n = i ? large : small;
        bg_spec s;
        bg_err e = {0};
        bg_measure r;
        bg_matrix m = bg_matrix_of(x, n / LENGTH, LENGTH);
        double began = bg_now();
        if (bg_spec_parse(text, &s, &e) || bg_reconstruct(&m, &s, x, out, &r, NULL, &e)) {
            fprintf(stderr, "bench_codes: %s\n", e.text);
            exit(1);
        }
        seconds[i] = fmin(seconds[i], bg_now() - began);
    }
    return (double)(large - small) / (seconds[1] - seconds[0]) / 1e6;
}

static void viterbi(int states, const float *x)
{
    bg_trellis t;
    bg_trellis_init(&t, states);
    uint16_t(*cost)[4] = malloc(LENGTH * sizeof *cost);
    for (int i = 0; i < LENGTH; i++)
        for (int c = 0; c < 4; c++) {
            float y = (x[i] - (float)c) / 4, r = y - rintf(y);
            cost[i][c] = (uint16_t)(4096 * r * r);
        }
    double began = bg_now();
#pragma omp parallel
    {
        uint8_t *choices = malloc(bg_trellis_choice_bytes(&t, LENGTH)), *input = malloc(LENGTH);
#pragma omp for schedule(static)
        for (int k = 0; k < TILES * 8; k++)
            bg_trellis_search(&t, (const uint16_t(*)[4])cost, LENGTH, choices, input);
        free(choices), free(input);
    }
    printf("Viterbi alone, %d states\t%.1f\tMweights/s\n", states, TILES * 8.0 * LENGTH / (bg_now() - began) / 1e6);
    free(cost);
}

int main(void)
{
    float *x = gaussian(SYMBOLS), *out = malloc(SYMBOLS * sizeof *out);
    if (!out)
        return 1;
    rans(x);
    for (int states = 8; states <= 256; states *= 32)
        viterbi(states, x);
    printf("tcq:bits=2,states=256\t%.1f\tMweights/s\n", rate_of("tcq:bits=2,states=256", x, out, 1 << 20, SYMBOLS));
    printf("tcq:rate=2,states=256,code=entropy\t%.1f\tMweights/s\n",
           rate_of("tcq:rate=2,states=256,code=entropy", x, out, 1 << 20, SYMBOLS));
    printf("ecsq:rate=2\t%.1f\tMweights/s\n", rate_of("ecsq:rate=2", x, out, 1 << 20, SYMBOLS));
    printf("bitshift:bits=2,L=16\t%.3f\tMweights/s\n", rate_of("bitshift:bits=2,L=16", x, out, 1 << 15, 5 << 15));
    printf("lattice:kind=leech,rate=2\t%.2f\tMweights/s\n",
           rate_of("lattice:kind=leech,rate=2", x, out, 1 << 18, 1 << 20));
    printf("e8p\t%.2f\tMweights/s\n", rate_of("e8p", x, out, 1 << 18, 1 << 20));
    free(x), free(out);
    return 0;
}
