/* Notebooks: their commands, and their placeholders filled in from the documents of a small page.
 * Seeds: notebooks/?*.md */
#include "tests/fuzz/stage.h"

extern const bg_stage bg_stage_notebook;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char directory[FUZZ_PATH], path[FUZZ_PATH];
    fuzz_path(directory, "");
    fuzz_path(path, ".md");
    put_file(path, data, size);
    fuzz_stage(&bg_stage_notebook, (const char *[]){"notebook", path, "--commands", "-o", "-", NULL});
    fuzz_stage(&bg_stage_notebook, (const char *[]){"notebook", path, "tests/cli/report/groups.json",
                                                    "tests/cli/report/bounds.json", "-o", directory, NULL});
    unlink(path);
    fuzz_remove(directory);
    return 0;
}
