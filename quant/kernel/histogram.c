/* Owns weighted histograms with running moments (histogram.h). Prefix sums are kept in long double while they are built
 * and stored as double; a density's are its closed-form partial moments at the bin edges, so they are exact, and its
 * tails beyond the outermost edges are folded into the outermost bins. */
#include "quant/kernel/histogram.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/sort.h"
#include "quant/probability/distribution.h"

enum { HALF_BINS = 1 << 15 }; /* of a density, on each side of its centre */

static int allocate_histogram(bg_hist *h, size_t n, int density, bg_err *e)
{
    size_t numbers = 5 * n + 3 + (density ? n + 1 : 0);
    *h = (bg_hist){.n = n, .is_density = density};
    double *all = malloc(numbers * sizeof *all);
    if (!all)
        return bg_no_memory(e, "a histogram", (unsigned long long)numbers * sizeof *all);
    h->value = all;
    h->weight = h->value + n;
    h->W = h->weight + n;
    h->M = h->W + n + 1;
    h->S = h->M + n + 1;
    h->edge = density ? h->S + n + 1 : NULL;
    return BG_OK;
}

void bg_hist_free(bg_hist *h)
{
    if (h) {
        free(h->value);
        *h = (bg_hist){0};
    }
}

/* Fills everything else from value and weight. */
static void accumulate_moments(bg_hist *h)
{
    long double w = 0, m = 0, s = 0;
    for (size_t i = 0; i < h->n; i++) {
        w += (long double)h->weight[i];
        m += (long double)h->weight[i] * (long double)h->value[i];
    }
    h->total = (double)w;
    h->mean = w > 0 ? (double)(m / w) : 0;
    w = m = 0;
    for (size_t i = 0; i < h->n; i++) {
        h->W[i] = (double)w, h->M[i] = (double)m, h->S[i] = (double)s;
        long double d = (long double)h->value[i] - (long double)h->mean, g = (long double)h->weight[i];
        w += g, m += g * d, s += g * d * d;
    }
    h->W[h->n] = (double)w, h->M[h->n] = (double)m, h->S[h->n] = (double)s;
    h->sigma2 = w > 0 ? (double)(s / w) : 0;
    h->min = h->n ? h->value[0] : 0;
    h->max = h->n ? h->value[h->n - 1] : 0;
}

typedef struct atom {
    float value;
    uint32_t code;
} atom;

static int by_value(const void *a, const void *b)
{
    float x = ((const atom *)a)->value, y = ((const atom *)b)->value;
    return (x > y) - (x < y);
}

int bg_hist_from_codes(bg_hist *h, const uint64_t *counts, const float *value_of, bg_err *e)
{
    *h = (bg_hist){0};
    atom *atoms = malloc(65536 * sizeof *atoms);
    if (!atoms)
        return bg_no_memory(e, "a histogram", 65536 * sizeof *atoms);
    size_t n = 0;
    for (uint32_t c = 0; c < 65536; c++)
        if (counts[c])
            atoms[n++] = (atom){value_of[c], c};
    qsort(atoms, n, sizeof *atoms, by_value);
    int status = allocate_histogram(h, n, 0, e);
    size_t k = 0;
    for (size_t i = 0; i < n && !status; i++) {
        double value = (double)atoms[i].value, count = (double)counts[atoms[i].code];
        if (!isfinite(value)) {
            status = bg_fail(e, BG_INPUT, "a histogram of NaN or Inf");
        } else if (k && h->value[k - 1] == value) { /* +0 and −0 */
            h->weight[k - 1] += count;
        } else {
            h->value[k] = value + 0.0;
            h->weight[k++] = count;
        }
    }
    free(atoms);
    if (status) {
        bg_hist_free(h);
        return status;
    }
    h->n = k;
    accumulate_moments(h);
    return BG_OK;
}

