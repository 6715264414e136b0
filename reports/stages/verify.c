/* bitgap verify: every printed number of a report computed again from the documents. */
#include <stdlib.h>
#include "io/base/options.h"
#include "reports/pages/verify.h"

static const bg_option options[] = {
    {.name = "documents", .argument = "DIR", .repeats = 1, .help = "where the documents are, when not beside the page"},
    {.name = "templates", .argument = "DIR", .help = "templates the page was made with"},
    {0},
};

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    const char *path = bg_args_word(a, 0), *directories[16];
    int n = bg_arg_count(a, "documents");
    bg_verified v;
    if (n > 16)
        return bg_fail(e, BG_USAGE, "verify: at most 16 directories of documents");
    for (int i = 0; i < n; i++)
        directories[i] = bg_arg_nth(a, "documents", i);
    int status = bg_verify(path, directories, n, bg_arg(a, "templates"), &v, e);
    if (status)
        return status;
    printf("%s: ", path);
    if (v.numbers)
        printf("%d numbers, ", v.numbers);
    if (v.notebook)
        printf("agreeing with %d documents; the text is a notebook's own\n", v.documents);
    else
        printf("the text and the data of %d figures agree with %d documents\n", v.figures, v.documents);
    return BG_OK;
}

const bg_stage bg_stage_verify = {
    .name = "verify",
    .arguments = "REPORT",
    .min_words = 1,
    .max_words = 1,
    .summary = "compute every printed number of a report again",
    .about = "Each number of report.html carries the document row it comes from; verify computes it again, then makes "
             "the page's text "
             "and the figures' data again, and names the first that differs (of a notebook's page: the numbers). "
             "REPORT is report.html, report.md, their directory, or an "
             "index that compare-runs wrote.",
    .example = "bitgap verify out/austen-3.7m/report.html",
    .options = options,
    .is_tool = 1,
    .run = run,
};
