/* bitgap compare-runs: several models side by side, their reports in one index. */
#include <stdlib.h>
#include "io/base/options.h"
#include "reports/pages/run_comparison.h"

static const bg_option options[] = {
    {.name = "rate", .argument = "BITS", .help = "rate at which methods are compared [4, or the nearest measured]"},
    {.name = "templates", .argument = "DIR", .help = "templates instead of the installed ones"},
    {0},
};

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    double rate = 0;
    int n = bg_args_words(a), status = bg_arg_number(a, "rate", 0.05, 32, &rate, e);
    const char **directories = malloc(((size_t)n + 1) * sizeof *directories);
    if (!status && !directories)
        status = bg_no_memory(e, "runs", (size_t)n * sizeof *directories);
    for (int i = 0; directories && i < n; i++)
        directories[i] = bg_args_word(a, i);
    bg_report_options o = {
        .directory = bg_arg_output(a, "out"), .templates = bg_arg(a, "templates"), .rate = rate, .name = "index"};
    if (!status)
        status = bg_compare_runs(directories, n, &o, e);
    if (!status)
        printf("%s/index.html\n", o.directory);
    free(directories);
    return status;
}

const bg_stage bg_stage_compare = {
    .name = "compare-runs",
    .arguments = "DIR…",
    .min_words = 2,
    .max_words = -1,
    .summary = "several models side by side: one index of their reports",
    .about = "Each DIR holds the documents of one run, as make report leaves them. Writes index.html and index.md: gap "
             "against rate overlaid, "
             "a table of methods by model, links to the reports that lie there.",
    .example = "bitgap compare-runs out/austen-3.7m out/austen-0.9m-qwen2 -o out",
    .options = options,
    .is_tool = 1,
    .run = run,
};