int bg_hist_from_sorted(bg_hist *h, const double *value, const double *weight, size_t n, bg_err *e)
{
    *h = (bg_hist){0};
    for (size_t i = 0; i < n; i++)
        if (!isfinite(value[i]) || !(weight[i] >= 0) || !isfinite(weight[i]) || (i && value[i] < value[i - 1]))
            return bg_fail(e, BG_INPUT, "a histogram of values that are not finite or not ascending");
    int status = allocate_histogram(h, n, 0, e);
    if (status)
        return status;
    memcpy(h->value, value, n * sizeof *value);
    memcpy(h->weight, weight, n * sizeof *weight);
    accumulate_moments(h);
    return BG_OK;
}

/* Sorted floats with their weights (NULL: 1 each), equal values merged. */
static int from_sorted_floats(bg_hist *h, const float *x, const uint64_t *pairs, const double *weights, size_t n,
                              bg_err *e)
{
    size_t distinct = 0;
    for (size_t i = 0; i < n; i++)
        distinct += !i || x[i] != x[i - 1];
    int status = allocate_histogram(h, distinct, 0, e);
    if (status)
        return status;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        double weight = pairs ? weights[(uint32_t)pairs[i]] : 1;
        if (i && x[i] == x[i - 1]) {
            h->weight[k - 1] += weight;
        } else {
            h->value[k] = (double)x[i] + 0.0;
            h->weight[k++] = weight;
        }
    }
    accumulate_moments(h);
    return BG_OK;
}

static int sort_with_weights(float *x, uint64_t *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pairs[i] = (uint64_t)bg_sort_key(x[i]) << 32 | (uint64_t)i;
    bg_sort_pairs(pairs, pairs + n, n);
    for (size_t i = 0; i < n; i++)
        x[i] = bg_sort_unkey((uint32_t)(pairs[i] >> 32));
    return BG_OK;
}

int bg_hist_from_values(bg_hist *h, const float *x, const double *weights, size_t n, bg_err *e)
{
    *h = (bg_hist){0};
    if (weights && n > UINT32_MAX)
        return bg_fail(e, BG_RESOURCE, "a weighted histogram of more than 2^32 values");
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]) || (weights && (!(weights[i] >= 0) || !isfinite(weights[i]))))
            return bg_fail(e, BG_INPUT, "a histogram of NaN or Inf");
    size_t bytes = 2 * (n + 1) * (sizeof(float) + (weights ? sizeof(uint64_t) : 0));
    float *sorted = malloc(2 * (n + 1) * sizeof *sorted);
    uint64_t *pairs = weights ? malloc(2 * (n + 1) * sizeof *pairs) : NULL;
    int status = BG_OK;
    if (!sorted || (weights && !pairs)) {
        status = bg_no_memory(e, "sorting", bytes);
        goto done;
    }
    memcpy(sorted, x, n * sizeof *x);
    if (weights)
        sort_with_weights(sorted, pairs, n);
    else
        bg_sort_f32(sorted, sorted + n, n);
    status = from_sorted_floats(h, sorted, pairs, weights, n, e);
done:
    free(sorted);
    free(pairs);
    return status;
}

/* ---- densities ---- */

/* x where the mass of (−∞, −x] is below 1e-18, by bisection on the distribution function. */
static double find_tail_end(const bg_distribution *l)
{
    double low = 0, high = 1;
    while (l->cdf(l, -high) > 1e-18 && high < 1e12)
        low = high, high *= 2;
    for (int i = 0; i < 60; i++) {
        double mid = 0.5 * (low + high);
        *(l->cdf(l, -mid) > 1e-18 ? &low : &high) = mid;
    }
    return high;
}

/* a with sinh(a)/a = ratio ≥ 1. */
static double solve_stretch(double ratio)
{
    double low = 0, high = 1;
    while (sinh(high) < ratio * high)
        high *= 2;
    for (int i = 0; i < 60; i++) {
        double a = 0.5 * (low + high);
        *(sinh(a) < ratio * a ? &low : &high) = a;
    }
    return high;
}

/* Edges −x … x through 0, evenly spaced where the mass is and ever wider in the tails: x·sinh(a·u)/sinh(a), u in [−1,
 * 1]. */
