/* Owns bit allocation: convex hulls, the Lagrangian walk, the dual bound, the exact optimum. */
#include "analysis/allocation/allocation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTIAL_SUMS = 50000 };

/* ---- hulls ---- */

typedef struct vertex {
    double cost, loss;
    int choice;
} vertex;

typedef struct hull {
    vertex *v; /* [n] rising cost, falling loss, falling steepness */
    int n;
} hull;

static int by_cost(const void *a, const void *b)
{
    const vertex *p = a, *q = b;
    if (p->cost != q->cost)
        return p->cost < q->cost ? -1 : 1;
    if (p->loss != q->loss)
        return p->loss < q->loss ? -1 : 1;
    return p->choice - q->choice;
}

static double slope(const vertex *a, const vertex *b)
{
    return (a->loss - b->loss) / (b->cost - a->cost);
}

static int make_hull(const bg_item *item, hull *h, bg_err *e)
{
    h->v = malloc((size_t)item->n * sizeof *h->v);
    if (!h->v)
        return bg_no_memory(e, "hull", (size_t)item->n * sizeof *h->v);
    for (int i = 0; i < item->n; i++)
        h->v[i] = (vertex){item->choices[i].cost, item->choices[i].loss, i};
    qsort(h->v, (size_t)item->n, sizeof *h->v, by_cost);
    h->n = 0;
    for (int i = 0; i < item->n; i++) {
        vertex p = h->v[i];
        if (h->n && p.loss >= h->v[h->n - 1].loss)
            continue;
        while (h->n > 1 && slope(&h->v[h->n - 2], &h->v[h->n - 1]) <= slope(&h->v[h->n - 1], &p))
            h->n--;
        h->v[h->n++] = p;
    }
    return BG_OK;
}

/* ---- Lagrangian ---- */

typedef struct step {
    double slope, cost;
    int item, vertex;
} step;

static int steepest_first(const void *a, const void *b)
{
    const step *p = a, *q = b;
    if (p->slope != q->slope)
        return p->slope > q->slope ? -1 : 1;
    if (p->item != q->item)
        return p->item - q->item;
    return p->vertex - q->vertex;
}

/* Takes the steps of all hulls by falling slope while they fit; the first that does not fit ends the walk and gives λ.
 */
static int walk(const hull *h, int n, double budget, bg_allocation *out, bg_err *e)
{
    int count = 0, taken = 0;
    for (int i = 0; i < n; i++)
        count += h[i].n - 1;
    step *s = malloc(((size_t)count + 1) * sizeof *s);
    int *at = calloc((size_t)n + 1, sizeof *at);
    if (!s || !at) {
        free(s);
        free(at);
        return bg_no_memory(e, "allocation", (size_t)count * sizeof *s);
    }
    count = 0;
    double cost = 0;
    for (int i = 0; i < n; i++) {
        cost += h[i].v[0].cost;
        for (int k = 1; k < h[i].n; k++)
            s[count++] = (step){slope(&h[i].v[k - 1], &h[i].v[k]), h[i].v[k].cost - h[i].v[k - 1].cost, i, k};
    }
    qsort(s, (size_t)count, sizeof *s, steepest_first);
    while (taken < count && cost + s[taken].cost <= budget * (1 + 1e-12)) {
        cost += s[taken].cost;
        at[s[taken].item] = s[taken].vertex;
        taken++;
    }
    out->multiplier = taken < count ? s[taken].slope : 0;
    for (int i = 0; i < n; i++) {
        const vertex *v = &h[i].v[at[i]];
        out->lagrangian[i] = v->choice;
        out->lagrangian_loss += v->loss;
        out->lagrangian_cost += v->cost;
    }
    free(s);
    free(at);
    return BG_OK;
}

static double min_penalised(const hull *h, double lambda)
{
    double min = INFINITY;
    for (int k = 0; k < h->n; k++)
        min = fmin(min, h->v[k].loss + lambda * h->v[k].cost);
    return min;
}

/* ---- exact optimum ---- */

typedef struct partial {
    double cost, loss;
    int from, choice; /* index among the partial sums of the item before, and what was added */
} partial;

typedef struct level {
    partial *p;
    int n;
} level;

static int by_partial(const void *a, const void *b)
{
    const partial *p = a, *q = b;
    if (p->cost != q->cost)
        return p->cost < q->cost ? -1 : 1;
    if (p->loss != q->loss)
        return p->loss < q->loss ? -1 : 1;
    return p->from != q->from ? p->from - q->from : p->choice - q->choice;
}

/* Drops what another beats; then, if more than `limit` remain, of each of `limit` slices of cost keeps the best. */
static int prune(partial *p, int n, int limit, int *exact)
{
    int kept = 0;
    qsort(p, (size_t)n, sizeof *p, by_partial);
    for (int i = 0; i < n; i++)
        if (!kept || p[i].loss < p[kept - 1].loss)
            p[kept++] = p[i];
    if (kept <= limit)
        return kept;
    *exact = 0;
    double low = p[0].cost, width = (p[kept - 1].cost - low) / limit;
    int thin = 0, slice = -1;
    for (int i = 0; i < kept; i++) {
        int mine = width > 0 ? (int)((p[i].cost - low) / width) : 0;
        if (mine != slice)
            p[thin++] = p[i];
        else
            p[thin - 1] = p[i]; /* losses fall: the later one is better */
        slice = mine;
    }
    return thin;
}

