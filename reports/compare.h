/* Several runs side by side: one index of their reports, a table of methods by model, gap against rate overlaid. */
#ifndef BG_REPORTS_COMPARE_H
#define BG_REPORTS_COMPARE_H

#include "reports/report.h"

/* Each directory holds the documents of one run (curves.json at least; groups, bounds, gaps when there). Writes index.md and
 * index.html into options->directory, with links to the runs' report.html. */
int bg_compare_runs(const char *const *directories, int n, const bg_report_options *options, bg_err *e);

#endif
