/* Owns the coding of matrices by columns; the model is in columns.h. */
#include "quant/columns.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/source.h"
#include "quant/entropy.h"

/* Rung r of the ladder has a standard deviation of 2^((r − NARROW)/4) integers. */
enum { NARROW = 12, RUNGS = 72, SURE = RUNGS, HEADER_BITS = 144, NEAR = 2, FAR = 5 };
static const double shapes[] = {0.7, 1, 1.25, 1.5, 1.75, 2, 2.5, 4};
enum { SHAPES = sizeof shapes / sizeof *shapes };
enum { OF_STEPS = RUNGS, OF_RESIDUALS, OF_ROWS, TABLES };

/* Integers in [lo, lo + K). A weight's rung is its column's and its row's together, within the ladder. */
typedef struct work {
    const bg_columns *c;
    int lo, K, shape, offset, step_at; /* see predicted(); steps are coded about step_at */
    float *length;                     /* [RUNGS × K] bits of an integer on a rung */
    int *rung, *residual, *row;        /* [cols], [cols], [rows] */
    bg_rans_table table[TABLES];       /* of rungs in use, of steps, residuals and rows */
} work;

static int within(int rung) { return rung < 0 ? 0 : rung < RUNGS ? rung : RUNGS - 1; }

/* A column's rung as its step alone tells it; the residual, at most RUNGS, is what it is off. */
static int predicted(const work *w, int step) { return within(w->offset - step); }

/* p[K]: what a rung gives the integers lo…lo+K−1, all together 1. */
static void bell(double shape, int rung, int lo, int K, double *p)
{
    bg_law law = *bg_law_find("ggd");
    double s = exp2((double)(rung - NARROW) / BG_COLUMNS_PER_OCTAVE), sum = 0, below;
    law.shape = shape;
    below = law.cdf(&law, (lo - 0.5) / s);
    for (int k = 0; k < K; k++) {
        double upto = law.cdf(&law, (lo + k + 0.5) / s);
        p[k] = fmax(upto - below, 1e-12), below = upto;
        sum += p[k];
    }
    for (int k = 0; k < K; k++)
        p[k] /= sum;
}

static int room(work *w, bg_err *e)
{
    const bg_columns *c = w->c;
    int least = 65535, most = 0;
    size_t cells = (size_t)(c->rows * c->cols);
    if (!cells)
        return bg_fail(e, BG_USAGE, "there are no symbols to code");
    for (size_t i = 0; i < cells; i++) {
        least = c->symbols[i] < least ? c->symbols[i] : least;
        most = c->symbols[i] > most ? c->symbols[i] : most;
    }
    w->lo = least - c->zero, w->K = most - least + 1;
    w->length = malloc((size_t)RUNGS * (size_t)w->K * sizeof *w->length);
    w->rung = malloc((size_t)c->cols * sizeof *w->rung), w->residual = malloc((size_t)c->cols * sizeof *w->residual);
    w->row = calloc((size_t)c->rows, sizeof *w->row);
    return w->length && w->rung && w->residual && w->row ? BG_OK : bg_no_memory(e, "columns", (size_t)RUNGS * (size_t)w->K * 4);
}

static int lengths(work *w, double shape, bg_err *e)
{
    double *p = malloc((size_t)w->K * sizeof *p), least = exp2(-bg_rans_bits(w->K));
    if (!p)
        return bg_no_memory(e, "columns", (size_t)w->K * sizeof *p);
    for (int r = 0; r < RUNGS; r++) {
        bell(shape, r, w->lo, w->K, p);
        for (int k = 0; k < w->K; k++)
            w->length[r * w->K + k] = (float)-log2(fmax(p[k], least));
    }
    free(p);
    return BG_OK;
}

static int integer(const work *w, int64_t row, int64_t column)
{
    return w->c->symbols[row * w->c->cols + column] - w->c->zero - w->lo;
}

/* Bits of a column if it had another rung; of a row with another one. */
static double column_length(const work *w, int64_t column, int rung)
{
    double sum = 0;
    for (int64_t i = 0; i < w->c->rows; i++)
        sum += (double)w->length[within(rung + w->row[i]) * w->K + integer(w, i, column)];
    return sum;
}

