/* Owns exact k-means with many cells by a price λ per cell: the minimum of Σ c + λ·(number of cells), see kmeans1d.h.
 *
 * Where the cost c is Monge, the minimum error is a convex function of the number of cells. So if the best partition at
 * some λ happens to have K cells, it is the best partition of K cells (Aggarwal, Schieber and Tokuyama 1994, "Finding a
 * minimum-weight k-link path in graphs with the concave Monge property"; Grønlund et al. 2017, arXiv 1701.07204, for
 * k-means).
 *
 * At one λ, L(t) = min over t′ < t of L(t′) + c(t′, t) + λ (solve_at_price). Once a later candidate t′ beats an earlier
 * one at some t it beats it at all larger t (Galil and Park 1992). A queue therefore holds candidates in ascending
 * order, each with the first t from which it wins; a new candidate removes those from the back that it beats where they
 * would start to win, and finds by doubling and bisection where it takes over from the last one left: O(n log n).
 *
 * The search for λ. The error of an optimal partition goes as K^(−2), so the number of cells goes as λ^(−1/3): λ is
 * multiplied by (cells/K)³, and after eight trials, or outside the bracket, the bracket is bisected in the logarithm.
 * Where the errors of K − 1, K and K + 1 cells lie on a line no λ gives K cells; *found is then 0 and the caller uses
 * the other algorithm.
 */
#include <math.h>
#include <stdlib.h>
#include "quant/kernel/kmeans1d.h"

typedef struct price {
    const bg_hist *h;
    double lambda;
    double *cost;              /* [n+1] L */
    size_t *from;              /* [n+1] where the last cell begins */
    size_t *candidate, *since; /* [n+1] the queue: a candidate wins from `since` to the next one's */
} price;

static double cost_via(const price *p, size_t i, size_t t)
{
    return p->cost[i] + bg_kmeans1d_cost(p->h, i, t);
}

/* The first t in (wins, n] where the later j beats i, or n + 1; i still wins at `wins`. */
static size_t takes_over(const price *p, size_t i, size_t j, size_t wins)
{
    size_t n = p->h->n, step = 1, high = wins + 1;
    while (high <= n && !(cost_via(p, j, high) < cost_via(p, i, high)))
        wins = high, high += step, step *= 2;
    if (high > n) {
        high = n;
        if (wins >= n || !(cost_via(p, j, n) < cost_via(p, i, n)))
            return n + 1;
    }
    while (high - wins > 1) {
        size_t middle = wins + (high - wins) / 2;
        if (cost_via(p, j, middle) < cost_via(p, i, middle))
            high = middle;
        else
            wins = middle;
    }
    return high;
}

/* Cells of the best partition. */
static size_t solve_at_price(price *p)
{
    size_t n = p->h->n, front = 0, back = 1, cells = 0;
    p->cost[0] = 0, p->candidate[0] = 0, p->since[0] = 1;
    for (size_t t = 1; t <= n; t++) {
        while (front + 1 < back && p->since[front + 1] <= t)
            front++;
        p->from[t] = p->candidate[front];
        p->cost[t] = cost_via(p, p->candidate[front], t) + p->lambda;
        size_t at = t + 1;
        for (; t < n && back > front; back--) {
            size_t i = p->candidate[back - 1], s = p->since[back - 1] > t ? p->since[back - 1] : t + 1;
            if (!(cost_via(p, t, s) < cost_via(p, i, s))) {
                at = takes_over(p, i, t, s);
                break;
            }
        }
        if (t < n && at <= n)
            p->candidate[back] = t, p->since[back++] = at;
    }
    for (size_t t = n; t > 0; t = p->from[t])
        cells++;
    return cells;
}

int bg_kmeans1d_lagrange(const bg_hist *h, int K, double near, size_t *cut, int *found, bg_err *e)
{
    enum { TRIALS = 60 };
    size_t n = h->n, bytes = (n + 2) * (sizeof(double) + 3 * sizeof(size_t)), cells = 0;
    price p = {.h = h, .lambda = 2 * near / K, .cost = malloc(bytes)};
    if (!p.cost)
        return bg_no_memory(e, "optimal k-means", bytes);
    p.from = (size_t *)(void *)(p.cost + n + 2), p.candidate = p.from + n + 2, p.since = p.candidate + n + 2;
    double low = 0, high = (double)INFINITY;
    for (int i = 0; i < TRIALS && p.lambda > 0 && (cells = solve_at_price(&p)) != (size_t)K; i++) {
        *(cells > (size_t)K ? &low : &high) = p.lambda;
        p.lambda *= pow((double)cells / K, 3);
        if (!(p.lambda > low && p.lambda < high) || i > 8)
            p.lambda = low > 0 && isfinite(high) ? sqrt(low * high) : low > 0 ? 4 * low : high / 4;
    }
    if (cells == (size_t)K)
        for (size_t k = (size_t)K + 1, t = n; k-- > 0; t = t ? p.from[t] : 0)
            cut[k] = t;
    free(p.cost);
    *found = cells == (size_t)K;
    return BG_OK;
}
