/* Notebooks: Markdown that a person reads top to bottom, with the commands that make its numbers. Every number is a
 * placeholder, filled in from the documents those commands wrote:
 *
 *     {{gap_bits of gaps.roles where role is mlp.down_proj and spec is nf4}}      one cell
 *     {{mean gap_bits over nf4 in mlp.down_proj}}                                   mean, least, most or count over a
 * spec's points
 *     {{mean gap_bits over nf4 minus mean gap_bits over fp4 as signed}}             a difference; `as` a style of
 * bg_style_names
 *     {{table spec rate_bits mse of curves.points where layer is 0 by mse first 5}} rows; also `by FIELD down`, `as
 * STYLE`
 *     {{figure rate-distortion}}                                                    the figure of all curves
 *     {{section rate-distortion}}                                                   a section of the report, figures
 * and all
 *
 * A column is FIELD or FIELD:STYLE, e.g. bytes:mega. A value of several words stands in "quotation marks". A spec may
 * be called what a study among the documents calls it. A document is named by its file (lloyd for lloyd.json) or by its
 * kind; conditions are is, not, has, below, above. $OUT is the directory of the page. Blocks fenced as ```sh are the
 * commands: `bitgap notebook FILE --commands` prints them as a script.
 */
#ifndef BG_REPORTS_PAGES_NOTEBOOK_H
#define BG_REPORTS_PAGES_NOTEBOOK_H

#include "reports/pages/report.h"

typedef struct bg_notebook_options {
    const char *directory, *templates;
    const char *name; /* of the pages, without ending */
    double rate;
    const char *depends; /* as in bg_report_options */
} bg_notebook_options;

/* Renders the notebook with these documents to directory/name.md and .html. What the command blocks printed is read
 * from directory/block-N.txt where that exists. BG_INPUT names file and line of a placeholder that cannot be filled. */
int bg_notebook_render(const char *path, const char *const *documents, int n, const bg_notebook_options *o, bg_err *e);
/* Writes the commands as a POSIX shell script that stops at the first failure. */
int bg_notebook_commands(const char *path, const char *output, bg_err *e);

#endif