static double row_length(const work *w, int64_t row, int of_row)
{
    double sum = 0;
    for (int64_t j = 0; j < w->c->cols; j++)
        sum += (double)w->length[within(w->rung[j] + of_row) * w->K + integer(w, row, j)];
    return sum;
}

/* The rung whose spread is the column's own, for a start. */
static void measure_columns(work *w)
{
    for (int64_t j = 0; j < w->c->cols; j++) {
        double squares = 0;
        for (int64_t i = 0; i < w->c->rows; i++)
            squares += pow(integer(w, i, j) + w->lo, 2);
        double rung = BG_COLUMNS_PER_OCTAVE * 0.5 * log2(squares / (double)w->c->rows + 1e-9);
        w->rung[j] = within((int)lrint(rung) + NARROW);
    }
}

/* Better rungs at most `near` from the ones there are, given the rows; `price` (from −SURE to SURE, NULL: none): bits of a residual.
 * Returns Σ bits. */
static double choose_columns(work *w, int near, const double *price)
{
    double total = 0;
#pragma omp parallel for schedule(static)
    for (int64_t j = 0; j < w->c->cols; j++) {
        double least = HUGE_VAL;
        int from = w->rung[j], best = from;
        for (int r = within(from - near); r <= within(from + near); r++) {
            double bits = column_length(w, j, r) + (price ? price[r - predicted(w, w->c->step[j]) + SURE] : 0);
            if (bits < least)
                least = bits, best = r;
        }
        w->rung[j] = best, w->residual[j] = best - predicted(w, w->c->step[j]);
    }
    for (int64_t j = 0; j < w->c->cols; j++)
        total += column_length(w, j, w->rung[j]);
    return total;
}

static void choose_rows(work *w, int near, const double *price)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < w->c->rows; i++) {
        double least = HUGE_VAL;
        int from = w->row[i];
        for (int r = from - near; r <= from + near; r++) {
            double bits = row_length(w, i, r) + (price ? price[r + SURE] : 0);
            if (bits < least)
                least = bits, w->row[i] = r;
        }
    }
}

/* The commonest offset of rungs from steps, and what is left. */
static void predict(work *w)
{
    enum { OFFSETS = RUNGS + 2 * BG_COLUMNS_MOST_STEP + 1 };
    int votes[OFFSETS] = {0}, best = 0;
    for (int64_t j = 0; j < w->c->cols; j++)
        votes[w->rung[j] + w->c->step[j] + BG_COLUMNS_MOST_STEP]++;
    for (int i = 1; i < OFFSETS; i++)
        best = votes[i] > votes[best] ? i : best;
    w->offset = best - BG_COLUMNS_MOST_STEP;
    for (int64_t j = 0; j < w->c->cols; j++)
        w->residual[j] = w->rung[j] - predicted(w, w->c->step[j]);
}

/* The rung that codes n integers best, each less `at`; the bits they take. lo, K: their range. */
static int best_bell(const int *x, int64_t n, int at, double shape, int lo, int K, double *bits, bg_err *e)
{
    double *p = malloc((size_t)K * sizeof *p);
    int best = 0;
    *bits = HUGE_VAL;
    if (!p) {
        bg_no_memory(e, "columns", (size_t)K * sizeof *p);
        return -1;
    }
    for (int r = 0; r < RUNGS; r++) {
        double sum = 0;
        bell(shape, r, lo, K, p);
        for (int64_t i = 0; i < n; i++)
            sum -= log2(fmax(p[x[i] - at - lo], 1e-5));
        if (sum < *bits)
            *bits = sum, best = r;
    }
    free(p);
    return best;
}

static int make_table(bg_rans_table *t, double shape, int rung, int lo, int K, bg_err *e)
{
    double *p = malloc((size_t)K * sizeof *p);
    int status = p ? bg_rans_new(t, K, e) : bg_no_memory(e, "columns", (size_t)K * sizeof *p);
    if (!status) {
        bell(shape, rung, lo, K, p);
        status = bg_rans_fit(t, p, 1, e);
    }
    free(p);
    return status;
}

