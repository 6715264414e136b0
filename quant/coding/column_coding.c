/* Owns the coding of matrices by columns; the model is in columns.h. */
#include "quant/coding/column_coding.h"
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/probability/distribution.h"
#include "quant/kernel/rans.h"

enum { P = BG_COLUMNS_BLOCK, LANES = 8 /* rows side by side */, SLOT_BITS = 24 };

/* ---- laws of integers ---- */

static const double shapes[] = {1, 1.25, 1.5, 1.75, 2, 2.5};
enum { SHAPES = sizeof shapes / sizeof *shapes, REACH = 16, PER_SIGMA = 64, GRID = 2 * REACH * PER_SIGMA };

/* F(u) of unit variance at −REACH, …, REACH; between its points a straight line. */
typedef struct bell {
    double below[GRID + 2];
} bell;

static void bell_make(bell *b, double shape)
{
    bg_distribution law = *bg_distribution_find("ggd");
    law.shape = shape;
    for (int i = 0; i <= GRID; i++)
        b->below[i] = law.cdf(&law, (double)i / PER_SIGMA - REACH);
    b->below[GRID + 1] = b->below[GRID];
}

static double bell_at(const bell *b, double u)
{
    double at = fmin(fmax((u + REACH) * PER_SIGMA, 0), GRID);
    int i = (int)at;
    return b->below[i] + (at - i) * (b->below[i + 1] - b->below[i]);
}

/* Integers in [lo, lo + K). */
typedef struct range {
    int lo, K;
} range;

typedef struct law {
    float mean, spread;
} law;

/* Slots of the integers below x: each in the range has one, the rest are shared by the law. */
static uint32_t slots_below(const bell *b, range in, law l, int x)
{
    if (x <= in.lo)
        return 0;
    if (x >= in.lo + in.K)
        return 1u << SLOT_BITS;
    double share = bell_at(b, (x - 0.5 - (double)l.mean) / (double)l.spread);
    return (uint32_t)(share * ((1 << SLOT_BITS) - in.K)) + (uint32_t)(x - in.lo);
}

static uint64_t put(const bell *b, range in, law l, int x, uint64_t state, uint32_t **out)
{
    uint32_t first = slots_below(b, in, l, x);
    return bg_rans_put_slots(state, first, slots_below(b, in, l, x + 1) - first, SLOT_BITS, out);
}

static int take(const bell *b, range in, law l, uint64_t *state, const uint32_t **from, const uint32_t *end)
{
    uint32_t slot = bg_rans_slot(*state, SLOT_BITS);
    int low = in.lo, high = in.lo + in.K;
    while (high - low > 1) { /* the slot is of an integer in [low, high) */
        int mid = low + (high - low) / 2;
        *(slots_below(b, in, l, mid) <= slot ? &low : &high) = mid;
    }
    uint32_t first = slots_below(b, in, l, low);
    *state = bg_rans_take_slots(*state, first, slots_below(b, in, l, low + 1) - first, SLOT_BITS, from, end);
    return low;
}

/* ---- what the rows so far tell of the next ---- */

/* Before the first row: that the mean squares of rows vary by VARIANCE, as if ROWS rows had told it. */
static const double VARIANCE_BEFORE = 0.08, ROWS_BEFORE = 12;
enum { SEGMENT_SHARE = 8 /* of the rows so far that are learned from at once */ };

typedef struct model {
    int64_t rows, cols, blocks, seen;   /* rows so far */
    double spread;                      /* of a weight of the first row */
    float *unit;                        /* [cols] a weight of 1 */
    double *power;                      /* [rows] mean z² of rows so far */
    double varied;                      /* how much they vary more than chance makes them, summed over rows */
    double columns_before, rows_before; /* of average power, which a row has behind it in effect, and a column */
    double *sums;                       /* [blocks × P × P] Σ x_i·x_j, j ≤ i */
    double *factor;                     /* [blocks × P × P] of the correlations: L_ij at [i][j]; then of no use */
    float *ahead;                       /* [blocks × P × P] L_ji at [i][j] */
} model;

