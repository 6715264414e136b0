/* Owns the grid `exec`: a quantizer that somebody else wrote, as a program (cmd=) or a shared object (lib=).
 *
 * The program is run twice for each tensor, in a scratch directory:
 *     CMD encode IN.npy STORED       reads float32 weights (rows × cols), writes the file STORED; may print `bytes N`
 *     CMD decode STORED OUT.npy      reads STORED and nothing else, writes the reconstructed weights
 * with BITGAP_BITS, BITGAP_ROWS, BITGAP_COLS and BITGAP_SEED in its environment. What was stored is the rate, 8 · size
 * of STORED; a program that prints how many bytes it needs must not print fewer than that. A shared object is hosted by
 * `bitgap host`, which speaks the same way, so that its crash is not ours.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "io/base/file.h"
#include "io/base/npy.h"
#include "quant/scope/scope.h"

extern char **environ;

enum { SETTINGS = 4, ARGUMENTS = 8 };

struct bg_trained {
    char directory[64]; /* scratch, removed by release */
    uint64_t seed;
    const char **failure; /* in words that outlive the run; set by tile, which runs once a matrix */
    const char *reason;
};

typedef struct exec_params {
    char cmd[BG_VALUE_TEXT], lib[BG_VALUE_TEXT]; /* one of them; the other is "" */
    double timeout;                              /* seconds */
} exec_params;

static const bg_key keys[] = {
    {.name = "cmd", .type = BG_KEY_TEXT, .help = "the program, ./mine or /path/to/mine", BG_PARAM(exec_params, cmd)},
    {.name = "lib",
     .type = BG_KEY_TEXT,
     .help = "the shared object instead, ./mine.so (bitgap_quantizer.h)",
     BG_PARAM(exec_params, lib)},
    {.name = "bits",
     .type = BG_KEY_NUMBER,
     .min = 0,
     .max = 32,
     .default_text = "4",
     .help = "handed to it; the stored bytes decide the rate"},
    {.name = "timeout",
     .type = BG_KEY_NUMBER,
     .min = 0.01,
     .max = 86400,
     .default_text = "60",
     .help = "seconds for each of encode and decode",
     BG_PARAM(exec_params, timeout)},
    {0},
};

static int check(const bg_spec *s, bg_err *e)
{
    const exec_params *p = bg_grid_params(s);
    int program = p->cmd[0] != 0, library = p->lib[0] != 0;
    if (program == library)
        return bg_fail(e, BG_USAGE, "spec '%s': exec wants cmd=PROGRAM or lib=SHARED-OBJECT, one of them", s->text);
    const char *path = program ? p->cmd : p->lib;
    if (access(path, program ? X_OK : R_OK))
        return bg_fail(e, BG_USAGE, "spec '%s': %s: %m; a path begins with ./ or /", s->text, path);
    return BG_OK;
}

static double bits(const bg_spec *s)
{
    return s->bits;
}

/* ---- running it ---- */

/* environ with our four settings in front; the caller frees the array (the settings are `own`). */
static char **environment(char own[SETTINGS][48], const bg_spec *s, const bg_trained *t, int64_t rows, int64_t cols)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **all = calloc(n + SETTINGS + 1, sizeof *all);
    if (!all)
        return NULL;
    snprintf(own[0], sizeof own[0], "BITGAP_BITS=%.15g", s->bits);
    snprintf(own[1], sizeof own[1], "BITGAP_ROWS=%lld", (long long)rows);
    snprintf(own[2], sizeof own[2], "BITGAP_COLS=%lld", (long long)cols);
    snprintf(own[3], sizeof own[3], "BITGAP_SEED=%llu", (unsigned long long)t->seed);
    size_t k = 0;
    for (int i = 0; i < SETTINGS; i++)
        all[k++] = own[i];
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "BITGAP_", 7) != 0)
            all[k++] = environ[i];
    return all;
}

static int failed(const bg_trained *t, const char *reason, bg_err *e, const char *what)
{
    *t->failure = reason;
    return bg_fail(e, BG_INPUT, "%s: %s", what, reason);
}

/* Waits for the child until the deadline, then kills its process group. */
static int await(pid_t child, double seconds, const bg_trained *t, const char *what, bg_err *e)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    double deadline = bg_now() + seconds;
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0 && bg_now() < deadline && !bg_interrupted)
        nanosleep(&pause, NULL);
    if (ended == 0) {
        kill(-child, SIGKILL);
        waitpid(child, &status, 0);
        return bg_interrupted ? bg_fail(e, BG_RESOURCE, "%s: interrupted", what)
                              : failed(t, "the program gave no answer within its timeout", e, what);
    }
    if (ended < 0)
        return bg_fail(e, BG_RESOURCE, "%s: %m", what);
    if (WIFSIGNALED(status))
        return failed(t, "the program crashed", e, what);
    if (WEXITSTATUS(status))
        return failed(t, "the program ended with a failure of its own", e, what);
    return BG_OK;
}

