/* Owns measuring the atlas (atlas.h). */
#include "analysis/curves/atlas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/bounds/shannon.h"
#include "quant/probability/random.h"
#include "quant/source/source.h"
#include "io/base/failure.h"

static const struct {
    const char *axis, *key;
    double at[8];
    int n;
} axes[] = {{"student", "nu", {3, 5, 10, 30}, 4},
            {"ggd", "shape", {0.5, 0.7, 1, 1.4, 2, 3}, 6},
            {"ar1", "rho", {0, 0.5, 0.8, 0.95}, 4},
            {"outliers", "share", {1e-4, 1e-3, 1e-2}, 3}};
static const char *const block_specs[] = {"uniform:bits=4", "nf:bits=4", "fp:kind=e2m1"};
static const int blocks[] = {16, 32, 64, 128, 256, 512};
enum {
    AXES = sizeof axes / sizeof *axes,
    BLOCK_SPECS = sizeof block_specs / sizeof *block_specs,
    BLOCKS = sizeof blocks / sizeof *blocks
};

/* ---- one source ---- */

static bg_atlas_point point_of(const bg_atlas_point *at, const bg_spec *spec, const bg_distribution *distribution,
                               double rate, double relative)
{
    const bg_distribution *gaussian = bg_distribution_find("gaussian");
    bg_atlas_point p = *at;
    p.spec = spec;
    p.rate_bits = rate;
    p.relative = relative;
    p.gap_bits = bg_gap_bits(rate, 1, relative);
    p.own_gap_bits = p.gap_bits + gaussian->entropy_bits(gaussian) - distribution->entropy_bits(distribution);
    p.error_bits = (double)NAN;
    return p;
}

/* Means over samples of other seeds, of rate and of ln D, and the standard error of the gap. */
static int on_samples(const bg_source *s, const bg_spec *specs, int n, uint64_t seed, bg_atlas_point *out, bg_err *e)
{
    float *x = malloc(BG_ATLAS_WEIGHTS * sizeof *x);
    bg_measure *m = calloc((size_t)n * BG_ATLAS_SEEDS, sizeof *m);
    int status = x && m ? BG_OK : bg_no_memory(e, s->distribution.name, BG_ATLAS_WEIGHTS * sizeof *x);
    for (int i = 0; i < BG_ATLAS_SEEDS && !status; i++) {
        bg_source drawn = *s;
        drawn.n = BG_ATLAS_WEIGHTS;
        drawn.cols = 4096;
        drawn.seed = bg_bits_at(seed, (uint64_t)i) >> 1;
        bg_source_samples(&drawn, 0, BG_ATLAS_WEIGHTS, x);
        bg_matrix matrix = bg_matrix_of(x, BG_ATLAS_WEIGHTS / drawn.cols, drawn.cols);
        matrix.seed = drawn.seed;
        status = bg_measure_specs(&matrix, specs, n, m + i * n, e);
    }
    for (int k = 0; k < n && !status; k++) {
        double rate = 0, logs = 0, gaps = 0, squares = 0;
        for (int i = 0; i < BG_ATLAS_SEEDS; i++) {
            const bg_measure *at = &m[i * n + k];
            double gap = bg_gap_bits(at->rate_bits, at->sigma2, at->mse);
            rate += at->rate_bits / BG_ATLAS_SEEDS;
            logs += log(at->mse / at->sigma2) / BG_ATLAS_SEEDS;
            gaps += gap / BG_ATLAS_SEEDS;
            squares += gap * gap / BG_ATLAS_SEEDS;
        }
        out[k] = point_of(&out[k], &specs[k], &s->distribution, rate, exp(logs));
        out[k].error_bits = sqrt(fmax(0, squares - gaps * gaps) / (BG_ATLAS_SEEDS - 1));
        out[k].skipped = m[k].skipped;
    }
    free(x);
    free(m);
    return status;
}

