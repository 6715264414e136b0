/* Owns replacing a model's weights by what a spec makes of them. */
#include "analysis/replace.h"

#include <stdlib.h>
#include <string.h>

/* A matrix that is in memory. */
typedef struct resident {
    const float *w;
    int64_t cols;
} resident;

static int read_rows(void *self, int64_t first, int64_t n, float *out, bg_err *e)
{
    const resident *r = self;
    (void)e;
    memcpy(out, r->w + first * r->cols, (size_t)(n * r->cols) * sizeof *out);
    return BG_OK;
}

static int quantize(const bg_linear *l, const bg_spec *s, uint64_t seed, bg_replace *v, bg_err *e)
{
    resident r = {l->w, l->in};
    bg_matrix matrix = {.rows = l->out, .cols = l->in, .read = read_rows, .self = &r, .seed = seed};
    bg_measure measure = {0};
    double count = (double)l->out * (double)l->in, stored = (double)bg_tensor_bytes(l->tensor);
    float *hat = malloc((size_t)count * sizeof *hat);
    if (!hat)
        return bg_no_memory(e, l->name, (unsigned long long)count * sizeof *hat);
    int status = bg_reconstruct(&matrix, s, l->w, hat, &measure, NULL, e);
    if (status || measure.skipped) {
        free(hat);
        v->skipped += !status;
        v->reason = v->reason ? v->reason : measure.skipped;
        v->bits += 8 * stored;
    } else {
        v->weights[l->index] = hat;
        v->bits += measure.rate_bits * count;
        v->sse += measure.mse * count;
    }
    v->count += count;
    v->stored_bytes += stored;
    return status ? bg_context(e, "%s", l->name) : BG_OK;
}

int bg_replace_make(const bg_model *m, const bg_spec *s, uint64_t seed, bg_replace *out, bg_err *e)
{
    *out = (bg_replace){.n = m->n_linears + 2};
    out->weights = calloc((size_t)out->n, sizeof *out->weights);
    if (!out->weights)
        return bg_no_memory(e, "a variant of the model", (unsigned)out->n * sizeof *out->weights);
    int status = BG_OK;
    bg_progress bar;
    bg_progress_begin(&bar, s->text, (unsigned long long)m->n_linears);
    for (int i = 0; i < m->n_linears && !status; i++) {
        status = bg_interrupted ? bg_fail(e, BG_RESOURCE, "interrupted") : quantize(&m->linears[i], s, seed, out, e);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    if (status)
        bg_replace_free(out);
    return status;
}

void bg_replace_free(bg_replace *v)
{
    for (int i = 0; v->weights && i < v->n; i++)
        free(v->weights[i]);
    free(v->weights);
    *v = (bg_replace){0};
}
