/* Owns turning the text of a template into a tree. A tag is everything between "{{" and its "}}"; what is not a tag is
 * text, of which each line loses its indentation, and an empty line becomes BG_MARK_PARAGRAPH. */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "io/base/file.h"
#include "io/base/options.h"
#include "reports/page/marks.h"
#include "reports/page/template_tree.h"

enum { TEMPLATE_LIMIT = 1 << 22 };

/* ---- reading ---- */

/* Where a body ends: at a tag that is not its own. */
typedef struct reader {
    bg_tree *tree;
    const char *start, *at;
    int line;
    int in_title;   /* titles have {single} braces */
    int in_figure;  /* the tags of `parts` part a figure */
    char tag[1024]; /* the tag that ended a body, without braces */
    int tag_line;
    int ended; /* `tag` holds one; else the text came to its end */
} reader;

static int fail_at(const reader *r, int line, bg_err *e, const char *words, const char *detail)
{
    return bg_fail(e, BG_INPUT, "%s:%d: %s%s", r->tree->path, line, words, detail);
}

static bg_node *add_node(reader *r, bg_node ***tail, bg_node_kind kind, int line, bg_err *e)
{
    bg_node *node = bg_tree_allocate(r->tree, sizeof *node);
    if (!node) {
        bg_no_memory(e, r->tree->path, sizeof *node);
        return NULL;
    }
    node->kind = kind;
    node->line = line;
    **tail = node;
    *tail = &node->next;
    return node;
}

/* Text without the indentation of its lines. */
static int add_text(reader *r, bg_node ***tail, const char *s, size_t n, bg_err *e)
{
    int fresh = s == r->start || s[-1] == '\n', line = r->line;
    bg_text t = {0};
    for (size_t i = 0; i < n; i++) {
        if (fresh && !r->in_title && (s[i] == ' ' || s[i] == '\t'))
            continue;
        if (fresh && s[i] == '\n')
            bg_text_format(&t, "%c", BG_MARK_PARAGRAPH);
        bg_text_add_n(&t, (unsigned char)s[i] < 0x20 && s[i] != '\n' ? " " : &s[i], 1);
        r->line += s[i] == '\n';
        fresh = s[i] == '\n';
    }
    bg_node *node = t.length ? add_node(r, tail, BG_NODE_TEXT, line, e) : NULL;
    if (node)
        node->text = bg_tree_copy(r->tree, bg_text_string(&t), t.length);
    int failed = t.failed || (t.length && (!node || !node->text));
    bg_text_free(&t);
    return failed ? bg_no_memory(e, r->tree->path, n) : BG_OK;
}

/* The end of the tag that begins at `open`: its "}}" outside of single braces; NULL when there is none. */
static const char *tag_end(const char *open, int in_title)
{
    int depth = 0;
    for (const char *p = open; *p; p++) {
        if (*p == '{')
            depth++;
        else if (*p == '}' && (in_title || (!depth && p[1] == '}')))
            return p;
        else if (*p == '}' && depth)
            depth--;
    }
    return NULL;
}

/* Up to the next tag: text is added, the tag is left in r->tag. */
static int read_tag(reader *r, bg_node ***tail, bg_err *e)
{
    const char *brace = r->in_title ? "{" : "{{", *open = strstr(r->at, brace);
    size_t n = open ? (size_t)(open - r->at) : strlen(r->at);
    int status = add_text(r, tail, r->at, n, e);
    r->ended = open != NULL;
    r->at += n;
    if (status || !open)
        return status;
    open += strlen(brace);
    const char *close = tag_end(open, r->in_title);
    if (!close)
        return fail_at(r, r->line, e, "'{{' without '}}'", "");
    n = (size_t)(close - open);
    if (n >= sizeof r->tag)
        return fail_at(r, r->line, e, "a tag is too long", "");
    memcpy(r->tag, open, n);
    r->tag[n] = 0;
    r->tag_line = r->line;
    for (size_t i = 0; i < n; i++)
        r->line += open[i] == '\n';
    r->at = close + strlen(brace);
    return BG_OK;
}

static int parse_nodes(reader *r, bg_node **first, bg_err *e);

