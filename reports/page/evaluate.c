/* Owns what expressions in templates come to: names, document rows, arithmetic with origins, lists. */
#define _GNU_SOURCE
#include "reports/page/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"
#include "reports/page/curve_summary.h"

static const bg_value nothing = {.absent = 1, .number = {.value = NAN}};

int bg_scope_push(bg_scope *s, const char *name, const bg_value *value, int line, bg_err *e)
{
    if (s->n_variables == BG_VARIABLES)
        return bg_fail(e, BG_INPUT, "%s:%d: more than %d names at once", s->path, line, BG_VARIABLES);
    s->variables[s->n_variables++] = (bg_variable){name, *value};
    return BG_OK;
}

int bg_is_true(const bg_value *v)
{
    if (v->absent)
        return 0;
    switch (v->kind) {
    case BG_FACT_FLAG:
        return v->flag;
    case BG_FACT_TEXT:
        return *v->text != 0;
    case BG_FACT_ROWS:
        return v->list ? v->list->n > 0 : v->rows.n > 0;
    default:
        return 1;
    }
}

static bg_value number_value(bg_num n, bg_style style)
{
    bg_value v = {.kind = BG_FACT_NUMBER, .absent = !isfinite(n.value), .number = n, .style = style};
    return v;
}

static bg_value text_value(const char *text)
{
    bg_value v = {.kind = BG_FACT_TEXT, .absent = !text, .text = text ? text : ""};
    return v;
}

static bg_value flag_value(int flag)
{
    bg_value v = {.kind = BG_FACT_FLAG, .flag = flag != 0};
    return v;
}

/* ---- names ---- */

static const bg_field *find_field(const bg_section *s, const char *name)
{
    for (const bg_field *f = s->fields; f->name; f++)
        if (!strcmp(f->name, name))
            return f;
    return NULL;
}

static const bg_section *find_section(const bg_doc_kind *kind, const char *name)
{
    for (const bg_section *s = kind->sections; s->name; s++)
        if (!strcmp(s->name, name))
            return s;
    return NULL;
}

static const bg_section *schema_of(const bg_scope *s, const bg_row *row)
{
    return row ? find_section(s->page->docs->documents[row->document].kind, row->section) : NULL;
}

static bg_style style_of(const bg_field *f)
{
    if (!strcmp(f->name, "layer") || !strcmp(f->name, "bits") || !strcmp(f->name, "rank"))
        return BG_PLAIN;
    return f->type == BG_INTEGER ? BG_COUNT : BG_SIG3;
}

static bg_value field_value(const bg_scope *s, const bg_row *row, const bg_field *f)
{
    bg_num n = {.value = NAN};
    if (f->type == BG_STRING)
        return text_value(bg_row_string(row, f->name));
    if (f->type == BG_BOOL)
        return flag_value(row && bg_row_bool(row, f->name));
    return number_value(row ? bg_num_cell(s->page->docs, row, f->name) : n, style_of(f));
}

static bg_value fact_value(const bg_scope *s, const bg_fact *f)
{
    bg_num n = {.value = NAN};
    bg_value v = {.kind = f->kind};
    switch (f->kind) {
    case BG_FACT_NUMBER:
        return number_value(f->number ? *f->number : n, f->style);
    case BG_FACT_TEXT:
        return text_value(f->text);
    case BG_FACT_FLAG:
        return flag_value(f->flag);
    case BG_FACT_ROWS:
        v.list = f;
        return v;
    default:
        v.absent = !f->n;
        v.set = f->n ? f->sets[0] : NULL;
        v.row = v.set ? v.set->row : NULL;
        v.schema = schema_of(s, v.row);
        return v;
    }
}

static int fail_unknown(const bg_scope *s, int line, const char *name, const char *const *names, int n, bg_err *e)
{
    const char *near = bg_nearest(name, names, n);
    return bg_fail(e, BG_INPUT, "%s:%d: unknown name '%s'%s%s%s", s->path, line, name, near ? ", did you mean " : "",
                   near ? near : "", near ? "?" : "");
}

/* The names a set knows, for an error. */
static int list_names(const bg_value *of, const char *names[128])
{
    int n = 0;
    for (int i = 0; of->set && i < of->set->n && n < 128; i++)
        names[n++] = of->set->facts[i].name;
    for (const bg_field *f = of->schema ? of->schema->fields : NULL; f && f->name && n < 128; f++)
        names[n++] = f->name;
    return n;
}

