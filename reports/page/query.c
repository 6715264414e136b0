/* Owns the questions a notebook asks of the documents. */
#define _GNU_SOURCE
#include "reports/page/query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"
#include "reports/sections/study.h"

enum { WORDS = 64, QUESTION = 1024, CONDITIONS = 8, COLUMNS = 12 };

typedef struct words {
    char text[QUESTION];
    char *at[WORDS];
    int n, next;
} words;

typedef struct condition {
    const char *field, *verb, *value;
} condition;

/* Rows of one section, of one document where the name is a file's. */
typedef struct selection {
    const bg_section *section;
    condition conditions[CONDITIONS];
    int n_conditions;
    const bg_row **rows;
    int n;
} selection;

/* ---- words ---- */

/* Into words, "two words" in quotation marks being one; $OUT stands for the directory of the page, where the notebook's
 * commands put their files. */
static int split(words *w, const char *question, const char *directory, bg_err *e)
{
    const char *out = strstr(question, "$OUT");
    int head = out ? (int)(out - question) : (int)strlen(question);
    if (strlen(question) + strlen(directory) >= QUESTION)
        return bg_fail(e, BG_INPUT, "a placeholder of more than %d characters", QUESTION - 1);
    snprintf(w->text, sizeof w->text, "%.*s%s%s", head, question, out ? directory : "", out ? out + 4 : "");
    w->n = w->next = 0;
    for (char *t = w->text; *(t += strspn(t, " \t"));) {
        int quoted = *t == '"';
        char *end = t + quoted + strcspn(t + quoted, quoted ? "\"" : " \t");
        if (quoted && !*end)
            return bg_fail(e, BG_INPUT, "a quotation mark without its other");
        if (w->n == WORDS)
            return bg_fail(e, BG_INPUT, "a placeholder of more than %d words", WORDS);
        w->at[w->n++] = t + quoted;
        t = *end ? end + 1 : end;
        *end = 0;
    }
    return w->n ? BG_OK : bg_fail(e, BG_INPUT, "an empty placeholder");
}

static const char *peek(const words *w)
{
    return w->next < w->n ? w->at[w->next] : "";
}

static const char *take(words *w)
{
    return w->next < w->n ? w->at[w->next++] : "";
}

static int accept(words *w, const char *word)
{
    int same = !strcmp(peek(w), word);
    w->next += same;
    return same;
}

/* ---- selecting rows ---- */

static int has_base(const bg_document *d, const char *name)
{
    const char *base = bg_path_base(d->path);
    size_t n = strlen(name);
    return !strncmp(base, name, n) && !strcmp(base + n, ".json");
}

