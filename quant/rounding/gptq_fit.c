/* Owns the fit of a group of round=gptq to its weights, or to what they have become when the walk reaches it. */
#include <string.h>
#include "quant/rounding/gptq_walk.h"

/* Fits one scope, which starts at column or step `first`, and keeps its code (and tables, if the fit wrote any into the
 * room). */
int bg_gptq_fit(const bg_gptq_walk *k, const float *x, int64_t first, int64_t n, int64_t at, bg_code_room *room,
                bg_err *e)
{
    bg_code *c = &k->codes[at];
    bg_scope_weights weights = {
        .x = x, .importance = k->importance ? k->importance + first : NULL, .n = (size_t)n, .ideal = k->two_level};
    int status = bg_scope_fit(k->s, &weights, room, c, e);
    if (!status && c->K > k->K)
        status =
            bg_fail(e, BG_USAGE, "spec '%s': round=gptq with codes of unknown length needs scope=tensor", k->s->text);
    if (!status && k->tables && c->levels == room->levels) {
        float *kept = k->tables + at * 2 * k->K;
        memcpy(kept, c->levels, (size_t)c->K * sizeof *kept);
        memcpy(kept + k->K, c->cuts, (size_t)(c->K - 1) * sizeof *kept);
        c->levels = kept;
        c->cuts = kept + k->K;
    }
    return status;
}

int bg_gptq_fit_walked(const bg_gptq_walk *k, int64_t r, int64_t at, const float *x, float *y, bg_code_room *room,
                       bg_err *e)
{
    int64_t n = at + k->G < k->C ? k->G : k->C - at, N = k->f->n;
    const float *M = k->f->M + at * N + at;
    for (int64_t i = 0; i < n; i++) {
        y[i] /= M[i * N + i];
        for (int64_t j = i + 1; j < n; j++)
            y[j] -= y[i] * M[i * N + j];
    }
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
    return bg_gptq_fit(k, y, at, n, r * k->groups + bg_gptq_group(k, at), room, e);
}
