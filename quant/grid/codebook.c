/* Owns the training of codebooks: k-means++ seeding (Arthur and Vassilvitskii 2007) and the generalised Lloyd algorithm
 * (Linde, Buzo and Gray 1980) on n vectors of dimension d, for K words.
 *
 * Seeding. Each word is a vector drawn with a probability proportional to its squared distance to the words so far. The
 * first 16 words are drawn one by one; then a quarter of the present number is drawn at a time from the same distances,
 * which costs log K passes instead of K. Seeding uses every skip-th vector, so that max(8·K, 32768) remain.
 *
 * Iterations. An iteration assigns each vector to its nearest word, sums the cells, and moves each word toward the
 * centroid of its cell. Where there are enough vectors the iterations run on a 16th of them first and then on all.
 * Words move STRETCH = 1.5 times the way to their centroids; once the distortion of the partition changes by less than
 * SETTLED of itself the factor falls to 1, and when it settles again the training ends. The distortion of a partition
 * about its centroids needs no second pass: Σ|x|² − Σ_k |Σ_{x∈k} x|²/n_k, in double. A word whose cell is empty is put
 * beside the word of the cell with the largest loss, the two stepping apart by half the cell's standard deviation in
 * directions given by random signs.
 *
 * Search. For d = 2 and many words a table over the plane lists the words that can win in each square (vq.h), and every
 * vector is searched. Otherwise a vector is searched again only when its word may have changed (Hamerly 2010). It keeps
 *     upper ≥ |x − its word|,    lower ≤ |x − any other word|,
 * and after a move adds to upper how far its own word moved (drift) and subtracts from lower how far any word moved
 * (widest). While upper < lower nothing can have changed; else upper is tightened to the true distance, and only if
 * that is not enough the vector is searched, which gives both bounds anew from the smallest and second smallest score.
 * Bounds are rounded outwards (distance_of, pack_words), so that rounding never hides a change: the assignment is the
 * one that a full search would give, up to ties within the rounding of scores.
 *
 * Determinism. Sums run over chunks that depend on n, K and d alone and are added in chunk order; random numbers are
 * functions of the seed and an index. The number of threads changes no digit.
 *
 * Words are finally rounded to what a file holds, float16 times one power of two, before anything is coded with them.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/dtype.h"
#include "io/base/failure.h"
#include "quant/grid/codebook.h"
#include "quant/probability/random.h"

enum { CHUNKS = 32, MIN_CHUNK = 2048, PIECE = 512, MAX_ITERATIONS = 300, PLANE_WORDS = 256, PLANE_TRAINING = 1024 };
static const double SETTLED = 1e-5, STRETCH = 1.5, SUM_BYTES = 64e6;

int bg_index_bits(int64_t K)
{
    int b = 0;
    while (((int64_t)1 << b) < K)
        b++;
    return b;
}

double bg_codebook_bits(const bg_codebook *c)
{
    return 16.0 * c->K * c->d + 8;
}

/* ---- one training run ---- */

typedef struct bg_training {
    const float *x;
    size_t n, stride;
    int K, d, chunks;
    uint64_t seed;
    float *words, *packed;
    bg_plane *plane;
    double *sums;  /* [chunks × K × (d + 2)]: count, Σx, Σ|x|² of each cell */
    double energy; /* Σ|x|² */
    uint16_t *own; /* [n] the word of each vector; own, upper and lower are NULL where the plane serves */
    float *upper, *lower;
    double stretch;       /* words move this much farther than to their centroids while there is far to go */
    float *drift, widest; /* [K] how far each word moved, rounded up; the largest */
    uint16_t *scratch;
} bg_training;

static size_t chunk_first(const bg_training *t, int c)
{
    return t->n * (size_t)c / (size_t)t->chunks;
}

static void search_words(const bg_plane *plane, const bg_vq_words *w, bg_vectors v, uint16_t *index)
{
    if (plane)
        bg_plane_nearest(plane, w, v, index, NULL);
    else
        bg_vq_nearest(w, v, index, NULL);
}

/* Rebuilds what the search needs after words have moved. */
static int make_plane(bg_plane *p, const float *words, int K, uint16_t *scratch, bg_err *e)
{
    free(p->list);
    p->list = NULL;
    size_t entries = bg_plane_build(p, words, K, scratch);
    p->list = malloc(entries * sizeof *p->list);
    if (!p->list)
        return bg_no_memory(e, "candidate lists", entries * sizeof *p->list);
    bg_plane_build(p, words, K, scratch);
    return BG_OK;
}

