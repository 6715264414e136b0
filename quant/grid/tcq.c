/* Trellis-coded quantization: an alphabet twice (fixed rate) or many times (entropy-coded) as large as a scalar code's,
 * cut into four interleaved subsets, of which a trellis allows two at each weight; the Viterbi search finds the best
 * path.
 *
 *   bits=R          Marcellin and Fischer 1990: 2^(R+1) trained levels. A weight stores the path's input bit and R − 1
 * bits for the level within its subset. N(0,1), 256 states: 0.2790, 0.0795, 0.0219 at 1, 2, 3 bits. rate=R,code=entropy
 * Fischer and Wang 1992: as many levels as the weights reach, coded by rANS with one table for each pair of subsets (D0
 * ∪ D2, D1 ∪ D3), which the decoder knows from its state; the search minimises D + λ·length. High-rate gap 0.0742 bit
 * with 8 states, 0.0331 with 256: the boundary loss of the fixed rate is gone.
 *
 * Level k stands in subset k mod 4. Weights run row after row in sequences of `length`, each from state 0, which costs
 * nothing to store. Levels are float16 with one exponent.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/failure.h"
#include "quant/grid/codebook.h"
#include "quant/coding/index_stream.h"
#include "quant/kernel/simd.h"
#include "quant/kernel/trellis.h"
#include "quant/probability/random.h"

enum { MOST_LEVELS = 8192, STRETCHES = 2048, PASSES = 48, OUTER = 6, INNER = 8, SAMPLE = 1 << 17, PIECE = 4096 };

struct bg_trained {
    bg_trellis trellis;
    int K, length, entropy, bits;
    float quanta;        /* of the search's costs in one unit of squared error */
    float *level;        /* [K] */
    float *length_cost;  /* [K] λ·bits of each level within its pair; all 0 at fixed rate */
    int members[4];      /* levels of a subset that win somewhere */
    uint16_t *member[4]; /* which, ascending, */
    float *value[4], *add[4],
        *cut[4];     /* their level and length_cost, and where each gives way to the next (the last: never) */
    float from, per; /* equal stretches of the cuts' range, */
    uint16_t start[STRETCHES + 1][4]; /* and the first member of each subset that may win there */
    bg_rans_table table[2];           /* of even and odd levels, symbols k/2 */
    double table_bits;
};

typedef struct tcq_params {
    double rate; /* code=entropy; 0: not given, bits says it */
    int states, length;
} tcq_params;

static const bg_key keys[] = {
    {.name = "bits",
     .type = BG_KEY_INTEGER,
     .min = 1,
     .max = 8,
     .default_text = "2",
     .help = "index bits a weight, at fixed rate"},
    {.name = "rate",
     .type = BG_KEY_NUMBER,
     .min = 0.25,
     .max = 8,
     .help = "bits a weight with code=entropy, in place of bits",
     BG_PARAM(tcq_params, rate)},
    {.name = "states",
     .type = BG_KEY_INTEGER,
     .min = 4,
     .max = 256,
     .default_text = "256",
     .help = "of the trellis: 4, 8, 16, 32, 64, 128 or 256",
     BG_PARAM(tcq_params, states)},
    {.name = "length",
     .type = BG_KEY_INTEGER,
     .min = 64,
     .max = 65536,
     .default_text = "4096",
     .help = "weights in a sequence",
     BG_PARAM(tcq_params, length)},
    {0},
};

static int is_entropy(const bg_spec *s)
{
    return s->coding->bits != NULL;
}

static double bits(const bg_spec *s)
{
    const tcq_params *p = bg_grid_params(s);
    return p->rate > 0 ? p->rate : s->bits;
}

static int check(const bg_spec *s, bg_err *e)
{
    const tcq_params *p = bg_grid_params(s);
    bg_trellis t;
    if (!bg_trellis_init(&t, p->states))
        return bg_fail(e, BG_USAGE, "'%s': states is 4, 8, 16, 32, 64, 128 or 256", s->text);
    if (s->coding->bits && !s->coding->bits_of_columns)
        return bg_fail(e, BG_USAGE, "'%s': a trellis is coded fixed or entropy", s->text);
    if (p->rate > 0 && !is_entropy(s))
        return bg_fail(e, BG_USAGE, "'%s': rate goes with code=entropy; bits is the fixed rate", s->text);
    return BG_OK;
}

