/* bitgap correlate: does weight error foretell functional error? Joins curves and logits by spec and tensors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/output/correlation.h"
#include "io/base/options.h"

static const double agreement = 0.01; /* of the weight error in both documents; both are exact up to rounding */

typedef struct point {
    const char *spec, *quantizer, *over, *role; /* of the logits document */
    int layer;
    double rate, weight, logits, kl; /* rate NaN where there is none */
} point;

typedef struct job {
    cJSON *logits, *curves;
    point *points;
    int n;
    double *x, *y, *ranks; /* [n], [n], [2n] */
} job;

/* ---- joining ---- */

/* Mean squared error over the curve points of these tensors; NaN where the curves do not hold all of them. */
static double from_curves(const cJSON *curves, const point *p, double tensors)
{
    double squared = 0, weights = 0;
    int found = 0;
    const cJSON *c;
    cJSON_ArrayForEach(c, bg_doc_rows(curves, "points"))
    {
        int layer = (int)bg_json_number(c, "layer", -1);
        if (layer < 0 || (p->layer >= 0 && layer != p->layer) || strcmp(bg_json_string(c, "spec", ""), p->spec) ||
            (strcmp(p->role, "all") && strcmp(bg_json_string(c, "role", ""), p->role)))
            continue;
        double n = bg_json_number(c, "weights", 0);
        squared += n * bg_json_number(c, "mse", 0);
        weights += n;
        found++;
    }
    return found == (int)tensors && weights > 0 ? squared / weights : (double)NAN;
}

static int take_point(job *j, const cJSON *row, bg_err *e)
{
    point p = {.spec = bg_json_string(row, "spec", ""),
               .quantizer = bg_json_string(row, "quantizer", ""),
               .over = bg_json_string(row, "over", ""),
               .role = bg_json_string(row, "role", ""),
               .layer = (int)bg_json_number(row, "layer", -1),
               .rate = bg_json_number(row, "rate_bits", NAN),
               .weight = bg_json_number(row, "weight_mse", 0),
               .logits = bg_json_number(row, "logits_mse", 0),
               .kl = bg_json_number(row, "kl_mean", 0)};
    double again = j->curves ? from_curves(j->curves, &p, bg_json_number(row, "tensors", 0)) : (double)NAN;
    if (fabs(again / p.weight - 1) > agreement)
        return bg_fail(e, BG_INPUT,
                       "curves and logits disagree on %s (weight error %g and %g): they are not of the same "
                       "model; re-run bitgap curve",
                       p.spec, again, p.weight);
    if (!isnan(again))
        p.weight = again;
    if (p.weight > 0 && p.logits > 0 && p.kl > 0) /* a lossless row says nothing about proportion */
        j->points[j->n++] = p;
    return BG_OK;
}

static int join(job *j, bg_err *e)
{
    const cJSON *rows = bg_doc_rows(j->logits, "rows"), *row;
    size_t max = (size_t)cJSON_GetArraySize(rows) + 1;
    j->points = calloc(max, sizeof *j->points);
    j->x = calloc(max, sizeof *j->x);
    j->y = calloc(max, sizeof *j->y);
    j->ranks = calloc(2 * max, sizeof *j->ranks);
    if (!j->points || !j->x || !j->y || !j->ranks)
        return bg_no_memory(e, "points", max * sizeof *j->points);
    int status = BG_OK;
    cJSON_ArrayForEach(row, rows)
    {
        if (!status)
            status = take_point(j, row, e);
    }
    return status;
}

static int read_documents(job *j, const bg_args *a, bg_provenance *p, bg_err *e)
{
    int status = BG_OK;
    for (int i = 0; !status && i < bg_args_words(a); i++) {
        cJSON *root = NULL;
        status = bg_doc_read(bg_args_word(a, i), NULL, &root, p, e);
        if (status)
            return status;
        const char *kind = bg_doc_kind_of(root)->name;
        cJSON **slot = !strcmp(kind, "logits") ? &j->logits : !strcmp(kind, "curves") ? &j->curves : NULL;
        if (!slot || *slot) {
            cJSON_Delete(root);
            return bg_fail(e, BG_INPUT, "%s: %s '%s'; correlate reads one logits and at most one curves document",
                           bg_args_word(a, i), slot ? "a second" : "holds", kind);
        }
        *slot = root;
    }
    return j->logits ? BG_OK : bg_fail(e, BG_INPUT, "no logits document among the inputs; run bitgap logits");
}

/* ---- output ---- */

static void write_points(bg_doc *d, const job *j)
{
    bg_doc_section(d, "points");
    for (int i = 0; i < j->n; i++) {
        const point *p = &j->points[i];
        bg_doc_row(d);
        bg_doc_string(d, "spec", p->spec);
        bg_doc_string(d, "quantizer", p->quantizer);
        bg_doc_string(d, "over", p->over);
        bg_doc_integer(d, "layer", p->layer);
        bg_doc_string(d, "role", p->role);
        bg_doc_number(d, "rate_bits", p->rate);
        bg_doc_number(d, "weight_mse", p->weight);
        bg_doc_number(d, "logits_mse", p->logits);
        bg_doc_number(d, "kl_mean", p->kl);
        bg_doc_number(d, "ratio", p->logits / p->weight);
        bg_doc_row_end(d);
    }
}

