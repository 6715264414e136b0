/* Owns the `source:` string and the samples that it names. */
#define _POSIX_C_SOURCE 200809L
#include "quant/source/source.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"
#include "quant/probability/random.h"

static int parse_number(const char *key, const char *value, double min, double max, double *out, bg_err *e)
{
    char *end;
    errno = 0;
    double x = strtod(value, &end);
    if (end == value || *end || !isfinite(x) || x < min || x > max)
        return bg_fail(e, BG_USAGE, "source: %s=%s: a number from %g to %g is wanted", key, value, min, max);
    *out = x;
    return BG_OK;
}

static int parse_integer(const char *key, const char *value, int64_t min, int64_t max, int64_t *out, bg_err *e)
{
    char *end;
    errno = 0;
    long long x = strtoll(value, &end, 10);
    if (end == value || *end || errno || x < min || x > max)
        return bg_fail(e, BG_USAGE, "source: %s=%s: an integer from %lld to %lld is wanted", key, value, (long long)min,
                       (long long)max);
    *out = x;
    return BG_OK;
}

enum { MAX_SIDE = 1 << 14 /* of a matrix-normal source, which is rotated in rows·cols·(rows + cols) steps */ };

/* The key of a matrix-normal source; *known says whether it is one. */
static int set_matrix_key(bg_source *s, const char *key, const char *value, int *known, bg_err *e)
{
    *known = s->matrix_normal;
    if (s->matrix_normal && !strcmp(key, "rows"))
        return parse_integer(key, value, 1, MAX_SIDE, &s->rows, e);
    if (s->matrix_normal && !strcmp(key, "cols"))
        return parse_integer(key, value, 1, MAX_SIDE, &s->cols, e);
    if (s->matrix_normal && !strcmp(key, "row_spread"))
        return parse_number(key, value, 0, 5, &s->row_spread, e);
    if (s->matrix_normal && !strcmp(key, "col_spread"))
        return parse_number(key, value, 0, 5, &s->col_spread, e);
    *known = 0;
    return BG_OK;
}

static int unknown_key(const bg_source *s, const char *key, bg_err *e)
{
    const bg_distribution *d = &s->distribution;
    const char *const vector[] = {"n", "cols", "sigma", "seed", d->shape_key};
    const char *const matrix[] = {"rows", "cols", "row_spread", "col_spread", "sigma", "seed"};
    const char *near = s->matrix_normal ? bg_nearest(key, matrix, 6) : bg_nearest(key, vector, 5);
    return bg_fail(e, BG_USAGE, "source:%s has no key '%s'%s%s; its keys are %s, seed, sigma%s%s", d->name, key,
                   near ? ", did you mean " : "", near ? near : "",
                   s->matrix_normal ? "rows, cols, row_spread, col_spread" : "n, cols", d->shape_key ? ", " : "",
                   d->shape_key ? d->shape_key : "");
}

static int set_key(bg_source *s, const char *key, const char *value, bg_err *e)
{
    const bg_distribution *d = &s->distribution;
    int64_t seed = 0;
    int known, status = set_matrix_key(s, key, value, &known, e);
    if (known)
        return status;
    if (!strcmp(key, "n") && !s->matrix_normal)
        return parse_integer(key, value, 1, (int64_t)1 << 40, &s->n, e);
    if (!strcmp(key, "cols"))
        return parse_integer(key, value, 1, 1 << 24, &s->cols, e);
    if (!strcmp(key, "sigma"))
        return parse_number(key, value, 1e-30, 1e30, &s->sigma, e);
    if (!strcmp(key, "seed")) {
        status = parse_integer(key, value, 0, INT64_MAX, &seed, e);
        s->seed = (uint64_t)seed;
        return status;
    }
    if (d->shape_key && !strcmp(key, d->shape_key))
        return parse_number(key, value, d->shape_min, d->shape_max, &s->distribution.shape, e);
    return unknown_key(s, key, e);
}

