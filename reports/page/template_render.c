/* Owns rendering a template with facts: tags become text of the stream, then the lines of every paragraph are joined.
 *
 * A line that follows a line of the same paragraph is joined to it with a space, or without one when it begins with
 * punctuation; a line on which nothing is left disappears; only an empty line of the template ends a paragraph. Rows of
 * tables, items of lists, headings and directives keep their lines. */
#define _GNU_SOURCE
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "reports/page/evaluate.h"
#include "reports/page/marks.h"

enum { DEEPEST = 16 };

typedef struct renderer {
    bg_page *page;
    const bg_tree *tree, *phrases;
    bg_scope scope;
    int plain; /* no marks and no Markdown: titles, alternative texts */
    int depth; /* of phrases */
} renderer;

/* ---- lines ---- */

static int is_structural(const char *line)
{
    return *line == '|' || *line == '#' || *line == '<' || *line == BG_MARK_BLOCK || !strncmp(line, "- ", 2);
}

/* Between a line and the one before it on the page. */
static const char *separator(const char *last, const char *line, int apart)
{
    if (!last)
        return "";
    if (apart || *last == BG_MARK_BLOCK || *line == BG_MARK_BLOCK || *last == '#' || (*line == '|') != (*last == '|'))
        return "\n\n";
    return is_structural(line) ? "\n" : strchr(",.;:)", *line) ? "" : " ";
}

/* Appends raw text with its paragraphs joined; ends without a newline. */
static void put_joined(bg_text *out, const bg_text *raw, int plain)
{
    char *copy = strdup(bg_text_string(raw)), *save = NULL, *last = NULL;
    int apart = 0;
    for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
        for (; *line == BG_MARK_PARAGRAPH; line++)
            apart = 1;
        size_t n = strlen(line);
        while (n && line[n - 1] == ' ')
            line[--n] = 0;
        while (*line == ' ')
            line++;
        if (!*line)
            continue;
        bg_text_add(out, plain ? (last ? (strchr(",.;:)", *line) ? "" : " ") : "") : separator(last, line, apart));
        bg_text_add(out, line);
        last = line;
        apart = 0;
    }
    out->failed |= raw->failed || !copy;
    free(copy);
}

/* ---- values ---- */

static int put_text(renderer *r, const bg_node *node, const char *text, bg_text *out, bg_err *e)
{
    const char *as = node->text ? node->text : "";
    if (r->plain || !strcmp(as, "raw"))
        bg_text_add(out, text);
    else if (!strcmp(as, "code"))
        bg_text_code(out, text);
    else if (!strcmp(as, "bold"))
        bg_put_method(out, text);
    else if (!*as)
        bg_text_markdown(out, text);
    else
        return bg_fail(e, BG_INPUT, "%s:%d: a text can be written as code, bold or raw, not as %s", r->scope.path,
                       node->line, as);
    return BG_OK;
}

static int put_number(renderer *r, const bg_node *node, const bg_value *v, bg_text *out, bg_err *e)
{
    char buffer[BG_NUMBER_TEXT];
    bg_style style = v->style;
    for (int i = 0; node->text && i <= BG_STYLES; i++) {
        if (i == BG_STYLES)
            return bg_fail(e, BG_INPUT, "%s:%d: no style '%s' of numbers", r->scope.path, node->line, node->text);
        if (!strcmp(bg_style_names[i], node->text)) {
            style = (bg_style)i;
            break;
        }
    }
    if (r->plain)
        bg_text_add(out, bg_number_text(buffer, v->number.value, style));
    else
        bg_put_number(r->page, out, v->number, style);
    return BG_OK;
}

static int put_value(renderer *r, const bg_node *node, bg_text *out, bg_err *e)
{
    bg_value v;
    int status = bg_evaluate(&r->scope, node->value, node->line, &v, e);
    if (status)
        return status;
    if (v.absent) {
        bg_text_add(out, v.kind == BG_FACT_TEXT && !node->missing ? "" : "–");
        bg_text_format(out, node->missing && *node->missing ? " %s" : "%s", node->missing ? node->missing : "");
        return BG_OK;
    }
    if (v.kind == BG_FACT_TEXT)
        return put_text(r, node, v.text, out, e);
    if (v.kind == BG_FACT_NUMBER)
        return put_number(r, node, &v, out, e);
    return bg_fail(e, BG_INPUT, "%s:%d: '%s' is not a number or a text", r->scope.path, node->line, node->value->text);
}