static double slope_of(const double *x, const double *y, int n)
{
    double mx = 0, my = 0, xx = 0, xy = 0;
    for (int i = 0; i < n; i++) {
        mx += x[i] / n;
        my += y[i] / n;
    }
    for (int i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 ? xy / xx : (double)NAN;
}

/* One row: the points of `over` in `role` ("all": any), one functional measure. */
static void write_row(bg_doc *d, job *j, const char *over, const char *role, int use_kl)
{
    double sum = 0, min = INFINITY, max = -INFINITY;
    int n = 0;
    for (int i = 0; i < j->n; i++) {
        const point *p = &j->points[i];
        if (strcmp(p->over, over) || (strcmp(role, "all") && strcmp(role, p->role)))
            continue;
        j->x[n] = log(p->weight);
        j->y[n] = log(use_kl ? p->kl : p->logits);
        double ratio = j->y[n] - j->x[n];
        sum += ratio;
        min = ratio < min ? ratio : min;
        max = ratio > max ? ratio : max;
        n++;
    }
    if (!n)
        return;
    bg_correlation pearson = bg_pearson(j->x, j->y, n), spearman = bg_spearman(j->x, j->y, n, j->ranks);
    bg_doc_row(d);
    bg_doc_string(d, "over", over);
    bg_doc_string(d, "role", role);
    bg_doc_string(d, "measure", use_kl ? "kl_mean" : "logits_mse");
    bg_doc_integer(d, "points", n);
    bg_doc_number(d, "pearson", pearson.r);
    bg_doc_number(d, "pearson_p", pearson.p);
    bg_doc_number(d, "pearson_low", pearson.low);
    bg_doc_number(d, "pearson_high", pearson.high);
    bg_doc_number(d, "spearman", spearman.r);
    bg_doc_number(d, "spearman_p", spearman.p);
    bg_doc_number(d, "spearman_p_exact", spearman.p_exact);
    bg_doc_number(d, "spearman_low", spearman.low);
    bg_doc_number(d, "spearman_high", spearman.high);
    bg_doc_number(d, "slope", slope_of(j->x, j->y, n));
    bg_doc_number(d, "ratio_geometric_mean", exp(sum / n));
    bg_doc_number(d, "ratio_spread", exp(max - min));
    bg_doc_string(d, "verdict", bg_correlation_verdict(&spearman));
    bg_doc_row_end(d);
}

static int seen_before(const job *j, int i)
{
    for (int k = 0; k < i; k++)
        if (!strcmp(j->points[k].over, j->points[i].over) && !strcmp(j->points[k].role, j->points[i].role))
            return 1;
    return 0;
}

static void write_rows(bg_doc *d, job *j)
{
    static const char *const overs[] = {"all", "layer", "role", "tensor"};
    bg_doc_section(d, "rows");
    for (int o = 0; o < 4; o++)
        for (int use_kl = 0; use_kl < 2; use_kl++) {
            write_row(d, j, overs[o], "all", use_kl);
            for (int i = 0; i < j->n; i++)
                if (!strcmp(j->points[i].over, overs[o]) && strcmp(j->points[i].role, "all") && !seen_before(j, i))
                    write_row(d, j, overs[o], j->points[i].role, use_kl);
        }
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    job j = {0};
    bg_doc d;
    int status = read_documents(&j, a, p, e);
    if (!status)
        status = join(&j, e);
    if (!status)
        status = bg_doc_begin(&d, "correlation", bg_arg_output(a, "correlation.json"), p, e);
    if (!status) {
        write_points(&d, &j);
        write_rows(&d, &j);
        status = bg_doc_commit(&d, e);
    }
    free(j.points);
    free(j.x);
    free(j.y);
    free(j.ranks);
    cJSON_Delete(j.logits);
    cJSON_Delete(j.curves);
    return status;
}

static const bg_option options[] = {{0}};

const bg_stage bg_stage_correlate = {
    .name = "correlate",
    .arguments = "LOGITS [CURVES]",
    .min_words = 1,
    .max_words = 2,
    .summary = "does weight error foretell functional error?",
    .about =
        "Pearson correlation of the logarithms and Spearman rank correlation of weight error with logits MSE and with "
        "divergence, over specs, layers, roles and tensors as the logits document has them, with p-values (exact for "
        "few points), 95 % intervals and a verdict.",
    .example = "bitgap correlate out/austen-3.7m/logits.json out/austen-3.7m/curves.json -o correlation.json",
    .options = options,
    .run = run,
};