static void lay_edges(const bg_distribution *l, double sigma, double *edge)
{
    double end = find_tail_end(l), core = 4 * fabs(l->quantile(l, 0.25));
    double a = end > core ? solve_stretch(end / core) : 0;
    for (int i = 0; i <= HALF_BINS; i++) {
        double u = (double)i / HALF_BINS, x = end * (a > 1e-6 ? sinh(a * u) / sinh(a) : u);
        edge[HALF_BINS + i] = sigma * x;
        edge[HALF_BINS - i] = -sigma * x;
    }
}

int bg_hist_from_distribution(bg_hist *h, const bg_distribution *l, double sigma, bg_err *e)
{
    size_t n = 2 * HALF_BINS;
    int status = allocate_histogram(h, n, 1, e);
    if (status)
        return status;
    lay_edges(l, sigma, h->edge);
    for (size_t i = 0; i <= n; i++) {
        double x = h->edge[i] / sigma, inside = i > 0 && i < n;
        h->W[i] = inside ? l->cdf(l, x) : i ? 1 : 0;
        h->M[i] = inside ? sigma * l->moment1(l, x) : 0;
        h->S[i] = inside ? sigma * sigma * l->moment2(l, x) : i ? sigma * sigma : 0;
    }
    for (size_t i = 0; i < n; i++) {
        /* Masses of the right half from the left one, where they do not cancel. */
        size_t j = i < n / 2 ? i : n - 1 - i;
        double w = h->W[j + 1] - h->W[j], m = h->M[j + 1] - h->M[j];
        double centre = w > 0 ? m / w : 0.5 * (h->edge[j] + h->edge[j + 1]);
        h->weight[i] = w;
        h->value[i] = i == j ? centre : -centre;
    }
    h->total = 1;
    h->sigma2 = sigma * sigma;
    h->min = h->edge[0];
    h->max = h->edge[n];
    return BG_OK;
}

/* Number of entries of ascending a[n] that are ≤ x. */
static size_t count_up_to(const double *a, size_t n, double x)
{
    size_t low = 0;
    while (n) {
        size_t half = n / 2;
        if (a[low + half] <= x)
            low += half + 1, n -= half + 1;
        else
            n = half;
    }
    return low;
}

/* Inside bin i the density is taken as the line that has the bin's mass and centre; what its second moment then lacks
 * of the exact one is spread in proportion to the mass. t in [0, 1] is the place in the bin. */
static bg_moments inside_bin(const bg_hist *h, size_t i, double t)
{
    double width = h->edge[i + 1] - h->edge[i], p = h->W[i + 1] - h->W[i], a = h->edge[i] - h->mean;
    double slope = 6 * ((h->value[i] - h->edge[i]) / width - 0.5);
    slope = slope > 1 ? 1 : slope < -1 ? -1 : slope;
    double t2 = t * t, part = t + slope * (t2 - t);
    double first = t2 / 2 + slope * (2 * t2 * t / 3 - t2 / 2), second = t2 * t / 3 + slope * (t2 * t2 / 2 - t2 * t / 3);
    double whole1 = 0.5 + slope / 6, whole2 = 1.0 / 3 + slope / 6;
    double lack1 = h->M[i + 1] - h->M[i] - p * (a + width * whole1);
    double lack2 = h->S[i + 1] - h->S[i] - p * (a * a + 2 * a * width * whole1 + width * width * whole2);
    return (bg_moments){
        h->W[i] + p * part,
        h->M[i] + p * (a * part + width * first) + part * lack1,
        h->S[i] + p * (a * a * part + 2 * a * width * first + width * width * second) + part * lack2,
    };
}

bg_moments bg_hist_below(const bg_hist *h, double x)
{
    if (!h->is_density) {
        size_t i = count_up_to(h->value, h->n, x);
        return (bg_moments){h->W[i], h->M[i], h->S[i]};
    }
    size_t i = count_up_to(h->edge, h->n + 1, x);
    if (i == 0)
        return (bg_moments){0, 0, 0};
    if (i > h->n)
        return (bg_moments){h->W[h->n], h->M[h->n], h->S[h->n]};
    return inside_bin(h, i - 1, (x - h->edge[i - 1]) / (h->edge[i] - h->edge[i - 1]));
}

