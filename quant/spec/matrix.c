/* Owns matrices to quantize and what is stored of them. */
#include <stdlib.h>
#include <string.h>
#include "quant/spec/quantizer.h"

double bg_rate_total(const bg_rate *r)
{
    return r->indices + r->scales + r->zeros + r->codebook + r->positions + r->order + r->padding + r->table;
}

void bg_rate_add(bg_rate *sum, const bg_rate *part)
{
    sum->indices += part->indices;
    sum->scales += part->scales;
    sum->zeros += part->zeros;
    sum->codebook += part->codebook;
    sum->positions += part->positions;
    sum->order += part->order;
    sum->padding += part->padding;
    sum->table += part->table;
}

bg_matrix bg_matrix_of(const float *w, int64_t rows, int64_t cols)
{
    return (bg_matrix){.rows = rows, .cols = cols, .memory = w, .seed = 1};
}

int bg_matrix_read(const bg_matrix *m, int64_t first, int64_t n, float *out, bg_err *e)
{
    if (!m->memory)
        return m->read(m->self, first, n, out, e);
    memcpy(out, m->memory + first * m->cols, (size_t)(n * m->cols) * sizeof *out);
    return BG_OK;
}

void bg_stored_free(bg_stored *s)
{
    free(s->codes);
    free(s->scales);
    free(s->zeros);
    free(s->levels);
    free(s->column_group);
    free(s->stream);
    free(s->input_scale);
    *s = (bg_stored){0};
}

void bg_quantized_free(bg_quantized *q)
{
    bg_stored_free(&q->stored);
    free(q->column_step);
    q->column_step = NULL;
}
