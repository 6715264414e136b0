/* Owns the integer model of the trellis stream. All divisions round towards 0; all sums stay inside 64 bits: |k| ≤ 2^12
 * and at most 2^22 rows make Σk² ≤ 2^46. */
#include "io/checkpoints/formats/stream_model.h"
#include <stdlib.h>
#include <string.h>

enum { P = BG_STREAM_BLOCK, LANES = BG_STREAM_LANES, GROWTH = 8 /* a segment is this part of the rows seen */ };
/* Before any row: that mean squares of rows vary by 0.08 (Q16), as if 12 rows had told it. */
enum { VARIANCE_BEFORE = 5243, ROWS_BEFORE = 12, COLUMNS_VARY = 25, WORTH_MAX = 1 << 16 };

static const uint32_t octave[16] = {1073741824u, 1121280436u, 1170923762u, 1222764986u, 1276901417u, 1333434672u,
                                    1392470869u, 1454120821u, 1518500250u, 1585730000u, 1655936265u, 1729250827u,
                                    1805811301u, 1885761398u, 1969251188u, 2056437387u};

int64_t bg_exp2_16ths(int q, int bits)
{
    int whole = (q + 16384) / 16 - 1024, shift = bits - 30 + whole;
    int64_t part = octave[(q + 16384) % 16];
    return shift <= -31 ? 0 : shift < 0 ? part >> -shift : shift < 32 ? part << shift : INT64_MAX;
}

int bg_log2_16ths(uint64_t x)
{
    int n = 0;
    for (int half = 32; half; half /= 2)
        if (x >> (n + half))
            n += half;
    uint32_t mantissa = (uint32_t)(n > 30 ? x >> (n - 30) : x << (30 - n));
    int i = mantissa >> 26 & 15;
    while (i < 15 && mantissa >= octave[i + 1])
        i++;
    return 16 * n + i;
}

static int64_t square_root(int64_t x)
{
    uint64_t rest = x > 0 ? (uint64_t)x : 0, root = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit; bit >>= 2) {
        if (rest >= root + bit) {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (int64_t)root;
}

static int64_t clamp(int64_t x, int64_t min, int64_t max)
{
    return x < min ? min : x > max ? max : x;
}

/* ---- learning ---- */

int bg_stream_model_init(bg_stream_model *m, int64_t rows, int64_t cols, int log2_rms, const int16_t *step, bg_err *e)
{
    size_t n = (size_t)cols;
    *m = (bg_stream_model){.rows = rows, .cols = cols};
    m->prior = malloc((n + 1) * sizeof *m->prior);
    m->sums = calloc(n * P + 1, sizeof *m->sums);
    m->factor = malloc(P * P * sizeof *m->factor);
    m->ahead = calloc(n * P + 1, sizeof *m->ahead);
    m->spread = malloc((n + 1) * sizeof *m->spread);
    m->log_spread = malloc((n + 1) * sizeof *m->log_spread);
    m->inverse = malloc((n + 1) * sizeof *m->inverse);
    m->power = malloc(((size_t)rows + 1) * sizeof *m->power);
    if (!m->prior || !m->sums || !m->factor || !m->ahead || !m->spread || !m->log_spread || !m->inverse || !m->power) {
        bg_stream_model_free(m);
        return bg_no_memory(e, "column statistics", n * P * (sizeof *m->sums + sizeof *m->ahead));
    }
    for (size_t c = 0; c < n; c++)
        m->prior[c] = bg_exp2_16ths((int)clamp(8 * (log2_rms - step[c]), -256, 384), 16) | 1;
    return BG_OK;
}

void bg_stream_model_free(bg_stream_model *m)
{
    free(m->prior), free(m->sums), free(m->factor), free(m->ahead);
    free(m->spread), free(m->log_spread), free(m->inverse), free(m->power);
}

int64_t bg_stream_model_segment(const bg_stream_model *m)
{
    int64_t n = m->seen / GROWTH / LANES * LANES;
    n = n > LANES ? n : LANES;
    return n < m->rows - m->seen ? n : m->rows - m->seen;
}

/* The mean of n squares of a Gaussian varies by 2/n of itself; where those of columns or rows vary by v (Q16) more,
 * their common mean is worth as much as 2/v squares of their own. */
static int64_t worth(int64_t v)
{
    return v <= 2 ? WORTH_MAX : clamp(131072 / v, 1, WORTH_MAX);
}

/* Σ (x/mean − 1)², Q16, each deviation at most 16. */
static int64_t relative_squares(const int64_t *x, int64_t n, int64_t mean)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n && mean > 0; i++) {
        int64_t d = clamp(x[i] * 256 / mean - 256, -4096, 4096);
        sum += d * d;
    }
    return sum;
}

