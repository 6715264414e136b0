/* round=trellis: error feedback along the columns, each column the path of a trellis code, entropy-coded by what is
 * decoded before.
 *
 * Feedback. With H = M·Mᵀ, M upper triangular, the loss of a row is Σ_j M_jj²·(ŵ_j − t_j)², where t_j is the target of
 * column j after the errors of the columns before it (quant/kernel/cholesky.h). Given those, the R targets of a column
 * are a sequence of numbers with one weight, along which any code may run. A trellis of 8 states over integers comes
 * within 0.08 bit of the rate–distortion function of a memoryless Gaussian, one of 256 within 0.04, where a scalar
 * stays 0.25 away (Marcellin and Fischer 1990; Fischer and Wang 1992, entropy-coded trellises).
 *
 * Water. Column j has the step proportional to 1/M_jj, in quarters of an octave, so that all columns add alike to the
 * loss, and, as in quant/rounding/watersic.c, what is rounded is t = wΣ(Σ + μI)⁻¹ by the factor of Σ + μI. A union of
 * two subsets has cells of twice the step; the noise of the code is NOISE squared steps, so that μ = NOISE·step²·g²/σ².
 *
 * Price. Among paths the one with the least Σ (k − t/step)² + λ·bits is chosen, λ = PRICE times the slope 2·ln 2·NOISE
 * of the rate–distortion function, which makes zeros cheap where they are likely. Bits are those of the trellis stream
 * (io/checkpoints/formats/trellis_stream.h). The first pass knows only the spread of each column; its stream then tells
 * what a decoder expects of every weight, and the second pass chooses by that.
 *
 * At the end all weights are multiplied by the one factor that fits the weights best in the sense of Σ; it is part of
 * the stream's base step. The rate is the bytes of the stream, header and steps and hash among them, and the weights
 * are those that are decoded from it.
 */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/checkpoints/formats/trellis_stream.h"
#include "quant/kernel/cholesky.h"
#include "quant/kernel/product.h"
#include "quant/spec/quantizer.h"

enum { BLOCK = 128, CHOICES = 6 /* subsets 0 to 3, then 0 and 2 as state 0 has them */, PASSES = 2 };
static const double NOISE = 0.2605, PRICE = 0.75;

typedef struct trellis_params {
    double percdamp;
    int states;
} trellis_params;

static const bg_key keys[] = {
    {"percdamp", BG_KEY_NUMBER, 0, 10, NULL, "0.0001", "damping, as a share of the mean diagonal of Σ",
     BG_PARAM(trellis_params, percdamp)},
    {"states", BG_KEY_INTEGER, 4, 256, NULL, "8", "states of the trellis: 4, 8, 16, 32, 64, 128 or 256",
     BG_PARAM(trellis_params, states)},
    {0},
};

/* ---- one column ---- */

/* What a column's targets and the decoder's expectations make of each subset. */
typedef struct column_costs {
    float *cost;   /* [R × CHOICES] */
    int16_t *best; /* [R × CHOICES] the integer that costs it */
    uint8_t *from; /* [R × states] the state before */
} column_costs;

typedef struct trellis_walk {
    const bg_matrix *m;
    bg_factor factor;
    bg_stream_trellis trellis;
    bg_stream_matrix matrix; /* k and step */
    bg_stream_trace trace;   /* of the pass before */
    bg_stream_prices prices;
    column_costs costs;
    float *aim, *delta; /* [R × C] what is rounded; its errors */
    float *targets;     /* [R × BLOCK] */
    int64_t R, C;
    int pass;
} trellis_walk;

static const bg_stream_state state_of[CHOICES] = {BG_STREAM_EVEN_STATE, BG_STREAM_ODD_STATE,  BG_STREAM_EVEN_STATE,
                                                  BG_STREAM_ODD_STATE,  BG_STREAM_ZERO_STATE, BG_STREAM_ZERO_STATE};

/* The cheapest integer of a subset for target x: the nearest, the next two towards the mean, and the smallest. */
static float choose_integer(const trellis_walk *k, int choice, float x, const int32_t expected[2], int16_t *best)
{
    int subset = choice < 4 ? choice : 2 * (choice - 4), nearest = subset + 4 * (int)lrintf((x - (float)subset) / 4);
    int towards = 64 * nearest > expected[0] ? -4 : 4, smallest = subset == 3 ? -1 : subset == 2 && x < 0 ? -2 : subset;
    const int candidates[4] = {nearest, nearest + towards, nearest + 2 * towards, smallest};
    float least = HUGE_VALF, lambda = (float)(PRICE * 2 * 0.69314718055994530942 * NOISE);
    for (int i = 0; i < 4; i++) {
        int c = candidates[i];
        if (c > BG_STREAM_MAX || c < -BG_STREAM_MAX || (i && i < 3 && abs(64 * nearest - expected[0]) < 64 * 3))
            continue;
        float off = x - (float)c;
        float cost = off * off + lambda * bg_stream_price(&k->prices, state_of[choice], expected[0], expected[1], c);
        if (cost < least)
            least = cost, *best = (int16_t)c;
    }
    return least;
}

