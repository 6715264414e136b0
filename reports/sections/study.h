/* A study on the page: the document `study` says which numbers of the other documents are its rows and columns. */
#ifndef BG_REPORTS_SECTIONS_STUDY_H
#define BG_REPORTS_SECTIONS_STUDY_H

#include "reports/pages/report.h"

extern const bg_report_section bg_section_study;

/* A metric as the document declares it; the texts are the document's. */
typedef struct bg_measured {
    const char *metric, *heading, *section, *field, *relation, *better;
    bg_style style;
} bg_measured;
/* From a row of study.columns (prefix "") or study.figures ("x_", "y_"). */
bg_measured bg_measured_of(const bg_row *row, const char *prefix);
/* Its number for a spec of a model, as bg_study_rows names it; absent where the documents do not have it. model NULL:
 * any. */
bg_num bg_measured_value(const bg_report *r, const bg_measured *m, const char *spec, const char *model);

enum { BG_STUDY_ROWS = 96 };
typedef struct bg_study_row {
    const char *name, *spec, *model; /* model NULL: the study has only one */
    int models;                      /* how many there are */
} bg_study_row;
/* Every method of every model, in the study's order; at most `max`. */
int bg_study_rows(const bg_report *r, bg_study_row *out, int max);

/* The row of study.settings; NULL: this is no study's page. */
const bg_row *bg_study_settings(const bg_report *r);
/* The spec that the study calls `name`; `name` itself where it calls none so. */
const char *bg_study_spec(const bg_report *r, const char *name);
/* Whether the page has a section of the report: all of them, or in a study's page those it names. */
int bg_study_shows(const bg_report *r, const char *section);

/* study_figures.c: everything the study draws, as rows of the list `drawings`. */
int bg_study_draw(bg_report *r, bg_facts *facts, const bg_study_row *rows, int n, bg_err *e);

#endif
