/* A study's configuration: settings, specs, metrics, figures; what is accepted also gives its commands.
 * Seeds: notebooks/?*.json */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <unistd.h>
#include "analysis/study/plan.h"
#include "tests/fuzz/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH], *text = NULL;
    size_t length = 0;
    bg_err e = {0};
    bg_plan p;
    fuzz_path(path, ".json");
    put_file(path, data, size);
    if (!bg_plan_read(path, NULL, &p, &e)) {
        FILE *f = open_memstream(&text, &length);
        if (f) {
            bg_plan_commands(&p, f, &e);
            fclose(f);
        }
        free(text);
    }
    bg_plan_free(&p);
    unlink(path);
    return 0;
}
