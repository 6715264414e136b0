/* round=gptq of sixteen rows at once, one in each lane of a vector register: a column's errors meet the columns behind
 * it in one multiplication and addition for all of them. round_gptq.c's walk_row is the plain version; both do the same
 * operations on a weight in the same order. */
#include <math.h>
#include <string.h>
#include "quant/rounding/gptq_walk.h"

enum { L = BG_GPTQ_LANES };

/* The codes of the lanes at one column. */
typedef struct lanes {
    float scale[L], divisor[L], some[L], zero[L], offset[L], lo[L], hi[L]; /* scale 0: divisor 1, some 0 */
    float before[L], after[L]; /* zero, added before the rounding or, an integer, after it: bg_code_index */
} lanes;

static void take_codes(const bg_gptq_walk *k, int64_t first, int64_t at, lanes *c)
{
    for (int64_t r = 0; r < L; r++) {
        const bg_code *code = bg_gptq_code(k, first + r, at);
        int some = code->scale < 0 || code->scale > 0;
        c->scale[r] = code->scale;
        c->divisor[r] = some ? code->scale : 1;
        c->some[r] = some ? 1 : 0;
        int whole = rintf(code->zero) == code->zero;
        c->zero[r] = code->zero;
        c->before[r] = whole ? 0 : code->zero;
        c->after[r] = whole ? code->zero : 0;
        c->offset[r] = code->offset;
        c->lo[r] = (float)code->lo;
        c->hi[r] = (float)code->hi;
    }
}

/* What a walk over the lanes sums up, and the errors of its last column. */
typedef struct lane_errors {
    float d[L];               /* w − ŵ */
    double loss[L], moved[L]; /* bg_gptq_walk */
} lane_errors;

/* One column: x its weights, t the errors brought to it, pivot M_jj. q receives the index from 0. */
static void round_column(const lanes *c, const float *x, const float *t, float pivot, int dead, float *q,
                         lane_errors *sum)
{
    float *d = sum->d;
    for (int r = 0; r < L; r++) {
        float y = x[r] + t[r] / pivot - c->offset[r];
        float at = rintf(y * c->some[r] / c->divisor[r] + c->before[r]) + c->after[r];
        at = at < c->lo[r] ? c->lo[r] : at > c->hi[r] ? c->hi[r] : at;
        float value = c->scale[r] * (at - c->zero[r]) + c->offset[r];
        d[r] = x[r] - value;
        q[r] = at - c->lo[r];
    }
    for (int r = 0; r < L && !dead; r++) {
        double left = (double)t[r] + (double)d[r] * (double)pivot;
        sum->loss[r] += left * left;
        sum->moved[r] += (double)d[r] * (double)d[r];
    }
}

/* The groups that start at column i of the block, row by row; x and t [n × L] of the block, row: workspace of 2n. */
static int fit_lanes(const bg_gptq_walk *k, int64_t first, const bg_gptq_block *block, int64_t i, const float *x,
                     const float *t, bg_err *e)
{
    int64_t at = block->b + i, size = at + k->G < k->C ? k->G : k->C - at;
    float *row = block->scratch + 3 * L * block->n, *errors = row + block->n;
    int status = BG_OK;
    for (int64_t r = 0; r < L && !status; r++) {
        for (int64_t j = 0; j < size; j++) {
            row[j] = x[(i + j) * L + r];
            errors[j] = t[(i + j) * L + r];
        }
        status = bg_gptq_fit_walked(k, first + r, at, row, errors, block->room, e);
    }
    return status;
}

int bg_gptq_walk_lanes(const bg_gptq_walk *k, int64_t first, const bg_gptq_block *block, const float *t, bg_err *e)
{
    int64_t b = block->b, n = block->n;
    float *x = block->scratch, *errors = x + L * n, *q = errors + L * n;
    lane_errors sum;
    lanes codes;
    memcpy(sum.loss, k->loss + first, sizeof sum.loss);
    memcpy(sum.moved, k->moved + first, sizeof sum.moved);
    for (int64_t r = 0; r < L; r++)
        for (int64_t i = 0; i < n; i++) {
            int64_t c = bg_gptq_column(k, b + i);
            x[i * L + r] = k->f->dead[c] ? 0 : k->aim[(first + r) * k->C + c];
            errors[i * L + r] = t[r * n + i];
        }
    for (int64_t i = 0, group = -1; i < n; i++) {
        int64_t at = b + i, here = k->water ? at : bg_gptq_group(k, at);
        const float *M = k->f->M + at * k->f->n + b;
        if (k->on_the_way && at % k->G == 0) {
            int status = fit_lanes(k, first, block, i, x, errors, e);
            if (status)
                return status;
        }
        if (here != group)
            take_codes(k, first, at, &codes);
        group = here;
        round_column(&codes, x + i * L, errors + i * L, M[i], k->f->dead[bg_gptq_column(k, at)], q + i * L, &sum);
        memcpy(x + i * L, sum.d, sizeof sum.d); /* the weight has been used */
        for (int64_t j = i + 1; j < n; j++)
            for (int r = 0; r < L; r++)
                errors[j * L + r] += sum.d[r] * M[j];
    }
    for (int64_t r = 0; r < L; r++)
        for (int64_t i = 0; i < n; i++) {
            k->delta[(first + r) * k->C + b + i] = x[i * L + r];
            k->symbols[(first + r) * k->C + bg_gptq_column(k, b + i)] = (uint16_t)q[i * L + r];
        }
    memcpy(k->loss + first, sum.loss, sizeof sum.loss);
    memcpy(k->moved + first, sum.moved, sizeof sum.moved);
    return BG_OK;
}