/* On the density where that can be done, the rest on samples. */
static int on_source(const bg_spec *specs, int n, uint64_t seed, bg_atlas_point *out, bg_err *e)
{
    bg_source s;
    bg_spec *rest = malloc((size_t)n * sizeof *rest);
    bg_measure *m = calloc((size_t)n, sizeof *m);
    bg_atlas_point *drawn = malloc((size_t)n * sizeof *drawn);
    char text[sizeof out->source + 32];
    int status = rest && m && drawn ? BG_OK : bg_no_memory(e, out->source, (size_t)n * sizeof *rest), left = 0;
    snprintf(text, sizeof text, "%s,n=%d", out->source, BG_ATLAS_WEIGHTS);
    if (!status)
        status = bg_source_parse(text, &s, e);
    bg_matrix density = {.distribution = &s.distribution, .distribution_sigma = 1, .cols = 1};
    if (!status && s.distribution.memoryless)
        status = bg_measure_specs(&density, specs, n, m, e);
    for (int k = 0; k < n && !status; k++) {
        if (!s.distribution.memoryless || m[k].skipped) {
            drawn[left] = out[k];
            rest[left++] = specs[k];
            continue;
        }
        out[k] = point_of(&out[k], &specs[k], &s.distribution, m[k].rate_bits, m[k].mse);
        out[k].exact = 1;
    }
    if (!status && left)
        status = on_samples(&s, rest, left, seed, drawn, e);
    for (int k = 0, i = 0; k < n && !status; k++)
        if (!out[k].exact) {
            out[k] = drawn[i++];
            out[k].spec = &specs[k];
        }
    free(rest);
    free(m);
    free(drawn);
    return status ? bg_context(e, "source:%s", out->source) : BG_OK;
}

/* ---- all of them ---- */

static int parse_blocks(bg_atlas *a, bg_err *e)
{
    int status = BG_OK;
    for (int b = 0; b < BLOCKS && !status; b++)
        for (int i = 0; i < BLOCK_SPECS && !status; i++) {
            char text[96];
            snprintf(text, sizeof text, "%s,scope=%d", block_specs[i], blocks[b]);
            status = bg_specs_parse(text, &a->blocks, &a->n_blocks, e);
        }
    return status;
}

/* Lays out the points: source after source, then the blocks, all on a Gaussian. */
static int lay_out(bg_atlas *a, int n, bg_err *e)
{
    int sources = 0;
    for (int i = 0; i < AXES; i++)
        sources += axes[i].n;
    a->points = calloc((size_t)(sources * n + BLOCKS * BLOCK_SPECS) + 1, sizeof *a->points);
    if (!a->points)
        return bg_no_memory(e, "atlas", (size_t)(sources * n) * sizeof *a->points);
    for (int i = 0; i < AXES; i++)
        for (int v = 0; v < axes[i].n; v++)
            for (int k = 0; k < n; k++) {
                bg_atlas_point *p = &a->points[a->n++];
                p->axis = axes[i].axis;
                p->parameter = axes[i].at[v];
                snprintf(p->source, sizeof p->source, "%s,%s=%g", axes[i].axis, axes[i].key, p->parameter);
            }
    for (int k = 0; k < BLOCKS * BLOCK_SPECS; k++) {
        bg_atlas_point *p = &a->points[a->n++];
        *p = (bg_atlas_point){.axis = "block", .source = "gaussian", .parameter = blocks[k / BLOCK_SPECS]};
    }
    return BG_OK;
}

int bg_atlas_make(bg_atlas *a, const bg_spec *specs, int n, uint64_t seed, bg_err *e)
{
    *a = (bg_atlas){0};
    int status = parse_blocks(a, e);
    if (!status)
        status = lay_out(a, n, e);
    if (status)
        return status;
    int sources = (a->n - a->n_blocks) / n;
    bg_failure failure = {0};
    bg_progress bar;
    bg_progress_begin(&bar, "atlas", (unsigned long long)sources + 1);
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i <= sources; i++) {
        bg_err mine = {0};
        int failed = bg_interrupted ? bg_fail(&mine, BG_RESOURCE, "interrupted")
                     : i < sources  ? on_source(specs, n, seed, a->points + i * n, &mine)
                                    : on_source(a->blocks, a->n_blocks, seed, a->points + i * n, &mine);
        if (failed)
            bg_failure_note(&failure, i, &mine);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    return bg_failure_status(&failure, e);
}

void bg_atlas_free(bg_atlas *a)
{
    free(a->points);
    free(a->blocks);
    *a = (bg_atlas){0};
}

double bg_atlas_predict(const bg_atlas *a, const char *spec, double beta)
{
    const bg_atlas_point *below = NULL;
    for (int i = 0; i < a->n; i++) {
        const bg_atlas_point *p = &a->points[i];
        if (strcmp(p->axis, "ggd") || p->skipped || strcmp(p->spec->text, spec))
            continue;
        if (below && below->parameter <= beta && beta <= p->parameter) {
            double t = log(beta / below->parameter) / log(p->parameter / below->parameter);
            return exp((1 - t) * log(below->relative) + t * log(p->relative));
        }
        below = p;
    }
    return (double)NAN;
}