/* What happens to the integers of a column in up to LANES rows, given their laws. */
typedef void visit(void *self, int64_t row, int lanes, int64_t column, const law *l, int *integer);

static int64_t width(const model *m, int64_t block)
{
    return block + 1 < m->blocks ? P : m->cols - block * P;
}

static void model_free(model *m)
{
    free(m->unit), free(m->power), free(m->sums), free(m->factor), free(m->ahead);
}

static int model_new(model *m, int64_t rows, int64_t cols, double spread, bg_err *e)
{
    *m = (model){.rows = rows, .cols = cols, .blocks = (cols + P - 1) / P, .spread = spread};
    size_t cells = (size_t)m->blocks * P * P;
    m->unit = malloc((size_t)cols * sizeof *m->unit), m->power = malloc((size_t)rows * sizeof *m->power);
    m->sums = calloc(cells, sizeof *m->sums), m->factor = malloc(cells * sizeof *m->factor);
    m->ahead = malloc(cells * sizeof *m->ahead);
    if (m->unit && m->power && m->sums && m->factor && m->ahead)
        return BG_OK;
    model_free(m);
    return bg_no_memory(e, "column statistics", cells * (2 * sizeof(double) + sizeof(float)));
}

static void model_units(model *m, const int *step)
{
    for (int64_t j = 0; j < m->cols; j++)
        m->unit[j] = exp2f((float)step[j] / BG_COLUMNS_PER_OCTAVE);
}

/* ρ of columns.h. */
static double chance(const double *sums, int64_t n, int64_t rows)
{
    double squares = 0, noise = (double)(n * n - n) / (double)rows;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            double both = sums[i * P + i] * sums[j * P + j];
            squares += both > 0 ? 2 * sums[i * P + j] * sums[i * P + j] / both : 0;
        }
    return noise < squares ? fmax(noise / squares, 1e-3) : 1;
}

/* A block's factor of C. Correlations that make no factor, which rounding alone could bring about, are left out. */
static void learn(model *m, int64_t block)
{
    const double *sums = m->sums + block * P * P;
    double *L = m->factor + block * P * P, spread[P], own[P];
    float *ahead = m->ahead + block * P * P;
    int64_t n = width(m, block);
    double share = m->seen ? 1 - chance(sums, n, m->seen) : 0;
    for (int64_t i = 0; i < n; i++) {
        own[i] = sqrt(sums[i * P + i]);
        spread[i] =
            sqrt((m->rows_before * m->spread * m->spread + sums[i * P + i]) / (m->rows_before + (double)m->seen));
        for (int64_t j = 0; j < i; j++)
            L[i * P + j] = own[i] * own[j] > 0 ? share * sums[i * P + j] / (own[i] * own[j]) : 0;
        L[i * P + i] = 1;
    }
    /* Row-major lower is column-major upper. */
    int whole = share > 0 && !LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, L, P);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++)
            ahead[i * P + j] = (float)(spread[j] * (whole ? L[j * P + i] : i == j));
}

/* The mean of n squares of one Gaussian varies by 2/n of itself. Where those of many rows or columns vary by v more,
 * their common mean is worth as much as 2/v squares of their own. */
static double worth(double v)
{
    return 2 / fmax(v, 1e-5);
}

static void learn_rows(model *m, int64_t first)
{
    double n = (double)(m->seen - first), mean = 0, squares = 0;
    for (int64_t r = first; r < m->seen; r++)
        mean += m->power[r] / n;
    for (int64_t r = first; r < m->seen && mean > 0; r++)
        squares += pow(m->power[r] / mean - 1, 2);
    if (n > 1 && mean > 0)
        m->varied += n * (squares / (n - 1) - 2 / (double)m->cols);
}

static void learn_all(model *m)
{
    double mean = 0, squares = 0, n = (double)m->cols;
    for (int64_t c = 0; c < m->cols; c++)
        mean += m->sums[c * P + c % P] / n;
    for (int64_t c = 0; c < m->cols && mean > 0; c++)
        squares += pow(m->sums[c * P + c % P] / mean - 1, 2);
    m->rows_before = worth(m->seen && n > 1 ? squares / (n - 1) - 2 / (double)m->seen : VARIANCE_BEFORE);
    m->columns_before = worth((ROWS_BEFORE * VARIANCE_BEFORE + m->varied) / (ROWS_BEFORE + (double)m->seen));
#pragma omp parallel for schedule(dynamic)
    for (int64_t block = 0; block < m->blocks; block++)
        learn(m, block);
}

