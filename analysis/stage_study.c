/* bitgap study: a plan (JSON) → the commands that make its documents, or the document that says how to show them. */
#define _POSIX_C_SOURCE 200809L
#include "analysis/plan.h"
#include "io/opt.h"

static int print_commands(const bg_plan *p, const char *path, bg_err *e)
{
    bg_out out = {0};
    int status = bg_out_open(&out, path, e);
    if (!status)
        status = bg_plan_commands(p, out.file, e);
    if (!status)
        status = bg_out_commit(&out, e);
    bg_out_abandon(&out);
    return status;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    bg_plan plan;
    int status = bg_plan_read(bg_args_word(a, 0), &plan, e);
    if (!status)
        status = bg_arg_given(a, "commands") ? print_commands(&plan, bg_arg_output(a, "-"), e)
                                             : bg_plan_write(&plan, bg_arg_output(a, "study.json"), p, e);
    bg_plan_free(&plan);
    return status;
}

static const bg_option options[] = {
    {.name = "commands", .help = "print the commands that make the study's documents, as a shell script, instead"},
    {0},
};

const bg_stage bg_stage_study = {
    .name = "study",
    .arguments = "STUDY.json",
    .least = 1,
    .most = 1,
    .summary = "a study's configuration → its commands, and what its page shows",
    .about = "A study is a JSON file that names models, specs, data, metrics and figures; bitgap new-study writes one to edit and "
             "explains every key in it. This stage checks it and writes the document that tells the page what to show. With "
             "--commands it prints the script that makes all its documents in the directory $OUT; make study STUDY=FILE runs "
             "that and renders the page.",
    .example = "bitgap study notebooks/seven-methods.json --commands",
    .options = options,
    .run = run,
};
