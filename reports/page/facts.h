/* Facts: what a section knows, by name, for its template to say. C computes facts and writes no sentence.
 *
 *     bg_fact_number(facts, "spread", bg_num_operate(best, '-', worst), BG_SIG3);
 *     bg_fact_text(facts, "method", curve->label);
 *     bg_fact_flag(facts, "indistinct", 1);
 *     bg_facts *row = bg_fact_add_row(facts, "roles");         // {{for role in roles}} … {{role.name}}
 *     bg_fact_text(row, "name", "attn.q_proj");
 *     bg_fact_row(facts, "worst", &rows.rows[0]);              // {{worst.sqnr_db}}: the fields of a document row
 *
 * Every name that a template may use is declared, also when its value is absent: a number that is NAN, a text that is
 * NULL, a list without rows. An absent fact is false in a condition and a dash on the page; a name that nobody declared
 * is an error. Texts are copied, document rows and names borrowed. A set that runs out of memory remembers it in
 * `failed`, which the renderer reports. */
#ifndef BG_REPORTS_PAGE_FACTS_H
#define BG_REPORTS_PAGE_FACTS_H

#include "reports/page/page.h"

/* How a figure takes part: the template says its words, then the figure is finished. */
typedef struct bg_drawing {
    bg_page_figure *shown;
    int index;  /* what bg_put_figure takes */
    void *self; /* owned; release frees it */
    void (*add_tip)(void *self, const char *text);
    int (*finish)(void *self, bg_err *e);
    void (*release)(void *self);
} bg_drawing;

typedef enum bg_fact_kind { BG_FACT_NUMBER, BG_FACT_TEXT, BG_FACT_FLAG, BG_FACT_SET, BG_FACT_ROWS } bg_fact_kind;

typedef struct bg_fact {
    const char *name;
    bg_fact_kind kind;
    bg_num *number; /* NULL: absent */
    bg_style style;
    char *text; /* NULL: absent */
    int flag;
    struct bg_facts **sets; /* one of a SET (none: absent), any number of ROWS */
    int n, capacity;
} bg_fact;

typedef struct bg_facts {
    const bg_row *row;   /* a document row whose fields are facts too; may be NULL */
    bg_drawing *drawing; /* a figure; may be NULL */
    struct bg_fact *facts;
    int n, capacity;
    int failed;
} bg_facts;

void bg_fact_number(bg_facts *f, const char *name, bg_num n, bg_style style);
void bg_fact_text(bg_facts *f, const char *name, const char *text);
void bg_fact_flag(bg_facts *f, const char *name, int flag);
/* A set of its own, filled by the caller; never NULL (after a failure: f itself). */
bg_facts *bg_fact_set(bg_facts *f, const char *name);
/* Declares a set that is not there. */
void bg_fact_no_set(bg_facts *f, const char *name);
/* The set whose facts are the fields of a document row; a NULL row: not there. */
bg_facts *bg_fact_row(bg_facts *f, const char *name, const bg_row *row);
/* Declares a list without rows; bg_fact_add_row appends one, declaring the list if need be. */
void bg_fact_rows(bg_facts *f, const char *name);
bg_facts *bg_fact_add_row(bg_facts *f, const char *name);
/* Takes ownership of drawing->self and of `facts`, the figure's own. */
void bg_fact_drawing(bg_facts *f, const char *name, const bg_drawing *drawing, bg_facts *facts);

const bg_fact *bg_fact_find(const bg_facts *f, const char *name);
bg_facts *bg_facts_new(void);
void bg_facts_free(bg_facts *f); /* f was malloc'ed; NULL is allowed */

#endif