/* The next rows become part of the sums. */
static void add_rows(model *m, const uint16_t *symbols, int zero, int64_t rows)
{
#pragma omp parallel for schedule(dynamic, 16)
    for (int64_t c = 0; c < m->cols; c++) {
        int64_t block = c / P * P;
        double *sums = m->sums + c * P;
        for (int64_t r = 0; r < rows; r++) {
            const uint16_t *x = symbols + (m->seen + r) * m->cols + block;
            double own = (x[c - block] - zero) * (double)m->unit[c];
            for (int64_t j = 0; j <= c - block; j++)
                sums[j] += own * ((x[j] - zero) * (double)m->unit[block + j]);
        }
    }
    m->seen += rows;
}

/* Up to LANES rows from `row` on through all columns. */
static void walk(const model *m, int64_t row, int lanes, visit *at, void *self)
{
    static const float least = 1e-3F, furthest = 1e6F;
    float mean[P * LANES];
    double squares[LANES];
    for (int r = 0; r < LANES; r++)
        squares[r] = m->columns_before;
    for (int64_t c = 0; c < m->cols; c++) {
        int64_t i = c % P, n = width(m, c / P);
        const float *ahead = m->ahead + c * P;
        law l[LANES];
        int x[LANES] = {0};
        float unit = m->unit[c], z[LANES] = {0};
        if (!i)
            memset(mean, 0, sizeof mean);
        for (int r = 0; r < lanes; r++) {
            float scale = ahead[i] * (float)sqrt(squares[r] / (m->columns_before + (double)c));
            l[r] = (law){fminf(fmaxf(mean[i * LANES + r] / unit, -furthest), furthest), fmaxf(scale / unit, least)};
        }
        at(self, row, lanes, c, l, x);
        for (int r = 0; r < lanes; r++) {
            z[r] = ((float)x[r] * unit - mean[i * LANES + r]) / ahead[i];
            squares[r] += (double)z[r] * (double)z[r];
        }
        for (int64_t j = i + 1; j < n; j++)
            for (int r = 0; r < LANES; r++)
                mean[j * LANES + r] += ahead[j] * z[r];
    }
    for (int r = 0; r < lanes; r++)
        m->power[row + r] = (squares[r] - m->columns_before) / (double)m->cols;
}

/* All rows, in segments that grow with what has been seen. symbols: those that `at` has been given the laws of. */
static void follow(model *m, const uint16_t *symbols, int zero, int together, visit *at, void *self)
{
    while (m->seen < m->rows) {
        int64_t n = m->seen / SEGMENT_SHARE / LANES * LANES, first = m->seen;
        n = n > LANES ? n : LANES;
        n = n < m->rows - first ? n : m->rows - first;
        learn_all(m);
#pragma omp parallel for schedule(static) if (together)
        for (int64_t r = 0; r < n; r += LANES)
            walk(m, first + r, (int)(n - r < LANES ? n - r : LANES), at, self);
        add_rows(m, symbols, zero, n);
        learn_rows(m, first);
    }
}

/* ---- both directions ---- */

static const range of_steps = {-BG_COLUMNS_MOST_STEP, 2 * BG_COLUMNS_MOST_STEP + 1};

/* All that is stored beside steps and symbols. Spreads are in quarters of an octave. */
typedef struct header {
    int shape, spread, step_at, step_spread;
    range in;
} header;
enum { HEADER_BITS = 8 + 3 * 16 + 2 * 32 };

static float power(int quarters)
{
    return exp2f((float)quarters / BG_COLUMNS_PER_OCTAVE);
}

static int quarters(double squares, double n)
{
    return (int)fmax(lrint(BG_COLUMNS_PER_OCTAVE * 0.5 * log2(squares / n + 1e-30)), -200);
}