double bg_hist_cell(const bg_hist *h, double a, double b, double *centroid)
{
    bg_moments low = bg_hist_below(h, a), high = bg_hist_below(h, b);
    double w = high.w - low.w, m = high.m - low.m, s = high.s - low.s;
    if (!(w > 0)) {
        if (centroid)
            *centroid = 0.5 * (fmax(a, h->min) + fmin(b, h->max));
        return 0;
    }
    if (centroid)
        *centroid = h->mean + m / w;
    return fmax(0, s - m * m / w);
}

/* Squared error of a cell of moments g about a level. */
static double cell_error(const bg_hist *h, bg_moments g, double level)
{
    double d = level - h->mean;
    return g.s - 2 * d * g.m + d * d * g.w;
}

/* Atom by atom: exact to the last digit, for when the cells are many. */
static double mse_by_atoms(const bg_hist *h, const double *levels, const double *thresholds, int K, double *probability)
{
    double sum = 0;
    size_t i = 0;
    for (int k = 0; k < K; k++) {
        double w = 0, part = 0;
        for (; i < h->n && (k == K - 1 || h->value[i] <= thresholds[k]); i++) {
            double d = h->value[i] - levels[k];
            part += h->weight[i] * d * d;
            w += h->weight[i];
        }
        sum += part;
        if (probability)
            probability[k] = w / h->total;
    }
    return sum / h->total;
}

double bg_hist_mse_cells(const bg_hist *h, const double *levels, const double *thresholds, int K, double *probability)
{
    if (!(h->total > 0)) {
        for (int k = 0; probability && k < K; k++)
            probability[k] = 0;
        return 0;
    }
    if (!h->is_density && h->n < 64 * (size_t)K)
        return mse_by_atoms(h, levels, thresholds, K, probability);
    double sum = 0;
    bg_moments low = {0, 0, 0};
    for (int k = 0; k < K; k++) {
        bg_moments high =
            k < K - 1 ? bg_hist_below(h, thresholds[k]) : (bg_moments){h->W[h->n], h->M[h->n], h->S[h->n]};
        bg_moments cell = {high.w - low.w, high.m - low.m, high.s - low.s};
        sum += cell_error(h, cell, levels[k]);
        if (probability)
            probability[k] = cell.w / h->total;
        low = high;
    }
    return fmax(0, sum) / h->total;
}

enum { LEVELS_ON_STACK = 257 };

double bg_hist_mse(const bg_hist *h, const double *levels, int K)
{
    double few[LEVELS_ON_STACK], sum = 0;
    if (K <= LEVELS_ON_STACK) {
        for (int k = 0; k + 1 < K; k++)
            few[k] = 0.5 * (levels[k] + levels[k + 1]);
        return bg_hist_mse_cells(h, levels, few, K, NULL);
    }
    bg_moments low = {0, 0, 0};
    size_t i = 0;
    for (int k = 0; k < K; k++) {
        double end = k + 1 < K ? 0.5 * (levels[k] + levels[k + 1]) : (double)INFINITY;
        if (h->is_density) {
            bg_moments high = bg_hist_below(h, end);
            sum += cell_error(h, (bg_moments){high.w - low.w, high.m - low.m, high.s - low.s}, levels[k]);
            low = high;
        }
        for (; !h->is_density && i < h->n && h->value[i] <= end; i++)
            sum += h->weight[i] * (h->value[i] - levels[k]) * (h->value[i] - levels[k]);
    }
    return h->total > 0 ? fmax(0, sum) / h->total : 0;
}

double bg_hist_entropy_bits(const bg_hist *h)
{
    double sum = 0;
    for (size_t i = 0; i < h->n; i++) {
        double p = h->weight[i] / h->total;
        if (p > 0)
            sum -= p * log2(h->is_density ? p / (h->edge[i + 1] - h->edge[i]) : p);
    }
    return sum;
}
