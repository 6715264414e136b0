/* bitgap export: the tensors of any checkpoint as float32 under their Hugging Face names, so that any program can read
 * what Bitgap decoded. */
#include <stdlib.h>
#include "io/base/options.h"
#include "io/checkpoints/writers/safetensors_writer.h"
#include "quant/source/weights.h"

enum { TILE = 1 << 18 }; /* weights decoded at a time */

static int copy_tensor(const bg_tensor *t, float **tile, size_t *workspace, bg_safetensors_writer *w, bg_err *e)
{
    int64_t n = t->cols ? TILE / t->cols : 0;
    n = n < 1 ? 1 : n > t->rows ? t->rows : n;
    size_t need = (size_t)(n * t->cols) * sizeof **tile;
    if (need > *workspace) {
        free(*tile);
        *workspace = need;
        *tile = malloc(need);
        if (!*tile) {
            *workspace = 0;
            return bg_no_memory(e, t->name, need);
        }
    }
    int status = BG_OK;
    for (int64_t at = 0; !status && at < t->rows; at += n) {
        int64_t m = t->rows - at < n ? t->rows - at : n;
        if (bg_interrupted)
            return bg_fail(e, BG_RESOURCE, "interrupted");
        status = bg_tensor_rows(t, at, m, *tile, e);
        if (!status)
            status = bg_safetensors_put(w, *tile, (uint64_t)(m * t->cols) * sizeof **tile, e);
    }
    return status;
}

static int write_all(const bg_ckpt *c, const char *path, bg_err *e)
{
    bg_safetensors_entry *entries = calloc((size_t)c->n_tensors + 1, sizeof *entries);
    if (!entries)
        return bg_no_memory(e, c->title, (size_t)c->n_tensors * sizeof *entries);
    for (int i = 0; i < c->n_tensors; i++) {
        const bg_tensor *t = &c->tensors[i];
        entries[i] = (bg_safetensors_entry){.name = t->name, .dtype = BG_F32, .rank = t->rank};
        memcpy(entries[i].shape, t->shape, sizeof t->shape);
    }
    bg_safetensors_writer w;
    float *tile = NULL;
    size_t workspace = 0;
    int status = bg_safetensors_begin(&w, path, entries, c->n_tensors,
                                      (const char *const[]){"format", "pt", "bitgap", "export", NULL}, e);
    bg_progress p;
    bg_progress_begin(&p, "export", (unsigned long long)c->n_tensors);
    for (int i = 0; !status && i < c->n_tensors; i++) {
        status = copy_tensor(&c->tensors[i], &tile, &workspace, &w, e);
        bg_progress_step(&p, 1);
    }
    bg_progress_end(&p);
    if (!status)
        status = bg_safetensors_commit(&w, e);
    bg_safetensors_abandon(&w);
    free(tile);
    free(entries);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    bg_ckpt *c;
    const char *path = bg_arg_output(a, NULL);
    if (!path)
        return bg_fail(e, BG_USAGE, "export: where to? give -o X.safetensors");
    bg_ckpt_options o = {.include = bg_arg(a, "include"), .exclude = bg_arg(a, "exclude")};
    int status = bg_weights_open(bg_args_word(a, 0), &o, &c, e);
    if (status)
        return status;
    if (bg_weights_density(c))
        status = bg_fail(e, BG_USAGE, "export: %s is a density; say how many samples, n=…", c->title);
    else
        status = write_all(c, path, e);
    bg_ckpt_close(c);
    return status;
}

static const bg_option options[] = {
    {.name = "include", .argument = "REGEX", .help = "only tensors whose names match"},
    {.name = "exclude", .argument = "REGEX", .help = "no tensors whose names match"},
    {0},
};

const bg_stage bg_stage_export = {
    .name = "export",
    .arguments = "MODEL",
    .min_words = 1,
    .max_words = 1,
    .summary = "any checkpoint's tensors as float32 safetensors",
    .about = "Writes every tensor decoded to float32 under its Hugging Face name, whatever the format: GGUF names are "
             "translated and "
             "the rotary order of q and k rows undone, GPT-2's projections are turned to [out, in].",
    .example = "bitgap export data/austen-3.7m --include 'layers.0' -o /tmp/layer0.safetensors",
    .options = options,
    .is_tool = 1,
    .run = run,
};