static int64_t rows_together(const bg_spec *s, int64_t C)
{
    int64_t length = ((const tcq_params *)bg_grid_params(s))->length;
    return C >= length ? 1 : (length + C - 1) / C;
}

/* ---- the search ---- */

/* Where the searches start: a table over equal stretches of the range of all cuts, a little early, so that rounding
 * cannot start a search past its answer. */
static void stretches(bg_trained *t)
{
    float low = 3e38f, high = -3e38f;
    for (int c = 0; c < 4; c++)
        for (int i = 0; i + 1 < t->members[c]; i++) {
            low = t->cut[c][i] < low ? t->cut[c][i] : low;
            high = t->cut[c][i] > high ? t->cut[c][i] : high;
        }
    t->from = high > low ? low : 0;
    t->per = high > low ? STRETCHES / (high - low) : 0;
    for (int c = 0; c < 4; c++) {
        int at = 0;
        for (int s = 0; s <= STRETCHES; s++) {
            float x = t->per > 0 && s > 0 ? t->from + ((float)s - 0.01f) / t->per : -3e38f;
            while (at + 1 < t->members[c] && t->cut[c][at] < x)
                at++;
            t->start[s][c] = (uint16_t)at;
        }
    }
}

/* The levels of each subset that cost least somewhere, (x − level)² + length, and where they meet: lines' lower
 * envelope. */
static void envelopes(bg_trained *t)
{
    for (int c = 0; c < 4; c++) {
        int n = 0;
        for (int k = c; k < t->K; k += 4) {
            float y = t->level[k];
            for (; n; n--) {
                float z = t->level[t->member[c][n - 1]], more = t->length_cost[k] - t->length_cost[t->member[c][n - 1]];
                float cut = y > z ? (y + z) / 2 + more / (2 * (y - z)) : more < 0 ? -3e38f : 3e38f;
                t->cut[c][n - 1] = cut;
                if (cut > (n > 1 ? t->cut[c][n - 2] : -3e38f))
                    break;
            }
            t->member[c][n++] = (uint16_t)k;
        }
        t->members[c] = n;
        for (int i = 0; i < n; i++)
            t->value[c][i] = t->level[t->member[c][i]], t->add[c][i] = t->length_cost[t->member[c][i]];
        t->cut[c][n - 1] = INFINITY;
    }
    stretches(t);
}

typedef struct tcq_workspace {
    uint16_t (*cost)[4], (*best)[4];
    uint8_t *choices, *input;
} tcq_workspace;

static void work_free(tcq_workspace *w)
{
    free(w->cost), free(w->best), free(w->choices), free(w->input);
}

static int work_new(tcq_workspace *w, const bg_trained *t, size_t n, bg_err *e)
{
    *w = (tcq_workspace){malloc(n * sizeof *w->cost), malloc(n * sizeof *w->best),
                         malloc(bg_trellis_choice_bytes(&t->trellis, n)), malloc(n)};
    if (w->cost && w->best && w->choices && w->input)
        return BG_OK;
    work_free(w);
    return bg_no_memory(e, "trellis", n * (sizeof *w->cost + sizeof *w->best));
}

/* The member of subset c that is best for x, sought from `i` upwards. */
static inline int winner(const bg_trained *t, int c, float x, int i)
{
    while (x > t->cut[c][i])
        i++;
    return i;
}

