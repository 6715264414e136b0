/* The page while it is written: one stream of Markdown with marks, from which both report.md and report.html are made,
 * so that both say the same sentences.
 *
 *     bg_put_number(page, t, bg_num_cell(docs, row, "gap_bits"), BG_SIG3);    // a number with its origin
 *     bg_table b;
 *     bg_table_begin(&b, page, t, "Roles", "role|weights>|σ>");             // '>' aligns right
 *     bg_table_code(&b, name); bg_table_number(&b, n, BG_COUNT); bg_table_dash(&b, "constant"); …
 *     bg_table_end(&b);
 */
#ifndef BG_REPORTS_PAGE_PAGE_H
#define BG_REPORTS_PAGE_PAGE_H

#include <stdio.h>
#include "reports/page/document_set.h"
#include "reports/page/template.h"

typedef struct bg_reference {
    char *from;
    double value;
    bg_style style;
} bg_reference;

typedef struct bg_page_figure {
    char name[48];   /* file name without ending, and part of the id */
    bg_text title;   /* plain: <title> of the SVG */
    bg_text alt;     /* plain: what the figure shows, with the numbers that matter */
    bg_text caption; /* stream: what to see */
    bg_text table;   /* stream: the numbers drawn */
    bg_text svg;     /* inline SVG; empty when missing */
    bg_text missing; /* plain: why there is no drawing */
} bg_page_figure;

/* CHECK: no file is written and nothing drawn; a figure's .dat must already hold what would be written (verify). */
typedef enum bg_figure_mode { BG_FIGURES_DRAW, BG_FIGURES_CHECK } bg_figure_mode;

struct bg_tree;
struct bg_body;
struct bg_facts;

/* For tests: which arm of every if is rendered, and which bodies of a template were (see template_tree.h). */
typedef struct bg_watch {
    /* Of these arms (template_tree.h), the one to take, from 0, where the page would take `natural`; −1: none. */
    int (*choose)(void *self, const char *path, const struct bg_body *arms, int natural);
    void (*visit)(void *self, const char *path, int body);
    void *self;
} bg_watch;

enum { BG_FIGURES = 64 };
typedef struct bg_page {
    const bg_docset *docs;
    const char *templates, *directory; /* where templates are; where the page goes */
    const char *prefix; /* of the figures' file names: pages of one directory keep theirs apart; may be NULL */
    bg_reference *references;
    int n_references, room;
    bg_page_figure *figures[BG_FIGURES];
    int n_figures;
    int failed; /* memory gave out */
    bg_figure_mode drawing;
    struct bg_tree *phrases;  /* of templates/phrases.md, once read */
    bg_text entry;            /* of the last template rendered: its words in the contents, HTML */
    const bg_watch *watch;    /* NULL but in tests */
    bg_text used;             /* the templates that were filled, a line each */
    char gnuplot_reason[256]; /* why gnuplot cannot run at all: it is not tried again */
} bg_page;

void bg_page_free(bg_page *p);
/* bg_template_fill with the page's templates, remembering which. */
void bg_page_uses(bg_page *p, const char *name); /* remembers a template */
int bg_page_fill(bg_page *p, const char *name, const bg_slots *s, bg_text *out, bg_err *e);
void bg_page_figure_free(bg_page_figure *f);
/* Renders a template of the language of templates/README.md with these facts to the stream. BG_INPUT names file and
 * line. */
int bg_page_render(bg_page *p, const char *name, const struct bg_facts *facts, bg_text *out, bg_err *e);

void bg_put_number(bg_page *p, bg_text *t, bg_num n, bg_style style);
/* "layer 7's" and such are words; these put words with a name in them. */
void bg_put_method(bg_text *t, const char *label); /* bold */
/* Block directives; each on lines of its own. */
void bg_put_figure(bg_page *p, bg_text *t, int figure);
void bg_put_table_title(bg_text *t, const char *title); /* of the table that follows */
void bg_put_fold(bg_text *t, const char *summary);      /* <details>: until bg_put_fold_end */
void bg_put_fold_end(bg_text *t);
void bg_put_page_only(bg_text *t); /* not in the Markdown: until bg_put_page_only_end */
void bg_put_page_only_end(bg_text *t);
void bg_put_class(bg_text *t, const char *name); /* <div class=name>: until bg_put_class_end */
void bg_put_class_end(bg_text *t);
void bg_put_section(bg_text *t, const char *id); /* <section id=…>: until bg_put_section_end */
void bg_put_section_end(bg_text *t);

typedef struct bg_table {
    bg_page *page;
    bg_text *out;
    int columns, column, rows;
} bg_table;
void bg_table_begin(bg_table *b, bg_page *p, bg_text *out, const char *title, const char *columns);
void bg_table_text(bg_table *b, const char *s);
void bg_table_code(bg_table *b, const char *s);
void bg_table_number(bg_table *b, bg_num n, bg_style style); /* absent: a bare dash */
void bg_table_number_or(bg_table *b, bg_num n, bg_style style, const char *reason);
void bg_table_dash(bg_table *b, const char *reason);
/* A cell whose Markdown the caller writes between begin and end. */
bg_text *bg_table_cell(bg_table *b);
void bg_table_cell_end(bg_table *b);
void bg_table_end(bg_table *b);

/* From the stream to the two pages. */
int bg_page_markdown(const bg_page *p, const char *stream, bg_text *out, bg_err *e);
int bg_page_html(const bg_page *p, const char *stream, bg_text *out, bg_err *e);

#endif
