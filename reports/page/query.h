/* Placeholders: short questions to the documents, answered as text of a page. The grammar is in notebook.h. */
#ifndef BG_REPORTS_PAGE_QUERY_H
#define BG_REPORTS_PAGE_QUERY_H

#include "reports/pages/report.h"

/* Appends the answer to `question` (the text between the braces) to the stream. BG_INPUT says what cannot be answered.
 */
int bg_query_answer(bg_report *r, const char *question, bg_text *stream, bg_err *e);

#endif