static bg_plane *new_plane(int K, uint16_t **scratch)
{
    bg_plane *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    while (p->levels < BG_PLANE_MAX_LEVELS && ((int64_t)1 << 2 * p->levels) < 4 * (int64_t)K)
        p->levels++;
    p->start = malloc((((size_t)1 << 2 * p->levels) + 1) * sizeof *p->start);
    *scratch = malloc((size_t)K * (size_t)(p->levels + 1) * sizeof **scratch);
    if (p->start && *scratch)
        return p;
    free(p->start), free(p), free(*scratch);
    *scratch = NULL;
    return NULL;
}

static void free_plane(bg_plane *p)
{
    if (p)
        free(p->start), free(p->list), free(p);
}

/* Euclidean distances from scores, as bounds: rounded away from the truth. */
static float norm_of(const float *x, int d)
{
    float q = 0;
    for (int i = 0; i < d; i++)
        q += x[i] * x[i];
    return q;
}

static float distance_of(float norm, float score, float sign)
{
    float q = norm + 2 * score + sign * 4e-6f * norm;
    return q > 0 ? sqrtf(q) * (1 + sign * 1e-6f) : 0;
}

/* Searches the m vectors listed (numbers within the piece at x) and renews their bounds. */
static void search_listed(const bg_training *t, const float *x, const uint16_t *list, size_t m, size_t at)
{
    float copy[PIECE * BG_VQ_MAX_DIM], score[PIECE], second[PIECE];
    uint16_t index[PIECE];
    size_t d = (size_t)t->d;
    copy[0] = 0; /* m ≥ 1, which the compiler cannot see */
    for (size_t i = 0; i < m; i++)
        memcpy(copy + i * d, x + list[i] * t->stride, d * sizeof *copy);
    bg_vq_two_nearest(&(bg_vq_words){t->packed, t->K, t->d}, (bg_vectors){copy, m, d}, index, score, second);
    for (size_t i = 0; i < m; i++) {
        float norm = norm_of(copy + i * d, t->d);
        t->own[at + list[i]] = index[i];
        t->upper[at + list[i]] = distance_of(norm, score[i], 1);
        t->lower[at + list[i]] = distance_of(norm, second[i], -1);
    }
}

/* Brings own[] of m vectors at number `at` up to date with the words. */
static void update_words_of(const bg_training *t, const float *x, size_t m, size_t at)
{
    uint16_t list[PIECE];
    size_t doubtful = 0;
    for (size_t v = 0; v < m; v++) {
        int k = t->own[at + v];
        float u = t->upper[at + v] + t->drift[k], l = t->lower[at + v] - t->widest;
        if (!(u < l)) { /* the true distance may settle it */
            const float *c = t->words + (size_t)k * (size_t)t->d, *xv = x + v * t->stride;
            float q = 0;
            for (int i = 0; i < t->d; i++)
                q += (xv[i] - c[i]) * (xv[i] - c[i]);
            u = sqrtf(q) * (1 + 4e-6f);
            if (!(u < l))
                list[doubtful++] = (uint16_t)v;
        }
        t->upper[at + v] = u, t->lower[at + v] = l;
    }
    if (doubtful)
        search_listed(t, x, list, doubtful, at);
}

static void add_chunk(const bg_training *t, size_t first, size_t n, double *sums)
{
    uint16_t index[PIECE];
    size_t width = (size_t)t->d + 2;
    memset(sums, 0, (size_t)t->K * width * sizeof *sums);
    for (size_t a = 0; a < n; a += PIECE) {
        size_t m = n - a < PIECE ? n - a : PIECE;
        const float *x = t->x + (first + a) * t->stride;
        const uint16_t *own = t->own ? t->own + first + a : index;
        if (t->own)
            update_words_of(t, x, m, first + a);
        else
            search_words(t->plane, &(bg_vq_words){t->packed, t->K, t->d}, (bg_vectors){x, m, t->stride}, index);
        for (size_t v = 0; v < m; v++, x += t->stride) {
            double *s = sums + (size_t)own[v] * width, q = 0;
            s[0] += 1;
            for (int i = 0; i < t->d; i++) {
                double xi = (double)x[i];
                s[1 + i] += xi, q += xi * xi;
            }
            s[1 + t->d] += q;
        }
    }
}

