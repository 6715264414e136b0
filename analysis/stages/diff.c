/* bitgap diff: what changed between two quantized checkpoints, for people and for CI. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdlib.h>
#include "analysis/comparison/audit.h"
#include "io/base/options.h"
#include "quant/source/weights.h"

/* One tensor of one side; NaN where it is not known. */
typedef struct entry {
    char *name;
    const char *role;
    int layer;
    double rate_bits, mse, gap_bits, relative;
} entry;

typedef struct side {
    char *title;
    entry *entries; /* by name */
    int n;
} side;

/* A tensor of either side. */
typedef struct change {
    const entry *a, *b;
    const char *state;
    double change; /* gap_bits of B − A, or D/σ² of B as a copy of A */
} change;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static void free_side(side *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->entries[i].name);
    free(s->entries);
    free(s->title);
    *s = (side){0};
}

static int add_entry(side *s, const char *name, bg_err *e)
{
    entry *x = &s->entries[s->n];
    int layer;
    *x = (entry){.name = strdup(name), .role = bg_role_of(name, &layer)};
    x->layer = layer;
    if (!x->name)
        return bg_no_memory(e, "the list of tensors", strlen(name));
    s->n++;
    return BG_OK;
}

static int sort_side(side *s, const char *title, int status, bg_err *e)
{
    s->title = strdup(title);
    if (!status && !s->title)
        status = bg_no_memory(e, title, strlen(title));
    if (s->n)
        qsort(s->entries, (size_t)s->n, sizeof *s->entries, by_name);
    return status;
}

/* The one audited model of a saved audit.json. */
static int read_side(const char *path, side *s, bg_provenance *p, bg_err *e)
{
    cJSON *root;
    int status = bg_doc_read(path, "audit", &root, p, e);
    if (status)
        return status;
    const cJSON *rows = bg_doc_rows(root, "tensors"), *r;
    const char *model = bg_json_string(cJSON_GetArrayItem(rows, 0), "model", "");
    const double none = (double)NAN;
    s->entries = calloc((size_t)cJSON_GetArraySize(rows) + 1, sizeof *s->entries);
    if (!s->entries)
        status = bg_no_memory(e, path, (size_t)cJSON_GetArraySize(rows) * sizeof *s->entries);
    cJSON_ArrayForEach(r, rows)
    {
        if (!status && strcmp(bg_json_string(r, "model", ""), model))
            status = bg_fail(e, BG_INPUT, "%s: holds several models; audit them one at a time", path);
        if (!status)
            status = add_entry(s, bg_json_string(r, "tensor", ""), e);
        if (status)
            break;
        entry *x = &s->entries[s->n - 1];
        x->rate_bits = bg_json_number(r, "rate_bits", none);
        x->mse = bg_json_number(r, "mse", none);
        x->gap_bits = bg_json_number(r, "gap_bits", none);
        x->relative = bg_json_number(r, "relative", none);
    }
    status = sort_side(s, model, status, e);
    cJSON_Delete(root);
    return status;
}

/* A checkpoint against `base`, or, without one, only its rates. */
static int audit_side(const bg_ckpt *base, const bg_ckpt *c, side *s, bg_err *e)
{
    bg_audit_row *rows;
    int n, status = bg_audit_all(base, c, &rows, &n, e);
    const double none = (double)NAN;
    s->entries = status ? NULL : calloc((size_t)n + 1, sizeof *s->entries);
    if (!status && !s->entries)
        status = bg_no_memory(e, c->title, (size_t)n * sizeof *s->entries);
    for (int i = 0; !status && i < n; i++) {
        status = add_entry(s, rows[i].tensor->name, e);
        if (status)
            break;
        entry *x = &s->entries[s->n - 1];
        x->rate_bits = rows[i].rate_bits;
        x->mse = rows[i].base ? rows[i].loss.mse : none;
        x->gap_bits = rows[i].gap_bits;
        x->relative = rows[i].relative;
    }
    free(rows);
    return sort_side(s, c->title, status, e);
}

static int is_document(const char *path)
{
    size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".json") && bg_is_file(path);
}

