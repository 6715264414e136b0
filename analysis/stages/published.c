/* bitgap published: tables of the literature, each case run on its source and set beside the value it should have. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "analysis/bounds/shannon.h"
#include "analysis/tensors/tensor_selection.h"
#include "quant/source/weights.h"

enum { MAX_CASES = 256, LARGEST_FILE = 1 << 20 };

typedef struct published_case {
    const char *source, *spec, *quantity, *grade, *note; /* borrowed from the file */
    double value, tolerance, ours;
    const char *skipped;
    int done;
} published_case;

typedef struct published_table {
    const char *name, *title, *citation;
    published_case cases[MAX_CASES];
    int n;
} published_table;

static const char *const quantities[] = {"mse", "sqnr_db", "gap_bits", "rate_bits", "index_entropy_bits"};
enum { QUANTITIES = sizeof quantities / sizeof *quantities };

static int read_case(const cJSON *row, const char *path, int number, published_case *c, bg_err *e)
{
    *c = (published_case){.source = bg_json_string(row, "source", NULL),
                          .spec = bg_json_string(row, "spec", NULL),
                          .quantity = bg_json_string(row, "quantity", NULL),
                          .grade = bg_json_string(row, "grade", NULL),
                          .note = bg_json_string(row, "note", NULL),
                          .value = bg_json_number(row, "value", (double)NAN),
                          .tolerance = bg_json_number(row, "tolerance", (double)NAN),
                          .ours = (double)NAN};
    double min = bg_json_number(row, "least", (double)NAN), max = bg_json_number(row, "most", (double)NAN);
    if (max > min)
        c->value = (min + max) / 2, c->tolerance = (max - min) / 2;
    if (!c->source || strncmp(c->source, "source:", 7) || !c->spec || !c->quantity || !c->grade ||
        !isfinite(c->value) || !(c->tolerance > 0))
        return bg_fail(e, BG_INPUT, "%s: case %d: source, spec, quantity, value, tolerance and grade are wanted", path,
                       number);
    if (strcmp(c->grade, "P") && strcmp(c->grade, "C") && strcmp(c->grade, "B"))
        return bg_fail(
            e, BG_INPUT,
            "%s: case %d: grade is P (read in the paper), C (computed independently) or B (between least and most)",
            path, number);
    if (!strcmp(c->grade, "B") != (max > min))
        return bg_fail(e, BG_INPUT, "%s: case %d: least and most are wanted with grade B and with no other", path,
                       number);
    for (int q = 0; q < QUANTITIES; q++)
        if (!strcmp(c->quantity, quantities[q]))
            return BG_OK;
    return bg_fail(e, BG_INPUT,
                   "%s: case %d: quantity '%s'; there are mse, sqnr_db, gap_bits, rate_bits, index_entropy_bits", path,
                   number, c->quantity);
}

static int read_table(const cJSON *root, const char *path, published_table *t, bg_err *e)
{
    const cJSON *row;
    *t = (published_table){.name = bg_path_base(path),
                           .title = bg_json_string(root, "title", NULL),
                           .citation = bg_json_string(root, "citation", NULL)};
    if (!t->title || !t->citation)
        return bg_fail(e, BG_INPUT, "%s: title and citation are wanted", path);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(root, "cases"))
    {
        if (t->n == MAX_CASES)
            return bg_fail(e, BG_INPUT, "%s: more than %d cases", path, MAX_CASES);
        int status = read_case(row, path, t->n + 1, &t->cases[t->n], e);
        if (status)
            return status;
        t->n++;
    }
    return t->n ? BG_OK : bg_fail(e, BG_INPUT, "%s: no cases", path);
}

static double quantity(const bg_measure *m, double sigma2, const char *name)
{
    if (!strcmp(name, "mse"))
        return m->mse / sigma2;
    if (!strcmp(name, "sqnr_db"))
        return 10 * log10(sigma2 / m->mse);
    if (!strcmp(name, "gap_bits"))
        return bg_gap_bits(m->rate_bits, sigma2, m->mse);
    return !strcmp(name, "rate_bits") ? m->rate_bits : m->index_entropy;
}

/* Variance of the weights that were drawn, or of the law. */
static int variance_of(const bg_matrix *m, double *sigma2, bg_err *e)
{
    *sigma2 = m->distribution_sigma * m->distribution_sigma;
    if (m->distribution)
        return BG_OK;
    size_t n = (size_t)(m->rows * m->cols);
    float *x = malloc(n * sizeof *x);
    if (!x)
        return bg_no_memory(e, "samples", n * sizeof *x);
    int status = m->read(m->self, 0, m->rows, x, e);
    double sum = 0, square = 0;
    for (size_t i = 0; i < n && !status; i++)
        sum += (double)x[i], square += (double)x[i] * (double)x[i];
    *sigma2 = square / (double)n - sum / (double)n * (sum / (double)n);
    free(x);
    return status;
}

