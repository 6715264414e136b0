/* Owns the command line: one table per stage is parsed, checked and printed as help. */
#define _GNU_SOURCE
#include "io/base/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const bg_option bg_common_options[] = {
    {.name = "output", .letter = 'o', .argument = "FILE", .help = "write the document here; - is standard output"},
    {.name = "threads", .letter = 'j', .argument = "N", .help = "threads (results do not depend on it)"},
    {.name = "seed", .argument = "N", .default_value = "1", .help = "seed of everything random"},
    {.name = "force", .help = "replace an existing file that Bitgap did not write; never one that this run reads"},
    {.name = "quiet", .help = "no progress, no warnings"},
    {.name = "help", .letter = 'h', .help = "this text"},
    {0},
};

typedef struct setting {
    const bg_option *option;
    const char *value;
} setting;

struct bg_args {
    const bg_stage *stage;
    setting *settings;
    int n_settings;
    const char **words;
    int n_words;
    const char **recorded; /* the words of the command line that decide the result */
    int n_recorded;
};

static int distance(const char *a, const char *b)
{
    enum { LONGEST = 63 };
    int row[LONGEST + 1];
    int n = (int)strnlen(a, LONGEST), m = (int)strnlen(b, LONGEST);
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int smaller = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < smaller ? change : smaller;
        }
    }
    return row[m];
}

const char *bg_nearest(const char *word, const char *const *names, int n)
{
    const char *best = NULL;
    int nearest = (int)strlen(word) / 2 + 1;
    for (int i = 0; i < n; i++) {
        int d = names[i] ? distance(word, names[i]) : nearest;
        if (d < nearest) {
            nearest = d;
            best = names[i];
        }
    }
    return best;
}

static int is_named(const bg_option *o, const char *name, size_t length)
{
    return (strlen(o->name) == length && !strncmp(o->name, name, length)) ||
           (o->old_name && strlen(o->old_name) == length && !strncmp(o->old_name, name, length));
}

static const bg_option *find(const bg_stage *s, const char *name, size_t length, char letter)
{
    const bg_option *tables[] = {s->options, bg_common_options};
    for (int t = 0; t < 2; t++)
        for (const bg_option *o = tables[t]; o && o->name; o++)
            if (letter ? o->letter == letter : is_named(o, name, length))
                return o;
    return NULL;
}

static int unknown(const bg_stage *s, const char *word, bg_err *e)
{
    const char *names[128];
    int n = 0;
    const bg_option *tables[] = {s->options, bg_common_options};
    for (int t = 0; t < 2; t++)
        for (const bg_option *o = tables[t]; o && o->name && n < 128; o++)
            names[n++] = o->name;
    const char *near = word[1] == '-' ? bg_nearest(word + 2, names, n) : NULL;
    return bg_fail(e, BG_USAGE, "%s: unknown option '%s'%s%s%s; see bitgap help %s", s->name, word,
                   near ? ", did you mean --" : "", near ? near : "", near ? "?" : "", s->name);
}

static void set(bg_args *a, const bg_option *o, const char *value)
{
    a->settings[a->n_settings++] = (setting){o, value};
}

static int is_option(const char *word)
{
    return word[0] == '-' && word[1] && !(word[1] >= '0' && word[1] <= '9');
}

/* Takes the option at argv[*i] with its values and moves *i to the last word used. */
static int take(bg_args *a, int argc, char *const *argv, int *i, bg_err *e)
{
    const char *word = argv[*i];
    int is_long = word[1] == '-';
    const char *name = word + 1 + is_long, *equals = is_long ? strchr(name, '=') : NULL;
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const bg_option *o = find(a->stage, name, length, is_long ? 0 : name[0]);
    if (!o)
        return unknown(a->stage, word, e);
    const char *attached = equals ? equals + 1 : !is_long && name[1] ? name + 1 : NULL;
    if (!o->argument) {
        if (attached)
            return bg_fail(e, BG_USAGE, "%s: '%s' takes no value", a->stage->name, word);
        set(a, o, "1");
        return BG_OK;
    }
    if (!attached && *i + 1 >= argc)
        return bg_fail(e, BG_USAGE, "%s: '%s' needs a value (%s); see bitgap help %s", a->stage->name, word,
                       o->argument, a->stage->name);
    set(a, o, attached ? attached : argv[++*i]);
    while (!attached && o->repeats == 2 && *i + 1 < argc && !is_option(argv[*i + 1]))
        set(a, o, argv[++*i]);
    return BG_OK;
}