static int open_model(const char *path, bg_ckpt **c, bg_provenance *p, bg_err *e)
{
    int status = bg_weights_open(path, &(bg_ckpt_options){0}, c, e);
    return status ? status : bg_ckpt_provenance(*c, p, e);
}

/* Fills both sides. Without a reference, two models are compared directly: B is measured against A. */
static int open_sides(const bg_args *a, side sides[2], bg_provenance *p, bg_err *e)
{
    const char *reference = bg_arg(a, "reference");
    bg_ckpt *base = NULL, *models[2] = {NULL, NULL};
    int status = reference ? open_model(reference, &base, p, e) : BG_OK;
    for (int i = 0; !status && i < 2; i++) {
        const char *path = bg_args_word(a, i);
        status = is_document(path) ? read_side(path, &sides[i], p, e) : open_model(path, &models[i], p, e);
    }
    if (!status && !reference && !models[0] != !models[1])
        status = bg_fail(e, BG_USAGE,
                         "diff: a model beside a saved audit needs the --reference that the audit was made with");
    for (int i = 0; !status && i < 2; i++)
        if (models[i])
            status = audit_side(base ? base : i ? models[0] : NULL, models[i], &sides[i], e);
    bg_ckpt_close(base);
    bg_ckpt_close(models[0]);
    bg_ckpt_close(models[1]);
    return status;
}

/* ---- comparing ---- */

static change compare(const entry *a, const entry *b, int direct)
{
    change c = {a, b, "same", (double)NAN};
    if (!a || !b) {
        c.state = a ? "only_a" : "only_b";
        return c;
    }
    c.change = direct ? b->relative : b->gap_bits - a->gap_bits;
    if (!isfinite(c.change)) /* an exact copy has no gap: its error decides */
        c.change = direct ? (b->mse > 0 ? b->mse : 0) : b->mse - a->mse;
    if (c.change > 0)
        c.state = "worse";
    else if (c.change < 0 || (isfinite(c.change) && a->rate_bits > b->rate_bits))
        c.state = "better";
    return c;
}

static int worst_first(const void *a, const void *b)
{
    const change *x = a, *y = b;
    double p = isfinite(x->change) ? x->change : (double)INFINITY,
           q = isfinite(y->change) ? y->change : (double)INFINITY;
    const entry *s = x->a ? x->a : x->b, *t = y->a ? y->a : y->b;
    return p != q ? (p < q) - (p > q) : strcmp(s->name, t->name);
}

/* Merges the two sorted lists; out has room for both. */
static int merge(const side *a, const side *b, int direct, change *out)
{
    int n = 0;
    for (int i = 0, k = 0; i < a->n || k < b->n;) {
        int order = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->entries[i].name, b->entries[k].name);
        out[n++] = compare(order <= 0 ? &a->entries[i] : NULL, order >= 0 ? &b->entries[k] : NULL, direct);
        i += order <= 0;
        k += order >= 0;
    }
    qsort(out, (size_t)n, sizeof *out, worst_first);
    return n;
}

static void write_change(bg_doc *d, const change *c, int direct)
{
    const entry *t = c->a ? c->a : c->b;
    bg_doc_row(d);
    bg_doc_string(d, "tensor", t->name);
    bg_doc_string(d, "role", t->role);
    bg_doc_integer(d, "layer", t->layer);
    bg_doc_string(d, "state", c->state);
    bg_doc_number(d, "change", c->change);
    if (c->a)
        bg_doc_number(d, "rate_bits_a", c->a->rate_bits);
    if (c->b)
        bg_doc_number(d, "rate_bits_b", c->b->rate_bits);
    if (c->a && !direct)
        bg_doc_number(d, "mse_a", c->a->mse);
    if (c->b)
        bg_doc_number(d, "mse_b", c->b->mse);
    if (c->a && !direct)
        bg_doc_number(d, "gap_bits_a", c->a->gap_bits);
    if (c->b && !direct)
        bg_doc_number(d, "gap_bits_b", c->b->gap_bits);
    bg_doc_row_end(d);
}

static int count(const change *c, int n, const char *state)
{
    int k = 0;
    for (int i = 0; i < n; i++)
        k += !strcmp(c[i].state, state);
    return k;
}

