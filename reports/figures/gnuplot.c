/* Owns running gnuplot: a child with a time limit whose complaints are read back. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "reports/figures/figure.h"

static void child(const char *directory, const char *file, int complaints)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || chdir(directory) || dup2(null, STDIN_FILENO) < 0 || dup2(complaints, STDOUT_FILENO) < 0 ||
        dup2(complaints, STDERR_FILENO) < 0)
        _exit(126);
    execlp("gnuplot", "gnuplot", "-d", file, (char *)NULL);
    _exit(127);
}

/* Reads what the child says until it closes its end or time is over; keeps the first room − 1 bytes. Returns 1 when
 * late. */
static int listen_to(int fd, double until, char *said, size_t room)
{
    size_t n = 0;
    char rest[512];
    for (;;) {
        double left = until - bg_now();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0 || bg_interrupted)
            return 1;
        if (poll(&p, 1, (int)(left * 1000) + 1) <= 0)
            continue;
        int keep = n + 1 < room;
        ssize_t got = read(fd, keep ? said + n : rest, keep ? room - 1 - n : sizeof rest);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return 0;
        if (keep)
            said[n += (size_t)got] = 0;
    }
}

/* gnuplot points at the place with a ^ line; the line after it names the trouble. */
static const char *first_complaint(char *said)
{
    char *found = strstr(said, "line ");
    if (!found)
        found = said + strspn(said, " \n\t^");
    found[strcspn(found, "\n")] = 0;
    return found;
}

int bg_gnuplot_run(const char *directory, const char *file, int seconds, int *absent, bg_err *e)
{
    int pipes[2], state = 0;
    char said[1024] = "";
    *absent = 0;
    if (pipe2(pipes, O_CLOEXEC))
        return bg_fail(e, BG_RESOURCE, "cannot run gnuplot: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        child(directory, file, pipes[1]);
    close(pipes[1]);
    if (pid < 0) {
        close(pipes[0]);
        return bg_fail(e, BG_RESOURCE, "cannot run gnuplot: %s", strerror(errno));
    }
    int late = listen_to(pipes[0], bg_now() + seconds, said, sizeof said);
    close(pipes[0]);
    if (late)
        kill(pid, SIGKILL);
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR)
        ;
    if (late)
        return bg_fail(e, BG_RESOURCE, "gnuplot took longer than %d s on %s", seconds, file);
    *absent = WIFEXITED(state) && WEXITSTATUS(state) == 127;
    if (*absent)
        return bg_fail(e, BG_RESOURCE, "gnuplot was not found; install gnuplot and run bitgap report again");
    if (!WIFEXITED(state) || WEXITSTATUS(state))
        return bg_fail(e, BG_RESOURCE, "gnuplot could not draw %s: %.200s", file, first_complaint(said));
    return BG_OK;
}
