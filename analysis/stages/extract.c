/* bitgap extract: every weight matrix of a checkpoint, its statistics by tensor and by role, and its exact histogram.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/output/can_run.h"
#include "analysis/tensors/tensor_selection.h"
#include "analysis/tensors/tensor_histogram.h"

enum { FIGURE_BINS = 128, MAX_ROLES = 64 };
static const double figure_from = -8, figure_width = 0.125; /* σ */

typedef struct role_total {
    const char *name;
    int tensors;
    uint64_t zeros, nans, infs;
    int mantissa_bits; /* the coarsest of its tensors */
    bg_hist hist;      /* atoms of all its tensors */
} role_total;

typedef struct job {
    bg_selection selection;
    bg_doc doc;
    bg_out side; /* path NULL: none */
    uint64_t offset;
    role_total roles[MAX_ROLES];
    int n_roles;
} job;

static void put_statistics(bg_doc *d, const bg_statistics *s, uint64_t zeros, uint64_t nans, uint64_t infs)
{
    bg_doc_integer(d, "weights", (int64_t)(s->weights + nans + infs));
    bg_doc_number(d, "mean", s->mean);
    bg_doc_number(d, "sigma2", s->sigma2);
    bg_doc_number(d, "skewness", s->skewness);
    bg_doc_number(d, "kurtosis_excess", s->kurtosis_excess);
    bg_doc_number(d, "min", s->min);
    bg_doc_number(d, "max", s->max);
    bg_doc_number(d, "max_over_sigma", s->max_over_sigma);
    bg_doc_integer(d, "zeros", (int64_t)zeros);
    bg_doc_integer(d, "nans", (int64_t)nans);
    bg_doc_integer(d, "infs", (int64_t)infs);
    bg_doc_number(d, "entropy_bits", s->entropy_bits);
    bg_doc_number(d, "differential_entropy_bits", s->differential_entropy_bits);
    bg_doc_number(d, "ggd_shape", s->ggd_shape);
    bg_doc_integer(d, "distinct", (int64_t)s->distinct);
}

/* Pairs (float32 value, uint64 count), little-endian, ascending. */
static int write_atoms(job *j, const bg_hist *h, bg_err *e)
{
    for (size_t i = 0; i < h->n; i++) {
        unsigned char pair[12];
        float value = (float)h->value[i];
        uint64_t count = (uint64_t)h->weight[i];
        memcpy(pair, &value, 4);
        memcpy(pair + 4, &count, 8);
        if (fwrite(pair, sizeof pair, 1, j->side.file) != 1)
            return bg_fail(e, BG_RESOURCE, "%s: cannot write; is the disk full?", j->side.path);
    }
    j->offset += 12 * h->n;
    return BG_OK;
}

static int add_to_role(job *j, const bg_tensor *t, const bg_tensor_hist *h, bg_err *e)
{
    int g = 0;
    while (g < j->n_roles && strcmp(j->roles[g].name, t->role))
        g++;
    if (g == MAX_ROLES)
        return bg_fail(e, BG_INPUT, "more than %d roles", MAX_ROLES);
    role_total *to = &j->roles[g];
    if (g == j->n_roles) {
        j->n_roles++;
        *to = (role_total){.name = t->role, .mantissa_bits = h->mantissa_bits};
    }
    to->tensors++;
    to->zeros += h->zeros, to->nans += h->nans, to->infs += h->infs;
    to->mantissa_bits = h->mantissa_bits < to->mantissa_bits ? h->mantissa_bits : to->mantissa_bits;
    return bg_hist_add(&to->hist, &h->hist, e);
}

static int put_tensor(job *j, const bg_tensor *t, bg_err *e)
{
    bg_tensor_hist h;
    bg_statistics s;
    int status = bg_tensor_hist_read(t, &h, e);
    if (status)
        return status;
    bg_statistics_of(&h.hist, h.mantissa_bits, &s);
    if (h.nans + h.infs)
        bg_warn("tensor '%s': %llu NaN and %llu Inf left out", t->name, (unsigned long long)h.nans,
                (unsigned long long)h.infs);
    bg_doc *d = &j->doc;
    bg_doc_row(d);
    bg_doc_string(d, "tensor", t->name);
    bg_doc_string(d, "role", t->role);
    bg_doc_integer(d, "layer", t->layer);
    bg_doc_integer(d, "rows", t->rows);
    bg_doc_integer(d, "cols", t->cols);
    bg_doc_string(d, "dtype", t->storage);
    bg_doc_integer(d, "bytes", (int64_t)bg_tensor_bytes(t));
    put_statistics(d, &s, h.zeros, h.nans, h.infs);
    int samples = !h.hist.is_density;
    if (j->side.path && samples && h.hist.n) {
        bg_doc_integer(d, "histogram_offset", (int64_t)j->offset);
        bg_doc_integer(d, "histogram_atoms", (int64_t)h.hist.n);
        status = write_atoms(j, &h.hist, e);
    }
    if (h.note)
        bg_doc_string(d, "note", h.note);
    bg_doc_row_end(d);
    if (!status && samples)
        status = add_to_role(j, t, &h, e);
    bg_tensor_hist_free(&h);
    return status;
}

