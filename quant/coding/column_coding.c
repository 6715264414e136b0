/* Owns the coding of a matrix of integers whose columns have unequal steps. Model and stream are in column_coding.h.
 *
 * One walk_rows serves both directions. walk_matrix goes through the rows in segments; before each segment update_model
 * turns the sums over the rows so far into a factor for every block of columns; walk_rows then goes through the columns
 * of eight rows at a time and hands the predictions of one column to a visitor. The visitor of the encoder
 * (measure_column) stores the predictions and supplies the integers, the one of the decoder (read_column) reads the
 * integers from the stream. add_rows puts the integers of the segment into the sums.
 *
 * Invariants:
 * - Whatever a prediction depends on has been visited before, in the order of the decoder: rows of earlier segments and
 *   earlier columns of the same row. Encoder and decoder therefore compute the same floats, and none of them is stored.
 * - The order of all sums is fixed, so that the number of threads changes no bit.
 * - rANS is last in, first out: the predictions of all integers are computed forwards and stored, and write_stream
 *   encodes backwards. It costs 8 bytes per weight.
 */
#include "quant/coding/column_coding.h"
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/probability/distribution.h"
#include "quant/kernel/rans.h"

enum { P = BG_COLUMNS_BLOCK, LANES = 8 /* rows side by side */, SLOT_BITS = 24 };

/* ---- the distribution of an integer ---- */

static const double shapes[] = {1, 1.25, 1.5, 1.75, 2, 2.5};
enum { SHAPES = sizeof shapes / sizeof *shapes, REACH = 16, PER_SIGMA = 64, GRID = 2 * REACH * PER_SIGMA };

/* Distribution function F(u) of a generalised Gaussian of unit variance at PER_SIGMA points per σ from −REACH to REACH;
 * between the points it is a straight line. */
typedef struct cdf_table {
    double at[GRID + 2];
} cdf_table;

static void build_cdf(cdf_table *b, double shape)
{
    bg_distribution ggd = *bg_distribution_find("ggd");
    ggd.shape = shape;
    for (int i = 0; i <= GRID; i++)
        b->at[i] = ggd.cdf(&ggd, (double)i / PER_SIGMA - REACH);
    b->at[GRID + 1] = b->at[GRID];
}

static double interpolate_cdf(const cdf_table *b, double u)
{
    double at = fmin(fmax((u + REACH) * PER_SIGMA, 0), GRID);
    int i = (int)at;
    return b->at[i] + (at - i) * (b->at[i + 1] - b->at[i]);
}

/* Integers in [lo, lo + K). */
typedef struct range {
    int lo, K;
} range;

typedef struct prediction {
    float mean, spread;
} prediction;

/* How many of the 2^SLOT_BITS slots belong to integers below x: every integer of the range has one slot, so that any
 * can be coded, and the distribution shares out the rest. Slots of x: slots_below(x + 1) − slots_below(x). */
static uint32_t slots_below(const cdf_table *b, range in, prediction p, int x)
{
    if (x <= in.lo)
        return 0;
    if (x >= in.lo + in.K)
        return 1u << SLOT_BITS;
    double share = interpolate_cdf(b, (x - 0.5 - (double)p.mean) / (double)p.spread);
    return (uint32_t)(share * ((1 << SLOT_BITS) - in.K)) + (uint32_t)(x - in.lo);
}

static uint64_t encode_integer(const cdf_table *b, range in, prediction p, int x, uint64_t state, uint32_t **out)
{
    uint32_t first = slots_below(b, in, p, x);
    return bg_rans_put_slots(state, first, slots_below(b, in, p, x + 1) - first, SLOT_BITS, out);
}

