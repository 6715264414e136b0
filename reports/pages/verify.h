/* Verification: every number of a page computed again from the documents, and its text made again. */
#ifndef BG_REPORTS_PAGES_VERIFY_H
#define BG_REPORTS_PAGES_VERIFY_H

#include "reports/pages/report.h"

typedef struct bg_verified {
    int numbers, documents, figures;
    int notebook; /* only the numbers were checked: the text is a notebook's own */
} bg_verified;

/* Checks report.html or report.md at `path` (or both, when it is a directory with report.html) against the documents it
 * names, looked for beside it, then in `directories`. BG_INPUT names the first number, line or data file that differs.
 */
int bg_verify(const char *path, const char *const *directories, int n, const char *templates, bg_verified *out,
              bg_err *e);

/* One number of an HTML page: `<data value="V" data-as="S" data-from="F">text</data>` starting at `tag`. *end is set
 * past it. */
int bg_verify_number(const bg_docset *s, const char *tag, const char **end, bg_err *e);

#endif
