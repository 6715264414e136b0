/* Owns the grammar of expressions in templates.
 *
 *     condition  = conjunction { "or" conjunction }
 *     conjunction= negation { "and" negation }
 *     negation   = [ "not" ] comparison
 *     comparison = sum [ ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) sum ]
 *     sum        = product { ( "+" | "-" ) product }
 *     product    = unary { ( "*" | "/" ) unary }
 *     unary      = [ "-" ] primary
 *     primary    = NUMBER | "STRING" | PATH | NAME "(" condition { "," condition } ")" | "(" condition ")" */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "reports/page/template_tree.h"

/* ---- words ---- */

static size_t token_length(const char *s)
{
    if (isalpha((unsigned char)*s) || *s == '_') {
        size_t n = 1;
        while (isalnum((unsigned char)s[n]) || s[n] == '_' ||
               (s[n] == '.' && (isalpha((unsigned char)s[n + 1]) || s[n + 1] == '_')))
            n++;
        return n;
    }
    if (isdigit((unsigned char)*s)) {
        char *end;
        strtod(s, &end);
        return (size_t)(end - s);
    }
    return strchr("<>!", *s) && s[1] == '=' ? 2 : 1;
}

int bg_lexer_next(bg_lexer *l, bg_err *e)
{
    l->at += strspn(l->at, " \t\n");
    l->quoted = *l->at == '"';
    const char *start = l->at + l->quoted;
    const char *end = l->quoted ? strchr(start, '"') : NULL;
    if (l->quoted && !end)
        return bg_fail(e, BG_INPUT, "%s:%d: a quotation mark without its other", l->tree->path, l->line);
    size_t n = !*l->at ? 0 : l->quoted ? (size_t)(end - start) : token_length(start);
    if (n >= sizeof l->word)
        return bg_fail(e, BG_INPUT, "%s:%d: a word of more than %zu bytes", l->tree->path, l->line, sizeof l->word - 1);
    memcpy(l->word, start, n);
    l->word[n] = 0;
    l->at = l->quoted ? end + 1 : start + n;
    return BG_OK;
}

int bg_lexer_begin(bg_lexer *l, bg_tree *t, const char *text, int line, bg_err *e)
{
    *l = (bg_lexer){.tree = t, .at = text, .line = line};
    return bg_lexer_next(l, e);
}

int bg_lexer_fail(const bg_lexer *l, bg_err *e, const char *wanted)
{
    return bg_fail(e, BG_INPUT, "%s:%d: expected %s, found '%s'", l->tree->path, l->line, wanted,
                   *l->word || l->quoted ? l->word : "the end of the tag");
}

static int is_word(const bg_lexer *l, const char *word)
{
    return !l->quoted && !strcmp(l->word, word);
}

/* ---- expressions ---- */

static int make_expr(bg_lexer *l, bg_operator operator, bg_expr * a, bg_expr *b, bg_expr **out, bg_err *e)
{
    *out = bg_tree_allocate(l->tree, sizeof **out);
    const char *text = bg_tree_copy(l->tree, l->word, strlen(l->word));
    if (!*out || !text)
        return bg_no_memory(e, l->tree->path, sizeof **out);
    **out = (bg_expr){.operator= operator, .text = text, .number = strtod(text, NULL), .a = a, .b = b};
    return BG_OK;
}

static int parse_arguments(bg_lexer *l, bg_expr *call, bg_err *e)
{
    bg_expr **tail = &call->a;
    int status = bg_lexer_next(l, e);
    while (!status && !is_word(l, ")")) {
        status = bg_expr_parse(l, tail, e);
        if (status)
            return status;
        tail = &(*tail)->next;
        if (is_word(l, ","))
            status = bg_lexer_next(l, e);
        else if (!is_word(l, ")"))
            return bg_lexer_fail(l, e, "',' or ')'");
    }
    return status ? status : bg_lexer_next(l, e);
}