/* Assigns every vector and leaves the cells' sums in the first chunk's. */
static void assign_all(const bg_training *t)
{
    size_t width = (size_t)t->K * ((size_t)t->d + 2);
#pragma omp parallel for schedule(dynamic)
    for (int c = 0; c < t->chunks; c++)
        add_chunk(t, chunk_first(t, c), chunk_first(t, c + 1) - chunk_first(t, c), t->sums + (size_t)c * width);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < width; i++)
        for (int c = 1; c < t->chunks; c++)
            t->sums[i] += t->sums[(size_t)c * width + i];
}

typedef struct bg_cell {
    double loss;
    int k;
} bg_cell;

static int compare_losses(const void *a, const void *b)
{
    const bg_cell *x = a, *y = b;
    return x->loss != y->loss ? (x->loss > y->loss ? -1 : 1) : x->k - y->k;
}

/* Empty cells take half of the worst cells each: both words step apart along the cell's spread. */
static int split_worst(const bg_training *t, int empty, bg_err *e)
{
    bg_cell *cells = malloc((size_t)t->K * sizeof *cells);
    if (!cells)
        return bg_no_memory(e, "cells", (size_t)t->K * sizeof *cells);
    size_t d = (size_t)t->d, width = d + 2;
    for (int k = 0; k < t->K; k++) {
        const double *s = t->sums + (size_t)k * width;
        double mass = 0;
        for (size_t i = 0; i < d; i++)
            mass += s[1 + i] * s[1 + i];
        cells[k] = (bg_cell){s[0] > 1 ? s[1 + d] - mass / s[0] : 0, k};
    }
    qsort(cells, (size_t)t->K, sizeof *cells, compare_losses);
    int from = 0;
    for (int k = 0; k < t->K && from < empty; k++) {
        if (t->sums[(size_t)k * width] > 0)
            continue;
        int w = cells[from].k;
        if (!(cells[from++].loss > 0))
            break;
        double step = sqrt(cells[from - 1].loss / t->sums[(size_t)w * width] / (double)d) / 2;
        for (size_t i = 0; i < d; i++) {
            double sign = bg_bits_at(t->seed ^ 0x5eedu, (uint64_t)k * d + i) & 1 ? 1 : -1;
            t->words[(size_t)k * d + i] = (float)((double)t->words[(size_t)w * d + i] + sign * step);
            t->words[(size_t)w * d + i] = (float)((double)t->words[(size_t)w * d + i] - sign * step);
        }
    }
    free(cells);
    return BG_OK;
}

/* Words to the centroids of their cells, or beyond; *distortion is Σ|x − centroid|². */
static int move_words(const bg_training *t, double *distortion, bg_err *e)
{
    size_t d = (size_t)t->d;
    double kept = 0;
    int empty = 0;
    for (int k = 0; k < t->K; k++) {
        const double *s = t->sums + (size_t)k * (d + 2);
        if (!(s[0] > 0)) {
            empty++;
            continue;
        }
        double mass = 0;
        for (size_t i = 0; i < d; i++) {
            mass += s[1 + i] * s[1 + i];
            double from = (double)t->words[(size_t)k * d + i], to = s[1 + i] / s[0];
            t->words[(size_t)k * d + i] = (float)(from + t->stretch * (to - from));
        }
        kept += mass / s[0];
    }
    *distortion = fmax(t->energy - kept, 0);
    return empty ? split_worst(t, empty, e) : BG_OK;
}

/* Packs the words for the search, and how far each is from where `before` has it. */
static int pack_words(bg_training *t, const float *before, bg_err *e)
{
    bg_vq_pack(t->words, t->K, t->d, t->d, t->packed);
    t->widest = 0;
    for (size_t k = 0; before && k < (size_t)t->K; k++) {
        double q = 0;
        for (size_t i = k * (size_t)t->d; i < (k + 1) * (size_t)t->d; i++)
            q += ((double)t->words[i] - (double)before[i]) * ((double)t->words[i] - (double)before[i]);
        t->drift[k] = (float)(sqrt(q) * (1 + 1e-6));
        t->widest = fmaxf(t->widest, t->drift[k]);
    }
    return t->plane ? make_plane(t->plane, t->words, t->K, t->scratch, e) : BG_OK;
}