/* A member of a set: a fact, or a field of its document row. */
static int find_member(const bg_scope *s, const bg_value *of, const char *name, int line, bg_value *out, bg_err *e)
{
    const char *names[128];
    const bg_fact *fact = of->set ? bg_fact_find(of->set, name) : NULL;
    const bg_field *field = of->schema ? find_field(of->schema, name) : NULL;
    if (fact)
        *out = fact_value(s, fact);
    else if (field)
        *out = field_value(s, of->row, field);
    else if (of->absent && !of->schema)
        *out = nothing;
    else
        return fail_unknown(s, line, name, names, list_names(of, names), e);
    return BG_OK;
}

static int find_loop(const bg_scope *s, const char *name, int line, bg_value *out, bg_err *e)
{
    static const char *const names[] = {"first", "last", "number"};
    if (!strcmp(name, names[0]))
        *out = flag_value(s->loop_index == 0);
    else if (!strcmp(name, names[1]))
        *out = flag_value(s->loop_index == s->loop_count - 1);
    else if (!strcmp(name, names[2]))
        *out = number_value((bg_num){.value = s->loop_index + 1}, BG_COUNT);
    else
        return fail_unknown(s, line, name, names, 3, e);
    return BG_OK;
}

/* "gaps.sensitivity": the rows of a section, none when no such document is there. */
static int find_rows(const bg_scope *s, const char *kind, const char *section, int line, bg_value *out, bg_err *e)
{
    const char *names[128];
    bg_value whole = {.set = s->n_sets ? s->sets[0] : NULL};
    const bg_doc_kind *k = bg_doc_kind_find(kind);
    if (!k || !section) {
        int n = list_names(&whole, names);
        for (int i = s->first_variable; i < s->n_variables && n < 128; i++)
            names[n++] = s->variables[i].name;
        return fail_unknown(s, line, kind, names, n, e);
    }
    *out = (bg_value){.kind = BG_FACT_ROWS, .schema = find_section(k, section)};
    if (!out->schema)
        return bg_fail(e, BG_INPUT, "%s:%d: document %s has no section '%s'", s->path, line, kind, section);
    out->rows = bg_docset_rows(s->page->docs, kind, out->schema->name);
    return BG_OK;
}

static int find_first(const bg_scope *s, const char *name, bg_value *out)
{
    for (int i = s->n_variables - 1; i >= s->first_variable; i--)
        if (!strcmp(s->variables[i].name, name)) {
            *out = s->variables[i].value;
            return 1;
        }
    for (int i = s->n_sets - 1; i >= 0; i--) {
        const bg_fact *fact = bg_fact_find(s->sets[i], name);
        if (fact) {
            *out = fact_value(s, fact);
            return 1;
        }
    }
    return 0;
}

static int find_path(const bg_scope *s, const char *path, int line, bg_value *out, bg_err *e)
{
    char copy[256], *save = NULL;
    snprintf(copy, sizeof copy, "%s", path);
    char *name = strtok_r(copy, ".", &save), *next = strtok_r(NULL, ".", &save);
    if (!strcmp(name, "loop") && next)
        return find_loop(s, next, line, out, e);
    if (!find_first(s, name, out)) {
        int status = find_rows(s, name, next, line, out, e);
        next = strtok_r(NULL, ".", &save);
        return status || !next ? status : bg_fail(e, BG_INPUT, "%s:%d: %s is a list", s->path, line, path);
    }
    for (; next; next = strtok_r(NULL, ".", &save)) {
        bg_value of = *out;
        if (of.kind != BG_FACT_SET && !of.absent)
            return bg_fail(e, BG_INPUT, "%s:%d: in '%s', nothing is inside the value before '%s'", s->path, line, path,
                           next);
        int status = find_member(s, &of, next, line, out, e);
        if (status)
            return status;
    }
    return BG_OK;
}

/* ---- operators ---- */

static int compare_values(const bg_value *a, const char *how, const bg_value *b)
{
    if (a->absent || b->absent)
        return !strcmp(how, "!=") && a->absent != b->absent;
    int text = a->kind == BG_FACT_TEXT && b->kind == BG_FACT_TEXT;
    double x = text ? strcmp(a->text, b->text) : a->number.value, y = text ? 0 : b->number.value;
    switch (how[0]) {
    case '=':
        return !(x < y) && !(x > y);
    case '!':
        return x < y || x > y;
    case '<':
        return how[1] ? x <= y : x < y;
    default:
        return how[1] ? x >= y : x > y;
    }
}

