/* Owns opening documents together, selecting their rows, and joining points with gaps. */
#define _GNU_SOURCE
#include "reports/page/document_set.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- filter ---- */

static int parse_layers(bg_filter *f, const char *layers, bg_err *e)
{
    for (const char *p = layers; *p;) {
        char *end;
        errno = 0;
        long v = strtol(p, &end, 10);
        if (end == p || errno || v < -1 || v > 1000000 || (*end && *end != ','))
            return bg_fail(e, BG_USAGE, "--layers wants whole numbers separated by commas, not '%s'", layers);
        if (f->n_layers == (int)(sizeof f->layers / sizeof *f->layers))
            return bg_fail(e, BG_USAGE, "--layers takes at most %d numbers", f->n_layers);
        f->layers[f->n_layers++] = (int)v;
        p = *end ? end + 1 : end;
    }
    return BG_OK;
}

int bg_filter_parse(bg_filter *f, const char *layers, const char *roles, bg_err *e)
{
    *f = (bg_filter){0};
    int status = layers ? parse_layers(f, layers, e) : BG_OK;
    for (const char *p = roles; !status && p && *p;) {
        size_t n = strcspn(p, ",");
        if (n >= sizeof f->roles[0] || f->n_roles == (int)(sizeof f->roles / sizeof *f->roles))
            return bg_fail(e, BG_USAGE, "--roles takes at most 32 names of at most 63 bytes, not '%s'", roles);
        memcpy(f->roles[f->n_roles], p, n);
        f->roles[f->n_roles++][n] = 0;
        p += n + (p[n] == ',');
    }
    return status;
}

static int passes(const bg_filter *f, const cJSON *row)
{
    const cJSON *layer = cJSON_GetObjectItemCaseSensitive(row, "layer");
    const char *role = bg_json_string(row, "role", NULL);
    int in = 1;
    if (f->n_layers && cJSON_IsNumber(layer)) {
        in = 0;
        for (int i = 0; i < f->n_layers; i++)
            in |= f->layers[i] == (int)layer->valuedouble;
    }
    if (in && f->n_roles && role) {
        in = 0;
        for (int i = 0; i < f->n_roles; i++)
            in |= !strcmp(f->roles[i], role);
    }
    return in;
}

/* ---- rows ---- */

double bg_row_number(const bg_row *r, const char *field)
{
    return bg_json_number(r ? r->json : NULL, field, (double)NAN);
}

const char *bg_row_string(const bg_row *r, const char *field)
{
    return r ? bg_json_string(r->json, field, NULL) : NULL;
}

int bg_row_integer(const bg_row *r, const char *field, int otherwise)
{
    double v = bg_row_number(r, field);
    return v >= -2147483648.0 && v <= 2147483647.0 ? (int)v : otherwise;
}

int bg_row_bool(const bg_row *r, const char *field)
{
    return r && bg_json_bool(r->json, field, 0);
}

bg_rows bg_docset_rows(const bg_docset *s, const char *kind, const char *section)
{
    for (int i = 0; i < s->n_sections; i++)
        if (!strcmp(s->sections[i].kind, kind) && !strcmp(s->sections[i].section, section))
            return s->sections[i].rows;
    return (bg_rows){0};
}

int bg_docset_has(const bg_docset *s, const char *kind)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->documents[i].kind->name, kind))
            return 1;
    return 0;
}

static int collect(bg_docset *s, const bg_doc_kind *kind, const bg_section *section, bg_err *e)
{
    size_t total = 0;
    for (int d = 0; d < s->n; d++)
        if (s->documents[d].kind == kind)
            total += (size_t)cJSON_GetArraySize(bg_doc_rows(s->documents[d].root, section->name));
    if (!total)
        return BG_OK;
    if (s->n_sections == BG_SECTIONS)
        return bg_fail(e, BG_RESOURCE, "internal: more than %d document sections", BG_SECTIONS);
    bg_row *rows = malloc(total * sizeof *rows);
    if (!rows)
        return bg_no_memory(e, section->name, total * sizeof *rows);
    int n = 0;
    for (int d = 0; d < s->n; d++) {
        if (s->documents[d].kind != kind)
            continue;
        int index = 0;
        const cJSON *row;
        cJSON_ArrayForEach(row, bg_doc_rows(s->documents[d].root, section->name))
        {
            if (passes(&s->filter, row))
                rows[n++] = (bg_row){.json = row, .section = section->name, .document = d, .index = index};
            index++;
        }
    }
    s->sections[s->n_sections].kind = kind->name;
    s->sections[s->n_sections].section = section->name;
    s->sections[s->n_sections++].rows = (bg_rows){rows, n};
    return BG_OK;
}