/* The text of a title is a template of its own, whose tags are in single braces. */
static int parse_title(reader *r, const char *text, int line, bg_node **out, bg_err *e)
{
    text += strspn(text, " ");
    reader inner = {.tree = r->tree, .start = text, .at = text, .line = line, .in_title = 1};
    int status = parse_nodes(&inner, out, e);
    return status || !inner.ended ? status : fail_at(r, line, e, "a title takes values only, not ", inner.tag);
}

static bg_body *new_body(reader *r, bg_body **place, bg_err *e)
{
    bg_body *body = bg_tree_allocate(r->tree, sizeof *body);
    if (!body) {
        bg_no_memory(e, r->tree->path, sizeof *body);
        return NULL;
    }
    body->number = ++r->tree->bodies;
    body->line = r->line;
    *place = body;
    return body;
}

/* The first word of r->tag, and where the rest begins. */
static const char *split_tag(const char *tag, char word[32])
{
    tag += strspn(tag, " \n");
    size_t n = strcspn(tag, " \n(");
    snprintf(word, 32, "%.*s", (int)(n < 31 ? n : 31), tag);
    return tag + n + strspn(tag + n, " \n");
}

static int is_tag(const reader *r, const char *word)
{
    char first[32];
    return r->ended && (split_tag(r->tag, first), !strcmp(first, word));
}

static int expect_end(reader *r, const bg_node *node, const char *what, bg_err *e)
{
    char detail[1100];
    if (is_tag(r, "end"))
        return BG_OK;
    snprintf(detail, sizeof detail, "%s, found %s", what, r->ended ? r->tag : "the end of the file");
    return fail_at(r, node->line, e, "this needs {{end}}: ", detail);
}

static int finish_lexer(const bg_lexer *l, bg_err *e)
{
    return *l->word || l->quoted ? bg_lexer_fail(l, e, "the end of the tag") : BG_OK;
}

static int parse_condition(reader *r, const char *text, int line, bg_expr **out, bg_err *e)
{
    bg_lexer l;
    int status = bg_lexer_begin(&l, r->tree, text, line, e);
    if (!status)
        status = bg_expr_parse(&l, out, e);
    return status ? status : finish_lexer(&l, e);
}

/* ---- tags ---- */

static int parse_if(reader *r, bg_node *node, const char *rest, bg_err *e)
{
    bg_body **place = &node->bodies;
    int open = 1, status = BG_OK;
    char word[32], text[sizeof r->tag];
    snprintf(text, sizeof text, "%s", rest);
    while (open && !status) {
        bg_body *arm = new_body(r, place, e);
        if (!arm)
            return BG_RESOURCE;
        place = &arm->next;
        if (*text)
            status = parse_condition(r, text, r->tag_line, &arm->condition, e);
        if (!status)
            status = parse_nodes(r, &arm->first, e);
        if (status || !is_tag(r, "else"))
            break;
        const char *after = split_tag(r->tag, word);
        open = arm->condition != NULL;
        if (!*after) {
            *text = 0;
            continue;
        }
        after = split_tag(after, word);
        if (strcmp(word, "if") != 0)
            return fail_at(r, r->tag_line, e, "after else only 'if' may follow, not ", word);
        snprintf(text, sizeof text, "%s", after);
    }
    return status ? status : expect_end(r, node, "an if", e);
}

static int parse_name(bg_lexer *l, const char **out, bg_err *e)
{
    if (l->quoted || !isalpha((unsigned char)*l->word) || strchr(l->word, '.'))
        return bg_lexer_fail(l, e, "a name");
    *out = bg_tree_copy(l->tree, l->word, strlen(l->word));
    return *out ? bg_lexer_next(l, e) : bg_no_memory(e, l->tree->path, 0);
}

static int expect_word(bg_lexer *l, const char *word, bg_err *e)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", word);
    return l->quoted || strcmp(l->word, word) != 0 ? bg_lexer_fail(l, e, quoted) : bg_lexer_next(l, e);
}

static int parse_for(reader *r, bg_node *node, const char *rest, bg_err *e)
{
    bg_lexer l;
    int status = bg_lexer_begin(&l, r->tree, rest, node->line, e);
    if (!status)
        status = parse_name(&l, &node->name, e);
    if (!status)
        status = expect_word(&l, "in", e);
    if (!status)
        status = bg_list_parse(&l, &node->source, e);
    if (!status)
        status = finish_lexer(&l, e);
    bg_body *body = status ? NULL : new_body(r, &node->bodies, e);
    if (!status)
        status = body ? parse_nodes(r, &body->first, e) : BG_RESOURCE;
    return status ? status : expect_end(r, node, "a for", e);
}