/* The number of an operand, or an error. */
static int take_number(bg_scope *s, const bg_expr *x, int line, bg_value *out, bg_err *e)
{
    int status = bg_evaluate(s, x, line, out, e);
    if (!status && out->kind != BG_FACT_NUMBER && !out->absent)
        return bg_fail(e, BG_INPUT, "%s:%d: '%s' is no number", s->path, line, x->text);
    return status;
}

static int take_text(bg_scope *s, const bg_expr *x, int line, const char **out, bg_err *e)
{
    bg_value v;
    int status = bg_evaluate(s, x, line, &v, e);
    if (!status && v.kind != BG_FACT_TEXT && !v.absent)
        return bg_fail(e, BG_INPUT, "%s:%d: '%s' is no text", s->path, line, x->text);
    *out = v.absent ? NULL : v.text;
    return status;
}

static int evaluate_arithmetic(bg_scope *s, const bg_expr *x, int line, bg_value *out, bg_err *e)
{
    bg_value a, b;
    bg_num zero = bg_num_constant(0);
    int negate = x->operator== BG_EXPR_NEGATE, status = take_number(s, x->a, line, &a, e);
    if (!status && !negate)
        status = take_number(s, x->b, line, &b, e);
    if (status)
        return status;
    *out = nothing;
    if (negate && !a.absent)
        *out = number_value(bg_num_operate(zero, '-', a.number), a.style);
    else if (!negate && !a.absent && !b.absent)
        *out = number_value(bg_num_operate(a.number, x->text[0], b.number), BG_SIG3);
    return BG_OK;
}

static int evaluate_logic(bg_scope *s, const bg_expr *x, int line, bg_value *out, bg_err *e)
{
    bg_value a, b = nothing;
    int status = bg_evaluate(s, x->a, line, &a, e);
    if (!status && x->b)
        status = bg_evaluate(s, x->b, line, &b, e);
    if (status)
        return status;
    int p = bg_is_true(&a), q = bg_is_true(&b);
    *out = flag_value(x->operator== BG_EXPR_NOT   ? !p
                      : x->operator== BG_EXPR_AND ? p && q
                      : x->operator== BG_EXPR_OR  ? p || q
                                                  : compare_values(&a, x->text, &b));
    return BG_OK;
}

/* ---- functions ---- */

typedef int function(bg_scope *s, const bg_expr *call, int line, bg_value *out, bg_err *e);

/* mean(FIELD, spec [, role]), and min, max and count: over the points of a spec. */
static int call_over(bg_scope *s, const bg_expr *call, int line, bg_value *out, bg_err *e)
{
    const char *spec = NULL, *where = NULL;
    const char *how = !strcmp(call->text, "min") ? "least" : !strcmp(call->text, "max") ? "most" : call->text;
    int status = take_text(s, call->a->next, line, &spec, e);
    if (!status && call->a->next->next)
        status = take_text(s, call->a->next->next, line, &where, e);
    *out = nothing;
    if (!status && spec)
        *out = number_value(bg_num_over(s->page->docs, how, call->a->text, where, spec),
                            !strcmp(how, "count") ? BG_COUNT : BG_SIG3);
    return status;
}

/* low(FIELD, spec [, role]) and high: the ends of the interval of that mean, which the documents hold. */
static int call_interval(bg_scope *s, const bg_expr *call, int line, bg_value *out, bg_err *e)
{
    const char *spec = NULL, *role = NULL;
    int status = take_text(s, call->a->next, line, &spec, e);
    if (!status && call->a->next->next)
        status = take_text(s, call->a->next->next, line, &role, e);
    *out = nothing;
    if (status || !spec)
        return status;
    bg_interval i = role ? bg_interval_of_role(s->page->docs, call->a->text, spec, role)
                         : bg_interval_over(s->page->docs, call->a->text, spec, NULL);
    *out = number_value(call->text[0] == 'l' ? i.low : i.high, BG_SIG3);
    return BG_OK;
}

/* difference(FIELD, spec, rival), tensor by tensor, and difference_low and difference_high, its interval. */
static int call_difference(bg_scope *s, const bg_expr *call, int line, bg_value *out, bg_err *e)
{
    const char *spec = NULL, *rival = NULL, *end = strchr(call->text, '_');
    int status = take_text(s, call->a->next, line, &spec, e);
    if (!status)
        status = take_text(s, call->a->next->next, line, &rival, e);
    *out = nothing;
    if (status || !spec || !rival)
        return status;
    bg_interval i = bg_interval_over(s->page->docs, call->a->text, spec, rival);
    *out = number_value(!end            ? bg_num_difference(s->page->docs, "mean", call->a->text, spec, rival)
                        : end[1] == 'l' ? i.low
                                        : i.high,
                        BG_SIG3);
    return BG_OK;
}