/* ---- points ---- */

static int by_tensor_and_spec(const void *a, const void *b)
{
    const bg_row *x = *(const bg_row *const *)a, *y = *(const bg_row *const *)b;
    int c = strcmp(bg_row_string(x, "tensor"), bg_row_string(y, "tensor"));
    return c ? c : strcmp(bg_row_string(x, "spec"), bg_row_string(y, "spec"));
}

typedef struct ordered {
    const char *spec;
    int first;
} ordered;

static int by_spec(const void *a, const void *b)
{
    const ordered *x = a, *y = b;
    int c = strcmp(x->spec, y->spec);
    return c ? c : (x->first > y->first) - (x->first < y->first);
}

static int by_first_then_index(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return x[0] != y[0] ? (x[0] > y[0]) - (x[0] < y[0]) : (x[1] > y[1]) - (x[1] < y[1]);
}

/* order[i] = {first point of the same spec, i}, sorted: points grouped by spec, specs as they first appear. */
static int order_points(const bg_rows curves, int (*order)[2], bg_err *e)
{
    ordered *specs = malloc((size_t)curves.n * sizeof *specs);
    if (!specs)
        return bg_no_memory(e, "points", (size_t)curves.n * sizeof *specs);
    for (int i = 0; i < curves.n; i++)
        specs[i] = (ordered){bg_row_string(&curves.rows[i], "spec"), i};
    qsort(specs, (size_t)curves.n, sizeof *specs, by_spec);
    for (int i = 0, head = 0; i < curves.n; i++) {
        if (strcmp(specs[i].spec, specs[head].spec))
            head = i;
        order[i][0] = specs[head].first;
        order[i][1] = specs[i].first;
    }
    free(specs);
    qsort(order, (size_t)curves.n, sizeof *order, by_first_then_index);
    return BG_OK;
}

static int is_made_from(const bg_document *d, const bg_document *input)
{
    const cJSON *i;
    cJSON_ArrayForEach(i, cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(d->root, "bitgap"),
                                                           "inputs")) if (!strcmp(bg_json_string(i, "sha256", ""),
                                                                                  input->hash.hex)) return 1;
    return 0;
}

/* Two models may call a tensor the same: of gaps with one name that is the point's which was made from its curves. */
static const bg_row *const *gap_of(const bg_docset *s, const bg_row *curve, const bg_row *const *gaps, int n)
{
    const bg_row *const *found = n ? bsearch(&curve, gaps, (size_t)n, sizeof *gaps, by_tensor_and_spec) : NULL,
                        *const *g = found;
    while (g && g > gaps && !by_tensor_and_spec(g - 1, &curve))
        g--;
    for (; g && g < gaps + n && !by_tensor_and_spec(g, &curve); g++)
        if (is_made_from(&s->documents[(*g)->document], &s->documents[curve->document]))
            return g;
    return found;
}

static bg_point make_point(const bg_docset *s, const bg_row *curve, const bg_row *const *gaps, int n_gaps)
{
    const bg_row *const *gap = gap_of(s, curve, gaps, n_gaps);
    double weights = bg_row_number(curve, "weights");
    return (bg_point){.curve = curve,
                      .gap = gap ? *gap : NULL,
                      .tensor = bg_row_string(curve, "tensor"),
                      .role = bg_row_string(curve, "role"),
                      .spec = bg_row_string(curve, "spec"),
                      .quantizer = bg_row_string(curve, "quantizer"),
                      .family = bg_row_string(curve, "family"),
                      .layer = bg_row_integer(curve, "layer", -1),
                      .weights = weights > 0 ? weights : 1};
}

