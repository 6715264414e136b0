/* What this machine can do at most: the denominators of every figure that `make bench` prints.
 *
 *     limits FILE        one line a limit: name, value, unit, separated by tabs; FILE (a few hundred MB) is read for
 * pread
 *
 * Each value is the best of several repetitions on all threads; loops are plain C that the compiler vectorises.
 */
#define _GNU_SOURCE
#include <cblas.h>
#include <fcntl.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/base/error.h"

enum { REPEAT = 5, PIECE = 512 << 10, BLOCK = 65536, CHAINS = 10 };

extern void openblas_set_num_threads(int);
static volatile double sink;

static void limit(const char *name, double work, double seconds, const char *unit)
{
    printf("%s\t%.4g\t%s\n", name, work / seconds, unit);
    fflush(stdout);
}

static double best(double (*run)(void *), void *self)
{
    double least = 1e30;
    for (int i = 0; i < REPEAT; i++) {
        double start = bg_now();
        sink += run(self);
        double seconds = bg_now() - start;
        least = seconds < least ? seconds : least;
    }
    return least;
}

static uint64_t sum(const uint64_t *p, size_t n)
{
    uint64_t s = 0;
#pragma omp simd reduction(+ : s)
    for (size_t i = 0; i < n; i++)
        s += p[i];
    return s;
}

typedef struct words {
    uint64_t *p, *copy;
    size_t n;
} words;

static double read_memory(void *self)
{
    words *w = self;
    uint64_t s = 0;
#pragma omp parallel for schedule(static) reduction(+ : s)
    for (size_t b = 0; b < w->n; b += BLOCK)
        s += sum(w->p + b, BLOCK);
    return (double)s;
}

static double copy_memory(void *self)
{
    words *w = self;
#pragma omp parallel for schedule(static)
    for (size_t b = 0; b < w->n; b += BLOCK)
        memcpy(w->copy + b, w->p + b, BLOCK * sizeof *w->p);
    return (double)w->copy[0];
}

static int memory(void)
{
    words w = {.n = (size_t)1 << 26};
    w.p = aligned_alloc(4096, w.n * sizeof *w.p);
    w.copy = aligned_alloc(4096, w.n * sizeof *w.copy);
    if (!w.p || !w.copy) {
        free(w.p);
        free(w.copy);
        return 0;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < w.n; i++)
        w.p[i] = w.copy[i] = i;
    limit("memory read", (double)(w.n * sizeof *w.p) / 1e9, best(read_memory, &w), "GB/s");
    limit("memcpy", 2.0 * (double)(w.n * sizeof *w.p) / 1e9, best(copy_memory, &w), "GB/s read+written");
    free(w.p);
    free(w.copy);
    return 1;
}

typedef struct open_file {
    int fd;
    off_t size;
} open_file;

static double read_file(void *self)
{
    open_file *f = self;
    uint64_t s = 0;
#pragma omp parallel reduction(+ : s)
    {
        uint64_t *piece = aligned_alloc(4096, PIECE);
#pragma omp for schedule(static)
        for (off_t at = 0; at < f->size; at += PIECE) {
            ssize_t got = piece ? pread(f->fd, piece, PIECE, at) : 0;
            s += got > 0 ? sum(piece, (size_t)got / sizeof *piece) : 0;
        }
        free(piece);
    }
    return (double)s;
}

static int file(const char *path)
{
    struct stat st;
    open_file f = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (f.fd < 0 || fstat(f.fd, &st)) {
        perror(path);
        return 0;
    }
    f.size = st.st_size;
    limit("pread from page cache", (double)f.size / 1e9, best(read_file, &f), "GB/s");
    close(f.fd);
    return 1;
}

/* Ten of the machine's widest registers, each a chain of fused multiply-adds (compiled with contraction on). */
#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

static double fma_chains(void *self)
{
    const long steps = *(long *)self;
    double s = 0;
#pragma omp parallel reduction(+ : s)
    {
        float t = (float)omp_get_thread_num();
        lanes m = (lanes){0} + t, k = m * 1e-7f + 1e-7f;
        lanes a = m, b = m + 1, c = m + 2, d = m + 3, e = m + 4, f = m + 5, g = m + 6, h = m + 7, i = m + 8, j = m + 9;
        m = m * 0 + 0.999999f;
        for (long step = 0; step < steps; step++) {
            a = a * m + k, b = b * m + k, c = c * m + k, d = d * m + k, e = e * m + k;
            f = f * m + k, g = g * m + k, h = h * m + k, i = i * m + k, j = j * m + k;
        }
        a += b + c + d + e + f + g + h + i + j;
        for (int l = 0; l < LANES; l++)
            s += (double)a[l];
    }
    return s;
}

typedef struct product {
    float *a, *b, *c;
    int n;
} product;

static double sgemm(void *self)
{
    product *p = self;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, p->n, p->n, p->n, 1, p->a, p->n, p->b, p->n, 0, p->c, p->n);
    return (double)p->c[0];
}

static int arithmetic(void)
{
    long steps = 10000000;
    limit("fp32 fma", 2.0 * LANES * CHAINS * (double)steps * omp_get_max_threads() / 1e9, best(fma_chains, &steps),
          "GFLOP/s");
    product p = {.n = 2048};
    size_t n = (size_t)p.n * (size_t)p.n;
    p.a = malloc(n * sizeof *p.a);
    p.b = malloc(n * sizeof *p.b);
    p.c = malloc(n * sizeof *p.c);
    int good = p.a && p.b && p.c;
    if (good) {
        for (size_t i = 0; i < n; i++)
            p.a[i] = (float)(i % 17) - 8, p.b[i] = (float)(i % 13) - 6;
        openblas_set_num_threads(omp_get_max_threads());
        limit("sgemm", 2.0 * (double)n * p.n / 1e9, best(sgemm, &p), "GFLOP/s");
    }
    free(p.a);
    free(p.b);
    free(p.c);
    return good;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: limits FILE\n", stderr);
        return BG_USAGE;
    }
    printf("threads\t%d\t1\n", omp_get_max_threads());
    int good = memory() && file(argv[1]) && arithmetic();
    return good ? BG_OK : BG_RESOURCE;
}