/* Costs of the best member of each subset, in quanta above the least of the four. */
static inline void costs(const bg_trained *t, float x, uint16_t cost[4], uint16_t best[4])
{
    float s = (x - t->from) * t->per;
    const uint16_t *start = t->start[s > 0 ? (s < STRETCHES ? (int)s : STRETCHES) : 0];
    int i0 = winner(t, 0, x, start[0]), i1 = winner(t, 1, x, start[1]);
    int i2 = winner(t, 2, x, start[2]), i3 = winner(t, 3, x, start[3]);
    bg_f4 value = {t->value[0][i0], t->value[1][i1], t->value[2][i2], t->value[3][i3]};
    bg_f4 add = {t->add[0][i0], t->add[1][i1], t->add[2][i2], t->add[3][i3]};
    best[0] = (uint16_t)i0, best[1] = (uint16_t)i1, best[2] = (uint16_t)i2, best[3] = (uint16_t)i3;
    bg_f4 r = (bg_f4){x, x, x, x} - value, by = r * r + add;
    bg_f4 least = bg_f4_min(by, __builtin_shufflevector(by, by, 1, 0, 3, 2));
    least = bg_f4_min(least, __builtin_shufflevector(least, least, 2, 3, 0, 1));
    bg_f4 most = {BG_TRELLIS_MAX_COST, BG_TRELLIS_MAX_COST, BG_TRELLIS_MAX_COST, BG_TRELLIS_MAX_COST};
    bg_i4 quanta = __builtin_convertvector(bg_f4_min((by - least) * t->quanta + 0.5f, most), bg_i4);
    for (int c = 0; c < 4; c++)
        cost[c] = (uint16_t)quanta[c];
}

/* index[n]: the level of each weight of one sequence, on the best path from state 0. */
static void code_sequence(const bg_trained *t, const tcq_workspace *w, const float *x, size_t n, uint16_t *index)
{
    for (size_t i = 0; i < n; i++)
        costs(t, x[i], w->cost[i], w->best[i]);
    bg_trellis_search(&t->trellis, (const uint16_t(*)[4])w->cost, n, w->choices, w->input);
    int state = 0;
    for (size_t i = 0; i < n; i++) {
        int c = bg_trellis_subset(&t->trellis, state, w->input[i]);
        index[i] = t->member[c][w->best[i][c]];
        state = bg_trellis_next(&t->trellis, state, w->input[i]);
    }
}

/* ---- training ---- */

typedef struct bg_sample {
    float *x;
    uint16_t *index;
    size_t n;
    double mean, sigma, low, high; /* of the sample; the tensor's extremes */
} bg_sample;

static int code_sample(const bg_trained *t, const bg_sample *z, bg_err *e)
{
    int pieces = (int)((z->n + PIECE - 1) / PIECE);
    bg_failure failure = {0};
#pragma omp parallel for schedule(dynamic)
    for (int p = 0; p < pieces; p++) {
        size_t a = (size_t)p * PIECE, m = z->n - a < PIECE ? z->n - a : PIECE;
        tcq_workspace w;
        bg_err mine = {0};
        if (work_new(&w, t, m, &mine)) {
            bg_failure_note(&failure, p, &mine);
            continue;
        }
        code_sequence(t, &w, z->x + a, m, z->index + a);
        work_free(&w);
    }
    return bg_failure_status(&failure, e);
}

/* Moves levels to the means of what they code; returns the squared error per weight after that. counts[K] is filled. */
static double centroids(bg_trained *t, const bg_sample *z, double *counts)
{
    double *sum = calloc((size_t)t->K * 2, sizeof *sum), squares = 0, kept = 0;
    if (!sum)
        return HUGE_VAL;
    memset(counts, 0, (size_t)t->K * sizeof *counts);
    for (size_t i = 0; i < z->n; i++) { /* about the old level, so that nothing cancels */
        double r = (double)z->x[i] - (double)t->level[z->index[i]];
        counts[z->index[i]] += 1, sum[z->index[i]] += r, squares += r * r;
    }
    for (int k = 0; k < t->K; k++)
        if (counts[k] > 0) {
            kept += sum[k] * sum[k] / counts[k];
            t->level[k] = (float)((double)t->level[k] + sum[k] / counts[k]);
        }
    free(sum);
    return (squares - kept) / (double)z->n;
}

/* Conditional code lengths from counts; returns bits a weight. Levels never seen count as half a weight. */
static double lengths(bg_trained *t, const bg_sample *z, const double *counts, double lambda)
{
    double total[2] = {0, 0}, rate = 0;
    for (int k = 0; k < t->K; k++)
        total[k & 1] += fmax(counts[k], 0.5);
    for (int k = 0; k < t->K; k++) {
        double bits_k = log2(total[k & 1] / fmax(counts[k], 0.5));
        t->length_cost[k] = (float)(lambda * bits_k);
        rate += counts[k] * bits_k;
    }
    return rate / (double)z->n;
}