/* 16ths of log2 of the rms of the targets, in steps. */
static int spread_of(const trellis_walk *k, int64_t i, float step)
{
    double squares = 0;
    for (int64_t r = 0; r < k->R; r++)
        squares += (double)k->targets[r * BLOCK + i] * (double)k->targets[r * BLOCK + i];
    double rms = sqrt(squares / (double)k->R) / (double)step;
    return (int)lrint(16 * log2(fmax(rms, 1e-3)));
}

static void price_column(trellis_walk *k, int64_t column, int64_t i, float step)
{
    int spread = spread_of(k, i, step);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < k->R; r++) {
        int32_t expected[2] = {0, spread};
        if (k->pass) {
            expected[0] = k->trace.mean[r * k->C + column];
            expected[1] = k->trace.spread[r * k->C + column];
        }
        for (int c = 0; c < CHOICES; c++)
            k->costs.cost[r * CHOICES + c] =
                choose_integer(k, c, k->targets[r * BLOCK + i] / step, expected, &k->costs.best[r * CHOICES + c]);
    }
}

/* The choice of an input bit in a state. */
static int choice_of(const bg_stream_trellis *t, int state, int input)
{
    int half = t->states / 2, subset = t->pair[state & (half - 1)] ^ ((state >= half) ^ input) << 1;
    return state ? subset : 4 + subset / 2;
}

/* The path of least cost from state 0 (Viterbi), into k's column. */
static void find_path(trellis_walk *k, int64_t column)
{
    const bg_stream_trellis *t = &k->trellis;
    float metrics[2][256], *now = metrics[0], *next = metrics[1];
    int half = t->states / 2;
    for (int s = 0; s < t->states; s++)
        now[s] = s ? 1e30F : 0;
    for (int64_t r = 0; r < k->R; r++) {
        const float *cost = k->costs.cost + r * CHOICES;
        uint8_t *from = k->costs.from + r * t->states;
        for (int j = 0; j < half; j++)
            for (int input = 0; input < 2; input++) {
                float low = now[j] + cost[choice_of(t, j, input)],
                      high = now[j + half] + cost[choice_of(t, j + half, input)];
                from[2 * j + input] = (uint8_t)(high < low ? j + half : j);
                next[2 * j + input] = high < low ? high : low;
            }
        float *swap = now;
        now = next, next = swap;
    }
    int s = 0;
    for (int i = 1; i < t->states; i++)
        s = now[i] < now[s] ? i : s;
    for (int64_t r = k->R; r-- > 0;) {
        int before = k->costs.from[r * t->states + s];
        k->matrix.k[r * k->C + column] = k->costs.best[r * CHOICES + choice_of(t, before, s & 1)];
        s = before;
    }
}

/* ---- the walk ---- */

static float step_of(const trellis_walk *k, int64_t column)
{
    return bg_stream_step(&k->matrix, column);
}

static void spread_error(trellis_walk *k, int64_t b, int64_t n, int64_t i)
{
    const float *M = k->factor.M + (b + i) * k->C + b;
    float step = step_of(k, b + i);
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < k->R; r++) {
        float d = k->aim[r * k->C + b + i] - (float)k->matrix.k[r * k->C + b + i] * step;
        k->delta[r * k->C + b + i] = d;
        for (int64_t j = i + 1; j < n; j++)
            k->targets[r * BLOCK + j] += d * M[j] / k->factor.M[(b + j) * (k->C + 1)];
    }
}

static void walk_columns(trellis_walk *k)
{
    for (int64_t b = 0; b < k->C; b += BLOCK) {
        int64_t n = b + BLOCK < k->C ? BLOCK : k->C - b;
        if (b)
            bg_sgemm((bg_product_shape){k->R, n, b}, 1, (bg_s_operand){k->delta, k->C, 1},
                     (bg_s_operand){k->factor.M + b, k->factor.n, 1}, 0, k->targets, BLOCK);
        else
            memset(k->targets, 0, (size_t)(k->R * BLOCK) * sizeof *k->targets);
        for (int64_t r = 0; r < k->R; r++)
            for (int64_t i = 0; i < n; i++)
                k->targets[r * BLOCK + i] =
                    k->factor.dead[b + i]
                        ? 0
                        : k->aim[r * k->C + b + i] + k->targets[r * BLOCK + i] / k->factor.M[(b + i) * (k->C + 1)];
        for (int64_t i = 0; i < n; i++) {
            price_column(k, b + i, i, step_of(k, b + i));
            find_path(k, b + i);
            spread_error(k, b, n, i);
        }
    }
}