/* How much columns differ from what their steps predict decides how many rows the prediction is worth. */
static int64_t rows_before(const bg_stream_model *m)
{
    if (!m->seen || m->cols < 2)
        return COLUMNS_VARY;
    int64_t mean = 0, sum = 0;
    for (int64_t c = 0; c < m->cols; c++) { /* the ratios take the place of inverse[], which is made anew */
        int64_t part = m->prior[c] >> 4;
        m->inverse[c] = clamp((m->sums[c * P + c % P] << 16) / (part ? part : 1), 0, (int64_t)1 << 40);
        mean += m->inverse[c] / m->cols;
    }
    sum = relative_squares(m->inverse, m->cols, mean);
    return worth(sum / (m->cols - 1) - 131072 / m->seen);
}

/* Correlations of a block of n columns into the factor's lower triangle, Q15; returns the share that is not chance,
 * Q15. */
static int64_t correlate(const bg_stream_model *m, int64_t first, int64_t n)
{
    int64_t root[P], squares = 0, noise = (n * n - n) / m->seen;
    for (int64_t i = 0; i < n; i++)
        root[i] = square_root(m->sums[(first + i) * P + i] << 16);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            int64_t r = 0, both = m->sums[(first + i) * P + j];
            if (both && root[i] && root[j])
                r = clamp(both * 65536 / root[i] * 32768 / root[j], -32767, 32767);
            m->factor[i * P + j] = (int32_t)r;
            squares += 2 * r * r;
        }
    int64_t square = squares >> 15; /* Q15 */
    if (noise << 15 >= square)
        return 0;
    return 32768 - clamp((noise << 30) / square, 33, 32768);
}

/* Cholesky of (1 − ρ)·R + ρ·I in place, Q30. A pivot that rounding has made too small is 2^−16. */
static void factorise(const bg_stream_model *m, int64_t n, int64_t share)
{
    int32_t *L = m->factor;
    for (int64_t i = 0; i < n; i++) {
        int32_t *a = L + i * P;
        for (int64_t j = 0; j < i; j++)
            a[j] = (int32_t)(a[j] * share);
        for (int64_t j = 0; j <= i; j++) {
            const int32_t *b = L + j * P;
            int64_t sum = 0;
            for (int64_t k = 0; k < j; k++)
                sum += (int64_t)a[k] * b[k];
            if (j < i)
                a[j] = (int32_t)clamp((a[j] * ((int64_t)1 << 30) - sum) / b[j], -(1 << 30), 1 << 30);
            else
                a[i] = (int32_t)square_root(clamp(((int64_t)1 << 60) - sum, (int64_t)1 << 44, (int64_t)1 << 60));
        }
    }
}

static void learn_block(bg_stream_model *m, int64_t first, int64_t before)
{
    int64_t n = m->cols - first < P ? m->cols - first : P, share = m->seen ? correlate(m, first, n) : 0;
    if (share)
        factorise(m, n, share);
    for (int64_t i = 0; i < n; i++) {
        int64_t c = first + i, own = share ? m->factor[i * P + i] : 1 << 30;
        int64_t v = (before * m->prior[c] + (m->sums[c * P + i] << 16)) / (before + m->seen);
        v = v > 1 ? v : 1;
        m->spread[c] = (int32_t)clamp(square_root(v), 1, INT32_MAX);
        m->log_spread[c] = (bg_log2_16ths((uint64_t)v) + 2048 - 256) / 2 - 1024 + bg_log2_16ths((uint64_t)own) - 480;
        for (int64_t j = i + 1; j < n; j++)
            m->ahead[c * P + j] = (int16_t)(share ? clamp(m->factor[j * P + i] / 32768, -32767, 32767) : 0);
    }
}