/* Panter and Dite's level density, the cube root of the weights', from a histogram of the sample. */
static void spread_levels(bg_trained *t, const bg_sample *z)
{
    enum { BINS = 256 };
    double low = z->mean - 8 * z->sigma, width = 16 * z->sigma / BINS, count[BINS] = {0}, all = 0, below = 0;
    for (size_t i = 0; i < z->n; i++) {
        double bin = width > 0 ? ((double)z->x[i] - low) / width : 0;
        count[bin > 0 ? (bin < BINS ? (int)bin : BINS - 1) : 0]++;
    }
    for (int i = 0; i < BINS; i++)
        all += cbrt(count[i]);
    for (int k = 0, i = 0; k < t->K; k++) {
        double want = (k + 0.5) / t->K * all;
        while (i < BINS - 1 && below + cbrt(count[i]) < want)
            below += cbrt(count[i++]);
        double part = count[i] > 0 ? (want - below) / cbrt(count[i]) : 0.5;
        t->level[k] = (float)(low + (i + fmin(fmax(part, 0), 1)) * width);
    }
}

static int train_fixed(bg_trained *t, const bg_sample *z, double *counts, bg_err *e)
{
    spread_levels(t, z);
    double before = HUGE_VAL;
    int status = BG_OK;
    for (int i = 0; !status && i < PASSES; i++) {
        envelopes(t);
        if ((status = code_sample(t, z, e)))
            break;
        double mse = centroids(t, z, counts);
        for (int k = 1; k < t->K; k++) /* levels keep their order, or subsets would change places */
            t->level[k] = fmaxf(t->level[k], t->level[k - 1]);
        if (!(before - mse > 3e-5 * mse))
            break;
        before = mse;
    }
    return status;
}

/* Even spacing over the tensor's range for one λ, then levels and lengths in turn. At high rate D = (4·step²/12)·0.75,
 * about, and λ = 2·ln2·D. */
static int lay_levels(bg_trained *t, const bg_sample *z, double lambda, bg_err *e)
{
    double step = sqrt(lambda * 3 / (2 * log(2) * 0.75)), reach = fmax(z->high - z->mean, z->mean - z->low);
    double half = ceil(reach / step);
    if (!(half < MOST_LEVELS / 2 - 2))
        return bg_fail(e, BG_USAGE,
                       "weights reach %.3g steps from their mean; at this rate a trellis has at most %d levels",
                       reach / step, MOST_LEVELS);
    int n = (int)half;
    n += 2 - (n & 1); /* even: the level at the mean is in D0 or D2 */
    t->K = 2 * n + 1;
    for (int k = 0; k < t->K; k++) {
        t->level[k] = (float)(z->mean + (k - n) * step);
        double u = (k - n) * step / fmax(z->sigma, 1e-300);
        t->length_cost[k] = (float)(lambda * (0.7213 * u * u)); /* a Gaussian's, up to a constant of each pair */
    }
    return BG_OK;
}

static int train_entropy(bg_trained *t, const bg_sample *z, double rate, double *counts, bg_err *e)
{
    double lambda = 2 * log(2) * z->sigma * z->sigma * exp2(-2 * (rate - 0.05)), got = 0;
    if (!(lambda > 0)) { /* one value */
        t->K = 5;
        for (int k = 0; k < 5; k++)
            t->level[k] = (float)z->mean, t->length_cost[k] = 0, counts[k] = 1;
        envelopes(t);
        return BG_OK;
    }
    bg_sample rough = *z; /* finds λ; the head of the sample is one, too */
    rough.n = z->n / 8 > PIECE ? z->n / 8 : z->n;
    for (int o = 0; o < OUTER; o++) {
        const bg_sample *y = o < OUTER - 2 ? &rough : z;
        int status = lay_levels(t, z, lambda, e);
        for (int i = 0; !status && i < INNER; i++) {
            envelopes(t);
            if ((status = code_sample(t, y, e)))
                return status;
            centroids(t, y, counts);
            for (int k = 1; k < t->K; k++)
                t->level[k] = fmaxf(t->level[k], t->level[k - 1]);
            got = lengths(t, y, counts, lambda);
        }
        if (status)
            return status;
        if (o < OUTER - 1 && fabs(got - rate) > 1e-4)
            lambda *= exp2(2 * (got - rate));
    }
    return BG_OK;
}

/* ---- the row ---- */

