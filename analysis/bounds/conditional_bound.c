/* Owns the bound of weights whose scales are known (scale_bound.h). */
#include "analysis/bounds/conditional_bound.h"

#include <math.h>
#include <stdlib.h>
#include "analysis/bounds/blahut_arimoto.h"

enum { BINS = 1 << 17 /* 128 σ on either side */, ROWS = 64 };

/* ---- scales ---- */

static void moments(const float *x, int64_t n, double *mean, double *variance)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += ((double)x[i] - *mean) * ((double)x[i] - *mean);
    *variance = square / (double)n;
}

static void add_scope(const float *x, int64_t n, double *variance, double *count)
{
    double mean;
    moments(x, n, &mean, variance);
    double inverse = *variance > 0 ? 1 / (sqrt(*variance) * BG_SCALE_BIN) : 0;
    for (int64_t i = 0; i < n && inverse > 0; i++) {
        double at = floor(((double)x[i] - mean) * inverse + 0.5) + BINS / 2;
        count[at < 0 ? 0 : at < BINS ? (int)at : BINS - 1]++;
    }
}

static int histogram_of(const double *count, bg_hist *out, bg_err *e)
{
    double *value = malloc(2 * BINS * sizeof *value), *weight = value + BINS;
    size_t n = 0;
    if (!value)
        return bg_no_memory(e, "a histogram", 2 * BINS * sizeof *value);
    for (int k = 0; k < BINS; k++)
        if (count[k] > 0) {
            value[n] = (k - BINS / 2) * BG_SCALE_BIN;
            weight[n++] = count[k];
        }
    int status = n ? bg_hist_from_sorted(out, value, weight, n, e) : BG_OK;
    free(value);
    return status;
}

int bg_scales_of(const bg_tensor *t, int group, bg_scales *out, bg_err *e)
{
    int64_t width = group ? group : t->cols, per_row = (t->cols + width - 1) / width;
    *out = (bg_scales){.n = (size_t)(t->rows * per_row)};
    out->variance = malloc(2 * (out->n + 1) * sizeof *out->variance);
    double *count = calloc(BINS, sizeof *count);
    float *tile = malloc((size_t)(ROWS * t->cols) * sizeof *tile);
    int status = out->variance && count && tile ? BG_OK : bg_no_memory(e, t->name, 2 * out->n * sizeof *count);
    out->share = out->variance ? out->variance + out->n : NULL;
    for (int64_t first = 0; first < t->rows && !status; first += ROWS) {
        int64_t n = t->rows - first < ROWS ? t->rows - first : ROWS;
        status = bg_tensor_rows(t, first, n, tile, e);
        for (int64_t r = 0; r < n && !status; r++)
            for (int64_t g = 0; g < per_row; g++) {
                int64_t length = t->cols - g * width < width ? t->cols - g * width : width;
                size_t scope = (size_t)((first + r) * per_row + g);
                out->share[scope] = (double)length / (double)t->count;
                add_scope(tile + r * t->cols + g * width, length, &out->variance[scope], count);
            }
    }
    if (!status)
        status = histogram_of(count, &out->standard, e);
    free(count);
    free(tile);
    if (status)
        bg_scales_free(out);
    return status;
}

void bg_scales_free(bg_scales *s)
{
    free(s->variance);
    bg_hist_free(&s->standard);
    *s = (bg_scales){0};
}

/* ---- the table of the standard law ---- */

int bg_scale_codes_of(const bg_hist *standard, double nats, int max, bg_scale_codes *out, bg_err *e)
{
    *out = (bg_scale_codes){.distortion = {standard->sigma2}, .n = 1};
    for (int k = 0; k < BG_SCALE_CODES; k++) {
        bg_ba ba;
        double d = standard->sigma2 * exp2(-0.5 * (k + 0.5));
        int status = bg_rate_distortion(standard, d, nats, max, &ba, e);
        if (status)
            return status;
        if (!isfinite(ba.upper_bits))
            break;
        out->distortion[out->n] = d;
        out->upper_bits[out->n] = ba.upper_bits;
        out->slope[out->n] = ba.slope_bits;
        out->intercept[out->n++] = ba.lower_bits - ba.slope_bits * d;
    }
    return BG_OK;
}

/* ---- bounds ---- */

/* Each scope takes the code that costs least in R + λD; λ in bits per squared weight. */
static void allocate(const bg_scales *s, const bg_scale_codes *c, double lambda, double *distortion, double *rate)
{
    *distortion = *rate = 0;
    for (size_t i = 0; i < s->n; i++) {
        double v = s->variance[i], min = INFINITY;
        int best = 0;
        for (int k = 0; k < c->n && v > 0; k++) {
            double cost = c->upper_bits[k] + lambda * v * c->distortion[k];
            if (cost < min) {
                min = cost;
                best = k;
            }
        }
        *distortion += s->share[i] * v * c->distortion[best];
        *rate += s->share[i] * (v > 0 ? c->upper_bits[best] : 0);
    }
}

/* The least rate over mixtures of the two allocations that enclose the distortion; *lambda: their slope. */
static double upper_rate(const bg_scales *s, const bg_scale_codes *c, double distortion, double *lambda)
{
    double low = 0.01 / distortion, high = 100 / distortion, da, ra, db, rb; /* the Gaussian's is 1/(2 ln2 D) */
    allocate(s, c, low, &da, &ra);
    allocate(s, c, high, &db, &rb);
    if (!(da >= distortion && db <= distortion))
        return da < distortion ? ra : (double)NAN;
    for (int i = 0; i < 40; i++) {
        double mid = sqrt(low * high), d, r;
        allocate(s, c, mid, &d, &r);
        if (d >= distortion)
            low = mid, da = d, ra = r;
        else
            high = mid, db = d, rb = r;
    }
    *lambda = sqrt(low * high);
    return da > db ? rb + (ra - rb) * (distortion - db) / (da - db) : rb;
}

/* A lower bound of min_d R_z(d) + μd, concave in μ ≥ 0: chords between the tangents, 0 at μ = 0, flat beyond the last.
 */
static double conjugate(const bg_scale_codes *c, double mu)
{
    double at = 0, value = 0; /* the tangent below */
    for (int k = 1; k < c->n; k++) {
        double next = -c->slope[k], there = c->intercept[k];
        if (!(next > at))
            continue;
        if (next >= mu)
            return value + (there - value) * (mu - at) / (next - at);
        at = next;
        value = there;
    }
    return value;
}

static double lower_rate(const bg_scales *s, const bg_scale_codes *c, double distortion, double lambda)
{
    double sum = -lambda * distortion;
    for (size_t i = 0; i < s->n; i++)
        sum += s->share[i] * conjugate(c, lambda * s->variance[i]);
    return sum;
}

void bg_conditional_rate(const bg_scales *s, const bg_scale_codes *c, double distortion, double *lower_bits,
                         double *upper_bits)
{
    double lambda = 0;
    *lower_bits = (double)NAN;
    *upper_bits = upper_rate(s, c, distortion, &lambda);
    if (!isfinite(*upper_bits))
        return;
    *lower_bits = 0;
    for (int i = -6; i <= 6 && lambda > 0; i++) /* near the slope of the upper end; any slope is a bound */
        *lower_bits = fmax(*lower_bits, lower_rate(s, c, distortion, lambda * exp2(i / 12.0)));
    *lower_bits = fmin(*lower_bits, *upper_bits);
}