void bg_stream_model_learn(bg_stream_model *m)
{
    int64_t before = rows_before(m);
    for (int64_t first = 0; first < m->cols; first += P)
        learn_block(m, first, before);
    for (int64_t c = 0; c < m->cols; c++)
        m->inverse[c] = bg_exp2_16ths(-m->log_spread[c], 16);
    m->columns_before = worth((ROWS_BEFORE * VARIANCE_BEFORE + m->varied) / (ROWS_BEFORE + m->seen));
}

/* How much the rows since `first` vary more than chance makes them. */
static void learn_rows(bg_stream_model *m, int64_t first)
{
    int64_t n = m->seen - first, mean = 0;
    for (int64_t r = first; r < m->seen; r++)
        mean += m->power[r] / n;
    if (n > 1 && mean > 0)
        m->varied += n * (relative_squares(m->power + first, n, mean) / (n - 1) - 131072 / m->cols);
}

void bg_stream_model_add(bg_stream_model *m, const int16_t *k, int64_t rows)
{
    for (int64_t c = 0; c < m->cols; c++) {
        int64_t first = c / P * P, *sums = m->sums + c * P;
        for (int64_t r = 0; r < rows; r++) {
            const int16_t *x = k + r * m->cols + first;
            int32_t own = x[c - first];
            for (int64_t j = 0; own && j <= c - first; j++)
                sums[j] += own * x[j];
        }
    }
    m->seen += rows;
    learn_rows(m, m->seen - rows);
}

/* ---- walking ---- */

void bg_stream_walk_start(const bg_stream_model *m, bg_stream_walk *w)
{
    for (int r = 0; r < LANES; r++) {
        w->squares[r] = m->columns_before << 16;
        w->log_row[r] = 0;
    }
}

void bg_stream_walk_expect(const bg_stream_model *m, bg_stream_walk *w, int64_t column)
{
    int64_t i = column % P, spread = m->spread[column];
    if (!i)
        memset(w->ahead, 0, sizeof w->ahead);
    for (int r = 0; r < LANES; r++) {
        if (column % 8 == 0 && column)
            w->log_row[r] =
                (bg_log2_16ths((uint64_t)(w->squares[r] / (m->columns_before + column)) | 1) + 2048 - 256) / 2 - 1024;
        w->mean[r] = (int32_t)clamp((int32_t)w->ahead[i * LANES + r] * spread / (1 << 25), -(1 << 19), 1 << 19);
        w->spread[r] = (int32_t)clamp(m->log_spread[column] + w->log_row[r], -64, 255);
    }
}

void bg_stream_walk_tell(const bg_stream_model *m, bg_stream_walk *w, int64_t column, const int32_t *k)
{
    int64_t i = column % P, n = m->cols - column + i < P ? m->cols - column + i : P;
    const int16_t *ahead = m->ahead + column * P;
    int32_t z[LANES];
    for (int r = 0; r < LANES; r++) {
        z[r] = (int32_t)clamp((k[r] * 64 - w->mean[r]) * m->inverse[column] / (1 << 14), -32767, 32767);
        w->squares[r] += z[r] * z[r];
    }
    for (int64_t j = i + 1; j < n; j++)
        for (int r = 0; r < LANES; r++)
            w->ahead[j * LANES + r] += (uint32_t)(ahead[j] * z[r]);
}

void bg_stream_walk_end(bg_stream_model *m, const bg_stream_walk *w, int64_t first, int64_t rows)
{
    for (int64_t r = 0; r < rows; r++)
        m->power[first + r] = (w->squares[r] - (m->columns_before << 16)) / m->cols;
}