/* "NAME = EXPRESSION" or "NAME = first|last|middle|count of SOURCE" */
static int parse_let(reader *r, bg_node *node, const char *rest, bg_err *e)
{
    static const char *const picks[] = {"", "first", "last", "middle", "count"};
    bg_lexer l, ahead;
    int status = bg_lexer_begin(&l, r->tree, rest, node->line, e);
    if (!status)
        status = parse_name(&l, &node->name, e);
    if (!status)
        status = expect_word(&l, "=", e);
    if (status)
        return status;
    ahead = l;
    for (int i = 1; i < 5; i++)
        if (!l.quoted && !strcmp(l.word, picks[i]) && !bg_lexer_next(&ahead, e) && !strcmp(ahead.word, "of"))
            node->pick = (bg_pick)i;
    if (node->pick) {
        l = ahead;
        status = bg_lexer_next(&l, e);
        if (!status)
            status = bg_list_parse(&l, &node->source, e);
    } else {
        status = bg_expr_parse(&l, &node->value, e);
    }
    return status ? status : finish_lexer(&l, e);
}

/* "EXPRESSION [as STYLE] [missing "WORDS"]", or a phrase: "NAME(…)". */
static int parse_put(reader *r, bg_node *node, const char *text, bg_err *e)
{
    bg_lexer l;
    int status = bg_lexer_begin(&l, r->tree, text, node->line, e);
    if (!status)
        status = bg_expr_parse(&l, &node->value, e);
    if (!status && !strcmp(l.word, "as") && !l.quoted) {
        status = bg_lexer_next(&l, e);
        if (!status)
            status = parse_name(&l, &node->text, e);
    }
    if (!status && !strcmp(l.word, "missing") && !l.quoted) {
        status = bg_lexer_next(&l, e);
        if (!status && !l.quoted)
            status = bg_lexer_fail(&l, e, "words in quotation marks");
        node->missing = bg_tree_copy(r->tree, l.word, strlen(l.word));
        if (!status)
            status = node->missing ? bg_lexer_next(&l, e) : bg_no_memory(e, r->tree->path, 0);
    }
    return status ? status : finish_lexer(&l, e);
}

static const char *const parts[] = {"title", "caption", "alt", "data", "tip", NULL};

static const char *part_of(const reader *r)
{
    for (int i = 0; r->in_figure && parts[i]; i++)
        if (is_tag(r, parts[i]))
            return parts[i];
    return NULL;
}

static int parse_figure(reader *r, bg_node *node, const char *rest, bg_err *e)
{
    bg_node *blank = NULL;
    int status = parse_condition(r, rest, node->line, &node->value, e);
    if (!status && node->value->operator!= BG_EXPR_PATH)
        status = fail_at(r, node->line, e, "no name of a figure: ", rest);
    r->in_figure = 1;
    if (!status)
        status = parse_nodes(r, &blank, e);
    bg_body **place = &node->bodies;
    while (!status && part_of(r)) {
        const char *part = part_of(r);
        bg_body *body = new_body(r, place, e);
        if (!body)
            return BG_RESOURCE;
        body->name = part;
        place = &body->next;
        status = parse_nodes(r, &body->first, e);
    }
    r->in_figure = 0;
    return status ? status : expect_end(r, node, "a figure with {{title}}, {{caption}}, {{alt}} and {{data}}", e);
}

static int parse_wrap(reader *r, bg_node *node, const char *word, const char *rest, bg_err *e)
{
    node->text = bg_tree_copy(r->tree, word, strlen(word));
    int status = node->text ? parse_title(r, rest, node->line, &node->title, e) : bg_no_memory(e, r->tree->path, 0);
    bg_body *body = status ? NULL : new_body(r, &node->bodies, e);
    if (!status)
        status = body ? parse_nodes(r, &body->first, e) : BG_RESOURCE;
    return status ? status : expect_end(r, node, word, e);
}

