/* round=gptq over vectors: error feedback a vector of columns at a time.
 *
 * With H = M·Mᵀ (quant/kernel/cholesky.h) and M_bb the d × d block of a vector's columns, the loss of all vectors is
 * Σ_b ‖(x_b − c_b)·M_bb + t_b‖², t_b = Σ_{i<b} δ_i·M_ib the errors before it brought to its columns. The vector is
 * coded by the point nearest to x_b + t_b·M_bb⁻¹: BlockLDLQ of Tseng et al. 2024 (QuIP#), arXiv 2402.04396, section 4,
 * and GPTVQ (van Baalen et al. 2024, arXiv 2402.15319) without its weighting inside a vector. The code is trained on
 * the weights as they are.
 *
 * Check: with Σ = I it is nearest rounding; with d = 1 it is GPTQ.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "quant/rounding/gptq_walk.h"
#include "quant/kernel/product.h"
#include "io/base/failure.h"
#include "quant/spec/shared_factor.h"

enum { CHUNK = 64 /* rows */, BLOCK = 128 /* columns between two matrix products */ };

typedef struct walk {
    const bg_spec *s;
    const bg_trained *code;
    const bg_factor *f;
    const float *w;
    float *hat, *delta; /* [R × C] ŵ and w − ŵ */
    bg_rate *rates;     /* by chunk of rows */
    int64_t R, C;
    int d;
} walk;

/* Some rows of the walk at one of its blocks of columns. */
typedef struct rows_at_block {
    int64_t first, rows; /* rows [first, first + rows) */
    int64_t b, width;    /* columns [b, b + width) */
    float *t;            /* [rows × width] the errors brought to the columns so far */
    float *y;            /* [rows × d] targets of one vector, then its points */
} rows_at_block;

/* The target of vector [at, at+n) of row r: target·M_bb = error, column after column, beside the weights. */
static void aim_vector(const walk *k, const rows_at_block *c, int64_t r, int64_t at, int64_t n)
{
    int64_t N = k->f->n;
    const float *M = k->f->M + at * N + at, *error = c->t + r * c->width + (at - c->b);
    float *target = c->y + r * n;
    for (int64_t j = 0; j < n; j++) {
        float sum = error[j];
        for (int64_t i = 0; i < j; i++)
            sum -= target[i] * M[i * N + j];
        target[j] = sum / M[j * N + j];
    }
    for (int64_t j = 0; j < n; j++)
        target[j] += k->f->dead[at + j] ? 0 : k->w[(c->first + r) * k->C + at + j];
}

/* Codes vector [at, at+n) of all rows and brings its errors to the columns behind it. */
static int code_vector(const walk *k, const rows_at_block *c, int64_t at, int64_t n, bg_err *e)
{
    int64_t N = k->f->n;
    for (int64_t r = 0; r < c->rows; r++)
        aim_vector(k, c, r, at, n);
    bg_targets tile = {.rows = c->rows, .cols = n, .w = c->y, .out = c->y};
    int status = k->s->grid->tile(k->s, k->code, &tile, &k->rates[c->first / CHUNK], e);
    for (int64_t r = 0; r < c->rows && !status; r++) {
        float *delta = k->delta + (c->first + r) * k->C + at, *point = c->y + r * n;
        memcpy(k->hat + (c->first + r) * k->C + at, point, (size_t)n * sizeof *point);
        for (int64_t i = 0; i < n; i++) {
            delta[i] = (k->f->dead[at + i] ? 0 : k->w[(c->first + r) * k->C + at + i]) - point[i];
            for (int64_t j = at + n - c->b; j < c->width; j++)
                c->t[r * c->width + j] += delta[i] * k->f->M[(at + i) * N + c->b + j];
        }
    }
    return status;
}

static int walk_chunk(const walk *k, int64_t first, int64_t block, float *t, float *y, bg_err *e)
{
    rows_at_block c = {.first = first, .rows = first + CHUNK < k->R ? CHUNK : k->R - first, .t = t, .y = y};
    int status = BG_OK;
    for (c.b = 0; c.b < k->C && !status; c.b += block) {
        c.width = c.b + block < k->C ? block : k->C - c.b;
        if (c.b)
            bg_sgemm((bg_product_shape){c.rows, c.width, c.b}, 1, (bg_s_operand){k->delta + first * k->C, k->C, 1},
                     (bg_s_operand){k->f->M + c.b, k->f->n, 1}, 0, t, c.width);
        else
            memset(t, 0, (size_t)(c.rows * c.width) * sizeof *t);
        for (int64_t at = c.b; at < c.b + c.width && !status; at += k->d)
            status = code_vector(k, &c, at, at + k->d < k->C ? k->d : k->C - at, e);
    }
    return status;
}

static int walk_all(const walk *k, bg_err *e)
{
    int64_t block = k->d >= BLOCK ? k->d : BLOCK / k->d * k->d;
    bg_failure failure = {0};
#pragma omp parallel
    {
        bg_err mine = {0};
        float *t = malloc((size_t)(CHUNK * (block + k->d)) * sizeof *t);
        if (!t)
            bg_no_memory(&mine, "error feedback", (unsigned long long)(CHUNK * block) * sizeof *t);
#pragma omp for schedule(dynamic)
        for (int64_t first = 0; first < k->R; first += CHUNK)
            if (!t || walk_chunk(k, first, block, t, t + CHUNK * block, &mine))
                bg_failure_note(&failure, first, &mine);
        free(t);
    }
    return bg_failure_status(&failure, e);
}

static void finish(const walk *k, bg_quantized *q)
{
    int64_t chunks = (k->R + CHUNK - 1) / CHUNK;
    for (int64_t i = 0; i < chunks; i++)
        bg_rate_add(&q->rate, &k->rates[i]);
    if (k->s->grid->side)
        k->s->grid->side(k->s, k->code, &q->rate);
}

int bg_gptq_vectors(const bg_spec *s, const bg_matrix *m, bg_quantized *q, bg_err *e)
{
    int d = s->grid->vector ? s->grid->vector : s->dim;
    q->clipped = (double)NAN;
    if (s->column_order != BG_COLUMNS_NATURAL)
        q->skipped = "another order would tear the columns of a vector apart";
    if (s->grid->vector && m->cols % s->grid->vector)
        q->skipped = "rows of this length do not suit the grid";
    if (q->skipped)
        return BG_OK;
    size_t cells = (size_t)(m->rows * m->cols);
    walk k = {.s = s, .w = m->memory, .hat = q->hat, .R = m->rows, .C = m->cols, .d = d};
    bg_trained *code = NULL;
    bg_factor own = {0};
    k.delta = malloc(cells * sizeof *k.delta);
    k.rates = calloc((size_t)(m->rows / CHUNK + 1), sizeof *k.rates);
    int status = k.delta && k.rates ? s->grid->train(s, m, &code, e)
                                    : bg_no_memory(e, "error feedback", cells * sizeof *k.delta);
    if (status == BG_USAGE) { /* of this matrix, not of the sweep */
        q->skipped = "rows of this length do not suit the grid";
        status = BG_OK;
    }
    if (!status && !q->skipped)
        status = bg_factor_shared(m, ((const bg_gptq_params *)bg_rounding_params(s))->percdamp, 0, &own, &k.f, e);
    k.code = code;
    if (!status && !q->skipped)
        status = walk_all(&k, e);
    if (!status && !q->skipped)
        finish(&k, q);
    s->grid->release(code);
    bg_factor_free(&own);
    free(k.delta);
    free(k.rates);
    return status;
}
