/* Owns exact one-dimensional k-means (kmeans1d.h) by dynamic programming with bands that shrink.
 *
 * The problem. n atoms in ascending order are cut into K cells by t_0 = 0 ≤ t_1 ≤ … ≤ t_K = n; cell k holds atoms
 * t_{k−1} … t_k − 1 and costs c(t_{k−1}, t_k) = S − M²/W, its squared error about its mean, from prefix sums. The plain
 * recursion D_k[t] = min over t′ of D_{k−1}[t′] + c(t′, t) costs O(K·n²). c is Monge,
 * c(a,c) + c(b,d) ≤ c(a,d) + c(b,c) for a ≤ b ≤ c ≤ d, hence the best t′ never decreases as t grows, and divide and
 * conquer over t (solve_rows) costs O(n log n) per layer.
 *
 * Bands. Most places of a cut can be excluded by proof. Cover the possible places of cut k, its band [lo_k, hi_k], by
 * buckets [p, q]. If cut k−1 lies in bucket b′ and cut k in bucket b, their cell contains at least the atoms from
 * q_{b′} to p_b, so it costs at least c(q_{b′}, p_b); this bound is Monge too. Let F_k(b) be the smallest sum of such
 * bounds over all ways to reach bucket b from the left, B_k(b) the same from the right; both are small dynamic
 * programmes (run_forward, run_backward). Let `known` be the error of any partition, at first that of Lloyd–Max. A
 * bucket with F_k(b) + B_k(b) > known holds no cut k of an optimal partition, and shrink_bands drops such buckets from
 * both ends of each band. The remaining bands are covered by buckets a FINER-th as wide, and so on; the path of each
 * bound, made a partition and improved by a few Lloyd steps, lowers `known` (note_path). When a bucket is a single
 * place the bound is the cost itself: F_K is the minimum, and `best` leads back along its cuts.
 *
 * Invariants. The optimal cuts always stay inside their bands; `known` is an upper bound on the minimum that includes
 * room for the rounding of prefix sums; ties prefer the earlier candidate, so results do not depend on threads (forward
 * and backward sums may run side by side and share nothing).
 *
 * Where cells hold few atoms (n < PRICED_BELOW·K) the bounds exclude little, and the search over a price per cell
 * (kmeans1d_lagrange.c) finds the same cuts sooner; it is tried first there.
 */
#include "quant/kernel/kmeans1d.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/kernel/lloyd.h"

enum { MIN_BUCKETS = 256, BUCKETS_A_CELL = 4, FINER = 4, MIN_SIZE = 3, PARALLEL_FROM = 1 << 16, PRICED_BELOW = 256 };

/* Buckets of all cuts, cut k's at [start[k], start[k+1]). */
typedef struct plan {
    int K;
    size_t *start;   /* [K+2] */
    size_t *lo, *hi; /* [K+1] band of each cut, inclusive */
    size_t *p, *q;   /* [start[K+1]] */
    double *forward, *backward;
    uint32_t *best;    /* the bucket of cut k−1 that forward took, counted from start[k−1] */
    double *workspace; /* for the layers that run, 5·widest each way */
    size_t widest;     /* most buckets of one cut */
    double known;      /* error of the best partition seen, with room for the rounding of the sums */
    double *levels;    /* [K], and bg_lloyd_work(K) behind */
} plan;

/* ---- one layer ---- */

/* Prefix sums at the candidates' edges towards the row, gathered so that the search runs over contiguous numbers. */
typedef struct layer {
    int backward; /* rows are cut k, candidates cut k+1, and both are kept from the last to the first */
    size_t rows, candidates;
    double *from, *W, *M, *S; /* [candidates] */
    size_t *far_edge;         /* [candidates] */
    const bg_hist *h;
    const size_t *row_near, *row_far;
    double *to;
    uint32_t *best; /* NULL: not wanted */
} layer;