/* ---- before and after ---- */

static double standard_deviation(const float *w, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)w[i], squares += (double)w[i] * (double)w[i];
    double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
    return variance > 0 ? sqrt(variance) : 0;
}

/* The factor of Σ + μI, where μ follows from the factor that it leads to. step: of the union, in σ. */
static int factor_at_level(trellis_walk *k, double step, double percdamp, bg_err *e)
{
    enum { TRIES = 6 };
    int status = bg_factor_init(&k->factor, k->m->second_moment, k->C, percdamp, BG_ORDER_NATURAL, e);
    double last = 0;
    for (int i = 0; !status && i < TRIES; i++) {
        double level = NOISE * step * step / 4 * exp2(k->factor.mean_log2);
        if (fabs(level - last) < 0.05 * level)
            break;
        bg_factor next;
        last = level;
        status =
            bg_factor_init(&next, k->m->second_moment, k->C, percdamp + level / k->factor.mean, BG_ORDER_NATURAL, e);
        if (!status) {
            bg_factor_free(&k->factor);
            k->factor = next;
        }
    }
    if (status)
        return status;
    size_t cells = (size_t)(k->R * k->C);
    memcpy(k->aim, k->m->memory, cells * sizeof *k->aim);
    for (int transposed = 1; transposed >= 0; transposed--)
        cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, transposed ? CblasTrans : CblasNoTrans, CblasNonUnit,
                    (int)k->R, (int)k->C, 1, k->factor.M, (int)k->C, k->aim, (int)k->C);
    for (size_t i = 0; i < cells; i++)
        k->aim[i] = k->m->memory[i] - (float)last * k->aim[i];
    return BG_OK;
}

static int allocate_walk(trellis_walk *k, bg_err *e)
{
    size_t cells = (size_t)(k->R * k->C), rows = (size_t)k->R;
    k->matrix.k = malloc(cells * sizeof *k->matrix.k), k->matrix.step = calloc((size_t)k->C, sizeof *k->matrix.step);
    k->trace.mean = calloc(cells, sizeof *k->trace.mean), k->trace.spread = calloc(cells, sizeof *k->trace.spread);
    k->aim = malloc(cells * sizeof *k->aim), k->delta = malloc(cells * sizeof *k->delta);
    k->targets = malloc(rows * BLOCK * sizeof *k->targets);
    k->costs.cost = malloc(rows * CHOICES * sizeof *k->costs.cost);
    k->costs.best = malloc(rows * CHOICES * sizeof *k->costs.best);
    k->costs.from = malloc(rows * (size_t)k->trellis.states);
    int whole = k->matrix.k && k->matrix.step && k->trace.mean && k->trace.spread && k->aim && k->delta && k->targets &&
                k->costs.cost && k->costs.best && k->costs.from;
    return whole ? BG_OK : bg_no_memory(e, "a trellis walk", cells * 20);
}

static void release_walk(trellis_walk *k)
{
    free(k->matrix.k), free(k->matrix.step), free(k->trace.mean), free(k->trace.spread);
    free(k->aim), free(k->delta), free(k->targets);
    free(k->costs.cost), free(k->costs.best), free(k->costs.from);
    bg_factor_free(&k->factor);
}

static void set_steps(trellis_walk *k)
{
    for (int64_t c = 0; c < k->C; c++) {
        double share = 0.5 * k->factor.mean_log2 - log2((double)k->factor.M[c * (k->C + 1)]);
        k->matrix.step[c] = (int16_t)lrint(fmin(fmax(4 * share, -BG_STREAM_STEP_MAX), BG_STREAM_STEP_MAX));
    }
}

static void reconstruct(const trellis_walk *k, float *hat)
{
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < k->C; c++) {
        float step = step_of(k, c);
        for (int64_t r = 0; r < k->R; r++)
            hat[r * k->C + c] = (float)k->matrix.k[r * k->C + c] * step;
    }
}