static int run_lloyd(bg_training *t, double *distortion, int *iterations, bg_err *e)
{
    double last = HUGE_VAL;
    t->stretch = STRETCH;
    size_t bytes = (size_t)t->K * (size_t)t->d * sizeof(float);
    float *before = malloc(bytes);
    int s = before ? BG_OK : bg_no_memory(e, "codebook", bytes);
    for (size_t v = 0; t->own && v < t->n; v++)
        t->own[v] = 0, t->upper[v] = INFINITY, t->lower[v] = 0;
    for (int i = 0; !s && i < MAX_ITERATIONS; i++) {
        if (bg_interrupted) {
            s = bg_fail(e, BG_RESOURCE, "interrupted");
            break;
        }
        if ((s = pack_words(t, i ? before : NULL, e)))
            break;
        memcpy(before, t->words, bytes);
        assign_all(t);
        if ((s = move_words(t, distortion, e)))
            break;
        ++*iterations;
        if (!(last - *distortion > SETTLED * *distortion) && i > 0) {
            if (t->stretch == 1)
                break;
            t->stretch = 1; /* at rest but for the stretch: the last steps are Lloyd's own */
        }
        last = *distortion;
    }
    free(before);
    return s;
}

/* ---- seeding ---- */

/* Lowers distance[n] to the nearest of the `count` words from `first` on. */
static void lower_distances(const bg_training *t, const float *x, size_t n, int first, int count, float *distance)
{
    bg_vq_pack(t->words + (size_t)first * (size_t)t->d, count, t->d, t->d, t->packed);
#pragma omp parallel for schedule(static)
    for (size_t a = 0; a < n; a += PIECE) {
        uint16_t index[PIECE];
        float score[PIECE];
        size_t m = n - a < PIECE ? n - a : PIECE;
        bg_vq_nearest(&(bg_vq_words){t->packed, count, t->d}, (bg_vectors){x + a * t->stride, m, t->stride}, index,
                      score);
        for (size_t v = 0; v < m; v++) {
            const float *xv = x + (a + v) * t->stride;
            distance[a + v] = fminf(distance[a + v], fmaxf(norm_of(xv, t->d) + 2 * score[v], 0));
        }
    }
}