static void put_figure(bg_doc *d, const role_total *g)
{
    double density[FIGURE_BINS] = {0}, sigma = sqrt(g->hist.sigma2);
    if (!(sigma > 0))
        return;
    for (int i = 0; i < FIGURE_BINS; i++) {
        double a = g->hist.mean + sigma * (figure_from + figure_width * i), b = a + sigma * figure_width;
        density[i] = (bg_hist_below(&g->hist, b).w - bg_hist_below(&g->hist, a).w) / g->hist.total / figure_width;
    }
    bg_doc_row(d);
    bg_doc_string(d, "role", g->name);
    bg_doc_number(d, "first", figure_from);
    bg_doc_number(d, "width", figure_width);
    bg_doc_numbers(d, "density", density, FIGURE_BINS);
    bg_doc_row_end(d);
}

static void put_roles(job *j)
{
    bg_doc_section(&j->doc, "roles");
    for (int g = 0; g < j->n_roles; g++) {
        role_total *of = &j->roles[g];
        bg_statistics s;
        bg_statistics_of(&of->hist, of->mantissa_bits, &s);
        bg_doc_row(&j->doc);
        bg_doc_string(&j->doc, "role", of->name);
        bg_doc_integer(&j->doc, "tensors", of->tensors);
        put_statistics(&j->doc, &s, of->zeros, of->nans, of->infs);
        bg_doc_row_end(&j->doc);
    }
    bg_doc_section(&j->doc, "histograms");
    for (int g = 0; g < j->n_roles; g++)
        put_figure(&j->doc, &j->roles[g]);
}

static void put_model(job *j, const char *path)
{
    const bg_ckpt *c = j->selection.ckpt;
    bg_doc *d = &j->doc;
    int layers = 0, head = 0, embedded = 0;
    uint64_t parameters = 0;
    for (int i = 0; i < c->n_tensors; i++) {
        const bg_tensor *t = &c->tensors[i];
        layers = t->layer + 1 > layers ? t->layer + 1 : layers;
        head |= !strcmp(t->role, "lm_head");
        embedded |= !strcmp(t->role, "embed");
        parameters += t->count;
    }
    bg_doc_section(d, "models");
    bg_doc_row(d);
    bg_doc_string(d, "title", c->title);
    bg_doc_string(d, "architecture", bg_json_string(c->config, "model_type", "source"));
    bg_doc_integer(d, "parameters", (int64_t)parameters);
    bg_doc_integer(d, "bytes", (int64_t)c->file_bytes);
    bg_doc_integer(d, "layers", layers);
    bg_doc_bool(d, "tied", embedded && !head);
    bg_doc_string(d, "path", path);
    bg_err reason;
    if (c->config && bg_can_run(c, &reason))
        bg_doc_string(d, "cannot_run", reason.text);
    if (j->side.path)
        bg_doc_string(d, "histograms", bg_path_base(j->side.path));
    bg_doc_row_end(d);
}

/* out/groups.json → out/groups.hist; none beside standard output. */
static int open_side(job *j, const char *document, bg_err *e)
{
    size_t n = strlen(document);
    if (!strcmp(document, "-"))
        return BG_OK;
    char *path = malloc(n + 6);
    if (!path)
        return bg_no_memory(e, document, n + 6);
    memcpy(path, document, n + 1);
    if (n > 5 && !strcmp(path + n - 5, ".json"))
        path[n - 5] = 0;
    strcat(path, ".hist");
    int status = bg_out_open(&j->side, path, e);
    free(path);
    return status;
}

static int extract(job *j, const char *path, const bg_provenance *p, const char *output, bg_err *e)
{
    int status = open_side(j, output, e);
    if (!status)
        status = bg_doc_begin(&j->doc, "groups", output, p, e);
    if (status)
        return status;
    put_model(j, path);
    bg_doc_section(&j->doc, "tensors");
    bg_progress bar;
    bg_progress_begin(&bar, "extract", (unsigned long long)j->selection.n);
    for (int i = 0; !status && i < j->selection.n; i++) {
        status = put_tensor(j, j->selection.tensors[i], e);
        bg_progress_step(&bar, 1);
    }
    bg_progress_end(&bar);
    if (!status)
        put_roles(j);
    return status ? status : bg_doc_commit_with(&j->doc, &j->side, e);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    job j = {0};
    const char *path = bg_args_word(a, 0);
    int status = bg_selection_open(&j.selection, path, a, p, e);
    if (!status)
        status = extract(&j, path, p, bg_arg_output(a, "groups.json"), e);
    bg_doc_abandon(&j.doc);
    bg_out_abandon(&j.side);
    for (int g = 0; g < j.n_roles; g++)
        bg_hist_free(&j.roles[g].hist);
    bg_selection_close(&j.selection);
    return status;
}

static const bg_option options[] = {
    BG_SELECTION_OPTIONS,
    {0},
};

const bg_stage bg_stage_extract = {
    .name = "extract",
    .arguments = "MODEL",
    .min_words = 1,
    .max_words = 1,
    .summary = "weight matrices by role and layer, their statistics and exact histograms",
    .about =
        "Reads every weight matrix once. 16-bit tensors are counted by code, so their statistics are exact; others are "
        "sorted, or, "
        "beyond 2^24 weights, counted in 65,536 bins (a note says so). NaN and Inf are counted and left out. The exact "
        "histograms go to a file beside the document (groups.hist).",
    .example = "bitgap extract data/austen-3.7m -o /tmp/groups.json",
    .options = options,
    .run = run,
};