static void release(bg_trained *t)
{
    if (!t)
        return;
    free(t->level), free(t->length_cost);
    for (int c = 0; c < 4; c++)
        free(t->member[c]), free(t->cut[c]), free(t->value[c]), free(t->add[c]);
    bg_rans_free(&t->table[0]), bg_rans_free(&t->table[1]);
    free(t);
}

static bg_trained *new_trained(const bg_spec *s)
{
    bg_trained *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    const tcq_params *p = bg_grid_params(s);
    bg_trellis_init(&t->trellis, p->states);
    t->length = p->length, t->entropy = is_entropy(s);
    t->bits = (int)s->bits, t->K = 2 << t->bits;
    t->level = calloc(MOST_LEVELS, sizeof(float));
    t->length_cost = calloc(MOST_LEVELS, sizeof(float));
    int whole = t->level && t->length_cost;
    for (int c = 0; c < 4; c++) {
        t->member[c] = malloc(MOST_LEVELS / 4 * sizeof(uint16_t));
        t->cut[c] = malloc(MOST_LEVELS / 4 * sizeof(float));
        t->value[c] = malloc(MOST_LEVELS / 4 * sizeof(float));
        t->add[c] = malloc(MOST_LEVELS / 4 * sizeof(float));
        whole = whole && t->member[c] && t->cut[c] && t->value[c] && t->add[c];
    }
    if (whole)
        return t;
    release(t);
    return NULL;
}

/* A sample of the weights, every eighth of it together, so that the head is a smaller sample; and the extremes of all.
 */
static int read_sample(const bg_matrix *m, bg_sample *z, bg_err *e)
{
    float *all = NULL;
    size_t n = 0;
    int status = bg_vectors_read(m, 1, INT64_MAX, &all, &n, e);
    if (status)
        return status;
    z->n = n < SAMPLE ? n : SAMPLE;
    z->x = malloc((z->n + 1) * sizeof *z->x), z->index = malloc((z->n + 1) * sizeof *z->index);
    if (!z->x || !z->index || !n) {
        free(all);
        return n ? bg_no_memory(e, "training weights", z->n * 6) : bg_fail(e, BG_USAGE, "there are no weights");
    }
    double sum = 0, squares = 0;
    size_t eighth = z->n / 8;
    z->low = HUGE_VAL, z->high = -HUGE_VAL;
    for (size_t i = 0; i < n; i++)
        z->low = fmin(z->low, (double)all[i]), z->high = fmax(z->high, (double)all[i]);
    for (size_t i = 0; i < z->n; i++) {
        size_t a = (size_t)((double)i * (double)n / (double)z->n),
               b = (size_t)((double)(i + 1) * (double)n / (double)z->n);
        float x = all[a + bg_bits_at(m->seed ^ 0x7c9u, i) % (b > a ? b - a : 1)];
        z->x[i < eighth * 8 ? i % 8 * eighth + i / 8 : i] = x;
        sum += (double)x;
    }
    free(all);
    z->mean = sum / (double)z->n;
    for (size_t i = 0; i < z->n; i++)
        squares += ((double)z->x[i] - z->mean) * ((double)z->x[i] - z->mean);
    z->sigma = sqrt(squares / (double)z->n);
    return isfinite(z->sigma) ? BG_OK : bg_fail(e, BG_INPUT, "weights that are NaN or infinite cannot train a trellis");
}

/* The two tables of an entropy code, every level with a slot. */
static int tables(bg_trained *t, const double *counts, bg_err *e)
{
    double *half = malloc((size_t)t->K * sizeof *half), described = 0;
    int status = half ? BG_OK : bg_no_memory(e, "counts", (size_t)t->K * sizeof *half);
    for (int z = 0; !status && z < 2; z++) {
        int n = (t->K + 1 - z) / 2;
        for (int i = 0; i < n; i++)
            half[i] = fmax(counts[2 * i + z], 0.5);
        if (!(status = bg_rans_new(&t->table[z], n, e)) && !(status = bg_rans_fit(&t->table[z], half, 1, e)))
            status = bg_rans_describe(&t->table[z], &described, e);
        t->table_bits += described;
    }
    free(half);
    return status;
}