/* ---- nodes ---- */

static int render_nodes(renderer *r, const bg_node *first, bg_text *out, bg_err *e);

static int render_body(renderer *r, const bg_body *body, bg_text *out, bg_err *e)
{
    int held = r->scope.n_variables;
    if (r->page->watch)
        r->page->watch->visit(r->page->watch->self, r->tree->path, body->number);
    int status = render_nodes(r, body->first, out, e);
    r->scope.n_variables = held;
    return status;
}

/* Rendered apart and joined; `plain` as in titles. */
static int render_apart(renderer *r, const bg_body *body, const bg_node *nodes, int plain, bg_text *out, bg_err *e)
{
    bg_text raw = {0};
    int held = r->plain;
    r->plain = plain;
    int status = body ? render_body(r, body, &raw, e) : render_nodes(r, nodes, &raw, e);
    r->plain = held;
    if (!status)
        put_joined(out, &raw, plain);
    bg_text_free(&raw);
    return status;
}

static int render_if(renderer *r, const bg_node *node, bg_text *out, bg_err *e)
{
    int arms = 0, chosen = -1;
    for (const bg_body *arm = node->bodies; arm; arm = arm->next, arms++) {
        bg_value v = {.kind = BG_FACT_FLAG, .flag = 1};
        int status = arm->condition ? bg_evaluate(&r->scope, arm->condition, node->line, &v, e) : BG_OK;
        if (status)
            return status;
        if (chosen < 0 && bg_is_true(&v))
            chosen = arms;
    }
    const bg_watch *watch = r->page->watch;
    if (watch)
        chosen = watch->choose(watch->self, r->tree->path, node->bodies, chosen);
    for (const bg_body *arm = node->bodies; arm; arm = arm->next)
        if (chosen-- == 0)
            return render_body(r, arm, out, e);
    return BG_OK;
}

static int render_for(renderer *r, const bg_node *node, bg_text *out, bg_err *e)
{
    bg_item *items;
    const bg_section *schema = NULL;
    bg_scope *s = &r->scope;
    int n, held = s->n_variables, index = s->loop_index, count = s->loop_count;
    int status = bg_select_items(s, &node->source, node->name, node->line, &items, &n, &schema, e);
    int turns = n || !r->page->watch ? n : 1; /* a test sees the body also when there is no row */
    for (int i = 0; i < turns && !status; i++) {
        bg_value v = bg_item_value(s, i < n ? &items[i] : NULL, schema);
        s->loop_index = i;
        s->loop_count = turns;
        status = bg_scope_push(s, node->name, &v, node->line, e);
        if (!status)
            status = render_body(r, node->bodies, out, e);
        s->n_variables = held;
    }
    s->loop_index = index;
    s->loop_count = count;
    free(items);
    return status;
}

static int render_let(renderer *r, const bg_node *node, bg_err *e)
{
    bg_value v;
    bg_item *items = NULL;
    const bg_section *schema = NULL;
    int n = 0, status;
    if (node->pick == BG_PICK_VALUE) {
        status = bg_evaluate(&r->scope, node->value, node->line, &v, e);
    } else {
        status = bg_select_items(&r->scope, &node->source, node->name, node->line, &items, &n, &schema, e);
        int at = node->pick == BG_PICK_FIRST ? 0 : node->pick == BG_PICK_LAST ? n - 1 : n / 2;
        v = bg_item_value(&r->scope, n ? &items[at] : NULL, schema);
        if (node->pick == BG_PICK_COUNT)
            v = (bg_value){.kind = BG_FACT_NUMBER, .number = {.value = n}, .style = BG_COUNT};
    }
    free(items);
    return status ? status : bg_scope_push(&r->scope, node->name, &v, node->line, e);
}

static int render_wrap(renderer *r, const bg_node *node, bg_text *out, bg_err *e)
{
    bg_text title = {0};
    int fold = !strcmp(node->text, "fold"), class = !strcmp(node->text, "class");
    int status = render_apart(r, NULL, node->title, 1, &title, e);
    if (fold)
        bg_put_fold(out, bg_text_string(&title));
    else if (class)
        bg_put_class(out, bg_text_string(&title));
    else
        bg_put_page_only(out);
    if (!status)
        status = render_body(r, node->bodies, out, e);
    if (fold)
        bg_put_fold_end(out);
    else if (class)
        bg_put_class_end(out);
    else
        bg_put_page_only_end(out);
    bg_text_free(&title);
    return status;
}

