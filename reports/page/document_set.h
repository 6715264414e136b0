/* The documents of a report, opened together: rows by kind and section, points of curves joined with their gaps, and
 * numbers that know where they come from.
 *
 * A bg_num is a value and its origin, a small expression in reverse Polish notation over document fields, so that
 * `bitgap verify` can compute the printed number again:
 *     gaps/targets/12/gap_bits                     row 12 of section targets
 *     mean:gap_bits@mlp.down_proj:uniform:bits=4   mean by weights over the joined points of a spec (least:, most: too)
 *     mean:gap_bits:nf4|fp4                        of the difference of two specs, tensor by tensor
 *     rows-mean:bounds/outputs/shrinkage@attn.q_proj   plain mean over the rows of a section
 *     gaps/points/3/gap_bits 0.254614 -            a difference; the operators are + - * /
 */
#ifndef BG_REPORTS_PAGE_DOCUMENT_SET_H
#define BG_REPORTS_PAGE_DOCUMENT_SET_H

#include "io/documents/document.h"
#include "reports/page/text.h"

typedef struct bg_row {
    const cJSON *json;
    const char *section;
    int document, index;
} bg_row;

typedef struct bg_rows {
    bg_row *rows;
    int n;
} bg_rows;

typedef struct bg_document {
    cJSON *root;
    const bg_doc_kind *kind;
    char label[48]; /* "curves", then "curves#2": the first word of an origin */
    char *path;
    bg_sha256 hash;
    uint64_t size;
} bg_document;

/* One tensor under one spec: its row in curves.points and, when there, in gaps.points. */
typedef struct bg_point {
    const bg_row *curve, *gap;
    const char *tensor, *role, *spec, *quantizer, *family;
    int layer;
    double weights;
} bg_point;

/* What part of the study is reported; empty lists mean all. */
typedef struct bg_filter {
    int layers[512], n_layers;
    char roles[32][64];
    int n_roles;
} bg_filter;
/* "0,5,11" and "mlp.down_proj,attn.q_proj"; either may be NULL. */
int bg_filter_parse(bg_filter *f, const char *layers, const char *roles, bg_err *e);

enum { BG_SECTIONS = 96 };
typedef struct bg_docset {
    bg_document *documents;
    int n;
    bg_filter filter;
    struct {
        const char *kind, *section;
        bg_rows rows;
    } sections[BG_SECTIONS];
    int n_sections;
    bg_point *points; /* by spec in order of first appearance, then in document order */
    int n_points;
} bg_docset;

/* Opens and checks every document; the caller frees with bg_docset_close, after failure too. Rows outside the filter
 * are left out; a row keeps the index it has in its document. */
int bg_docset_open(bg_docset *s, const char *const *paths, int n, const bg_filter *filter, bg_err *e);
void bg_docset_close(bg_docset *s);

/* All rows of a section over all documents of that kind; n = 0 when there is none. */
bg_rows bg_docset_rows(const bg_docset *s, const char *kind, const char *section);
int bg_docset_has(const bg_docset *s, const char *kind);
/* The layers that the documents speak of, ascending, without −1; at most `max`. */
int bg_docset_layers(const bg_docset *s, int *out, int max);
/* The first and past-the-last point of a spec. */
bg_point *bg_docset_spec(const bg_docset *s, const char *spec, int *n);

/* NAN, NULL and `otherwise` when the field is absent. */
double bg_row_number(const bg_row *r, const char *field);
const char *bg_row_string(const bg_row *r, const char *field);
int bg_row_integer(const bg_row *r, const char *field, int otherwise);
int bg_row_bool(const bg_row *r, const char *field);

enum { BG_ORIGIN = 640 };
typedef struct bg_num {
    double value; /* NAN: absent */
    char from[BG_ORIGIN];
} bg_num;

bg_num bg_num_cell(const bg_docset *s, const bg_row *r, const char *field);
/* how: "mean", "least", "most" or "count" over the points of `spec`, of one role, of "#7", a layer, or of
 * "=curves#2", a document (NULL: all). Points without the field do not count. */
bg_num bg_num_over(const bg_docset *s, const char *how, const char *field, const char *where, const char *spec);
/* The same of the difference between a spec and a rival, tensor by tensor. */
bg_num bg_num_difference(const bg_docset *s, const char *how, const char *field, const char *spec, const char *rival);
/* Over the rows of a section, each counting once, of one role (NULL: all); "rows[relative=0.01]": only those with this
 * value. */
bg_num bg_num_rows(const bg_docset *s, const char *how, const char *kind, const char *section, const char *field,
                   const char *where);
/* Mean by weights over the rows of gaps.targets of a curve that reach D/σ² = relative: "target:gap_bits@0.01:uniform".
 */
bg_num bg_num_target(const bg_docset *s, const char *field, double relative, const char *quantizer);
/* A 95 % interval as the documents hold it; both ends absent where they hold none. */
typedef struct bg_interval {
    bg_num low, high;
} bg_interval;
/* Of the field `gap_bits` of a row (NULL: absent): its `gap_low_bits` and `gap_high_bits`. */
bg_interval bg_interval_cells(const bg_docset *s, const bg_row *row, const char *field);
/* Of the mean of `gap_bits` or `output_gap_bits` of a spec over all tensors, or of what it exceeds a rival's by, tensor
 * by tensor (NULL: none). Absent in a selection of layers or roles: the documents hold it for the whole study. */
bg_interval bg_interval_over(const bg_docset *s, const char *field, const char *spec, const char *rival);
/* Of the mean over the layers of a role; absent in a selection of layers. */
bg_interval bg_interval_of_role(const bg_docset *s, const char *field, const char *spec, const char *role);
bg_interval bg_interval_negated(const bg_interval *of);
bg_num bg_num_constant(double v);
bg_num bg_num_operate(bg_num a, char operator, bg_num b);
/* Computes an origin again. BG_INPUT names the part that cannot be found. */
int bg_num_evaluate(const bg_docset *s, const char *from, double *value, bg_err *e);

#endif