static size_t draw_vector(const double *below, size_t n, double u)
{
    size_t lo = 0, hi = n;
    while (lo + 1 < hi) {
        size_t mid = (lo + hi) / 2;
        if (below[mid] <= u)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* k-means++: each word is a vector drawn with probability ∝ its squared distance to the words before. Once some words
 * stand, a quarter as many are drawn at a time. */
static int seed_words(const bg_training *t, const float *x, size_t n, bg_err *e)
{
    float *distance = malloc(n * sizeof *distance);
    double *below = malloc((n + 1) * sizeof *below);
    if (!distance || !below) {
        free(distance), free(below);
        return bg_no_memory(e, "k-means++", n * 12);
    }
    for (size_t v = 0; v < n; v++)
        distance[v] = INFINITY;
    size_t d = (size_t)t->d;
    for (int k = 0; k < t->K;) {
        int batch = k < 16 ? 1 : k / 4;
        batch = batch < t->K - k ? batch : t->K - k;
        below[0] = 0;
        for (size_t v = 0; k && v < n; v++)
            below[v + 1] = below[v] + (double)distance[v];
        for (int b = 0; b < batch; b++) {
            double u = bg_uniform_at(t->seed, (uint64_t)(k + b));
            size_t v = k && below[n] > 0 ? draw_vector(below, n, u * below[n]) : (size_t)(u * (double)n);
            memcpy(t->words + (size_t)(k + b) * d, x + (v < n ? v : n - 1) * t->stride, d * sizeof(float));
        }
        lower_distances(t, x, n, k, batch, distance);
        k += batch;
    }
    free(distance), free(below);
    return BG_OK;
}

/* One run from one seed on the whole of t->x: seeded on few vectors, settled on a 16th of them, then on all. The parts
 * are every 16th (or more) vector, reached by a longer stride. */
static int train_once(bg_training *t, double *distortion, int *iterations, bg_err *e)
{
    bg_training all = *t;
    size_t K = (size_t)t->K, max = K * 8 > 32768 ? K * 8 : 32768, skip = t->n / max ? t->n / max : 1;
    t->stride = all.stride * skip;
    int s = seed_words(t, t->x, t->n / skip, e);
    *iterations = 0;
    for (size_t part = t->n / 16 >= 64 * K && t->n / 16 >= 32768 ? 16 : 1; !s; part = 1) {
        t->stride = all.stride * part, t->n = all.n / part;
        t->energy = 0;
        for (size_t v = 0; v < t->n; v++)
            for (int i = 0; i < t->d; i++)
                t->energy += (double)t->x[v * t->stride + (size_t)i] * (double)t->x[v * t->stride + (size_t)i];
        if (!isfinite(t->energy))
            return bg_fail(e, BG_INPUT, "weights that are NaN or infinite cannot train a codebook");
        s = run_lloyd(t, distortion, iterations, e);
        if (part == 1)
            break;
    }
    t->n = all.n, t->stride = all.stride;
    return s;
}

/* ---- the codebook ---- */

/* Words as float16 × 2^exponent, the exponent such that the largest is in [2^14, 2^15) or so: all of float16's range.
 */
void bg_words_round(float *words, size_t n)
{
    float top = 0;
    for (size_t i = 0; i < n; i++)
        top = fmaxf(top, fabsf(words[i]));
    if (!(top > 0) || !isfinite(top))
        return;
    int exponent;
    (void)frexpf(top, &exponent);
    exponent = exponent - 15 < -127 ? -127 : exponent - 15;
    for (size_t i = 0; i < n; i++)
        words[i] = ldexpf(bg_f16_to_f32(bg_f32_to_f16(ldexpf(words[i], -exponent))), exponent);
}

static int finish_codebook(bg_codebook *c, bg_err *e)
{
    bg_words_round(c->words, (size_t)c->K * (size_t)c->d);
    bg_vq_pack(c->words, c->K, c->d, c->d, c->packed);
    if (c->tail)
        bg_vq_pack(c->words, c->K, c->d, c->tail, c->packed_tail);
    if (c->d != 2 || c->K < PLANE_WORDS)
        return BG_OK;
    uint16_t *scratch = NULL;
    c->plane = new_plane(c->K, &scratch);
    int s = c->plane ? make_plane(c->plane, c->words, c->K, scratch, e) : bg_no_memory(e, "plane", sizeof *c->plane);
    free(scratch);
    return s;
}

static int allocate_training(bg_codebook *c, bg_training *t, bg_err *e)
{
    size_t K = (size_t)c->K, d = (size_t)c->d, cells = K * (d + 2) * sizeof(double);
    double fit = SUM_BYTES / (double)cells;
    size_t chunks = t->n / MIN_CHUNK;
    chunks = chunks > (size_t)fmax(fit, 2) ? (size_t)fmax(fit, 2) : chunks;
    t->chunks = (int)(chunks > CHUNKS ? CHUNKS : chunks < 1 ? 1 : chunks);
    c->words = malloc(K * d * sizeof(float));
    c->packed = malloc(bg_vq_packed_floats(c->K, c->d) * sizeof(float));
    c->packed_tail = c->tail ? malloc(bg_vq_packed_floats(c->K, c->tail) * sizeof(float)) : NULL;
    t->words = malloc(K * d * sizeof(float));
    t->drift = calloc(K, sizeof(float));
    t->packed = malloc(bg_vq_packed_floats(c->K, c->d) * sizeof(float));
    t->sums = malloc((size_t)t->chunks * cells);
    int plane = c->d == 2 && c->K >= PLANE_TRAINING; /* rebuilt at every move: bounds are cheaper for fewer words */
    t->plane = plane ? new_plane(c->K, &t->scratch) : NULL;
    if (!plane) {
        t->own = malloc(t->n * sizeof *t->own);
        t->upper = malloc(t->n * sizeof *t->upper);
        t->lower = malloc(t->n * sizeof *t->lower);
    }
    if (!c->words || !c->packed || (c->tail && !c->packed_tail) || !t->words || !t->packed || !t->sums || !t->drift ||
        (plane ? !t->plane : !t->own || !t->upper || !t->lower))
        return bg_no_memory(e, "codebook", (size_t)t->chunks * cells);
    return BG_OK;
}

int bg_codebook_train(bg_codebook *c, const float *x, size_t n, size_t stride, const bg_codebook_options *o, bg_err *e)
{
    *c = (bg_codebook){.K = o->K, .d = o->d, .tail = o->tail, .mse = HUGE_VAL};
    bg_training t = {.x = x, .n = n, .stride = stride, .K = o->K, .d = o->d};
    int s = allocate_training(c, &t, e);
    for (int r = 0; !s && r < (o->restarts > 1 ? o->restarts : 1); r++) {
        double distortion = 0;
        int iterations = 0;
        t.seed = bg_bits_at(o->seed, (uint64_t)r);
        if (!(s = train_once(&t, &distortion, &iterations, e)) &&
            (r == 0 || distortion / ((double)n * o->d) < c->mse)) {
            c->mse = distortion / ((double)n * o->d), c->iterations = iterations;
            memcpy(c->words, t.words, (size_t)c->K * (size_t)c->d * sizeof(float));
        }
    }
    if (!s)
        s = finish_codebook(c, e);
    free(t.words), free(t.packed), free(t.sums), free(t.scratch), free(t.drift), free(t.own), free(t.upper),
        free(t.lower);
    free_plane(t.plane);
    if (s)
        bg_codebook_free(c);
    return s;
}

void bg_codebook_free(bg_codebook *c)
{
    if (!c)
        return;
    free(c->words), free(c->packed), free(c->packed_tail), free_plane(c->plane);
    *c = (bg_codebook){0};
}

void bg_codebook_assign(const bg_codebook *c, const float *x, size_t n, size_t stride, int dims, uint16_t *index)
{
    if (dims == c->d)
        search_words(c->plane, &(bg_vq_words){c->packed, c->K, c->d}, (bg_vectors){x, n, stride}, index);
    else
        bg_vq_nearest(&(bg_vq_words){c->packed_tail, c->K, dims}, (bg_vectors){x, n, stride}, index, NULL);
}

/* ---- vectors of a matrix ---- */

/* Which vectors of a matrix are the sample, and where they go. */
typedef struct sample {
    const bg_matrix *m;
    int d;
    size_t total, n; /* vectors of the matrix, of the sample */
    float *x;        /* [n × d] */
} sample;

/* Copies the vectors of rows [first, first + rows) that belong to the sample; w holds these rows. */
static void copy_vectors(const sample *z, int64_t first, int64_t rows, const float *w)
{
    const bg_matrix *m = z->m;
    size_t d = (size_t)z->d, n = z->n, total = z->total;
    size_t per_row = (size_t)m->cols / d, lo = (size_t)first * per_row, hi = (size_t)(first + rows) * per_row;
    size_t i = (size_t)((double)lo * (double)n / (double)total);
    for (i = i > 2 ? i - 2 : 0; i < n; i++) {
        size_t a = (size_t)((unsigned __int128)i * total / n), b = (size_t)((unsigned __int128)(i + 1) * total / n);
        size_t v = n == total ? i : a + bg_bits_at(m->seed ^ 0x7ea1u, i) % (b - a);
        if (v >= hi)
            break;
        if (v < lo)
            continue;
        size_t row = v / per_row - (size_t)first, column = v % per_row * d;
        memcpy(z->x + i * d, w + row * (size_t)m->cols + column, d * sizeof *z->x);
    }
}

int bg_vectors_read(const bg_matrix *m, int d, int64_t limit, float **x, size_t *n, bg_err *e)
{
    size_t total = (size_t)m->rows * (size_t)(m->cols / d), max = (size_t)(limit / d > 0 ? limit / d : 1);
    *n = total < max ? total : max;
    *x = malloc((*n ? *n : 1) * (size_t)d * sizeof **x);
    if (!*x)
        return bg_no_memory(e, "training vectors", *n * (size_t)d * sizeof **x);
    int64_t tile = m->cols > 0 ? 131072 / m->cols + 1 : 1, tiles = *n ? (m->rows + tile - 1) / tile : 0;
    bg_failure failure = {0};
#pragma omp parallel for schedule(dynamic)
    for (int64_t i = 0; i < tiles; i++) {
        int64_t row = i * tile, rows = m->rows - row < tile ? m->rows - row : tile;
        bg_err own = {0};
        float *buffer = m->memory ? NULL : malloc((size_t)rows * (size_t)m->cols * sizeof *buffer);
        const float *w = m->memory ? m->memory + row * m->cols : buffer;
        int s = m->memory ? BG_OK
                : buffer  ? bg_matrix_read(m, row, rows, buffer, &own)
                          : bg_no_memory(&own, "rows", (size_t)(rows * m->cols) * 4);
        if (s)
            bg_failure_note(&failure, i, &own);
        else
            copy_vectors(&(sample){m, d, total, *n, *x}, row, rows, w);
        free(buffer);
    }
    if (failure.status) {
        free(*x);
        *x = NULL;
    }
    return bg_failure_status(&failure, e);
}
