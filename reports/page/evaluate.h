/* Values of expressions while a template is rendered. */
#ifndef BG_REPORTS_PAGE_EVALUATE_H
#define BG_REPORTS_PAGE_EVALUATE_H

#include "reports/page/facts.h"
#include "reports/page/template_tree.h"

typedef struct bg_value {
    bg_fact_kind kind;
    int absent;
    bg_num number;
    bg_style style;
    const char *text;
    int flag;
    const bg_facts *set;      /* of a SET; NULL: only a document row */
    const bg_row *row;        /* of a SET */
    const bg_section *schema; /* of the document rows of a SET or of ROWS; NULL: none */
    const bg_fact *list;      /* ROWS of facts; NULL: document rows */
    bg_rows rows;
} bg_value;

typedef struct bg_variable {
    const char *name;
    bg_value value;
} bg_variable;

enum { BG_VARIABLES = 64, BG_SETS = 8 };

/* What names mean here: variables, the innermost first; the sets of the figure and of the section; then documents. */
typedef struct bg_scope {
    const bg_page *page;
    const char *path; /* of the template, for messages */
    bg_variable variables[BG_VARIABLES];
    int n_variables;
    int first_variable; /* a phrase sees only its own */
    const bg_facts *sets[BG_SETS];
    int n_sets;
    int loop_index, loop_count; /* {{loop.first}}, {{loop.last}}, {{loop.number}} */
    bg_text label;              /* what label() made last */
} bg_scope;

int bg_scope_push(bg_scope *s, const char *name, const bg_value *value, int line, bg_err *e);
int bg_evaluate(bg_scope *s, const bg_expr *x, int line, bg_value *out, bg_err *e);
int bg_is_true(const bg_value *v);

/* One row of a list. */
typedef struct bg_item {
    const bg_facts *set;
    const bg_row *row;
    double key;
    int index;
} bg_item;

/* The rows of a source in its order, each bound to `name` while it is judged; malloc'ed. *schema: of document rows. */
int bg_select_items(bg_scope *s, const bg_list *source, const char *name, int line, bg_item **out, int *n,
                    const bg_section **schema, bg_err *e);
bg_value bg_item_value(const bg_scope *s, const bg_item *item, const bg_section *schema);

#endif
