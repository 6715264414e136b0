/* The bitshift trellis with tables that need not be stored (QTIP): every window of L bits of the stream names a weight,
 * the next window starts R bits later. Table: pseudo-random normal draws from a fixed seed, or computed (1MAD, 3INST),
 * or pairs of weights from 512 trained pairs with a computed index (hybrid). A mean and a scale are stored for the
 * tensor.
 *
 * Weights run row after row in sequences of `length`. ends=fixed starts each from state 0, which costs no bit but
 * leaves the first L/R weights little choice; ends=biting lets the last window run into the first. Check: N(0,1), 2
 * bits, random table, fixed start, 4096 weights: 0.0895, 0.0787, 0.0733, 0.0678 for L = 8, 10, 12, 16. Tseng and others
 * 2024, arXiv 2406.11235.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/grid/codebook.h"
#include "quant/kernel/bitshift.h"
#include "quant/probability/random.h"

enum { PAIRS = 512, PAIR_SAMPLE = 32768, FIT_WEIGHTS = 8192, UNIT = 8192, MERGED = 6 };

struct bg_trained {
    bg_bitshift code; /* its table is the one below in units of 1/UNIT */
    float *table;
    int16_t *units;
    float mean, scale, reach; /* reach: what lies further out is searched as if it lay there */
    int length, biting, bits;
};

typedef enum bitshift_table { TABLE_RANDOM, TABLE_1MAD, TABLE_3INST, TABLE_HYBRID } bitshift_table;

typedef struct bitshift_params {
    int L, length;
    int table;  /* bitshift_table */
    int biting; /* ends=biting: a sequence starts where it ends */
} bitshift_params;

static const bg_key keys[] = {
    {.name = "bits", .type = BG_KEY_INTEGER, .min = 1, .max = 4, .default_text = "2", .help = "index bits a weight"},
    {.name = "L",
     .type = BG_KEY_INTEGER,
     .min = 5,
     .max = 16,
     .default_text = "16",
     .help = "bits of the state",
     BG_PARAM(bitshift_params, L)},
    {.name = "table",
     .type = BG_KEY_WORD,
     .words = "random|1mad|3inst|hybrid",
     .default_text = "random",
     .help = "what a state stands for",
     BG_PARAM(bitshift_params, table)},
    {.name = "length",
     .type = BG_KEY_INTEGER,
     .min = 64,
     .max = 4096,
     .default_text = "4096",
     .help = "weights in a sequence",
     BG_PARAM(bitshift_params, length)},
    {.name = "ends",
     .type = BG_KEY_WORD,
     .words = "fixed|biting",
     .default_text = "fixed",
     .help = "how a sequence starts",
     BG_PARAM(bitshift_params, biting)},
    {0},
};

static int is_hybrid(const bg_spec *s)
{
    return ((const bitshift_params *)bg_grid_params(s))->table == TABLE_HYBRID;
}

static int check(const bg_spec *s, bg_err *e)
{
    const bitshift_params *p = bg_grid_params(s);
    int L = p->L, K = (int)s->bits * (is_hybrid(s) ? 2 : 1);
    if (L - K < 4)
        return bg_fail(e, BG_USAGE, "'%s': L must exceed the bits of a step (%d) by 4", s->text, K);
    if (p->table != TABLE_RANDOM && L != 16)
        return bg_fail(e, BG_USAGE, "'%s': computed tables are made for L=16", s->text);
    if (is_hybrid(s) && p->length % 2)
        return bg_fail(e, BG_USAGE, "'%s': the hybrid table codes pairs; length must be even", s->text);
    return BG_OK;
}

static int64_t rows_together(const bg_spec *s, int64_t C)
{
    int64_t length = ((const bitshift_params *)bg_grid_params(s))->length;
    return C >= length ? 1 : (length + C - 1) / C;
}

/* ---- tables ---- */