static int decode_integer(const cdf_table *b, range in, prediction p, uint64_t *state, const uint32_t **from,
                          const uint32_t *end)
{
    uint32_t slot = bg_rans_slot(*state, SLOT_BITS);
    int low = in.lo, high = in.lo + in.K;
    while (high - low > 1) { /* the slot belongs to an integer in [low, high) */
        int mid = low + (high - low) / 2;
        *(slots_below(b, in, p, mid) <= slot ? &low : &high) = mid;
    }
    uint32_t first = slots_below(b, in, p, low);
    *state = bg_rans_take_slots(*state, first, slots_below(b, in, p, low + 1) - first, SLOT_BITS, from, end);
    return low;
}

/* ---- predictions from the rows so far ---- */

/* What is assumed before the first row: the mean squares of rows have the relative variance VARIANCE_BEFORE, with the
 * weight of ROWS_BEFORE observed rows. */
static const double VARIANCE_BEFORE = 0.08, ROWS_BEFORE = 12;
enum { SEGMENT_SHARE = 8 /* a segment is this part of the rows before it */ };

typedef struct model {
    int64_t rows, cols, blocks, seen;   /* rows so far */
    double spread;                      /* of a weight of the first row */
    float *unit;                        /* [cols] a weight of 1 */
    double *power;                      /* [rows] mean z² of rows so far */
    double varied;                      /* how much they vary more than noise_share makes them, summed over rows */
    double columns_before, rows_before; /* of average step_ratio, which a row has behind it in effect, and a column */
    double *sums;                       /* [blocks × P × P] Σ x_i·x_j, j ≤ i */
    double *factor;                     /* [blocks × P × P] of the correlations: L_ij at [i][j]; then of no use */
    float *ahead;                       /* [blocks × P × P] L_ji at [i][j] */
} model;

/* Visits one column of up to LANES rows: gets the predictions of its integers and returns the integers. */
typedef void visit_column(void *self, int64_t row, int lanes, int64_t column, const prediction *p, int *integer);

static int64_t block_width(const model *m, int64_t block)
{
    return block + 1 < m->blocks ? P : m->cols - block * P;
}

static void free_model(model *m)
{
    free(m->unit), free(m->power), free(m->sums), free(m->factor), free(m->ahead);
}

static int create_model(model *m, int64_t rows, int64_t cols, double spread, bg_err *e)
{
    *m = (model){.rows = rows, .cols = cols, .blocks = (cols + P - 1) / P, .spread = spread};
    size_t cells = (size_t)m->blocks * P * P;
    m->unit = malloc((size_t)cols * sizeof *m->unit), m->power = malloc((size_t)rows * sizeof *m->power);
    m->sums = calloc(cells, sizeof *m->sums), m->factor = malloc(cells * sizeof *m->factor);
    m->ahead = malloc(cells * sizeof *m->ahead);
    if (m->unit && m->power && m->sums && m->factor && m->ahead)
        return BG_OK;
    free_model(m);
    return bg_no_memory(e, "column statistics", cells * (2 * sizeof(double) + sizeof(float)));
}

static void set_units(model *m, const int *step)
{
    for (int64_t j = 0; j < m->cols; j++)
        m->unit[j] = exp2f((float)step[j] / BG_COLUMNS_PER_OCTAVE);
}

/* ρ of column_coding.h: the share of the squared correlations that noise_share alone would produce. */
static double noise_share(const double *sums, int64_t n, int64_t rows)
{
    double squares = 0, noise = (double)(n * n - n) / (double)rows;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            double both = sums[i * P + i] * sums[j * P + j];
            squares += both > 0 ? 2 * sums[i * P + j] * sums[i * P + j] / both : 0;
        }
    return noise < squares ? fmax(noise / squares, 1e-3) : 1;
}

/* Computes the factor L of a block's covariance C (column_coding.h), transposed and multiplied by the spreads. Where
 * the correlations are not positive definite, which only rounding can bring about, the columns count as independent. */