static int header_of(const bg_columns *c, header *h, bg_err *e)
{
    int least = 65535, most = 0;
    double squares = 0, sum = 0, apart = 0;
    if (!(c->rows > 0 && c->cols > 0))
        return bg_fail(e, BG_USAGE, "there are no symbols to code");
    for (int64_t j = 0; j < c->cols; j++) {
        double own = 0;
        for (int64_t i = 0; i < c->rows; i++) {
            int x = c->symbols[i * c->cols + j];
            least = x < least ? x : least, most = x > most ? x : most;
            own += (double)(x - c->zero) * (double)(x - c->zero);
        }
        squares += own * exp2(2.0 * c->step[j] / BG_COLUMNS_PER_OCTAVE);
        sum += c->step[j];
    }
    *h = (header){.step_at = (int)lrint(sum / (double)c->cols), .in = {least - c->zero, most - least + 1}};
    for (int64_t j = 0; j < c->cols; j++)
        apart += pow(c->step[j] - h->step_at, 2);
    h->spread = quarters(squares, (double)(c->rows * c->cols)), h->step_spread = quarters(apart, (double)c->cols);
    return BG_OK;
}

typedef struct encoder {
    const bg_columns *c;
    header h;
    bell bells[SHAPES];
    law *laws;       /* [rows × cols], a group of lanes after the other and there by columns */
    double *lengths; /* [groups of lanes × SHAPES] bits */
} encoder;

static void measure(void *self, int64_t row, int lanes, int64_t column, const law *l, int *integer)
{
    encoder *w = self;
    const bg_columns *c = w->c;
    memcpy(w->laws + row * c->cols + column * lanes, l, (size_t)lanes * sizeof *l);
    for (int r = 0; r < lanes; r++)
        integer[r] = c->symbols[(row + r) * c->cols + column] - c->zero;
    for (int s = 0; s < SHAPES; s++) {
        double slots = 1; /* at most 2^(SLOT_BITS · LANES) */
        for (int r = 0; r < lanes; r++)
            slots *= slots_below(&w->bells[s], w->h.in, l[r], integer[r] + 1) -
                     slots_below(&w->bells[s], w->h.in, l[r], integer[r]);
        w->lengths[row / LANES * SHAPES + s] += SLOT_BITS * lanes - log2(slots);
    }
}

/* The laws of all symbols, and the shape that suits them; *bits: what they take with it. */
static int design(encoder *w, double *bits, bg_err *e)
{
    model m;
    int status = model_new(&m, w->c->rows, w->c->cols, (double)power(w->h.spread), e);
    if (status)
        return status;
    model_units(&m, w->c->step);
    for (int s = 0; s < SHAPES; s++)
        bell_make(&w->bells[s], shapes[s]);
    follow(&m, w->c->symbols, w->c->zero, 1, measure, w);
    *bits = HUGE_VAL;
    for (int s = 0; s < SHAPES; s++) {
        double sum = 0;
        for (int64_t group = 0; group < (w->c->rows + LANES - 1) / LANES; group++)
            sum += w->lengths[group * SHAPES + s];
        if (sum < *bits)
            *bits = sum, w->h.shape = s;
    }
    model_free(&m);
    return BG_OK;
}

/* Backwards: the last symbol of the last group of lanes first, the steps last. Returns where the stream begins. */
static uint32_t *write_all(const encoder *w, uint32_t *out)
{
    const bg_columns *c = w->c;
    const bell *b = &w->bells[w->h.shape];
    uint64_t state[BG_RANS_LANES] = {BG_RANS_START, BG_RANS_START};
    for (int64_t row = (c->rows - 1) / LANES * LANES; row >= 0; row -= LANES) {
        int64_t lanes = c->rows - row < LANES ? c->rows - row : LANES;
        for (int64_t i = lanes * c->cols; i-- > 0;) {
            int x = c->symbols[(row + i % lanes) * c->cols + i / lanes] - c->zero;
            uint64_t *at = &state[i % BG_RANS_LANES];
            *at = put(b, w->h.in, w->laws[row * c->cols + i], x, *at, &out);
        }
    }
    law l = {(float)w->h.step_at, power(w->h.step_spread)};
    for (int64_t j = c->cols; j-- > 0;)
        state[j % BG_RANS_LANES] = put(b, of_steps, l, c->step[j], state[j % BG_RANS_LANES], &out);
    bg_rans_close(state, &out);
    return out;
}