/* What a partial sum must keep to be extended, and what the items still to come add to it at least. */
typedef struct search_bounds {
    double budget, best, multiplier; /* best: the Lagrangian answer's loss */
    double rest_loss, rest_cost;     /* of the items still to come: dual value at the multiplier, smallest cost */
    int limit;                       /* partial sums kept at a level */
} search_bounds;

/* Extends every partial sum by every choice of the item; *exact becomes 0 when more than the limit remain. */
static int extend_level(const level *before, const bg_item *item, const search_bounds *b, level *after, int *exact,
                        bg_err *e)
{
    after->p = malloc((size_t)before->n * (size_t)item->n * sizeof *after->p);
    if (!after->p)
        return bg_no_memory(e, "partial sums", (size_t)before->n * (size_t)item->n * sizeof *after->p);
    int n = 0;
    for (int i = 0; i < before->n; i++)
        for (int k = 0; k < item->n; k++) {
            partial q = {before->p[i].cost + item->choices[k].cost, before->p[i].loss + item->choices[k].loss, i, k};
            double bound = q.loss + b->rest_loss + b->multiplier * (q.cost - b->budget);
            if (q.cost + b->rest_cost <= b->budget * (1 + 1e-12) && bound <= b->best * (1 + 1e-12))
                after->p[n++] = q;
        }
    after->n = prune(after->p, n, b->limit, exact);
    partial *shrunk = realloc(after->p, ((size_t)after->n + 1) * sizeof *shrunk);
    after->p = shrunk ? shrunk : after->p;
    return BG_OK;
}

static void trace(const level *levels, int n, bg_allocation *out)
{
    int at = levels[n].n - 1; /* losses fall with cost: the last is best */
    out->loss = levels[n].p[at].loss;
    out->cost = levels[n].p[at].cost;
    for (int i = n; i > 0; i--) {
        out->chosen[i - 1] = levels[i].p[at].choice;
        at = levels[i].p[at].from;
    }
}

static int optimum(const bg_item *items, const hull *h, int n, double budget, int limit, bg_allocation *out, bg_err *e)
{
    level *levels = calloc((size_t)n + 1, sizeof *levels);
    partial none = {0};
    search_bounds b = {.budget = budget, .best = out->lagrangian_loss, .multiplier = out->multiplier, .limit = limit};
    int status = levels ? BG_OK : bg_no_memory(e, "partial sums", (size_t)n * sizeof *levels);
    for (int i = 0; i < n; i++) {
        b.rest_loss += min_penalised(&h[i], out->multiplier);
        b.rest_cost += h[i].v[0].cost;
    }
    out->dual_bound = b.rest_loss - out->multiplier * budget;
    out->exact = 1;
    if (!status)
        levels[0] = (level){&none, 1};
    for (int i = 0; !status && i < n; i++) {
        b.rest_loss -= min_penalised(&h[i], out->multiplier);
        b.rest_cost -= h[i].v[0].cost;
        status = extend_level(&levels[i], &items[i], &b, &levels[i + 1], &out->exact, e);
        if (!status && !levels[i + 1].n)
            break;
    }
    if (!status && levels[n].n && levels[n].p[levels[n].n - 1].loss <= out->lagrangian_loss) {
        trace(levels, n, out);
    } else if (!status) { /* thinning lost the last way: the Lagrangian answer stands */
        memcpy(out->chosen, out->lagrangian, (size_t)n * sizeof *out->chosen);
        out->loss = out->lagrangian_loss;
        out->cost = out->lagrangian_cost;
    }
    for (int i = 1; levels && i <= n; i++)
        free(levels[i].p);
    free(levels);
    return status;
}

static int check(const bg_item *items, int n, double budget, bg_err *e)
{
    double min = 0;
    for (int i = 0; i < n; i++) {
        double cheapest = INFINITY;
        for (int k = 0; k < items[i].n; k++) {
            if (!isfinite(items[i].choices[k].cost) || !isfinite(items[i].choices[k].loss))
                return bg_fail(e, BG_INPUT, "item %d: choice %d is not finite", i, k);
            cheapest = fmin(cheapest, items[i].choices[k].cost);
        }
        if (!items[i].n)
            return bg_fail(e, BG_INPUT, "item %d has no choices", i);
        min += cheapest;
    }
    if (min > budget * (1 + 1e-12))
        return bg_fail(e, BG_USAGE, "a budget of %g is below the cheapest choices, %g", budget, min);
    return BG_OK;
}

int bg_allocate(const bg_item *items, int n, double budget, int limit, bg_allocation *out, bg_err *e)
{
    *out = (bg_allocation){0};
    int status = check(items, n, budget, e);
    hull *h = calloc((size_t)n + 1, sizeof *h);
    out->chosen = calloc((size_t)n + 1, sizeof *out->chosen);
    out->lagrangian = calloc((size_t)n + 1, sizeof *out->lagrangian);
    if (!status && (!h || !out->chosen || !out->lagrangian))
        status = bg_no_memory(e, "allocation", (size_t)n * sizeof *h);
    for (int i = 0; !status && i < n; i++)
        status = make_hull(&items[i], &h[i], e);
    if (!status)
        status = walk(h, n, budget, out, e);
    if (!status)
        status = optimum(items, h, n, budget, limit ? limit : PARTIAL_SUMS, out, e);
    for (int i = 0; h && i < n; i++)
        free(h[i].v);
    free(h);
    if (status)
        bg_allocation_free(out);
    return status;
}

void bg_allocation_free(bg_allocation *a)
{
    free(a->chosen);
    free(a->lagrangian);
    *a = (bg_allocation){0};
}
