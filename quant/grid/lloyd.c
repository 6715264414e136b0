/* Lloyd–Max levels fitted to each scope: kernel/lloyd.h. `iterations=20` is the form common in notebooks, which starts
 * at percentiles and stops long before the fixed point. */
#include <stdlib.h>
#include "quant/kernel/lloyd.h"
#include "quant/scope/scope.h"

typedef struct lloyd_params {
    int iterations; /* 0: to convergence */
} lloyd_params;

static const bg_key keys[] = {
    {.name = "bits", .type = BG_KEY_INTEGER, .min = 1, .max = 12, .default_text = "4", .help = "index bits a weight"},
    {.name = "iterations",
     .type = BG_KEY_INTEGER,
     .min = 0,
     .max = 100000,
     .default_text = "0",
     .help = "0: to convergence; else that many Lloyd steps from percentiles",
     BG_PARAM(lloyd_params, iterations)},
    {0},
};

static int fit(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e)
{
    const lloyd_params *p = bg_grid_params(s);
    int K = s->points, iterations = p->iterations;
    double *y = malloc(((size_t)K + bg_lloyd_work(K)) * sizeof *y);
    if (!y)
        return bg_no_memory(e, "Lloyd-Max", (unsigned long long)K * 80);
    if (iterations)
        bg_lloyd_percentiles(st->hist, K, iterations, y);
    else
        bg_lloyd_fit(st->hist, K, y, y + K);
    for (int k = 0; k < K; k++)
        levels[k] = (float)y[k];
    for (int k = 0; k + 1 < K; k++)
        cuts[k] = (float)(0.5 * (y[k] + y[k + 1]));
    free(y);
    *out = (bg_code){.K = K, .scale = 1, .levels = levels, .cuts = cuts};
    return BG_OK;
}

const bg_grid bg_grid_lloyd = {
    .name = "lloyd",
    .title = "Lloyd-Max: levels are the means of their cells",
    .paper = "Lloyd 1957 (IEEE Trans. IT 28, 1982); Max, IRE Trans. IT 6, 1960",
    .family = "non-uniform",
    .keys = keys,
    .refuses = "zero clip step offset",
    .default_scope = "tensor",
    .kind = BG_GRID_SCALAR,
    .flags = BG_GRID_FITS_HIST | BG_GRID_STORES_LEVELS,
    .fit = fit,
};