static int render_line(renderer *r, const bg_node *node, bg_text *out, bg_err *e)
{
    bg_text title = {0};
    int status = render_apart(r, NULL, node->title, 1, &title, e);
    if (node->kind == BG_NODE_TABLE) {
        bg_put_table_title(out, bg_text_string(&title));
    } else {
        bg_text_clear(&r->page->entry);
        bg_text_html(&r->page->entry, bg_text_string(&title));
    }
    bg_text_free(&title);
    return status;
}

/* ---- figures ---- */

static int render_tips(renderer *r, const bg_body *body, const bg_facts *set, bg_err *e)
{
    const bg_fact *tips = bg_fact_find(set, "tips");
    const bg_drawing *drawing = set->drawing;
    int held = r->scope.n_variables, status = BG_OK;
    for (int i = 0; tips && i < tips->n && !status; i++) {
        bg_text tip = {0};
        bg_item item = {.set = tips->sets[i]};
        bg_value v = bg_item_value(&r->scope, &item, NULL);
        status = bg_scope_push(&r->scope, "point", &v, body->line, e);
        if (!status)
            status = render_apart(r, body, NULL, 1, &tip, e);
        if (!status)
            drawing->add_tip(drawing->self, bg_text_string(&tip));
        bg_text_free(&tip);
        r->scope.n_variables = held;
    }
    return status;
}

static int render_part(renderer *r, const bg_body *body, const bg_facts *set, bg_err *e)
{
    bg_page_figure *shown = set->drawing->shown;
    const struct {
        const char *name;
        bg_text *where;
        int plain;
    } places[] = {{"title", &shown->title, 1},
                  {"alt", &shown->alt, 1},
                  {"caption", &shown->caption, 0},
                  {"data", &shown->table, 0}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!strcmp(body->name, places[i].name))
            return render_apart(r, body, NULL, places[i].plain, places[i].where, e);
    return render_tips(r, body, set, e);
}

static int render_figure(renderer *r, const bg_node *node, bg_text *out, bg_err *e)
{
    bg_value v;
    bg_scope *s = &r->scope;
    const char *name = node->value->text;
    int status = bg_evaluate(s, node->value, node->line, &v, e);
    if (status || v.absent)
        return status;
    if (v.kind != BG_FACT_SET || !v.set || !v.set->drawing || s->n_sets == BG_SETS)
        return bg_fail(e, BG_INPUT, "%s:%d: '%s' is no figure", s->path, node->line, name);
    s->sets[s->n_sets++] = v.set;
    for (const bg_body *body = node->bodies; body && !status; body = body->next)
        status = render_part(r, body, v.set, e);
    s->n_sets--;
    if (!status && v.set->failed)
        status = bg_no_memory(e, name, 0);
    if (!status)
        status = v.set->drawing->finish(v.set->drawing->self, e);
    if (!status)
        bg_put_figure(r->page, out, v.set->drawing->index);
    return status;
}

/* ---- phrases ---- */

static const bg_definition *find_phrase(const renderer *r, const char *name, const bg_tree **tree)
{
    const bg_tree *trees[] = {r->tree, r->phrases};
    for (int i = 0; i < 2; i++)
        for (const bg_definition *d = trees[i] ? trees[i]->definitions : NULL; d; d = d->next)
            if (!strcmp(d->name, name)) {
                *tree = trees[i];
                return d;
            }
    return NULL;
}

static int push_arguments(renderer *r, const bg_node *node, const bg_definition *d, bg_err *e)
{
    bg_value values[8];
    const bg_expr *argument = node->value->a;
    int n = 0, status = BG_OK;
    for (; argument && n < 8 && !status; argument = argument->next)
        status = bg_evaluate(&r->scope, argument, node->line, &values[n++], e);
    if (!status && (argument || n != d->n_parameters))
        return bg_fail(e, BG_INPUT, "%s:%d: phrase %s takes %d arguments", r->scope.path, node->line, d->name,
                       d->n_parameters);
    for (int i = 0; i < n && !status; i++)
        status = bg_scope_push(&r->scope, d->parameters[i], &values[i], node->line, e);
    return status;
}