static void factor_block(model *m, int64_t block)
{
    const double *sums = m->sums + block * P * P;
    double *L = m->factor + block * P * P, spread[P], own[P];
    float *ahead = m->ahead + block * P * P;
    int64_t n = block_width(m, block);
    double share = m->seen ? 1 - noise_share(sums, n, m->seen) : 0;
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

/* The mean of n squares of Gaussian samples has the relative variance 2/n. Where the mean squares of rows (or columns)
 * have the relative variance v beyond that, knowing their common mean is equivalent_count 2/v samples of the row
 * itself. */
static double equivalent_count(double v)
{
    return 2 / fmax(v, 1e-5);
}

static void update_row_variation(model *m, int64_t first)
{
    double n = (double)(m->seen - first), mean = 0, squares = 0;
    for (int64_t r = first; r < m->seen; r++)
        mean += m->power[r] / n;
    for (int64_t r = first; r < m->seen && mean > 0; r++)
        squares += pow(m->power[r] / mean - 1, 2);
    if (n > 1 && mean > 0)
        m->varied += n * (squares / (n - 1) - 2 / (double)m->cols);
}

static void update_model(model *m)
{
    double mean = 0, squares = 0, n = (double)m->cols;
    for (int64_t c = 0; c < m->cols; c++)
        mean += m->sums[c * P + c % P] / n;
    for (int64_t c = 0; c < m->cols && mean > 0; c++)
        squares += pow(m->sums[c * P + c % P] / mean - 1, 2);
    m->rows_before = equivalent_count(m->seen && n > 1 ? squares / (n - 1) - 2 / (double)m->seen : VARIANCE_BEFORE);
    m->columns_before = equivalent_count((ROWS_BEFORE * VARIANCE_BEFORE + m->varied) / (ROWS_BEFORE + (double)m->seen));
#pragma omp parallel for schedule(dynamic)
    for (int64_t block = 0; block < m->blocks; block++)
        factor_block(m, block);
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

/* Walks up to LANES rows from `row` on through all columns. mean[j] collects Σ_{i<j} L_ji·z_i of the block at hand. */
static void walk_rows(const model *m, int64_t row, int lanes, visit_column *at, void *self)
{
    static const float min_spread = 1e-3F, max_mean = 1e6F;
    float mean[P * LANES];
    double squares[LANES];
    for (int r = 0; r < LANES; r++)
        squares[r] = m->columns_before;
    for (int64_t c = 0; c < m->cols; c++) {
        int64_t i = c % P, n = block_width(m, c / P);
        const float *ahead = m->ahead + c * P;
        prediction p[LANES];
        int x[LANES] = {0};
        float unit = m->unit[c], z[LANES] = {0};
        if (!i)
            memset(mean, 0, sizeof mean);
        for (int r = 0; r < lanes; r++) {
            float scale = ahead[i] * (float)sqrt(squares[r] / (m->columns_before + (double)c));
            p[r] = (prediction){fminf(fmaxf(mean[i * LANES + r] / unit, -max_mean), max_mean),
                                fmaxf(scale / unit, min_spread)};
        }
        at(self, row, lanes, c, p, x);
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

/* Walks all rows, in segments that grow with the rows seen (an eighth of them), so that refitting costs little.
 * `symbols` holds the integers of a segment once its columns have been visited. */
static void walk_matrix(model *m, const uint16_t *symbols, int zero, int together, visit_column *at, void *self)
{
    while (m->seen < m->rows) {
        int64_t n = m->seen / SEGMENT_SHARE / LANES * LANES, first = m->seen;
        n = n > LANES ? n : LANES;
        n = n < m->rows - first ? n : m->rows - first;
        update_model(m);
#pragma omp parallel for schedule(static) if (together)
        for (int64_t r = 0; r < n; r += LANES)
            walk_rows(m, first + r, (int)(n - r < LANES ? n - r : LANES), at, self);
        add_rows(m, symbols, zero, n);
        update_row_variation(m, first);
    }
}

/* ---- both directions ---- */

static const range of_steps = {-BG_COLUMNS_MAX_STEP, 2 * BG_COLUMNS_MAX_STEP + 1};

/* Everything that is stored besides steps and symbols. Spreads are in to_quarters of an octave. */
typedef struct header {
    int shape, spread, step_at, step_spread;
    range in;
} header;
enum { HEADER_BITS = 8 + 3 * 16 + 2 * 32 };

static float step_ratio(int quarters)
{
    return exp2f((float)quarters / BG_COLUMNS_PER_OCTAVE);
}

static int to_quarters(double squares, double n)
{
    return (int)fmax(lrint(BG_COLUMNS_PER_OCTAVE * 0.5 * log2(squares / n + 1e-30)), -200);
}

static int make_header(const bg_columns *c, header *h, bg_err *e)
{
    int min = 65535, max = 0;
    double squares = 0, sum = 0, apart = 0;
    if (!(c->rows > 0 && c->cols > 0))
        return bg_fail(e, BG_USAGE, "there are no symbols to code");
    for (int64_t j = 0; j < c->cols; j++) {
        double own = 0;
        for (int64_t i = 0; i < c->rows; i++) {
            int x = c->symbols[i * c->cols + j];
            min = x < min ? x : min, max = x > max ? x : max;
            own += (double)(x - c->zero) * (double)(x - c->zero);
        }
        squares += own * exp2(2.0 * c->step[j] / BG_COLUMNS_PER_OCTAVE);
        sum += c->step[j];
    }
    *h = (header){.step_at = (int)lrint(sum / (double)c->cols), .in = {min - c->zero, max - min + 1}};
    for (int64_t j = 0; j < c->cols; j++)
        apart += pow(c->step[j] - h->step_at, 2);
    h->spread = to_quarters(squares, (double)(c->rows * c->cols)), h->step_spread = to_quarters(apart, (double)c->cols);
    return BG_OK;
}

typedef struct encoder {
    const bg_columns *c;
    header h;
    cdf_table tables[SHAPES];
    prediction *predictions; /* [rows × cols], group of LANES rows by group, inside a group column by column */
    double *lengths;         /* [groups of lanes × SHAPES] bits */
} encoder;

static void measure_column(void *self, int64_t row, int lanes, int64_t column, const prediction *p, int *integer)
{
    encoder *w = self;
    const bg_columns *c = w->c;
    memcpy(w->predictions + row * c->cols + column * lanes, p, (size_t)lanes * sizeof *p);
    for (int r = 0; r < lanes; r++)
        integer[r] = c->symbols[(row + r) * c->cols + column] - c->zero;
    for (int s = 0; s < SHAPES; s++) {
        double slots = 1; /* a product of lanes, to decode_integer one logarithm: at most 2^(SLOT_BITS·LANES) */
        for (int r = 0; r < lanes; r++)
            slots *= slots_below(&w->tables[s], w->h.in, p[r], integer[r] + 1) -
                     slots_below(&w->tables[s], w->h.in, p[r], integer[r]);
        w->lengths[row / LANES * SHAPES + s] += SLOT_BITS * lanes - log2(slots);
    }
}

/* Computes the predictions of all symbols and chooses the shape with the shortest stream; *bits: its ideal length. */
static int choose_shape(encoder *w, double *bits, bg_err *e)
{
    model m;
    int status = create_model(&m, w->c->rows, w->c->cols, (double)step_ratio(w->h.spread), e);
    if (status)
        return status;
    set_units(&m, w->c->step);
    for (int s = 0; s < SHAPES; s++)
        build_cdf(&w->tables[s], shapes[s]);
    walk_matrix(&m, w->c->symbols, w->c->zero, 1, measure_column, w);
    *bits = HUGE_VAL;
    for (int s = 0; s < SHAPES; s++) {
        double sum = 0;
        for (int64_t group = 0; group < (w->c->rows + LANES - 1) / LANES; group++)
            sum += w->lengths[group * SHAPES + s];
        if (sum < *bits)
            *bits = sum, w->h.shape = s;
    }
    free_model(&m);
    return BG_OK;
}

/* Encodes backwards, the last symbol of the last group first and the steps last. Returns where the stream begins. */
static uint32_t *write_stream(const encoder *w, uint32_t *out)
{
    const bg_columns *c = w->c;
    const cdf_table *b = &w->tables[w->h.shape];
    uint64_t state[BG_RANS_LANES] = {BG_RANS_START, BG_RANS_START};
    for (int64_t row = (c->rows - 1) / LANES * LANES; row >= 0; row -= LANES) {
        int64_t lanes = c->rows - row < LANES ? c->rows - row : LANES;
        for (int64_t i = lanes * c->cols; i-- > 0;) {
            int x = c->symbols[(row + i % lanes) * c->cols + i / lanes] - c->zero;
            uint64_t *at = &state[i % BG_RANS_LANES];
            *at = encode_integer(b, w->h.in, w->predictions[row * c->cols + i], x, *at, &out);
        }
    }
    prediction p = {(float)w->h.step_at, step_ratio(w->h.step_spread)};
    for (int64_t j = c->cols; j-- > 0;)
        state[j % BG_RANS_LANES] = encode_integer(b, of_steps, p, c->step[j], state[j % BG_RANS_LANES], &out);
    bg_rans_close(state, &out);
    return out;
}

typedef struct decoder {
    header h;
    cdf_table table;
    int zero, *step;   /* [cols] */
    uint16_t *symbols; /* [rows × cols] */
    int64_t cols;
    uint64_t state[BG_RANS_LANES];
    const uint32_t *in, *end;
} decoder;

static void read_column(void *self, int64_t row, int lanes, int64_t column, const prediction *p, int *integer)
{
    decoder *d = self;
    for (int r = 0; r < lanes; r++) {
        integer[r] =
            decode_integer(&d->table, d->h.in, p[r], &d->state[(column * lanes + r) % BG_RANS_LANES], &d->in, d->end);
        d->symbols[(row + r) * d->cols + column] = (uint16_t)(integer[r] + d->zero);
    }
}

/* Decodes from the stream and the header alone. */
static int read_stream(decoder *d, int64_t rows, bg_err *e)
{
    model m;
    int status = create_model(&m, rows, d->cols, (double)step_ratio(d->h.spread), e);
    if (status)
        return status;
    prediction p = {(float)d->h.step_at, step_ratio(d->h.step_spread)};
    build_cdf(&d->table, shapes[d->h.shape]);
    bg_rans_open(d->state, &d->in);
    for (int64_t j = 0; j < d->cols; j++)
        d->step[j] = decode_integer(&d->table, of_steps, p, &d->state[j % BG_RANS_LANES], &d->in, d->end);
    set_units(&m, d->step);
    walk_matrix(&m, d->symbols, d->zero, 0, read_column, d);
    free_model(&m);
    return BG_OK;
}

static int check_stream(const encoder *w, const uint32_t *in, const uint32_t *end, bg_err *e)
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
        status = read_stream(d, c->rows, e);
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
    int status = make_header(c, &w->h, e);
    size_t cells = status ? 0 : (size_t)(c->rows * c->cols), capacity = bg_rans_max_words(cells + (size_t)c->cols);
    w->predictions = malloc(cells * sizeof *w->predictions);
    w->lengths = calloc((size_t)(c->rows / LANES + 1) * SHAPES, sizeof *w->lengths);
    uint32_t *words = malloc(capacity * sizeof *words);
    if (!status && !(w->predictions && w->lengths && words))
        status = bg_no_memory(e, "coded columns", cells * (sizeof *w->predictions + sizeof *words));
    if (!status)
        status = choose_shape(w, entropy, e);
    if (!status) {
        uint32_t *from = write_stream(w, words + capacity);
        *entropy /= (double)cells;
        *bits = 32.0 * (double)(words + capacity - from) + 32 + HEADER_BITS;
        status = check_stream(w, from, words + capacity, e);
    }
    free(w->predictions), free(w->lengths), free(words), free(w);
    return status;
}
