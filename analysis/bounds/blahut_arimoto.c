/* Owns the Blahut–Arimoto iteration and its certificates (blahut_arimoto.h). */
#include "analysis/bounds/blahut_arimoto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PLACES = 1 << 17, CHECK_EVERY = 8, STEPS_A_DEVIATION = 4, REACH = 512 };
static const double reach_nats = 30; /* a term e^−30 of the kernel is nothing */

static double bits(double nats)
{
    return fmax(0, nats / log(2));
}

/* ---- any alphabet ---- */

static void dense_pass(const double *p, int n, const double *d, int m, double slope, const double *q, double *c,
                       double *sums)
{
    memset(c, 0, (size_t)m * sizeof *c);
    double distortion = 0, log_z = 0;
    for (int x = 0; x < n; x++) {
        double z = 0, dz = 0;
        for (int y = 0; y < m; y++) {
            double dxy = d[(size_t)x * (size_t)m + (size_t)y], term = q[y] * exp(slope * dxy);
            z += term;
            dz += term * dxy;
        }
        for (int y = 0; y < m; y++)
            c[y] += p[x] * exp(slope * d[(size_t)x * (size_t)m + (size_t)y]) / z;
        distortion += p[x] * dz / z;
        log_z += p[x] > 0 ? p[x] * log(z) : 0;
    }
    sums[0] = distortion, sums[1] = log_z;
}

int bg_blahut_arimoto_ref(const double *p, int n, const double *d, int m, double slope, double nats, int max,
                          bg_ba *out, bg_err *e)
{
    double *q = malloc(2 * (size_t)m * sizeof *q), *c = q + m, sums[2];
    if (!q)
        return bg_no_memory(e, "Blahut-Arimoto", 2ull * (unsigned)m * sizeof *q);
    for (int y = 0; y < m; y++)
        q[y] = 1.0 / m;
    for (int i = 1; i <= max; i++) {
        dense_pass(p, n, d, m, slope, q, c, sums);
        double mean = 0, largest = 0;
        for (int y = 0; y < m; y++) {
            mean += q[y] > 0 && c[y] > 0 ? q[y] * c[y] * log(c[y]) : 0;
            largest = fmax(largest, c[y]);
        }
        double base = slope * sums[0] - sums[1];
        *out = (bg_ba){sums[0], bits(base - log(largest)), bits(base - mean), i, 0};
        if (log(largest) - mean < nats)
            break;
        for (int y = 0; y < m; y++)
            q[y] *= c[y];
    }
    free(q);
    return BG_OK;
}

/* ---- a grid ---- */

typedef struct grid {
    int n, reach; /* places; the kernel has 2·reach + 1 terms */
    double step, slope;
    double *kernel;        /* [reach + 1] */
    double *p, *q;         /* [n] */
    double *z, *c, *ratio; /* [n + 2·reach], the outer ones zero */
    void *memory;
} grid;

static int grid_init(grid *g, int n, double step, double slope, bg_err *e)
{
    double reach = sqrt(reach_nats / -slope) / step + 1;
    *g = (grid){.n = n, .reach = reach < n ? (int)reach : n, .step = step, .slope = slope};
    /* Room for a slope half as steep, which the search for a distortion may ask for. */
    size_t most_reach = 2 * (size_t)g->reach + 2, padded = (size_t)n + 2 * most_reach;
    size_t numbers = most_reach + 2 * (size_t)n + 3 * padded;
    double *all = calloc(numbers, sizeof *all);
    if (!all)
        return bg_no_memory(e, "Blahut-Arimoto", numbers * sizeof *all);
    g->memory = all;
    g->kernel = all;
    g->p = all + most_reach, g->q = g->p + n;
    g->z = g->q + n + most_reach, g->c = g->z + padded, g->ratio = g->c + padded;
    return BG_OK;
}

static void set_kernel(grid *g)
{
    for (int k = 0; k <= g->reach; k++)
        g->kernel[k] = exp(g->slope * g->step * g->step * k * k);
}

/* to = kernel ∗ from, where from has `reach` zeros on either side. */
static void convolve(const grid *g, const double *from, double *to)
{
    for (int i = 0; i < g->n; i++)
        to[i] = g->kernel[0] * from[i];
    for (int first = 0; first < g->n; first += 512) { /* a block of the sums stays in the first cache */
        int n = g->n - first < 512 ? g->n - first : 512;
        double *restrict sum = to + first;
        for (int k = 1; k <= g->reach; k++) {
            const double weight = g->kernel[k], *left = from + first - k, *right = from + first + k;
#pragma omp simd
            for (int i = 0; i < n; i++)
                sum[i] += weight * (left[i] + right[i]);
        }
    }
}

/* Distortion of the channel that q and the slope give, and Σ p ln Z; fills z, ratio = p/z and c. */
static void grid_pass(grid *g, double *log_z)
{
    double sum = 0;
    memcpy(g->ratio, g->q, (size_t)g->n * sizeof *g->q);
    convolve(g, g->ratio, g->z);
    for (int i = 0; i < g->n; i++) {
        double z = fmax(g->z[i], 1e-300);
        g->ratio[i] = g->p[i] / z;
        if (log_z && g->p[i] > 0)
            sum += g->p[i] * log(z);
    }
    convolve(g, g->ratio, g->c);
    if (log_z)
        *log_z = sum;
}

