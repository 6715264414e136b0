/* Owns the sections of an atlas document: the points, and the measured tensors placed among them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/curves/atlas.h"
#include "analysis/curves/curve.h"
#include "quant/probability/bootstrap.h"

static void write_points(const bg_atlas *a, bg_doc *d)
{
    char quantizer[BG_SPEC_TEXT];
    bg_doc_section(d, "points");
    for (int i = 0; i < a->n; i++) {
        const bg_atlas_point *p = &a->points[i];
        if (p->skipped || !(p->relative > 0))
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "axis", p->axis);
        bg_doc_string(d, "source", p->source);
        bg_doc_number(d, "parameter", p->parameter);
        bg_doc_string(d, "spec", p->spec->text);
        bg_doc_string(d, "quantizer", bg_spec_quantizer(p->spec, quantizer));
        bg_doc_string(d, "family", bg_spec_family(p->spec));
        bg_doc_bool(d, "exact", p->exact);
        bg_doc_number(d, "rate_bits", p->rate_bits);
        bg_doc_number(d, "relative", p->relative);
        bg_doc_number(d, "gap_bits", p->gap_bits);
        bg_doc_number(d, "own_gap_bits", p->own_gap_bits);
        bg_doc_number(d, "error_bits", p->error_bits);
        bg_doc_row_end(d);
    }
    bg_doc_section(d, "skipped");
    for (int i = 0; i < a->n; i++) {
        const bg_atlas_point *p = &a->points[i];
        if (!p->skipped)
            continue;
        bg_doc_row(d);
        bg_doc_string(d, "source", p->source);
        bg_doc_string(d, "spec", p->spec->text);
        bg_doc_string(d, "reason", p->skipped);
        bg_doc_row_end(d);
    }
}

/* ---- tensors ---- */

static double shape_of(const cJSON *groups, const char *tensor)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, bg_doc_rows(groups, "tensors")) if (!strcmp(bg_json_string(row, "tensor", ""),
                                                                        tensor)) return bg_json_number(row, "ggd_shape",
                                                                                                       (double)NAN);
    return (double)NAN;
}

/* The residuals of a spec over the tensors that were placed. */
typedef struct residuals {
    char spec[BG_SPEC_TEXT];
    double *at; /* [n] bits */
    int n;
} residuals;

static int place_one(const bg_atlas *a, const cJSON *point, const cJSON *groups, bg_doc *d, double *residual)
{
    const char *tensor = bg_json_string(point, "tensor", ""), *spec = bg_json_string(point, "spec", "");
    double mse = bg_json_number(point, "mse", (double)NAN), sigma2 = bg_json_number(point, "sigma2", (double)NAN);
    double shape = shape_of(groups, tensor), foretold = bg_atlas_predict(a, spec, shape),
           rate = bg_json_number(point, "rate_bits", (double)NAN);
    if (!(mse > 0) || !(sigma2 > 0) || !isfinite(foretold) || !isfinite(rate))
        return 0;
    double predicted = rate + 0.5 * log2(foretold), measured = rate + 0.5 * log2(mse / sigma2);
    *residual = measured - predicted;
    bg_doc_row(d);
    bg_doc_string(d, "tensor", tensor);
    bg_doc_string(d, "role", bg_json_string(point, "role", ""));
    bg_doc_integer(d, "layer", (int64_t)bg_json_number(point, "layer", -1));
    bg_doc_string(d, "spec", spec);
    bg_doc_string(d, "quantizer", bg_json_string(point, "quantizer", ""));
    bg_doc_number(d, "shape", shape);
    bg_doc_number(d, "predicted_bits", predicted);
    bg_doc_number(d, "measured_bits", measured);
    bg_doc_number(d, "residual_bits", *residual);
    bg_doc_row_end(d);
    return 1;
}

/* Mean with its interval, root mean square and largest size over tensors. */
static void put_residuals(bg_doc *d, const residuals *r, const double *ones, uint64_t seed)
{
    double mean = 0, square = 0, largest = 0, low, high;
    for (int i = 0; i < r->n; i++) {
        mean += r->at[i] / r->n;
        square += r->at[i] * r->at[i] / r->n;
        largest = fmax(largest, fabs(r->at[i]));
    }
    bg_resample_mean(r->at, ones, r->n, seed, &low, &high);
    bg_doc_row(d);
    bg_doc_string(d, "spec", r->spec);
    bg_doc_integer(d, "tensors", r->n);
    bg_doc_number(d, "mean_bits", mean);
    bg_doc_number(d, "mean_low_bits", low);
    bg_doc_number(d, "mean_high_bits", high);
    bg_doc_number(d, "rms_bits", sqrt(square));
    bg_doc_number(d, "largest_bits", largest);
    bg_doc_row_end(d);
}

static residuals *residuals_for(residuals *all, int *n, const char *spec, double *workspace)
{
    for (int i = 0; i < *n; i++)
        if (!strcmp(all[i].spec, spec))
            return &all[i];
    residuals *r = &all[(*n)++];
    snprintf(r->spec, sizeof r->spec, "%s", spec);
    r->at = workspace;
    return r;
}

static int write_tensors(const bg_atlas *a, const cJSON *curves, const cJSON *groups, uint64_t seed, bg_doc *d,
                         bg_err *e)
{
    const cJSON *points = bg_doc_rows(curves, "points"), *row;
    size_t n = (size_t)cJSON_GetArraySize(points), specs = (size_t)a->n + 1;
    residuals *all = calloc(specs, sizeof *all);
    double *workspace = malloc((specs + 1) * (n + 1) * sizeof *workspace),
           *ones = workspace ? workspace + specs * (n + 1) : NULL;
    int found = 0;
    if (!all || !workspace) {
        free(all);
        free(workspace);
        return bg_no_memory(e, "placed tensors", specs * n * sizeof *workspace);
    }
    for (size_t i = 0; i < n; i++)
        ones[i] = 1;
    bg_doc_section(d, "tensors");
    cJSON_ArrayForEach(row, points)
    {
        double residual;
        if (!place_one(a, row, groups, d, &residual))
            continue;
        residuals *r = residuals_for(all, &found, bg_json_string(row, "spec", ""), workspace + (size_t)found * (n + 1));
        r->at[r->n++] = residual;
    }
    bg_doc_section(d, "residuals");
    for (int i = 0; i < found; i++)
        put_residuals(d, &all[i], ones, seed);
    free(all);
    free(workspace);
    return BG_OK;
}

int bg_atlas_write(const bg_atlas *a, const cJSON *curves, const cJSON *groups, uint64_t seed, bg_doc *d, bg_err *e)
{
    write_points(a, d);
    return curves && groups ? write_tensors(a, curves, groups, seed, d, e) : BG_OK;
}
