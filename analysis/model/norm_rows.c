/* Owns what every block of a model asks: how many tokens a batch has, and a norm over rows. */
#include "analysis/model/rows.h"
#include "analysis/model/work.h"

int64_t bg_batch_tokens(const bg_batch *b)
{
    int64_t n = 0;
    for (int i = 0; i < b->n; i++)
        n += b->lengths[i];
    return n;
}

void bg_norm_rows(const bg_norm *norm, const float *x, int64_t n, float *y)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < n; r++)
        bg_norm_row(norm->kind, x + r * norm->width, norm->w, norm->b, norm->width, norm->eps, y + r * norm->width);
}
