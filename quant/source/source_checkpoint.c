/* Owns the synthetic checkpoint: `source:DISTRIBUTION,…` as one matrix named "weight", or, without n, as the density.
 */
#define _POSIX_C_SOURCE 200809L
#include "io/checkpoints/loading.h"
#include "quant/source/weights.h"

#include <stdlib.h>
#include <string.h>

static const char prefix[] = "source:";

static int read_rows(const bg_tensor *t, int64_t first, int64_t n, float *out, bg_err *e)
{
    (void)e;
    bg_source_samples(t->layout, first * t->cols, n * t->cols, out);
    return BG_OK;
}

static const bg_format format_source = {
    .name = "source",
    .help = "samples of a distribution with known answers, made on demand",
    .rows = read_rows,
};

static int fill_tensor(bg_load *l, const bg_source *s, bg_tensor *t, bg_err *e)
{
    bg_ckpt *c = l->ckpt;
    c->container = &format_source;
    t->role = "source";
    t->layer = -1;
    t->dtype = BG_F32;
    t->bytes[BG_PART_INDICES] = (uint64_t)s->n * sizeof(float);
    c->file_bytes = t->bytes[BG_PART_INDICES];
    int status = bg_tensor_shape(t, (int64_t[]){s->n ? s->n / s->cols : 0, s->cols}, 2, e);
    return status ? status : bg_tensor_storage(t, e, "F32");
}

/* A matrix-normal source is drawn as a whole; its samples follow it in one block, which is freed as one. */
static int draw_matrix(bg_tensor *t, bg_err *e)
{
    bg_source *s = t->layout, *whole = realloc(s, sizeof *s + (size_t)s->n * sizeof(float));
    if (!whole)
        return bg_no_memory(e, t->name, (size_t)s->n * sizeof(float));
    t->layout = whole;
    float *samples = (float *)(whole + 1);
    whole->matrix = samples;
    return bg_source_matrix(whole, samples, e);
}

static int load_source(bg_load *l, const char *name, bg_err *e)
{
    bg_source *s = calloc(1, sizeof *s);
    l->ckpt->path = strdup(name);
    if (!s || !l->ckpt->path) {
        free(s);
        return bg_no_memory(e, name, sizeof *s);
    }
    int status = bg_source_parse(name + strlen(prefix), s, e);
    bg_tensor *t = status ? NULL : bg_load_add(l, "weight", &format_source, e);
    if (!t) {
        free(s);
        return status ? status : BG_RESOURCE;
    }
    t->layout = s;
    int filled = s->matrix_normal ? draw_matrix(t, e) : BG_OK;
    return filled ? filled : fill_tensor(l, t->layout, t, e);
}

int bg_weights_open(const char *name, const bg_ckpt_options *options, bg_ckpt **out, bg_err *e)
{
    if (strncmp(name, prefix, strlen(prefix)))
        return bg_ckpt_open(name, options, out, e);
    return bg_ckpt_build(name, load_source, options, out, e);
}

const bg_source *bg_weights_density(const bg_ckpt *c)
{
    if (c->container != &format_source || !c->n_tensors)
        return NULL;
    const bg_source *s = c->tensors[0].layout;
    return s->n ? NULL : s;
}
