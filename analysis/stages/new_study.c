/* bitgap new-study: a study to edit, every key explained. */
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include "analysis/study/plan.h"
#include "io/base/options.h"

/* The metrics are a table of their own: their names and what they print as. */
static void print_keys(FILE *f)
{
    fputs("keys of a study\n", f);
    bg_settings_reference(bg_plan_settings, f);
    fputs("\nmetrics: columns, bars, and the two sides of 'Y against X'\n", f);
    for (const bg_metric *m = bg_metrics; m->name; m++)
        fprintf(f, "  %-26s %s (%s.%s%s%s)\n", m->name, m->heading, m->section, m->field,
                strcmp(m->relation, "none") ? ", " : "", strcmp(m->relation, "none") ? m->relation : "");
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    (void)p;
    bg_out out = {0};
    int status = bg_out_open(&out, bg_arg_output(a, "-"), e);
    if (!status && bg_arg_given(a, "keys"))
        print_keys(out.file);
    else if (!status)
        bg_settings_start(bg_plan_settings, out.file);
    if (!status)
        status = bg_out_commit(&out, e);
    bg_out_abandon(&out);
    return status;
}

static const bg_option options[] = {
    {.name = "keys", .help = "list the keys and metrics instead"},
    {0},
};

const bg_stage bg_stage_new_study = {
    .name = "new-study",
    .arguments = "",
    .min_words = 0,
    .max_words = 0,
    .summary = "a study to edit, every key explained in it",
    .about = "Writes a small study that runs as it is. Members that begin with _ are notes: JSON has no comments, so "
             "that any "
             "program that reads JSON reads a study.",
    .example = "bitgap new-study -o mine.json",
    .options = options,
    .is_tool = 1,
    .run = run,
};
