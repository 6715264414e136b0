/* bitgap notebook: a Markdown notebook and the documents its commands wrote → a page. */
#include <stdlib.h>
#include <string.h>
#include "io/base/options.h"
#include "reports/pages/notebook.h"

static const bg_option options[] = {
    {.name = "commands", .help = "print the commands of the notebook as a shell script instead"},
    {.name = "rate",
     .argument = "BITS",
     .default_note = "4, or the nearest measured",
     .help = "rate at which methods are compared"},
    {.name = "name", .argument = "NAME", .default_value = "notebook", .help = "file name of the page, without ending"},
    {.name = "depends", .argument = "FILE", .help = "write a rule of make there: the templates that the page used"},
    {.name = "templates", .argument = "DIR", .help = "templates instead of the installed ones"},
    {0},
};

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    const char *path = bg_args_word(a, 0);
    bg_notebook_options o = {.directory = bg_arg_output(a, "out"),
                             .templates = bg_arg(a, "templates"),
                             .name = bg_arg(a, "name"),
                             .depends = bg_arg(a, "depends")};
    if (bg_arg_given(a, "commands"))
        return bg_notebook_commands(path, bg_arg_output(a, "-"), e);
    int n = bg_args_words(a) - 1, status = bg_arg_number(a, "rate", 0.05, 32, &o.rate, e);
    const char **documents = malloc(((size_t)n + 1) * sizeof *documents);
    if (!status && !documents)
        status = bg_no_memory(e, "documents", (size_t)n * sizeof *documents);
    for (int i = 0; documents && i < n; i++)
        documents[i] = bg_args_word(a, i + 1);
    if (!status)
        status = bg_notebook_render(path, documents, n, &o, e);
    free(documents);
    return status;
}

const bg_stage bg_stage_notebook = {
    .name = "notebook",
    .arguments = "FILE.md DOC…",
    .min_words = 1,
    .max_words = -1,
    .summary = "a notebook and its documents → a page; or its commands as a script",
    .about =
        "Fills every {{placeholder}} of a Markdown notebook from the documents and writes NAME.md and NAME.html into "
        "the "
        "directory given with -o. With --commands it prints the blocks fenced as sh instead, as a script; each block's "
        "output goes to $OUT/block-N.txt, which the page then shows.",
    .example = "bitgap notebook notebooks/theory.md out/*.json -o out --name theory",
    .options = options,
    .is_tool = 1,
    .run = run,
};
