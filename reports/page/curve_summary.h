/* Curves averaged over part of a study: for each quantizer its steps (specs), by mean rate. Means are by weights over
 * the tensors; the mean of SQNR in dB makes gap = rate − SQNR/6.02 hold for the means too, and D/σ² the geometric mean.
 */
#ifndef BG_REPORTS_PAGE_CURVE_SUMMARY_H
#define BG_REPORTS_PAGE_CURVE_SUMMARY_H

#include "reports/page/document_set.h"

typedef struct bg_step {
    const char *spec;
    double bits;                  /* nominal; NAN when the spec has none */
    double rate, gap, sqnr, side; /* bits/weight, bits/weight, dB, bits/weight */
    int tensors;
} bg_step;

enum { BG_LABEL = 64 };
typedef struct bg_curve {
    const char *quantizer, *family;
    char label[BG_LABEL]; /* "uniform g128 asym" */
    int within;           /* number within its family, in document order */
    int picked;           /* one of those a figure names */
    bg_step *steps;
    int n;
} bg_curve;

typedef struct bg_summary {
    bg_curve *curves;
    int n;
    const char *where; /* NULL, a role, or "#7"; not owned */
} bg_summary;

/* where: as in bg_num_over. The caller frees. */
int bg_summary_init(bg_summary *m, const bg_docset *s, const char *where, bg_err *e);
void bg_summary_free(bg_summary *m);

/* A readable name for a quantizer: "uniform:scope=128,zero=asym" is "uniform g128 asym". */
void bg_method_label(const char *quantizer, char out[BG_LABEL]);

/* The step whose rate is nearest to `rate` and at most `within` away; NULL when none. */
const bg_step *bg_curve_near(const bg_curve *c, double rate, double within);
/* Is this a calibrated method, whose weight error says little? */
int bg_curve_serves_output(const bg_curve *c);
/* Curves that have a step near `rate`, by gap there, smallest first: indices into m->curves; calibrated ones only where
 * there are no others. Returns how many. The caller frees *order (malloc'ed). */
int bg_summary_rank(const bg_summary *m, double rate, double within, int **order);
/* Marks at most `most` curves as picked: the best of each family near `rate`, the common ones, then the best of the
 * rest. */
void bg_summary_pick(bg_summary *m, double rate, int most);

/* Indices of fixed length, no calibration, not shipped by somebody else. */
int bg_curve_is_fixed_rate(const bg_curve *c);

#endif
