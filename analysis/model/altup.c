/* Owns alternating updates (Baykal et al. 2023) as Gemma 3n has them: the state of a token is S streams of width D, of
 * which a layer computes with the first and the others follow.
 *
 *     m(x) = tanh(R·N(x)/D)                              [S], from the stream at hand
 *     predicted_j = h_j + Σ_i c_(j,i)·h_i,  c = P·m(h_0)
 *     corrected_j = predicted_j + (1 + (C·m(a))_j)·(a − predicted_0),  a what the layer makes of predicted_0
 *
 * Beside attention stands a low-rank branch (LAuReL): x + N(Wright·Wleft·x). */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/model/rows.h"
#include "analysis/model/work.h"

enum { MOST_STREAMS = BG_MOST_STREAMS };

/* m(x) of one token. `spare` [D]. */
static void modalities(const bg_flow *f, const float *x, float *spare, float *out)
{
    const bg_layer *l = &f->m->layers[f->layer];
    const bg_norm *norm = &l->norm[BG_NORM_ALTUP];
    int64_t D = f->m->config.width;
    bg_norm_row(norm->kind, x, norm->w, NULL, D, norm->eps, spare);
    for (int s = 0; s < f->m->config.streams; s++) {
        const float *w = l->vector[BG_ALTUP_ROUTER].w + s * D;
        double sum = 0;
        for (int64_t i = 0; i < D; i++)
            sum += (double)w[i] * (double)(spare[i] / (float)D);
        out[s] = (float)tanh(sum);
    }
}

static float dot(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

void bg_altup_predict(const bg_flow *f, const float *h, float *predicted, float *active)
{
    int S = f->m->config.streams;
    int64_t D = f->m->config.width;
    const float *p = f->m->layers[f->layer].vector[BG_ALTUP_PREDICT].w;
    for (int64_t t = 0; t < f->n; t++) {
        const float *from = h + t * S * D;
        float *to = predicted + t * S * D, m[MOST_STREAMS];
        modalities(f, from, active + t * D, m);
        for (int j = 0; j < S; j++) {
            memcpy(to + j * D, from + j * D, (size_t)D * sizeof *to);
            for (int i = 0; i < S; i++) {
                float c = dot(p + (j * S + i) * S, m, S);
                for (int64_t k = 0; k < D; k++)
                    to[j * D + k] += c * from[i * D + k];
            }
        }
        memcpy(active + t * D, to, (size_t)D * sizeof *to);
    }
}

void bg_altup_correct(const bg_flow *f, const float *predicted, const float *active, float *h)
{
    int S = f->m->config.streams;
    int64_t D = f->m->config.width;
    const float *c = f->m->layers[f->layer].vector[BG_ALTUP_CORRECT].w;
    for (int64_t t = 0; t < f->n; t++) {
        const float *from = predicted + t * S * D, *a = active + t * D;
        float *to = h + t * S * D, m[MOST_STREAMS];
        modalities(f, a, to, m);
        for (int j = 0; j < S; j++) {
            float by = dot(c + j * S, m, S) + 1;
            for (int64_t k = 0; k < D; k++)
                to[j * D + k] = from[j * D + k] + by * (a[k] - from[k]);
        }
    }
}

int bg_altup_laurel(const bg_flow *f, const float *x, float *y, bg_err *e)
{
    const bg_layer *l = &f->m->layers[f->layer];
    const bg_linear *left = l->linear[BG_LAUREL_LEFT];
    int64_t D = f->m->config.width;
    int status = bg_linear_apply(f->m, left, f->p, x, f->n, f->w->gate, left->out, f->w, e);
    if (!status)
        status = bg_linear_apply(f->m, l->linear[BG_LAUREL_RIGHT], f->p, f->w->gate, f->n, y, D, f->w, e);
    if (status)
        return status;
    bg_norm_rows(&l->norm[BG_NORM_LAUREL], y, f->n, y);
    for (int64_t i = 0; i < f->n * D; i++)
        y[i] += x[i];
    return BG_OK;
}

/* ---- both ends ---- */

static float magnitude(const float *x, int64_t n, double least)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    sum /= (double)n;
    return (float)sqrt(sum > least ? sum : least);
}

/* Scales x to the size of `like`. */
static void match(const float *like, float *x, int64_t n)
{
    float by = magnitude(like, n, 0) / magnitude(x, n, 1e-5);
    for (int64_t i = 0; i < n; i++)
        x[i] *= by;
}

int bg_altup_spread(const bg_model *m, const bg_pass *p, float *h, int64_t n, bg_err *e)
{
    int S = m->config.streams, status = BG_OK;
    int64_t D = m->config.width;
    float *first = bg_floats(n * D), *other = bg_floats(n * D);
    if (!first || !other)
        status = bg_no_memory(e, "streams", (unsigned long long)(n * D) * sizeof *first);
    if (!status)
        memcpy(first, h, (size_t)(n * D) * sizeof *h);
    for (int s = 0; s < S && !status; s++) {
        if (s)
            status = bg_linear_apply(m, &m->altup_in[s - 1], p, first, n, other, D, NULL, e);
        for (int64_t t = 0; t < n && !status; t++) {
            if (s)
                match(first + t * D, other + t * D, D);
            memcpy(h + (t * S + s) * D, (s ? other : first) + t * D, (size_t)D * sizeof *h);
        }
    }
    free(first);
    free(other);
    return status;
}

int bg_altup_join(const bg_model *m, const bg_pass *p, const float *h, int64_t n, float *out, bg_err *e)
{
    int S = m->config.streams, status = BG_OK;
    int64_t D = m->config.width;
    float *one = bg_floats(n * D), *other = bg_floats(n * D);
    if (!one || !other)
        status = bg_no_memory(e, "streams", (unsigned long long)(n * D) * sizeof *one);
    for (int s = 0; s < S && !status; s++) {
        for (int64_t t = 0; t < n; t++)
            memcpy(one + t * D, h + (t * S + s) * D, (size_t)D * sizeof *one);
        if (s)
            status = bg_linear_apply(m, &m->altup_out[s - 1], p, one, n, other, D, NULL, e);
        for (int64_t t = 0; t < n && !status; t++) {
            float *from = (s ? other : one) + t * D;
            if (s)
                match(h + t * S * D, from, D);
            for (int64_t i = 0; i < D; i++)
                out[t * D + i] = (s ? out[t * D + i] : 0) + from[i] / (float)S;
        }
    }
    free(one);
    free(other);
    return status;
}