static double normal_at(uint64_t seed, uint64_t i)
{
    return sqrt(-2 * log(bg_uniform_at(seed, 2 * i))) * cos(2 * acos(-1) * bg_uniform_at(seed, 2 * i + 1));
}

/* The pairs: k-means of normal pairs that no tensor changes, so that nothing is stored. */
static int hybrid_table(float *table, size_t N, bg_err *e)
{
    float *x = malloc(2 * PAIR_SAMPLE * sizeof *x);
    if (!x)
        return bg_no_memory(e, "hybrid table", 2 * PAIR_SAMPLE * sizeof *x);
    for (size_t i = 0; i < PAIR_SAMPLE; i++) { /* the first is folded: its sign comes from the state */
        x[2 * i] = (float)fabs(normal_at(0x9b1d, 2 * i));
        x[2 * i + 1] = (float)normal_at(0x9b1d, 2 * i + 1);
    }
    bg_codebook c;
    bg_codebook_options o = {.K = PAIRS, .d = 2, .restarts = 1, .seed = 0x9b1d};
    int status = bg_codebook_train(&c, x, PAIR_SAMPLE, 2, &o, e);
    free(x);
    if (status)
        return status;
    for (size_t s = 0; s < N; s++) {
        float sign;
        int k = bg_bitshift_hybrid((uint32_t)s, &sign);
        table[s] = sign * c.words[2 * k], table[N + s] = c.words[2 * k + 1];
    }
    bg_codebook_free(&c);
    return BG_OK;
}

/* Mean 0 and variance 1 over the states. */
static void standardise(float *table, size_t n)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)table[i], squares += (double)table[i] * (double)table[i];
    double mean = sum / (double)n, sigma = sqrt(squares / (double)n - mean * mean);
    for (size_t i = 0; i < n; i++)
        table[i] = (float)(((double)table[i] - mean) / sigma);
}

static int fill_table(const bg_spec *s, float *table, size_t N, bg_err *e)
{
    const bitshift_params *p = bg_grid_params(s);
    int status = is_hybrid(s) ? hybrid_table(table, N, e) : BG_OK;
    for (size_t i = 0; !is_hybrid(s) && i < N; i++)
        table[i] = p->table == TABLE_1MAD    ? bg_bitshift_1mad((uint32_t)i)
                   : p->table == TABLE_3INST ? bg_bitshift_3inst((uint32_t)i)
                                             : (float)normal_at(0xb1758, i);
    if (!status)
        standardise(table, is_hybrid(s) ? 2 * N : N);
    return status;
}

/* ---- sequences ---- */

typedef struct bitshift_workspace {
    int16_t *x;
    uint16_t *metrics;
    uint8_t *choices;
    uint16_t *state;
} bitshift_workspace;

static void work_free(bitshift_workspace *w)
{
    free(w->x), free(w->metrics), free(w->choices), free(w->state);
}

static int work_new(bitshift_workspace *w, const bg_trained *t, bg_err *e)
{
    size_t n = (size_t)t->length + 2, room = bg_bitshift_choices(&t->code, n);
    *w = (bitshift_workspace){calloc(2 * n, sizeof(int16_t)), calloc(bg_bitshift_metrics(&t->code), sizeof(uint16_t)),
                              malloc(room), malloc(n * sizeof(uint16_t))};
    if (w->x && w->metrics && w->choices && w->state)
        return BG_OK;
    work_free(w);
    return bg_no_memory(e, "trellis", room);
}

static int16_t in_units(float y, float reach)
{
    y = fminf(fmaxf(y, -reach), reach) * UNIT;
    return (int16_t)lrintf(fminf(fmaxf(y, -INT16_MAX), INT16_MAX));
}

/* The state that both ends of a tail-biting sequence share, from a search through its seam: `around` steps before it
 * and as many after, by when paths from all states have merged, with both ends free. */