/* `program verb from to` in the scratch directory's terms; words it prints go to DIRECTORY/said. */
static int run(const bg_spec *s, const bg_trained *t, const char *verb, const char *from, const char *to,
               const bg_targets *tile, bg_err *e)
{
    const exec_params *p = bg_grid_params(s);
    int library = p->lib[0] != 0;
    char own[SETTINGS][48], said[96], what[BG_VALUE_TEXT + 16];
    char **env = environment(own, s, t, tile->rows, tile->cols);
    if (!env)
        return bg_no_memory(e, "environment", 0);
    const char *path = library ? p->lib : p->cmd;
    const char *const arguments[ARGUMENTS] = {library ? "bitgap" : path, library ? "host" : verb, library ? path : from,
                                              library ? verb : to,       library ? from : NULL,   library ? to : NULL};
    snprintf(said, sizeof said, "%s/said", t->directory);
    snprintf(what, sizeof what, "%s %s", path, verb);
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    pid_t child;
    int refused =
        posix_spawn(&child, library ? "/proc/self/exe" : path, &files, &attributes, (char *const *)arguments, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    free(env);
    if (refused)
        return failed(t, "the program cannot be started", e, what);
    return await(child, p->timeout, t, what, e);
}

/* Size of STORED in bytes, held against the number that the program may have printed. */
static int stored_size(const bg_spec *s, const bg_trained *t, const char *stored, double *bytes, bg_err *e)
{
    struct stat st;
    char path[96], *said;
    size_t length;
    unsigned long long claimed;
    const exec_params *p = bg_grid_params(s);
    const char *name = p->lib[0] ? p->lib : p->cmd;
    if (stat(stored, &st) || !S_ISREG(st.st_mode))
        return failed(t, "the program stored nothing", e, name);
    *bytes = (double)st.st_size;
    snprintf(path, sizeof path, "%s/said", t->directory);
    int status = bg_file_read(path, 1 << 20, &said, &length, e);
    if (status)
        return status;
    if (sscanf(said, "bytes %llu", &claimed) == 1) {
        if (claimed < (unsigned long long)st.st_size)
            status = failed(t, "the program claims fewer bytes than it stored", e, name);
        *bytes = (double)claimed;
    }
    free(said);
    return status;
}

/* ---- the row ---- */

static int train(const bg_spec *s, const bg_matrix *m, bg_trained **out, bg_err *e)
{
    (void)s;
    const char *room = getenv("TMPDIR");
    bg_trained *t = calloc(1, sizeof *t);
    if (!t)
        return bg_no_memory(e, "exec", sizeof *t);
    t->seed = m->seed;
    t->failure = &t->reason;
    int n = snprintf(t->directory, sizeof t->directory, "%s/bitgap-XXXXXX", room && *room ? room : "/tmp");
    if (n >= (int)sizeof t->directory || !mkdtemp(t->directory)) {
        free(t);
        return bg_fail(e, BG_RESOURCE, "%s: no scratch directory can be made: %m; set TMPDIR", room ? room : "/tmp");
    }
    *out = t;
    return BG_OK;
}

static int64_t rows_together(const bg_spec *s, int64_t cols)
{
    (void)s, (void)cols;
    return 0; /* the whole matrix */
}

static int code_tile(const bg_spec *s, const bg_trained *t, const bg_targets *tile, bg_rate *rate, bg_err *e)
{
    int64_t n = tile->rows, cols = tile->cols;
    const float *w = tile->w;
    float *out = tile->out;
    char in[96], stored[96], result[96];
    double bytes = 0;
    snprintf(in, sizeof in, "%s/in.npy", t->directory);
    snprintf(stored, sizeof stored, "%s/stored", t->directory);
    snprintf(result, sizeof result, "%s/out.npy", t->directory);
    int status = bg_npy_write(in, w, n, cols, e);
    if (!status)
        status = run(s, t, "encode", in, stored, tile, e);
    if (!status)
        status = stored_size(s, t, stored, &bytes, e);
    unlink(in);
    if (!status)
        status = run(s, t, "decode", stored, result, tile, e);
    if (!status)
        status = bg_npy_read(result, out, n, cols, e);
    if (status == BG_INPUT && !*t->failure)
        *t->failure = "the program decoded no float32 matrix of this shape";
    rate->indices += 8 * bytes;
    return status;
}

static const char *excuse(const bg_trained *t)
{
    return t ? *t->failure : NULL;
}

static void release(bg_trained *t)
{
    static const char *const names[] = {"in.npy", "stored", "out.npy", "said"};
    char path[96];
    if (!t)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", t->directory, names[i]);
        unlink(path);
    }
    rmdir(t->directory);
    free(t);
}

const bg_grid bg_grid_exec = {
    .name = "exec",
    .title = "a program or shared object of your own",
    .paper = "notebooks/own-quantizer.md",
    .family = "own",
    .keys = keys,
    .refuses = "levels scope zero clip scale",
    .default_scope = "tensor",
    .kind = BG_GRID_SEQUENCE,
    .check = check,
    .bits = bits,
    .train = train,
    .tile = code_tile,
    .rows_together = rows_together,
    .release = release,
    .excuse = excuse,
};