/* Candidates a … b that can come before (after) the row at all. */
static size_t end_of_order(const layer *l, size_t a, size_t b, size_t row)
{
    size_t limit = l->row_far[row], low = a, high = b + 1;
    if (l->backward ? l->far_edge[b] >= limit : l->far_edge[b] <= limit)
        return high;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (l->backward ? l->far_edge[mid] >= limit : l->far_edge[mid] <= limit)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Least from + c over candidates a … end−1; the first that reaches it. Two forms: few candidates, and many at a time.
 */
static size_t min_of_few(const layer *l, size_t a, size_t end, size_t edge, double *min)
{
    double W = l->h->W[edge], M = l->h->M[edge], S = l->h->S[edge], sign = l->backward ? -1 : 1;
    size_t at = a;
    *min = (double)INFINITY;
    for (size_t i = a; i < end; i++) {
        double w = sign * (W - l->W[i]), m = M - l->M[i], s = sign * (S - l->S[i]), c = s - m * m / (w > 0 ? w : 1);
        double sum = l->from[i] + (w > 0 && c > 0 ? c : 0);
        if (sum < *min)
            *min = sum, at = i;
    }
    return at;
}

static size_t min_of(const layer *l, size_t a, size_t end, size_t edge, double *min)
{
    enum { FEW = 8, BLOCK = 256 };
    if (end - a <= FEW)
        return min_of_few(l, a, end, edge, min);
    double sums[BLOCK], W = l->h->W[edge], M = l->h->M[edge], S = l->h->S[edge], sign = l->backward ? -1 : 1;
    size_t at = a;
    *min = (double)INFINITY;
    for (size_t i = a; i < end; i += BLOCK) {
        size_t n = end - i < BLOCK ? end - i : BLOCK;
#pragma omp simd
        for (size_t k = 0; k < n; k++) {
            double w = sign * (W - l->W[i + k]), m = M - l->M[i + k], s = sign * (S - l->S[i + k]),
                   c = s - m * m / (w > 0 ? w : 1);
            sums[k] = l->from[i + k] + (w > 0 && c > 0 ? c : 0);
        }
        for (size_t k = 0; k < n; k++)
            if (sums[k] < *min)
                *min = sums[k], at = i + k;
    }
    return at;
}

/* Rows low … high−1 with candidates a … b inclusive: the middle row by trying all, the others on either side of its
 * best. */
static void solve_rows(const layer *l, size_t low, size_t high, size_t a, size_t b)
{
    while (low < high) {
        size_t mid = low + (high - low) / 2, row = l->backward ? l->rows - 1 - mid : mid;
        size_t at = min_of(l, a, end_of_order(l, a, b, row), l->row_near[row], &l->to[row]);
        if (l->best)
            l->best[row] = (uint32_t)at;
        solve_rows(l, low, mid, a, at);
        low = mid + 1;
        a = at;
    }
}

/* Sums of cut k's buckets from those of the cut before it (after it, when backward). workspace: 5 numbers per
 * candidate. */
static void run_layer(const bg_hist *h, plan *p, int k, int backward, double *workspace)
{
    int other = backward ? k + 1 : k - 1;
    size_t r = p->start[k], c = p->start[other], n = p->start[other + 1] - c;
    layer l = {.backward = backward,
               .rows = p->start[k + 1] - r,
               .candidates = n,
               .from = workspace,
               .W = workspace + n,
               .M = workspace + 2 * n,
               .S = workspace + 3 * n,
               .far_edge = (size_t *)(void *)(workspace + 4 * n),
               .h = h,
               .row_near = (backward ? p->q : p->p) + r,
               .row_far = (backward ? p->p : p->q) + r,
               .to = (backward ? p->backward : p->forward) + r,
               .best = backward ? NULL : p->best + r};
    for (size_t i = 0; i < n; i++) {
        size_t at = c + (backward ? n - 1 - i : i), near = backward ? p->p[at] : p->q[at];
        l.from[i] = (backward ? p->backward : p->forward)[at];
        l.W[i] = h->W[near], l.M[i] = h->M[near], l.S[i] = h->S[near];
        l.far_edge[i] = backward ? p->q[at] : p->p[at];
    }
    solve_rows(&l, 0, l.rows, 0, n - 1);
}

static void run_forward(const bg_hist *h, plan *p)
{
    p->forward[0] = 0;
    for (int k = 1; k <= p->K; k++)
        run_layer(h, p, k, 0, p->workspace);
}

static void run_backward(const bg_hist *h, plan *p)
{
    p->backward[p->start[p->K]] = 0;
    for (int k = p->K - 1; k >= 0; k--)
        run_layer(h, p, k, 1, p->workspace + 5 * p->widest);
}

/* ---- bands ---- */

/* Covers every band by buckets of about `size` places. */
static int lay_buckets(plan *p, size_t size, bg_err *e)
{
    size_t total = 0;
    p->widest = 0;
    for (int k = 0; k <= p->K; k++) {
        size_t n = (p->hi[k] - p->lo[k] + size) / size;
        p->start[k] = total;
        p->widest = n > p->widest ? n : p->widest;
        total += n;
    }
    p->start[p->K + 1] = total;
    free(p->p);
    size_t bytes =
        total * (2 * sizeof(size_t) + 2 * sizeof(double) + sizeof(uint32_t)) + 10 * p->widest * sizeof(double);
    p->p = malloc(bytes);
    if (!p->p)
        return bg_no_memory(e, "optimal k-means", bytes);
    p->q = p->p + total;
    p->forward = (double *)(void *)(p->q + total);
    p->backward = p->forward + total;
    p->workspace = p->backward + total;
    p->best = (uint32_t *)(void *)(p->workspace + 10 * p->widest);
    for (int k = 0; k <= p->K; k++) {
        size_t n = p->start[k + 1] - p->start[k], places = p->hi[k] - p->lo[k] + 1;
        for (size_t b = 0; b < n; b++) {
            p->p[p->start[k] + b] = p->lo[k] + places * b / n;
            p->q[p->start[k] + b] = p->lo[k] + places * (b + 1) / n - 1;
        }
    }
    return BG_OK;
}

static void shrink_bands(plan *p)
{
    for (int k = 1; k < p->K; k++) {
        size_t first = p->start[k], last = p->start[k + 1] - 1;
        while (first < last && p->forward[first] + p->backward[first] > p->known)
            first++;
        while (last > first && p->forward[last] + p->backward[last] > p->known)
            last--;
        p->lo[k] = p->p[first];
        p->hi[k] = p->q[last];
    }
}

/* Atoms with a value up to x. */
static size_t atoms_up_to(const bg_hist *h, double x)
{
    size_t low = 0, high = h->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (h->value[mid] <= x)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Takes the partition of the levels into account. */
static void note_partition(const bg_hist *h, plan *p)
{
    double sum = 0;
    for (size_t k = 0, i = 0; k < (size_t)p->K; k++) {
        size_t j = k + 1 < (size_t)p->K ? atoms_up_to(h, 0.5 * (p->levels[k] + p->levels[k + 1])) : h->n;
        sum += bg_kmeans1d_cost(h, i, j);
        i = j;
    }
    p->known = fmin(p->known, sum + 1e-12 * h->S[h->n]);
}

/* The path of the lower bound, made a partition and improved by Lloyd–Max, is near the optimum. */
static void note_path(const bg_hist *h, plan *p)
{
    size_t at = 0, end = h->n;
    for (int k = p->K; k >= 1; k--) {
        at = p->best[p->start[k] + at];
        size_t begin = p->p[p->start[k - 1] + at];
        double w = h->W[end] - h->W[begin];
        p->levels[k - 1] = w > 0 ? h->mean + (h->M[end] - h->M[begin]) / w : h->value[begin < h->n ? begin : h->n - 1];
        end = begin < end ? begin : end;
    }
    note_partition(h, p);
    bg_lloyd_refine(h, p->K, p->levels, 8, p->levels + p->K);
    note_partition(h, p);
}

static int search_bands(const bg_hist *h, plan *p, bg_err *e)
{
    size_t max = (size_t)p->K * BUCKETS_A_CELL, size = h->n / (max > MIN_BUCKETS ? max : MIN_BUCKETS);
    for (int k = 0; k <= p->K; k++) {
        p->lo[k] = (size_t)k;
        p->hi[k] = h->n - (size_t)(p->K - k);
    }
    p->hi[0] = 0;
    p->lo[p->K] = h->n;
    p->known = (double)INFINITY;
    note_partition(h, p);
    for (; size >= MIN_SIZE; size /= FINER) {
        int status = lay_buckets(p, size, e);
        if (status)
            return status;
#pragma omp parallel sections if (p->start[p->K + 1] > PARALLEL_FROM)
        {
#pragma omp section
            run_forward(h, p);
#pragma omp section
            run_backward(h, p);
        }
        note_path(h, p);
        shrink_bands(p);
    }
    int status = lay_buckets(p, 1, e);
    if (!status)
        run_forward(h, p);
    return status;
}

/* ---- levels ---- */

static void copy_atoms(const bg_hist *h, int K, double *levels, double *sse)
{
    for (int k = 0; k < K; k++)
        levels[k] = h->n ? h->value[(size_t)k < h->n ? (size_t)k : h->n - 1] : 0;
    *sse = 0;
}

/* Level of the cell of atoms i … j−1, and its error summed atom by atom, which does not cancel. */
static double fit_cell(const bg_hist *h, size_t i, size_t j, double *sse)
{
    double w = h->W[j] - h->W[i], level = w > 0 ? h->mean + (h->M[j] - h->M[i]) / w : h->value[i < h->n ? i : h->n - 1];
    for (size_t a = i; a < j; a++)
        *sse += h->weight[a] * (h->value[a] - level) * (h->value[a] - level);
    return level;
}

static int refine_density(const bg_hist *h, int K, double *levels, double *sse, bg_err *e)
{
    if (!h->is_density)
        return BG_OK;
    double *work = malloc(bg_lloyd_work(K) * sizeof *work);
    if (!work)
        return bg_no_memory(e, "optimal k-means", bg_lloyd_work(K) * sizeof *work);
    *sse = bg_lloyd_refine(h, K, levels, 1000, work) * h->total; /* thresholds need not be edges of bins */
    free(work);
    return BG_OK;
}

/* cut[K+1] by buckets. */
static int cuts_by_bands(const bg_hist *h, plan *p, size_t *cut, bg_err *e)
{
    int status = search_bands(h, p, e);
    for (size_t k = (size_t)p->K + 1, at = 0; !status && k-- > 0;) {
        cut[k] = p->p[p->start[k] + at];
        at = k ? p->best[p->start[k] + at] : 0;
    }
    free(p->p);
    return status;
}

int bg_kmeans1d(const bg_hist *h, int K, double *levels, double *sse, bg_err *e)
{
    if (h->n <= (size_t)K) {
        copy_atoms(h, K, levels, sse);
        return BG_OK;
    }
    size_t numbers = 4 * (size_t)K + 8, doubles = (size_t)K + bg_lloyd_work(K);
    plan p = {.K = K, .start = calloc(numbers * sizeof *p.start + doubles * sizeof *p.levels, 1)};
    if (!p.start)
        return bg_no_memory(e, "optimal k-means", numbers * sizeof *p.start + doubles * sizeof *p.levels);
    p.lo = p.start + K + 2;
    p.hi = p.lo + K + 1;
    size_t *cut = p.hi + K + 1;
    p.levels = (double *)(void *)(p.start + numbers);
    double near = bg_lloyd_fit(h, K, p.levels, p.levels + K) * h->total;
    int found = 0, status = BG_OK;
    if (h->n / PRICED_BELOW < (size_t)K)
        status = bg_kmeans1d_lagrange(h, K, near, cut, &found, e);
    if (!status && !found)
        status = cuts_by_bands(h, &p, cut, e);
    *sse = 0;
    for (int k = 0; !status && k < K; k++)
        levels[k] = fit_cell(h, cut[k], cut[k + 1], sse);
    if (!status)
        status = refine_density(h, K, levels, sse, e);
    free(p.start);
    return status;
}

int bg_kmeans1d_ref(const bg_hist *h, int K, double *levels, double *sse, bg_err *e)
{
    if (h->n <= (size_t)K) {
        copy_atoms(h, K, levels, sse);
        return BG_OK;
    }
    size_t n = h->n, row = n + 1;
    double *sum = malloc((size_t)(K + 1) * row * sizeof *sum);
    uint32_t *best = calloc((size_t)(K + 1) * row, sizeof *best);
    int status = sum && best ? BG_OK : bg_no_memory(e, "optimal k-means", (size_t)(K + 1) * row * 12ull);
    for (size_t j = 0; !status && j <= n; j++)
        sum[j] = j ? (double)INFINITY : 0;
    for (int k = 1; !status && k <= K; k++)
        for (size_t j = 0; j <= n; j++) {
            double min = (double)INFINITY;
            for (size_t i = 0; i <= j; i++) {
                double d = sum[(size_t)(k - 1) * row + i] + bg_kmeans1d_cost(h, i, j);
                if (d < min)
                    min = d, best[(size_t)k * row + j] = (uint32_t)i;
            }
            sum[(size_t)k * row + j] = min;
        }
    size_t end = n;
    *sse = 0;
    for (int k = K; !status && k >= 1; k--) {
        size_t begin = best[(size_t)k * row + end];
        levels[k - 1] = fit_cell(h, begin, end, sse);
        end = begin;
    }
    free(sum);
    free(best);
    return status;
}
