/* timed N COMMAND…: runs the command N times, discards its standard output, prints the least wall time in seconds and
 * the largest resident set in MiB, separated by a tab. The command's failure is its own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "io/base/error.h"

static int once(char **command, double *seconds, double *mib)
{
    double start = bg_now();
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    int status;
    struct rusage use;
    if (child < 0 || wait4(child, &status, 0, &use) != child)
        return -1;
    *seconds = bg_now() - start;
    *mib = (double)use.ru_maxrss / 1024;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    int repeats = argc > 2 ? atoi(argv[1]) : 0;
    if (repeats < 1) {
        fputs("usage: timed N COMMAND…\n", stderr);
        return BG_USAGE;
    }
    double least = 1e30, most = 0;
    for (int i = 0; i < repeats; i++) {
        double seconds = 0, mib = 0;
        int status = once(argv + 2, &seconds, &mib);
        if (status)
            return status;
        least = seconds < least ? seconds : least;
        most = mib > most ? mib : most;
    }
    printf("%.4f\t%.0f\n", least, most);
    return BG_OK;
}
