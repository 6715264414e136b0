/* Owns numbers with an origin: making them from documents, combining them, and computing an origin again. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/docset.h"

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

static int belongs(const bg_point *p, const char *where)
{
    if (!where || !*where)
        return 1;
    return where[0] == '#' ? p->layer == atoi(where + 1) : !strcmp(p->group, where);
}

static double field_of(const bg_point *p, const char *field)
{
    double v = bg_row_number(p->curve, field);
    return isfinite(v) ? v : bg_row_number(p->gap, field);
}

/* Points without an SQNR (constant tensors) take part in no mean, so that rate, gap and SQNR of a row are of the same points. */
static double over(const bg_docset *s, const char *how, const char *field, const char *where, const char *spec)
{
    int n, used = 0;
    const bg_point *p = bg_docset_spec(s, spec, &n);
    double sum = 0, weights = 0, least = INFINITY, most = -INFINITY;
    for (int i = 0; i < n; i++) {
        if (!belongs(&p[i], where) || !isfinite(field_of(&p[i], "gap_bits")))
            continue;
        double v = field_of(&p[i], field);
        if (!isfinite(v))
            continue;
        used++;
        sum += v * p[i].weights;
        weights += p[i].weights;
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    if (!used)
        return NAN;
    return how[0] == 'l' ? least : how[0] == 'c' ? used : how[1] == 'o' ? most : sum / weights;
}

bg_num bg_num_over(const bg_docset *s, const char *how, const char *field, const char *where, const char *spec)
{
    char place[192] = "", name[384];
    bg_num n = absent;
    n.value = over(s, how, field, where, spec);
    if (where)
        encode(place, sizeof place, where, "%@:|\"<>&");
    encode(name, sizeof name, spec, "%@|\"<>&");
    if (isfinite(n.value))
        snprintf(n.from, sizeof n.from, "%s:%s%s%s:%s", how, field, *place ? "@" : "", place, name);
    return n;
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
        if (!bg_row_bool(row, "reached") || !isfinite(v) || fabs(bg_row_number(row, "relative") / relative - 1) > 1e-9 ||
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
        return isfinite(*v) ? BG_OK
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
    decode(spec);
    if (where)
        decode(where);
    *v = strcmp(token, "target") ? over(s, token, field, where, spec) : target(s, field, where ? atof(where) : 0, spec);
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
    if (!strncmp(token, "mean:", 5) || !strncmp(token, "least:", 6) || !strncmp(token, "most:", 5) ||
        !strncmp(token, "count:", 6) || !strncmp(token, "target:", 7))
        return evaluate_over(s, token, v, e);
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
