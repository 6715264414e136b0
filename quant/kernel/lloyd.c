/* Owns Lloyd–Max on a histogram (lloyd.h).
 *
 * With cells (t_{k−1}, t_k], t_k = (y_k + y_{k+1})/2, mass W_k and centroid c_k, the centroid equations are c(y) = y.
 * Their Jacobian is tridiagonal: ∂c_k/∂t_k = p(t_k)(t_k − c_k)/W_k and ∂c_k/∂t_{k−1} = p(t_{k−1})(c_k − t_{k−1})/W_k.
 * The density at a threshold is taken over a window, of atoms an eighth of the distance between its levels, so that
 * they have one too.
 */
#include "quant/kernel/lloyd.h"

#include <math.h>
#include <string.h>

enum {
    START_BINS = 512,
    TAIL_BINS = 24,
    START_EDGES = START_BINS + 2 * TAIL_BINS + 1,
    MAX_NEWTON = 200,
    MAX_LLOYD = 20000,
    MAX_FILLS = 8
};

/* ---- cells ---- */

typedef struct cells {
    double *centroid, *mass, *lower, *diagonal, *upper, *step, *trial;
    double error;    /* Σ of squared error about the levels */
    double residual; /* √(Σ mass·(c − y)² / total) */
} cells;

size_t bg_lloyd_work(int K)
{
    return 8 * (size_t)K;
}

static cells split_work(double *work, int K)
{
    size_t k = (size_t)K;
    return (cells){work, work + k, work + 2 * k, work + 3 * k, work + 4 * k, work + 5 * k, work + 6 * k, 0, 0};
}

static bg_moments whole_moments(const bg_hist *h)
{
    return (bg_moments){h->W[h->n], h->M[h->n], h->S[h->n]};
}

/* Centroids, masses and the error of the nearest-level rule. */
static void measure_cells(const bg_hist *h, const double *y, int K, cells *c)
{
    bg_moments low = {0, 0, 0};
    double error = 0, residual = 0;
    for (int k = 0; k < K; k++) {
        bg_moments high = k + 1 < K ? bg_hist_below(h, 0.5 * (y[k] + y[k + 1])) : whole_moments(h);
        double w = high.w - low.w, m = high.m - low.m, s = high.s - low.s, d = y[k] - h->mean;
        int empty = w <= 1e-15 * h->total;
        c->mass[k] = empty ? 0 : w;
        c->centroid[k] = empty ? y[k] : h->mean + m / w;
        error += s - 2 * d * m + d * d * w;
        residual += empty ? 0 : w * (c->centroid[k] - y[k]) * (c->centroid[k] - y[k]);
        low = high;
    }
    c->error = fmax(0, error);
    c->residual = sqrt(residual / h->total);
}

static double density_at(const bg_hist *h, double t, double gap)
{
    double window = gap / (h->is_density ? 256 : 8);
    return (bg_hist_below(h, t + window).w - bg_hist_below(h, t - window).w) / (2 * window);
}

/* Solves (I − J)·step = c − y; 0 when a pivot vanishes or the levels would cross. */
static int newton_step(const bg_hist *h, const double *y, int K, cells *c)
{
    for (int k = 0; k < K; k++)
        c->lower[k] = c->upper[k] = 0, c->diagonal[k] = 1;
    for (int k = 0; k + 1 < K; k++) {
        double t = 0.5 * (y[k] + y[k + 1]), gap = y[k + 1] - y[k];
        if (!(gap > 0) || c->mass[k] <= 0 || c->mass[k + 1] <= 0)
            return 0;
        double p = density_at(h, t, gap);
        double left = 0.5 * p * (t - c->centroid[k]) / c->mass[k];
        double right = 0.5 * p * (c->centroid[k + 1] - t) / c->mass[k + 1];
        c->diagonal[k] -= left, c->upper[k] -= left;
        c->diagonal[k + 1] -= right, c->lower[k + 1] -= right;
    }
    for (int k = 0; k < K; k++) {
        double factor = k ? c->lower[k] / c->diagonal[k - 1] : 0;
        c->step[k] = c->centroid[k] - y[k] - (k ? factor * c->step[k - 1] : 0);
        c->diagonal[k] -= k ? factor * c->upper[k - 1] : 0;
        if (!(c->diagonal[k] > 1e-9))
            return 0;
    }
    for (int k = K - 1; k >= 0; k--)
        c->step[k] = (c->step[k] - (k + 1 < K ? c->upper[k] * c->step[k + 1] : 0)) / c->diagonal[k];
    return 1;
}

