/* A figure: NAME.dat and NAME.gp that a reader can re-run, the SVG gnuplot makes of them, and that SVG again as part of
 * the page (unique ids, colours that follow the page's theme, text a screen reader finds).
 *
 *     bg_figure f;
 *     bg_figure_begin(&f, page, "gap-rate", "Gap against rate");
 *     bg_text_format(&f.data, "%g %g %d\n", rate, gap, bg_figure_tip(&f, "uniform 4.12 b …"));
 *     bg_text_add(bg_slots_at(&f.slots, "xrange"), "[1:9]");
 *     bg_text_add(&f.shown->caption, "…");
 *     status = bg_figure_finish(&f, e);                    // f.index is what bg_put_figure takes
 *
 * In a template, a plot titled 'curve 3' is curve 3 of the figure (switched on and off together with 'label 3' and
 * 'tips 3'); the text of a hypertext label is the number bg_figure_tip gave.
 */
#ifndef BG_REPORTS_FIGURES_FIGURE_H
#define BG_REPORTS_FIGURES_FIGURE_H

#include "reports/page/facts.h"

typedef struct bg_strings {
    char **items;
    int n, failed;
} bg_strings;
/* Copies s; returns its index. */
int bg_strings_add(bg_strings *s, const char *text);
void bg_strings_free(bg_strings *s);

typedef struct bg_figure {
    bg_page *page;
    bg_page_figure *shown; /* NULL when memory gave out: finish says so */
    int index;
    const char *name; /* of its template */
    bg_text data;
    bg_slots slots;
    bg_strings tips, curves;
    bg_facts *facts; /* the figure's own, for the words of its template; owned until offered */
    int n_styles;
} bg_figure;

/* Without a title (NULL): the template of the section says it. */
int bg_figure_begin(bg_figure *f, bg_page *page, const char *name, const char *title, bg_err *e);
int bg_figure_tip(bg_figure *f, const char *text);
/* A point whose text the template says under {{tip}}: its facts, named `point` there, and its number. */
bg_facts *bg_figure_point(bg_figure *f, int *number);
/* Gives the figure to the section's facts: its template finishes it with {{figure NAME}}. */
int bg_figure_offer(bg_figure *f, bg_facts *facts, const char *name, bg_err *e);
/* Takes the figure back, if it is the last one begun: there is nothing to draw. */
int bg_figure_withhold(bg_figure *f, bg_facts *facts, const char *name);
/* Names the next curve and adds its line type to the slot `styles`: colour by family, dash and marker by its number
 * within the family; faint: thin and grey. Returns its number, from 0; gnuplot's linetype is one more. */
int bg_figure_curve(bg_figure *f, const char *name, const char *family, int within, int faint);
/* Lays n panels out in rows of four: the slots `panels`, `columns` and `rows`. */
void bg_figure_panels(bg_figure *f, int n);
int bg_figure_finish(bg_figure *f, bg_err *e);

/* Takes back a figure with nothing to draw, if it is the last one begun. */
void bg_figure_abandon(bg_figure *f);

/* The family whose colour the i-th of several curves takes that are told apart by something else than their family. */
const char *bg_family_in_turn(int i);
/* Line colour and (darker) text colour of a family, as gnuplot takes them. */
const char *bg_family_colour(const char *family);
const char *bg_family_text_colour(const char *family);

/* svg.c: raw gnuplot output to the SVG of a page (standalone 0) or to a file of its own (standalone 1). */
int bg_svg_adopt(const char *raw, const char *name, const char *title, const char *description, const bg_strings *tips,
                 const bg_strings *curves, int standalone, bg_text *out, bg_err *e);
/* gnuplot.c: runs gnuplot on directory/file with a time limit in seconds. BG_RESOURCE: it is not there
 * (*absent is 1), too slow, or does not like the file, with its first complaint. */
int bg_gnuplot_run(const char *directory, const char *file, int seconds, int *absent, bg_err *e);

#endif