/* What came out. */
typedef struct verdict {
    double limit;        /* --fail-above; NaN: none */
    int gone, missed;    /* a tensor is missing; the limit is exceeded */
    const change *worst; /* NULL: nothing can be compared */
} verdict;

static verdict judge(const change *c, int n, double limit)
{
    verdict v = {.limit = limit};
    for (int i = 0; i < n; i++) {
        v.gone |= !c[i].b;
        if (!v.worst && c[i].a && c[i].b && isfinite(c[i].change))
            v.worst = &c[i];
    }
    v.missed = limit >= 0 && (v.gone || (v.worst && v.worst->change > limit));
    return v;
}

static int write_document(bg_doc *d, const side sides[2], const change *c, int n, int direct, const verdict *v,
                          bg_err *e)
{
    int only_a = count(c, n, "only_a"), only_b = count(c, n, "only_b");
    bg_doc_section(d, "summary");
    bg_doc_row(d);
    bg_doc_string(d, "a", sides[0].title);
    bg_doc_string(d, "b", sides[1].title);
    bg_doc_integer(d, "tensors", n - only_a - only_b);
    bg_doc_integer(d, "same", count(c, n, "same"));
    bg_doc_integer(d, "better", count(c, n, "better"));
    bg_doc_integer(d, "worse", count(c, n, "worse"));
    bg_doc_integer(d, "only_a", only_a);
    bg_doc_integer(d, "only_b", only_b);
    if (v->worst) {
        bg_doc_number(d, "worst", v->worst->change);
        bg_doc_string(d, "worst_tensor", v->worst->a->name);
    }
    bg_doc_number(d, "limit", v->limit);
    bg_doc_bool(d, "missed", v->missed);
    bg_doc_row_end(d);
    bg_doc_section(d, "tensors");
    for (int i = 0; i < n; i++)
        if (strcmp(c[i].state, "same"))
            write_change(d, &c[i], direct);
    return bg_doc_commit(d, e);
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    side sides[2] = {{0}, {0}};
    double limit = (double)NAN;
    int status = bg_arg_number(a, "fail-above", 0, 1e9, &limit, e), n = 0;
    int direct = !bg_arg(a, "reference") && !is_document(bg_args_word(a, 0));
    if (!status)
        status = open_sides(a, sides, p, e);
    change *c = status ? NULL : calloc((size_t)(sides[0].n + sides[1].n) + 1, sizeof *c);
    if (!status && !c)
        status = bg_no_memory(e, "diff", (size_t)(sides[0].n + sides[1].n) * sizeof *c);
    if (!status) {
        n = merge(&sides[0], &sides[1], direct, c);
        verdict v = judge(c, n, limit);
        bg_doc d;
        status = bg_doc_begin(&d, "diff", bg_arg_output(a, "diff.json"), p, e);
        if (!status)
            status = write_document(&d, sides, c, n, direct, &v, e);
        if (!status && v.gone && v.missed)
            status = bg_fail(e, BG_MISSED, "diff: tensors of %s are missing in %s", sides[0].title, sides[1].title);
        else if (!status && v.missed)
            status = bg_fail(e, BG_MISSED, "diff: '%s' is worse by %.4g, more than --fail-above %g", v.worst->a->name,
                             v.worst->change, limit);
    }
    free(c);
    free_side(&sides[0]);
    free_side(&sides[1]);
    return status;
}

static const bg_option options[] = {
    {.name = "reference", .argument = "BASE", .help = "the original weights: A and B are both measured against them"},
    {.name = "fail-above",
     .argument = "X",
     .help = "exit 1 when a tensor is worse by more than X bits of gap (without a reference: D/σ² above X) or gone"},
    {0},
};

const bg_stage bg_stage_diff = {
    .name = "diff",
    .arguments = "A B",
    .min_words = 2,
    .max_words = 2,
    .summary = "what changed between two checkpoints, and what got worse",
    .about =
        "A and B are models or saved audits (audit.json of one model). With --reference both are measured against the\n"
        "original weights and compared by gap; without, B is measured as a copy of A.",
    .example = "bitgap diff data/austen-3.7m data/austen-3.7m --fail-above 0 -o -",
    .options = options,
    .is_tool = 1,
    .run = run,
};
