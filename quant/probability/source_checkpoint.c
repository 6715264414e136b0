/* Owns the synthetic checkpoint: `source:LAW,…` as one matrix named "weight", or, without n, as the law itself. */
#include "io/checkpoints/loading.h"
#include "quant/probability/source.h"

#include <stdlib.h>

static int rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    (void)e;
    bg_source_samples(t->layout, first * t->cols, n * t->cols, out);
    return BG_OK;
}

const bg_format bg_format_source = {
    .name = "source",
    .help = "samples of a law with known answers, made on demand",
    .rows = rows,
};

int bg_source_load(bg_load *l, const char *text, bg_err *e)
{
    bg_source *s = calloc(1, sizeof *s);
    if (!s)
        return bg_no_memory(e, text, sizeof *s);
    int status = bg_source_parse(text, s, e);
    bg_tensor *t = status ? NULL : bg_load_add(l, "weight", &bg_format_source, e);
    if (!t) {
        free(s);
        return status ? status : BG_RESOURCE;
    }
    bg_ckpt *c = l->ckpt;
    c->container = &bg_format_source;
    t->layout = s;
    t->dtype = BG_F32;
    t->bytes[BG_PART_INDICES] = (uint64_t)s->n * sizeof(float);
    c->file_bytes = t->bytes[BG_PART_INDICES];
    c->distribution_sigma = s->sigma;
    if (!s->n)
        c->distribution = &s->distribution;
    status = bg_tensor_shape(t, (int64_t[]){s->n ? s->n / s->cols : 0, s->cols}, 2, e);
    return status ? status : bg_tensor_storage(t, e, "F32");
}
