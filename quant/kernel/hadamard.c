/* Owns the randomised Hadamard rotation. */
#define _DEFAULT_SOURCE /* M_PI */
#include "quant/kernel/hadamard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/failure.h"
#include "quant/probability/random.h"

static double dct_entry(int64_t odd, int64_t i, int64_t j)
{
    double scale = sqrt((j ? 2.0 : 1.0) / (double)odd);
    return scale * cos(M_PI * ((double)i + 0.5) * (double)j / (double)odd);
}

int bg_rotation_init(bg_rotation *t, int64_t n, uint64_t seed, const signed char *signs, bg_err *e)
{
    *t = (bg_rotation){.n = n, .power = n & -n};
    t->odd = n / t->power;
    t->sign = malloc((size_t)n);
    t->dct = t->odd > 1 ? malloc((size_t)(t->odd * t->odd) * sizeof *t->dct) : NULL;
    if (!t->sign || (t->odd > 1 && !t->dct)) {
        bg_rotation_free(t);
        return bg_no_memory(e, "rotation", (unsigned long long)n + (unsigned long long)(t->odd * t->odd) * 8);
    }
    for (int64_t i = 0; i < n; i++)
        t->sign[i] = signs ? signs[i] : bg_bits_at(seed, (uint64_t)i) >> 63 ? -1 : 1;
    for (int64_t i = 0; t->dct && i < t->odd; i++)
        for (int64_t j = 0; j < t->odd; j++)
            t->dct[i * t->odd + j] = dct_entry(t->odd, i, j);
    return BG_OK;
}

void bg_rotation_free(bg_rotation *t)
{
    free(t->sign);
    free(t->dct);
    *t = (bg_rotation){0};
}

/* H_power along the slow index: butterflies over rows of `odd` neighbouring values; then the 1/√power. */
static void apply_hadamard(const bg_rotation *t, double *x)
{
    int64_t row = t->odd;
    for (int64_t half = 1; half < t->power; half *= 2)
        for (int64_t block = 0; block < t->power; block += 2 * half)
            for (int64_t i = block * row; i < (block + half) * row; i++) {
                double a = x[i], b = x[i + half * row];
                x[i] = a + b;
                x[i + half * row] = a - b;
            }
    double scale = 1 / sqrt((double)t->power);
    for (int64_t i = 0; i < t->n; i++)
        x[i] *= scale;
}

/* Each run of `odd` values times Q, or times its transpose. */
static void apply_dct(const bg_rotation *t, double *x, double *scratch, int transpose)
{
    int64_t m = t->odd;
    if (m == 1)
        return;
    memset(scratch, 0, (size_t)t->n * sizeof *scratch);
    for (int64_t p = 0; p < t->power; p++)
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < m; j++)
                scratch[p * m + j] += x[p * m + i] * (transpose ? t->dct[j * m + i] : t->dct[i * m + j]);
    memcpy(x, scratch, (size_t)t->n * sizeof *x);
}

void bg_rotate(const bg_rotation *t, double *x, double *scratch)
{
    for (int64_t i = 0; i < t->n; i++)
        x[i] *= t->sign[i];
    apply_dct(t, x, scratch, 0);
    apply_hadamard(t, x);
}

void bg_rotate_back(const bg_rotation *t, double *y, double *scratch)
{
    apply_hadamard(t, y);
    apply_dct(t, y, scratch, 1);
    for (int64_t i = 0; i < t->n; i++)
        y[i] *= t->sign[i];
}

void bg_rotate_ref(const bg_rotation *t, const double *x, double *out)
{
    int64_t m = t->odd;
    for (int64_t j = 0; j < t->n; j++) {
        double sum = 0;
        for (int64_t i = 0; i < t->n; i++) {
            int parity = __builtin_parityll((unsigned long long)((i / m) & (j / m)));
            double q = m > 1 ? dct_entry(m, i % m, j % m) : 1;
            sum += x[i] * t->sign[i] * (parity ? -q : q);
        }
        out[j] = sum / sqrt((double)t->power);
    }
}

int bg_rotate_moment(const bg_rotation *t, double *sigma, bg_err *e)
{
    int64_t n = t->n;
    bg_failure failure = {0};
    /* Rows (ΣT), then, as ΣT transposed is TᵀΣ, the rows of its transpose. */
    for (int pass = 0; pass < 2; pass++) {
#pragma omp parallel
        {
            bg_err mine = {0};
            double *scratch = malloc((size_t)n * sizeof *scratch);
            if (!scratch)
                bg_no_memory(&mine, "rotation", (unsigned long long)n * sizeof *scratch);
#pragma omp for schedule(static)
            for (int64_t i = 0; i < n; i++) {
                if (scratch)
                    bg_rotate(t, sigma + i * n, scratch);
                else
                    bg_failure_note(&failure, i, &mine);
            }
            free(scratch);
        }
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < i; j++) {
                double swap = sigma[i * n + j];
                sigma[i * n + j] = sigma[j * n + i];
                sigma[j * n + i] = swap;
            }
    }
    return bg_failure_status(&failure, e);
}