typedef struct decoder {
    header h;
    bell bell;
    int zero, *step;   /* [cols] */
    uint16_t *symbols; /* [rows × cols] */
    int64_t cols;
    uint64_t state[BG_RANS_LANES];
    const uint32_t *in, *end;
} decoder;

static void read_column(void *self, int64_t row, int lanes, int64_t column, const law *l, int *integer)
{
    decoder *d = self;
    for (int r = 0; r < lanes; r++) {
        integer[r] = take(&d->bell, d->h.in, l[r], &d->state[(column * lanes + r) % BG_RANS_LANES], &d->in, d->end);
        d->symbols[(row + r) * d->cols + column] = (uint16_t)(integer[r] + d->zero);
    }
}

/* From the stream and the header alone. */
static int read_all(decoder *d, int64_t rows, bg_err *e)
{
    model m;
    int status = model_new(&m, rows, d->cols, (double)power(d->h.spread), e);
    if (status)
        return status;
    law l = {(float)d->h.step_at, power(d->h.step_spread)};
    bell_make(&d->bell, shapes[d->h.shape]);
    bg_rans_open(d->state, &d->in);
    for (int64_t j = 0; j < d->cols; j++)
        d->step[j] = take(&d->bell, of_steps, l, &d->state[j % BG_RANS_LANES], &d->in, d->end);
    model_units(&m, d->step);
    follow(&m, d->symbols, d->zero, 0, read_column, d);
    model_free(&m);
    return BG_OK;
}

static int reads_back(const encoder *w, const uint32_t *in, const uint32_t *end, bg_err *e)
{
    const bg_columns *c = w->c;
    size_t cells = (size_t)(c->rows * c->cols);
    decoder *d = calloc(1, sizeof *d);
    int *step = malloc((size_t)c->cols * sizeof *step), status = BG_OK;
    uint16_t *symbols = malloc(cells * sizeof *symbols);
    if (!d || !step || !symbols)
        status = bg_no_memory(e, "decoded columns", cells * sizeof *symbols);
    if (!status) {
        *d = (decoder){
            .h = w->h, .zero = c->zero, .step = step, .symbols = symbols, .cols = c->cols, .in = in, .end = end};
        status = read_all(d, c->rows, e);
    }
    if (!status && (memcmp(step, c->step, (size_t)c->cols * sizeof *step) ||
                    memcmp(symbols, c->symbols, cells * sizeof *symbols) || d->state[0] != BG_RANS_START ||
                    d->state[1] != BG_RANS_START || d->in != end))
        status = bg_fail(e, BG_INPUT, "the coded columns do not read back");
    free(d), free(step), free(symbols);
    return status;
}

int bg_columns_code(const bg_columns *c, double *bits, double *entropy, bg_err *e)
{
    encoder *w = calloc(1, sizeof *w);
    if (!w)
        return bg_no_memory(e, "columns", sizeof *w);
    w->c = c;
    int status = header_of(c, &w->h, e);
    size_t cells = status ? 0 : (size_t)(c->rows * c->cols), room = bg_rans_room(cells + (size_t)c->cols);
    w->laws = malloc(cells * sizeof *w->laws);
    w->lengths = calloc((size_t)(c->rows / LANES + 1) * SHAPES, sizeof *w->lengths);
    uint32_t *words = malloc(room * sizeof *words);
    if (!status && !(w->laws && w->lengths && words))
        status = bg_no_memory(e, "coded columns", cells * (sizeof *w->laws + sizeof *words));
    if (!status)
        status = design(w, entropy, e);
    if (!status) {
        uint32_t *from = write_all(w, words + room);
        *entropy /= (double)cells;
        *bits = 32.0 * (double)(words + room - from) + 32 + HEADER_BITS;
        status = reads_back(w, from, words + room, e);
    }
    free(w->laws), free(w->lengths), free(words), free(w);
    return status;
}
