/* bitgap study: a plan (JSON) → the commands that make its documents, or the document that says how to show them. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include "analysis/study/plan.h"
#include "io/base/options.h"

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

static int list(const bg_args *a, const char *option, const char ***out, int *n, bg_err *e)
{
    *n = bg_arg_count(a, option);
    *out = malloc(((size_t)*n + 1) * sizeof **out);
    if (!*out)
        return bg_no_memory(e, option, (size_t)*n * sizeof **out);
    for (int i = 0; i < *n; i++)
        (*out)[i] = bg_arg_nth(a, option, i);
    return BG_OK;
}

static int run(const bg_args *a, bg_provenance *p, bg_err *e)
{
    bg_plan plan = {0};
    const char **words[2] = {NULL, NULL};
    int n[2] = {0, 0}, status = list(a, "spec", &words[0], &n[0], e);
    if (!status)
        status = list(a, "model", &words[1], &n[1], e);
    if (!status)
        status = bg_plan_read(bg_args_word(a, 0), &(bg_plan_instead){words[0], words[1], n[0], n[1]}, &plan, e);
    if (!status)
        status = bg_arg_given(a, "commands") ? print_commands(&plan, bg_arg_output(a, "-"), e)
                                             : bg_plan_write(&plan, bg_arg_output(a, "study.json"), p, e);
    bg_plan_free(&plan);
    free(words[0]);
    free(words[1]);
    return status;
}

static const bg_option options[] = {
    {.name = "spec", .letter = 'q', .argument = "SPEC", .repeats = 2, .help = "specs instead of those of the study"},
    {.name = "model", .argument = "MODEL", .repeats = 2, .help = "models instead of those of the study"},
    {.name = "commands", .help = "print the commands that make the study's documents, as a shell script, instead"},
    {0},
};

const bg_stage bg_stage_study = {
    .name = "study",
    .arguments = "STUDY.json",
    .min_words = 1,
    .max_words = 1,
    .summary = "a study's configuration → its commands, and what its page shows",
    .about =
        "A study is a JSON file that names models, specs, data, metrics and figures; bitgap new-study writes one to "
        "edit and "
        "explains every key in it. This stage checks it and writes the document that tells the page what to show. With "
        "--commands it prints the script that makes all its documents in the directory $OUT; make study STUDY=FILE "
        "runs "
        "that and renders the page.",
    .example = "bitgap study notebooks/seven-methods.json --commands",
    .options = options,
    .run = run,
};