static int train(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    bg_sample z = {0};
    bg_trained *t = new_trained(s);
    double *counts = calloc(MOST_LEVELS, sizeof *counts);
    int status = t && counts ? read_sample(m, &z, e) : bg_no_memory(e, "trellis", MOST_LEVELS * 32);
    if (!status && z.sigma > 0) /* a thirty-second of the error to come: finer changes no path that matters */
        t->quanta = (float)(32 * exp2(2 * bits(s)) / (z.sigma * z.sigma));
    if (!status)
        status = t->entropy ? train_entropy(t, &z, bits(s), counts, e) : train_fixed(t, &z, counts, e);
    if (!status && t->entropy)
        status = tables(t, counts, e);
    if (!status) {
        bg_words_round(t->level, (size_t)t->K);
        envelopes(t);
        *out = t;
    } else
        release(t);
    free(counts), free(z.x), free(z.index);
    return status;
}

/* One rANS stream for a tile: the table of each symbol follows from the state. Written, read back by a decoder that
 * knows only the stream, and compared with the indices. */
static int stream(const bg_trained *t, const uint16_t *index, size_t n, double *stored, bg_err *e)
{
    size_t room = bg_rans_max_words(n);
    uint32_t *words = malloc(room * sizeof *words), *out = words + room;
    if (!words)
        return bg_no_memory(e, "coded stream", room * sizeof *words);
    uint64_t x[BG_RANS_LANES] = {BG_RANS_START, BG_RANS_START};
    for (size_t i = n; i-- > 0;)
        x[i % BG_RANS_LANES] = bg_rans_put(&t->table[index[i] & 1], x[i % BG_RANS_LANES], index[i] >> 1, &out);
    bg_rans_close(x, &out);
    const uint32_t *in = out, *end = words + room;
    bg_rans_open(x, &in);
    int state = 0, same = 1;
    for (size_t i = 0; same && i < n; i++) {
        state = i % (size_t)t->length ? state : 0;
        int odd = bg_trellis_subset(&t->trellis, state, 0) & 1;
        int k = (int)bg_rans_get(&t->table[odd], &x[i % BG_RANS_LANES], &in, end) * 2 + odd;
        int u = bg_trellis_subset(&t->trellis, state, 1) == (k & 3);
        same = k == index[i];
        state = bg_trellis_next(&t->trellis, state, u);
    }
    same = same && x[0] == BG_RANS_START && x[1] == BG_RANS_START && in == end;
    *stored = 32.0 * (double)(words + room - out) + 32;
    free(words);
    return same ? BG_OK : bg_fail(e, BG_INPUT, "the coded trellis does not read back");
}

static int code_tile(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e)
{
    (void)s;
    int64_t n = tile->rows, C = tile->cols;
    const float *w = tile->w;
    float *out = tile->out;
    size_t count = (size_t)(n * C), length = (size_t)t->length;
    tcq_workspace work;
    uint16_t *index = malloc((count + 1) * sizeof *index);
    int status = index ? work_new(&work, t, length, e) : bg_no_memory(e, "indices", count * sizeof *index);
    if (status) {
        free(index);
        return status;
    }
    for (size_t a = 0; a < count; a += length)
        code_sequence(t, &work, w + a, count - a < length ? count - a : length, index + a);
    for (size_t i = 0; i < count; i++)
        out[i] = t->level[index[i]];
    double stored = (double)t->bits * (double)count;
    if (t->entropy)
        status = stream(t, index, count, &stored, e);
    rate->indices += stored;
    work_free(&work);
    free(index);
    return status;
}

static void side(const bg_spec *s, const bg_trained *t, bg_rate *rate)
{
    (void)s;
    rate->codebook += 16.0 * t->K + 8;
    rate->table += t->table_bits;
}

const bg_grid bg_grid_tcq = {
    .name = "tcq",
    .title = "trellis-coded quantization, fixed rate or entropy-coded",
    .paper = "Marcellin and Fischer 1990; Fischer and Wang 1992; codes of Ungerboeck 1982",
    .family = "trellis",
    .keys = keys,
    .refuses = "levels zero clip scope",
    .default_scope = "tensor",
    .kind = BG_GRID_SEQUENCE,
    .check = check,
    .bits = bits,
    .train = train,
    .tile = code_tile,
    .rows_together = rows_together,
    .side = side,
    .release = release,
};