/* All cases of one source in one sweep. */
static int run_source(published_table *t, int first, uint64_t seed, bg_err *e)
{
    const char *source = t->cases[first].source;
    bg_selection selection = {0};
    bg_spec *specs = calloc((size_t)t->n, sizeof *specs);
    bg_measure *measures = calloc((size_t)t->n, sizeof *measures);
    int which[MAX_CASES], n = 0;
    double sigma2 = 1;
    int status = specs && measures ? bg_weights_open(source, &(bg_ckpt_options){0}, &selection.ckpt, e)
                                   : bg_no_memory(e, source, (size_t)t->n * sizeof *specs);
    for (int i = first; i < t->n && !status; i++) {
        if (t->cases[i].done || strcmp(t->cases[i].source, source))
            continue;
        t->cases[i].done = 1;
        which[n] = i;
        status = bg_spec_parse(t->cases[i].spec, &specs[n++], e);
    }
    if (!status) {
        bg_matrix m = bg_selection_matrix(&selection, &selection.ckpt->tensors[0], seed);
        status = variance_of(&m, &sigma2, e);
        if (!status)
            status = bg_measure_specs(&m, specs, n, measures, e);
    }
    for (int k = 0; k < n && !status; k++) {
        published_case *c = &t->cases[which[k]];
        c->skipped = measures[k].skipped;
        c->ours = c->skipped ? (double)NAN : quantity(&measures[k], sigma2, c->quantity);
    }
    bg_ckpt_close(selection.ckpt);
    free(measures);
    free(specs);
    return status ? bg_context(e, "%s: %s", t->name, source) : BG_OK;
}

static int inside(const published_case *c)
{
    return fabs(c->ours - c->value) <= c->tolerance;
}

static void put_table(bg_doc *d, const published_table *t, int aloud)
{
    if (aloud)
        printf("%s\n  %s\n", t->title, t->citation);
    for (int i = 0; i < t->n; i++) {
        const published_case *c = &t->cases[i];
        bg_doc_row(d);
        bg_doc_string(d, "table", t->name);
        bg_doc_string(d, "title", t->title);
        bg_doc_string(d, "citation", t->citation);
        bg_doc_string(d, "source", c->source);
        bg_doc_string(d, "spec", c->spec);
        bg_doc_string(d, "quantity", c->quantity);
        bg_doc_string(d, "grade", c->grade);
        bg_doc_number(d, "value", c->value);
        bg_doc_number(d, "ours", c->ours);
        bg_doc_number(d, "difference", c->ours - c->value);
        bg_doc_number(d, "tolerance", c->tolerance);
        bg_doc_bool(d, "inside", inside(c));
        if (c->note)
            bg_doc_string(d, "note", c->note);
        if (c->skipped)
            bg_doc_string(d, "skipped", c->skipped);
        bg_doc_row_end(d);
        if (aloud)
            printf("  %-28s %-36s %-18s %s %12.7g %12.7g %+10.2g  %s\n", c->source + 7, c->spec, c->quantity, c->grade,
                   c->value, c->ours, c->ours - c->value,
                   c->skipped  ? c->skipped
                   : inside(c) ? "inside"
                               : "OUTSIDE");
    }
}

static int run_file(const char *path, bg_doc *d, int aloud, bg_provenance *p, int *cases, int *outside, bg_err *e)
{
    cJSON *root = NULL;
    published_table *t = calloc(1, sizeof *t);
    int status = t ? bg_json_read(path, LARGEST_FILE, &root, e) : bg_no_memory(e, path, sizeof *t);
    if (!status)
        status = bg_provenance_add(p, path, 0, e);
    if (!status)
        status = read_table(root, path, t, e);
    for (int i = 0; !status && i < t->n; i++)
        if (!t->cases[i].done)
            status = run_source(t, i, p->seed, e);
    if (!status)
        put_table(d, t, aloud);
    for (int i = 0; !status && i < t->n; i++)
        *cases += 1, *outside += !inside(&t->cases[i]);
    cJSON_Delete(root);
    free(t);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    bg_doc d;
    const char *output = bg_arg_output(a, "published.json");
    int cases = 0, outside = 0, status = bg_doc_begin(&d, "published", output, p, e);
    if (status)
        return status;
    bg_doc_section(&d, "rows");
    for (int i = 0; i < bg_args_words(a) && !status; i++)
        status = run_file(bg_args_word(a, i), &d, strcmp(output, "-") != 0, p, &cases, &outside, e);
    if (!status)
        status = bg_doc_commit(&d, e);
    bg_doc_abandon(&d);
    return status    ? status
           : outside ? bg_fail(e, BG_MISSED, "published: %d of %d cases outside their tolerance", outside, cases)
                     : BG_OK;
}

static const bg_option options[] = {{0}};

const bg_stage bg_stage_published = {
    .name = "published",
    .arguments = "TABLE…",
    .min_words = 1,
    .max_words = -1,
    .summary = "tables of the literature, run again: value, ours, difference",
    .about = "Runs every case of the tables (data/published) on its source and prints the value it should have, ours "
             "and whether it is "
             "inside its tolerance. Grade P: read in the paper. Grade C: computed independently, in closed form or by "
             "simulation of the "
             "paper's scheme. Grade B: no value could be read or computed, but two that it must lie between. Ends with "
             "1 when a case "
             "is outside.",
    .example = "bitgap published data/published/max1960.json -o /tmp/published.json",
    .options = options,
    .run = run,
};
