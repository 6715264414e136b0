/* The report: documents → report.md, report.html, report.csv and figures.
 *
 * A section is one file reports/sections/NAME.c with a `write` that fills the slots of templates/sections/NAME.md, and
 * one line in the table of report.c. A section whose documents are absent leaves *present at 0 and is not shown. */
#ifndef BG_REPORTS_PAGES_REPORT_H
#define BG_REPORTS_PAGES_REPORT_H

#include "reports/figures/figure.h"
#include "reports/page/curve_summary.h"
#include "reports/page/facts.h"

typedef struct bg_report {
    bg_docset docs;
    bg_page page;
    bg_summary all; /* over everything reported */
    double rate;    /* bits/weight at which methods are compared */
    double within;  /* how far from it a point may be */
    char *templates;
    const char *title;           /* of the model */
    const char *home;            /* link back from a page of one layer; NULL on the page itself */
    const char *previous, *next; /* neighbours of a page of one layer: file names, or NULL */
    int pages;                   /* each layer has a page of its own, to be linked */
    int notebook;                /* the page is a notebook's: its text is not made here */
    const char *depends;         /* file for make: the templates that the page used; NULL: none */
    const char *const *runs;     /* of an index: the directories compared, as seen from the page; borrowed */
    int n_runs;
} bg_report;

typedef struct bg_report_options {
    const char *directory, *templates;
    const bg_filter *filter;
    double rate;
    const char *name;   /* file name without ending: "report" */
    const char *prefix; /* of the figures' file names; NULL: none */
    const char *home, *previous, *next;
    bg_figure_mode figures;
    int pages;           /* link the pages of the layers */
    const char *depends; /* write the templates used to this file, as a rule of make; NULL: do not */
} bg_report_options;

/* Writes all files into options->directory. */
int bg_report_write(const char *const *documents, int n, const bg_report_options *options, bg_err *e);

/* layers.c: a page for each layer beside options->name, layer-N.html, with links to its neighbours and back. */
int bg_report_write_layers(const char *const *documents, int n, const bg_report_options *options, bg_err *e);

/* In steps, for verify and tests: open, compose the stream, close. */
int bg_report_open(bg_report *r, const char *const *documents, int n, const bg_report_options *options, bg_err *e);
int bg_report_compose(bg_report *r, bg_text *stream, bg_text *contents, bg_err *e);
int bg_report_body(bg_report *r, const char *stream, bg_text *out, bg_err *e);     /* what stands in <main> */
int bg_report_markdown(bg_report *r, const char *stream, bg_text *out, bg_err *e); /* all of report.md */
void bg_report_close(bg_report *r);
/* One section by its id, for notebooks; BG_INPUT when there is none or its documents are absent. */
int bg_report_put_section(bg_report *r, const char *id, bg_text *stream, bg_err *e);
/* The figure of distortion against rate of all curves, for the overview and for notebooks. */
int bg_report_draw_curves(bg_report *r, bg_text *where, bg_err *e);
/* NAME.md and NAME.html of a stream, in the page's directory. */
int bg_report_put_pages(bg_report *r, const char *name, const bg_text *stream, const bg_text *contents, bg_err *e);

typedef struct bg_report_section {
    const char *id, *title; /* file name of its template and of its anchor; entry in the contents */
    int (*write)(bg_report *r, bg_slots *slots, int *present, bg_err *e);
    /* In place of the two above: the facts of the section; its template says the rest. */
    int (*collect)(bg_report *r, bg_facts *facts, int *present, bg_err *e);
} bg_report_section;

extern const bg_report_section bg_section_overview, bg_section_weights, bg_section_rate_distortion, bg_section_gap,
    bg_section_lossless, bg_section_layers, bg_section_groups, bg_section_codebooks, bg_section_shipped,
    bg_section_output, bg_section_bounds, bg_section_cost, bg_section_allocation, bg_section_atlas,
    bg_section_published, bg_section_provenance;

/* error_budget.c: the two largest parts of the first quantizer's error, for the section on gaps. */
void bg_put_error_budget(bg_report *r, bg_facts *facts);

/* ---- facts that several sections give (curve_facts.c) ---- */

/* A method near a rate: {{method.label}}, quantizer, family, kind ("trellis code", for a name that does not say it),
 * spec, gap with gap_low and gap_high (95 %), rate, sqnr; an absent set without a step. */
void bg_fact_method(bg_report *r, bg_facts *facts, const char *name, const bg_curve *c, const bg_step *step);
bg_facts *bg_fact_add_method(bg_report *r, bg_facts *facts, const char *list, const bg_curve *c, const bg_step *step);
/* A spec as a reader knows it: {{worst_spec.label}} "uniform g128", and bits where it was measured. */
void bg_fact_spec(const bg_report *r, bg_facts *facts, const char *name, const char *spec);
/* What every template may use: rate, title, one_layer (a page of one layer), run facts of the page. */
void bg_fact_page(bg_report *r, bg_facts *facts);

/* ---- shared by sections (say.c) ---- */

/* mean of a field of a spec over what is reported (where NULL) or part of it. */
bg_num bg_mean(const bg_report *r, const char *field, const char *where, const char *spec);
/* "**label** wastes 0.84 bit" or, below zero, "**label** stays 0.02 bit below the bound of a Gaussian". */
void bg_say_waste(bg_report *r, bg_text *t, const bg_curve *c, const bg_step *step);
/* The rest of that sentence, after the method's name. */
void bg_say_how_much(bg_report *r, bg_text *t, const bg_step *step);
/* " (entropy-coded trellis code)" for a code whose name does not say what it is; nothing for the others. */
void bg_say_kind(bg_text *t, const bg_curve *c);
/* "uniform g128 at 4 bits" for a spec that was measured; its label for another. */
void bg_say_spec(const bg_report *r, bg_text *t, const char *spec);
/* Whether the worst and the best tensor of gaps.sensitivity (two rows or more) are at least 1 dB apart. */
int bg_layers_differ(const bg_report *r, bg_rows sensitivity);
/* "layer 7's `attn.o_proj`", or "`lm_head`" outside the layers. */
void bg_say_place(bg_text *t, const bg_row *row);
/* Whether the tensors cannot tell two points apart: the interval of their mean difference in gap, tensor by tensor,
 * holds 0, or, where there is none, their gaps differ by less than 0.005 bit. */
int bg_indistinct(const bg_report *r, const bg_step *a, const bg_step *b);
/* " (95 %: 0.951 to 0.975)"; nothing where an end is absent. */
void bg_put_interval(bg_report *r, bg_text *t, const bg_interval *interval);
/* The reference method: uniform in groups of 128, else the best uniform curve near r->rate; NULL when none. */
const bg_curve *bg_reference_curve(const bg_report *r);
/* At most `most` rows of curves.grids of a role, the best known grids first. Returns how many. */
int bg_pick_grids(const bg_report *r, const char *role, const bg_row **out, int most);
/* The name of a line, beside the right edge of the frame at the height of its last point. */
typedef struct bg_line_end {
    const char *name, *family;
    double x, y; /* its last point, as drawn */
} bg_line_end;
/* Adds the names of n lines to the slot `labels`, apart from each other, each joined to its last point by a thin line;
 * the frame reaches from bottom to top and is `pixels` high. In a log scale y, bottom and top are logarithms to
 * base 10. */
void bg_label_ends(bg_figure *f, const bg_line_end *ends, int n, double bottom, double top, double pixels,
                   int log_scale);
/* Pushes label positions y[0..n) (any order) apart to at least `space`, inside [least, most], keeping their order. */
void bg_spread_labels(double *y, int n, double space, double least, double most);

#endif
