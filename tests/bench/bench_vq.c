/* Vector quantization (W2 of the workloads): nearest codeword for every vector of a 2048 × 8192 layer, and the k-means
 * fit that goes before. peer_vq.py does the same with faiss. The arithmetic bound is d + 1 vector operations a pair. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include "quant/grid/codebook.h"
#include "quant/source/source.h"

enum { WEIGHTS = 1 << 24, PIECE = 4096, FIT = 10000, REPEATS = 3 };

static float *weights(void)
{
    bg_source s;
    float *x = malloc(WEIGHTS * sizeof *x);
    if (!x || bg_source_parse("student,nu=6,n=16777216,seed=1", &s, NULL))
        exit(1);
#pragma omp parallel for
    for (int64_t i = 0; i < WEIGHTS; i += PIECE)
        bg_source_samples(&s, i, PIECE, x + i);
    return x;
}

static double assign(const bg_codebook *c, const float *x, uint16_t *index)
{
    double best = INFINITY;
    size_t n = WEIGHTS / (size_t)c->d, pieces = (n + PIECE - 1) / PIECE;
    for (int r = 0; r < REPEATS; r++) {
        double t = bg_now();
#pragma omp parallel for schedule(dynamic, 8)
        for (size_t p = 0; p < pieces; p++) {
            size_t a = p * PIECE, m = n - a < PIECE ? n - a : PIECE;
            bg_codebook_assign(c, x + a * (size_t)c->d, m, (size_t)c->d, c->d, index + a);
        }
        best = fmin(best, bg_now() - t);
    }
    return best;
}

static double mse(const bg_codebook *c, const float *x, const uint16_t *index)
{
    double sum = 0;
    for (size_t i = 0; i < WEIGHTS; i++) {
        size_t d = (size_t)c->d;
        double r = (double)x[i] - (double)c->words[index[i / d] * d + i % d];
        sum += r * r;
    }
    return sum / WEIGHTS;
}

int main(void)
{
    static const int shapes[][2] = {{2, 64},   {2, 256}, {2, 4096}, {4, 64},  {4, 256},
                                    {4, 1024}, {8, 256}, {8, 1024}, {8, 4096}};
    float *x = weights();
    uint16_t *index = malloc(WEIGHTS / 2 * sizeof *index);
    if (!index)
        return 1;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        bg_codebook c;
        bg_codebook_options o = {.K = shapes[i][1], .d = shapes[i][0], .restarts = 1, .seed = 1};
        double t = bg_now();
        if (bg_codebook_train(&c, x, FIT, (size_t)o.d * 7, &o, NULL))
            return 1;
        t = bg_now() - t;
        double seconds = assign(&c, x, index), pairs = (double)WEIGHTS / o.d * o.K;
        printf("vq d=%d K=%d, fit %d\t%.3f\ts\n", o.d, o.K, FIT, t);
        printf("vq d=%d K=%d, assign 16.8 M weights\t%.3f\ts\n", o.d, o.K, seconds);
        printf("vq d=%d K=%d, assign\t%.1f\tMweights/s\n", o.d, o.K, WEIGHTS / seconds / 1e6);
        printf("vq d=%d K=%d, vector operations\t%.1f\tGlanes/s\n", o.d, o.K, pairs * (o.d + 1) / seconds / 1e9);
        printf("vq d=%d K=%d, error\t%.5f\tof unit variance\n", o.d, o.K, mse(&c, x, index));
        bg_codebook_free(&c);
    }
    free(x), free(index);
    return 0;
}