static const bg_field *find_field(const bg_section *s, const char *name)
{
    for (const bg_field *f = s->fields; f->name; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

static int unknown_field(const bg_section *s, const char *name, bg_err *e)
{
    const char *names[64];
    int n = 0;
    for (const bg_field *f = s->fields; f->name && n < 64; f++)
        names[n++] = f->name;
    const char *near = bg_nearest(name, names, n);
    return bg_fail(e, BG_INPUT, "section %s has no field '%s'%s%s%s", s->name, name, near ? ", did you mean " : "",
                   near ? near : "", near ? "?" : "");
}

static int holds(const condition *c, const bg_field *f, const bg_row *r)
{
    double wanted = atof(c->value), v = bg_row_number(r, c->field);
    int text = f->type == BG_STRING, negate = !strcmp(c->verb, "not");
    if (f->type == BG_BOOL)
        return (bg_row_bool(r, c->field) == !strcmp(c->value, "true")) != negate;
    const char *s = text ? bg_row_string(r, c->field) : NULL;
    if (!strcmp(c->verb, "has"))
        return s && strstr(s, c->value);
    if (!strcmp(c->verb, "below"))
        return v < wanted;
    if (!strcmp(c->verb, "above"))
        return v > wanted;
    int same = text ? s && !strcmp(s, c->value) : fabs(v - wanted) <= 1e-9 * fabs(wanted);
    return same != negate;
}

static int parse_conditions(const bg_report *r, words *w, selection *s, bg_err *e)
{
    static const char *const verbs[] = {"is", "not", "has", "below", "above"};
    if (!accept(w, "where"))
        return BG_OK;
    do {
        if (s->n_conditions == CONDITIONS)
            return bg_fail(e, BG_INPUT, "more than %d conditions", CONDITIONS);
        condition *c = &s->conditions[s->n_conditions++];
        int known = 0;
        c->field = take(w);
        c->verb = take(w);
        c->value = take(w);
        if (!strcmp(c->field, "spec"))
            c->value = bg_study_spec(r, c->value);
        for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
            known |= !strcmp(c->verb, verbs[i]);
        if (!known || !*c->value)
            return bg_fail(e, BG_INPUT, "'%s %s %s' is no condition: FIELD is|not|has|below|above VALUE", c->field,
                           c->verb, c->value);
        if (!find_field(s->section, c->field))
            return unknown_field(s->section, c->field, e);
    } while (accept(w, "and"));
    return BG_OK;
}

static const bg_section *find_section(const bg_doc_kind *kind, const char *name)
{
    for (const bg_section *s = kind->sections; s->name; s++)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}

/* "DOC.SECTION [where …]" → the rows that satisfy it. The caller frees s->rows. */
static int select_rows(const bg_report *r, words *w, selection *s, bg_err *e)
{
    char name[96];
    snprintf(name, sizeof name, "%s", take(w));
    char *dot = strrchr(name, '.');
    *s = (selection){0};
    if (!dot)
        return bg_fail(e, BG_INPUT, "'%s' is not DOCUMENT.SECTION", name);
    *dot++ = 0;
    const bg_document *d = NULL;
    int file = 0;
    for (int i = 0; i < r->docs.n; i++)
        if (has_base(&r->docs.documents[i], name) || (!d && !strcmp(r->docs.documents[i].kind->name, name))) {
            d = &r->docs.documents[i];
            file = has_base(d, name) ? i + 1 : 0;
            if (file)
                break;
        }
    if (!d)
        return bg_fail(e, BG_INPUT, "no document '%s' among those given", name);
    s->section = find_section(d->kind, dot);
    if (!s->section)
        return bg_fail(e, BG_INPUT, "%s has no section '%s'", d->kind->name, dot);
    int status = parse_conditions(r, w, s, e);
    bg_rows all = bg_docset_rows(&r->docs, d->kind->name, s->section->name);
    s->rows = malloc(((size_t)all.n + 1) * sizeof *s->rows);
    if (!s->rows)
        return bg_no_memory(e, name, (size_t)all.n * sizeof *s->rows);
    for (int i = 0; !status && i < all.n; i++) {
        const bg_row *row = &all.rows[i];
        int keep = !file || row->document == file - 1;
        for (int c = 0; keep && c < s->n_conditions; c++)
            keep = holds(&s->conditions[c], find_field(s->section, s->conditions[c].field), row);
        if (keep)
            s->rows[s->n++] = row;
    }
    return status;
}

/* ---- numbers ---- */

static int find_style(const char *name, bg_style *out, bg_err *e)
{
    for (int i = 0; i < BG_STYLES; i++)
        if (!strcmp(bg_style_names[i], name)) {
            *out = (bg_style)i;
            return BG_OK;
        }
    const char *near = bg_nearest(name, bg_style_names, BG_STYLES);
    return bg_fail(e, BG_INPUT, "no style '%s'%s%s%s", name, near ? ", did you mean " : "", near ? near : "",
                   near ? "?" : "");
}

static int parse_style(words *w, bg_style otherwise, bg_style *style, bg_err *e)
{
    *style = otherwise;
    return accept(w, "as") ? find_style(take(w), style, e) : BG_OK;
}

static bg_style style_of(const bg_field *f)
{
    if (!strcmp(f->name, "layer") || !strcmp(f->name, "bits"))
        return BG_PLAIN;
    return f->type == BG_INTEGER ? BG_COUNT : BG_SIG3;
}

static const char *nearest_spec(const bg_report *r, const char *spec)
{
    const char *near = NULL, *last = "";
    for (int i = 0; i < r->docs.n_points; i++) {
        const char *pair[] = {near, r->docs.points[i].spec};
        if (strcmp(last, pair[1]) != 0 && bg_nearest(spec, pair, 2))
            near = bg_nearest(spec, pair, 2);
        last = pair[1];
    }
    return near;
}

/* "HOW FIELD over SPEC [in GROUP]" */
static int aggregate(const bg_report *r, words *w, bg_num *out, bg_err *e)
{
    const char *how = take(w), *field = take(w), *spec, *role = NULL;
    if (!accept(w, "over"))
        return bg_fail(e, BG_INPUT, "'%s %s' wants: over SPEC", how, field);
    spec = bg_study_spec(r, take(w));
    if (accept(w, "in"))
        role = take(w);
    *out = bg_num_over(&r->docs, how, field, role, spec);
    if (isfinite(out->value))
        return BG_OK;
    const char *near = nearest_spec(r, spec);
    return bg_fail(e, BG_INPUT, "no points with %s of '%s'%s%s%s%s%s", field, spec, role ? " in " : "",
                   role ? role : "", near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
}

/* "FIELD of DOC.SECTION [where …]": exactly one row. *text is set where the field is a string. */
static int cell(const bg_report *r, words *w, bg_num *out, const char **text, bg_style *style, bg_err *e)
{
    const char *field = take(w);
    selection s;
    if (!accept(w, "of"))
        return bg_fail(e, BG_INPUT, "'%s' wants: of DOCUMENT.SECTION", field);
    int status = select_rows(r, w, &s, e);
    const bg_field *f = status ? NULL : find_field(s.section, field);
    if (!status && !f)
        status = unknown_field(s.section, field, e);
    else if (!status && s.n != 1)
        status = bg_fail(e, BG_INPUT, "%d rows of %s answer; one is wanted", s.n, s.section->name);
    if (!status && f->type == BG_STRING) {
        *text = bg_row_string(s.rows[0], field);
    } else if (!status) {
        *out = bg_num_cell(&r->docs, s.rows[0], field);
        *style = style_of(f);
        if (!isfinite(out->value))
            status = bg_fail(e, BG_INPUT, "that row of %s has no %s", s.section->name, field);
    }
    free(s.rows);
    return status;
}

static int is_how(const char *word)
{
    return !strcmp(word, "mean") || !strcmp(word, "least") || !strcmp(word, "most") || !strcmp(word, "count");
}

static int answer_number(bg_report *r, words *w, bg_text *stream, bg_err *e)
{
    bg_num n[2] = {0};
    const char *text = NULL;
    bg_style style = BG_SIG3;
    int k = 0, status;
    do {
        style = !strcmp(peek(w), "count") ? BG_COUNT : BG_SIG3;
        status = is_how(peek(w)) ? aggregate(r, w, &n[k], e) : cell(r, w, &n[k], &text, &style, e);
        k++;
    } while (!status && !text && k < 2 && accept(w, "minus"));
    if (!status)
        status = parse_style(w, style, &style, e);
    if (!status && w->next < w->n)
        status = bg_fail(e, BG_INPUT, "what does '%s' mean here?", peek(w));
    if (status)
        return status;
    if (text)
        bg_text_code(stream, text);
    else
        bg_put_number(&r->page, stream, k == 2 ? bg_num_operate(n[0], '-', n[1]) : n[0], style);
    return BG_OK;
}

/* ---- tables ---- */

typedef struct order {
    const char *field;
    int down, text;
} order;

static int compare(const void *a, const void *b, void *context)
{
    const bg_row *x = *(const bg_row *const *)a, *y = *(const bg_row *const *)b;
    const order *o = context;
    double p = bg_row_number(x, o->field), q = bg_row_number(y, o->field);
    int c = o->text ? strcmp(bg_row_string(x, o->field), bg_row_string(y, o->field)) : (p > q) - (p < q);
    if (!c)
        return (x->index > y->index) - (x->index < y->index);
    return o->down ? -c : c;
}

static int parse_order(words *w, selection *s, bg_style *style, bg_err *e)
{
    if (accept(w, "by")) {
        order o = {.field = take(w)};
        o.down = accept(w, "down");
        const bg_field *f = find_field(s->section, o.field);
        if (!f)
            return unknown_field(s->section, o.field, e);
        o.text = f->type == BG_STRING;
        qsort_r(s->rows, (size_t)s->n, sizeof *s->rows, compare, &o);
    }
    if (accept(w, "first")) {
        int most = atoi(take(w));
        s->n = most < s->n ? most : s->n;
    }
    int status = parse_style(w, BG_STYLES, style, e);
    if (!status && w->next < w->n)
        status = bg_fail(e, BG_INPUT, "what does '%s' mean here?", peek(w));
    return status;
}

/* A column as asked: FIELD, or FIELD:STYLE. */
typedef struct table_column {
    const char *name;
    const bg_field *field;
    bg_style style; /* BG_STYLES: the table's, or the field's own */
} table_column;

static void put_cell(bg_report *r, bg_table *b, const table_column *c, const bg_row *row, bg_style style)
{
    const bg_field *f = c->field;
    style = c->style != BG_STYLES ? c->style : style != BG_STYLES ? style : style_of(f);
    if (f->type == BG_STRING)
        bg_table_code(b, bg_row_string(row, f->name));
    else if (f->type == BG_BOOL)
        bg_table_text(b, bg_row_bool(row, f->name) ? "yes" : "no");
    else
        bg_table_number(b, bg_num_cell(&r->docs, row, f->name), style);
}

static int take_columns(words *w, table_column *columns, int *n, bg_err *e)
{
    for (*n = 0; w->next < w->n && strcmp(peek(w), "of") != 0; ++*n) {
        if (*n == COLUMNS)
            return bg_fail(e, BG_INPUT, "more than %d columns", COLUMNS);
        char *name = w->at[w->next++], *colon = strchr(name, ':');
        columns[*n] = (table_column){.name = name, .style = BG_STYLES};
        if (!colon)
            continue;
        *colon = 0;
        int status = find_style(colon + 1, &columns[*n].style, e);
        if (status)
            return status;
    }
    return *n && accept(w, "of") ? BG_OK : bg_fail(e, BG_INPUT, "a table wants: FIELD… of DOCUMENT.SECTION");
}

/* "name (unit)", with '>' for numbers. */
static void put_heading(bg_text *t, const table_column *c)
{
    const char *unit = c->field->unit;
    bg_text_add(t, c->name);
    if (c->style == BG_MEGA)
        bg_text_format(t, " (%s)", strcmp(unit, "bytes") ? "millions" : "MB");
    else if (c->style == BG_PERCENT)
        bg_text_add(t, " (%)");
    else if (strlen(unit) > 1)
        bg_text_format(t, " (%s)", unit);
    bg_text_add(t, c->field->type == BG_STRING ? "" : ">");
}

static int answer_table(bg_report *r, words *w, bg_text *stream, bg_err *e)
{
    table_column columns[COLUMNS];
    bg_style style = BG_STYLES;
    bg_text heads = {0};
    selection s = {0};
    int n, status = take_columns(w, columns, &n, e);
    if (!status)
        status = select_rows(r, w, &s, e);
    if (!status)
        status = parse_order(w, &s, &style, e);
    for (int i = 0; !status && i < n; i++) {
        columns[i].field = find_field(s.section, columns[i].name);
        if (!columns[i].field) {
            status = unknown_field(s.section, columns[i].name, e);
            break;
        }
        bg_text_add(&heads, i ? "|" : "");
        put_heading(&heads, &columns[i]);
    }
    if (!status && !s.n)
        status = bg_fail(e, BG_INPUT, "no rows of %s answer", s.section->name);
    if (!status) {
        bg_table b;
        bg_table_begin(&b, &r->page, stream, s.section->help, bg_text_string(&heads));
        for (int i = 0; i < s.n; i++)
            for (int k = 0; k < n; k++)
                put_cell(r, &b, &columns[k], s.rows[i], style);
        bg_table_end(&b);
    }
    bg_text_free(&heads);
    free(s.rows);
    return status;
}

int bg_query_answer(bg_report *r, const char *question, bg_text *stream, bg_err *e)
{
    words w;
    int status = split(&w, question, r->page.directory, e);
    if (status)
        return status;
    if (accept(&w, "section"))
        return bg_report_put_section(r, take(&w), stream, e);
    if (accept(&w, "figure"))
        return strcmp(peek(&w), "rate-distortion")
                   ? bg_fail(e, BG_INPUT, "no figure '%s' outside a section; there is rate-distortion", peek(&w))
                   : bg_report_draw_curves(r, stream, e);
    return accept(&w, "table") ? answer_table(r, &w, stream, e) : answer_number(r, &w, stream, e);
}
