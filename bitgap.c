/* bitgap: the table of stages. The only file that prints an error and chooses an exit status. */
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <omp.h>
#include <unistd.h>
#include "io/base/manual.h"
#include "io/base/overwrite.h"

/* The table of stages under their headings, in the order in which make runs them; then the tools. To add one: its file,
 * stages/NAME.c, and its line. */
/* clang-format off */
#define STAGES(HEADING, ROW) \
    HEADING("what the weights are, and what any code must pay for them") \
    ROW(extract) \
    ROW(calibrate) \
    ROW(bound) \
    HEADING("what each quantizer pays") \
    ROW(curve) \
    ROW(gap) \
    ROW(budget) \
    ROW(lossless) \
    HEADING("what it does to the model's outputs") \
    ROW(logits) \
    ROW(correlate) \
    HEADING("where the bits should go, and checkpoints") \
    ROW(allocate) \
    ROW(quantize) \
    ROW(audit) \
    ROW(evaluate) \
    HEADING("against other formats and other people's tables") \
    ROW(atlas) \
    ROW(published) \
    HEADING("pages") \
    ROW(report) \
    HEADING("tools: studies and notebooks") \
    ROW(new_study) \
    ROW(study) \
    ROW(notebook) \
    ROW(compare) \
    ROW(verify) \
    HEADING("tools: models and documents") \
    ROW(list) \
    ROW(estimate) \
    ROW(tokenize) \
    ROW(run) \
    ROW(export) \
    ROW(diff) \
    ROW(can_run) \
    ROW(check) \
    ROW(merge) \
    ROW(host)
/* clang-format on */

#define NO_HEADING(text)
#define DECLARE(name) extern const bg_stage bg_stage_##name;
STAGES(NO_HEADING, DECLARE)

#define POINT(name) &bg_stage_##name,
static const bg_stage *const bg_stages[] = {STAGES(NO_HEADING, POINT) NULL};

#define TEXT_LINE(text)  {.heading = text},
#define STAGE_LINE(name) {.stage = &bg_stage_##name},
static const struct {
    const char *heading;
    const bg_stage *stage;
} help_lines[] = {STAGES(TEXT_LINE, STAGE_LINE)};

static void interrupted(int signal_number)
{
    (void)signal_number;
    if (bg_interrupted)
        _Exit(BG_RESOURCE);
    bg_interrupted = 1;
}

static void usage(FILE *f)
{
    bg_print_wrapped(
        "Bitgap tells how many bits a weight quantizer leaves on the table, in which layer, and whether it matters.", 0,
        0, f);
    fputs("\nusage: bitgap STAGE [arguments]\n", f);
    for (size_t i = 0; i < sizeof help_lines / sizeof *help_lines; i++) {
        if (help_lines[i].heading) {
            fprintf(f, "\n%s\n", help_lines[i].heading);
            continue;
        }
        fprintf(f, "  %-12s ", help_lines[i].stage->name);
        bg_print_wrapped(help_lines[i].stage->summary, 15, 15, f);
    }
    fputs("\n  bitgap help STAGE      options and a runnable example\n"
          "  bitgap help documents  every field of every document, with its unit\n"
          "  bitgap --version\n"
          "\nexample\n  bitgap curve source:gaussian -q lloyd:bits=2..8 -o -\n",
          f);
}

static const bg_stage *find_stage(const char *name)
{
    for (const bg_stage *const *s = bg_stages; *s; s++)
        if (!strcmp((*s)->name, name))
            return *s;
    return NULL;
}

static int unknown_stage(const char *name)
{
    const char *names[sizeof bg_stages / sizeof *bg_stages];
    int n = 0;
    for (const bg_stage *const *s = bg_stages; *s; s++)
        names[n++] = (*s)->name;
    const char *near = bg_nearest(name, names, n);
    fprintf(stderr, "bitgap: no stage '%s'%s%s%s; see bitgap --help\n", name, near ? ", did you mean " : "",
            near ? near : "", near ? "?" : "");
    return BG_USAGE;
}