static double grid_distortion(const grid *g)
{
    double sum = 0;
    for (int i = 0; i < g->n; i++) {
        double part = 0;
        for (int k = 1; k <= g->reach; k++) {
            double d = g->step * k;
            part += g->kernel[k] * d * d * ((i >= k ? g->q[i - k] : 0) + (i + k < g->n ? g->q[i + k] : 0));
        }
        sum += part * g->ratio[i];
    }
    return sum;
}

/* Iterates until max ln c − Σ q c ln c < nats. Every CHECK_EVERY steps the bounds are looked at; between, steps are
 * q ∝ q·c^1.5, which stay stable and need about two thirds of the plain ones. */
static int iterate(grid *g, double nats, int max)
{
    int i = 0;
    for (;;) {
        grid_pass(g, NULL);
        int check = i % CHECK_EVERY == 0 || i >= max;
        double mean = 0, largest = 0, total = 0;
        for (int y = 0; check && y < g->n; y++) {
            mean += g->q[y] > 0 && g->c[y] > 0 ? g->q[y] * g->c[y] * log(g->c[y]) : 0;
            largest = fmax(largest, g->c[y]);
        }
        if (check && (log(largest) - mean < nats || i >= max || bg_interrupted))
            return i;
        for (int y = 0; y < g->n; y++) {
            g->q[y] *= check ? g->c[y] : g->c[y] * sqrt(g->c[y]);
            total += g->q[y];
        }
        for (int y = 0; y < g->n; y++)
            g->q[y] /= total;
        i++;
    }
}

int bg_blahut_arimoto_grid(const double *p, int n, double step, double slope, double nats, int max, bg_ba *out,
                           bg_err *e)
{
    grid g;
    int status = grid_init(&g, n, step, slope, e);
    if (status)
        return status;
    memcpy(g.p, p, (size_t)n * sizeof *p);
    for (int i = 0; i < n; i++)
        g.q[i] = (p[i] + 1e-9) / (1 + 1e-9 * n);
    set_kernel(&g);
    int iterations = iterate(&g, nats, max);
    double log_z, largest = 0, mean = 0;
    grid_pass(&g, &log_z);
    double distortion = grid_distortion(&g);
    for (int y = 0; y < n; y++) {
        mean += g.q[y] > 0 && g.c[y] > 0 ? g.q[y] * g.c[y] * log(g.c[y]) : 0;
        largest = fmax(largest, g.c[y]);
    }
    double base = slope * distortion - log_z;
    *out = (bg_ba){distortion, bits(base - log(largest)), bits(base - mean), iterations, 0};
    free(g.memory);
    return BG_OK;
}

/* ---- actual weights ---- */

/* Over every atom: D and Σ p ln Z of the channel at the grid's slope; with `collect`, also c on the grid. */
static double atoms_pass(const bg_hist *h, grid *g, double origin, double *log_z, int collect)
{
    double distortion = 0, sum = 0, reach = sqrt(reach_nats / -g->slope), bend = exp(2 * g->slope * g->step * g->step);
    if (collect)
        memset(g->c, 0, (size_t)g->n * sizeof *g->c);
    for (size_t a = 0; a < h->n; a++) {
        double p = h->weight[a] / h->total, x = h->value[a] - origin, z = 0, dz = 0, kernel[REACH];
        int first = (int)fmax(0, ceil((x - reach) / g->step)), last = (int)fmin(g->n - 1, floor((x + reach) / g->step));
        if (p <= 0)
            continue;
        /* e^{s(x−y)²} from place to place by its ratio, which itself changes by a constant factor. */
        double from = x - g->step * first, k = exp(g->slope * from * from);
        double ratio = exp(g->slope * g->step * (g->step - 2 * from));
        for (int y = first; y <= last; y++, k *= ratio, ratio *= bend) {
            double d = x - g->step * y;
            z += g->q[y] * k;
            dz += g->q[y] * k * d * d;
            if (y - first < REACH)
                kernel[y - first] = k;
        }
        z = fmax(z, 1e-300);
        distortion += p * dz / z;
        sum += p * log(z);
        for (int y = first; collect && y <= last && y - first < REACH; y++)
            g->c[y] += p / z * kernel[y - first];
    }
    *log_z = sum;
    return distortion;
}

/* c at its local maxima between places too, by the parabola through three of them: the grid is four times finer than
 * the kernel, which leaves less than 1e-4 of the difference. */
static double peak(const double *c, int y, int n)
{
    double left = y ? c[y - 1] : 0, right = y + 1 < n ? c[y + 1] : 0, bend = 2 * c[y] - left - right;
    if (c[y] < left || c[y] < right || !(bend > 0))
        return c[y];
    return c[y] + (right - left) * (right - left) / (8 * bend);
}