static int is_ascending(const double *y, int K)
{
    for (int k = 0; k + 1 < K; k++)
        if (!(y[k] < y[k + 1]))
            return 0;
    return 1;
}

/* Newton with halving; ends when no halved step lowers the error or the residual is met. */
static void run_newton(const bg_hist *h, int K, double *y, double *spare, cells *c)
{
    double goal = 1e-12 * sqrt(h->sigma2);
    measure_cells(h, y, K, c);
    for (int i = 0; i < MAX_NEWTON && c->residual > goal; i++) {
        double error = c->error, residual = c->residual, damping = 1;
        if (!newton_step(h, y, K, c))
            return;
        memcpy(spare, y, (size_t)K * sizeof *y);
        int better = 0;
        for (int halved = 0; halved < 5 && !better; halved++, damping /= 2) {
            for (int k = 0; k < K; k++)
                y[k] = spare[k] + damping * c->step[k];
            if (!is_ascending(y, K))
                continue;
            measure_cells(h, y, K, c);
            better = c->error < error || (c->error <= error * (1 + 1e-12) && c->residual < 0.9 * residual);
        }
        if (!better) {
            memcpy(y, spare, (size_t)K * sizeof *y);
            measure_cells(h, y, K, c);
            return;
        }
    }
}

/* Gives each empty cell's level to the cell of largest error, on the far side of its centroid. */
static int fill_empty(const bg_hist *h, int K, double *y, cells *c)
{
    int moved = 0;
    for (int k = 0; k < K; k++) {
        if (c->mass[k] > 0)
            continue;
        int worst = -1;
        double max = 0, split = 0;
        for (int j = 0; j < K; j++) {
            double a = j ? 0.5 * (y[j - 1] + y[j]) : -(double)INFINITY, centroid;
            double b = j + 1 < K ? 0.5 * (y[j] + y[j + 1]) : (double)INFINITY;
            double error = c->mass[j] > 0 ? bg_hist_cell(h, a, b, &centroid) : 0;
            if (error > max)
                max = error, worst = j, split = centroid + sqrt(error / c->mass[j]);
        }
        if (worst < 0)
            return moved;
        /* Shift the levels between the two places by one. */
        if (worst > k) {
            memmove(y + k, y + k + 1, (size_t)(worst - k) * sizeof *y);
            y[worst] = split;
        } else {
            memmove(y + worst + 2, y + worst + 1, (size_t)(k - worst - 1) * sizeof *y);
            y[worst + 1] = split;
        }
        for (int j = 1; j < K; j++)
            y[j] = fmax(y[j], y[j - 1]);
        measure_cells(h, y, K, c);
        moved = 1;
    }
    return moved;
}

static double run_lloyd(const bg_hist *h, int K, double *y, int max, cells *c)
{
    double goal = 1e-12 * sqrt(h->sigma2);
    measure_cells(h, y, K, c);
    for (int i = 0; i < max; i++) {
        int filled = i < MAX_FILLS && fill_empty(h, K, y, c);
        if (c->residual <= goal && !filled)
            break;
        memcpy(y, c->centroid, (size_t)K * sizeof *y);
        double before = c->residual;
        measure_cells(h, y, K, c);
        if (c->residual >= before && c->residual < 1e-9 * sqrt(h->sigma2))
            break; /* below what double precision can tell */
    }
    return h->total > 0 ? c->error / h->total : 0;
}

/* The place where the share q of the mass is reached: an atom, or an edge of a bin. */
static double find_quantile(const bg_hist *h, double q)
{
    size_t low = 0, high = h->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (h->W[mid + 1] < q * h->total)
            low = mid + 1;
        else
            high = mid;
    }
    low = low < h->n ? low : h->n - 1;
    return h->is_density ? h->edge[low + 1] : h->value[low];
}

