/* Powers of two and sums of them: multiplication becomes shifts. Li, Dong, Wang 2020 (APoT), arXiv 1909.13144.
 *
 *     pot    ±a·{0, 2^−(2^(b−1)−2), …, ½, 1}: 2^b − 1 levels
 *     apot   ±γ·Σ_m p_m, the b−1 magnitude bits split into terms of k bits (in the paper k = 2), an odd bit left over
 *            being a term of its own; term m of n takes 0 or 2^−m·2^−(n·i) (with the odd term: see terms()). γ makes
 * the largest level a. 2^b − 1 distinct levels. The range a is the scope's largest magnitude, or with clip=mse the
 * share of it with the least squared error, in steps of 1 %. Check: apot at 3 bits: {0, ½, ¼, ⅛} over ½, i.e. ±{0, ¼,
 * ½, 1}.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/scope/scope.h"

enum { EXPONENTS = 15 }; /* of a term of 4 bits */

/* ---- magnitudes ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int pot_magnitudes(int bits, double *out)
{
    int n = 1 << (bits - 1);
    out[0] = 0;
    for (int i = 1; i < n; i++)
        out[i] = ldexp(1, i - (n - 1));
    return n;
}

/* The exponents of a term: the reference implementation's sets. With B = 2n magnitude bits term m holds m+1, m+1+n,
 * m+1+2n; with B = 2n+1 the odd one-bit term comes behind the others and takes the next free exponent of the
 * interleaving. */
static int terms(int B, int k, int exponent[][EXPONENTS], int *sizes)
{
    int pairs = B / 2, odd = B % 2;
    if (k != 2) { /* eq. 5 as it stands */
        int n = B / k;
        for (int m = 0; m < n; m++) {
            sizes[m] = (1 << k) - 1;
            for (int i = 0; i < sizes[m]; i++)
                exponent[m][i] = m + 1 + i * n;
        }
        return n;
    }
    static const int mixed3[2][EXPONENTS] = {{1, 2, 4}, {3, 0, 0}},
                     mixed5[3][EXPONENTS] = {{1, 3, 6}, {2, 4, 7}, {5, 0, 0}};
    if (B == 3 || B == 5) {
        memcpy(exponent, B == 3 ? mixed3[0] : mixed5[0], (size_t)(pairs + odd) * sizeof *exponent);
    } else {
        for (int m = 0; m < pairs; m++)
            for (int i = 0; i < 3; i++)
                exponent[m][i] = m + 1 + i * pairs;
        if (odd)
            exponent[pairs][0] = 3 * pairs + 1;
    }
    for (int m = 0; m < pairs; m++)
        sizes[m] = 3;
    if (odd)
        sizes[pairs] = 1;
    return pairs + odd;
}

static int apot_magnitudes(int bits, int k, double *out)
{
    int exponent[8][EXPONENTS] = {{0}}, sizes[8], n = terms(bits - 1, k, exponent, sizes), count = 1;
    out[0] = 0;
    for (int m = 0; m < n; m++) {
        int before = count;
        for (int i = 0; i < sizes[m]; i++)
            for (int j = 0; j < before; j++)
                out[count++] = out[j] + ldexp(1, -exponent[m][i]);
    }
    qsort(out, (size_t)count, sizeof *out, by_value);
    for (int i = 0; i < count; i++)
        out[i] /= out[count - 1];
    return count;
}

/* ---- the rows ---- */

static void build(const double *magnitude, int n, bg_code *out, float *levels, float *cuts)
{
    int K = 2 * n - 1;
    for (int i = 0; i < n; i++) {
        levels[n - 1 + i] = (float)magnitude[i];
        levels[n - 1 - i] = i ? -(float)magnitude[i] : 0;
    }
    for (int k = 0; k + 1 < K; k++)
        cuts[k] = 0.5f * (levels[k] + levels[k + 1]);
    *out = (bg_code){.K = K, .levels = levels, .cuts = cuts};
}