/* "define NAME(PARAMETER, …)" … "end": kept aside. */
static int parse_define(reader *r, int line, const char *rest, bg_err *e)
{
    bg_definition *d = bg_tree_allocate(r->tree, sizeof *d);
    bg_node node = {.line = line};
    bg_lexer l;
    int status = d ? bg_lexer_begin(&l, r->tree, rest, line, e) : bg_no_memory(e, r->tree->path, sizeof *d);
    if (!status)
        status = parse_name(&l, &d->name, e);
    if (!status)
        status = expect_word(&l, "(", e);
    while (!status && strcmp(l.word, ")") != 0) {
        if (d->n_parameters == 8)
            return fail_at(r, line, e, "a phrase takes at most 8 parameters", "");
        status = parse_name(&l, &d->parameters[d->n_parameters++], e);
        if (!status && !strcmp(l.word, ","))
            status = bg_lexer_next(&l, e);
    }
    bg_body *body = status ? NULL : new_body(r, &d->body, e);
    if (!status)
        status = body ? parse_nodes(r, &body->first, e) : BG_RESOURCE;
    if (status)
        return status;
    d->next = r->tree->definitions;
    r->tree->definitions = d;
    return expect_end(r, &node, "a define", e);
}

static int parse_block(reader *r, bg_node ***tail, bg_node_kind kind, const char *word, const char *rest, bg_err *e)
{
    char text[sizeof r->tag];
    snprintf(text, sizeof text, "%s", rest);
    bg_node *node = add_node(r, tail, kind, r->tag_line, e);
    if (!node)
        return BG_RESOURCE;
    switch (kind) {
    case BG_NODE_IF:
        return parse_if(r, node, text, e);
    case BG_NODE_FOR:
        return parse_for(r, node, text, e);
    case BG_NODE_LET:
        return parse_let(r, node, text, e);
    case BG_NODE_FIGURE:
        return parse_figure(r, node, text, e);
    case BG_NODE_WRAP:
        return parse_wrap(r, node, word, text, e);
    case BG_NODE_TABLE:
    case BG_NODE_CONTENTS:
        return parse_title(r, text, node->line, &node->title, e);
    case BG_NODE_COLUMN:
        node->name = bg_tree_copy(r->tree, text, strlen(text));
        return node->name ? BG_OK : bg_no_memory(e, r->tree->path, 0);
    default:
        return parse_put(r, node, text, e);
    }
}

static int parse_tag(reader *r, bg_node ***tail, bg_err *e)
{
    static const struct {
        const char *word;
        bg_node_kind kind;
    } tags[] = {{"if", BG_NODE_IF},         {"for", BG_NODE_FOR},     {"let", BG_NODE_LET},
                {"figure", BG_NODE_FIGURE}, {"fold", BG_NODE_WRAP},   {"class", BG_NODE_WRAP},
                {"page", BG_NODE_WRAP},     {"table", BG_NODE_TABLE}, {"contents", BG_NODE_CONTENTS},
                {"column", BG_NODE_COLUMN}};
    char word[32];
    const char *rest = split_tag(r->tag, word);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (!strcmp(word, tags[i].word))
            return parse_block(r, tail, tags[i].kind, word, rest, e);
    if (!strcmp(word, "define")) {
        char text[sizeof r->tag];
        snprintf(text, sizeof text, "%s", rest);
        return parse_define(r, r->tag_line, text, e);
    }
    return parse_block(r, tail, BG_NODE_PUT, word, r->tag, e);
}

/* Until the end, or a tag that closes or parts what is around: that is left in r->tag. */
static int parse_nodes(reader *r, bg_node **first, bg_err *e)
{
    bg_node **tail = first;
    for (;;) {
        int status = read_tag(r, &tail, e);
        if (status || !r->ended || is_tag(r, "end") || is_tag(r, "else") || part_of(r))
            return status;
        if (r->tag[0] == '#')
            continue;
        status = parse_tag(r, &tail, e);
        if (status)
            return status;
    }
}

int bg_tree_read(bg_tree *t, const char *directory, const char *name, bg_err *e)
{
    *t = (bg_tree){0};
    t->path = bg_path_join(directory, name);
    char *text = NULL;
    int status = t->path ? bg_file_read(t->path, TEMPLATE_LIMIT, &text, NULL, e) : bg_no_memory(e, name, strlen(name));
    reader r = {.tree = t, .start = text, .at = text, .line = 1};
    if (!status)
        status = parse_nodes(&r, &t->first, e);
    if (!status && r.ended)
        status = fail_at(&r, r.tag_line, e, "nothing is open here for ", r.tag);
    free(text);
    return status;
}