/* target(FIELD, relative, quantizer): where the curve of a quantizer reaches D/σ² = relative. */
static int call_target(bg_scope *s, const bg_expr *call, int line, bg_value *out, bg_err *e)
{
    bg_value relative;
    const char *quantizer = NULL;
    const bg_expr *last = call->a->next->next;
    if (!last)
        return bg_fail(e, BG_INPUT, "%s:%d: target takes a field, a number and a quantizer", s->path, line);
    int status = take_number(s, call->a->next, line, &relative, e);
    if (!status)
        status = take_text(s, last, line, &quantizer, e);
    *out = nothing;
    if (!status && quantizer)
        *out = number_value(bg_num_target(s->page->docs, call->a->text, relative.number.value, quantizer), BG_SIG3);
    return status;
}

/* rows_mean(DOCUMENT.SECTION, FIELD [, role [, relative]]) and rows_count: over rows, each counting once. */
static int call_rows(bg_scope *s, const bg_expr *call, int line, bg_value *out, bg_err *e)
{
    char kind[128], section[128];
    const bg_expr *role = call->a->next->next, *relative = role ? role->next : NULL;
    const char *where = NULL;
    bg_value list, at = nothing;
    int status = find_path(s, call->a->text, line, &list, e);
    if (!status && (!list.schema || list.list || !find_field(list.schema, call->a->next->text)))
        status = bg_fail(e, BG_INPUT, "%s:%d: '%s' has no rows with '%s'", s->path, line, call->a->text,
                         call->a->next->text);
    if (!status && role)
        status = take_text(s, role, line, &where, e);
    if (!status && relative)
        status = take_number(s, relative, line, &at, e);
    if (status)
        return status;
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(call->a->text, "."), call->a->text);
    snprintf(section, sizeof section, "%s", list.schema->name);
    if (relative)
        snprintf(section, sizeof section, "%.60s[relative=%g]", list.schema->name, at.number.value);
    const char *how = call->text + strlen("rows_");
    *out = number_value(bg_num_rows(s->page->docs, how, kind, section, call->a->next->text, where),
                        !strcmp(how, "count") ? BG_COUNT : BG_SIG3);
    return BG_OK;
}

/* plural(n, "matrix", "matrices") */
static int call_plural(bg_scope *s, const bg_expr *call, int line, bg_value *out, bg_err *e)
{
    bg_value n;
    const char *one = NULL, *several = NULL;
    int status = take_number(s, call->a, line, &n, e);
    if (!status && !call->a->next->next)
        return bg_fail(e, BG_INPUT, "%s:%d: plural takes a number and two texts", s->path, line);
    if (!status)
        status = take_text(s, call->a->next, line, &one, e);
    if (!status)
        status = take_text(s, call->a->next->next, line, &several, e);
    *out = text_value(!n.absent && fabs(n.number.value - 1) < 1e-9 ? one : several);
    return status;
}

/* label(quantizer): its readable name. */
static int call_label(bg_scope *s, const bg_expr *call, int line, bg_value *out, bg_err *e)
{
    char label[BG_LABEL];
    const char *quantizer = NULL;
    int status = take_text(s, call->a, line, &quantizer, e);
    bg_text_clear(&s->label);
    if (!status && quantizer) {
        bg_method_label(quantizer, label);
        bg_text_add(&s->label, label);
    }
    *out = text_value(quantizer ? bg_text_string(&s->label) : NULL);
    return status;
}

