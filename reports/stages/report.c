/* bitgap report: documents → report.md, report.html, report.csv and figures. */
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"
#include "reports/pages/report.h"

static const bg_option options[] = {
    {.name = "layers", .argument = "N,N…", .help = "only these layers"},
    {.name = "roles", .old_name = "groups", .argument = "ROLE,ROLE…", .help = "only these roles"},
    {.name = "rate",
     .argument = "BITS",
     .default_note = "4, or the nearest measured",
     .help = "rate at which methods are compared"},
    {.name = "name", .argument = "NAME", .default_value = "report", .help = "file name of the page, without ending"},
    {.name = "home", .argument = "FILE", .help = "page to link back to"},
    {.name = "previous", .argument = "FILE", .help = "page of the layer before"},
    {.name = "next", .argument = "FILE", .help = "page of the layer after"},
    {.name = "pages", .help = "also a page for each layer, layer-N.html"},
    {.name = "depends", .argument = "FILE", .help = "write a rule of make there: the templates that the page used"},
    {.name = "templates", .argument = "DIR", .help = "templates instead of the installed ones"},
    {0},
};

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    bg_filter filter;
    (void)p;
    double rate = 0;
    int n = bg_args_words(a), status = bg_filter_parse(&filter, bg_arg(a, "layers"), bg_arg(a, "roles"), e);
    if (!status)
        status = bg_arg_number(a, "rate", 0.05, 32, &rate, e);
    if (!status && strchr(bg_arg(a, "name"), '/'))
        status = bg_fail(e, BG_USAGE, "report: --name wants a file name without a directory, not '%s'; use -o",
                         bg_arg(a, "name"));
    const char **documents = malloc(((size_t)n + 1) * sizeof *documents);
    if (!status && !documents)
        status = bg_no_memory(e, "documents", (size_t)n * sizeof *documents);
    for (int i = 0; documents && i < n; i++)
        documents[i] = bg_args_word(a, i);
    bg_report_options o = {.directory = bg_arg_output(a, "out"),
                           .templates = bg_arg(a, "templates"),
                           .filter = &filter,
                           .rate = rate,
                           .name = bg_arg(a, "name"),
                           .home = bg_arg(a, "home"),
                           .previous = bg_arg(a, "previous"),
                           .next = bg_arg(a, "next"),
                           .depends = bg_arg(a, "depends"),
                           .pages = bg_arg_given(a, "pages")};
    if (!status)
        status = bg_report_write(documents, n, &o, e);
    if (!status && o.pages)
        status = bg_report_write_layers(documents, n, &o, e);
    if (!status)
        printf("%s/%s.html\n", o.directory, o.name);
    free(documents);
    return status;
}

const bg_stage bg_stage_report = {
    .name = "report",
    .arguments = "DOC…",
    .min_words = 1,
    .max_words = -1,
    .summary = "documents → Markdown, one self-contained HTML page, figures, CSV",
    .about =
        "Writes report.md, report.html, report.csv and figures/ into the directory given with -o. Sections appear as "
        "their "
        "documents are given. Without gnuplot the page says which figures are missing; its tables hold the numbers.",
    .example = "bitgap report out/groups.json out/bounds.json out/curves.json out/gaps.json -o out",
    .options = options,
    .run = run,
};