static int help(int argc, char **argv)
{
    if (argc < 1) {
        usage(stdout);
        return BG_OK;
    }
    if (!strcmp(argv[0], "documents")) {
        bg_doc_reference(stdout);
        return BG_OK;
    }
    if (!strcmp(argv[0], "--man")) {
        bg_man_page(bg_stages, stdout);
        return BG_OK;
    }
    if (!strcmp(argv[0], "--completion")) {
        bg_completion(bg_stages, stdout);
        return BG_OK;
    }
    const bg_stage *s = find_stage(argv[0]);
    if (!s)
        return unknown_stage(argv[0]);
    bg_stage_help(s, stdout);
    return BG_OK;
}

/* What -o names is looked at again when it is opened; here, so that a mistake does not cost the time of the run. */
static int check_output(const bg_args *a, bg_err *e)
{
    const char *output = bg_arg(a, "output");
    for (int i = 0; i < bg_args_words(a); i++)
        if (bg_is_file(bg_args_word(a, i)))
            bg_input_path(bg_args_word(a, i));
    return output && bg_is_file(output) ? bg_output_allowed(output, e) : BG_OK;
}

/* Threads are a matter of speed only: every parallel loop uses fixed chunks and adds them in order. */
static int prepare(const bg_args *a, bg_provenance *p, bg_err *e)
{
    int64_t threads = 0, seed = 1;
    int status = bg_arg_integer(a, "threads", 1, 1024, &threads, e);
    if (!status)
        status = bg_arg_integer(a, "seed", 0, INT64_MAX, &seed, e);
    if (!status && threads)
        omp_set_num_threads((int)threads);
    bg_set_quiet(bg_arg_given(a, "quiet"));
    bg_set_force(bg_arg_given(a, "force"));
    p->seed = (uint64_t)seed;
    p->argc = bg_args_recorded(a, &p->argv);
    return status ? status : check_output(a, e);
}

/* What tools print reaches its reader, or the command fails: a full disk shows when the last bytes are flushed. */
static int flush_output(int status)
{
    int bad = ferror(stdout);
    errno = 0;
    bad |= fflush(stdout);
    if (!bad || status)
        return status;
    if (errno == EPIPE) { /* a reader that has seen enough: end as others do then, without a word */
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    fprintf(stderr, "bitgap: standard output: write failed%s%s; is the disk full?\n", errno ? ": " : "",
            errno ? strerror(errno) : "");
    return BG_RESOURCE;
}

static int run_stage(const bg_stage *s, int argc, char **argv)
{
    bg_err e = {0};
    bg_args *a = NULL;
    bg_provenance p = {0};
    int status = bg_args_parse(s, argc, argv, &a, &e);
    if (!status && bg_arg_given(a, "help")) {
        bg_stage_help(s, stdout);
    } else {
        if (!status)
            status = prepare(a, &p, &e);
        if (!status)
            status = s->run(a, &p, &e);
    }
    bg_args_free(a);
    bg_provenance_free(&p);
    if (status && e.text[0])
        fprintf(stderr, "bitgap: %s\n", e.text);
    return status;
}

/* Threads that wait should sleep: spinning ones cost several times the work when something else runs on the machine.
 * The OpenMP library reads its settings before main, so the program starts itself again with the setting; where it
 * cannot, it goes on as it is. */
static void sleep_while_waiting(char **argv)
{
    char self[4096];
    ssize_t n = getenv("OMP_WAIT_POLICY") ? -1 : readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || setenv("OMP_WAIT_POLICY", "passive", 1))
        return;
    self[n] = 0;
    execv(self, argv);
}

static int run_command(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return BG_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        usage(stdout);
        return BG_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("bitgap %s\n", bg_version);
        return BG_OK;
    }
    if (!strcmp(argv[1], "help"))
        return help(argc - 2, argv + 2);
    const bg_stage *s = find_stage(argv[1]);
    return s ? run_stage(s, argc - 1, argv + 1) : unknown_stage(argv[1]);
}

int main(int argc, char **argv)
{
    sleep_while_waiting(argv);
    struct sigaction action = {.sa_handler = interrupted};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return flush_output(run_command(argc, argv));
}
