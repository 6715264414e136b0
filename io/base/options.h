/* Options and stages: a command line is parsed, checked and documented from one table per stage.
 *
 *     static const bg_option options[] = {
 *         {.name = "text", .letter = 't', .argument = "FILE", .help = "calibration text"}, {0}};
 *     const bg_stage bg_stage_logits = {.name = "logits", .arguments = "MODEL", .summary = "…", .options = options,
 *                                       .example = "bitgap logits data/austen-3.7m -q nf4", .run = run};
 *     static int run(const bg_args *a, bg_provenance *p, bg_err *e) { const char *f = bg_arg(a, "text"); … }
 *
 * Options shared by all stages (-o, -j, --seed, -q/--quiet …) are declared once in opt.c.
 */
#ifndef BG_IO_BASE_OPTIONS_H
#define BG_IO_BASE_OPTIONS_H

#include <stdio.h>
#include "io/documents/document.h"

typedef struct bg_option {
    const char *name;
    const char *old_name;      /* what it was called before, still understood; NULL: nothing else */
    char letter;               /* 0: none */
    const char *argument;      /* NULL: a flag; otherwise the name of its value in the help */
    const char *default_value; /* as text, for bg_arg; NULL: none */
    const char *default_note;  /* for the help, where the stage itself chooses; NULL */
    int repeats;               /* 1: may be repeated; 2: takes all words up to the next option (-q SPEC…) */
    const char *help;
} bg_option;

typedef struct bg_args bg_args;

typedef struct bg_stage {
    const char *name;
    const char *arguments;    /* "MODEL", "BASE QUANTIZED…": shown in the usage line */
    int min_words, max_words; /* positional arguments; max_words < 0: any number */
    const char *summary;      /* one line in `bitgap --help` */
    const char *about;        /* a paragraph for `bitgap help STAGE` and the man page */
    const char *example;      /* one runnable line */
    const bg_option *options; /* ends with a NULL name */
    int is_tool;              /* listed under "tools beside the stages" */
    int (*run)(const bg_args *a, bg_provenance *p, bg_err *e);
} bg_stage;

/* Parses argv (argv[0] is the stage's name). The caller frees *out with bg_args_free, after failure too. */
int bg_args_parse(const bg_stage *s, int argc, char *const *argv, bg_args **out, bg_err *e);
void bg_args_free(bg_args *a);

/* Value of an option: as given (the last one), else its default, else NULL. Asking for an undeclared name is a bug and
 * answers NULL. A flag that was given answers "1". */
const char *bg_arg(const bg_args *a, const char *name);
int bg_arg_given(const bg_args *a, const char *name);
/* Values of a repeated option, in order. */
int bg_arg_count(const bg_args *a, const char *name);
const char *bg_arg_nth(const bg_args *a, const char *name, int n);
/* Positional arguments. */
int bg_args_words(const bg_args *a);
const char *bg_args_word(const bg_args *a, int n);
/* Numbers with a range; BG_USAGE names the option and the range. *out is the default when neither given nor declared.
 */
int bg_arg_number(const bg_args *a, const char *name, double min, double max, double *out, bg_err *e);
int bg_arg_integer(const bg_args *a, const char *name, int64_t min, int64_t max, int64_t *out, bg_err *e);
/* Where the document goes: -o, or `default_path`. */
const char *bg_arg_output(const bg_args *a, const char *default_path);

/* The words that decide the result (without -o, -j, -q, which do not), for a document's `arguments`: the same run on
 * more threads writes the same bytes. *out lives as long as `a`. Returns how many. */
int bg_args_recorded(const bg_args *a, const char *const **out);

/* The options every stage shares, for help, man pages and completion. */
extern const bg_option bg_common_options[];
/* Wrapped at the width of the terminal (COLUMNS, else what the terminal says), at 80 columns elsewhere. */
void bg_stage_help(const bg_stage *s, FILE *f);
/* Prints text in lines of at most that width; the first begins in column `column`, the others are indented by `indent`.
 * A line break in the text is a space, an empty line stays. */
void bg_print_wrapped(const char *text, int column, int indent, FILE *f);

/* Of `n` names the one nearest to `word` by edit distance, or NULL when none is near. names[i] may be NULL. */
const char *bg_nearest(const char *word, const char *const *names, int n);

#endif