static int seam(const bg_trained *t, bitshift_workspace *k, size_t steps, size_t around)
{
    const bg_bitshift *b = &t->code;
    size_t V = (size_t)b->V, bytes = around * V * sizeof *k->x;
    int16_t *turned = k->x + (size_t)t->length + 2;
    memcpy(turned, k->x + (steps - around) * V, bytes);
    memcpy(turned + around * V, k->x, bytes);
    bg_bitshift_search(b, turned, 2 * around, (bg_bitshift_ends){BG_BITSHIFT_FREE, BG_BITSHIFT_FREE},
                       (bg_bitshift_workspace){k->metrics, k->choices}, k->state);
    return k->state[around] >> b->K;
}

/* Codes n weights (standardised into work->x) and reconstructs them to out. A tail-biting sequence too short to forget
 * its start is fixed. */
static void code_sequence(const bg_trained *t, bitshift_workspace *k, const float *w, size_t n, float *out)
{
    const bg_bitshift *b = &t->code;
    size_t V = (size_t)b->V, steps = (n + V - 1) / V, N = (size_t)1 << b->L;
    size_t memory = ((size_t)b->L + (size_t)b->K - 1) / (size_t)b->K, around = MERGED * memory;
    int end = BG_BITSHIFT_FREE, start = 0;
    k->x[n] = 0; /* the second of a pair that n leaves alone */
    for (size_t i = 0; i < n; i++)
        k->x[i] = t->scale > 0 ? in_units((w[i] - t->mean) / t->scale, t->reach) : 0;
    if (t->biting && steps >= 4 * memory)
        start = end = seam(t, k, steps, around < steps / 2 ? around : steps / 2);
    bg_bitshift_search(b, k->x, steps, (bg_bitshift_ends){start, end}, (bg_bitshift_workspace){k->metrics, k->choices},
                       k->state);
    for (size_t i = 0; i < n; i++)
        out[i] = t->mean + t->scale * t->table[i % V * N + k->state[i / V]];
}

/* ---- the row ---- */

static void release(bg_trained *t)
{
    if (t)
        free(t->table), free(t->units), free(t);
}

/* The search's table: ±4 in 16 bits, the few normal numbers beyond count as 4. From 3 bits on, costs are doubled so
 * that a unit of cost stays a small share of the error to come (1/70 at 2 bits); they saturate at a distance of `near`,
 * and weights are searched for at most half of that beyond the table. */
static void fill_units(bg_trained *t, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(t->table[i]));
    t->code.doublings = t->bits > 2 ? t->bits - 2 : 0, t->code.table = t->units;
    float near = ldexpf(4, -t->code.doublings);
    t->reach = most + near / 2;
    for (size_t i = 0; i < n; i++)
        t->units[i] = in_units(t->table[i], most);
}

/* Squared error of the sample x[n] with another scale; out[n] is room. */
static double error_at(bg_trained *t, bitshift_workspace *k, double scale, const float *x, size_t n, float *out)
{
    double sum = 0;
    t->scale = (float)scale;
    for (size_t a = 0; a < n; a += (size_t)t->length)
        code_sequence(t, k, x + a, n - a < (size_t)t->length ? n - a : (size_t)t->length, out + a);
    for (size_t i = 0; i < n; i++)
        sum += ((double)x[i] - (double)out[i]) * ((double)x[i] - (double)out[i]);
    return sum;
}

/* The scale with the least error on a sample, by golden section around σ. (The least squares scale of one path after
 * the other creeps: paths hardly change with the scale.) */
static int fit_scale(bg_trained *t, double sigma, const float *x, size_t n, bg_err *e)
{
    enum { STEPS = 6 };
    const double golden = 0.6180339887498949;
    bitshift_workspace k;
    float *out = malloc((n + 1) * sizeof *out);
    int status = out ? work_new(&k, t, e) : bg_no_memory(e, "trellis", n * sizeof *out);
    if (!status) {
        double low = 0.8 * sigma, high = 1.3 * sigma, a = high - golden * (high - low), b = low + golden * (high - low);
        double at_a = error_at(t, &k, a, x, n, out), at_b = error_at(t, &k, b, x, n, out);
        for (int i = 0; i < STEPS; i++) {
            int left = at_a < at_b;
            *(left ? &high : &low) = left ? b : a;
            double next = left ? high - golden * (high - low) : low + golden * (high - low);
            double at = error_at(t, &k, next, x, n, out);
            if (left)
                b = a, at_b = at_a, a = next, at_a = at;
            else
                a = b, at_a = at_b, b = next, at_b = at;
        }
        t->scale = (float)(at_a < at_b ? a : b);
        work_free(&k);
    }
    free(out);
    return status;
}