/* Edges of bins of equal mass, the outermost ones halved again and again. Returns how many differ. */
static int start_edges(const bg_hist *h, double *edge)
{
    int n = 0;
    edge[n++] = h->min - 1e-3 * (h->max - h->min) / START_BINS;
    for (int i = -TAIL_BINS; i <= START_BINS + TAIL_BINS; i++) {
        double q = i <= 0            ? exp2(i) / START_BINS
                   : i >= START_BINS ? 1 - exp2(START_BINS - i) / START_BINS
                                     : (double)i / START_BINS;
        double x = i == START_BINS + TAIL_BINS ? h->max : find_quantile(h, q);
        if (x > edge[n - 1] && n < START_EDGES)
            edge[n++] = x;
    }
    return n;
}

/* Levels at the quantiles of p^{1/3}: a bin of mass m and width w has m^{1/3}·w^{2/3} of them. */
static void init_levels(const bg_hist *h, int K, double *y)
{
    double edge[START_EDGES], part[START_EDGES], sum = 0, passed = 0;
    int n = start_edges(h, edge) - 1, k = 0;
    for (int i = 0; i < n; i++) {
        double mass = bg_hist_below(h, edge[i + 1]).w - bg_hist_below(h, edge[i]).w, width = edge[i + 1] - edge[i];
        part[i] = cbrt(fmax(mass, 0) * width * width);
        sum += part[i];
    }
    for (int i = 0; i < n; i++) {
        for (; k < K && (k + 0.5) / K * sum <= passed + part[i]; k++)
            y[k] = edge[i] + (edge[i + 1] - edge[i]) * ((k + 0.5) / K * sum - passed) / part[i];
        passed += part[i];
    }
    for (; k < K; k++)
        y[k] = h->max;
    for (k = 0; h->is_density && k < K - k;
         k++) { /* every distribution is symmetric; Laplace's one-bit levels feel no pull back to it */
        double half = 0.5 * (y[K - 1 - k] - y[k]);
        y[k] = h->mean - half, y[K - 1 - k] = h->mean + half;
    }
}

double bg_lloyd_fit(const bg_hist *h, int K, double *levels, double *work)
{
    if (!h->is_density && h->n <= (size_t)K) {
        for (int k = 0; k < K; k++)
            levels[k] = h->n ? h->value[(size_t)k < h->n ? (size_t)k : h->n - 1] : 0;
        return 0;
    }
    cells c = split_work(work, K);
    init_levels(h, K, levels);
    measure_cells(h, levels, K, &c);
    for (int i = 0; i < 4; i++) { /* a few Lloyd steps bring the start into Newton's reach */
        if (!fill_empty(h, K, levels, &c))
            memcpy(levels, c.centroid, (size_t)K * sizeof *levels);
        measure_cells(h, levels, K, &c);
    }
    return bg_lloyd_refine(h, K, levels, MAX_LLOYD, work);
}

double bg_lloyd_refine(const bg_hist *h, int K, double *levels, int max, double *work)
{
    cells c = split_work(work, K);
    run_newton(h, K, levels, c.trial, &c);
    return run_lloyd(h, K, levels, max, &c);
}

double bg_lloyd_percentiles(const bg_hist *h, int K, int iterations, double *levels)
{
    for (int k = 0; k < K; k++)
        levels[k] = h->n ? find_quantile(h, (k + 1.0) / (K + 1)) : 0;
    for (int i = 0; i < iterations && h->n; i++) {
        bg_moments low = {0, 0, 0};
        double old = levels[0];
        for (int k = 0; k < K; k++) {
            double next = k + 1 < K ? levels[k + 1] : old;
            bg_moments high = k + 1 < K ? bg_hist_below(h, 0.5 * (old + next)) : whole_moments(h);
            if (high.w > low.w)
                levels[k] = h->mean + (high.m - low.m) / (high.w - low.w);
            low = high, old = next;
        }
    }
    return bg_hist_mse(h, levels, K);
}