static int join(bg_docset *s, bg_err *e)
{
    bg_rows curves = bg_docset_rows(s, "curves", "points"), gaps = bg_docset_rows(s, "gaps", "points");
    if (!curves.n)
        return BG_OK;
    int status = BG_OK;
    const bg_row **sorted = malloc(((size_t)gaps.n + 1) * sizeof *sorted);
    int(*order)[2] = malloc((size_t)curves.n * sizeof *order);
    s->points = malloc((size_t)curves.n * sizeof *s->points);
    if (!sorted || !order || !s->points)
        status = bg_no_memory(e, "points", (size_t)curves.n * sizeof *s->points);
    if (!status)
        status = order_points(curves, order, e);
    if (!status) {
        for (int i = 0; i < gaps.n; i++)
            sorted[i] = &gaps.rows[i];
        qsort(sorted, (size_t)gaps.n, sizeof *sorted, by_tensor_and_spec);
        for (int i = 0; i < curves.n; i++)
            s->points[i] = make_point(s, &curves.rows[order[i][1]], sorted, gaps.n);
        s->n_points = curves.n;
    }
    free(sorted);
    free(order);
    return status;
}

bg_point *bg_docset_spec(const bg_docset *s, const char *spec, int *n)
{
    *n = 0;
    for (int i = 0; i < s->n_points; i++) {
        if (strcmp(s->points[i].spec, spec))
            continue;
        while (i + *n < s->n_points && !strcmp(s->points[i + *n].spec, spec))
            ++*n;
        return &s->points[i];
    }
    return NULL;
}

/* ---- opening ---- */

static int open_one(bg_docset *s, const char *path, bg_err *e)
{
    bg_document *d = &s->documents[s->n];
    *d = (bg_document){0};
    int status = bg_doc_read(path, NULL, &d->root, NULL, e);
    if (status)
        return status;
    s->n++;
    d->kind = bg_doc_kind_of(d->root);
    d->path = strdup(path);
    if (!d->path)
        return bg_no_memory(e, path, strlen(path));
    int same = 1;
    for (int i = 0; i < s->n - 1; i++)
        same += s->documents[i].kind == d->kind;
    snprintf(d->label, sizeof d->label, same > 1 ? "%s#%d" : "%s", d->kind->name, same);
    return bg_sha256_file(path, 0, &d->hash, &d->size, e);
}

int bg_docset_open(bg_docset *s, const char *const *paths, int n, const bg_filter *filter, bg_err *e)
{
    *s = (bg_docset){0};
    if (filter)
        s->filter = *filter;
    s->documents = calloc((size_t)n + 1, sizeof *s->documents);
    if (!s->documents)
        return bg_no_memory(e, "documents", (size_t)n * sizeof *s->documents);
    int status = BG_OK;
    for (int i = 0; !status && i < n; i++)
        status = open_one(s, paths[i], e);
    for (const bg_doc_kind *k = bg_doc_kinds; !status && k->name; k++)
        for (const bg_section *c = k->sections; !status && c->name; c++)
            status = collect(s, k, c, e);
    if (!status)
        status = join(s, e);
    return status;
}

void bg_docset_close(bg_docset *s)
{
    for (int i = 0; i < s->n; i++) {
        cJSON_Delete(s->documents[i].root);
        free(s->documents[i].path);
    }
    free(s->documents);
    for (int i = 0; i < s->n_sections; i++)
        free(s->sections[i].rows.rows);
    free(s->points);
    *s = (bg_docset){0};
}

/* ---- layers ---- */

/* Into ascending layers without −1 and without repetition. */
static int add_layer(int *layers, int n, int max, int layer)
{
    int at = n;
    if (layer < 0)
        return n;
    for (int i = 0; i < n; i++)
        if (layers[i] == layer)
            return n;
    if (n == max)
        return n;
    for (; at > 0 && layers[at - 1] > layer; at--)
        layers[at] = layers[at - 1];
    layers[at] = layer;
    return n + 1;
}

int bg_docset_layers(const bg_docset *s, int *out, int max)
{
    bg_rows tensors = bg_docset_rows(s, "groups", "tensors");
    int n = 0;
    for (int i = 0; i < tensors.n; i++)
        n = add_layer(out, n, max, bg_row_integer(&tensors.rows[i], "layer", -1));
    for (int i = 0; i < s->n_points && !tensors.n; i++)
        n = add_layer(out, n, max, s->points[i].layer);
    return n;
}