static int train(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    float *x = NULL;
    size_t n = 0;
    bg_trained *t = calloc(1, sizeof *t);
    int status = t ? bg_vectors_read(m, 1, 1 << 24, &x, &n, e) : bg_no_memory(e, "trellis", sizeof *t);
    if (status) {
        release(t);
        return status;
    }
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    t->mean = (float)(n ? sum / (double)n : 0);
    for (size_t i = 0; i < n; i++)
        squares += ((double)x[i] - (double)t->mean) * ((double)x[i] - (double)t->mean);
    double sigma = n ? sqrt(squares / (double)n) : 0;
    const bitshift_params *p = bg_grid_params(s);
    t->bits = (int)s->bits, t->length = p->length;
    t->biting = p->biting;
    t->scale = (float)(sigma * sqrt(1 - exp2(-2 * t->bits)));
    t->code = (bg_bitshift){p->L, t->bits * (is_hybrid(s) ? 2 : 1), is_hybrid(s) ? 2 : 1, 0, NULL};
    size_t N = (size_t)1 << t->code.L, all = N * (size_t)t->code.V, fit = n < FIT_WEIGHTS ? n : FIT_WEIGHTS;
    t->table = malloc(all * sizeof *t->table), t->units = malloc(all * sizeof *t->units);
    status = !t->table || !t->units ? bg_no_memory(e, "trellis table", all * 6)
             : !isfinite(sigma)     ? bg_fail(e, BG_INPUT, "weights that are NaN or infinite cannot train a trellis")
                                    : fill_table(s, t->table, N, e);
    if (!status)
        fill_units(t, all);
    for (size_t i = 0; !status && i < fit; i++) /* spread over the tensor */
        x[i] = x[(size_t)((double)i * (double)n / (double)fit)];
    if (!status && sigma > 0)
        status = fit_scale(t, sigma, x, fit, e);
    free(x);
    if (status)
        release(t);
    else
        *out = t;
    return status;
}

static int code_tile(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e)
{
    (void)s;
    int64_t n = tile->rows, C = tile->cols;
    const float *w = tile->w;
    float *out = tile->out;
    size_t count = (size_t)(n * C), length = (size_t)t->length;
    bitshift_workspace k;
    int status = work_new(&k, t, e);
    if (status)
        return status;
    for (size_t a = 0; a < count; a += length)
        code_sequence(t, &k, w + a, count - a < length ? count - a : length, out + a);
    work_free(&k);
    rate->indices += (double)t->bits * (double)count;
    rate->padding += t->code.V == 2 && count % 2 ? t->bits : 0;
    return BG_OK;
}

static void side(const bg_spec *s, const bg_trained *t, bg_rate *rate)
{
    (void)s, (void)t;
    rate->scales += 32, rate->zeros += 32;
}

const bg_grid bg_grid_bitshift = {
    .name = "bitshift",
    .title = "bitshift trellis with a computed or pseudo-random table",
    .paper = "Tseng, Sun, Hou and De Sa 2024 (QTIP), arXiv 2406.11235",
    .family = "trellis",
    .keys = keys,
    .refuses = "levels zero clip scope code",
    .default_scope = "tensor",
    .kind = BG_GRID_SEQUENCE,
    .check = check,
    .train = train,
    .tile = code_tile,
    .rows_together = rows_together,
    .side = side,
    .release = release,
};
