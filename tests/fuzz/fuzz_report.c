/* A document through the report, beside the sound ones of a small page. Seeds: tests/fuzz/seeds/document/?* */
#include "tests/fuzz/stage.h"

extern const bg_stage bg_stage_report;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char directory[FUZZ_PATH], path[FUZZ_PATH];
    fuzz_path(directory, "");
    fuzz_path(path, ".json");
    put_file(path, data, size);
    fuzz_stage(&bg_stage_report,
               (const char *[]){"report", path, "tests/cli/report/groups.json", "-o", directory, NULL});
    unlink(path);
    fuzz_remove(directory);
    return 0;
}
