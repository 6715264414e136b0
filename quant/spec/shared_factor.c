/* Owns what the specs of one matrix share. */
#include "quant/spec/shared_factor.h"

int bg_factor_shared(const bg_matrix *m, double percdamp, int64_t order, bg_factor *own, const bg_factor **out,
                     bg_err *e)
{
    struct bg_shared *s = m->shared;
    *own = (bg_factor){0};
    if (!s) {
        *out = own;
        return bg_factor_init(own, m->second_moment, m->cols, percdamp, order, e);
    }
    if (!s->made || s->percdamp != percdamp || s->order != order) {
        bg_shared_free(s);
        int status = bg_factor_init(&s->factor, m->second_moment, m->cols, percdamp, order, e);
        if (status)
            return status;
        s->percdamp = percdamp;
        s->order = order;
        s->made = 1;
    }
    *out = &s->factor;
    return BG_OK;
}

void bg_shared_free(struct bg_shared *s)
{
    if (!s)
        return;
    bg_factor_free(&s->factor);
    s->made = 0;
}
