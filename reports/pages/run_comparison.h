/* Several runs side by side: one index of their reports, a table of methods by model, gap against rate overlaid. */
#ifndef BG_REPORTS_PAGES_RUN_COMPARISON_H
#define BG_REPORTS_PAGES_RUN_COMPARISON_H

#include "reports/pages/report.h"

/* What is done with the composed index; called once, while everything is open. */
typedef int bg_page_use(bg_report *page, const bg_text *stream, const bg_text *contents, void *self, bg_err *e);
int bg_compare_compose(const char *const *directories, int n, const bg_report_options *options, bg_page_use *use,
                       void *self, bg_err *e);

/* Each directory holds the documents of one run (curves.json at least; groups, bounds, gaps when there). Writes
 * index.md and index.html into options->directory, with links to the runs' report.html. */
int bg_compare_runs(const char *const *directories, int n, const bg_report_options *options, bg_err *e);

#endif
