/* Owns numbers with an origin: making them from documents, combining them, and computing an origin again. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/page/document_set.h"

static const bg_num absent = {.value = NAN};

/* Percent-encodes what separates the parts of an origin. */
static void encode(char *out, size_t room, const char *s, const char *separators)
{
    size_t at = 0;
    for (; *s && at + 4 < room; s++) {
        unsigned char c = (unsigned char)*s;
        if (c <= ' ' || strchr(separators, c) || c == 0x7f)
            at += (size_t)snprintf(out + at, room - at, "%%%02X", c);
        else
            out[at++] = *s;
    }
    out[at] = 0;
}

static void decode(char *s)
{
    char *to = s;
    for (; *s; s++) {
        unsigned code;
        if (*s == '%' && sscanf(s + 1, "%2X", &code) == 1 && code && s[1] && s[2]) {
            *to++ = (char)code;
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = 0;
}

bg_num bg_num_cell(const bg_docset *s, const bg_row *r, const char *field)
{
    bg_num n = absent;
    n.value = bg_row_number(r, field);
    if (isfinite(n.value))
        snprintf(n.from, sizeof n.from, "%s/%s/%d/%s", s->documents[r->document].label, r->section, r->index, field);
    return n;
}

/* ---- over the points of a spec ---- */

static int belongs(const bg_docset *s, const bg_point *p, const char *where)
{
    if (!where || !*where)
        return 1;
    if (where[0] == '=')
        return !strcmp(s->documents[p->curve->document].label, where + 1);
    return where[0] == '#' ? p->layer == atoi(where + 1) : !strcmp(p->role, where);
}

static double field_of(const bg_point *p, const char *field)
{
    double v = bg_row_number(p->curve, field);
    return isfinite(v) ? v : bg_row_number(p->gap, field);
}

/* The words an origin may begin with. */
static const char *const hows[] = {"mean", "least", "most", "count", NULL};

/* The aggregate of x[n] with weights w[n]. */
static double aggregate(const char *how, const double *x, const double *w, int n)
{
    double sum = 0, weights = 0, least = INFINITY, most = -INFINITY;
    for (int i = 0; i < n; i++) {
        sum += x[i] * w[i];
        weights += w[i];
        least = fmin(least, x[i]);
        most = fmax(most, x[i]);
    }
    if (!n)
        return NAN;
    return !strcmp(how, "least") ? least : !strcmp(how, "most") ? most : !strcmp(how, "count") ? n : sum / weights;
}

/* What the point of `spec` has in the field, less what that of `rival` has for the same tensor. */
static double value_of(const bg_docset *s, const bg_point *p, const char *field, const char *rival)
{
    int n = 0;
    const bg_point *q = rival ? bg_docset_spec(s, rival, &n) : NULL;
    double v = field_of(p, field);
    if (!rival)
        return v;
    for (int i = 0; i < n; i++)
        if (!strcmp(q[i].tensor, p->tensor) && isfinite(field_of(&q[i], "gap_bits")))
            return v - field_of(&q[i], field);
    return NAN;
}

/* Points without an SQNR (constant tensors) take part in no mean, so that rate, gap and SQNR of a row are of the same
 * points. */
static double over(const bg_docset *s, const char *how, const char *field, const char *where, const char *spec,
                   const char *rival)
{
    int n, used = 0;
    const bg_point *p = bg_docset_spec(s, spec, &n);
    double *x = malloc(2 * (size_t)(n + 1) * sizeof *x), *w = x ? x + n + 1 : NULL;
    for (int i = 0; x && i < n; i++) {
        if (!belongs(s, &p[i], where) || !isfinite(field_of(&p[i], "gap_bits")))
            continue;
        double v = value_of(s, &p[i], field, rival);
        if (isfinite(v)) {
            x[used] = v;
            w[used++] = p[i].weights;
        }
    }
    double out = x ? aggregate(how, x, w, used) : (double)NAN;
    free(x);
    return out;
}

static bg_num aggregate_of(const bg_docset *s, const char *how, const char *field, const char *where, const char *spec,
                           const char *rival)
{
    char place[192] = "", name[256], other[256] = "";
    bg_num n = absent;
    n.value = over(s, how, field, where, spec, rival);
    if (where)
        encode(place, sizeof place, where, "%@:|\"<>&");
    encode(name, sizeof name, spec, "%@|\"<>&");
    if (rival)
        encode(other, sizeof other, rival, "%@|\"<>&");
    if (isfinite(n.value))
        snprintf(n.from, sizeof n.from, "%s:%s%s%s:%s%s%s", how, field, *place ? "@" : "", place, name,
                 rival ? "|" : "", other);
    return n;
}

bg_num bg_num_over(const bg_docset *s, const char *how, const char *field, const char *where, const char *spec)
{
    return aggregate_of(s, how, field, where, spec, NULL);
}

bg_num bg_num_difference(const bg_docset *s, const char *how, const char *field, const char *spec, const char *rival)
{
    return aggregate_of(s, how, field, NULL, spec, rival);
}

/* ---- intervals, which documents hold ---- */

/* The one row of gaps.specs (rival NULL) or gaps.pairs; NULL when there is none or several models have one. */
static const bg_row *interval_row(const bg_docset *s, const char *spec, const char *rival)
{
    bg_rows rows = bg_docset_rows(s, "gaps", rival ? "pairs" : "specs");
    const bg_row *found = NULL;
    for (int i = 0; i < rows.n; i++) {
        if (strcmp(bg_row_string(&rows.rows[i], "spec"), spec) ||
            (rival && strcmp(bg_row_string(&rows.rows[i], "rival"), rival)))
            continue;
        if (found)
            return NULL;
        found = &rows.rows[i];
    }
    return found;
}

bg_interval bg_interval_cells(const bg_docset *s, const bg_row *row, const char *field)
{
    bg_interval out = {absent, absent};
    char low[64], high[64];
    int stem = (int)strlen(field) - 5; /* before "_bits" */
    snprintf(low, sizeof low, "%.*s_low_bits", stem > 0 && stem < 48 ? stem : 0, field);
    snprintf(high, sizeof high, "%.*s_high_bits", stem > 0 && stem < 48 ? stem : 0, field);
    if (row) {
        out.low = bg_num_cell(s, row, low);
        out.high = bg_num_cell(s, row, high);
    }
    return out;
}

bg_interval bg_interval_of_role(const bg_docset *s, const char *field, const char *spec, const char *role)
{
    bg_rows rows = bg_docset_rows(s, "gaps", "roles");
    const bg_row *found = NULL;
    for (int i = 0; i < rows.n; i++)
        if (!strcmp(bg_row_string(&rows.rows[i], "spec"), spec) &&
            !strcmp(bg_row_string(&rows.rows[i], "role"), role) && !strcmp(bg_row_string(&rows.rows[i], "over"), "all"))
            found = &rows.rows[i];
    return bg_interval_cells(s, s->filter.n_layers ? NULL : found, field);
}

bg_interval bg_interval_negated(const bg_interval *of)
{
    bg_num zero = bg_num_constant(0);
    return (bg_interval){bg_num_operate(zero, '-', of->high), bg_num_operate(zero, '-', of->low)};
}

bg_interval bg_interval_over(const bg_docset *s, const char *field, const char *spec, const char *rival)
{
    if (s->filter.n_layers || s->filter.n_roles)
        return (bg_interval){absent, absent};
    const bg_row *row = interval_row(s, spec, rival), *reversed = row || !rival ? NULL : interval_row(s, rival, spec);
    bg_interval out = bg_interval_cells(s, row ? row : reversed, field);
    return reversed ? bg_interval_negated(&out) : out;
}

/* ---- over the rows of a section ---- */

/* Has the row the value that the section asks for? "rows[relative=0.01]"; any when it asks for none. */
static int is_asked(const bg_row *row, const char *field, double value)
{
    return !*field || fabs(bg_row_number(row, field) - value) <= 1e-9 * fabs(value);
}

static double over_rows(const bg_docset *s, const char *how, const char *kind, const char *section, const char *field,
                        const char *where)
{
    char name[64] = "", only[64] = "";
    double value = 0;
    sscanf(section, "%63[^[][%63[^=]=%lf]", name, only, &value);
    bg_rows rows = bg_docset_rows(s, kind, name);
    double *x = malloc(2 * ((size_t)rows.n + 1) * sizeof *x), *w = x ? x + rows.n + 1 : NULL;
    int used = 0;
    for (int i = 0; x && i < rows.n; i++) {
        const char *role = bg_row_string(&rows.rows[i], "role");
        double v = bg_row_number(&rows.rows[i], field);
        if (!isfinite(v) || (where && *where && (!role || strcmp(role, where))) ||
            !is_asked(&rows.rows[i], only, value))
            continue;
        x[used] = v;
        w[used++] = 1;
    }
    double out = x ? aggregate(how, x, w, used) : (double)NAN;
    free(x);
    return out;
}

bg_num bg_num_rows(const bg_docset *s, const char *how, const char *kind, const char *section, const char *field,
                   const char *where)
{
    char place[192] = "";
    bg_num n = absent;
    n.value = over_rows(s, how, kind, section, field, where);
    if (where)
        encode(place, sizeof place, where, "%@:|\"<>&");
    if (isfinite(n.value))
        snprintf(n.from, sizeof n.from, "rows-%s:%s/%s/%s@%s", how, kind, section, field, place);
    return n;
}

static int is_how(const char *word)
{
    for (int i = 0; hows[i]; i++)
        if (!strcmp(hows[i], word))
            return 1;
    return 0;
}

/* "rows-mean:bounds/outputs/shrinkage@mlp.down_proj" */
static int evaluate_rows(const bg_docset *s, char *token, double *v, bg_err *e)
{
    char *save = NULL, *how = strtok_r(token, ":", &save), *kind = strtok_r(NULL, "/", &save),
         *section = strtok_r(NULL, "/", &save), *field = strtok_r(NULL, "@", &save), *where = strtok_r(NULL, "", &save);
    if (!field || !is_how(how + 5))
        return bg_fail(e, BG_INPUT, "the origin '%s' is not rows-HOW:DOCUMENT/SECTION/FIELD@GROUP", token);
    if (where)
        decode(where);
    *v = over_rows(s, how + 5, kind, section, field, where);
    return isfinite(*v) ? BG_OK : bg_fail(e, BG_INPUT, "no rows of %s/%s with a number %s", kind, section, field);
}

/* ---- over the targets of a curve ---- */

static double weights_of(const bg_docset *s, const char *tensor)
{
    for (int i = 0; i < s->n_points; i++)
        if (!strcmp(s->points[i].tensor, tensor))
            return s->points[i].weights;
    return 1;
}

static double target(const bg_docset *s, const char *field, double relative, const char *quantizer)
{
    bg_rows rows = bg_docset_rows(s, "gaps", "targets");
    double sum = 0, weights = 0;
    for (int i = 0; i < rows.n; i++) {
        const bg_row *row = &rows.rows[i];
        double v = bg_row_number(row, field);
        if (!bg_row_bool(row, "reached") || !isfinite(v) ||
            fabs(bg_row_number(row, "relative") / relative - 1) > 1e-9 ||
            strcmp(bg_row_string(row, "quantizer"), quantizer))
            continue;
        double w = weights_of(s, bg_row_string(row, "tensor"));
        sum += w * v;
        weights += w;
    }
    return weights > 0 ? sum / weights : (double)NAN;
}

bg_num bg_num_target(const bg_docset *s, const char *field, double relative, const char *quantizer)
{
    char name[384];
    bg_num n = absent;
    n.value = target(s, field, relative, quantizer);
    encode(name, sizeof name, quantizer, "%@|\"<>&");
    if (isfinite(n.value))
        snprintf(n.from, sizeof n.from, "target:%s@%g:%s", field, relative, name);
    return n;
}

bg_num bg_num_constant(double v)
{
    bg_num n = {.value = v};
    bg_print_double(n.from, v);
    return n;
}

static double apply(double a, char operator, double b)
{
    switch (operator) {
    case '+':
        return a + b;
    case '-':
        return a - b;
    case '*':
        return a * b;
    default:
        return a / b;
    }
}

bg_num bg_num_operate(bg_num a, char operator, bg_num b)
{
    bg_num n = absent;
    double v = apply(a.value, operator, b.value);
    if (!isfinite(v))
        return n;
    if (!a.from[0] || !b.from[0]) { /* of a number that no document holds */
        n.value = v;
        return n;
    }
    bg_text t = {0};
    bg_text_format(&t, "%s %s %c", a.from, b.from, operator);
    if (!t.failed && t.length < sizeof n.from) {
        memcpy(n.from, bg_text_string(&t), t.length + 1);
        n.value = v;
    }
    bg_text_free(&t);
    return n;
}

/* ---- computing an origin again ---- */

static int evaluate_cell(const bg_docset *s, char *token, double *v, bg_err *e)
{
    char *save = NULL, *label = strtok_r(token, "/", &save), *section = strtok_r(NULL, "/", &save),
         *row = strtok_r(NULL, "/", &save), *field = strtok_r(NULL, "/", &save), *end = NULL;
    if (!field)
        return bg_fail(e, BG_INPUT, "the origin '%s' is not LABEL/SECTION/ROW/FIELD", label ? label : "");
    long index = strtol(row, &end, 10);
    for (int d = 0; d < s->n; d++) {
        if (strcmp(s->documents[d].label, label))
            continue;
        const cJSON *rows = bg_doc_rows(s->documents[d].root, section);
        const cJSON *item = *end || index < 0 || index > 1 << 30 ? NULL : cJSON_GetArrayItem(rows, (int)index);
        *v = bg_json_number(item, field, NAN);
        return isfinite(*v)
                   ? BG_OK
                   : bg_fail(e, BG_INPUT, "%s has no number %s[%s].%s", s->documents[d].path, section, row, field);
    }
    return bg_fail(e, BG_INPUT, "no document '%s' among those given", label);
}

static int evaluate_over(const bg_docset *s, char *token, double *v, bg_err *e)
{
    char *field = strchr(token, ':') + 1, *spec = strchr(field, ':');
    if (!spec)
        return bg_fail(e, BG_INPUT, "the origin '%s' names no spec", token);
    *spec++ = 0;
    field[-1] = 0;
    char *where = strchr(field, '@');
    if (where)
        *where++ = 0;
    char *rival = strchr(spec, '|');
    if (rival) {
        *rival++ = 0;
        decode(rival);
    }
    decode(spec);
    if (where)
        decode(where);
    *v = strcmp(token, "target") ? over(s, token, field, where, spec, rival)
                                 : target(s, field, where ? atof(where) : 0, spec);
    return isfinite(*v) ? BG_OK
                        : bg_fail(e, BG_INPUT, "no points with %s of '%s'%s%s", field, spec, where ? " in " : "",
                                  where ? where : "");
}

static int evaluate_token(const bg_docset *s, char *token, double *stack, int *depth, bg_err *e)
{
    enum { DEEPEST = 16 };
    if (strlen(token) == 1 && strchr("+-*/", *token)) {
        if (*depth < 2)
            return bg_fail(e, BG_INPUT, "operator %s lacks an operand", token);
        --*depth;
        stack[*depth - 1] = apply(stack[*depth - 1], *token, stack[*depth]);
        return BG_OK;
    }
    if (*depth == DEEPEST)
        return bg_fail(e, BG_INPUT, "an origin nests too deep");
    char *end;
    double *v = &stack[(*depth)++];
    char word[8];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(token, ":"), token);
    if (strchr(token, ':') && (is_how(word) || !strcmp(word, "target")))
        return evaluate_over(s, token, v, e);
    if (!strncmp(token, "rows-", 5))
        return evaluate_rows(s, token, v, e);
    *v = strtod(token, &end);
    return end != token && !*end ? BG_OK : evaluate_cell(s, token, v, e);
}

int bg_num_evaluate(const bg_docset *s, const char *from, double *value, bg_err *e)
{
    double stack[17] = {0};
    int depth = 0, status = BG_OK;
    char *copy = strdup(from), *save = NULL;
    if (!copy)
        return bg_no_memory(e, "origin", strlen(from));
    for (char *t = strtok_r(copy, " ", &save); !status && t; t = strtok_r(NULL, " ", &save))
        status = evaluate_token(s, t, stack, &depth, e);
    free(copy);
    if (!status && depth != 1)
        status = bg_fail(e, BG_INPUT, "the origin '%s' does not come to one number", from);
    if (!status)
        *value = stack[0];
    return status;
}