static int decides_the_result(const bg_option *o)
{
    static const char *const others[] = {"output", "threads", "force", "quiet", "help"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (!strcmp(o->name, others[i]))
            return 0;
    return 1;
}

static void record(bg_args *a, char *const *argv, int from, int to)
{
    for (int i = from; i <= to; i++)
        a->recorded[a->n_recorded++] = argv[i];
}

int bg_args_parse(const bg_stage *s, int argc, char *const *argv, bg_args **out, bg_err *e)
{
    bg_args *a = *out = calloc(1, sizeof *a);
    if (!a)
        return bg_no_memory(e, "arguments", sizeof *a);
    a->stage = s;
    a->settings = calloc((size_t)argc + 1, sizeof *a->settings);
    a->words = calloc((size_t)argc + 1, sizeof *a->words);
    a->recorded = calloc((size_t)argc + 1, sizeof *a->recorded);
    if (!a->settings || !a->words || !a->recorded)
        return bg_no_memory(e, "arguments", (unsigned long long)argc * sizeof *a->settings);
    record(a, argv, 0, 0);
    int only_words = 0;
    for (int i = 1; i < argc; i++) {
        int first = i;
        if (!only_words && !strcmp(argv[i], "--")) {
            only_words = 1;
        } else if (!only_words && is_option(argv[i])) {
            int status = take(a, argc, argv, &i, e);
            if (status)
                return status;
            if (decides_the_result(a->settings[a->n_settings - 1].option))
                record(a, argv, first, i);
        } else {
            a->words[a->n_words++] = argv[i];
            record(a, argv, i, i);
        }
    }
    if (bg_arg_given(a, "help"))
        return BG_OK;
    if (a->n_words < s->min_words)
        return bg_fail(e, BG_USAGE, "%s: %s is missing; example: %s", s->name, s->arguments, s->example);
    if (s->max_words >= 0 && a->n_words > s->max_words)
        return bg_fail(e, BG_USAGE, "%s: unexpected '%s'; usage: bitgap %s %s", s->name, a->words[s->max_words],
                       s->name, s->arguments);
    return BG_OK;
}

void bg_args_free(bg_args *a)
{
    if (!a)
        return;
    free(a->settings);
    free(a->words);
    free(a->recorded);
    free(a);
}

int bg_args_recorded(const bg_args *a, const char *const **out)
{
    *out = a->recorded;
    return a->n_recorded;
}

int bg_arg_count(const bg_args *a, const char *name)
{
    int n = 0;
    for (int i = 0; i < a->n_settings; i++)
        n += !strcmp(a->settings[i].option->name, name);
    return n;
}

int bg_arg_given(const bg_args *a, const char *name)
{
    return bg_arg_count(a, name) > 0;
}

const char *bg_arg_nth(const bg_args *a, const char *name, int n)
{
    for (int i = 0; i < a->n_settings; i++)
        if (!strcmp(a->settings[i].option->name, name) && n-- == 0)
            return a->settings[i].value;
    return NULL;
}

const char *bg_arg(const bg_args *a, const char *name)
{
    int given = bg_arg_count(a, name);
    if (given)
        return bg_arg_nth(a, name, given - 1);
    const bg_option *o = find(a->stage, name, strlen(name), 0);
    return o ? o->default_value : NULL;
}

int bg_args_words(const bg_args *a)
{
    return a->n_words;
}

const char *bg_args_word(const bg_args *a, int n)
{
    return n < a->n_words ? a->words[n] : NULL;
}

int bg_arg_number(const bg_args *a, const char *name, double min, double max, double *out, bg_err *e)
{
    const char *text = bg_arg(a, name);
    if (!text)
        return BG_OK;
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (end == text || *end || errno || !(v >= min && v <= max))
        return bg_fail(e, BG_USAGE, "%s: --%s must be a number from %g to %g, got '%s'", a->stage->name, name, min, max,
                       text);
    *out = v;
    return BG_OK;
}

int bg_arg_integer(const bg_args *a, const char *name, int64_t min, int64_t max, int64_t *out, bg_err *e)
{
    const char *text = bg_arg(a, name);
    if (!text)
        return BG_OK;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end || errno || v < min || v > max)
        return bg_fail(e, BG_USAGE, "%s: --%s must be an integer from %lld to %lld, got '%s'", a->stage->name, name,
                       (long long)min, (long long)max, text);
    *out = v;
    return BG_OK;
}