static int render_phrase(renderer *r, const bg_node *node, const bg_definition *d, const bg_tree *tree, bg_text *out,
                         bg_err *e)
{
    const bg_tree *held_tree = r->tree;
    const char *held_path = r->scope.path;
    int held = r->scope.n_variables, first = r->scope.first_variable;
    if (r->depth == DEEPEST)
        return bg_fail(e, BG_INPUT, "%s:%d: phrases nest too deep", r->scope.path, node->line);
    int status = push_arguments(r, node, d, e);
    r->scope.first_variable = held;
    r->depth++;
    r->tree = tree;
    r->scope.path = tree->path;
    bg_text raw = {0};
    if (!status)
        status = render_body(r, d->body, &raw, e);
    /* A phrase is part of a line: the line breaks around its words belong to its definition. */
    const char *words = bg_text_string(&raw);
    size_t n = raw.length;
    while (n && *words == '\n') {
        words++;
        n--;
    }
    while (n && words[n - 1] == '\n')
        n--;
    bg_text_add_n(out, words, n);
    bg_text_free(&raw);
    r->depth--;
    r->tree = held_tree;
    r->scope.path = held_path;
    r->scope.n_variables = held;
    r->scope.first_variable = first;
    return status;
}

static int render_put(renderer *r, const bg_node *node, bg_text *out, bg_err *e)
{
    const bg_tree *tree;
    const bg_definition *d = node->value->operator== BG_EXPR_CALL ? find_phrase(r, node->value->text, &tree) : NULL;
    return d ? render_phrase(r, node, d, tree, out, e) : put_value(r, node, out, e);
}

static int render_node(renderer *r, const bg_node *node, bg_text *out, bg_err *e)
{
    switch (node->kind) {
    case BG_NODE_TEXT:
        bg_text_add(out, node->text);
        return BG_OK;
    case BG_NODE_LET:
        return render_let(r, node, e);
    case BG_NODE_IF:
        return render_if(r, node, out, e);
    case BG_NODE_FOR:
        return render_for(r, node, out, e);
    case BG_NODE_FIGURE:
        return render_figure(r, node, out, e);
    case BG_NODE_WRAP:
        return render_wrap(r, node, out, e);
    case BG_NODE_TABLE:
    case BG_NODE_CONTENTS:
        return render_line(r, node, out, e);
    case BG_NODE_COLUMN:
        bg_text_format(out, "%c%s%c", BG_MARK_COLUMN, node->name, BG_MARK_COLUMN_END);
        return BG_OK;
    default:
        return render_put(r, node, out, e);
    }
}

static int render_nodes(renderer *r, const bg_node *first, bg_text *out, bg_err *e)
{
    int status = BG_OK;
    for (const bg_node *node = first; node && !status; node = node->next)
        status = render_node(r, node, out, e);
    return status;
}

/* The phrases that all templates share, read once. */
static int read_phrases(bg_page *p, bg_err *e)
{
    static const char name[] = "phrases.md";
    bg_page_uses(p, name);
    if (p->phrases)
        return BG_OK;
    p->phrases = calloc(1, sizeof *p->phrases);
    return p->phrases ? bg_tree_read(p->phrases, p->templates, name, e) : bg_no_memory(e, name, sizeof *p->phrases);
}

int bg_page_render(bg_page *p, const char *name, const bg_facts *facts, bg_text *out, bg_err *e)
{
    bg_tree tree = {0};
    bg_text raw = {0};
    renderer *r = calloc(1, sizeof *r);
    bg_page_uses(p, name);
    int status = r ? read_phrases(p, e) : bg_no_memory(e, name, sizeof *r);
    if (!status)
        status = bg_tree_read(&tree, p->templates, name, e);
    if (!status) {
        *r = (renderer){.page = p, .tree = &tree, .phrases = p->phrases};
        r->scope.page = p;
        r->scope.path = tree.path;
        r->scope.sets[r->scope.n_sets++] = facts;
        status = render_nodes(r, tree.first, &raw, e);
        put_joined(out, &raw, 0);
        bg_text_add(out, "\n");
    }
    if (!status && (facts->failed || out->failed))
        status = bg_no_memory(e, name, out->length);
    if (r)
        bg_text_free(&r->scope.label);
    free(r);
    bg_text_free(&raw);
    bg_tree_free(&tree);
    return status;
}