/* Fits a table of small integers (at most SURE from 0) and their prices. */
static int small_table(bg_rans_table *t, const int *x, int64_t n, double *price, bg_err *e)
{
    double bits;
    int K = 2 * SURE + 1, rung = best_bell(x, n, 0, 1, -SURE, K, &bits, e);
    if (rung < 0)
        return BG_RESOURCE;
    bell(1, rung, -SURE, K, price);
    for (int i = 0; i < K; i++)
        price[i] = -log2(fmax(price[i], 1e-5));
    bg_rans_free(t);
    return make_table(t, 1, rung, -SURE, K, e);
}

static int used_tables(work *w, bg_err *e)
{
    enum { REACH = 2 * BG_COLUMNS_MOST_STEP };
    double bits;
    int status = BG_OK, of_steps = best_bell(w->c->step, w->c->cols, w->step_at, 2, -REACH, 2 * REACH + 1, &bits, e);
    if (of_steps < 0)
        return BG_RESOURCE;
    for (int64_t j = 0; j < w->c->cols; j++)
        for (int64_t i = 0; i < w->c->rows && !status; i++) {
            bg_rans_table *t = &w->table[within(w->rung[j] + w->row[i])];
            if (!t->K)
                status = make_table(t, shapes[w->shape], within(w->rung[j] + w->row[i]), w->lo, w->K, e);
        }
    return status ? status : make_table(&w->table[OF_STEPS], 2, of_steps, -REACH, 2 * REACH + 1, e);
}

/* Shape, columns and rows by turns, first without the price of what they cost, then with it. */
static int design(work *w, bg_err *e)
{
    double least = HUGE_VAL, bits, sum = 0, price[2 * SURE + 1], row_price[2 * SURE + 1];
    int status = BG_OK, best = 0;
    measure_columns(w);
    for (int s = 0; s < SHAPES && !status; s++)
        if (!(status = lengths(w, shapes[s], e)) && (bits = choose_columns(w, NEAR, NULL)) < least)
            least = bits, best = s;
    if (status || (status = lengths(w, shapes[best], e)))
        return status;
    w->shape = best;
    choose_columns(w, FAR, NULL);
    choose_rows(w, FAR, NULL);
    predict(w);
    for (int64_t j = 0; j < w->c->cols; j++)
        sum += w->c->step[j];
    w->step_at = (int)lrint(sum / (double)w->c->cols);
    for (int pass = 0; pass < 2 && !status; pass++) {
        if (!(status = small_table(&w->table[OF_RESIDUALS], w->residual, w->c->cols, price, e)))
            status = small_table(&w->table[OF_ROWS], w->row, w->c->rows, row_price, e);
        choose_columns(w, NEAR, price);
        choose_rows(w, NEAR, row_price);
    }
    return status ? status : used_tables(w, e);
}

/* The i-th thing written: steps, then residuals, rows, and symbols row by row. */
static unsigned nth(const work *w, size_t i, const bg_rans_table **t)
{
    size_t C = (size_t)w->c->cols, R = (size_t)w->c->rows, side = 2 * C + R;
    if (i < side) {
        *t = &w->table[i < C ? OF_STEPS : i < 2 * C ? OF_RESIDUALS : OF_ROWS];
        return (unsigned)(i < C       ? w->c->step[i] - w->step_at + 2 * BG_COLUMNS_MOST_STEP
                          : i < 2 * C ? w->residual[i - C] + SURE
                                      : w->row[i - 2 * C] + SURE);
    }
    size_t row = (i - side) / C, column = (i - side) % C;
    *t = &w->table[within(w->rung[column] + w->row[row])];
    return (unsigned)integer(w, (int64_t)row, (int64_t)column);
}

