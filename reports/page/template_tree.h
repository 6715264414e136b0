/* A parsed template, between its parser and its renderer. The language is described in templates/README.md.
 *
 * Nodes and expressions live as long as their tree. Each body (an arm of an if, the inside of a for, a part of a
 * figure) has a number, counted through the file from 1, by which tests say which were rendered. */
#ifndef BG_REPORTS_PAGE_TEMPLATE_TREE_H
#define BG_REPORTS_PAGE_TEMPLATE_TREE_H

#include "io/base/error.h"
#include "reports/page/text.h"

typedef enum bg_operator {
    BG_EXPR_NUMBER,
    BG_EXPR_STRING,
    BG_EXPR_PATH, /* "worst.sqnr_db" */
    BG_EXPR_CALL, /* text(arguments) */
    BG_EXPR_NEGATE,
    BG_EXPR_NOT,
    BG_EXPR_ARITHMETIC, /* text is + - * / */
    BG_EXPR_COMPARE,    /* text is = != < <= > >= */
    BG_EXPR_AND,
    BG_EXPR_OR
} bg_operator;

typedef struct bg_expr {
    bg_operator operator;
    const char *text;
    double number;
    struct bg_expr *a, *b; /* operands; of a call: a is the first argument */
    struct bg_expr *next;  /* next argument */
} bg_expr;

/* Rows: PATH [where CONDITION] [by KEY [down]] [first N]. */
typedef struct bg_list {
    const char *path;
    bg_expr *where, *by, *limit;
    int down;
} bg_list;

typedef enum bg_pick { BG_PICK_VALUE, BG_PICK_FIRST, BG_PICK_LAST, BG_PICK_MIDDLE, BG_PICK_COUNT } bg_pick;

typedef enum bg_node_kind {
    BG_NODE_TEXT,
    BG_NODE_PUT,      /* value, as text, missing */
    BG_NODE_LET,      /* name = value, or pick of source */
    BG_NODE_IF,       /* arms: bodies with conditions; the last may have none */
    BG_NODE_FOR,      /* name, source, body */
    BG_NODE_FIGURE,   /* value: its name; parts: bodies with names */
    BG_NODE_WRAP,     /* text is fold, class or page-only; title; body */
    BG_NODE_TABLE,    /* title of the table that follows */
    BG_NODE_COLUMN,   /* name: the key of the heading that follows */
    BG_NODE_CONTENTS, /* title: entry in the table of contents */
    BG_NODE_PHRASE    /* name, value: arguments; of a definition: title holds the parameters */
} bg_node_kind;

typedef struct bg_body {
    const char *name;   /* of a part; NULL: of no part */
    bg_expr *condition; /* NULL: else */
    struct bg_node *first;
    struct bg_body *next;
    int number, line;
} bg_body;

typedef struct bg_node {
    bg_node_kind kind;
    int line;
    const char *text, *name, *missing;
    bg_expr *value;
    bg_list source;
    bg_pick pick;
    struct bg_node *title; /* nodes rendered as plain text */
    bg_body *bodies;
    struct bg_node *next;
} bg_node;

typedef struct bg_definition {
    const char *name;
    const char *parameters[8];
    int n_parameters;
    bg_body *body;
    struct bg_definition *next;
} bg_definition;

typedef struct bg_tree {
    char *path; /* for messages */
    bg_node *first;
    bg_definition *definitions;
    int bodies;   /* how many there are */
    void *memory; /* of everything above */
} bg_tree;

/* Reads and parses a file. BG_INPUT names file and line. The caller frees, after failure too. */
int bg_tree_read(bg_tree *t, const char *directory, const char *name, bg_err *e);
void bg_tree_free(bg_tree *t);

/* ---- between the parser's two files ---- */

/* Zeroed memory that lives as long as the tree; NULL when there is none. */
void *bg_tree_allocate(bg_tree *t, size_t size);
const char *bg_tree_copy(bg_tree *t, const char *s, size_t n);

/* The rest of a tag, word by word; words point into the tree's memory. */
typedef struct bg_lexer {
    bg_tree *tree;
    const char *at;
    int line;
    char word[256]; /* the current token; empty at the end */
    int quoted;     /* it is a string */
} bg_lexer;
int bg_lexer_next(bg_lexer *l, bg_err *e);
int bg_lexer_begin(bg_lexer *l, bg_tree *t, const char *text, int line, bg_err *e);
int bg_lexer_fail(const bg_lexer *l, bg_err *e, const char *wanted);
int bg_expr_parse(bg_lexer *l, bg_expr **out, bg_err *e);
int bg_list_parse(bg_lexer *l, bg_list *out, bg_err *e);

#endif