/* The largest power of two up to 4096 that divides n. */
static int64_t default_cols(int64_t n)
{
    int64_t cols = 1;
    while (cols < 4096 && n % (2 * cols) == 0)
        cols *= 2;
    return cols;
}

static int check_size(bg_source *s, bg_err *e)
{
    if (s->matrix_normal) {
        if (!s->rows || !s->cols)
            return bg_fail(e, BG_USAGE, "source:%s: say its shape, rows=…,cols=…", s->distribution.name);
        s->n = s->rows * s->cols;
        return BG_OK;
    }
    if (!s->n && !s->distribution.memoryless)
        return bg_fail(e, BG_USAGE, "source:%s has memory and no density of single weights: say how many samples, n=…",
                       s->distribution.name);
    if (!s->n)
        return BG_OK;
    if (!s->cols)
        s->cols = default_cols(s->n);
    if (s->n % s->cols)
        return bg_fail(e, BG_USAGE, "source:%s: cols=%lld does not divide n=%lld", s->distribution.name,
                       (long long)s->cols, (long long)s->n);
    return BG_OK;
}

/* The error for a name that no distribution has: the nearest name and all of them. */
static int unknown_distribution(const char *name, bg_err *e)
{
    enum { MAX_NAMES = 16 };
    const char *names[MAX_NAMES];
    char list[256] = "";
    int n = 0;
    for (const bg_distribution *d = bg_distributions; d->name && n < MAX_NAMES; d++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", n ? ", " : "", d->name);
        names[n++] = d->name;
    }
    const char *near = bg_nearest(name, names, n);
    return bg_fail(e, BG_USAGE, "source: no distribution '%s'%s%s; there are %s", name, near ? ", did you mean " : "",
                   near ? near : "", list);
}

static int set_distribution(const char *name, bg_source *s, bg_err *e)
{
    const bg_distribution *d = bg_distribution_find(name);
    if (!d)
        return unknown_distribution(name, e);
    *s = (bg_source){.distribution = *d, .sigma = 1, .seed = 1, .matrix_normal = !strcmp(d->name, "matrixnormal")};
    return BG_OK;
}

int bg_source_parse(const char *text, bg_source *out, bg_err *e)
{
    char copy[256];
    if (strlen(text) >= sizeof copy)
        return bg_fail(e, BG_USAGE, "source: longer than %zu characters", sizeof copy - 1);
    memcpy(copy, text, strlen(text) + 1);
    char *save = NULL, *word = strtok_r(copy, ",", &save);
    int status = set_distribution(word ? word : "", out, e);
    while (!status && (word = strtok_r(NULL, ",", &save))) {
        char *value = strchr(word, '=');
        if (!value)
            return bg_fail(e, BG_USAGE, "source:%s: '%s' should be key=value", out->distribution.name, word);
        *value++ = 0;
        status = set_key(out, word, value, e);
    }
    return status ? status : check_size(out, e);
}

/* ---- samples ---- */

/* A row starts stationary and runs x_j = ρ·x_{j−1} + √(1−ρ²)·z_j, so a sample needs the row's start, not the file's. */
static void draw_ar1(const bg_source *s, int64_t first, int64_t n, float *out)
{
    double rho = s->distribution.shape, fresh = sqrt(1 - rho * rho), x = 0;
    for (int64_t i = first - first % s->cols; i < first + n; i++) {
        double z = bg_normal_at(s->seed, (uint64_t)i);
        x = i % s->cols ? rho * x + fresh * z : z;
        if (i >= first)
            out[i - first] = (float)(s->sigma * x);
    }
}

void bg_source_samples(const bg_source *s, int64_t first, int64_t n, float *out)
{
    const bg_distribution *d = &s->distribution;
    if (s->matrix_normal) {
        for (int64_t i = 0; i < n; i++)
            out[i] = s->matrix ? s->matrix[first + i] : 0;
        return;
    }
    if (!d->memoryless) {
        draw_ar1(s, first, n, out);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(s->sigma * d->sample(d, s->seed, (uint64_t)(first + i)));
}
