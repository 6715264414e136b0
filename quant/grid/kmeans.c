/* The best levels of all for each scope, by dynamic programming: kernel/kmeans1d.h. `weighted=true` counts each weight
 * by the importance of its input, as SqueezeLLM and DKM do. */
#include <stdlib.h>
#include "quant/kernel/kmeans1d.h"
#include "quant/scope/scope.h"

static const bg_key keys[] = {
    {.name = "bits", .type = BG_KEY_INTEGER, .min = 1, .max = 10, .default_text = "4", .help = "index bits a weight"},
    {.name = "rows",
     .type = BG_KEY_INTEGER,
     .min = 1,
     .max = 65536,
     .default_text = "1",
     .help = "rows that share a table (scope=channel)",
     BG_SPEC_PARAM(shared_rows)},
    {.name = "weighted",
     .type = BG_KEY_BOOL,
     .default_text = "false",
     .help = "errors weighted by the importance of their input",
     BG_SPEC_PARAM(weighted)},
    {0},
};

static int fit(const bg_spec *s, const bg_scope_stats *st, bg_code *out, float *levels, float *cuts, bg_err *e)
{
    int K = s->points;
    double *y = malloc((size_t)K * sizeof *y), sse;
    if (!y)
        return bg_no_memory(e, "optimal k-means", (unsigned long long)K * sizeof *y);
    int status = bg_kmeans1d(st->hist, K, y, &sse, e);
    for (int k = 0; k < K && !status; k++) {
        levels[k] = (float)y[k];
        if (k)
            cuts[k - 1] = (float)(0.5 * (y[k - 1] + y[k]));
    }
    free(y);
    *out = (bg_code){.K = K, .scale = 1, .levels = levels, .cuts = cuts};
    return status;
}

const bg_grid bg_grid_kmeans = {
    .name = "kmeans",
    .title = "optimal 1-D k-means: no other levels have less squared error",
    .paper = "Wu, J. Algorithms 12, 1991; Wang and Song, R Journal 3(2), 2011",
    .family = "non-uniform",
    .keys = keys,
    .refuses = "zero clip step offset",
    .default_scope = "tensor",
    .kind = BG_GRID_SCALAR,
    .flags = BG_GRID_FITS_HIST | BG_GRID_STORES_LEVELS,
    .fit = fit,
};