/* The decoder's tables follow from what it has read. */
static int reads_back(const work *w, const uint32_t *in, const uint32_t *end, int *step, int *rung, int *of_row)
{
    size_t C = (size_t)w->c->cols, R = (size_t)w->c->rows, side = 2 * C + R;
    uint64_t x[BG_RANS_LANES];
    int same = 1;
    bg_rans_open(x, &in);
    for (size_t i = 0; same && i < side + R * C; i++) {
        size_t row = i < side ? 0 : (i - side) / C, column = i < side ? i % C : (i - side) % C;
        int table = i < C ? OF_STEPS : i < 2 * C ? OF_RESIDUALS : i < side ? OF_ROWS : within(rung[column] + of_row[row]);
        if (!w->table[table].K)
            return 0;
        int symbol = (int)bg_rans_get(&w->table[table], &x[i % BG_RANS_LANES], &in, end);
        if (i < C)
            step[i] = symbol - 2 * BG_COLUMNS_MOST_STEP + w->step_at;
        else if (i < 2 * C)
            rung[i - C] = within(symbol - SURE + predicted(w, step[i - C]));
        else if (i < side)
            of_row[i - 2 * C] = symbol - SURE;
        else
            same = symbol + w->lo + w->c->zero == w->c->symbols[i - side];
    }
    return same && !memcmp(step, w->c->step, C * sizeof *step) && x[0] == BG_RANS_START && x[1] == BG_RANS_START && in == end;
}

static int write_and_read(const work *w, double *bits, bg_err *e)
{
    size_t C = (size_t)w->c->cols, R = (size_t)w->c->rows, n = 2 * C + R + R * C, words = bg_rans_room(n);
    uint32_t *stream = malloc(words * sizeof *stream), *out = stream + words;
    int *read = malloc((2 * C + R) * sizeof *read), same = 0;
    if (stream && read) {
        uint64_t x[BG_RANS_LANES] = {BG_RANS_START, BG_RANS_START};
        const bg_rans_table *t;
        for (size_t i = n; i-- > 0;) {
            unsigned symbol = nth(w, i, &t);
            x[i % BG_RANS_LANES] = bg_rans_put(t, x[i % BG_RANS_LANES], symbol, &out);
        }
        bg_rans_close(x, &out);
        *bits = 32.0 * (double)(stream + words - out) + 32 + HEADER_BITS;
        same = reads_back(w, out, stream + words, read, read + C, read + 2 * C);
    }
    int status = !stream || !read ? bg_no_memory(e, "coded columns", words * sizeof *stream)
                 : same           ? BG_OK
                                  : bg_fail(e, BG_INPUT, "the coded columns do not read back");
    free(stream), free(read);
    return status;
}

static int entropy_of(const work *w, double *entropy, bg_err *e)
{
    uint32_t *count = calloc((size_t)RUNGS * (size_t)w->K, sizeof *count);
    double bits = 0;
    if (!count)
        return bg_no_memory(e, "columns", (size_t)RUNGS * (size_t)w->K * sizeof *count);
    for (int64_t i = 0; i < w->c->rows; i++)
        for (int64_t j = 0; j < w->c->cols; j++)
            count[within(w->rung[j] + w->row[i]) * w->K + integer(w, i, j)]++;
    for (int r = 0; r < RUNGS; r++) {
        double total = 0, sum = 0;
        for (int k = 0; k < w->K; k++) {
            double n = (double)count[r * w->K + k];
            sum += n > 0 ? n * log2(n) : 0, total += n;
        }
        bits += total > 0 ? total * log2(total) - sum : 0;
    }
    free(count);
    *entropy = bits / ((double)w->c->rows * (double)w->c->cols);
    return BG_OK;
}

int bg_columns_code(const bg_columns *c, double *bits, double *entropy, bg_err *e)
{
    work *w = calloc(1, sizeof *w);
    if (!w)
        return bg_no_memory(e, "columns", sizeof *w);
    w->c = c;
    int status = room(w, e);
    if (!status)
        status = design(w, e);
    if (!status)
        status = write_and_read(w, bits, e);
    if (!status)
        status = entropy_of(w, entropy, e);
    for (int t = 0; t < TABLES; t++)
        bg_rans_free(&w->table[t]);
    free(w->length), free(w->rung), free(w->residual), free(w->row), free(w);
    return status;
}