const char *bg_arg_output(const bg_args *a, const char *default_path)
{
    const char *given = bg_arg(a, "output");
    return given ? given : default_path;
}

/* ---- help ---- */

enum { WIDTH = 80, WIDTH_MIN = 40, WIDTH_MAX = 160, HELP_COLUMN = 30 };

static int terminal_width(FILE *f)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    int width = 0;
    if (!isatty(fileno(f)))
        return WIDTH;
    if (columns)
        width = atoi(columns);
    else if (!ioctl(fileno(f), TIOCGWINSZ, &size))
        width = size.ws_col;
    return width < 1 ? WIDTH : width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width;
}

/* Columns of n bytes of UTF-8: a character each. */
static int count_columns(const char *text, size_t n)
{
    int columns = 0;
    for (size_t i = 0; i < n; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

void bg_print_wrapped(const char *text, int column, int indent, FILE *f)
{
    int width = terminal_width(f), is_first = 1;
    while (*(text += strspn(text, " \n"))) {
        size_t n = strcspn(text, " \n");
        int columns = count_columns(text, n);
        if (!is_first && column + 1 + columns >= width) {
            fprintf(f, "\n%*s", indent, "");
            column = indent;
        } else if (!is_first) {
            putc(' ', f);
            column++;
        }
        fwrite(text, 1, n, f);
        column += columns;
        is_first = 0;
        text += n;
        if (text[0] == '\n' && text[1] == '\n') {
            fprintf(f, "\n\n%*s", indent, "");
            column = indent;
            is_first = 1;
        }
    }
    putc('\n', f);
}

static void print_option(const bg_option *o, FILE *f)
{
    char left[64], text[2048];
    int n = o->letter ? snprintf(left, sizeof left, "  -%c, ", o->letter) : snprintf(left, sizeof left, "      ");
    snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s%s", o->name, o->argument ? " " : "",
             o->argument ? o->argument : "", o->repeats == 2 ? "…" : "");
    const char *value = o->default_value ? o->default_value : o->default_note;
    snprintf(text, sizeof text, "%s%s%s%s", o->help, value ? " [default: " : "", value ? value : "", value ? "]" : "");
    int column = count_columns(left, strlen(left));
    fputs(left, f);
    if (column + 2 > HELP_COLUMN) {
        putc('\n', f);
        column = 0;
    }
    fprintf(f, "%*s", HELP_COLUMN - column, "");
    bg_print_wrapped(text, HELP_COLUMN, HELP_COLUMN, f);
}

static void print_options(const bg_option *o, FILE *f)
{
    for (; o && o->name; o++)
        print_option(o, f);
}

void bg_stage_help(const bg_stage *s, FILE *f)
{
    fprintf(f, "usage: bitgap %s %s%s[options]\n\n", s->name, s->arguments, *s->arguments ? " " : "");
    bg_print_wrapped(s->about ? s->about : s->summary, 0, 0, f);
    if (s->options && s->options->name)
        fputs("\noptions\n", f);
    print_options(s->options, f);
    fputs("\noptions of every stage\n", f);
    print_options(bg_common_options, f);
    fprintf(f, "\nexample\n  %s\n", s->example);
}