/* Σ p ln m_x, where m_x is the largest c within reach of atom x. With λ_x = 1/(Z_x m_x), Σ_x p_x λ_x e^{s(x−y)²} ≤ 1 at
 * every y, because m_x ≥ c_y for each x that y can reach; so sD + Σ p ln λ is a lower bound (Berger 1971,
 * theorem 2.5.3), and the rare weights of a tail, where q is slow to settle, pay for themselves alone. */
static double local_excess(const bg_hist *h, grid *g, double origin)
{
    double sum = 0;
    int window = (int)(sqrt(reach_nats / -g->slope) / g->step) + 1, *queue = (int *)(void *)g->z, head = 0, tail = 0,
        next = 0;
    for (int y = 0; y < g->n; y++)
        g->ratio[y] = peak(g->c, y, g->n);
    for (int y = 0; y < g->n; y++) { /* maximum over y − window … y + window, in q's place, which is done with */
        for (; next < g->n && next <= y + window; next++) {
            while (tail > head && g->ratio[queue[tail - 1]] <= g->ratio[next])
                tail--;
            queue[tail++] = next;
        }
        while (queue[head] < y - window)
            head++;
        g->q[y] = g->ratio[queue[head]];
    }
    for (size_t a = 0; a < h->n; a++) {
        int y = (int)((h->value[a] - origin) / g->step);
        y = y < 0 ? 0 : y < g->n ? y : g->n - 1;
        double m = fmax(g->q[y], g->q[y + 1 < g->n ? y + 1 : y]);
        if (h->weight[a] > 0 && m > 0)
            sum += h->weight[a] / h->total * log(m);
    }
    return sum;
}

/* Mass of the histogram at the nearest places of the grid. */
static void place_mass(const bg_hist *h, grid *g, double origin)
{
    for (size_t a = 0; a < h->n; a++) {
        double at = (h->value[a] - origin) / g->step;
        int y = (int)(at + 0.5);
        y = y < 0 ? 0 : y < g->n ? y : g->n - 1;
        g->p[y] += h->weight[a] / h->total;
    }
    for (int y = 0; y < g->n; y++)
        g->q[y] = (g->p[y] + 1e-7 / g->n) / (1 + 1e-7);
}

/* The slope at which the law q gives the distortion over all atoms, or up to 1e-4 of it less (7e-5 bit). */
static void meet_distortion(const bg_hist *h, grid *g, double origin, double distortion)
{
    double log_z, d = atoms_pass(h, g, origin, &log_z, 0);
    for (int i = 0; i < 24 && (d > distortion || d < distortion * (1 - 1e-4)); i++) {
        g->slope *= fmax(0.7, fmin(1.4, d / (distortion * (1 - 5e-5)))); /* D ∝ 1/|s| nearly */
        d = atoms_pass(h, g, origin, &log_z, 0);
    }
}

static void run_on_atoms(const bg_hist *h, grid *g, double origin, double distortion, double nats, int max, bg_ba *out)
{
    int iterations = 0;
    double log_z;
    for (int round = 0; round < 3; round++) { /* the slope for the distortion and the law for the slope, in turn */
        set_kernel(g);
        iterations += iterate(g, nats, round < 2 ? max / 4 : max / 2);
        if (round < 2) {
            grid_pass(g, NULL);
            double coarse = grid_distortion(g);
            g->slope *= fmax(0.7, fmin(1.4, coarse / distortion));
        }
    }
    meet_distortion(h, g, origin, distortion);
    double d = atoms_pass(h, g, origin, &log_z, 1);
    double lower = g->slope * distortion - log_z - local_excess(h, g, origin);
    double upper = 0.5 * log2(h->sigma2 / distortion); /* of any source of this variance */
    if (d <= distortion)
        upper = fmin(upper, bits(g->slope * d - log_z));
    /* where the line would begin below 0, R ≥ 0 is all that is known */
    *out = (bg_ba){d, fmin(upper, bits(lower)), upper, iterations, lower > 0 ? g->slope / log(2) : 0};
}

int bg_rate_distortion(const bg_hist *h, double distortion, double nats, int max, bg_ba *out, bg_err *e)
{
    *out = (bg_ba){distortion, (double)NAN, (double)NAN, 0, 0};
    if (!h->n || !(distortion > 0) || distortion >= h->sigma2) {
        out->lower_bits = out->upper_bits = distortion >= h->sigma2 ? 0 : (double)NAN;
        return BG_OK;
    }
    double step = sqrt(distortion) / STEPS_A_DEVIATION, low = h->value[0], high = h->value[h->n - 1];
    double places = ceil((high - low) / step) + 3;
    if (places > MAX_PLACES)
        return BG_OK;
    grid g;
    int status = grid_init(&g, (int)places, step, -0.5 / distortion, e);
    if (status)
        return status;
    double origin = 0.5 * (low + high) - 0.5 * step * (places - 1);
    place_mass(h, &g, origin);
    run_on_atoms(h, &g, origin, distortion, nats, max, out);
    free(g.memory);
    return status;
}