/* tr(WΣŴᵀ)/tr(ŴΣŴᵀ), in fixed chunks of rows: the factor that makes Ŵ nearest to W. */
static int fit_gain(const trellis_walk *k, const float *hat, double *gain, bg_err *e)
{
    int64_t C = k->C;
    float *sigma = malloc((size_t)(C * C) * sizeof *sigma), *product = malloc((size_t)(k->R * C) * sizeof *product);
    int status = sigma && product ? BG_OK : bg_no_memory(e, "a product with the second moment", (size_t)(C * C) * 4);
    double with = 0, own = 0;
    for (int64_t i = 0; !status && i < C * C; i++)
        sigma[i] = (float)k->m->second_moment[i];
    if (!status)
        bg_sgemm((bg_product_shape){k->R, C, C}, 1, (bg_s_operand){hat, C, 1}, (bg_s_operand){sigma, C, 1}, 0, product,
                 C);
    for (int64_t i = 0; !status && i < k->R * C; i++) {
        with += (double)product[i] * (double)k->m->memory[i];
        own += (double)product[i] * (double)hat[i];
    }
    *gain = own > 0 ? with / own : 1;
    free(sigma), free(product);
    return status;
}

/* Two passes of walk and stream; then what the bytes decode to. */
static int code_walk(trellis_walk *k, bg_quantized *q, bg_err *e)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    int status = BG_OK;
    bg_stream_contexts_init(&k->trace.contexts);
    for (k->pass = 0; !status && k->pass < PASSES; k->pass++) {
        bg_stream_prices_init(&k->prices, &k->trace.contexts);
        walk_columns(k);
        if (k->pass + 1 == PASSES) {
            double gain;
            reconstruct(k, q->hat);
            status = fit_gain(k, q->hat, &gain, e);
            k->matrix.base = (float)((double)k->matrix.base * gain);
        }
        free(bytes);
        bytes = NULL;
        if (!status)
            status = bg_stream_encode(&k->matrix, &bytes, &n, k->pass + 1 < PASSES ? &k->trace : NULL, e);
    }
    if (!status)
        status = bg_stream_open(bytes, n, &k->matrix, e);
    if (!status)
        status = bg_stream_decode(bytes, n, &k->matrix, e);
    if (!status) {
        reconstruct(k, q->hat);
        q->rate = (bg_rate){.indices = 8.0 * (double)n};
        q->index_entropy = 8.0 * (double)n / (double)(k->R * k->C);
        q->clipped = 0;
        q->stored.stream = bytes, q->stored.stream_bytes = n;
        return BG_OK;
    }
    free(bytes);
    return status;
}

static int check_trellis(const bg_spec *s, bg_err *e)
{
    const trellis_params *p = bg_rounding_params(s);
    bg_stream_trellis t;
    if (s->scope.kind != BG_SCOPE_TENSOR || !(s->step.number > 0))
        return bg_fail(e, BG_USAGE, "spec '%s': round=trellis needs uniform:step=Nsigma with scope=tensor", s->text);
    if (!s->coding->bits_of_columns)
        return bg_fail(e, BG_USAGE, "spec '%s': round=trellis needs code=entropy", s->text);
    if (!bg_stream_trellis_init(&t, p->states))
        return bg_fail(e, BG_USAGE, "states must be 4, 8, 16, 32, 64, 128 or 256, got %d", p->states);
    return BG_OK;
}

static int round_by_trellis(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    const trellis_params *p = bg_rounding_params(s);
    trellis_walk k = {.m = m, .R = m->rows, .C = m->cols};
    double sigma = standard_deviation(m->memory, k.R * k.C);
    if (!(sigma > 0)) {
        q->skipped = "round=trellis needs weights that vary";
        return BG_OK;
    }
    bg_stream_trellis_init(&k.trellis, p->states);
    k.matrix =
        (bg_stream_matrix){.rows = k.R, .cols = k.C, .states = p->states, .base = (float)(s->step.number * sigma / 2)};
    int status = allocate_walk(&k, e);
    if (!status)
        status = factor_at_level(&k, s->step.number, p->percdamp, e);
    if (!status) {
        set_steps(&k);
        status = code_walk(&k, q, e);
    }
    release_walk(&k);
    return status;
}

const bg_rounding bg_rounding_trellis = {
    .name = "trellis",
    .title = "error feedback, each column a path of an entropy-coded trellis",
    .paper = "Zamir, Kochman and Erez 2008 (feedback at every rate); Fischer and Wang 1992 (entropy-coded trellises)",
    .keys = keys,
    .needs_calibration = 1,
    .scalar_only = 1,
    .makes_stream = 1,
    .check = check_trellis,
    .run = round_by_trellis,
};