static double error_with(const bg_spec *s, const bg_scope_stats *st, bg_code *c, double a, double *points)
{
    c->scale = st->ideal ? (float)a : bg_scale_round(s, (float)a, 1);
    if (st->hist) {
        for (int k = 0; k < c->K; k++)
            points[k] = (double)bg_code_value(c, k);
        return bg_hist_mse(st->hist, points, c->K);
    }
    double sum = 0;
    for (size_t i = 0; i < st->n; i++) {
        double d = (double)st->x[i] - (double)bg_code_value(c, bg_code_index(c, st->x[i]));
        sum += (st->importance ? (double)st->importance[i] : 1) * d * d;
    }
    return sum;
}

static int fit_to(const bg_spec *s, const bg_scope_stats *st, bg_code *out, bg_err *e)
{
    double a = fmax(fabs(st->min), fabs(st->max)), least = INFINITY, best = a, clip = s->clip.number;
    if (clip > 0)
        best = fmin(a, clip * st->sigma);
    if (s->clip.word == BG_CLIP_MSE || s->clip.word == BG_CLIP_OUTPUT) {
        double *points = malloc((size_t)out->K * sizeof *points);
        if (!points)
            return bg_no_memory(e, "levels of a grid", (unsigned long long)out->K * sizeof *points);
        for (int percent = 100; percent >= 1; percent--) {
            double error = error_with(s, st, out, a * percent / 100, points);
            if (error < least) {
                least = error;
                best = a * percent / 100;
            }
        }
        free(points);
    }
    out->scale = (float)best;
    return BG_OK;
}

static int fit_pot(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e)
{
    double magnitude[128];
    build(magnitude, pot_magnitudes((int)s->bits, magnitude), out, levels, cuts);
    return fit_to(s, st, out, e);
}

typedef struct apot_params {
    int k; /* bits of a term */
} apot_params;

static int fit_apot(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e)
{
    double magnitude[256];
    const apot_params *p = bg_grid_params(s);
    int bits = (int)s->bits, k = p->k;
    if (k != 2 && (bits - 1) % k)
        return bg_fail(e, BG_USAGE, "apot: k=%d does not divide the %d bits of a magnitude", k, bits - 1);
    build(magnitude, apot_magnitudes(bits, k, magnitude), out, levels, cuts);
    return fit_to(s, st, out, e);
}

static bg_needs needs(const bg_spec *s)
{
    if (s->clip.word == BG_CLIP_MSE || s->clip.word == BG_CLIP_OUTPUT)
        return s->scope.kind == BG_SCOPE_TENSOR ? BG_NEEDS_HIST : BG_NEEDS_VALUES;
    return s->clip.number > 0 ? BG_NEEDS_MOMENTS : BG_NEEDS_ABSMAX;
}

static const bg_key keys[] = {
    {.name = "bits",
     .type = BG_KEY_INTEGER,
     .min = 2,
     .max = 8,
     .default_text = "4",
     .help = "index bits a weight, the sign's among them"},
    {0},
};

static const bg_key apot_keys[] = {
    {.name = "bits",
     .type = BG_KEY_INTEGER,
     .min = 2,
     .max = 8,
     .default_text = "4",
     .help = "index bits a weight, the sign's among them"},
    {.name = "k",
     .type = BG_KEY_INTEGER,
     .min = 1,
     .max = 4,
     .default_text = "2",
     .help = "bits of a term; divides bits-1 unless it is 2 (1: equally spaced)",
     BG_PARAM(apot_params, k)},
    {0},
};

const bg_grid bg_grid_pot = {
    .name = "pot",
    .title = "powers of two",
    .paper = "Zhou et al. 2017 (INQ), arXiv 1702.03044; Li, Dong, Wang 2020, arXiv 1909.13144, eq. 3",
    .family = "non-uniform",
    .keys = keys,
    .refuses = "levels zero",
    .default_scope = "channel",
    .kind = BG_GRID_SCALAR,
    .needs = needs,
    .fit = fit_pot,
};

const bg_grid bg_grid_apot = {
    .name = "apot",
    .title = "additive powers of two, terms of k bits",
    .paper = "Li, Dong, Wang 2020 (APoT), arXiv 1909.13144, eq. 5",
    .family = "non-uniform",
    .keys = apot_keys,
    .refuses = "levels zero",
    .default_scope = "channel",
    .kind = BG_GRID_SCALAR,
    .needs = needs,
    .fit = fit_apot,
};