static int parse_primary(bg_lexer *l, bg_expr **out, bg_err *e)
{
    int status;
    if (is_word(l, "(")) {
        status = bg_lexer_next(l, e);
        if (!status)
            status = bg_expr_parse(l, out, e);
        if (!status && !is_word(l, ")"))
            status = bg_lexer_fail(l, e, "')'");
        return status ? status : bg_lexer_next(l, e);
    }
    int name = !l->quoted && (isalpha((unsigned char)*l->word) || *l->word == '_');
    if (!name && !l->quoted && !isdigit((unsigned char)*l->word))
        return bg_lexer_fail(l, e, "a value");
    status = make_expr(l, l->quoted ? BG_EXPR_STRING : name ? BG_EXPR_PATH : BG_EXPR_NUMBER, NULL, NULL, out, e);
    if (!status)
        status = bg_lexer_next(l, e);
    if (status || !name || !is_word(l, "("))
        return status;
    (*out)->operator= BG_EXPR_CALL;
    return parse_arguments(l, *out, e);
}

static int parse_unary(bg_lexer *l, bg_expr **out, bg_err *e)
{
    if (!is_word(l, "-"))
        return parse_primary(l, out, e);
    bg_expr *a = NULL;
    int status = bg_lexer_next(l, e);
    if (!status)
        status = parse_primary(l, &a, e);
    return status ? status : make_expr(l, BG_EXPR_NEGATE, a, NULL, out, e);
}

/* One level of the grammar: operators that bind alike, from the left. */
typedef struct level {
    const char *words[7];
    bg_operator operator;
} level;

static const level levels[] = {
    {{"or"}, BG_EXPR_OR},
    {{"and"}, BG_EXPR_AND},
    {{"=", "!=", "<", "<=", ">", ">="}, BG_EXPR_COMPARE},
    {{"+", "-"}, BG_EXPR_ARITHMETIC},
    {{"*", "/"}, BG_EXPR_ARITHMETIC},
};
enum { LEVELS = sizeof levels / sizeof *levels, NEGATION = 2 };

static int is_operator(const bg_lexer *l, const level *v)
{
    for (int i = 0; i < 7 && v->words[i]; i++)
        if (is_word(l, v->words[i]))
            return 1;
    return 0;
}

static int parse_level(bg_lexer *l, int depth, bg_expr **out, bg_err *e)
{
    bg_expr *a = NULL;
    if (depth == LEVELS)
        return parse_unary(l, out, e);
    int negate = depth == NEGATION && is_word(l, "not"), status = negate ? bg_lexer_next(l, e) : BG_OK;
    if (!status)
        status = parse_level(l, depth + 1, &a, e);
    while (!status && is_operator(l, &levels[depth])) {
        bg_expr *joined = NULL;
        status = make_expr(l, levels[depth].operator, a, NULL, &joined, e);
        if (!status)
            status = bg_lexer_next(l, e);
        if (!status)
            status = parse_level(l, depth + 1, &joined->b, e);
        a = joined;
    }
    if (!status && negate)
        status = make_expr(l, BG_EXPR_NOT, a, NULL, &a, e);
    *out = a;
    return status;
}

int bg_expr_parse(bg_lexer *l, bg_expr **out, bg_err *e)
{
    return parse_level(l, 0, out, e);
}

int bg_list_parse(bg_lexer *l, bg_list *out, bg_err *e)
{
    if (l->quoted || !isalpha((unsigned char)*l->word))
        return bg_lexer_fail(l, e, "the name of a list");
    out->path = bg_tree_copy(l->tree, l->word, strlen(l->word));
    int status = out->path ? bg_lexer_next(l, e) : bg_no_memory(e, l->tree->path, 0);
    const struct {
        const char *word;
        bg_expr **expr;
    } clauses[] = {{"where", &out->where}, {"by", &out->by}, {"first", &out->limit}};
    for (size_t i = 0; !status && i < sizeof clauses / sizeof *clauses; i++) {
        if (is_word(l, clauses[i].word)) {
            status = bg_lexer_next(l, e);
            if (!status)
                status = bg_expr_parse(l, clauses[i].expr, e);
        }
        if (!status && i == 1 && out->by && is_word(l, "down")) {
            out->down = 1;
            status = bg_lexer_next(l, e);
        }
    }
    return status;
}