static int evaluate_call(bg_scope *s, const bg_expr *x, int line, bg_value *out, bg_err *e)
{
    static const struct {
        const char *name;
        function *call;
        int min_arguments;
    } functions[] = {{"mean", call_over, 2},
                     {"min", call_over, 2},
                     {"max", call_over, 2},
                     {"count", call_over, 2},
                     {"low", call_interval, 2},
                     {"high", call_interval, 2},
                     {"label", call_label, 1},
                     {"plural", call_plural, 2},
                     {"target", call_target, 2},
                     {"rows_mean", call_rows, 2},
                     {"rows_count", call_rows, 2},
                     {"difference", call_difference, 3},
                     {"difference_low", call_difference, 3},
                     {"difference_high", call_difference, 3}};
    int given = 0;
    for (const bg_expr *a = x->a; a; a = a->next)
        given++;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, x->text) != 0)
            continue;
        return given < functions[i].min_arguments ? bg_fail(e, BG_INPUT, "%s:%d: %s takes %d arguments or more",
                                                            s->path, line, x->text, functions[i].min_arguments)
                                                  : functions[i].call(s, x, line, out, e);
    }
    return bg_fail(e, BG_INPUT, "%s:%d: unknown function '%s'", s->path, line, x->text);
}

int bg_evaluate(bg_scope *s, const bg_expr *x, int line, bg_value *out, bg_err *e)
{
    *out = nothing;
    switch (x->operator) {
    case BG_EXPR_NUMBER:
        *out = number_value(bg_num_constant(x->number), BG_PLAIN);
        return BG_OK;
    case BG_EXPR_STRING:
        *out = text_value(x->text);
        return BG_OK;
    case BG_EXPR_PATH:
        return find_path(s, x->text, line, out, e);
    case BG_EXPR_CALL:
        return evaluate_call(s, x, line, out, e);
    case BG_EXPR_NEGATE:
    case BG_EXPR_ARITHMETIC:
        return evaluate_arithmetic(s, x, line, out, e);
    default:
        return evaluate_logic(s, x, line, out, e);
    }
}

/* ---- lists ---- */

bg_value bg_item_value(const bg_scope *s, const bg_item *item, const bg_section *schema)
{
    bg_value v = {.kind = BG_FACT_SET, .schema = schema};
    v.absent = !item || (!item->set && !item->row);
    v.set = item ? item->set : NULL;
    v.row = !item ? NULL : item->row ? item->row : item->set ? item->set->row : NULL;
    if (!schema)
        v.schema = schema_of(s, v.row);
    return v;
}

static int compare_items(const void *a, const void *b, void *down)
{
    const bg_item *x = a, *y = b;
    int c = (x->key > y->key) - (x->key < y->key);
    if (!c)
        return x->index - y->index;
    return *(const int *)down ? -c : c;
}

/* Whether a row belongs, and its key, with the row bound to `name`. */
static int judge_item(bg_scope *s, const bg_list *source, const char *name, int line, bg_item *item,
                      const bg_section *schema, int *keep, bg_err *e)
{
    bg_value v = bg_item_value(s, item, schema);
    int held = s->n_variables, status = bg_scope_push(s, name, &v, line, e);
    *keep = 1;
    if (!status && source->where) {
        status = bg_evaluate(s, source->where, line, &v, e);
        *keep = bg_is_true(&v);
    }
    if (!status && *keep && source->by) {
        status = take_number(s, source->by, line, &v, e);
        item->key = v.absent ? (source->down ? -(double)INFINITY : (double)INFINITY) : v.number.value;
    }
    s->n_variables = held;
    return status;
}

int bg_select_items(bg_scope *s, const bg_list *source, const char *name, int line, bg_item **out, int *n,
                    const bg_section **schema, bg_err *e)
{
    bg_value list, limit = nothing;
    *out = NULL;
    *n = 0;
    int status = find_path(s, source->path, line, &list, e);
    if (!status && list.kind != BG_FACT_ROWS && !list.absent)
        status = bg_fail(e, BG_INPUT, "%s:%d: '%s' is no list", s->path, line, source->path);
    if (!status && source->limit)
        status = take_number(s, source->limit, line, &limit, e);
    if (status)
        return status;
    *schema = list.schema;
    int total = list.list ? list.list->n : list.rows.n;
    bg_item *items = malloc(((size_t)total + 1) * sizeof *items);
    if (!items)
        return bg_no_memory(e, source->path, (size_t)total * sizeof *items);
    for (int i = 0; i < total && !status; i++) {
        int keep;
        items[*n] = (bg_item){.index = i};
        if (list.list)
            items[*n].set = list.list->sets[i];
        else
            items[*n].row = &list.rows.rows[i];
        status = judge_item(s, source, name, line, &items[*n], *schema, &keep, e);
        *n += keep;
    }
    if (source->by)
        qsort_r(items, (size_t)*n, sizeof *items, compare_items, (void *)&source->down);
    if (!limit.absent && limit.number.value < *n)
        *n = (int)limit.number.value;
    *out = items;
    return status;
}
